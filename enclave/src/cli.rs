//! Commands, signals, exit codes and the log: the life of the process around [`cloister_enclave`].
//!
//! Exit codes: 0 done; 1 could not start; 2 wrong command line; 3 connections were cut at the drain deadline; 70 the
//! store stopped the process; 78 the configuration has mistakes.

mod logging;
mod run;

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use cloister_enclave::app::{new_owner_link, recover, unseal};
use cloister_enclave::clock::{Clock, SystemClock};
use cloister_enclave::config::Config;
use cloister_enclave::openapi;
use zeroize::Zeroizing;

/// A file of one age identity and what age writes around it.
const MAX_IDENTITY_BYTES: usize = 4096;

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
    /// Print the `OpenAPI` document of the service.
    PrintOpenapi,
}

#[derive(clap::Args)]
struct Recover {
    #[command(flatten)]
    file: ConfigFile,
    /// The file with the age identity (AGE-SECRET-KEY-1…); `-` for standard input, so that it need not touch a disk.
    #[arg(long, value_name = "FILE")]
    identity: PathBuf,
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
        Command::Recover(Recover { file, identity }) => with_config(&file.config, |config| restore(&config, &identity)),
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

fn restore(config: &Config, identity: &Path) -> Exit {
    let Ok(identity) = read_identity(identity) else {
        complain(&"the file of the recovery identity cannot be read");
        return Exit::NotStarted;
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

/// The line of an age identity; comment lines, as age writes them, are passed over.
fn read_identity(path: &Path) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(MAX_IDENTITY_BYTES));
    let limit = u64::try_from(MAX_IDENTITY_BYTES).unwrap_or(u64::MAX);
    if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_string(&mut text)?;
    } else {
        File::open(path)?.take(limit).read_to_string(&mut text)?;
    }
    let identity = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(Zeroizing::new(identity.unwrap_or_default().to_owned()))
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
