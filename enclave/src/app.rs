//! Everything the process owns, built once in start order and shared by every request.

mod answering;
mod backup;
mod doors;
mod evidence;
mod examine;
mod link;
mod models;
mod restore;
mod start;
mod statement;

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRef;
use bytes::Bytes;
use cloister_attestation::document::Tee;
use cloister_attestation::encoding::Hex;
use cloister_attestation::statement::Statement;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use answering::Answering;
pub use backup::Backups;
pub use doors::Tinfoil;
pub use examine::examine;
pub use models::{LoadedModels, ModelError};
pub use restore::{RestoreError, restore};
pub use start::{StartError, new_owner_link, recover, unseal};

use crate::access::Access;
use crate::answers::Answers;
use crate::attest::{self, Attestation};
use crate::clock::Clock;
use crate::config::Config;
use crate::documents::Documents;
use crate::ehbp::layer::Ehbp;
use crate::identity::Identity;
use crate::keys::Keyset;
use crate::limiter::Limiter;
use crate::memory::Memory;
use crate::page::Page;
use crate::store::Store;

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
    /// Sealed records.
    pub store: Store,
    /// The service's keys.
    pub keyset: Keyset,
    /// The models.
    pub models: LoadedModels,
    /// Who is asking.
    pub identity: Arc<Identity>,
    /// What they may do.
    pub access: Arc<Access>,
    /// Uploads and what becomes of them.
    pub documents: Documents,
    /// What finds, answers and remembers.
    pub answering: Answering,
    /// Keys and replay memory of the body encryption.
    pub ehbp: Arc<Ehbp>,
    /// The TLS server configuration.
    pub tls: Arc<rustls::ServerConfig>,
    /// Slots for requests under way.
    pub requests: Arc<Semaphore>,
    /// Rates.
    pub limiter: Limiter,
    /// The built page.
    pub page: Page,
    /// What writes backups, if any are wanted.
    pub backups: Option<Arc<Backups>>,
    /// What the Tinfoil door serves.
    pub tinfoil: Tinfoil,
    attestation: Arc<Attestation>,
    statement: Statement,
    phase: watch::Sender<Phase>,
}

impl App {
    /// The attestation document for `nonce`, as JSON, bound to `channel` if there is one. Blocks for as long as the TEE
    /// takes.
    ///
    /// # Errors
    /// As [`Attestation::document`].
    pub fn attestation_document(
        &self,
        nonce: Option<[u8; 32]>,
        channel: Option<[u8; 32]>,
        now_ms: u64,
    ) -> Result<Bytes, attest::Error> {
        let statement = Statement { channel: channel.map(Hex), ..self.statement_now() };
        self.attestation.document(nonce, statement, now_ms)
    }

    /// The kind of evidence that this process has.
    #[must_use]
    pub fn tee(&self) -> Tee {
        self.attestation.tee()
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

    /// Ends background work, under the drain deadline, and closes the store. Everything acknowledged is on the disk
    /// already; a clean end only saves the next start some doubt.
    pub async fn close(&self) {
        self.stopping.cancel();
        self.tracker.close();
        if tokio::time::timeout(self.config.limits.drain, self.tracker.wait()).await.is_err() {
            tracing::warn!("background work did not end in time");
        }
        self.store.close().await;
    }
}

/// The handle that handlers extract with `State`, whole or in part.
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

impl FromRef<AppState> for Arc<Identity> {
    fn from_ref(state: &AppState) -> Self {
        Self::clone(&state.identity)
    }
}

impl FromRef<AppState> for Arc<Answers> {
    fn from_ref(state: &AppState) -> Self {
        Self::clone(&state.answering.answers)
    }
}

impl FromRef<AppState> for Arc<Memory> {
    fn from_ref(state: &AppState) -> Self {
        Self::clone(&state.answering.memory)
    }
}

impl FromRef<AppState> for Arc<Access> {
    fn from_ref(state: &AppState) -> Self {
        Self::clone(&state.access)
    }
}

impl FromRef<AppState> for Documents {
    fn from_ref(state: &AppState) -> Self {
        state.documents.clone()
    }
}

impl FromRef<AppState> for Store {
    fn from_ref(state: &AppState) -> Self {
        state.store.clone()
    }
}
