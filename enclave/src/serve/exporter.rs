//! Evidence that belongs to one TLS connection (design, section 3): whoever relays a document of this appliance over a
//! connection of their own cannot relay the connection's exporter value with it (CVE-2026-33697).

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// The exporter's label (RFC 8446, section 7.5).
const LABEL: &[u8] = b"EXPORTER-cloister-attestation";

type Stream = Mutex<TlsStream<TcpStream>>;

/// Asks the connection of a request for its exporter value: an extension of every request that came over TLS.
#[derive(Clone)]
pub struct Exporter(Weak<Stream>);

impl Exporter {
    /// SHA-256 of the connection's exporter value for `nonce`; `None` if the connection is gone.
    #[must_use]
    pub fn channel(&self, nonce: &[u8; 32]) -> Option<[u8; 32]> {
        let stream = self.0.upgrade()?;
        let stream = stream.lock().unwrap_or_else(PoisonError::into_inner);
        let value = stream.get_ref().1.export_keying_material([0; 32], LABEL, Some(nonce)).ok()?;
        Some(Sha256::digest(value).into())
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exporter(…)")
    }
}

/// A TLS stream that an [`Exporter`] can look into. Locked for single polls only, mostly by the one task that serves it.
pub(super) struct SharedStream(Arc<Stream>);

impl SharedStream {
    pub(super) fn new(stream: TlsStream<TcpStream>) -> (Self, Exporter) {
        let shared = Arc::new(Mutex::new(stream));
        let exporter = Exporter(Arc::downgrade(&shared));
        (Self(shared), exporter)
    }

    fn lock(&self) -> MutexGuard<'_, TlsStream<TcpStream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncRead for SharedStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_read(cx, buf)
    }
}

impl AsyncWrite for SharedStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.lock()).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.lock()).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.lock().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_shutdown(cx)
    }
}
