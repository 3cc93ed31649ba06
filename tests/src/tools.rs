//! Running the product's command lines as a person would.

use std::path::Path;
use std::process::{Command, Output};

use crate::appliance::Generator;
pub use crate::appliance::binaries;

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
    let path = dir.join("tiny-chat.gguf");
    let digest = crate::tiny_model::write(&path)?;
    Ok(Generator { id: "tiny-chat".to_owned(), path, sha256: Some(digest.to_string()) })
}
