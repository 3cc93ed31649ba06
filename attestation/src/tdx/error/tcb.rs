//! Why a platform, module or quoting enclave is not one that Intel lists.

/// Why the platform's firmware is not one that Intel lists.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TcbError {
    /// The quoting enclave is signed by someone else.
    #[error("quoting enclave has the wrong signer")]
    QeMrSigner,
    /// It is another enclave of the same signer.
    #[error("quoting enclave has the wrong product id")]
    QeIsvProdId,
    /// It has other attributes, for example DEBUG.
    #[error("quoting enclave has attributes that its identity does not allow")]
    QeAttributes,
    /// It has other extended features.
    #[error("quoting enclave has a MISCSELECT that its identity does not allow")]
    QeMiscSelect,
    /// It is older than anything that Intel lists.
    #[error("quoting enclave is older than any listed TCB level")]
    QeUnsupported,
    /// The TDX module is of a line that Intel does not list.
    #[error("TDX module of version {0} is not listed in the TCB info")]
    ModuleUnknown(u8),
    /// The TDX module is signed by someone else.
    #[error("TDX module has the wrong signer")]
    ModuleMrSigner,
    /// The TDX module has other attributes.
    #[error("TDX module has attributes that the TCB info does not allow")]
    SeamAttributes,
    /// The TDX module is older than anything that Intel lists.
    #[error("TDX module is older than any listed TCB level")]
    ModuleUnsupported,
    /// The platform is older than anything that Intel lists.
    #[error("platform is older than any listed TCB level")]
    Unsupported,
    /// Intel knows that keys of platforms at this level are compromised.
    #[error("TCB level is revoked")]
    Revoked,
    /// The second verifier does not come to the same answer.
    #[error("dcap-qvl does not agree: {0}")]
    SecondOpinion(String),
}

impl TcbError {
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::QeMrSigner => "QE_MRSIGNER",
            Self::QeIsvProdId => "QE_ISVPRODID",
            Self::QeAttributes => "QE_ATTRIBUTES",
            Self::QeMiscSelect => "QE_MISCSELECT",
            Self::QeUnsupported => "QE_TCB_UNSUPPORTED",
            Self::ModuleUnknown(_) => "TDX_MODULE_UNKNOWN",
            Self::ModuleMrSigner => "TDX_MODULE_MRSIGNER",
            Self::SeamAttributes => "SEAM_ATTRIBUTES",
            Self::ModuleUnsupported => "TDX_MODULE_TCB_UNSUPPORTED",
            Self::Unsupported => "TCB_UNSUPPORTED",
            Self::Revoked => "TCB_REVOKED",
            Self::SecondOpinion(_) => "SECOND_OPINION",
        }
    }
}
