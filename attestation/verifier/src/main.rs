//! `cloister-verify`: lets a relying party find out whether an appliance, a receipt or an audit export is true.
//!
//! It runs on the relying party's own machine and trusts nobody's word: what it cannot check it says it did not check.
//! It sends nothing but a nonce, keeps nothing, and refuses the development TEE unless told otherwise aloud.

mod appliance;
mod args;
mod audit;
mod cases;
mod cmw;
mod failure;
mod fetch;
mod format;
mod input;
mod inspect;
mod judge;
mod measure;
mod receipt;
mod report;

use std::process::ExitCode;

use args::{Args, Command};
use clap::Parser as _;
use failure::Failure;
use report::Output;

fn main() -> ExitCode {
    let args = Args::parse();
    let result = input::now_ms().and_then(|now_ms| run(&args, now_ms));
    report::print(result.as_ref(), args.json).unwrap_or_else(|_| ExitCode::from(failure::INTERNAL))
}

fn run(args: &Args, now_ms: u64) -> Result<Output, Failure> {
    match &args.command {
        Command::Appliance(args) => appliance::run(args, now_ms).map(Output::from),
        Command::Receipt(args) => receipt::run(args, now_ms).map(Output::from),
        Command::Audit(args) => audit::run(args, now_ms).map(Output::from),
        Command::Inspect(args) => inspect::run(args),
        Command::Cases(args) => cases::run(args),
        Command::Measure(args) => measure::run(args),
    }
}
