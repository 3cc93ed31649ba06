//! The start, in order: unseal → store → keys → models → self-attestation. Binding comes after all of it.

use std::sync::Arc;

use cloister_policies::access::Engine;
use rustls_pki_types::PrivatePkcs8KeyDer;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::backup::Backups;
use super::statement::{Facts, statement};
use super::{Answering, App, LoadedModels, ModelError, Phase, doors, evidence, link};
use crate::access::TenantScope;
use crate::attest;
use crate::clock::Clock;
use crate::config::{Config, RootKeySlot};
use crate::documents::{self, Documents};
use crate::ehbp::layer::Ehbp;
use crate::ehbp::{InvalidKey, KeyRing, PrivateKey, ReplayCache};
use crate::identity::{self, Identity, opaque};
use crate::keys::{self, Keyset, Own, Platform, RootKey, SecureProcessor, Slots};
use crate::limiter::Limiter;
use crate::page::{self, Page};
use crate::serve::tls;
use crate::store::{self, Store};
use crate::{access, audit};

/// Encapsulated keys that are remembered, at about 100 bytes each.
const REPLAYS: usize = 100_000;

/// Documents that are read and embedded at the same time; questions come in between.
const DOCUMENT_WORKERS: usize = 2;

/// Why the process cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be made.
    #[error("the data folder cannot be made")]
    DataDir(#[source] std::io::Error),
    /// The root key does not open.
    #[error("the root key cannot be unsealed")]
    Unseal(#[from] keys::Error),
    /// There is nothing to look through.
    #[error("there is no store in the data folder")]
    NoStore,
    /// The sealed store does not open.
    #[error("the sealed store cannot be opened")]
    Store(#[from] store::Error),
    /// A key of the keyset is unusable.
    #[error("a key of the keyset is unusable")]
    Key(#[from] InvalidKey),
    /// The OPAQUE secrets are unusable.
    #[error("the opaque secrets are unusable")]
    Opaque(#[from] opaque::Error),
    /// The access policies of this build do not load.
    #[error("the access policies do not load")]
    Policies(#[source] cloister_policies::access::Error),
    /// A model cannot be loaded.
    #[error("a model cannot be loaded")]
    Model(#[from] ModelError),
    /// The page's files cannot be loaded.
    #[error("the page cannot be loaded")]
    Page(#[from] page::Error),
    /// TLS cannot be set up.
    #[error("tls cannot be set up")]
    Tls(#[from] tls::Error),
    /// There is nothing to make evidence with.
    #[error("no evidence can be made")]
    Provider(#[from] attest::provider::Error),
    /// A root of the configuration is not one.
    #[error("a file of attestation.insecure_trust_roots cannot be used")]
    TrustRoot,
    /// Nobody can be asked for collateral.
    #[error("collateral cannot be gathered")]
    Collateral(#[from] attest::collateral::FetchError),
    /// Self-attestation did not succeed.
    #[error("the process cannot attest itself")]
    Attestation(#[from] attest::Error),
    /// The first owner's enrolment cannot be made.
    #[error("the first owner's enrolment code cannot be made")]
    Enrolment(#[source] identity::Error),
    /// The first owner's enrolment link cannot be written.
    #[error("the enrolment link cannot be written")]
    Link(#[source] std::io::Error),
    /// The queue of documents cannot be read.
    #[error("unfinished documents cannot be taken up")]
    Documents(#[source] documents::Error),
    /// A thread of the start ended early.
    #[error("a part of the start was interrupted")]
    Interrupted,
}

/// Opens the sealed store with the root key that the platform gives. Blocking.
///
/// # Errors
/// [`StartError::DataDir`], [`StartError::Unseal`], [`StartError::Store`].
pub fn unseal(config: &Config, clock: &Arc<dyn Clock>) -> Result<Store, StartError> {
    open(config, clock, &root_key(config, clock)?)
}

/// The root key, by the machine's own slot; a new one if there is no store yet.
pub(super) fn root_key(config: &Config, clock: &Arc<dyn Clock>) -> Result<RootKey, StartError> {
    std::fs::create_dir_all(&config.data_dir).map_err(StartError::DataDir)?;
    with_slots(config, |slots| Ok(RootKey::open_or_create(&config.data_dir, slots, clock.now_ms())?))
}

/// Opens the store by the owner's recovery identity and gives this machine a slot in the place of those it had.
///
/// Blocking; the service must not be running. That it happened is in the audit log before it has an effect.
///
/// # Errors
/// [`StartError::Unseal`], [`StartError::Store`].
pub fn recover(config: &Config, clock: &Arc<dyn Clock>, identity: &str) -> Result<(), StartError> {
    let root = RootKey::recover(&config.data_dir, identity)?;
    let store = open(config, clock, &root)?;
    let mut batch = store.scope(&TenantScope::system()).batch();
    batch.audit(audit::Event::new(audit::Class::EntityUpdated, "keys.recover"));
    let noted = batch.commit_blocking();
    store.close_blocking();
    noted?;
    with_slots(config, |slots| Ok(root.rebind(&config.data_dir, slots, clock.now_ms())?))
}

/// Where the configuration has the root key from.
pub(super) fn with_slots<T>(
    config: &Config,
    then: impl FnOnce(&Slots<'_>) -> Result<T, StartError>,
) -> Result<T, StartError> {
    let level = config.attestation.as_ref().and_then(|table| table.privilege_level);
    let processor = SecureProcessor::new(level.unwrap_or(0));
    let own = match &config.root_key {
        RootKeySlot::Development { file } => Own::Development(file),
        RootKeySlot::Snp => Own::Snp(&processor),
    };
    let platform = if config.is_for_hardware() { Platform::Hardware } else { Platform::Development };
    then(&Slots { platform, own, recovery_recipient: config.recovery_recipient.as_deref() })
}

pub(super) fn open(config: &Config, clock: &Arc<dyn Clock>, root: &RootKey) -> Result<Store, StartError> {
    Ok(Store::open(&config.data_dir, root, Arc::clone(clock), settings(config))?)
}

/// What the logs say about the appliance.
pub(super) fn settings(config: &Config) -> audit::Settings {
    audit::Settings {
        public_host: config.public_host.name().to_owned(),
        product_version: env!("CARGO_PKG_VERSION").to_owned(),
        measurement: String::new(),
    }
}

/// A fresh one-time link for the first owner, or `None` if the organisation is founded. For a store that no service uses.
///
/// # Errors
/// [`StartError`].
pub async fn new_owner_link(
    config: &Config,
    clock: Arc<dyn Clock>,
    store: Store,
) -> Result<Option<String>, StartError> {
    let keyset = Keyset::open_or_create(&store).await?;
    let setup = opaque::Setup::from_bytes(keyset.opaque_setup())?;
    let identity = Identity::new(store.clone(), clock, setup, config.identity.clone());
    let enrolment = identity.first_owner_code().await.map_err(StartError::Enrolment)?;
    store.close().await;
    Ok(enrolment.map(|enrolment| link::link(&config.public_host, &enrolment.code)))
}

impl App {
    /// What goes on in the background for as long as the process runs.
    fn keep_house(&self) {
        self.tracker.spawn(Arc::clone(&self.identity).sweep_until(self.stopping.child_token()));
        self.tracker.spawn(self.store.clone().beat_until(self.stopping.child_token()));
        if let Some(backups) = &self.backups {
            self.tracker.spawn(Arc::clone(backups).run_until(self.stopping.child_token()));
        }
    }

    /// Starts every part in order; nothing is bound or served yet.
    ///
    /// # Errors
    /// [`StartError`] names the part that cannot start.
    pub async fn build(config: Config, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let store = {
            let (config, clock) = (config.clone(), Arc::clone(&clock));
            let opened = tokio::task::spawn_blocking(move || unseal(&config, &clock)).await;
            opened.map_err(|_| StartError::Interrupted)??
        };
        let models = {
            let models = config.models.clone();
            let loaded = tokio::task::spawn_blocking(move || LoadedModels::load(&models)).await;
            loaded.map_err(|_| StartError::Interrupted)??
        };
        Self::assemble(config, clock, store, models).await
    }

    /// The rest of the start, with an open store and loaded models.
    ///
    /// # Errors
    /// As [`App::build`].
    pub async fn assemble(
        config: Config,
        clock: Arc<dyn Clock>,
        store: Store,
        models: LoadedModels,
    ) -> Result<Self, StartError> {
        let page = Page::load(&config.web_dir)?;
        let keyset = Keyset::open_or_create(&store).await?;
        let hpke = PrivateKey::from_bytes(keyset.hpke().expose_secret())?;
        let tls_key = PrivatePkcs8KeyDer::from(keyset.tls_pkcs8());
        let tls_spki = tls::spki(&tls_key)?;
        let attestation = Arc::new(evidence::attestation(&config).await?);
        let keeper = evidence::keeper(&config, &attestation, &store, &clock)?;
        let (tls, tinfoil) = doors::tls(&attestation, &tls_key, config.public_host.name(), hpke.public())?;
        let setup = opaque::Setup::from_bytes(keyset.opaque_setup())?;
        let facts = Facts {
            config: &config,
            models: &models,
            tls_spki: &tls_spki,
            hpke: hpke.public(),
            opaque: setup.public_key(),
            receipt: keyset.receipt().verifying_key().to_bytes(),
        };
        let statement = statement(&facts, &store);
        let identity = Arc::new(Identity::new(store.clone(), Arc::clone(&clock), setup, config.identity.clone()));
        let engine = Engine::shipped().map_err(StartError::Policies)?;
        let access = Arc::new(access::Access::new(engine, identity.tenancy().clone()));
        let (tracker, stopping) = (TaskTracker::new(), CancellationToken::new());
        let answering = Answering::new(&models, &keyset, &clock, &tracker);
        let documents = Documents::new(documents::Parts {
            store: store.clone(),
            clock: Arc::clone(&clock),
            reader: documents::Reader::new(config.docworker.clone(), documents::ReaderLimits::default()),
            model: documents::Model::of(Arc::clone(&models.embedder)),
            notify: answering.library.listener(),
            workers: DOCUMENT_WORKERS,
            file_bytes: config.limits.upload_bytes,
            tracker: tracker.clone(),
            stopping: stopping.clone(),
        });
        let app = Self {
            answering,
            backups: Backups::configured(&config, &store, &clock),
            requests: Arc::new(Semaphore::new(config.limits.concurrent_requests)),
            limiter: Limiter::new(&config.limits),
            ehbp: Arc::new(Ehbp { keys: KeyRing::new(hpke, None), replays: ReplayCache::new(REPLAYS) }),
            attestation,
            tinfoil,
            tracker,
            stopping,
            phase: watch::Sender::new(Phase::Starting),
            config,
            clock,
            store,
            keyset,
            models,
            identity,
            access,
            documents,
            page,
            tls,
            statement,
        };
        if let Some(keeper) = &keeper {
            keeper.prepare().await?;
        }
        app.attestation.self_attest(app.statement_now(), app.clock.now_ms())?;
        link::offer(&app).await?;
        app.keep_house();
        if let Some(keeper) = keeper {
            app.tracker.spawn(keeper.run_until(app.stopping.child_token()));
        }
        app.documents.resume().map_err(StartError::Documents)?;
        Ok(app)
    }
}
