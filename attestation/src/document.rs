//! The attestation document: what `GET /.well-known/cloister/attestation` answers (design, section 3).
//!
//! Parsing says only that the bytes have the right shape. [`crate::verify()`] says whether they are true.

use serde::{Deserialize, Serialize};

use crate::encoding::{Base64, Hex};
use crate::statement::{self, NULL_NONCE, Statement};

/// The value of `format`.
pub const FORMAT: &str = "cloister/attestation-document/v1";
/// The largest document that is looked at, in bytes. Collateral of real hardware takes about 40 KiB.
pub const MAX_BYTES: usize = 512 * 1024;
/// The largest report inside it, in bytes.
pub const MAX_REPORT_BYTES: usize = 64 * 1024;

/// Why bytes are not an attestation document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// More than [`MAX_BYTES`].
    #[error("attestation document is larger than {MAX_BYTES} bytes")]
    TooLarge,
    /// Not JSON, or not of the right shape. Line and column only: the content may be anybody's.
    #[error("attestation document is not well formed at line {line}, column {column}")]
    Json {
        /// Where, counted from 1.
        line: usize,
        /// Where, counted from 1.
        column: usize,
    },
    /// Another format than [`FORMAT`].
    #[error("attestation document has an unknown format")]
    Format,
    /// The statement in it is out of bounds.
    #[error("{0}")]
    Statement(statement::Error),
    /// A nonce of 32 zero bytes, which is how *no nonce* is hashed.
    #[error("a nonce of all zero bytes is not allowed")]
    ZeroNonce,
    /// A report of more than [`MAX_REPORT_BYTES`].
    #[error("evidence report is larger than {MAX_REPORT_BYTES} bytes")]
    ReportTooLarge,
}

/// A kind of evidence. The names are those of `evidence.tee`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Tee {
    /// No hardware: a key made at start. Proves nothing about who can read memory.
    #[serde(rename = "development")]
    Development,
    /// AMD SEV-SNP.
    #[serde(rename = "sev-snp")]
    SevSnp,
    /// Intel TDX.
    #[serde(rename = "tdx")]
    Tdx,
}

impl Tee {
    /// The name in `evidence.tee`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::SevSnp => "sev-snp",
            Self::Tdx => "tdx",
        }
    }

    /// The kind of that name, if we know it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Development, Self::SevSnp, Self::Tdx].into_iter().find(|tee| tee.name() == name)
    }

    /// Whether memory is protected by hardware.
    #[must_use]
    pub const fn is_hardware(self) -> bool {
        !matches!(self, Self::Development)
    }
}

/// An attestation document as it crosses the wire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// [`FORMAT`].
    pub format: String,
    /// The caller's nonce; null in the cached form, which is not fresh.
    pub nonce: Option<Hex<32>>,
    /// What the appliance says about itself.
    pub statement: Statement,
    /// What the hardware says about the appliance.
    pub evidence: Evidence,
    /// Certificates and revocation lists, by name; empty for the development TEE.
    pub collateral: serde_json::Map<String, serde_json::Value>,
}

/// What the hardware says about the appliance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// A [`Tee`] name; other names parse, so that they can be reported as unsupported.
    pub tee: String,
    /// The report, in the TEE's own binary layout.
    pub report: Base64,
}

impl Document {
    /// Puts a document together.
    #[must_use]
    pub fn new(nonce: Option<[u8; 32]>, statement: Statement, tee: Tee, report: Vec<u8>) -> Self {
        Self {
            format: FORMAT.to_owned(),
            nonce: nonce.map(Hex),
            statement,
            evidence: Evidence { tee: tee.name().to_owned(), report: Base64(report) },
            collateral: serde_json::Map::new(),
        }
    }

    /// Reads a document and checks its shape and bounds, not its truth.
    ///
    /// # Errors
    ///
    /// One variant per way of being malformed.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_BYTES {
            return Err(Error::TooLarge);
        }
        let document: Self = serde_json::from_slice(bytes)
            .map_err(|error| Error::Json { line: error.line(), column: error.column() })?;
        if document.format != FORMAT {
            return Err(Error::Format);
        }
        document.statement.check().map_err(Error::Statement)?;
        if document.nonce == Some(Hex(NULL_NONCE)) {
            return Err(Error::ZeroNonce);
        }
        if document.evidence.report.0.len() > MAX_REPORT_BYTES {
            return Err(Error::ReportTooLarge);
        }
        Ok(document)
    }

    /// The nonce that `report_data` is computed with: 32 zero bytes when the document has none.
    #[must_use]
    pub fn effective_nonce(&self) -> [u8; 32] {
        self.nonce.map_or(NULL_NONCE, |nonce| nonce.0)
    }
}
