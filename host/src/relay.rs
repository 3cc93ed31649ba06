//! The relay's life: bind everything or nothing, serve, drain, end.

use std::net::SocketAddr;
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_vsock::{VsockAddr, VsockListener};

use crate::admin::{self, Admin};
use crate::config::{Config, Inbound};
use crate::endpoint::Endpoint;
use crate::metrics::Metrics;
use crate::{egress, inbound};

/// Waiting connections that the kernel may hold for us.
const BACKLOG: i32 = 4_096;

/// A relay with its ports bound.
#[derive(Debug)]
pub struct Relay {
    config: Config,
    inbound: TcpListener,
    egress: Option<EgressListener>,
    admin: TcpListener,
    addresses: [SocketAddr; 2],
}

/// Keeps the listener's type out of `Relay`'s `Debug`.
struct EgressListener(egress::Listener, Option<SocketAddr>);

impl std::fmt::Debug for EgressListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("EgressListener").field(&self.1).finish()
    }
}

/// A port that could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("bind {what} to {address}")]
pub struct BindError {
    what: &'static str,
    address: String,
    source: std::io::Error,
}

/// How serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every connection ended by itself.
    Clean,
    /// The drain deadline cut this many connections.
    Cut(usize),
}

impl Relay {
    /// Binds every port that the configuration names.
    ///
    /// # Errors
    /// The first port that cannot be bound; none stays bound then.
    pub async fn bind(config: Config) -> Result<Self, BindError> {
        let inbound = listen("inbound.listen", config.inbound.listen)?;
        let admin = listen("admin.listen", config.admin)?;
        let egress = match &config.egress {
            None => None,
            Some(egress) => Some(listen_egress(egress.listen)?),
        };
        let local = |listener: &TcpListener, what| {
            listener.local_addr().map_err(|source| BindError { what, address: String::new(), source })
        };
        let addresses = [local(&inbound, "inbound.listen")?, local(&admin, "admin.listen")?];
        Ok(Self { config, inbound, egress, admin, addresses })
    }

    /// The public address, with the port that was given for port 0.
    #[must_use]
    pub const fn inbound_addr(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// The address of metrics and health.
    #[must_use]
    pub const fn admin_addr(&self) -> SocketAddr {
        self.addresses[1]
    }

    /// The address of the egress listener, if there is one and it is TCP.
    #[must_use]
    pub fn egress_addr(&self) -> Option<SocketAddr> {
        self.egress.as_ref().and_then(|e| e.1)
    }

    /// Relays until `stop`, then drains: no new connections, open ones may end until the drain deadline.
    pub async fn serve(self, stop: CancellationToken) -> Drained {
        let metrics = Arc::new(Metrics::default());
        let connections = TaskTracker::new();
        let service = TaskTracker::new();
        let cut = CancellationToken::new();
        let inbound_config: Arc<Inbound> = Arc::new(self.config.inbound);
        let admin = Admin { metrics: Arc::clone(&metrics), inbound: Arc::clone(&inbound_config), stop: stop.clone() };
        service.spawn(admin::serve(self.admin, admin, service.clone(), cut.clone()));
        if let (Some(EgressListener(listener, _)), Some(config)) = (self.egress, self.config.egress) {
            let config = Arc::new(config);
            // Outbound connections serve inbound requests, so they may go on as long as those do.
            service.spawn(egress::accept_loop(
                listener,
                config,
                Arc::clone(&metrics),
                service.clone(),
                cut.clone(),
                cut.clone(),
            ));
        }
        let drain_timeout = inbound_config.drain_timeout;
        inbound::accept_loop(self.inbound, inbound_config, metrics, connections.clone(), stop, cut.clone()).await;
        connections.close();
        let drained = match tokio::time::timeout(drain_timeout, connections.wait()).await {
            Ok(()) => Drained::Clean,
            Err(_) => Drained::Cut(connections.len()),
        };
        cut.cancel();
        service.close();
        connections.wait().await;
        service.wait().await;
        drained
    }
}

fn listen(what: &'static str, address: SocketAddr) -> Result<TcpListener, BindError> {
    let bind = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    bind().map_err(|source| BindError { what, address: address.to_string(), source })
}

fn listen_egress(endpoint: Endpoint) -> Result<EgressListener, BindError> {
    match endpoint {
        Endpoint::Tcp(address) => {
            let listener = listen("egress.listen", address)?;
            let local = listener.local_addr().ok();
            Ok(EgressListener(egress::Listener::Tcp(listener), local))
        }
        Endpoint::Vsock { cid, port } => VsockListener::bind(VsockAddr::new(cid, port))
            .map(|listener| EgressListener(egress::Listener::Vsock(listener), None))
            .map_err(|source| BindError { what: "egress.listen", address: endpoint.to_string(), source }),
    }
}
