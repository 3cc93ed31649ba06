//! `cloister-verify appliance`: is the thing at that address a Cloister appliance that we accept?

use cloister_attestation::check::{Checklist, ExitClass, Planned, Stage, all_hold};
use cloister_attestation::{Expectations, document};
use serde_json::json;

use crate::args::ApplianceArgs;
use crate::failure::Failure;
use crate::fetch;
use crate::input;
use crate::judge::{Judge, Origin};
use crate::live::{self, Answer, ChannelArgs};
use crate::report::Report;
use crate::seen::Memory;
use crate::target::Target;

const SAVED: &[Planned] = &[
    Planned::optional("tls.spki", Stage::Channel, "verify the running appliance by its address"),
    Planned::optional("tls.pin", Stage::Channel, "verify the running appliance by its address"),
    Planned::optional("hpke.key", Stage::Channel, "verify the running appliance by its address"),
    Planned::optional("state.epoch", Stage::Statement, "verify the running appliance by its address, with --remember"),
];

/// Runs the command.
pub(crate) fn run(args: &ApplianceArgs, now_ms: u64) -> Result<Report, Failure> {
    let judge = Judge::new(&args.judge)?.with_endorsements(&args.endorsements)?;
    let now_ms = args.judge.at.unwrap_or(now_ms);
    match (&args.url, &args.document) {
        (Some(url), _) => running(args, &judge, &url.parse()?, now_ms),
        (None, Some(_)) if args.channel != ChannelArgs::default() => {
            Err(Failure::Usage("--binding and --pin are about a connection, and a saved document has none".to_owned()))
        }
        (None, Some(path)) => {
            let bytes = input::read(path, document::MAX_BYTES)?;
            saved(&judge, &bytes, args.nonce.map(|nonce| nonce.0), now_ms)
        }
        (None, None) => Err(Failure::Usage("give an address or --document".to_owned())),
    }
}

fn running(args: &ApplianceArgs, judge: &Judge, target: &Target, now_ms: u64) -> Result<Report, Failure> {
    let nonce = match args.nonce {
        Some(nonce) => nonce.0,
        None => input::random_nonce()?,
    };
    let memory = args.remember.as_deref().map(Memory::read).transpose()?;
    let fetched = fetch::fetch(target, &nonce, args.channel.binding)?;
    if let Some(path) = &args.save {
        input::write(path, &fetched.document)?;
    }
    let answer = Answer {
        document: &fetched.document,
        nonce,
        seen: fetched.seen,
        published: Some(&fetched.hpke_key),
        memory: memory.as_ref(),
        now_ms,
    };
    let (report, established) = live::judge(judge, &args.channel, &answer)?;
    if let (Some(path), Some(memory), Some(established)) = (&args.remember, memory, established)
        && report.exit_class == ExitClass::Accepted
    {
        memory.remember(&established.statement, &report.verify_at, path)?;
    }
    Ok(report)
}

/// Judges a document from a file.
pub(crate) fn saved(judge: &Judge, document: &[u8], nonce: Option<[u8; 32]>, now_ms: u64) -> Result<Report, Failure> {
    let mut report = Report::new(now_ms);
    report.claim("nonce", json!(nonce.map(hex::encode)));
    let mut channel = Checklist::new(SAVED);
    let evidence = match judge.verify(document, &Expectations { nonce, channel: None }, now_ms) {
        Ok(evidence) => evidence,
        Err(rejected) => {
            let checks = [rejected.checks, channel.into_checks()].concat();
            return Ok(report.refuse(rejected.error.class(), &rejected.error, checks));
        }
    };
    for check in ["tls.spki", "tls.pin"] {
        channel.not_done(check, "a saved document: no connection to compare");
    }
    channel.not_done("hpke.key", "a saved document: no key to compare");
    channel.not_done("state.epoch", "a saved document: what it says of the state is of its time");
    let origin = if nonce.is_some() { Origin::Live } else { Origin::Saved };
    let class = judge.appraise(evidence, origin, &mut report)?;
    let channel = channel.into_checks();
    let class = if all_hold(&channel) { class } else { ExitClass::Rejected };
    report.checks.extend(channel);
    Ok(report.conclude(class))
}
