//! The body of an answer on its way to the client: opened frame by frame, each passed on at once and none kept.
//!
//! An answer that breaks off is never made to look complete: its error closes the client's connection.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body::{Body, Frame};
use hyper::body::{Bytes, Incoming};
use tokio::time::{Instant, Sleep, sleep};

use super::ehbp::{self, Opener};

/// An appliance that streams sends something more often than this.
const IDLE: Duration = Duration::from_secs(120);

/// Why a body ends early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The connection to the appliance broke.
    #[error("the connection to the appliance broke")]
    Connection(#[source] hyper::Error),
    /// The answer was altered or cut.
    #[error("{0}")]
    Ehbp(ehbp::Error),
    /// Nothing came for too long.
    #[error("the appliance fell silent")]
    Silent,
}

/// The body of an answer.
pub(super) struct Answer {
    incoming: Incoming,
    opener: Option<Opener>,
    idle: Pin<Box<Sleep>>,
}

impl Answer {
    /// An answer that is opened, or passed on as it is.
    pub(super) fn new(incoming: Incoming, opener: Option<Opener>) -> Self {
        Self { incoming, opener, idle: Box::pin(sleep(IDLE)) }
    }

    fn opened(&mut self) -> Result<Option<Bytes>, Error> {
        self.opener.as_mut().map_or(Ok(None), Opener::next_frame).map_err(Error::Ehbp)
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        loop {
            match this.opened() {
                Ok(Some(plaintext)) => return Poll::Ready(Some(Ok(Frame::data(plaintext)))),
                Ok(None) => (),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            let Poll::Ready(next) = Pin::new(&mut this.incoming).poll_frame(cx) else {
                ready!(this.idle.as_mut().poll(cx));
                return Poll::Ready(Some(Err(Error::Silent)));
            };
            this.idle.as_mut().reset(Instant::now() + IDLE);
            match (next, &mut this.opener) {
                // Trailers are not covered by EHBP, and there are none.
                (Some(Ok(frame)), opener) => match (frame.into_data(), opener) {
                    (Ok(bytes), Some(opener)) => opener.push(&bytes),
                    (Ok(bytes), None) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                    (Err(_), _) => (),
                },
                (Some(Err(error)), _) => return Poll::Ready(Some(Err(Error::Connection(error)))),
                (None, Some(opener)) => return Poll::Ready(opener.finish().err().map(|e| Err(Error::Ehbp(e)))),
                (None, None) => return Poll::Ready(None),
            }
        }
    }
}
