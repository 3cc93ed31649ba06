//! The verified connection that requests share, and what was found when there is none.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::log;
use super::upstream::{Refusal, Upstream, Verified};
use crate::report::Report;

/// An appliance that was refused is not asked again before, however many requests come in.
const REFUSED_FOR: Duration = Duration::from_secs(1);

enum State {
    Nothing,
    Verified(Arc<Verified>),
    Refused { report: Arc<Report>, at: Instant },
}

/// Hands out the connection; verifies when it must. One verification at a time serves all who wait.
pub(super) struct Pool {
    upstream: Upstream,
    // Held while verifying: whoever comes meanwhile wants exactly that outcome.
    state: Mutex<State>,
}

impl Pool {
    /// Begins with no connection.
    pub(super) fn new(upstream: Upstream) -> Self {
        Self { upstream, state: Mutex::new(State::Nothing) }
    }

    /// Where the appliance is, as in a URL.
    pub(super) fn origin(&self) -> String {
        self.upstream.target.to_string()
    }

    /// A connection that was verified not too long ago.
    pub(super) async fn verified(&self) -> Result<Arc<Verified>, Refusal> {
        let mut state = self.state.lock().await;
        match &*state {
            State::Verified(verified) if verified.is_usable() => return Ok(Arc::clone(verified)),
            State::Refused { report, at } if at.elapsed() < REFUSED_FOR => {
                return Err(Refusal::NotVerified(Arc::clone(report)));
            }
            State::Nothing | State::Verified(_) | State::Refused { .. } => *state = State::Nothing,
        }
        let outcome = self.upstream.connect().await.map(Arc::new);
        log::verification(&self.upstream.target, outcome.as_ref().map(|verified| &*verified.report));
        match &outcome {
            Ok(verified) => *state = State::Verified(Arc::clone(verified)),
            Err(Refusal::NotVerified(report)) => {
                *state = State::Refused { report: Arc::clone(report), at: Instant::now() };
            }
            Err(Refusal::Unreachable(_)) => (),
        }
        outcome
    }

    /// Gives a connection up, if it is still the one that is handed out.
    pub(super) async fn discard(&self, given_up: &Arc<Verified>) {
        let mut state = self.state.lock().await;
        if let State::Verified(current) = &*state
            && Arc::ptr_eq(current, given_up)
        {
            *state = State::Nothing;
        }
    }

    /// The last verdict, without asking anyone.
    pub(super) async fn last_report(&self) -> Option<Arc<Report>> {
        match &*self.state.lock().await {
            State::Nothing => None,
            State::Verified(verified) => Some(Arc::clone(&verified.report)),
            State::Refused { report, .. } => Some(Arc::clone(report)),
        }
    }
}
