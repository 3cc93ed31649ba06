//! The way in: from the public port to the enclave.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Inbound;
use crate::limits::{Limits, Permit, Refused};
use crate::metrics::Metrics;
use crate::proxy_protocol;
use crate::splice::{Ended, Silence, splice};

/// What all workers share.
pub(crate) struct Door {
    pub(crate) config: Arc<Inbound>,
    pub(crate) limits: Limits,
    pub(crate) metrics: Arc<Metrics>,
    /// Ends every connection early.
    pub(crate) cut: CancellationToken,
}

/// Accepts until `stop`; each connection runs on `tracker`.
pub(crate) async fn accept_loop(listener: TcpListener, door: Door, tracker: TaskTracker, stop: CancellationToken) {
    let Door { config, limits, metrics, cut } = door;
    loop {
        let (client, source) = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok(pair) => pair,
                Err(e) => {
                    // Out of descriptors or a client that vanished: the listener itself is fine, but an immediate
                    // retry of the former would spin.
                    tracing::warn!(error = %e, "accept");
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    continue;
                }
            },
        };
        metrics.accepted.add(1);
        match limits.admit(source.ip()) {
            Ok(permit) => {
                let connection =
                    Connection { client, source, permit, config: Arc::clone(&config), metrics: Arc::clone(&metrics) };
                let cut = cut.clone();
                tracker.spawn(async move {
                    tokio::select! {
                        () = cut.cancelled() => (),
                        () = connection.carry() => (),
                    }
                });
            }
            Err(Refused::Total) => metrics.refused_total.add(1),
            Err(Refused::Source) => metrics.refused_source.add(1),
        }
    }
}

struct Connection {
    client: TcpStream,
    source: SocketAddr,
    permit: Permit,
    config: Arc<Inbound>,
    metrics: Arc<Metrics>,
}

impl Connection {
    async fn carry(self) {
        let Self { client, source, permit, config, metrics } = self;
        let _open = metrics.open.hold();
        let _ = client.set_nodelay(true);
        // The enclave is not bothered before the client has said anything: idle connections cost it nothing.
        match timeout(config.handshake_timeout, client.peek(&mut [0])).await {
            Ok(Ok(1..)) => (),
            Ok(_) => return,
            Err(_) => return metrics.handshake_timeouts.add(1),
        }
        let Ok(Ok(mut enclave)) = timeout(config.connect_timeout, config.upstream.connect()).await else {
            return metrics.upstream_failures.add(1);
        };
        if config.proxy_protocol {
            let destination = client.local_addr().unwrap_or(config.listen);
            if enclave.write_all(&proxy_protocol::header(source, destination)).await.is_err() {
                return metrics.upstream_failures.add(1);
            }
        }
        let silence = Silence { handshake: config.handshake_timeout, idle: config.idle_timeout };
        match splice(client, enclave, silence, &metrics.bytes_in, &metrics.bytes_out).await {
            Ended::Closed => (),
            Ended::HandshakeTimeout => metrics.handshake_timeouts.add(1),
            Ended::IdleTimeout => metrics.idle_timeouts.add(1),
        }
        drop(permit);
    }
}
