//! From the socket to the router: accept, PROXY header, TLS, HTTP, and an orderly end.
//!
//! Every wait has a deadline and every number a bound (`[limits]` of the configuration), so that a client that says
//! nothing, reads nothing or sends one byte a second costs one connection and nothing more.

mod activity;
mod connection;
mod exporter;
pub mod kx;
pub mod proxy;
pub mod tls;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Limits, Listen, ProxyHeader};
use connection::Shared;
pub use exporter::Exporter;

/// Where a request came from, as far as anyone can say: an extension of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Peer {
    /// The client's address, if the relay named one. A hint of the untrusted host.
    pub hint: Option<IpAddr>,
    /// Number of the connection, counted from the start of the process.
    pub connection: u64,
}

/// How the last connections ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// By themselves, inside the deadline.
    Cleanly,
    /// Some were cut at the deadline.
    Cut,
}

/// A bound socket that does not accept yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
}

/// How long to wait when the system has no file descriptor or memory for another connection.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

impl Server {
    /// Binds the address of the configuration.
    ///
    /// # Errors
    /// As the operating system says.
    pub async fn bind(listen: Listen) -> io::Result<Self> {
        let Listen::Tcp(address) = listen;
        let listener = TcpListener::bind(address).await?;
        let local_addr = listener.local_addr()?;
        Ok(Self { listener, local_addr })
    }

    /// Where it listens; tells the port if the configuration said 0.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves until `stopping` is cancelled, then lets connections finish for at most the drain deadline.
    pub async fn run(
        self,
        router: Router,
        tls: Arc<rustls::ServerConfig>,
        limits: Limits,
        proxy_header: ProxyHeader,
        stopping: CancellationToken,
    ) -> Drained {
        let drain = limits.drain;
        let slots = Arc::new(Semaphore::new(limits.connections));
        let connections = TaskTracker::new();
        let cut = CancellationToken::new();
        let shared = Arc::new(Shared { router, tls: tls.into(), limits, proxy_header, stopping, cut: cut.clone() });
        self.accept(&shared, &slots, &connections).await;
        connections.close();
        let drained = match tokio::time::timeout(drain, connections.wait()).await {
            Ok(()) => Drained::Cleanly,
            Err(_) => Drained::Cut,
        };
        cut.cancel();
        connections.wait().await;
        drained
    }

    /// Accepts until the process stops; a full house waits here and in the system's backlog.
    async fn accept(self, shared: &Arc<Shared>, slots: &Arc<Semaphore>, connections: &TaskTracker) {
        let mut number: u64 = 0;
        loop {
            let slot = tokio::select! {
                () = shared.stopping.cancelled() => return,
                slot = Arc::clone(slots).acquire_owned() => slot.expect("the semaphore is never closed"),
            };
            let accepted = tokio::select! {
                () = shared.stopping.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    number += 1;
                    let shared = Arc::clone(shared);
                    connections.spawn(async move {
                        connection::serve(&shared, stream, number).await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    tracing::warn!(kind = ?error.kind(), "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }
}
