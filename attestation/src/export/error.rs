//! Every way in which an export can be untrue.

use super::archive;
use super::records::Problem;
use crate::check::ExitClass;
use crate::{note, tlog};

/// Why an export is not true.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not an archive of plain files.
    #[error("{0}")]
    Archive(archive::Error),
    /// A file that every export has is not there.
    #[error("{0} is missing")]
    MissingFile(&'static str),
    /// `manifest.json` is not one, or not canonical.
    #[error("manifest is not well formed")]
    Manifest,
    /// A version that this build does not know.
    #[error("export version {0} is not supported")]
    Version(u64),
    /// A file has another digest than the manifest says, or is missing.
    #[error("{0} is not the file that the manifest names")]
    Digest(String),
    /// A file that the manifest does not name, or that no export has.
    #[error("{0} does not belong into the export")]
    UnexpectedFile(String),
    /// A field of the manifest is not what the checkpoint says.
    #[error("manifest and checkpoint differ in {0}")]
    ManifestDiffers(&'static str),
    /// No document in the export and none from elsewhere.
    #[error("nothing attests the key of the log")]
    NoEvidence,
    /// The document is not true.
    #[error("attestation document: {0}")]
    Evidence(crate::verify::Error),
    /// The export claims to come from the future.
    #[error("export claims to be made after the time of verification")]
    Future,
    /// `log-keys.json` is not a canonical list of keys, or not the one that the statement names.
    #[error("list of log keys is not the one that the statement names")]
    LogKeys,
    /// A line of `log/vkey` is not a key.
    #[error("key of the log: {0}")]
    Vkey(note::Error),
    /// A key of `log/vkey` is not attested for this log.
    #[error("key of the log is not attested")]
    KeyNotAttested,
    /// The checkpoint is not signed by the log.
    #[error("checkpoint: {0}")]
    Checkpoint(note::Error),
    /// An entry bundle is missing, is cut off, or has too many or too few entries.
    #[error("{0} does not have the entries that it should")]
    Bundle(String),
    /// The records have another root than the checkpoint.
    #[error("records do not have the root that the checkpoint signs")]
    Root,
    /// A hash tile is missing or is not that of the records.
    #[error("{0} is not the tile of the records")]
    Tile(String),
    /// The checkpoint of the export before is not signed by the log.
    #[error("checkpoint of the export before: {0}")]
    Previous(note::Error),
    /// The log of the export before is not a prefix of this one.
    #[error("log is not a continuation of the export before: {0}")]
    Consistency(tlog::Error),
    /// The auditor's own checkpoint is not one of this log.
    #[error("saved checkpoint: {0}")]
    Saved(note::Error),
    /// The auditor has seen more of the log than there is now.
    #[error("log has {size} records, the saved checkpoint has {saved}")]
    RolledBack {
        /// Records in the saved checkpoint.
        saved: u64,
        /// Records in the export.
        size: u64,
    },
    /// The auditor has seen another history.
    #[error("log has another history than the saved checkpoint")]
    Forked,
    /// A record breaks a rule.
    #[error("record {index}: {problem}")]
    Record {
        /// Which.
        index: u64,
        /// How.
        problem: Problem,
    },
}

impl Error {
    /// What kind of refusal it is.
    #[must_use]
    pub const fn class(&self) -> ExitClass {
        match self {
            Self::Archive(_) | Self::MissingFile(_) | Self::Manifest => ExitClass::Malformed,
            Self::Version(_) => ExitClass::Unsupported,
            Self::NoEvidence => ExitClass::Collateral,
            Self::Evidence(error) => error.class(),
            Self::Digest(_)
            | Self::UnexpectedFile(_)
            | Self::ManifestDiffers(_)
            | Self::Future
            | Self::LogKeys
            | Self::Vkey(_)
            | Self::KeyNotAttested
            | Self::Checkpoint(_)
            | Self::Bundle(_)
            | Self::Root
            | Self::Tile(_)
            | Self::Previous(_)
            | Self::Consistency(_)
            | Self::Saved(_)
            | Self::RolledBack { .. }
            | Self::Forked
            | Self::Record { .. } => ExitClass::Rejected,
        }
    }
}
