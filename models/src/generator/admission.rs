//! Who is next: a bounded queue with one lane per fairness key, lanes served in turns.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};

use llama_cpp_2::token::LlamaToken;

use super::stream::Sink;
use crate::Error;
use crate::runtime::lock;

/// A request, tokenised and checked.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) tokens: Vec<LlamaToken>,
    pub(super) max_tokens: usize,
    pub(super) temperature: f32,
    pub(super) top_p: f32,
    pub(super) seed: u32,
    pub(super) stop: Vec<String>,
    pub(super) fairness_key: [u8; 16],
    pub(super) prefix_key: Option<[u8; 16]>,
    pub(super) sink: Sink,
}

/// What the runtime thread is told between two steps.
#[derive(Debug)]
pub(super) struct News {
    /// Requests to start now.
    pub(super) jobs: Vec<Job>,
    /// Prefix keys whose state is to be forgotten.
    pub(super) forget: Vec<[u8; 16]>,
}

/// The queue between callers and the runtime thread.
#[derive(Debug)]
pub(super) struct Admission {
    state: Mutex<State>,
    changed: Condvar,
    max_waiting: usize,
    max_waiting_per_key: usize,
}

#[derive(Debug, Default)]
struct State {
    lanes: VecDeque<Lane>,
    forget: Vec<[u8; 16]>,
    closed: bool,
}

#[derive(Debug)]
struct Lane {
    key: [u8; 16],
    jobs: VecDeque<Job>,
}

impl Admission {
    pub(super) fn new(max_waiting: usize, max_waiting_per_key: usize) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), max_waiting, max_waiting_per_key }
    }

    /// Queues a job at the end of its lane.
    pub(super) fn push(&self, job: Job) -> Result<(), Error> {
        let mut state = lock(&self.state);
        if state.closed {
            return Err(Error::Stopped);
        }
        state.drop_cancelled();
        let waiting = state.waiting();
        let key = job.fairness_key;
        let in_lane = state.lanes.iter().find(|lane| lane.key == key).map_or(0, |lane| lane.jobs.len());
        if waiting >= self.max_waiting || in_lane >= self.max_waiting_per_key {
            return Err(Error::Busy { ahead: waiting });
        }
        match state.lanes.iter_mut().find(|lane| lane.key == key) {
            Some(lane) => lane.jobs.push_back(job),
            None => state.lanes.push_back(Lane { key, jobs: VecDeque::from([job]) }),
        }
        self.changed.notify_all();
        Ok(())
    }

    /// Tells the runtime thread to forget a prefix.
    pub(super) fn forget(&self, prefix_key: [u8; 16]) {
        let mut state = lock(&self.state);
        state.forget.push(prefix_key);
        self.changed.notify_all();
    }

    /// Refuses everything from now on and drops what waits.
    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        state.lanes.clear();
        self.changed.notify_all();
    }

    /// Takes up to `places` jobs. `running` are the fairness keys of running answers: lanes with fewer of them come
    /// first, then lanes in turn. Waits for news if nothing runs; none when closed.
    pub(super) fn take(&self, places: usize, mut running: Vec<[u8; 16]>) -> Option<News> {
        let mut state = lock(&self.state);
        loop {
            if state.closed {
                return None;
            }
            state.drop_cancelled();
            let mut jobs = Vec::new();
            while jobs.len() < places {
                let Some(job) = state.next(&running) else {
                    break;
                };
                running.push(job.fairness_key);
                jobs.push(job);
            }
            if !running.is_empty() || !state.forget.is_empty() {
                let forget = std::mem::take(&mut state.forget);
                return Some(News { jobs, forget });
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl State {
    fn waiting(&self) -> usize {
        self.lanes.iter().map(|lane| lane.jobs.len()).sum()
    }

    /// Requests whose caller has gone away do not wait.
    fn drop_cancelled(&mut self) {
        for lane in &mut self.lanes {
            lane.jobs.retain(|job| !job.sink.is_cancelled());
        }
        self.lanes.retain(|lane| !lane.jobs.is_empty());
    }

    fn next(&mut self, running: &[[u8; 16]]) -> Option<Job> {
        let load = |lane: &Lane| running.iter().filter(|key| **key == lane.key).count();
        let lanes = self.lanes.iter().enumerate();
        // `min_by_key` returns the first of equals: the lane that has waited longest for its turn.
        let (index, _) = lanes.min_by_key(|(_, lane)| load(lane))?;
        let mut lane = self.lanes.remove(index)?;
        let job = lane.jobs.pop_front();
        if !lane.jobs.is_empty() {
            self.lanes.push_back(lane);
        }
        job
    }
}
