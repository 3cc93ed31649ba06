//! Synthetic platforms: evidence that looks like AMD's and Intel's, under roots that no product pins.
//!
//! They live in the tests and only there: the product holds nothing that can make look-alike evidence.

pub mod amd;
mod der;
