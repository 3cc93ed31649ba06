//! Running the product's command lines as a person would.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::Context as _;

use crate::appliance::Generator;
pub use crate::appliance::binaries;
use crate::tiny_model;

/// Runs `cloister-verify` with these arguments.
///
/// # Errors
/// If it cannot be started.
pub fn verify(args: &[&str]) -> anyhow::Result<Output> {
    Ok(Command::new(binaries()?.join("cloister-verify")).args(args).output()?)
}

/// Writes the tiny chat model into `dir`: real llama.cpp inference, no sense.
///
/// # Errors
/// If it cannot be written.
pub fn tiny_chat_model(dir: &Path) -> anyhow::Result<Generator> {
    chat_model(dir, tiny_model::TINY)
}

/// Writes a chat model of random weights into `dir`.
///
/// # Errors
/// If it cannot be written.
pub fn chat_model(dir: &Path, shape: tiny_model::Shape) -> anyhow::Result<Generator> {
    let path = dir.join("random-chat.gguf");
    let digest = tiny_model::write(&path, shape)?;
    Ok(Generator { id: "random-chat".to_owned(), path, sha256: Some(digest.to_string()) })
}

/// Runs the independent checker of exports (`tests/go`), built on Go's own note and log packages; true if it accepts.
///
/// # Errors
/// If it was not built; `deploy/test` builds it.
pub fn third_party_accepts(export: &Path) -> anyhow::Result<bool> {
    #[expect(clippy::disallowed_methods, reason = "where deploy/test put the checker")]
    let program = std::env::var("CLOISTER_CHECK_EXPORT")
        .map_or_else(|_| crate::appliance::checkout().join("var/tools/check-export"), std::path::PathBuf::from);
    let output = Command::new(&program).arg(export).output();
    let output = output.with_context(|| format!("{}: deploy/test builds it", program.display()))?;
    Ok(output.status.success())
}
