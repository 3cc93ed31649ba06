//! What `deploy/run` starts once everything is built: the two processes, and the demo if asked.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use clap::Parser;
use cloister_models::catalogue::Catalogue;
use cloister_tests::appliance::{Appliance, Generator, Options};
use cloister_tests::demo;

/// Starts Cloister; meant to be called by `deploy/run`, whose --help tells more.
#[derive(Parser)]
struct Cli {
    /// Public port.
    #[arg(long, default_value_t = 8443)]
    port: u16,
    /// Folder of the sealed state.
    #[arg(long)]
    data: PathBuf,
    /// Folder of the models.
    #[arg(long)]
    models: PathBuf,
    /// Chat model of the catalogue that lies in the models' folder, or "none".
    #[arg(long, default_value = "none")]
    chat_model: String,
    /// A chat model that is not in the catalogue: FILE, believed by the SHA-256 that it has now.
    #[arg(long)]
    chat_model_file: Option<PathBuf>,
    /// Play the demo against a fresh appliance and stop.
    #[arg(long)]
    demo: bool,
    /// With --demo: print one JSON object.
    #[arg(long)]
    json: bool,
    /// With --demo: the files to ask about.
    files: Vec<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(code) => code,
        Err(e) => {
            let _ = writeln!(std::io::stderr(), "error: {e:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let mut options = Options::for_checkout(cli.data.clone())?;
    options.port = cli.port;
    options.embedder = cli.models.join("all-minilm-l6-v2-q8_0.gguf");
    options.generator = generator(&cli)?;
    if cli.demo {
        return demo::run(options, &cli.files, cli.json).await;
    }
    let begun = Instant::now();
    let mut appliance = tokio::task::block_in_place(|| Appliance::start(options))?;
    print_welcome(&appliance, begun, cli.chat_model != "none" || cli.chat_model_file.is_some())?;
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let signals = async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => (),
            _ = terminate.recv() => (),
        }
        flag.store(true, Ordering::Relaxed);
    };
    let watched = async { tokio::task::block_in_place(|| appliance.watch(|| stop.load(Ordering::Relaxed))) };
    let tasks = tokio_util::task::TaskTracker::new();
    tasks.spawn(signals);
    watched.await?;
    writeln!(std::io::stderr(), "\nstopping")?;
    let (relay, enclave) = appliance.stop()?;
    anyhow::ensure!(enclave.success(), "cloister-enclave ended with {enclave}");
    anyhow::ensure!(relay.success() || relay.code() == Some(3), "cloister-host ended with {relay}");
    Ok(ExitCode::SUCCESS)
}

/// The chat model to load, if any.
fn generator(cli: &Cli) -> anyhow::Result<Option<Generator>> {
    if let Some(path) = &cli.chat_model_file {
        let sha256 = cloister_models::digest::digest_file(path, |_| ())?.to_string();
        return Ok(Some(Generator { id: "local".to_owned(), path: path.clone(), sha256: Some(sha256) }));
    }
    if cli.chat_model == "none" {
        return Ok(None);
    }
    let catalogue = Catalogue::built_in();
    let entry = catalogue.get(&cli.chat_model)?;
    Ok(Some(Generator { id: entry.id.clone(), path: cli.models.join(&entry.file), sha256: None }))
}

fn print_welcome(appliance: &Appliance, begun: Instant, chat: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let url = appliance.url();
    writeln!(
        out,
        "\nCloister is ready after {:.1} s: DEVELOPMENT TEE, NOT CONFIDENTIAL\n",
        begun.elapsed().as_secs_f32()
    )?;
    writeln!(out, "  address   {url}")?;
    writeln!(out, "  verify    target/release/cloister-verify appliance {url} --insecure-allow-development-tee")?;
    match appliance.enrolment_link() {
        Some(link) => {
            writeln!(out, "  enrol     {link}\n            (one-time: whoever opens it first becomes the owner)")?
        }
        None => writeln!(out, "  log in    at the address: the owner is enrolled already")?,
    }
    writeln!(
        out,
        "  answers   {}",
        if chat { "by the local chat model" } else { "verbatim quotations (no chat model)" }
    )?;
    writeln!(out, "  logs      {}", appliance.data().display())?;
    Ok(writeln!(out, "\nCtrl-C stops it.")?)
}
