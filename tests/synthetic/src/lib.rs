//! Synthetic platforms: evidence that looks like AMD's, Intel's and Azure's, under roots that no product pins.
//!
//! For tests, and for them alone. The product holds nothing that can make look-alike evidence, so the makers are a crate
//! of their own, which crates of the product may name as a development dependency and in no other way
//! (`tests/tests/arrows.rs` sees to it).
//!
//! * [`amd`]: root, intermediate and chip of an AMD of our own, which signs SEV-SNP reports on demand.
//! * [`intel`]: root, certificates, collateral and platform of an Intel of our own, which quotes trust domains on demand;
//!   every part can be changed before it is signed, so that one thing alone is wrong.
//! * [`azure`]: a paravisor with a TPM, around a report of [`amd`].
//! * [`appliance`]: a log with its exports and receipts, attested by a development document.
//! * [`document`]: whole attestation documents of all of them.
//!
//! ```
//! use cloister_synthetic::{document, intel::Recipe};
//!
//! let (now_ms, intel) = (1_790_000_000_000, Recipe::v4().platform());
//! let document = document::of_tdx(&intel, None, document::statement(now_ms));
//! assert_eq!(document.evidence.tee, "tdx");
//! ```

pub mod amd;
pub mod appliance;
pub mod azure;
mod der;
pub mod document;
pub mod intel;
