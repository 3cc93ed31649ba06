//! Is this TDX evidence true? Attestation notes, section 2.2.
//!
//! [`verify`] is the only maker of [`Verified`]. It is pure: quote, collateral, root and time are arguments. It says
//! what is true of the platform and the TD; whether that is *wanted* is for `cloister-policies` to judge, with one
//! exception: a TD with debug or profiling attributes other than DEBUG itself (bits 1 to 7) is never evidence.
//!
//! Order: layout, certificate chain, signatures, collateral, TCB. Without collateral everything after the signatures is
//! not done, and not done is never a pass: [`Verified::tcb`] is then none.
//!
//! Every quote that is accepted with collateral is also put before `dcap-qvl`, which must agree.

mod chain;
mod collateral;
mod error;
mod opinion;
mod plan;
mod platform;
mod published;
mod quote;
mod report;
mod signatures;
mod tcb;
mod validity;
mod verified;
mod verify;
mod x509;

pub(crate) use plan::PLAN;

pub use collateral::{Collateral, HexBytes, MAX_COLLATERAL_BYTES};
pub use error::{Certificate, ChainError, CollateralError, Error, Item, QuoteError, SignatureError, TcbError};
pub use platform::{PckCa, Platform};
pub use quote::{Certification, Header, MAX_QUOTE_BYTES, Quote};
pub use report::{Measurement, TD10_BYTES, TD15_BYTES, TD15_EX_BYTES, Td15, Td15Extended, TdAttributes, TdReport};
pub use tcb::{QuotingEnclave, TcbStatus, TcbVerdict};
pub use validity::Validity;
pub use verified::{Evidence, Roots, Verified};
pub use verify::verify;
pub use x509::Malformed;
