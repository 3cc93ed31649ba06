//! `cloister-verify receipt`: was this answer made as the receipt says?

use std::path::Path;

use cloister_attestation::check::{Checklist, ExitClass, Planned, Stage, all_hold};
use cloister_attestation::encoding::{Digest, Hex, sha256};
use cloister_attestation::export::VerifiedExport;
use cloister_attestation::receipt::{self, Error, Receipt};
use cloister_attestation::statement::ReceiptKey;
use cloister_attestation::{Expectations, document, export};
use serde_json::json;

use crate::args::ReceiptArgs;
use crate::failure::Failure;
use crate::judge::{Judge, Origin};
use crate::report::Report;
use crate::{audit, input};

const MAX_TEXT_BYTES: usize = 16 << 20;
const PLAN: &[Planned] = &[
    Planned::required("receipt.format", Stage::Receipt, "give the receipt as the appliance answered it"),
    Planned::required(
        "receipt.key",
        Stage::Receipt,
        "give the document or the export of the appliance that signed it (--document, --export)",
    ),
    Planned::required(
        "receipt.signature",
        Stage::Receipt,
        "do not rely on this receipt: it was altered, or it is another appliance's",
    ),
    Planned::optional("receipt.question", Stage::Receipt, "give the question exactly as it was asked (--question)"),
    Planned::optional("receipt.answer", Stage::Receipt, "give the answer exactly as it was given (--answer)"),
    Planned::optional("receipt.log", Stage::Receipt, "give an export that was made after the answer (--export)"),
];

/// Runs the command.
pub(crate) fn run(args: &ReceiptArgs, now_ms: u64) -> Result<Report, Failure> {
    let judge = Judge::new(&args.judge)?;
    let now_ms = args.judge.at.unwrap_or(now_ms);
    let mut report = Report::new(now_ms);
    let mut checks = Checklist::new(PLAN);

    let bytes = input::read(&args.file, receipt::MAX_BYTES)?;
    let receipt = match Receipt::parse(&bytes) {
        Ok(receipt) => receipt,
        Err(error) => {
            checks.fail("receipt.format", error.to_string());
            return Ok(report.refuse(class(error), &error, checks.into_checks()));
        }
    };
    checks.pass("receipt.format", format!("a receipt made at {}", input::format_time(receipt.body.time_ms)));

    let own = match &args.document {
        Some(path) => match judge_document(&judge, path, now_ms, report)? {
            Ok((judged, keys)) => {
                report = judged;
                Some(keys)
            }
            Err(refused) => return Ok(add_checks(refused, checks)),
        },
        None => args.key.map(|public_key| vec![pinned(public_key)]),
    };
    let export = match &args.export {
        Some(path) => match judge_export(&judge, args, path, now_ms, report)? {
            Ok((judged, export)) => {
                report = judged;
                Some(export)
            }
            Err(refused) => return Ok(add_checks(refused, checks)),
        },
        None => None,
    };
    let keys = own.or_else(|| export.as_ref().map(|export| export.evidence().statement().receipt_keys.clone()));
    check_signature(&mut checks, &receipt, keys.as_deref(), args.key.is_some());
    check_text(&mut checks, "receipt.question", args.question.as_deref(), receipt.body.question_sha256)?;
    check_text(&mut checks, "receipt.answer", args.answer.as_deref(), receipt.body.answer_sha256)?;
    check_log(&mut checks, &receipt, export.as_ref());
    report.claim("receipt", json!(receipt.body));
    report.checks.extend(checks.into_checks());
    Ok(report.conclude(ExitClass::Collateral))
}

fn add_checks(mut report: Report, checks: Checklist) -> Report {
    report.checks.extend(checks.into_checks());
    report
}

const fn class(error: Error) -> ExitClass {
    match error {
        Error::TooLarge | Error::Json { .. } | Error::Integer(_) => ExitClass::Malformed,
        Error::Version(_) => ExitClass::Unsupported,
        Error::UnknownKey | Error::Signature | Error::OtherLog | Error::NotYetInLog | Error::NotRecorded => {
            ExitClass::Rejected
        }
    }
}

