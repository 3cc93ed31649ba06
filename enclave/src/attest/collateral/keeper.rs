//! Gathers collateral in the background, keeps it sealed, and renews it before it expires.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cloister_attestation::collateral::{self, Kind, Services};
use cloister_attestation::document::Collateral;
use cloister_attestation::verify;
use tokio_util::sync::CancellationToken;

use super::fetch::{FetchError, Fetcher};
use super::{Gathered, folder, host, record, schedule};
use crate::attest::{self, Attestation, Report};
use crate::clock::Clock;
use crate::store::{self, Store};

/// Where collateral comes from, besides the host's table.
#[derive(Debug, Clone)]
pub struct Sources {
    /// A folder that the operator fills.
    pub folder: Option<PathBuf>,
    /// AMD and Intel, or mirrors of theirs, through the relay.
    pub network: Option<(Services, Fetcher)>,
}

/// Why there is nothing new. No text shows whom the chip belongs to or what was answered.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{0}")]
    Evidence(attest::Error),
    #[error("{0}")]
    Plan(collateral::Error),
    #[error("{kind}: {error}")]
    Fetch { kind: Kind, error: FetchError },
    #[error("what was answered is no collateral: {0}")]
    Assemble(collateral::Error),
    #[error("what was answered does not verify: {0}")]
    Untrue(verify::Error),
    #[error("the folder of attestation.collateral_dir holds nothing for this machine")]
    Nothing,
    #[error("the store does not keep it: {0}")]
    Store(#[from] store::Error),
    #[error("the process is stopping")]
    Interrupted,
}

impl Error {
    const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Fetch { error, .. } => error.retry_after(),
            Self::Evidence(_)
            | Self::Plan(_)
            | Self::Assemble(_)
            | Self::Untrue(_)
            | Self::Nothing
            | Self::Store(_)
            | Self::Interrupted => None,
        }
    }
}

/// What gathers.
#[derive(Debug)]
pub struct Keeper {
    attestation: Arc<Attestation>,
    store: Store,
    clock: Arc<dyn Clock>,
    sources: Sources,
}

/// This machine's evidence as it is now, to gather for and to verify with.
struct Need {
    report: Report,
    now_ms: u64,
}

impl Keeper {
    /// For what `attestation` makes.
    #[must_use]
    pub const fn new(attestation: Arc<Attestation>, store: Store, clock: Arc<dyn Clock>, sources: Sources) -> Self {
        Self { attestation, store, clock, sources }
    }

    /// Lays out what was kept or lies in the folder, for the first document. Asks nobody.
    ///
    /// # Errors
    /// Those of reading the store. A folder that cannot be read is told by the log.
    pub async fn prepare(&self) -> Result<(), store::Error> {
        if let Some(kept) = record::read(&self.store)? {
            self.attestation.shelf().put(kept);
        }
        if self.sources.folder.is_some() {
            let found = match self.need().await {
                Ok(need) => self.take_from_folder(&need).await,
                Err(error) => Err(error),
            };
            if let Err(error) = found {
                tracing::warn!(%error, "no collateral from the folder yet");
            }
        }
        Ok(())
    }

    /// Gathers and renews until `stopping`. To be spawned on the App's tracker.
    pub async fn run_until(self, stopping: CancellationToken) {
        tokio::select! {
            () = stopping.cancelled() => {}
            () = self.run() => {}
        }
    }

