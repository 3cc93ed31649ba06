//! What `deploy/fuzz` asks: which targets there are, and a corpus to start from.

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use cloister_fuzz::{corpus, targets};

/// Lists the fuzz targets, or writes what they start from.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// One line for each target: its name and the longest input worth trying.
    List,
    /// Writes a folder of seeds for each target.
    Write {
        /// The folder of the published case sets.
        #[arg(long)]
        vectors: PathBuf,
        /// Where the folders go.
        #[arg(long)]
        into: PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::List => {
            let mut out = std::io::stdout().lock();
            for target in targets() {
                writeln!(out, "{} {}", target.name, target.max_bytes)?;
            }
            Ok(())
        }
        Command::Write { vectors, into } => corpus::write(&corpus::seeds(&vectors)?, &into),
    }
}