fn pinned(public_key: Hex<32>) -> ReceiptKey {
    ReceiptKey { key_id: receipt::key_id(&public_key.0), public_key }
}

/// The report so far with what was found, or the final report if it was refused.
type Judged<T> = Result<(Report, T), Report>;

fn judge_document(
    judge: &Judge,
    path: &Path,
    now_ms: u64,
    mut report: Report,
) -> Result<Judged<Vec<ReceiptKey>>, Failure> {
    let bytes = input::read(path, document::MAX_BYTES)?;
    match judge.verify(&bytes, &Expectations { nonce: None, channel: None }, now_ms) {
        Ok(evidence) => {
            let keys = evidence.statement().receipt_keys.clone();
            judge.appraise(evidence, Origin::Saved, &mut report)?;
            Ok(Ok((report, keys)))
        }
        Err(rejected) => Ok(Err(report.refuse(rejected.error.class(), &rejected.error, rejected.checks))),
    }
}

fn judge_export(
    judge: &Judge,
    args: &ReceiptArgs,
    path: &Path,
    now_ms: u64,
    mut report: Report,
) -> Result<Judged<VerifiedExport>, Failure> {
    let expected = export::Expectations { document: None, previous: None };
    match audit::open(path, args.identity.as_deref(), &expected, judge.trust(), now_ms)? {
        Ok((export, decrypted)) => {
            report.checks.extend(decrypted);
            report.checks.extend_from_slice(export.checks());
            // With a document of its own the receipt's key stands on that, and the log's on the export's evidence.
            let mut own = Report::new(now_ms);
            let judged = if args.document.is_some() { &mut own } else { &mut report };
            judge.appraise(export.evidence().clone(), Origin::Saved, judged)?;
            judged.valid_until = None;
            if !all_hold(&own.checks) {
                let error = "the evidence in the export is not accepted";
                return Ok(Err(report.refuse(ExitClass::Rejected, &error, own.checks)));
            }
            report.claim("log", audit::describe(&export));
            Ok(Ok((report, export)))
        }
        Err(refusal) => Ok(Err(refusal.into_report(report))),
    }
}

fn check_signature(checks: &mut Checklist, receipt: &Receipt, keys: Option<&[ReceiptKey]>, pinned: bool) {
    let Some(keys) = keys else {
        checks.not_done("receipt.key", "nothing was given that attests the signing key");
        checks.not_done("receipt.signature", "nothing was given that attests the signing key");
        return;
    };
    match receipt::verify(receipt, keys) {
        Err(Error::UnknownKey) if pinned => checks.fail("receipt.key", "signed by another key than the one you gave"),
        Err(Error::UnknownKey) => checks.fail("receipt.key", "signed by a key that the evidence does not name"),
        result => {
            if pinned {
                checks.pass("receipt.key", "the key you gave; whether it lives in a TEE was not looked at");
            } else {
                checks.pass("receipt.key", "the evidence names the signing key");
            }
            let _ = checks.step("receipt.signature", |()| "signed by that key".to_owned(), result);
        }
    }
}

fn check_text(checks: &mut Checklist, id: &'static str, path: Option<&Path>, expected: Digest) -> Result<(), Failure> {
    let Some(path) = path else {
        checks.not_done(id, "the text was not given");
        return Ok(());
    };
    let text = input::read(path, MAX_TEXT_BYTES)?;
    // Editors and shells add a line break at the end of files.
    let bare = text.strip_suffix(b"\r\n").or_else(|| text.strip_suffix(b"\n"));
    if sha256(&text) == expected {
        checks.pass(id, "the text has the digest in the receipt");
    } else if bare.is_some_and(|bare| sha256(bare) == expected) {
        checks.pass(id, "the text has the digest in the receipt, but for a line break at its end");
    } else {
        checks.fail(id, "the text is not the one that the receipt is about");
    }
    Ok(())
}

fn check_log(checks: &mut Checklist, receipt: &Receipt, export: Option<&VerifiedExport>) {
    let Some(export) = export else {
        checks.not_done("receipt.log", "no export was given");
        return;
    };
    let passed = |(): &()| format!("recorded as number {} of the log", receipt.log.index);
    let _ = checks.step("receipt.log", passed, receipt::prove_in_export(receipt, export));
}
