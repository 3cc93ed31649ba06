//! The way of an answer from the runtime thread to its caller.
//!
//! The runtime thread never waits for a caller: text that was not fetched yet is joined into one piece, so what waits
//! is bounded by the length of the answer. The caller's end is a [`Generation`]; dropping it tells the runtime thread.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use futures::Stream;

use crate::Error;
use crate::runtime::lock;

/// A part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// More text: whole characters, at least one.
    Text(String),
    /// The answer is complete. Nothing follows.
    End(Finish),
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finish {
    /// Why.
    pub reason: FinishReason,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens of the prompt that were not computed again, because an earlier request of the same prefix key had them.
    pub reused_tokens: usize,
    /// Tokens that were generated, the one that ended the answer included.
    pub generated_tokens: usize,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended it, or one of the stop texts appeared.
    Stop,
    /// `max_tokens` was reached, or the context is full.
    Length,
}

/// An answer that is being generated.
///
/// Yields any number of [`Piece::Text`], then one [`Piece::End`] or one error. Dropping it stops the generation.
pub struct Generation {
    shared: Arc<Shared>,
}

/// The runtime thread's end.
pub(super) struct Sink {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    cancelled: AtomicBool,
}

#[derive(Default)]
struct State {
    text: String,
    end: Option<Result<Finish, Error>>,
    /// Whether the end was set; it stays true after the end was fetched.
    ended: bool,
    waker: Option<Waker>,
}

/// The two ends of an answer.
pub(super) fn channel() -> (Sink, Generation) {
    let shared = Arc::new(Shared::default());
    let sink = Sink { shared: Arc::clone(&shared) };
    (sink, Generation { shared })
}

impl Generation {
    /// The next piece; blocks until there is one. None after the end. For async callers the type is a `Stream`.
    pub fn wait_next(&mut self) -> Option<Result<Piece, Error>> {
        let mut state = lock(&self.shared.state);
        loop {
            if let Some(item) = state.next() {
                return item;
            }
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Stream for Generation {
    type Item = Result<Piece, Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = lock(&self.shared.state);
        if let Some(item) = state.next() {
            return Poll::Ready(item);
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        self.shared.cancelled.store(true, Ordering::Release);
    }
}

impl std::fmt::Debug for Generation {
    /// Shows no text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generation").finish_non_exhaustive()
    }
}

impl Sink {
    /// Whether the caller has gone away.
    pub(super) fn is_cancelled(&self) -> bool {
        self.shared.cancelled.load(Ordering::Acquire)
    }

    pub(super) fn text(&self, text: &str) {
        if !text.is_empty() {
            self.change(|state| state.text.push_str(text));
        }
    }

    pub(super) fn end(&self, end: Result<Finish, Error>) {
        self.change(|state| {
            if !state.ended {
                state.ended = true;
                state.end = Some(end);
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let waker = {
            let mut state = lock(&self.shared.state);
            change(&mut state);
            state.waker.take()
        };
        self.shared.changed.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for Sink {
    /// A request that is dropped without an end was stopped.
    fn drop(&mut self) {
        self.end(Err(Error::Stopped));
    }
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink").finish_non_exhaustive()
    }
}

impl State {
    /// `Some(item)` if the caller need not wait; the item is none after the end.
    fn next(&mut self) -> Option<Option<Result<Piece, Error>>> {
        if !self.text.is_empty() {
            let text = std::mem::take(&mut self.text);
            return Some(Some(Ok(Piece::Text(text))));
        }
        if let Some(end) = self.end.take() {
            return Some(Some(end.map(Piece::End)));
        }
        self.ended.then_some(None)
    }
}
