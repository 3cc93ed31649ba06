//! The attestation document: what `GET /.well-known/cloister/attestation` answers (design, section 3).
//!
//! Parsing says only that the bytes have the right shape. [`crate::verify()`] says whether they are true.
//!
//! | `evidence.tee` | `evidence.report` | further members of `evidence` |
//! |---|---|---|
//! | `development` | that of [`crate::development`] | |
//! | `sev-snp` | the report, 1184 bytes | |
//! | `tdx` | the quote | |
//! | `az-snp` | Azure's HCL report | `tpm_quote` |
//! | `az-tdx` | Azure's HCL report | `quote`, the TDX quote; `tpm_quote` |
//!
//! On Azure the hardware's `report_data` belongs to the paravisor, so the statement is bound by the virtual TPM: the
//! caller's data in `tpm_quote` is the SHA-256 of what `report_data` would be elsewhere (32 bytes, as every TPM takes).

mod collateral;

use serde::{Deserialize, Serialize};

pub use collateral::{Collateral, SnpCollateral};

use crate::azure::TpmQuote;
use crate::encoding::{Base64, Hex, present};
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
    /// A report, or a quote beside it, of more than [`MAX_REPORT_BYTES`].
    #[error("evidence report is larger than {MAX_REPORT_BYTES} bytes")]
    ReportTooLarge,
    /// Evidence of this kind needs this member.
    #[error("evidence lacks the member {0}")]
    MissingMember(&'static str),
    /// Evidence of this kind has no such member.
    #[error("evidence has the member {0}, which does not belong to its kind")]
    ForeignMember(&'static str),
    /// The collateral is not that of this kind of evidence.
    #[error("collateral is not that of evidence of the kind {0}")]
    Collateral(&'static str),
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
    /// AMD SEV-SNP on Azure, below Microsoft's paravisor.
    #[serde(rename = "az-snp")]
    AzSnp,
    /// Intel TDX on Azure, below Microsoft's paravisor.
    #[serde(rename = "az-tdx")]
    AzTdx,
}

impl Tee {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Development, Self::SevSnp, Self::Tdx, Self::AzSnp, Self::AzTdx];

    /// The name in `evidence.tee`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::SevSnp => "sev-snp",
            Self::Tdx => "tdx",
            Self::AzSnp => "az-snp",
            Self::AzTdx => "az-tdx",
        }
    }

    /// The kind of that name, if we know it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tee| tee.name() == name)
    }

    /// Whether evidence of this kind speaks of hardware. Whether it does so truly is for [`crate::verify()`] to say.
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
    /// Certificates, revocation lists and the like, by name: see [`Collateral`].
    #[serde(deserialize_with = "collateral::unique")]
    pub collateral: serde_json::Map<String, serde_json::Value>,
}

/// What the hardware says about the appliance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// A [`Tee`] name; other names parse, so that they can be reported as unsupported.
    pub tee: String,
    /// The report, in the TEE's own binary layout; on Azure the HCL report.
    pub report: Base64,
    /// `az-tdx` only: the TDX quote, which stands for the `TDREPORT` inside the HCL report.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub quote: Option<Base64>,
    /// Azure only: what the virtual TPM says, over the hash of what `report_data` would be.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub tpm_quote: Option<TpmQuote>,
}

impl Evidence {
    /// Evidence that is one report.
    #[must_use]
    pub fn new(tee: Tee, report: Vec<u8>) -> Self {
        Self { tee: tee.name().to_owned(), report: Base64(report), quote: None, tpm_quote: None }
    }

    /// Evidence of an SEV-SNP guest on Azure.
    #[must_use]
    pub fn azure_snp(hcl_report: Vec<u8>, tpm_quote: TpmQuote) -> Self {
        Self { tpm_quote: Some(tpm_quote), ..Self::new(Tee::AzSnp, hcl_report) }
    }

    /// Evidence of a TDX guest on Azure.
    #[must_use]
    pub fn azure_tdx(hcl_report: Vec<u8>, quote: Vec<u8>, tpm_quote: TpmQuote) -> Self {
        Self { quote: Some(Base64(quote)), tpm_quote: Some(tpm_quote), ..Self::new(Tee::AzTdx, hcl_report) }
    }

    /// That it has the members of its kind and no others. A kind that we do not know may have any that we know.
    fn check_members(&self) -> Result<(), Error> {
        let Some(tee) = Tee::from_name(&self.tee) else { return Ok(()) };
        let members = [
            ("quote", self.quote.is_some(), tee == Tee::AzTdx),
            ("tpm_quote", self.tpm_quote.is_some(), matches!(tee, Tee::AzSnp | Tee::AzTdx)),
        ];
        for (name, has, needs) in members {
            match (has, needs) {
                (false, true) => return Err(Error::MissingMember(name)),
                (true, false) => return Err(Error::ForeignMember(name)),
                (true, true) | (false, false) => {}
            }
        }
        Ok(())
    }
}

impl Document {
    /// Puts a document together.
    #[must_use]
    pub fn new(
        nonce: Option<[u8; 32]>,
        statement: Statement,
        evidence: Evidence,
        collateral: serde_json::Map<String, serde_json::Value>,
    ) -> Self {
        Self { format: FORMAT.to_owned(), nonce: nonce.map(Hex), statement, evidence, collateral }
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
        let Evidence { report, quote, .. } = &document.evidence;
        if report.0.len() > MAX_REPORT_BYTES || quote.as_ref().is_some_and(|quote| quote.0.len() > MAX_REPORT_BYTES) {
            return Err(Error::ReportTooLarge);
        }
        document.evidence.check_members()?;
        document.read_collateral()?;
        Ok(document)
    }

    /// The collateral, in the shape of its kind; none for a kind that we do not know.
    ///
    /// # Errors
    ///
    /// [`Error::Collateral`].
    pub fn read_collateral(&self) -> Result<Collateral, Error> {
        match Tee::from_name(&self.evidence.tee) {
            Some(tee) => Collateral::read(tee, &self.collateral),
            None => Ok(Collateral::None),
        }
    }

    /// The nonce that `report_data` is computed with: 32 zero bytes when the document has none.
    #[must_use]
    pub fn effective_nonce(&self) -> [u8; 32] {
        self.nonce.map_or(NULL_NONCE, |nonce| nonce.0)
    }
}
