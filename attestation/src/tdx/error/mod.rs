//! Why TDX evidence is not true: one variant per check, each with its stage and a stable code.

mod chain;
mod collateral;
mod quote;
mod tcb;

pub use chain::{Certificate, ChainError};
pub use collateral::{CollateralError, Item};
pub use quote::{QuoteError, SignatureError};
pub use tcb::TcbError;

use crate::check::{ExitClass, Stage};

/// Why TDX evidence is not true, by stage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The quote has not the layout of a TDX quote.
    #[error(transparent)]
    Quote(#[from] QuoteError),
    /// A certificate does not chain to the pinned root.
    #[error("{0}: {1}")]
    Chain(Certificate, ChainError),
    /// A signature in the quote is wrong.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The collateral is not genuine, not current or not about this platform.
    #[error(transparent)]
    Collateral(#[from] CollateralError),
    /// The platform, module or quoting enclave is not one that Intel lists.
    #[error(transparent)]
    Tcb(#[from] TcbError),
    /// Bits 1 to 7 of TDATTRIBUTES are set.
    #[error("TD runs with debug or profiling attributes (bits 1 to 7)")]
    UnderDebug,
}

impl Error {
    /// The stable code of the reason.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Quote(error) => error.code(),
            Self::Chain(which, error) => error.code(*which),
            Self::Signature(error) => error.code(),
            Self::Collateral(error) => error.code(),
            Self::Tcb(error) => error.code(),
            Self::UnderDebug => "TD_ATTRIBUTES_RESERVED",
        }
    }

    /// The stage of the trust path at which it was refused.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        match self {
            Self::Quote(_) => Stage::Parse,
            Self::Chain(Certificate::Pck | Certificate::PckCa | Certificate::Root, _) => Stage::Chain,
            Self::Chain(Certificate::TcbSigner, _) | Self::Collateral(_) => Stage::Collateral,
            Self::Signature(_) => Stage::Signature,
            Self::Tcb(_) => Stage::Tcb,
            Self::UnderDebug => Stage::Policy,
        }
    }

    /// What kind of refusal it is.
    #[must_use]
    pub const fn class(&self) -> ExitClass {
        match self {
            Self::Quote(error) => error.class(),
            Self::Chain(which, error) => error.class(*which),
            Self::Collateral(error) => error.class(),
            Self::Signature(_) | Self::Tcb(_) | Self::UnderDebug => ExitClass::Rejected,
        }
    }
}
