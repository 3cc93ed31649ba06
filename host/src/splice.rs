//! Carrying bytes both ways between two connections until both have ended, with half-close, and noticing silence.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes};
use tokio::time::{Instant, sleep_until};

use crate::metrics::Number;

/// Bytes that are read at once: one TLS record. Larger buffers carry bulk faster, but making them costs new connections
/// more than that gains.
const BUFFER_BYTES: usize = 16 * 1024;

/// How a pair of connections ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Both sides closed, or one of them failed.
    Closed,
    /// The first bytes did not go both ways in time.
    HandshakeTimeout,
    /// Nothing moved for too long.
    IdleTimeout,
}

/// How long a pair of connections may be silent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Silence {
    /// Until bytes have gone both ways once, measured from the start.
    pub(crate) handshake: Duration,
    /// After that, measured from the last byte in either direction.
    pub(crate) idle: Duration,
}

/// Carries bytes between `near` and `far`. End of file on one side is passed on as a half-close, and the other direction
/// goes on until it ends too.
pub(crate) async fn splice(
    near: impl AsyncRead + AsyncWrite + Unpin,
    mut far: impl AsyncRead + AsyncWrite + Unpin,
    silence: Silence,
    bytes_in: &Number,
    bytes_out: &Number,
) -> Ended {
    let activity = Activity::starting_now();
    let mut near = Watched { inner: near, activity: &activity, bytes_in, bytes_out };
    let carry = copy_bidirectional_with_sizes(&mut near, &mut far, BUFFER_BYTES, BUFFER_BYTES);
    tokio::select! {
        biased;
        _ = carry => Ended::Closed,
        ended = activity.silent(silence) => ended,
    }
}

/// What has moved so far. Atomics because the task may move between threads, never because two share it.
struct Activity {
    start: Instant,
    last_ms: AtomicU64,
    moved: AtomicU8,
}

const INWARD: u8 = 1;
const OUTWARD: u8 = 2;

impl Activity {
    fn starting_now() -> Self {
        Self { start: Instant::now(), last_ms: AtomicU64::new(0), moved: AtomicU8::new(0) }
    }

    fn saw(&self, direction: u8) {
        let elapsed = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(elapsed, Ordering::Relaxed);
        if self.moved.load(Ordering::Relaxed) & direction == 0 {
            self.moved.fetch_or(direction, Ordering::Relaxed);
        }
    }

    async fn silent(&self, limits: Silence) -> Ended {
        sleep_until(self.start + limits.handshake).await;
        if self.moved.load(Ordering::Relaxed) != INWARD | OUTWARD {
            return Ended::HandshakeTimeout;
        }
        loop {
            let deadline = self.start + Duration::from_millis(self.last_ms.load(Ordering::Relaxed)) + limits.idle;
            if Instant::now() >= deadline {
                return Ended::IdleTimeout;
            }
            sleep_until(deadline).await;
        }
    }
}

/// The near side, reporting each byte that moves.
struct Watched<'a, S> {
    inner: S,
    activity: &'a Activity,
    bytes_in: &'a Number,
    bytes_out: &'a Number,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<'_, S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.inner).poll_read(cx, buf);
        let moved = buf.filled().len() - before;
        if moved > 0 {
            this.activity.saw(INWARD);
            this.bytes_in.add(moved as u64);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<'_, S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_write(cx, buf);
        if let Poll::Ready(Ok(moved @ 1..)) = polled {
            this.activity.saw(OUTWARD);
            this.bytes_out.add(moved as u64);
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}
