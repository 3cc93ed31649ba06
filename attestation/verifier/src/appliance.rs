//! `cloister-verify appliance`: is the thing at that address a Cloister appliance that we accept?

use cloister_attestation::check::{Checklist, ExitClass, Planned, Stage, all_hold};
use cloister_attestation::statement::Statement;
use cloister_attestation::{Expectations, document, verify};
use serde_json::json;

use crate::args::ApplianceArgs;
use crate::failure::Failure;
use crate::fetch::{self, Fetched, Target};
use crate::input;
use crate::judge::{Judge, Origin};
use crate::report::Report;

const LIVE: &[Planned] = &[
    Planned::required(
        "tls.spki",
        Stage::Channel,
        "do not use this connection: somebody between you and the appliance ends TLS with a key of their own",
    ),
    Planned::required(
        "hpke.key",
        Stage::Channel,
        "do not encrypt to this key: it is not the appliance's; somebody between you and the appliance replaced it",
    ),
];
const SAVED: &[Planned] = &[
    Planned::optional("tls.spki", Stage::Channel, "verify the running appliance by its address"),
    Planned::optional("hpke.key", Stage::Channel, "verify the running appliance by its address"),
];

/// Runs the command.
pub(crate) fn run(args: &ApplianceArgs, now_ms: u64) -> Result<Report, Failure> {
    let judge = Judge::new(&args.judge)?;
    let now_ms = args.judge.at.unwrap_or(now_ms);
    match (&args.url, &args.document) {
        (Some(url), _) => {
            let target: Target = url.parse()?;
            let nonce = match args.nonce {
                Some(nonce) => nonce.0,
                None => input::random_nonce()?,
            };
            let fetched = fetch::fetch(&target, &nonce)?;
            if let Some(path) = &args.save {
                input::write(path, &fetched.document)?;
            }
            judge_document(&judge, &fetched.document, Some(nonce), Some(&fetched), now_ms)
        }
        (None, Some(path)) => {
            let bytes = input::read(path, document::MAX_BYTES)?;
            judge_document(&judge, &bytes, args.nonce.map(|nonce| nonce.0), None, now_ms)
        }
        (None, None) => Err(Failure::Usage("give an address or --document".to_owned())),
    }
}

fn judge_document(
    judge: &Judge,
    document: &[u8],
    nonce: Option<[u8; 32]>,
    live: Option<&Fetched>,
    now_ms: u64,
) -> Result<Report, Failure> {
    let mut report = Report::new(now_ms);
    report.claim("nonce", json!(nonce.map(hex::encode)));
    let mut channel = Checklist::new(if live.is_some() { LIVE } else { SAVED });
    let evidence = match verify(document, &Expectations { nonce, channel: None }, judge.trust(), now_ms) {
        Ok(evidence) => evidence,
        Err(rejected) => {
            let checks = [rejected.checks, channel.into_checks()].concat();
            return Ok(report.refuse(rejected.error.class(), &rejected.error, checks));
        }
    };
    match live {
        Some(fetched) => check_channel(&mut channel, fetched, evidence.statement()),
        None => {
            channel.not_done("tls.spki", "a saved document: no connection to compare");
            channel.not_done("hpke.key", "a saved document: no key to compare");
        }
    }
    let origin = if nonce.is_some() { Origin::Live } else { Origin::Saved };
    let class = judge.appraise(evidence, origin, &mut report)?;
    let channel = channel.into_checks();
    let class = if all_hold(&channel) { class } else { ExitClass::Rejected };
    report.checks.extend(channel);
    Ok(report.conclude(class))
}

fn check_channel(checks: &mut Checklist, fetched: &Fetched, statement: &Statement) {
    if statement.tls_spki_sha256.contains(&fetched.spki_sha256) {
        checks.pass("tls.spki", "the key of this TLS connection is one that the evidence names");
    } else {
        checks.fail("tls.spki", "the key of this TLS connection is not one that the evidence names");
    }
    match &fetched.hpke_key {
        Ok(key) if statement.hpke_keys.contains(key) => {
            checks.pass("hpke.key", "the published HPKE key is one that the evidence names");
        }
        Ok(_) => checks.fail("hpke.key", "the published HPKE key is not one that the evidence names"),
        Err(reason) => checks.fail("hpke.key", *reason),
    }
}
