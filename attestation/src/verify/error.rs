//! Why a document is not true: one variant per check, or the error of the evidence in it.

use crate::check::ExitClass;
use crate::{azure, development, document, snp, tdx};

/// Why a document is not true.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not a document.
    #[error("{0}")]
    Document(document::Error),
    /// Evidence of a kind that this build cannot verify.
    #[error("evidence of this kind cannot be verified by this build")]
    UnsupportedTee,
    /// The document has no nonce, or another one.
    #[error("document does not carry the nonce that was sent")]
    Nonce,
    /// The report is not that of a development TEE.
    #[error("{0}")]
    Development(development::Error),
    /// The SEV-SNP report is not true.
    #[error("{0}")]
    Snp(snp::Error),
    /// The TDX quote is not true.
    #[error("{0}")]
    Tdx(tdx::Error),
    /// The evidence of the guest on Azure is not true.
    #[error("{0}")]
    Azure(azure::Error),
    /// The report speaks of another statement or nonce.
    #[error("report does not speak of this statement and nonce")]
    ReportData,
    /// The statement has expired.
    #[error("statement expired at {not_after} (Unix milliseconds)")]
    Expired {
        /// When.
        not_after: u64,
    },
    /// The statement lacks a key, or names one wrongly.
    #[error("statement has no {0} key, or names one wrongly")]
    Keys(&'static str),
    /// The evidence is tied to another connection, or to none.
    #[error("evidence is not tied to this connection")]
    Channel,
}

impl Error {
    /// What kind of refusal it is.
    #[must_use]
    pub const fn class(&self) -> ExitClass {
        match self {
            Self::Document(_) => ExitClass::Malformed,
            Self::UnsupportedTee => ExitClass::Unsupported,
            Self::Snp(error) => error.class(),
            Self::Tdx(error) => error.class(),
            Self::Azure(error) => error.class(),
            Self::Nonce
            | Self::Development(_)
            | Self::ReportData
            | Self::Expired { .. }
            | Self::Keys(_)
            | Self::Channel => ExitClass::Rejected,
        }
    }
}