    async fn run(&self) {
        let mut failures = 0u32;
        loop {
            match self.round().await {
                Ok(wait) => {
                    failures = 0;
                    // A document that could carry nothing of it is a reason to look at once; but whoever asks for documents
                    // cannot make us ask others more often than this.
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = self.attestation.shelf().stale.notified() => {
                            tokio::time::sleep(schedule::AFTER_FAILURE.first).await;
                        }
                    }
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    let wait = schedule::AFTER_FAILURE.wait(failures, random());
                    let wait = wait.max(error.retry_after().unwrap_or_default());
                    tracing::warn!(%error, failures, again_in_s = wait.as_secs(), "no new collateral");
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// One look at the evidence and at what is there for it; says when the next one is due.
    async fn round(&self) -> Result<Duration, Error> {
        let need = self.need().await?;
        // The folder costs nobody anything, so it is looked into every time.
        let in_folder = self.take_from_folder(&need).await;
        if let Some(wait) = self.still_good(&need) {
            return Ok(wait);
        }
        let Some((services, fetcher)) = &self.sources.network else {
            return in_folder.map(|()| schedule::LOOK);
        };
        let gathered = self.gather(&need, services, fetcher).await?;
        let wait = schedule::next_look(gathered.gathered_ms, gathered.valid_until_ms, need.now_ms);
        self.keep(gathered).await?;
        Ok(wait)
    }

    async fn need(&self) -> Result<Need, Error> {
        let attestation = Arc::clone(&self.attestation);
        let report = tokio::task::spawn_blocking(move || attestation.sample()).await;
        let report = report.map_err(|_| Error::Interrupted)?.map_err(Error::Evidence)?;
        Ok(Need { report, now_ms: self.clock.now_ms() })
    }

    /// How long to leave alone what is there; none if it is due, or not that of this chip, firmware or platform.
    fn still_good(&self, need: &Need) -> Option<Duration> {
        let kept = self.attestation.shelf().get()?;
        let (from_ms, until_ms) = (kept.gathered_ms, kept.valid_until_ms);
        let due = schedule::is_due(from_ms, until_ms, need.now_ms);
        let holds = !due && self.verify(need, &kept.collateral).is_ok();
        holds.then(|| schedule::next_look(from_ms, until_ms, need.now_ms))
    }

    fn verify(&self, need: &Need, found: &Collateral) -> Result<u64, Error> {
        let verified = collateral::verify(&need.report.evidence, found, self.attestation.trust(), need.now_ms);
        verified.map_err(|rejected| Error::Untrue(rejected.error))
    }

    async fn gather(&self, need: &Need, services: &Services, fetcher: &Fetcher) -> Result<Gathered, Error> {
        let roots = &self.attestation.trust().snp;
        // Reports of version 2 do not name the product; the host's certificate does, if it verifies.
        let (known, product) = match host::leaf(&need.report, roots, need.now_ms) {
            Some((leaf, product)) => (Collateral::Snp(leaf), Some(product)),
            None => (Collateral::None, None),
        };
        let plan = collateral::plan(&need.report.evidence, product, services).map_err(Error::Plan)?;
        let mut answers = Vec::with_capacity(plan.len());
        for request in &plan {
            let answer = fetcher.get(request).await;
            answers.push(answer.map_err(|error| Error::Fetch { kind: request.kind, error })?);
        }
        let found = collateral::assemble(&need.report.evidence, &known, &answers).map_err(Error::Assemble)?;
        let valid_until_ms = self.verify(need, &found)?;
        let valid_for_s = valid_until_ms.saturating_sub(need.now_ms) / 1000;
        tracing::info!(parts = answers.len(), valid_for_s, "collateral gathered");
        Ok(Gathered { collateral: found, gathered_ms: need.now_ms, valid_until_ms })
    }

    /// Takes from the folder what is worth most, unless what is there is worth as much.
    async fn take_from_folder(&self, need: &Need) -> Result<(), Error> {
        let folder = self.sources.folder.clone().ok_or(Error::Nothing)?;
        let tee = self.attestation.tee();
        let read = tokio::task::spawn_blocking(move || folder::read(&folder, tee)).await;
        let files = read.map_err(|_| Error::Interrupted)?.map_err(|_| Error::Nothing)?;
        let verified = files.into_iter().filter_map(|file| Some((self.verify(need, &file).ok()?, file)));
        let best = verified.max_by_key(|(valid_until_ms, file)| worth(file, *valid_until_ms));
        let (valid_until_ms, found) = best.ok_or(Error::Nothing)?;
        let kept = self.attestation.shelf().get();
        let as_good = |kept: &Gathered| {
            worth(&kept.collateral, kept.valid_until_ms) >= worth(&found, valid_until_ms)
                && self.verify(need, &kept.collateral).is_ok()
        };
        if kept.is_some_and(|kept| as_good(&kept)) {
            return Ok(());
        }
        let valid_for_s = valid_until_ms.saturating_sub(need.now_ms) / 1000;
        tracing::info!(valid_for_s, "collateral taken from the folder");
        self.keep(Gathered { collateral: found, gathered_ms: need.now_ms, valid_until_ms }).await
    }

    async fn keep(&self, gathered: Gathered) -> Result<(), Error> {
        // Used even if the disk does not take it: the store has its own ways to stop the process.
        self.attestation.shelf().put(gathered.clone());
        record::write(&self.store, self.attestation.tee(), &gathered).await?;
        Ok(())
    }
}

/// Orders collateral that verifies: with a revocation list before without, which is valid for years, and then by time.
fn worth(collateral: &Collateral, valid_until_ms: u64) -> (bool, u64) {
    let lists_revocations = match collateral {
        Collateral::Snp(parts) => parts.crl.is_some(),
        Collateral::Tdx(_) => true,
        Collateral::None => false,
    };
    (lists_revocations, valid_until_ms)
}

fn random() -> u64 {
    u64::from_le_bytes(crate::keys::secret::random())
}
