//! Why SEV-SNP evidence is not true: one variant for each thing that can be wrong.

use crate::check::{ExitClass, Stage};

/// The certificate that an error speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The key that signed the report: a VCEK or a VLEK.
    Vek,
    /// The intermediate: an ASK, or an ASVK for VLEKs.
    Ask,
    /// The root.
    Ark,
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Vek => "VEK",
            Self::Ask => "ASK",
            Self::Ark => "ARK",
        })
    }
}

/// Why evidence is not true.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not exactly 1184 bytes.
    #[error("report has {0} bytes, not 1184")]
    ReportSize(usize),
    /// A version outside 2 to 5.
    #[error("report version {0} is not one of 2 to 5")]
    ReportVersion(u32),
    /// Not ECDSA P-384 with SHA-384.
    #[error("signature algorithm {0} is not 1 (ECDSA P-384 with SHA-384)")]
    SignatureAlgo(u32),
    /// The bytes behind the signature, which nothing protects, are not zero.
    #[error("bytes behind the signature are not zero")]
    UnsignedNonzero,
    /// A signed reserved field is not zero.
    #[error("reserved field at {offset:#05x} is not zero")]
    ReservedNonzero {
        /// Where in the report.
        offset: usize,
    },
    /// The report names no VCEK or VLEK as its signing key.
    #[error("signing key {0} is neither VCEK nor VLEK")]
    SigningKey(u8),

    /// No VCEK or VLEK came with the report.
    #[error("no VCEK or VLEK was supplied")]
    NoEndorsementKey,
    /// No intermediate was supplied, and none is compiled in for this issuer.
    #[error("no intermediate certificate was supplied, and none is compiled in for this root")]
    NoIntermediate,
    /// A certificate is too large, not DER, has trailing bytes, or is not of the expected profile.
    #[error("{role} is not a well-formed certificate: {what}")]
    Malformed {
        /// Which one.
        role: Role,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A certificate is signed with something else than RSASSA-PSS, SHA-384, MGF1 with SHA-384, salt 48.
    #[error("{0} is not signed with RSASSA-PSS, SHA-384 and a salt of 48 bytes")]
    SignatureParameters(Role),
    /// The root is none that is trusted.
    #[error("root certificate is none of the trusted ones")]
    RootUntrusted,
    /// The intermediate's issuer is not the root.
    #[error("ASK was not issued by the root")]
    AskIssuer,
    /// The intermediate's name is not one of this product line.
    #[error("ASK does not belong to the product of the root")]
    AskName,
    /// The intermediate may not issue certificates.
    #[error("ASK may not issue certificates")]
    AskNotCa,
    /// The root's signature on the intermediate is wrong.
    #[error("signature on the ASK is wrong")]
    AskSignature,
    /// The leaf's issuer is not the intermediate.
    #[error("VEK was not issued by the ASK")]
    VekIssuer,
    /// The intermediate's signature on the leaf is wrong.
    #[error("signature on the VEK is wrong")]
    VekSignature,
    /// A certificate is not valid yet.
    #[error("{role} is not valid before {not_before} (Unix seconds)")]
    NotYetValid {
        /// Which one.
        role: Role,
        /// From when it is.
        not_before: u64,
    },
    /// A certificate has expired.
    #[error("{role} expired at {not_after} (Unix seconds)")]
    Expired {
        /// Which one.
        role: Role,
        /// When.
        not_after: u64,
    },

    /// The revocation list is not one.
    #[error("revocation list is not well formed: {0}")]
    CrlMalformed(&'static str),
    /// The revocation list is not that of this root.
    #[error("revocation list was not issued by the root")]
    CrlIssuer,
    /// The root's signature on the revocation list is wrong.
    #[error("signature on the revocation list is wrong")]
    CrlSignature,
    /// The revocation list is not the one of this time.
    #[error("revocation list is valid from {this_update} to {next_update} (Unix seconds)")]
    CrlExpired {
        /// From when it is.
        this_update: u64,
        /// Until when it is.
        next_update: u64,
    },
    /// The root has revoked the intermediate.
    #[error("ASK has been revoked")]
    AskRevoked,

    /// A VCEK under a VLEK intermediate, or the other way round.
    #[error("VEK and ASK are not of one kind")]
    VekKind,
    /// The report says VCEK and the certificate VLEK, or the other way round.
    #[error("report was not signed by a key of the certificate's kind")]
    SigningKeyMismatch,
    /// The leaf's key is not an uncompressed point on P-384.
    #[error("VEK does not hold a P-384 key")]
    VekKeyType,
    /// An extension that this kind of leaf must have is missing.
    #[error("VEK lacks the extension 1.3.6.1.4.1.3704.1.{0}")]
    VekExtensionMissing(&'static str),
    /// An extension is there and cannot be right.
    #[error("VEK has a malformed extension 1.3.6.1.4.1.3704.1.{0}")]
    VekExtensionMalformed(&'static str),
    /// The leaf's product name is not that of the chain.
    #[error("product name in the VEK is not that of its chain")]
    ProductName,
    /// CPUID in the report is that of another product than the chain's.
    #[error("CPUID in the report is not that of the chain's product")]
    ProductMismatch,
    /// A processor, or a root, of no product that this build knows.
    #[error("product is not known to this build")]
    ProductUnknown,
    /// The leaf was issued for another TCB than the reported one.
    #[error("VEK was issued for another TCB than the reported one")]
    TcbCertMismatch,
    /// The leaf was issued for another chip.
    #[error("VEK was issued for another chip")]
    HwidMismatch,

    /// R or S is longer than 384 bits.
    #[error("signature of the report is not well formed")]
    SignatureEncoding,
    /// The signature on the report is wrong.
    #[error("signature on the report is wrong")]
    ReportSignature,

    /// The report was asked for by the host, or by a privilege level that does not exist.
    #[error("report was not requested by the guest (VMPL {0:#x})")]
    NotFromGuest(u32),
    /// Bit 17 of the guest policy is zero, or one of bits 26 to 63 is one.
    #[error("reserved bits of the guest policy are wrong")]
    PolicyReserved,
    /// The reported or the committed TCB is above the current one.
    #[error("reported or committed TCB is above the current one")]
    TcbInconsistent,
}

impl Error {
    /// The reason code, as in the published case sets.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ReportSize(_) => "REPORT_SIZE",
            Self::ReportVersion(_) => "REPORT_VERSION",
            Self::SignatureAlgo(_) => "SIGNATURE_ALGO",
            Self::UnsignedNonzero | Self::ReservedNonzero { .. } => "RESERVED_NONZERO",
            Self::SigningKey(_) => "SIGNING_KEY",
            Self::NoEndorsementKey | Self::NoIntermediate => "NO_ENDORSEMENT_KEY",
            Self::Malformed { role: Role::Vek, .. } => "VEK_MALFORMED",
            Self::Malformed { role: Role::Ask, .. }
            | Self::AskIssuer
            | Self::AskName
            | Self::AskNotCa
            | Self::AskSignature => "ASK_SIGNATURE",
            Self::Malformed { role: Role::Ark, .. } | Self::RootUntrusted => "ROOT_UNTRUSTED",
            Self::SignatureParameters(_) => "CERT_SIG_ALG",
            Self::VekIssuer | Self::VekSignature => "VEK_CHAIN_SIGNATURE",
            Self::NotYetValid { role: Role::Vek, .. } => "VEK_NOT_YET_VALID",
            Self::NotYetValid { role: Role::Ask, .. } => "ASK_NOT_YET_VALID",
            Self::NotYetValid { role: Role::Ark, .. } => "ARK_NOT_YET_VALID",
            Self::Expired { role: Role::Vek, .. } => "VEK_EXPIRED",
            Self::Expired { role: Role::Ask, .. } => "ASK_EXPIRED",
            Self::Expired { role: Role::Ark, .. } => "ARK_EXPIRED",
            Self::CrlMalformed(_) | Self::CrlSignature => "CRL_SIGNATURE",
            Self::CrlIssuer => "CRL_ISSUER",
            Self::CrlExpired { .. } => "CRL_EXPIRED",
            Self::AskRevoked => "ASK_REVOKED",
            Self::VekKind | Self::SigningKeyMismatch => "SIGNING_KEY_MISMATCH",
            Self::VekKeyType => "VEK_KEY_TYPE",
            Self::VekExtensionMissing(_) => "VEK_EXT_MISSING",
            Self::VekExtensionMalformed(_) => "VEK_EXT_MALFORMED",
            Self::ProductName => "PRODUCT_NAME",
            Self::ProductMismatch => "PRODUCT_MISMATCH",
            Self::ProductUnknown => "PRODUCT_UNKNOWN",
            Self::TcbCertMismatch => "TCB_CERT_MISMATCH",
            Self::HwidMismatch => "HWID_MISMATCH",
            Self::SignatureEncoding | Self::ReportSignature => "REPORT_SIGNATURE",
            Self::NotFromGuest(_) => "VMPL",
            Self::PolicyReserved => "POLICY_RESERVED",
            Self::TcbInconsistent => "TCB_INCONSISTENT",
        }
    }

    /// Where the evidence failed.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        match self {
            Self::ReportSize(_)
            | Self::ReportVersion(_)
            | Self::SignatureAlgo(_)
            | Self::UnsignedNonzero
            | Self::ReservedNonzero { .. } => Stage::Parse,
            Self::SignatureEncoding | Self::ReportSignature => Stage::Signature,
            Self::NotFromGuest(_) | Self::PolicyReserved | Self::TcbInconsistent => Stage::Policy,
            Self::SigningKey(_)
            | Self::NoEndorsementKey
            | Self::NoIntermediate
            | Self::Malformed { .. }
            | Self::SignatureParameters(_)
            | Self::RootUntrusted
            | Self::AskIssuer
            | Self::AskName
            | Self::AskNotCa
            | Self::AskSignature
            | Self::VekIssuer
            | Self::VekSignature
            | Self::NotYetValid { .. }
            | Self::Expired { .. }
            | Self::CrlMalformed(_)
            | Self::CrlIssuer
            | Self::CrlSignature
            | Self::CrlExpired { .. }
            | Self::AskRevoked
            | Self::VekKind
            | Self::SigningKeyMismatch
            | Self::VekKeyType
            | Self::VekExtensionMissing(_)
            | Self::VekExtensionMalformed(_)
            | Self::ProductName
            | Self::ProductMismatch
            | Self::ProductUnknown
            | Self::TcbCertMismatch
            | Self::HwidMismatch => Stage::Chain,
        }
    }

    /// What kind of refusal it is.
    #[must_use]
    pub const fn class(&self) -> ExitClass {
        match self {
            Self::ReportVersion(_) | Self::SignatureAlgo(_) | Self::ProductUnknown => ExitClass::Unsupported,
            Self::NoEndorsementKey | Self::NoIntermediate | Self::Expired { .. } | Self::CrlExpired { .. } => {
                ExitClass::Collateral
            }
            Self::ReportSize(_)
            | Self::UnsignedNonzero
            | Self::ReservedNonzero { .. }
            | Self::Malformed { .. }
            | Self::CrlMalformed(_) => ExitClass::Malformed,
            Self::SigningKey(_)
            | Self::SignatureParameters(_)
            | Self::RootUntrusted
            | Self::AskIssuer
            | Self::AskName
            | Self::AskNotCa
            | Self::AskSignature
            | Self::VekIssuer
            | Self::VekSignature
            | Self::NotYetValid { .. }
            | Self::CrlIssuer
            | Self::CrlSignature
            | Self::AskRevoked
            | Self::VekKind
            | Self::SigningKeyMismatch
            | Self::VekKeyType
            | Self::VekExtensionMissing(_)
            | Self::VekExtensionMalformed(_)
            | Self::ProductName
            | Self::ProductMismatch
            | Self::TcbCertMismatch
            | Self::HwidMismatch
            | Self::SignatureEncoding
            | Self::ReportSignature
            | Self::NotFromGuest(_)
            | Self::PolicyReserved
            | Self::TcbInconsistent => ExitClass::Rejected,
        }
    }
}
