//! The relay's life: bind everything or nothing, serve, drain, end.
//!
//! Inbound connections are carried by one thread per core, each with a listening socket of its own on the public port
//! (`SO_REUSEPORT`, socket(7)): a connection lives on one thread from its first byte to its last, and no thread ever has
//! to wake another one for it.

use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::Arc;
use std::thread::{JoinHandle, available_parallelism};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_vsock::{VsockAddr, VsockListener};

use crate::admin::{self, Admin};
use crate::config::{Config, Inbound};
use crate::egress;
use crate::endpoint::Endpoint;
use crate::inbound::{self, Door};
use crate::limits::Limits;
use crate::metrics::Metrics;

/// Waiting connections that the kernel may hold for us.
const BACKLOG: i32 = 4_096;

/// A relay with its ports bound.
#[derive(Debug)]
pub struct Relay {
    config: Config,
    /// One for each worker.
    inbound: Vec<std::net::TcpListener>,
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
        let workers = available_parallelism().map_or(1, NonZero::get);
        let inbound = listen_shared("inbound.listen", config.inbound.listen, workers)?;
        let admin = listen("admin.listen", config.admin)?;
        let egress = match &config.egress {
            None => None,
            Some(egress) => Some(listen_egress(egress.listen)?),
        };
        let no_address = |what| move |source| BindError { what, address: String::new(), source };
        let public = inbound.first().expect("there is at least one worker").local_addr();
        let addresses =
            [public.map_err(no_address("inbound.listen"))?, admin.local_addr().map_err(no_address("admin.listen"))?];
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
        let limits = Limits::new(inbound_config.max_connections, inbound_config.max_connections_per_source);
        let workers = self.inbound.into_iter().map(|listener| {
            let (connections, config) = (connections.clone(), Arc::clone(&inbound_config));
            let door = Door { config, limits: limits.clone(), metrics: Arc::clone(&metrics), cut: cut.clone() };
            work(listener, door, connections, stop.clone())
        });
        let workers: Vec<JoinHandle<()>> = workers.collect();
        stop.cancelled().await;
        connections.close();
        let drained = match tokio::time::timeout(drain_timeout, connections.wait()).await {
            Ok(()) => Drained::Clean,
            Err(_) => Drained::Cut(connections.len()),
        };
        cut.cancel();
        service.close();
        service.wait().await;
        // They end as soon as they have nothing to carry any more.
        let ended = tokio::task::spawn_blocking(|| workers.into_iter().all(|worker| worker.join().is_ok()));
        assert!(ended.await.is_ok_and(|all| all), "a worker cannot panic");
        drained
    }
}

/// Starts a worker: a thread that accepts until `stop` and carries what it accepted to its end.
fn work(
    listener: std::net::TcpListener,
    door: Door,
    connections: TaskTracker,
    stop: CancellationToken,
) -> JoinHandle<()> {
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("the system gives an epoll instance").block_on(async {
            let listener = TcpListener::from_std(listener).expect("it was made for this");
            inbound::accept_loop(listener, door, connections.clone(), stop).await;
            connections.wait().await;
        });
    };
    std::thread::Builder::new().name("relay".to_owned()).spawn(run).expect("the system gives a thread")
}

/// As many sockets on one address as there are workers.
fn listen_shared(
    what: &'static str,
    address: SocketAddr,
    workers: usize,
) -> Result<Vec<std::net::TcpListener>, BindError> {
    let error = |source| BindError { what, address: address.to_string(), source };
    // A shared port could be shared with another relay too, by mistake: a socket that wants it alone finds out.
    let alone = bind(address, Sharing::Alone).map_err(error)?;
    let address = alone.local_addr().map_err(error)?;
    drop(alone);
    (0..workers).map(|_| bind(address, Sharing::WithOurOwn)).collect::<Result<_, _>>().map_err(error)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Alone,
    WithOurOwn,
}

fn bind(address: SocketAddr, sharing: Sharing) -> std::io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(sharing == Sharing::WithOurOwn)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn listen(what: &'static str, address: SocketAddr) -> Result<TcpListener, BindError> {
    let bound = bind(address, Sharing::Alone).and_then(TcpListener::from_std);
    bound.map_err(|source| BindError { what, address: address.to_string(), source })
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
