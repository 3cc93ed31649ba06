//! A record in every log each hour, so that silence is a record too: where one is missing, somebody kept the appliance
//! from writing, or took records away (protocols, section 8; the verifier's check `records.heartbeat`).

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::event::{Class, Event};
use crate::store::{Error, Store};

/// A log that wrote nothing for so long gets a heartbeat.
const SILENCE_MS: u64 = 3_600_000;
/// How often silence is looked for. A heartbeat is late by this at most, far less than the verifier allows.
const EVERY: Duration = Duration::from_secs(60);

impl Store {
    /// Writes a heartbeat into each log that has been silent for an hour; answers into how many.
    ///
    /// # Errors
    /// [`Error::Stopped`], [`Error::Closed`], [`Error::Integrity`].
    pub async fn beat(&self) -> Result<usize, Error> {
        let now_ms = self.shared().clock.now_ms();
        let silent =
            |tenant: &String, last_ms: u64| (now_ms.saturating_sub(last_ms) >= SILENCE_MS).then(|| tenant.clone());
        let tenants: Vec<String> = {
            let heads = self.shared().heads.read().map_err(|_| Error::Stopped)?;
            heads.iter().filter_map(|(tenant, head)| silent(tenant, head.last_time_ms)).collect()
        };
        for tenant in &tenants {
            let mut batch = self.of_tenant(tenant).batch();
            batch.audit(Event::new(Class::ApplicationOther, "log.heartbeat"));
            batch.commit().await?;
        }
        Ok(tenants.len())
    }

    /// Looks for silent logs every minute until `stopping`. To be spawned on the App's tracker.
    pub async fn beat_until(self, stopping: CancellationToken) {
        let mut interval = tokio::time::interval(EVERY);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = interval.tick() => {}
            }
            if let Err(error) = self.beat().await {
                // The store has stopped the process if it is a fault; everything else is tried again.
                tracing::warn!(error = %error, "heartbeat of the audit logs");
            }
        }
    }
}
