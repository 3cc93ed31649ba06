//! The command line of the relay.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use cloister_host::{Config, Drained, Relay};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The relay on the untrusted host: carries TLS bytes to the enclave and allow-listed connections out of it.
///
/// Exit codes: 0 stopped and every connection ended by itself; 1 an error, printed last; 2 usage; 3 stopped, but the
/// drain deadline cut connections.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Relay until SIGTERM or SIGINT, then drain.
    Run {
        /// The configuration, a TOML file; see deploy/config/host.toml.
        #[arg(long)]
        config: PathBuf,
    },
    /// Check a configuration and name every mistake in it.
    CheckConfig {
        /// The configuration.
        #[arg(long)]
        config: PathBuf,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().json().with_writer(std::io::stderr).with_max_level(tracing::Level::INFO).init();
    match run(Cli::parse().command).await {
        Ok(code) => code,
        Err(e) => {
            tracing::error!("{e:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let (Command::Run { config: path } | Command::CheckConfig { config: path }) = &command;
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let config = Config::from_toml(&text).with_context(|| format!("{}", path.display()))?;
    if let Command::CheckConfig { .. } = command {
        return Ok(ExitCode::SUCCESS);
    }
    let relay = Relay::bind(config).await?;
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tracing::info!(inbound = %relay.inbound_addr(), admin = %relay.admin_addr(), "relaying");
    let serving = relay.serve(stop.clone());
    tokio::pin!(serving);
    let drained = tokio::select! {
        drained = &mut serving => drained,
        () = async { tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () } } => {
            tracing::info!("draining");
            stop.cancel();
            serving.await
        }
    };
    Ok(match drained {
        Drained::Clean => ExitCode::SUCCESS,
        Drained::Cut(connections) => {
            tracing::warn!(connections, "the drain deadline cut connections");
            ExitCode::from(3)
        }
    })
}
