//! Running the product's command lines as a person would.

use std::process::{Command, Output};

pub use crate::appliance::binaries;

/// Runs `cloister-verify` with these arguments.
///
/// # Errors
/// If it cannot be started.
pub fn verify(args: &[&str]) -> anyhow::Result<Output> {
    Ok(Command::new(binaries()?.join("cloister-verify")).args(args).output()?)
}
