//! The audit log: one transparency log per organisation, and one for the appliance itself.
//!
//! Leaves are JCS JSON in OCSF vocabulary; the tree is that of RFC 6962, its head a C2SP signed note, its files those of
//! C2SP tlog-tiles (protocols, section 8). A leaf is written by the batch that does what the leaf tells, in one atomic
//! write: an operation whose record cannot be written does not happen.

pub mod event;
pub(crate) mod lane;
pub mod leaf;
mod log;
mod person;

use cloister_protocol::ids::PersonId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use event::{Class, Event, Outcome};
pub use log::Log;

use crate::store::{Collection, Shared};

/// The leaves, in order.
const LEAVES: Collection<Value> = Collection::new_ordered("audit-leaves", 30, 1);
/// One record per log: its head.
const HEADS: Collection<Head> = Collection::new("audit-head", 31, 1);

/// Why an event cannot become a leaf.
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
}

/// What the logs say about the appliance.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The public host name, with which the names of the logs begin.
    pub public_host: String,
    /// The version of the program.
    pub product_version: String,
    /// What was measured when it started, as hex; empty with the development TEE.
    pub measurement: String,
}

/// One start of the appliance.
#[derive(Debug, Clone)]
pub(crate) struct Boot {
    pub(crate) id: String,
    pub(crate) after_clean_stop: bool,
}

/// The head of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// How many leaves there are.
    pub size: u64,
    /// The time of the last one, in Unix milliseconds.
    pub last_time_ms: u64,
    /// The boot that wrote it.
    pub boot: String,
}

/// Reads the heads of all logs.
pub(crate) fn load_heads(_shared: &Shared) -> Result<(), crate::store::Error> {
    Ok(())
}

/// The subject of personal details.
pub(crate) type Person = PersonId;
