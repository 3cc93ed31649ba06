//! Who is asking: passwords by OPAQUE, sessions whose requests are signed, API keys, enrolment codes.
//!
//! This module authenticates. It never decides what somebody may do (that is [`crate::access`]), never sees a password,
//! and stores no secret that could be used as it is: session names, API keys and enrolment codes are kept as digests.
//! Every change of state is written together with its audit event, or not at all.

mod api_keys;
mod bearer;
mod enrolments;
pub mod guesses;
mod legacy;
pub mod login;
mod logins;
pub mod opaque;
pub mod pending;
mod records;
mod registration;
mod restored;
mod sessions;
pub mod signature;
mod sweep;
pub mod token;

use std::sync::{Arc, Mutex};

use cloister_protocol::ids::{OrgId, PersonId, WorkspaceId};
use tokio::sync::Semaphore;

pub use bearer::BearerUse;
pub(crate) use records::COLLECTIONS;
pub use restored::after_restore;
pub use sessions::Session;

use crate::access::TenantScope;
use crate::audit;
use crate::clock::Clock;
use crate::store::{self, Store, TenantStore};
use crate::tenancy::{self, Tenancy};
use guesses::{Guesses, TooMany};
use login::InvalidLogin;
use logins::PendingLogin;
use pending::Pending;
use signature::NonceCache;

/// Logins in progress at once, at about 300 bytes each.
const PENDING_LOGINS: usize = 10_000;
/// Nonces of signed requests remembered at once.
const NONCES: usize = 262_144;
/// Times of last use are stored to the minute: nobody needs to know better.
const MINUTE_MS: u64 = 60_000;

/// Why somebody is not let in, or not registered. Texts name no login, code or token.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The login name has the wrong alphabet or length.
    #[error(transparent)]
    Login(#[from] InvalidLogin),
    /// An OPAQUE message cannot be read, or a stored value is damaged.
    #[error(transparent)]
    Opaque(#[from] opaque::Error),
    /// A name or a purpose cannot be used.
    #[error(transparent)]
    Tenancy(#[from] tenancy::Error),
    /// No enrolment has this code: never had, used, or expired.
    #[error("the enrolment code is unknown, used or expired")]
    UnknownEnrolment,
    /// Somebody else has this login name. Told only to the holder of an enrolment code.
    #[error("the login name is taken")]
    LoginTaken,
    /// The login is unknown or stale, or the password is not proven.
    #[error("the login failed")]
    LoginFailed,
    /// Too many guesses.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// No or bad credentials.
    #[error("no valid credentials")]
    Unauthenticated,
    /// There is no such API key of this person.
    #[error("no such api key")]
    UnknownApiKey,
    /// The person has as many as there may be.
    #[error("there are too many {what}")]
    Full {
        /// Of what.
        what: &'static str,
    },
    /// A signed request is refused.
    #[error(transparent)]
    Signature(#[from] signature::Refused),
    /// The store does not answer, or does not hold what it should.
    #[error("storage of identities")]
    Store(#[from] store::Error),
}

/// Life times and names that the organisation chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long a session lasts even if used, milliseconds (S1-08).
    pub session_absolute_ms: u64,
    /// How long a session may be idle, milliseconds.
    pub session_idle_ms: u64,
    /// How long the first owner's enrolment code works, milliseconds.
    pub owner_enrolment_ms: u64,
    /// How long the code of an invited person works, milliseconds.
    pub member_enrolment_ms: u64,
    /// Whether name and password may be sent in one message (S0-01).
    pub legacy_login: bool,
    /// What the first organisation is called.
    pub organisation_name: String,
    /// What its first workspace is called.
    pub workspace_name: String,
}

impl Settings {
    /// What the requirements name, as in the sample configuration: 24 hours, idle 30 minutes; codes of 24 hours and 15
    /// minutes.
    #[must_use]
    pub fn standard() -> Self {
        Self {
            session_absolute_ms: 24 * 60 * MINUTE_MS,
            session_idle_ms: 30 * MINUTE_MS,
            owner_enrolment_ms: 24 * 60 * MINUTE_MS,
            member_enrolment_ms: 15 * MINUTE_MS,
            legacy_login: false,
            organisation_name: "Organisation".to_owned(),
            workspace_name: "General".to_owned(),
        }
    }
}

/// Everybody who may get in, and how.
#[derive(Debug)]
pub struct Identity {
    store: Store,
    tenancy: Tenancy,
    clock: Arc<dyn Clock>,
    setup: opaque::Setup,
    settings: Settings,
    pending: Pending<PendingLogin>,
    guesses: Mutex<Guesses>,
    nonces: NonceCache,
    /// Slots for stretching passwords of the legacy login.
    stretching: Semaphore,
    started_ms: u64,
}

impl Identity {
    /// Takes the appliance's OPAQUE secrets and its store.
    #[must_use]
    pub fn new(store: Store, clock: Arc<dyn Clock>, setup: opaque::Setup, settings: Settings) -> Self {
        Self {
            tenancy: Tenancy::new(store.clone(), Arc::clone(&clock)),
            started_ms: clock.now_ms(),
            store,
            clock,
            setup,
            settings,
            pending: Pending::new(PENDING_LOGINS),
            guesses: Mutex::default(),
            nonces: NonceCache::new(NONCES),
            stretching: Semaphore::new(legacy::STRETCHING),
        }
    }

    /// The organisations and what is in them.
    #[must_use]
    pub const fn tenancy(&self) -> &Tenancy {
        &self.tenancy
    }

    fn system(&self) -> TenantStore {
        self.store.scope(&TenantScope::system())
    }

    fn organisation(&self, org: OrgId) -> TenantStore {
        self.store.scope(&TenantScope::org(org))
    }

    fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }
}

/// Somebody whose credentials are in order. What they may do is for [`crate::access`] to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authenticated {
    /// The person.
    pub person: PersonId,
    /// The organisation that the credential leads into.
    pub org: OrgId,
    /// The credential.
    pub credential: Credential,
}

/// The credential of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// A session: a signed request, or the token of a legacy login.
    Session(token::Digest),
    /// An API key, good for one workspace.
    ApiKey(cloister_protocol::ids::ApiKeyId, WorkspaceId),
}

/// An event about a login, with the name of its account where only the person's key opens it.
fn login_event(operation: &'static str, person: PersonId, login: &str) -> audit::Event {
    audit::Event::new(audit::Class::Logon, operation).by(person).detail("method", "opaque").personal("login", login)
}
