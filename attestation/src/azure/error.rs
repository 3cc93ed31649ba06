//! Why evidence of an Azure guest is not true.

use super::ReportKind;
use crate::check::{ExitClass, Stage};
use crate::{snp, tdx};

/// Why evidence is not true.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The container of the hardware report is not one.
    #[error("HCL report is malformed: {0}")]
    Hcl(&'static str),
    /// The container holds a report of another kind.
    #[error("HCL report holds a report of the kind {}, not {}", .found.name(), .wanted.name())]
    Kind {
        /// In the container.
        found: ReportKind,
        /// What was to be verified.
        wanted: ReportKind,
    },
    /// The SEV-SNP report is not true.
    #[error("{0}")]
    Snp(snp::Error),
    /// The TDX quote is not true.
    #[error("{0}")]
    Tdx(tdx::Error),
    /// The hardware report does not speak of the runtime data.
    #[error("hardware report does not speak of the runtime data")]
    RuntimeDataHash,
    /// The runtime data is malformed, or names no usable attestation key.
    #[error("runtime data is malformed: {0}")]
    RuntimeData(&'static str),
    /// The TPM's quote is not one.
    #[error("TPM quote is malformed: {0}")]
    Quote(&'static str),
    /// The signature on the quote is wrong.
    #[error("signature on the TPM quote is wrong")]
    QuoteSignature,
    /// The quote answers another nonce.
    #[error("TPM quote does not answer the nonce that was sent")]
    Nonce,
    /// The register values are not those that the quote speaks of.
    #[error("registers are not those that the TPM quote speaks of")]
    PcrDigest,
}

impl Error {
    /// The reason code, as in the published case sets.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Hcl(_) | Self::Kind { .. } => "HCL_MALFORMED",
            Self::Snp(error) => error.code(),
            Self::Tdx(error) => error.code(),
            Self::RuntimeDataHash => "VAR_DATA_HASH",
            Self::RuntimeData(_) => "VAR_DATA_MALFORMED",
            Self::Quote(_) => "TPM_QUOTE_MALFORMED",
            Self::QuoteSignature => "TPM_QUOTE_SIGNATURE",
            Self::Nonce => "TPM_NONCE",
            Self::PcrDigest => "PCR_DIGEST",
        }
    }

    /// Where the evidence failed.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        match self {
            Self::Hcl(_) | Self::Kind { .. } | Self::Quote(_) => Stage::Parse,
            Self::Snp(error) => error.stage(),
            Self::Tdx(error) => error.stage(),
            Self::RuntimeDataHash | Self::RuntimeData(_) | Self::Nonce | Self::PcrDigest => Stage::Binding,
            Self::QuoteSignature => Stage::Signature,
        }
    }

    /// What kind of refusal it is.
    #[must_use]
    pub const fn class(&self) -> ExitClass {
        match self {
            Self::Hcl(_) | Self::RuntimeData(_) | Self::Quote(_) => ExitClass::Malformed,
            Self::Kind { .. } => ExitClass::Unsupported,
            Self::Snp(error) => error.class(),
            Self::Tdx(error) => error.class(),
            Self::RuntimeDataHash | Self::QuoteSignature | Self::Nonce | Self::PcrDigest => ExitClass::Rejected,
        }
    }
}
