//! Exports of the audit log: one layout, for the appliance that writes it and for the auditor who verifies it.
//!
//! An export is a tar of static files (protocols, section 8). Nothing in it has to be believed: the evidence names the
//! log's key, the key signs the checkpoint, the checkpoint fixes every record, and the records tell their own order.
//! `manifest.json` only says what was sent, so that a damaged copy is told apart from a forged one.
//!
//! ```text
//! manifest.json                 JCS of [`Manifest`]
//! log/vkey                      verifier keys, one per line, newest first
//! log/checkpoint                signed note
//! log/checkpoint.prev           the checkpoint of the export before, if there was one
//! log/consistency               RFC 6962 proof from there to here, one base64 hash per line
//! log/tile/<L>/<N>[.p/<W>]      hash tiles
//! log/tile/entries/<N>[.p/<W>]  entry bundles: every record
//! attest/0/document.json        attestation document whose statement names the next file by its digest
//! attest/0/log-keys.json        JCS list of [`LogKey`]
//! schema/…                      what the records mean
//! VERIFY.md                     the steps in words
//! ```

mod archive;
mod build;
mod error;
mod log;
mod records;
mod verify;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use archive::Error as ArchiveError;
pub use build::{Attestation, Contents, Error as BuildError, build};
pub use error::Error;
pub use records::Problem;
pub use verify::{Expectations, VerifiedExport, verify};

use crate::encoding::{Digest, jcs, sha256};

/// The only version of the layout so far.
pub const VERSION: u64 = 1;
/// The largest export, in bytes.
pub const MAX_BYTES: usize = 2 << 30;
/// The most files in one.
pub const MAX_FILES: usize = 1 << 18;

/// Path of the manifest.
pub const MANIFEST: &str = "manifest.json";
/// Path of the verifier keys.
pub const VKEY: &str = "log/vkey";
/// Path of the checkpoint.
pub const CHECKPOINT: &str = "log/checkpoint";
/// Path of the checkpoint of the export before.
pub const PREVIOUS: &str = "log/checkpoint.prev";
/// Path of the consistency proof.
pub const CONSISTENCY: &str = "log/consistency";
/// What the paths of tiles begin with.
pub const LOG: &str = "log/";
/// Path of the attestation document.
pub const DOCUMENT: &str = "attest/0/document.json";
/// Path of the list of log keys.
pub const LOG_KEYS: &str = "attest/0/log-keys.json";
/// What the paths of schema files begin with.
pub const SCHEMA: &str = "schema/";
/// Path of the instructions.
pub const INSTRUCTIONS: &str = "VERIFY.md";
/// The instructions.
pub const INSTRUCTIONS_TEXT: &str = include_str!("VERIFY.md");

/// What was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`VERSION`].
    pub v: u64,
    /// Origin of the log.
    pub origin: String,
    /// Number of records.
    pub size: u64,
    /// Root over them, base64.
    pub root_b64: String,
    /// Number of records of the export before; 0 if there was none.
    pub prev_size: u64,
    /// When the export was made, Unix milliseconds.
    pub exported_ms: u64,
    /// SHA-256 of every other file, by path.
    pub files: BTreeMap<String, Digest>,
    /// The schema that the records follow.
    pub schema: String,
    /// Version of the program that made the export.
    pub app_version: String,
    /// What was measured of it, hex; null with the development TEE.
    pub measurement: Option<String>,
}

/// One line of `log-keys.json`: this log is signed by this key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogKey {
    /// Origin of the log.
    pub origin: String,
    /// Its verifier key, as [`crate::note::vkey`] writes it.
    pub vkey: String,
}

/// The bytes of `log-keys.json`: the JCS list, sorted by origin and key.
#[must_use]
pub fn log_keys_json(keys: &[LogKey]) -> Vec<u8> {
    let mut keys: Vec<&LogKey> = keys.iter().collect();
    keys.sort();
    jcs(&keys)
}

/// SHA-256 of [`log_keys_json`]: `log_keys_root` of the statement.
#[must_use]
pub fn log_keys_root(keys: &[LogKey]) -> Digest {
    sha256(&log_keys_json(keys))
}
