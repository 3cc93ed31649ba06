//! Where a connection goes or comes from: a TCP address, or a vsock address where the platform has it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_vsock::{VsockAddr, VsockStream};

/// The most that is written to a vsock at once: some vsock devices stall on larger writes.
const VSOCK_WRITE_MAX: usize = 32 * 1024;

/// An address written `tcp:HOST:PORT` (or just `HOST:PORT`) or `vsock:CID:PORT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// An IP address and port.
    Tcp(SocketAddr),
    /// A vsock context id and port.
    Vsock {
        /// Context id: 2 is the host, 3 and up are guests.
        cid: u32,
        /// Port.
        port: u32,
    },
}

/// A string that is no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected tcp:IP:PORT or vsock:CID:PORT")]
pub struct InvalidEndpoint;

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(s: &str) -> Result<Self, InvalidEndpoint> {
        if let Some(rest) = s.strip_prefix("vsock:") {
            let (cid, port) = rest.split_once(':').ok_or(InvalidEndpoint)?;
            let cid = cid.parse().map_err(|_| InvalidEndpoint)?;
            let port = port.parse().map_err(|_| InvalidEndpoint)?;
            return Ok(Self::Vsock { cid, port });
        }
        let addr = s.strip_prefix("tcp:").unwrap_or(s);
        addr.parse().map(Self::Tcp).map_err(|_| InvalidEndpoint)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => write!(f, "tcp:{addr}"),
            Self::Vsock { cid, port } => write!(f, "vsock:{cid}:{port}"),
        }
    }
}

impl Endpoint {
    /// Opens a connection; the caller bounds the time.
    pub(crate) async fn connect(self) -> io::Result<Stream> {
        match self {
            Self::Tcp(addr) => {
                let stream = TcpStream::connect(addr).await?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
            Self::Vsock { cid, port } => VsockStream::connect(VsockAddr::new(cid, port)).await.map(Stream::Vsock),
        }
    }
}

/// A connection of either kind.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Vsock(VsockStream),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_read(cx, buf),
            Self::Vsock(s) => Pin::new(s).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_write(cx, buf),
            Self::Vsock(s) => {
                let part = buf.get(..VSOCK_WRITE_MAX).unwrap_or(buf);
                Pin::new(s).poll_write(cx, part)
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_flush(cx),
            Self::Vsock(s) => Pin::new(s).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_shutdown(cx),
            Self::Vsock(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}
