//! The way out: the enclave asks for a destination by name, and gets a connection only if the configuration names it.
//!
//! SOCKS 5 (RFC 1928), `CONNECT` without authentication. What flows through afterwards is the enclave's own TLS. The
//! enclave enforces its measured egress policy by itself; this list is the host's half of the same decision.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_vsock::VsockListener;

use crate::config::Egress;
use crate::endpoint::Stream;
use crate::metrics::Metrics;
use crate::splice::{Silence, splice};

const SOCKS_VERSION: u8 = 5;

/// Reply codes of RFC 1928, section 6.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
enum Reply {
    Succeeded = 0,
    GeneralFailure = 1,
    NotAllowed = 2,
    HostUnreachable = 4,
    CommandNotSupported = 7,
    AddressTypeNotSupported = 8,
}

/// Where the enclave's requests arrive.
pub(crate) enum Listener {
    Tcp(TcpListener),
    Vsock(VsockListener),
}

impl Listener {
    async fn accept(&mut self) -> io::Result<Stream> {
        match self {
            Self::Tcp(l) => l.accept().await.map(|(s, _)| Stream::Tcp(s)),
            Self::Vsock(l) => l.accept().await.map(|(s, _)| Stream::Vsock(s)),
        }
    }
}

/// Accepts until `stop`.
pub(crate) async fn accept_loop(
    mut listener: Listener,
    config: Arc<Egress>,
    metrics: Arc<Metrics>,
    tracker: TaskTracker,
    stop: CancellationToken,
    cut: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(config.max_connections));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let enclave = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok(stream) => stream,
                Err(e) => {
                    tracing::warn!(error = %e, "accept on the egress listener");
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    continue;
                }
            },
        };
        let (config, metrics, cut) = (Arc::clone(&config), Arc::clone(&metrics), cut.clone());
        tracker.spawn(async move {
            let _slot = slot;
            tokio::select! {
                () = cut.cancelled() => (),
                () = carry(enclave, &config, &metrics) => (),
            }
        });
    }
}

async fn carry(mut enclave: Stream, config: &Egress, metrics: &Metrics) {
    let destination = match timeout(config.connect_timeout, negotiate(&mut enclave)).await {
        Ok(Ok(destination)) => destination,
        Ok(Err(Negotiation::Refuse(reply))) => {
            metrics.egress_failed.add(1);
            return answer(&mut enclave, reply).await;
        }
        Ok(Err(Negotiation::Broken)) | Err(_) => return metrics.egress_failed.add(1),
    };
    if !allowed(&config.allow, &destination) {
        metrics.egress_denied.add(1);
        return answer(&mut enclave, Reply::NotAllowed).await;
    }
    let connected = timeout(config.connect_timeout, TcpStream::connect((destination.0.as_str(), destination.1))).await;
    let Ok(Ok(outside)) = connected else {
        metrics.egress_failed.add(1);
        return answer(&mut enclave, Reply::HostUnreachable).await;
    };
    metrics.egress_opened.add(1);
    let _open = metrics.egress_open.hold();
    answer(&mut enclave, Reply::Succeeded).await;
    let silence = Silence { handshake: config.idle_timeout, idle: config.idle_timeout };
    splice(enclave, outside, silence, &metrics.bytes_out, &metrics.bytes_in).await;
}

fn allowed(allow: &BTreeSet<(String, u16)>, destination: &(String, u16)) -> bool {
    allow.contains(destination)
}

enum Negotiation {
    Refuse(Reply),
    Broken,
}

impl From<io::Error> for Negotiation {
    fn from(_: io::Error) -> Self {
        Self::Broken
    }
}

/// Reads the greeting and the request: the destination as `(host, port)`, the host in lower case.
async fn negotiate(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<(String, u16), Negotiation> {
    let [version, method_count] = read_array(stream).await?;
    if version != SOCKS_VERSION {
        return Err(Negotiation::Broken);
    }
    let mut methods = vec![0; usize::from(method_count)];
    stream.read_exact(&mut methods).await?;
    if !methods.contains(&0) {
        stream.write_all(&[SOCKS_VERSION, 0xff]).await?;
        return Err(Negotiation::Broken);
    }
    stream.write_all(&[SOCKS_VERSION, 0]).await?;
    let [version, command, _reserved, address_type] = read_array(stream).await?;
    if version != SOCKS_VERSION {
        return Err(Negotiation::Broken);
    }
    let host = match address_type {
        1 => IpAddr::V4(Ipv4Addr::from(read_array::<4>(stream).await?)).to_string(),
        4 => IpAddr::V6(Ipv6Addr::from(read_array::<16>(stream).await?)).to_string(),
        3 => {
            let [length] = read_array(stream).await?;
            let mut name = vec![0; usize::from(length)];
            stream.read_exact(&mut name).await?;
            String::from_utf8(name).map_err(|_| Negotiation::Refuse(Reply::GeneralFailure))?.to_ascii_lowercase()
        }
        _ => return Err(Negotiation::Refuse(Reply::AddressTypeNotSupported)),
    };
    let port = u16::from_be_bytes(read_array(stream).await?);
    if command != 1 {
        return Err(Negotiation::Refuse(Reply::CommandNotSupported));
    }
    Ok((host, port))
}

async fn read_array<const N: usize>(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// The bound address in the reply is all zeroes: it would tell the enclave nothing it could trust.
async fn answer(stream: &mut Stream, reply: Reply) {
    let _ = stream.write_all(&[SOCKS_VERSION, reply as u8, 0, 1, 0, 0, 0, 0, 0, 0]).await;
}
