//! Everything the process owns, built once in start order and shared by every request.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRef;
use bytes::Bytes;
use cloister_attestation::encoding::{Hex, sha256};
use cloister_attestation::receipt::key_id;
use cloister_attestation::statement::{self, Statement};
use rustls_pki_types::PrivatePkcs8KeyDer;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::Access;
use crate::attest::{self, Attestation, DevelopmentAttester};
use crate::clock::Clock;
use crate::config::{Config, Tee};
use crate::egress::EgressPolicy;
use crate::ehbp::layer::Ehbp;
use crate::ehbp::{self, KeyRing, ReplayCache};
use crate::identity::{Identity, Settings, opaque};
use crate::keys::Keyset;
use crate::limiter::Limiter;
use crate::page::{self, Page};
use crate::serve::tls;
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

/// Why the process cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A key of the sealed keyset is not one.
    #[error("the keyset is damaged")]
    Keys,
    /// The access policies of this build cannot be loaded.
    #[error("the access policies cannot be loaded")]
    Access(#[source] cloister_policies::access::Error),
    /// The page's files cannot be loaded.
    #[error("the page cannot be loaded")]
    Page(#[source] page::Error),
    /// TLS cannot be set up.
    #[error("tls cannot be set up")]
    Tls(#[source] tls::Error),
    /// Self-attestation did not succeed.
    #[error("the process cannot attest itself")]
    Attestation(#[source] attest::Error),
}

/// The keys that the shell of the service uses, out of the sealed keyset.
#[derive(Debug)]
pub struct ServiceKeys {
    /// PKCS #8 of the P-256 key of TLS.
    pub tls: PrivatePkcs8KeyDer<'static>,
    /// Opens EHBP requests.
    pub hpke: ehbp::PrivateKey,
    /// The public Ed25519 key that receipts are verified with.
    pub receipt_public: [u8; 32],
    /// The secrets of the OPAQUE server.
    pub opaque: opaque::Setup,
}

impl ServiceKeys {
    /// Takes them out of the keyset.
    ///
    /// # Errors
    /// [`StartError::Keys`].
    pub fn from_keyset(keyset: &Keyset) -> Result<Self, StartError> {
        Ok(Self {
            tls: PrivatePkcs8KeyDer::from(keyset.tls_pkcs8().to_vec()),
            hpke: ehbp::PrivateKey::from_bytes(keyset.hpke().expose_secret()).map_err(|_| StartError::Keys)?,
            receipt_public: keyset.receipt().verifying_key().to_bytes(),
            opaque: opaque::Setup::from_bytes(keyset.opaque_setup()).map_err(|_| StartError::Keys)?,
        })
    }
}

/// Encapsulated keys that are remembered, at about 100 bytes each.
const REPLAYS: usize = 100_000;

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
    /// Everything that the appliance remembers.
    pub store: Store,
    /// Who is asking.
    pub identity: Arc<Identity>,
    /// What they may do.
    pub access: Arc<Access>,
    attestation: Attestation,
    statement: Statement,
    phase: watch::Sender<Phase>,
}

impl App {
    /// Puts the parts together in start order; nothing is bound or served yet.
    ///
    /// # Errors
    /// [`StartError`] names the part that cannot start.
    pub fn build(config: Config, clock: Arc<dyn Clock>, store: Store, keys: ServiceKeys) -> Result<Self, StartError> {
        let page = Page::load(&config.web_dir).map_err(StartError::Page)?;
        let (tls, spki) = tls::server_config(&keys.tls, config.public_host.name()).map_err(StartError::Tls)?;
        let statement = statement_of(&config, &keys, &spki);
        let Tee::Development = config.tee;
        let identity = Identity::new(store.clone(), Arc::clone(&clock), keys.opaque, Settings::standard());
        let engine = cloister_policies::access::Engine::shipped().map_err(StartError::Access)?;
        let app = Self {
            requests: Arc::new(Semaphore::new(config.limits.concurrent_requests)),
            limiter: Limiter::new(&config.limits),
            ehbp: Arc::new(Ehbp { keys: KeyRing::new(keys.hpke, None), replays: ReplayCache::new(REPLAYS) }),
            access: Arc::new(Access::new(engine, identity.tenancy().clone())),
            identity: Arc::new(identity),
            attestation: Attestation::new(Box::new(DevelopmentAttester::new())),
            tracker: TaskTracker::new(),
            stopping: CancellationToken::new(),
            phase: watch::Sender::new(Phase::Starting),
            config,
            clock,
            page,
            store,
            tls,
            statement,
        };
        app.attestation.self_attest(app.statement(), app.clock.now_ms()).map_err(StartError::Attestation)?;
        Ok(app)
    }

    /// Starts the tasks that run beside the requests, until the process stops.
    pub fn start_background(&self) {
        let sweep = Arc::clone(&self.identity).sweep_until(self.stopping.child_token());
        self.tracker.spawn(sweep);
    }

    /// What the process says about itself right now, with `not_after` left at zero.
    fn statement(&self) -> Statement {
        self.statement.clone()
    }

    /// The attestation document for `nonce`, as JSON. Blocks for as long as the TEE takes.
    ///
    /// # Errors
    /// As [`Attestation::document`].
    pub fn attestation_document(&self, nonce: Option<[u8; 32]>, now_ms: u64) -> Result<Bytes, attest::Error> {
        self.attestation.document(nonce, self.statement(), now_ms)
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

fn statement_of(config: &Config, keys: &ServiceKeys, spki: &[u8]) -> Statement {
    Statement {
        v: statement::VERSION,
        build: statement::Build {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("CLOISTER_COMMIT").unwrap_or("unknown").to_owned(),
        },
        tls_spki_sha256: vec![sha256(spki)],
        hpke_keys: vec![Hex(*keys.hpke.public())],
        opaque_pk: Hex(keys.opaque.public_key()),
        receipt_keys: vec![statement::ReceiptKey {
            key_id: key_id(&keys.receipt_public),
            public_key: Hex(keys.receipt_public),
        }],
        log_keys_root: sha256(b"[]"),
        models: Vec::new(),
        policies_sha256: Hex(cloister_policies::digest()),
        egress_sha256: Hex(EgressPolicy::new(config.egress_allow.clone()).digest()),
        state: statement::State { epoch: 0, audit_head: sha256(b"") },
        not_after: 0,
        channel: None,
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

impl FromRef<AppState> for Arc<Identity> {
    fn from_ref(app: &AppState) -> Self {
        Self::clone(&app.identity)
    }
}

impl FromRef<AppState> for Arc<Access> {
    fn from_ref(app: &AppState) -> Self {
        Self::clone(&app.access)
    }
}
