//! Why collateral cannot be relied upon.

use crate::check::ExitClass;

/// Something with a validity that Intel publishes and renews.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// TCB info of the platform's model.
    TcbInfo,
    /// Identity of the quoting enclave.
    QeIdentity,
    /// Revocation list of the PCK CA.
    PckCrl,
    /// Revocation list of the root.
    RootCrl,
}

impl std::fmt::Display for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TcbInfo => "TCB info",
            Self::QeIdentity => "QE identity",
            Self::PckCrl => "revocation list of the PCK CA",
            Self::RootCrl => "revocation list of the root",
        })
    }
}

/// Why the collateral cannot be relied upon for this quote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CollateralError {
    /// A part that cannot be read.
    #[error("collateral is malformed: {0}")]
    Malformed(&'static str),
    /// A version that this build does not know.
    #[error("{0} has version {1}, which is not supported")]
    Version(Item, u64),
    /// Made for something other than TDX.
    #[error("{0} is not for TDX")]
    Id(Item),
    /// The signer of TCB info or QE identity has been revoked.
    #[error("TCB signer has been revoked")]
    SignerRevoked,
    /// Not signed by its signer.
    #[error("signature of the {0} is wrong")]
    Signature(Item),
    /// From the future.
    #[error("{0} is not yet valid")]
    NotYetValid(Item),
    /// Too old.
    #[error("{0} has expired")]
    Expired(Item),
    /// A revocation list that says nothing about this certificate.
    #[error("{0} is not that of the certificate's issuer")]
    RevocationUnknown(Item),
    /// The platform's key has been revoked.
    #[error("PCK certificate has been revoked")]
    PckRevoked,
    /// The CA of the platform's key has been revoked.
    #[error("PCK CA has been revoked")]
    IntermediateRevoked,
    /// TCB info of another model of platform.
    #[error("TCB info is for another model of platform (FMSPC)")]
    Fmspc,
    /// TCB info for another provisioning certification enclave.
    #[error("TCB info is for another provisioning certification enclave (PCE id)")]
    PceId,
}

impl CollateralError {
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "COLLATERAL_MALFORMED",
            Self::Version(..) => "COLLATERAL_VERSION",
            Self::Id(_) => "COLLATERAL_ID_MISMATCH",
            Self::SignerRevoked => "TCB_SIGNER",
            Self::Signature(Item::TcbInfo) => "TCB_INFO_SIGNATURE",
            Self::Signature(Item::QeIdentity) => "QE_IDENTITY_SIGNATURE",
            Self::Signature(Item::PckCrl) => "PCK_CRL_SIGNATURE",
            Self::Signature(Item::RootCrl) => "ROOT_CRL_SIGNATURE",
            Self::NotYetValid(Item::TcbInfo) => "TCB_INFO_NOT_YET_VALID",
            Self::NotYetValid(Item::QeIdentity) => "QE_IDENTITY_NOT_YET_VALID",
            Self::NotYetValid(Item::PckCrl) => "PCK_CRL_NOT_YET_VALID",
            Self::NotYetValid(Item::RootCrl) => "ROOT_CRL_NOT_YET_VALID",
            Self::Expired(Item::TcbInfo) => "TCB_INFO_EXPIRED",
            Self::Expired(Item::QeIdentity) => "QE_IDENTITY_EXPIRED",
            Self::Expired(Item::PckCrl) => "PCK_CRL_EXPIRED",
            Self::Expired(Item::RootCrl) => "ROOT_CRL_EXPIRED",
            Self::RevocationUnknown(_) => "REVOCATION_UNKNOWN",
            Self::PckRevoked => "PCK_REVOKED",
            Self::IntermediateRevoked => "INTERMEDIATE_REVOKED",
            Self::Fmspc => "FMSPC_MISMATCH",
            Self::PceId => "PCEID_MISMATCH",
        }
    }

    pub(super) const fn class(&self) -> ExitClass {
        match self {
            Self::Malformed(_) => ExitClass::Malformed,
            Self::Version(..) => ExitClass::Unsupported,
            Self::NotYetValid(_) | Self::Expired(_) => ExitClass::Collateral,
            Self::Id(_)
            | Self::SignerRevoked
            | Self::Signature(_)
            | Self::RevocationUnknown(_)
            | Self::PckRevoked
            | Self::IntermediateRevoked
            | Self::Fmspc
            | Self::PceId => ExitClass::Rejected,
        }
    }
}
