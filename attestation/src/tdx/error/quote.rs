//! Why a quote cannot be read, and which of its signatures is wrong.

use crate::check::ExitClass;

/// Why bytes are not a TDX quote that this build reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    /// Lengths that do not fit.
    #[error("quote is malformed: {0}")]
    Malformed(&'static str),
    /// Neither version 4 nor 5.
    #[error("quote version {0} is not supported")]
    Version(u16),
    /// Signed by something other than an ECDSA P-256 key.
    #[error("attestation key type {0} is not supported, only 2 (ECDSA P-256)")]
    AttestationKeyType(u16),
    /// Not a quote of a trust domain; 0 is SGX.
    #[error("TEE type {0:#x} is not TDX (0x81)")]
    TeeType(u32),
    /// Not made by Intel's quoting enclave.
    #[error("quote is not from Intel's quoting enclave")]
    Vendor,
    /// A body of a kind that this build does not know.
    #[error("body type {0} is not supported")]
    BodyType(u16),
    /// A body whose size is not that of its type.
    #[error("body of type {body_type} cannot have {size} bytes")]
    BodySize {
        /// The type.
        body_type: u16,
        /// The size that the quote claims.
        size: usize,
    },
    /// The outer certification data is not a QE report.
    #[error("certification data has type {0}, not 6 (QE report)")]
    CertificationType(u16),
    /// Something other than zeros follows.
    #[error("data follows the quote")]
    TrailingData,
}

impl QuoteError {
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "QUOTE_MALFORMED",
            Self::Version(_) => "QUOTE_VERSION",
            Self::AttestationKeyType(_) => "ATT_KEY_TYPE",
            Self::TeeType(_) => "TEE_TYPE",
            Self::Vendor => "QE_VENDOR",
            Self::BodyType(_) => "BODY_TYPE_UNSUPPORTED",
            Self::BodySize { .. } => "BODY_SIZE",
            Self::CertificationType(_) => "CERT_DATA_TYPE",
            Self::TrailingData => "TRAILING_DATA",
        }
    }

    pub(super) const fn class(&self) -> ExitClass {
        match self {
            Self::Malformed(_) | Self::BodySize { .. } | Self::TrailingData => ExitClass::Malformed,
            Self::Version(_)
            | Self::AttestationKeyType(_)
            | Self::TeeType(_)
            | Self::Vendor
            | Self::BodyType(_)
            | Self::CertificationType(_) => ExitClass::Unsupported,
        }
    }
}

/// Which signature in the quote is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The PCK did not sign the quoting enclave's report.
    #[error("signature of the QE report is wrong")]
    QeReport,
    /// The quoting enclave does not vouch for this attestation key.
    #[error("QE report does not vouch for the attestation key")]
    AttestationKeyBinding,
    /// The attestation key did not sign the TD report.
    #[error("signature of the quote is wrong")]
    Quote,
}

impl SignatureError {
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::QeReport => "QE_REPORT_SIGNATURE",
            Self::AttestationKeyBinding => "AK_BINDING",
            Self::Quote => "QUOTE_SIGNATURE",
        }
    }
}
