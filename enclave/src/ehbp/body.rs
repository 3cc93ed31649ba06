//! HTTP bodies around [`Opener`] and [`Sealer`].

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};

use super::{Error, Opener, Sealer};

/// The plaintext of a request whose first frame is open already; the rest is opened as the handler reads.
pub(super) struct OpenedBody {
    first: Option<Bytes>,
    rest: Body,
    opener: Opener,
    failure: Arc<OnceLock<Error>>,
}

impl OpenedBody {
    /// `failure` is set when a later frame does not open, so that the layer can replace the handler's response.
    pub(super) const fn new(first: Bytes, rest: Body, opener: Opener, failure: Arc<OnceLock<Error>>) -> Self {
        Self { first: Some(first), rest, opener, failure }
    }

    fn fail(&self, error: Error) -> axum::Error {
        self.failure.get_or_init(|| error);
        axum::Error::new(error)
    }
}

impl HttpBody for OpenedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        if let Some(error) = this.failure.get() {
            return Poll::Ready(Some(Err(axum::Error::new(*error))));
        }
        loop {
            match this.opener.next_frame() {
                Ok(Some(plaintext)) => return Poll::Ready(Some(Ok(Frame::data(plaintext)))),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Some(Err(this.fail(error)))),
            }
            match ready!(Pin::new(&mut this.rest).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    // Trailers are not covered by EHBP: they are dropped.
                    if let Ok(bytes) = frame.into_data() {
                        this.opener.push(&bytes);
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    return Poll::Ready(this.opener.finish().err().map(|error| Err(this.fail(error))));
                }
            }
        }
    }
}

/// A response body sealed as it is produced: whatever the handler writes at once becomes frames at once.
pub(super) struct SealedBody {
    plain: Body,
    sealer: Sealer,
}

impl SealedBody {
    pub(super) const fn new(plain: Body, sealer: Sealer) -> Self {
        Self { plain, sealer }
    }
}

impl HttpBody for SealedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        loop {
            let Some(frame) = ready!(Pin::new(&mut this.plain).poll_frame(cx)?) else { return Poll::Ready(None) };
            if let Ok(plaintext) = frame.into_data()
                && !plaintext.is_empty()
            {
                return Poll::Ready(Some(Ok(Frame::data(this.sealer.seal(&plaintext)))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.plain.is_end_stream()
    }
}
