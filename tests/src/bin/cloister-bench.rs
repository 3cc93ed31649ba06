//! Figures as ratios to a peer run side by side in the same call; `deploy/bench` sets the peers up.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use cloister_tests::bench::{self, Figure, Target};

/// Prints each figure, what it is measured against, and whether it reaches its target.
#[derive(Parser)]
struct Cli {
    /// What to measure; everything if nothing is named.
    what: Vec<What>,
    /// Print one JSON array instead of a table.
    #[arg(long)]
    json: bool,
    /// A Python interpreter that has the peers (hnswlib, sentence-transformers).
    #[arg(long)]
    python: Option<PathBuf>,
    /// The unpacked model of the package, for sentence-transformers.
    #[arg(long)]
    peer_model: Option<PathBuf>,
    /// Descriptions of Debian packages, one a line, for the vectors.
    #[arg(long)]
    descriptions: Option<PathBuf>,
    /// Folder for what takes long to make and is kept.
    #[arg(long, default_value = "var/bench")]
    cache: PathBuf,
    /// The program of the peers that verify evidence.
    #[arg(long)]
    attestation_peers: Option<PathBuf>,
    /// The published attestation cases.
    #[arg(long)]
    cases: Option<PathBuf>,
    /// Folder of the models.
    #[arg(long, default_value = "var/models")]
    models: PathBuf,
    /// What `boot` runs itself with: opens the store in this folder, and prints time and memory.
    #[arg(long, hide = true, requires = "open_kind")]
    open: Option<PathBuf>,
    #[arg(long, hide = true)]
    open_kind: Option<bench::boot::Kind>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// The relay beside HAProxy.
    Relay,
    /// The sealed store beside bare sled and `SQLCipher`, and the audit log.
    Store,
    /// Opening and checking stores of up to a million records beside bare sled.
    Boot,
    /// Start and idle memory of the product.
    Life,
    /// Streaming through relay, TLS and EHBP beside plain HTTP.
    Streaming,
    /// Embedding beside sentence-transformers.
    Embedding,
    /// Vector search beside hnswlib.
    Vectors,
    /// Verification of evidence beside sev and dcap-qvl.
    Attestation,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    if let (Some(dir), Some(kind)) = (&cli.open, cli.open_kind) {
        let opening = tokio::task::block_in_place(|| bench::boot::open(dir, kind))?;
        return Ok(serde_json::to_writer(std::io::stdout().lock(), &opening)?);
    }
    let wanted = |what| cli.what.is_empty() || cli.what.contains(&what);
    let dir = tempfile::tempdir()?;
    let mut figures = Vec::new();
    if wanted(What::Relay) {
        figures.extend(bench::relay::run(&cloister_tests::tools::binaries()?, dir.path()).await?);
    }
    if wanted(What::Store) {
        figures.extend(bench::store::run(dir.path()).await?);
    }
    if wanted(What::Boot) {
        figures.extend(tokio::task::block_in_place(|| bench::boot::run(&dir.path().join("boot")))?);
    }
    if wanted(What::Life) {
        figures.extend(tokio::task::block_in_place(|| bench::life::run(dir.path()))?);
    }
    if wanted(What::Streaming) {
        figures.extend(bench::streaming::run(dir.path()).await?);
    }
    let missing = "deploy/bench gets the Python peers and what they work on";
    if wanted(What::Embedding) {
        let setup = bench::embedding::Setup {
            models: &cli.models,
            python: cli.python.as_deref().context(missing)?,
            peer_model: cli.peer_model.as_deref().context(missing)?,
        };
        figures.extend(tokio::task::block_in_place(|| bench::embedding::run(&setup))?);
    }
    if wanted(What::Vectors) {
        std::fs::create_dir_all(&cli.cache)?;
        let setup = bench::vectors::Setup {
            models: &cli.models,
            python: cli.python.as_deref().context(missing)?,
            descriptions: cli.descriptions.as_deref().context(missing)?,
            cache: &cli.cache,
        };
        figures.extend(tokio::task::block_in_place(|| bench::vectors::run(&setup))?);
    }
    if wanted(What::Attestation) {
        let setup = bench::attestation::Setup {
            cases: cli.cases.as_deref().context("--cases names the published attestation cases")?,
            peers: cli.attestation_peers.as_deref().context("deploy/bench builds the peers that verify evidence")?,
            dir: dir.path(),
        };
        figures.extend(tokio::task::block_in_place(|| bench::attestation::run(&setup))?);
    }
    print(&figures, cli.json)
}

fn print(figures: &[Figure], json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, figures)?;
        return Ok(writeln!(out)?);
    }
    writeln!(out, "{:<44} {:<24} {:>12} {:>12} {:>8}  target", "what", "against", "ours", "peer", "ratio")?;
    for figure in figures {
        let target = match figure.target {
            Target::AtLeast(least) => format!("≥ {least}"),
            Target::AtMost(most) => format!("≤ {most}"),
        };
        let peer = figure.peer.map_or_else(|| "–".to_owned(), |p| format!("{p:.1}"));
        let verdict = if figure.reached() { "reached" } else { "NOT REACHED" };
        writeln!(
            out,
            "{:<44} {:<24} {:>12.1} {:>12} {:>8.2}  {target} {verdict}",
            format!("{} [{}]", figure.what, figure.unit),
            figure.against,
            figure.ours,
            peer,
            figure.value
        )?;
    }
    Ok(())
}
