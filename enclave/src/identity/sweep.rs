//! Tidying up: logins that were given up, sessions and enrolments that have ended.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::records::{ENROLMENTS, SESSIONS};
use super::{Error, Identity};

/// How often.
const EVERY: Duration = Duration::from_secs(60);

impl Identity {
    /// Notes the logins that were given up, and deletes sessions and enrolments that have ended.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn sweep(&self) -> Result<(), Error> {
        let now_ms = self.now_ms();
        let system = self.system();
        let mut batch = self.note_given_up(self.pending.take_stale(now_ms));
        for key in self.ended_sessions(now_ms)? {
            batch.delete(&SESSIONS, &key);
        }
        for (key, record) in system.list(&ENROLMENTS)? {
            if record.expires_ms <= now_ms {
                batch.delete(&ENROLMENTS, &key);
            }
        }
        batch.commit().await?;
        Ok(())
    }

    /// Sweeps every minute until `stopping`. To be spawned on the App's tracker.
    pub async fn sweep_until(self: Arc<Self>, stopping: CancellationToken) {
        let mut interval = tokio::time::interval(EVERY);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = interval.tick() => {}
            }
            if let Err(error) = self.sweep().await {
                // The store has stopped the process if it is a fault; everything else is tried again.
                tracing::warn!(error = %error, "sweep of identities");
            }
        }
    }
}
