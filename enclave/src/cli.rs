//! Commands, signals, exit codes and the log: the life of the process around [`cloister_enclave`].
//!
//! Exit codes: 0 done; 1 could not start; 2 wrong command line; 3 connections were cut at the drain deadline; 4 the
//! store is damaged (`check`); 70 the
//! store stopped the process; 78 the configuration has mistakes.

mod check;
mod logging;
mod recovery;
mod run;

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use cloister_enclave::app::{new_owner_link, recover, restore, unseal};
use cloister_enclave::clock::{Clock, SystemClock};
use cloister_enclave::config::Config;
use cloister_enclave::openapi;
use recovery::{Identity, NewRecovery};

const MAX_REASON_BYTES: usize = 500;

/// The confidential service of a Cloister appliance. Runs inside the TEE.
#[derive(Parser)]
#[command(name = "cloister-enclave", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the service and run until SIGTERM or SIGINT.
    Run(ConfigFile),
    /// Read the configuration and report every mistake at once.
    CheckConfig(ConfigFile),
    /// Print a one-time enrolment link for the first owner. The service must not be running, and the organisation must
    /// not be founded yet; links made earlier stop working.
    NewEnrolment(ConfigFile),
    /// Open the store by the owner's recovery identity and give this machine a key slot of its own, in the place of those it
    /// had: after an update of the image, on another chip, or when a key file was lost. The service must not be running.
    Recover(Recover),
    /// Make a recovery identity that nobody holds alone, in shares. Run it on a machine of yours, not on the appliance's.
    NewRecovery(NewRecovery),
    /// Put a backup in the place of a store that is not there any more. Each audit log gets a record of it, sessions and
    /// invitations end, and whoever saw a later state is told that it went backwards. A machine that cannot open the key slots
    /// by itself needs the recovery identity, and gets a slot of its own. The service must not be running.
    Restore(Restore),
    /// Look through the store: open every record, add up every log, and say what is wrong. No record is written. The service
    /// must not be running.
    Check(Check),
    /// Print the `OpenAPI` document of the service.
    PrintOpenapi,
}

#[derive(clap::Args)]
struct Recover {
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    identity: Identity,
}

#[derive(clap::Args)]
struct Check {
    #[command(flatten)]
    file: ConfigFile,
    /// Print what was found as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    identity: Identity,
}

#[derive(clap::Args)]
struct Restore {
    #[command(flatten)]
    file: ConfigFile,
    /// The backup.
    #[arg(long, value_name = "FILE")]
    backup: PathBuf,
    /// Why, in a few words, for the audit logs.
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: String,
    #[command(flatten)]
    identity: Identity,
}

fn parse_reason(text: &str) -> Result<String, &'static str> {
    let fits = !text.trim().is_empty() && text.len() <= MAX_REASON_BYTES;
    fits.then(|| text.to_owned()).ok_or("must have 1 to 500 bytes")
}

#[derive(clap::Args)]
struct ConfigFile {
    /// The configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    Done = 0,
    NotStarted = 1,
    Cut = 3,
    Damaged = 4,
    Fault = 70,
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

pub(crate) fn main() -> ExitCode {
    let exit = match Cli::parse().command {
        Command::Run(file) => with_config(&file.config, run::run),
        Command::CheckConfig(file) => with_config(&file.config, |_| {
            print("the configuration is complete and consistent");
            Exit::Done
        }),
        Command::NewEnrolment(file) => with_config(&file.config, |config| new_enrolment(&config)),
        Command::Recover(args) => with_config(&args.file.config, |config| rebind(&config, &args.identity)),
        Command::NewRecovery(args) => recovery::make(&args),
        Command::Restore(args) => with_config(&args.file.config, |config| put_back(&config, &args)),
        Command::Check(args) => with_config(&args.file.config, |config| check::run(&config, &args)),
        Command::PrintOpenapi => {
            print(openapi::document().trim_end());
            Exit::Done
        }
    };
    exit.into()
}

fn with_config(path: &Path, then: impl FnOnce(Config) -> Exit) -> Exit {
    match Config::read(path) {
        Ok(config) => then(config),
        Err(mistakes) => {
            complain(&mistakes);
            Exit::Config
        }
    }
}

fn put_back(config: &Config, args: &Restore) -> Exit {
    let identity = match args.identity.read() {
        Ok(identity) => identity,
        Err(exit) => return exit,
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let identity = identity.as_ref().map(|identity| identity.as_str());
    match restore(config, &clock, &args.backup, identity, &args.reason) {
        Ok(summary) => {
            print(&format!("the state of epoch {} is restored; its logs say so", summary.epoch));
            Exit::Done
        }
        Err(error) => {
            complain_chain(&error);
            Exit::NotStarted
        }
    }
}

fn rebind(config: &Config, identity: &Identity) -> Exit {
    let identity = match identity.read() {
        Ok(Some(identity)) => identity,
        Ok(None) => {
            complain(&"give the recovery identity: --identity FILE, or --share FILE as often as shares are needed");
            return Exit::NotStarted;
        }
        Err(exit) => return exit,
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    match recover(config, &clock, &identity) {
        Ok(()) => {
            print("this machine has a key slot of its own again");
            Exit::Done
        }
        Err(error) => {
            complain_chain(&error);
            Exit::NotStarted
        }
    }
}

fn new_enrolment(config: &Config) -> Exit {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread().enable_all().build() else {
        complain(&"the async runtime does not start");
        return Exit::NotStarted;
    };
    let link = unseal(config, &clock).and_then(|store| runtime.block_on(new_owner_link(config, clock, store)));
    match link {
        Ok(Some(link)) => {
            print(&link);
            Exit::Done
        }
        Ok(None) => {
            complain(&"the organisation is founded; its owners invite people in the page");
            Exit::NotStarted
        }
        Err(error) => {
            complain_chain(&error);
            Exit::NotStarted
        }
    }
}

/// To standard output; a reader that is gone is no concern of ours.
fn print(text: &str) {
    writeln!(io::stdout().lock(), "{text}").ok();
}

fn complain(what: &dyn Display) {
    writeln!(io::stderr().lock(), "cloister-enclave: {what}").ok();
}

/// An error with its causes, outermost first.
fn complain_chain(error: &dyn std::error::Error) {
    complain(&chain(error));
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
