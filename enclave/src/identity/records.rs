//! What identity keeps in the store: accounts, sessions, enrolments and API keys.
//!
//! Accounts and credentials belong to the appliance's own scope, because they must be found before anyone knows the
//! tenant. No record holds a password, a token or an enrolment code: digests and OPAQUE records stand in their place.

use cloister_protocol::api::{KsfId, Role};
use cloister_protocol::ids::{ApiKeyId, EnrolmentId, OrgId, PersonId, WorkspaceId};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::guesses::AccountGuesses;
use crate::store::{Collection, Listing};

/// Accounts, by person.
pub(super) const ACCOUNTS: Collection<AccountRecord> = Collection::new("accounts", 1, 1);
/// Sessions, by the digest of their name.
pub(super) const SESSIONS: Collection<SessionRecord> = Collection::new("sessions", 4, 1);
/// Enrolments, by the digest of their code.
pub(super) const ENROLMENTS: Collection<EnrolmentRecord> = Collection::new("enrolments", 5, 1);
/// API keys, grouped by person, by id. In the scope of the organisation.
pub(super) const API_KEYS: Collection<ApiKeyRecord> = Collection::new_grouped("api-keys", 6, 1);
/// Accounts by the keyed digest of their login name.
pub(super) const LOGIN_INDEX: Collection<LoginIndexRecord> = Collection::new("login-index", 9, 1);
/// API keys by the digest of their secret.
pub(super) const API_KEY_INDEX: Collection<ApiKeyIndexRecord> = Collection::new("api-key-index", 50, 1);
/// Guesses at passwords, by person.
pub(super) const LOGIN_GUESSES: Collection<AccountGuesses> = Collection::new("login-guesses", 51, 1);

/// The collections of this module.
pub(crate) const COLLECTIONS: Listing = &[
    ACCOUNTS.meta(),
    SESSIONS.meta(),
    ENROLMENTS.meta(),
    API_KEYS.meta(),
    LOGIN_INDEX.meta(),
    API_KEY_INDEX.meta(),
    LOGIN_GUESSES.meta(),
];

/// How an account stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AccountStatus {
    /// May log in.
    Approved,
    /// May not, and neither may its API keys.
    Suspended,
}

/// A person's account.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct AccountRecord {
    /// The login name as typed: shown to its owner, sealed everywhere else.
    pub(super) login: String,
    /// The OPAQUE record, base64url.
    pub(super) opaque_record: String,
    pub(super) ksf: KsfId,
    pub(super) status: AccountStatus,
    /// The organisation that a login leads into.
    pub(super) org: OrgId,
    pub(super) created_ms: u64,
}

/// Where a login name leads.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct LoginIndexRecord {
    pub(super) person: PersonId,
}

/// What a request of a session must show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SessionKind {
    /// A signature under its key; the name alone is worth nothing.
    Signed,
    /// Its name, as a bearer token: only from a legacy login.
    Bearer,
}

/// A session. The request key is sealed with it, so that a restart logs nobody out.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct SessionRecord {
    #[zeroize(skip)]
    pub(super) person: PersonId,
    #[zeroize(skip)]
    pub(super) org: OrgId,
    pub(super) request_key: [u8; 32],
    #[zeroize(skip)]
    pub(super) kind: SessionKind,
    pub(super) created_ms: u64,
    /// To the minute.
    pub(super) last_used_ms: u64,
    /// When it ends even if used.
    pub(super) expires_ms: u64,
    /// How long it may be idle.
    pub(super) idle_ms: u64,
}

impl SessionRecord {
    pub(super) const fn is_live(&self, now_ms: u64) -> bool {
        now_ms < self.expires_ms && now_ms < self.last_used_ms.saturating_add(self.idle_ms)
    }
}

/// An invitation to set a password.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct EnrolmentRecord {
    pub(super) id: EnrolmentId,
    /// The organisation to join; none yet for its first owner.
    pub(super) org: Option<OrgId>,
    pub(super) role: Role,
    pub(super) created_by: Option<PersonId>,
    pub(super) created_ms: u64,
    pub(super) expires_ms: u64,
}

/// An API key, for its owner's list.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct ApiKeyRecord {
    pub(super) name: String,
    pub(super) workspace: WorkspaceId,
    /// Digest of the secret: where the index record is.
    pub(super) digest: String,
    pub(super) created_ms: u64,
}

/// An API key, as it is found by its secret. There is one exactly as long as the key is valid.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct ApiKeyIndexRecord {
    pub(super) id: ApiKeyId,
    pub(super) person: PersonId,
    pub(super) org: OrgId,
    pub(super) workspace: WorkspaceId,
    /// To the minute.
    pub(super) last_used_ms: Option<u64>,
}
