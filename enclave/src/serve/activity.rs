//! What a connection is doing: waiting for a request, for us, or for the client to read.
//!
//! HTTP/2 flow control hides a client that stops reading from the socket's point of view, so that it is noticed where
//! it shows in both versions: at a response body that has data and is not asked for it.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;

/// Whom an exchange waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    /// Us: the handler has not answered, or has no more to say yet.
    ForUs,
    /// The client, since then: it has not taken what there is.
    ForClient(Instant),
}

/// What a look at a connection says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All is well; look again at this time.
    LookAgain(Instant),
    /// Nothing was asked for too long.
    Idle,
    /// An answer was not read for too long.
    Stalled,
}

/// The exchanges of one connection.
#[derive(Debug)]
pub(super) struct Activity(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    next: u64,
    exchanges: HashMap<u64, Waiting>,
    idle_since: Instant,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Inner { next: 0, exchanges: HashMap::new(), idle_since: Instant::now() })))
    }

    fn with<R>(&self, change: impl FnOnce(&mut Inner) -> R) -> R {
        // Each change is one map operation, so that the state is whole even if a task panicked in between.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A request has come; the exchange lasts until the returned guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Exchange {
        let id = self.with(|inner| {
            inner.next += 1;
            inner.exchanges.insert(inner.next, Waiting::ForUs);
            inner.next
        });
        Exchange { activity: Arc::clone(self), id }
    }

    pub(super) fn look(&self, now: Instant, idle: Duration, stall: Duration) -> Verdict {
        self.with(|inner| {
            if inner.exchanges.is_empty() {
                let end = inner.idle_since + idle;
                return if now >= end { Verdict::Idle } else { Verdict::LookAgain(end) };
            }
            let oldest = inner.exchanges.values().filter_map(|waiting| match waiting {
                Waiting::ForClient(since) => Some(*since),
                Waiting::ForUs => None,
            });
            match oldest.min() {
                Some(since) if now >= since + stall => Verdict::Stalled,
                Some(since) => Verdict::LookAgain(since + stall),
                None => Verdict::LookAgain(now + stall.min(idle)),
            }
        })
    }
}

/// One request and its response.
#[derive(Debug)]
pub(super) struct Exchange {
    activity: Arc<Activity>,
    id: u64,
}

impl Exchange {
    fn waits(&self, waiting: Waiting) {
        self.activity.with(|inner| inner.exchanges.insert(self.id, waiting));
    }

    /// Ties the exchange to the response's body.
    pub(super) fn watch(self, body: Body) -> Body {
        self.waits(Waiting::ForClient(Instant::now()));
        Body::new(Watched { body, left: Bytes::new(), exchange: self })
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.activity.with(|inner| {
            inner.exchanges.remove(&self.id);
            inner.idle_since = Instant::now();
        });
    }
}

/// Hands a body on in pieces, so that a large one is not taken in one gulp and its reader out of sight.
struct Watched {
    body: Body,
    left: Bytes,
    exchange: Exchange,
}

const PIECE_BYTES: usize = 64 * 1024;

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        if this.left.is_empty() {
            let polled = Pin::new(&mut this.body).poll_frame(cx);
            this.exchange.waits(match polled {
                Poll::Pending => Waiting::ForUs,
                Poll::Ready(_) => Waiting::ForClient(Instant::now()),
            });
            match ready!(polled).transpose()?.map(Frame::into_data) {
                Some(Ok(bytes)) => this.left = bytes,
                Some(Err(other)) => return Poll::Ready(Some(Ok(other))),
                None => return Poll::Ready(None),
            }
        } else {
            this.exchange.waits(Waiting::ForClient(Instant::now()));
        }
        let piece = this.left.split_to(this.left.len().min(PIECE_BYTES));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let left = u64::try_from(self.left.len()).unwrap_or(u64::MAX);
        let mut hint = self.body.size_hint();
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(left));
        }
        hint.set_lower(hint.lower().saturating_add(left));
        hint
    }
}
