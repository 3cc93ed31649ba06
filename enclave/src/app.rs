//! Everything the process owns, built once in start order and shared by every request.

use std::ops::Deref;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::config::Config;

/// How far the process is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not everything is in place yet.
    Starting,
    /// Requests are answered.
    Ready,
    /// Asked to stop: requests under way are finished, no more are wanted.
    Draining,
}

/// Why the process cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {}

/// The parts of the running service.
#[derive(Debug)]
pub struct App {
    /// The checked configuration.
    pub config: Config,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Every background task runs on it, with a child of [`App::stopping`].
    pub tracker: TaskTracker,
    /// Cancelled when the process is asked to stop.
    pub stopping: CancellationToken,
    phase: watch::Sender<Phase>,
}

impl App {
    /// Puts the parts together in start order; nothing is bound or served yet.
    ///
    /// # Errors
    /// [`StartError`] names the part that cannot start.
    pub fn build(config: Config, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        Ok(Self {
            config,
            clock,
            tracker: TaskTracker::new(),
            stopping: CancellationToken::new(),
            phase: watch::Sender::new(Phase::Starting),
        })
    }

    /// How far the process is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Says that the process is now at `phase`.
    pub fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }
}

/// The handle that handlers extract with `State`.
#[derive(Debug, Clone)]
pub struct AppState(Arc<App>);

impl AppState {
    /// Shares `app`.
    #[must_use]
    pub fn new(app: App) -> Self {
        Self(Arc::new(app))
    }
}

impl Deref for AppState {
    type Target = App;

    fn deref(&self) -> &App {
        &self.0
    }
}
