//! The bounded queue between callers and runtime threads: calls take turns, text by text.

use std::collections::VecDeque;
use std::sync::mpsc::Sender;
use std::sync::{Condvar, Mutex, PoisonError};

use llama_cpp_2::token::LlamaToken;

use crate::Error;
use crate::runtime::lock;

/// A text of a call, tokenised, and its place among the call's texts.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) index: usize,
    pub(super) tokens: Vec<LlamaToken>,
}

/// Where the vectors of a call go.
pub(super) type Reply = Sender<(usize, Result<Vec<f32>, Error>)>;

/// Waiting calls.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    max_calls: usize,
}

#[derive(Debug, Default)]
struct State {
    calls: VecDeque<Call>,
    closed: bool,
}

#[derive(Debug)]
struct Call {
    texts: VecDeque<Text>,
    reply: Reply,
}

impl Queue {
    pub(super) fn new(max_calls: usize) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), max_calls }
    }

    /// Adds a call at the end.
    pub(super) fn push(&self, texts: VecDeque<Text>, reply: Reply) -> Result<(), Error> {
        let mut state = lock(&self.state);
        if state.closed {
            return Err(Error::Stopped);
        }
        if state.calls.len() >= self.max_calls {
            return Err(Error::Busy { ahead: state.calls.len() });
        }
        state.calls.push_back(Call { texts, reply });
        self.changed.notify_all();
        Ok(())
    }

    /// Waits for work and takes one batch: one text of each call in turn, until `max_tokens` or `max_texts` would be
    /// exceeded. None when the queue is closed.
    pub(super) fn take(&self, max_tokens: usize, max_texts: usize) -> Option<Vec<(Text, Reply)>> {
        let mut state = lock(&self.state);
        loop {
            if state.closed {
                return None;
            }
            let batch = state.take_batch(max_tokens, max_texts);
            if !batch.is_empty() {
                return Some(batch);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Drops all waiting calls, refuses new ones and ends the runtime threads.
    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        state.calls.clear();
        self.changed.notify_all();
    }
}

impl State {
    fn take_batch(&mut self, max_tokens: usize, max_texts: usize) -> Vec<(Text, Reply)> {
        let mut batch = Vec::new();
        let mut tokens = 0;
        while batch.len() < max_texts {
            let Some(mut call) = self.calls.pop_front() else {
                break;
            };
            let Some(text) = call.texts.pop_front() else {
                continue;
            };
            if !batch.is_empty() && tokens + text.tokens.len() > max_tokens {
                call.texts.push_front(text);
                self.calls.push_front(call);
                break;
            }
            tokens += text.tokens.len();
            batch.push((text, call.reply.clone()));
            if !call.texts.is_empty() {
                self.calls.push_back(call);
            }
        }
        batch
    }
}
