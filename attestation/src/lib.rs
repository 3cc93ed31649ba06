//! Is this evidence, receipt or log true? Bytes and a time go in, a verdict comes out.
//!
//! The crate does no I/O, reads no clock and keeps no state, so that a browser, an air-gapped auditor and a fuzzer can
//! all run the same code. It says what is cryptographically true; whether to *accept* it is judged by
//! `cloister-policies`. It refuses to guess: a check that could not be made is reported as not done, never as passed.
//!
//! ```
//! use cloister_attestation::tlog::{self, MemoryTree};
//!
//! let leaves: Vec<tlog::Hash> = (0..5u8).map(|i| tlog::leaf_hash(&[i])).collect();
//! let tree = MemoryTree::from_leaves(&leaves);
//! let proof = tlog::prove_inclusion(&tree, 3, 5).expect("3 < 5");
//! tlog::verify_inclusion(&proof, 3, 5, &leaves[3], &tlog::root(&leaves)).expect("a proof that was just made");
//! ```

pub mod aci;
pub mod azure;
pub mod check;
pub mod collateral;
pub mod development;
pub mod document;
pub mod encoding;
pub mod eventlog;
pub mod export;
pub mod note;
mod pem;
mod reader;
pub mod receipt;
pub mod snp;
pub mod statement;
pub mod tdx;
pub mod tinfoil;
pub mod tlog;
pub mod verify;

pub use check::{Check, ExitClass, Outcome, Rejected, Stage};
pub use verify::{Expectations, Trust, VerifiedEvidence, verify};
