//! Why a certificate does not chain to the pinned root.

use crate::check::ExitClass;
use crate::tdx::x509::Malformed;

/// One of the certificates that TDX evidence rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificate {
    /// The platform's provisioning certification key.
    Pck,
    /// Intel's CA for such keys.
    PckCa,
    /// Intel's signer of TCB info and QE identity.
    TcbSigner,
    /// Intel's root.
    Root,
}

impl std::fmt::Display for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pck => "PCK certificate",
            Self::PckCa => "certificate of the PCK CA",
            Self::TcbSigner => "certificate of the TCB signer",
            Self::Root => "root certificate",
        })
    }
}

/// Why a certificate does not chain to the pinned root as it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The quote conveys it in a way that cannot be followed.
    #[error("certification data of type {0} does not convey a chain")]
    CertificationType(u16),
    /// A chain that is no PEM of certificates.
    #[error("chain is not PEM: {0}")]
    Pem(&'static str),
    /// A certificate that is not as Intel issues them.
    #[error("malformed: {0}")]
    Malformed(Malformed),
    /// Too few or too many certificates.
    #[error("chain of {0} certificates")]
    Length(usize),
    /// The chain ends in another root than the pinned one.
    #[error("chain does not end in the pinned root")]
    RootUntrusted,
    /// Names in the chain do not follow each other, or are not Intel's.
    #[error("names are not those of Intel's hierarchy")]
    Names,
    /// Something is used as a CA that is none, or the other way around.
    #[error("wrong CA constraints")]
    NotCa,
    /// Its issuer did not sign it.
    #[error("wrong signature")]
    Signature,
    /// Before its time.
    #[error("not yet valid")]
    NotYetValid,
    /// After its time.
    #[error("expired")]
    Expired,
    /// Intel's SGX extension is missing, or a part of it.
    #[error("SGX extension: {0}")]
    SgxExtension(&'static str),
}

impl ChainError {
    pub(super) const fn code(&self, which: Certificate) -> &'static str {
        match (self, which) {
            (Self::CertificationType(_), _) => "CERT_DATA_TYPE",
            (Self::Pem(_) | Self::Malformed(_), Certificate::TcbSigner) => "COLLATERAL_MALFORMED",
            (Self::Pem(_) | Self::Malformed(_), _) => "QUOTE_MALFORMED",
            (Self::Length(_) | Self::Names, Certificate::TcbSigner) => "TCB_SIGNER",
            (Self::Length(_), _) => "CHAIN_LENGTH",
            (Self::RootUntrusted, _) => "ROOT_UNTRUSTED",
            (Self::Names | Self::Signature, _) => "CHAIN_SIGNATURE",
            (Self::NotCa, _) => "CHAIN_NOT_CA",
            (Self::NotYetValid, _) => "CERT_NOT_YET_VALID",
            (Self::Expired, _) => "CERT_EXPIRED",
            (Self::SgxExtension(_), _) => "PCK_EXTENSION",
        }
    }

    pub(super) const fn class(&self, which: Certificate) -> ExitClass {
        match (self, which) {
            (Self::Pem(_) | Self::Malformed(_), _) => ExitClass::Malformed,
            (Self::CertificationType(_), _) => ExitClass::Unsupported,
            (Self::NotYetValid | Self::Expired, Certificate::TcbSigner) => ExitClass::Collateral,
            (
                Self::Length(_)
                | Self::RootUntrusted
                | Self::Names
                | Self::NotCa
                | Self::Signature
                | Self::NotYetValid
                | Self::Expired
                | Self::SgxExtension(_),
                _,
            ) => ExitClass::Rejected,
        }
    }
}
