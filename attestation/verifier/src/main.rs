//! `cloister-verify`: lets a relying party find out whether an appliance, a receipt or an audit export is true.
//!
//! It runs on the relying party's own machine and trusts nobody's word: what it cannot check it says it did not check.
//! It sends nothing but a nonce (the proxy: what its clients send, to an appliance that it has verified), keeps nothing,
//! and refuses the development TEE unless told otherwise aloud.

mod appliance;
mod args;
mod audit;
mod cases;
mod cmw;
mod collateral;
mod connection;
mod ear;
mod endorsements;
mod evidence;
mod failure;
mod fetch;
mod format;
mod input;
mod inspect;
mod judge;
mod jws;
mod live;
mod measure;
mod policy;
mod proxy;
mod receipt;
mod report;
mod seen;
mod target;

use std::process::ExitCode;

use args::{Args, Command, Form};
use clap::Parser as _;
use failure::Failure;
use jws::Signer;
use report::{Output, Report};

fn main() -> ExitCode {
    let args = Args::parse();
    let result = input::now_ms().and_then(|now_ms| run(&args, now_ms));
    let printed = match &result {
        Ok(None) => return ExitCode::SUCCESS,
        Ok(Some(report)) => report::print(Ok(report), args.json),
        Err(failure) => report::print(Err(failure), args.json),
    };
    printed.unwrap_or_else(|_| ExitCode::from(failure::INTERNAL))
}

/// The verdict; none where something ran in the place of a verdict, and was stopped.
fn run(args: &Args, now_ms: u64) -> Result<Option<Output>, Failure> {
    match &args.command {
        Command::Appliance(args) => in_form(&args.form, || appliance::run(args, now_ms)),
        Command::Evidence(args) => in_form(&args.form, || evidence::run(args, now_ms)),
        Command::Proxy(proxy) => proxy::run(proxy, args.json).map(|report| report.map(Output::from)),
        Command::Receipt(args) => receipt::run(args, now_ms).map(Output::from).map(Some),
        Command::Audit(args) => audit::run(args, now_ms).map(Output::from).map(Some),
        Command::Collateral(args) => collateral::run(args, now_ms).map(Some),
        Command::Inspect(args) => inspect::run(args).map(Some),
        Command::Cases(args) => cases::run(args).map(Some),
        Command::Measure(args) => measure::run(args).map(Some),
        Command::Policy(args) => policy::run(args, now_ms).map(Some),
    }
}

/// Judges and puts the verdict into the form that was asked for. The key that shall sign it is read before anybody is asked.
fn in_form(form: &Form, judge: impl FnOnce() -> Result<Report, Failure>) -> Result<Option<Output>, Failure> {
    let signer = form.sign_with.as_deref().map(Signer::read).transpose()?;
    Output::of_report(judge()?, form, signer.as_ref()).map(Some)
}
