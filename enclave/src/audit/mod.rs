//! The audit log: one transparency log per organisation, and one for the appliance itself.
//!
//! Leaves are JCS JSON in OCSF vocabulary; the tree is that of RFC 6962, its head a C2SP signed note, its files those of
//! C2SP tlog-tiles (protocols, section 8). A leaf is written by the batch that does what the leaf tells, in one atomic
//! write: an operation whose record cannot be written does not happen.

pub mod event;
mod examine;
pub mod export;
mod heartbeat;
pub(crate) mod lane;
pub mod leaf;
mod log;
mod nodes;
mod person;
mod signer;
mod tree;

use cloister_attestation::encoding::{Digest, jcs, sha256};
use cloister_attestation::note::Vkey;
use cloister_attestation::statement::State;
use cloister_protocol::ids::PersonId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use event::{Class, Event, Outcome};
pub(crate) use examine::examine;
pub use log::Log;

use crate::access::TenantScope;
use crate::store::{Batch, Collection, Listing, Shared};

/// The leaves, in order.
const LEAVES: Collection<Value> = Collection::new_ordered("audit-leaves", 30, 1);
/// One record per log: its head.
const HEADS: Collection<Head> = Collection::new("audit-head", 31, 1);
/// The full tiles, as base64, by `level/index`.
const TILES: Collection<String> = Collection::new("audit-tiles", 34, 1);

/// The collections of this module.
pub(crate) const COLLECTIONS: Listing =
    &[LEAVES.meta(), HEADS.meta(), TILES.meta(), signer::SIGNING_KEYS.meta(), person::PERSON_KEYS.meta()];

/// Why an event cannot become a leaf, or a log cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The details are too long.
    #[error("a leaf has {size_bytes} bytes, the limit is {}", leaf::MAX_LEAF_BYTES)]
    LeafTooLarge {
        /// What it would have been.
        size_bytes: usize,
    },
    /// The details have no canonical JSON form.
    #[error("a leaf cannot be encoded")]
    Encode,
    /// Personal details of nobody.
    #[error("personal details need an actor")]
    PersonalWithoutActor,
    /// The public host cannot begin the name of a log.
    #[error("the public host is not a host name")]
    PublicHost,
}

/// What the logs say about the appliance.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The public host name, with which the names of the logs begin: letters, digits, `.`, `-`, `:`, `[`, `]`.
    pub public_host: String,
    /// The version of the program.
    pub product_version: String,
    /// What was measured when it started, as hex; empty with the development TEE.
    pub measurement: String,
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let host = self.public_host.as_bytes();
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(byte);
        let name = !host.is_empty() && host.len() <= 255 && host.iter().all(allowed);
        if name { Ok(()) } else { Err(Error::PublicHost) }
    }
}

/// One start of the appliance.
#[derive(Debug, Clone)]
pub(crate) struct Boot {
    pub(crate) id: String,
    pub(crate) after_clean_stop: bool,
}

/// The head of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The name of the log, and of its key.
    pub origin: String,
    /// How many leaves there are.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Digest,
    /// The time of the last one, in Unix milliseconds.
    pub last_time_ms: u64,
    /// The log's key, as a C2SP verifier key.
    pub vkey: String,
    /// The signed checkpoint.
    pub checkpoint: String,
}

impl Default for Head {
    /// The head of a log without leaves.
    fn default() -> Self {
        let root = cloister_attestation::tlog::empty_root().into();
        let empty = String::new;
        Self { origin: empty(), size: 0, root, last_time_ms: 0, vkey: empty(), checkpoint: empty() }
    }
}

/// Reads the heads of all logs.
pub(crate) fn load_heads(shared: &Shared) -> Result<(), crate::store::Error> {
    for tenant in shared.all_tenants() {
        if let Some(head) = lane::read_head(shared, &tenant)? {
            let mut heads = shared.heads.write().map_err(|_| crate::store::Error::Stopped)?;
            heads.insert(tenant.id.clone(), head);
        }
    }
    Ok(())
}

impl crate::store::Store {
    /// The names and keys of all logs, sorted by name.
    #[must_use]
    pub fn log_keys(&self) -> Vec<Vkey> {
        let mut keys: Vec<Vkey> =
            self.shared().all_heads().iter().filter_map(|head| Vkey::parse(&head.vkey).ok()).collect();
        keys.sort_by(|a, b| a.name.cmp(&b.name));
        keys
    }

    /// A batch that adds an event to every log, the appliance's own included.
    ///
    /// # Errors
    /// [`crate::store::Error::Stopped`].
    pub(crate) fn note_in_all_logs(&self, event: &Event) -> Result<Batch, crate::store::Error> {
        let mut batch = self.scope(&TenantScope::system()).batch();
        batch.audit(event.clone());
        let own = TenantScope::system().tenant();
        let heads = self.shared().heads.read().map_err(|_| crate::store::Error::Stopped)?;
        for tenant in heads.keys().filter(|tenant| **tenant != own) {
            let mut of_tenant = self.of_tenant(tenant).batch();
            of_tenant.audit(event.clone());
            batch.join(of_tenant);
        }
        Ok(batch)
    }

    /// How far the state has come: its epoch, and a digest over the heads that all logs have in it, which is SHA-256 of the
    /// JCS list of `[origin, size, root]`, sorted by origin. Two states of one epoch with different digests are a fork.
    #[must_use]
    pub fn state(&self) -> State {
        let (epoch, heads) = self.shared().epoch_and_heads();
        let mut heads: Vec<_> = heads.iter().map(|head| (&head.origin, head.size, head.root)).collect();
        heads.sort_unstable();
        State { epoch, audit_head: sha256(&jcs(&heads)) }
    }
}

/// The subject of personal details.
pub(crate) type Person = PersonId;
