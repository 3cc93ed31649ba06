//! Given true claims, do we accept? The rules of the appliance, as data files that people can read.
//!
//! This crate judges: it takes facts that others have established (verified evidence, an authenticated principal) and
//! answers by the policies in its data folders. It verifies no signature, looks nothing up and reads no clock.

pub mod access;
pub mod appraisal;
pub mod prompts;
pub mod shipped;

pub use appraisal::appraise;
pub use shipped::digest;
