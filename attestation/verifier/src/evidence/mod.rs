//! `cloister-verify evidence`: is this piece of hardware evidence true, and about what we expect? Nothing is fetched.

mod binding;
mod hardware;

use cloister_attestation::check::{ExitClass, all_hold};
use cloister_attestation::encoding::sha256;
use cloister_attestation::{document, tdx};
use serde_json::json;

use crate::appliance;
use crate::args::EvidenceArgs;
use crate::cmw;
use crate::failure::Failure;
use crate::format::{self, Kind};
use crate::input;
use crate::inspect;
use crate::judge::{Judge, Origin};
use crate::report::Report;

use binding::Expected;

pub(crate) use binding::Nonce;

/// Runs the command.
pub(crate) fn run(args: &EvidenceArgs, now_ms: u64) -> Result<Report, Failure> {
    let judge = Judge::new(&args.judge)?.with_endorsements(&args.endorsements)?;
    let now_ms = args.judge.at.unwrap_or(now_ms);
    let bytes = input::read(&args.file, document::MAX_BYTES.max(tdx::MAX_QUOTE_BYTES))?;
    match unwrap(bytes) {
        Ok((Kind::Json, document)) => of_document(args, &judge, &document, now_ms),
        Ok((kind, evidence)) => bare(args, &judge, (kind, &evidence), now_ms),
        Err(error) => Ok(Report::new(now_ms).refuse(ExitClass::Malformed, &error, Vec::new())),
    }
}

/// The kind of the evidence, and the evidence without the wrapper of a CMW record.
pub(crate) fn unwrap(bytes: Vec<u8>) -> Result<(Kind, Vec<u8>), String> {
    let kind = format::detect(&bytes)?;
    if kind != Kind::Json || !cmw::is_record(&bytes) {
        return Ok((kind, bytes));
    }
    let inner = cmw::parse(&bytes)?.value;
    let kind = format::detect(&inner)?;
    Ok((kind, inner))
}

/// A document binds by its statement, so only a nonce can be expected of it.
fn of_document(args: &EvidenceArgs, judge: &Judge, document: &[u8], now_ms: u64) -> Result<Report, Failure> {
    let other = args.report_data.is_some() || args.bind_spki.is_some() || args.event_log.is_some();
    if other || args.tpm_quote.is_some() {
        return Err(Failure::Usage(
            "an attestation document says itself what its report data is of: give --nonce alone".to_owned(),
        ));
    }
    let nonce = args.nonce.as_ref().map(|nonce| {
        let exact: Result<[u8; 32], _> = nonce.0.as_slice().try_into();
        exact.map_err(|_| Failure::Usage("the nonce of an attestation document is 32 bytes".to_owned()))
    });
    appliance::saved(judge, document, nonce.transpose()?, now_ms)
}

fn bare(args: &EvidenceArgs, judge: &Judge, (kind, evidence): (Kind, &[u8]), now_ms: u64) -> Result<Report, Failure> {
    let expected = Expected::read(args)?;
    let log = args.event_log.as_deref().map(|path| input::read(path, cloister_attestation::eventlog::MAX_LOG_BYTES));
    let log = log.transpose()?;
    let mut report = Report::new(now_ms);
    report.claim("nonce", json!(args.nonce.as_ref().map(|nonce| hex::encode(&nonce.0))));
    report.evidence_sha256 = Some(sha256(evidence).to_string());
    if let Ok(fields) = inspect::fields(evidence) {
        report.claim("evidence", fields);
    }
    let hardware = match hardware::verify(args, judge, (kind, evidence), now_ms)? {
        Ok(hardware) => hardware,
        Err(rejected) => {
            let checks = [rejected.checks, expected.not_reached(), binding::log_not_reached(log.is_some())].concat();
            return Ok(report.refuse(rejected.error.class(), &rejected.error, checks));
        }
    };
    if let Some(tcb) = hardware.tdx().and_then(tdx::Verified::tcb) {
        report.claim("tcb", hardware::tcb(tcb));
    }
    let mut own = expected.check(&hardware);
    own.extend(log.map(|log| binding::check_log(&log, &hardware)).unwrap_or_default());
    // Whoever sent a nonce, or bytes that hold one, and finds them in the evidence knows that it is not older.
    let origin = if expected.is_fresh(&own) { Origin::Live } else { Origin::Saved };
    let class = judge.appraise_hardware(&hardware, origin, &mut report)?;
    let class = if all_hold(&own) { class } else { ExitClass::Rejected };
    report.claim("bound", json!(expected.names()));
    report.checks.extend(own);
    Ok(report.conclude(class))
}
