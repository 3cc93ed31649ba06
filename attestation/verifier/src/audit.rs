//! `cloister-verify audit`: is this export of the audit log whole, unforked and attested?

use std::io::Read as _;
use std::path::Path;

use cloister_attestation::check::{Checklist, ExitClass, Planned, Stage};
use cloister_attestation::export::{self, Expectations, VerifiedExport};
use cloister_attestation::{Check, Trust, document, note};
use cloister_policies::appraisal::Verdict;
use serde_json::json;

use crate::args::AuditArgs;
use crate::failure::Failure;
use crate::input;
use crate::judge::{Judge, Origin};
use crate::report::Report;

const AGE_MAGIC: &[u8] = b"age-encryption.org/v1\n";
const MAX_IDENTITY_BYTES: usize = 64 * 1024;
const DECRYPT: &[Planned] = &[Planned::required(
    "export.decrypt",
    Stage::Format,
    "give the age identity that the export was made for (--identity)",
)];

/// Runs the command.
pub(crate) fn run(args: &AuditArgs, now_ms: u64) -> Result<Report, Failure> {
    let judge = Judge::new(&args.judge)?;
    let now_ms = args.judge.at.unwrap_or(now_ms);
    let document = args.document.as_deref().map(|path| input::read(path, document::MAX_BYTES)).transpose()?;
    let previous = args.previous.as_deref().map(|path| input::read(path, note::MAX_BYTES)).transpose()?;
    let expected = Expectations { document: document.as_deref(), previous: previous.as_deref() };
    let mut report = Report::new(now_ms);
    let export = match open(&args.export, args.identity.as_deref(), &expected, judge.trust(), now_ms)? {
        Ok((export, decrypted)) => {
            report.checks.extend(decrypted);
            export
        }
        Err(refusal) => return Ok(refusal.into_report(report)),
    };
    report.checks.extend_from_slice(export.checks());
    let class = judge.appraise(export.evidence().clone(), Origin::Saved, &mut report)?;
    // The evidence was judged as of the export; when it ended since says nothing about the log.
    report.valid_until = None;
    report.claim("log", describe(&export));
    let report = report.conclude(class);
    if let (Some(path), Verdict::Accepted | Verdict::AcceptedDevelopment) = (&args.save_checkpoint, report.verdict) {
        input::write(path, export.checkpoint_note())?;
    }
    Ok(report)
}

/// What an export says of itself.
pub(crate) fn describe(export: &VerifiedExport) -> serde_json::Value {
    let (checkpoint, manifest) = (export.checkpoint(), export.manifest());
    json!({
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": hex::encode(checkpoint.root),
        "exported_at": input::format_time(manifest.exported_ms),
        "app_version": manifest.app_version,
    })
}

/// Why an export was not even read to its end.
pub(crate) struct Refusal {
    class: ExitClass,
    error: String,
    checks: Vec<Check>,
}

impl Refusal {
    /// Writes it into a report.
    pub(crate) fn into_report(self, report: Report) -> Report {
        report.refuse(self.class, &self.error, self.checks)
    }
}

type Opened = Result<(VerifiedExport, Vec<Check>), Refusal>;

/// Reads, decrypts and verifies an export.
pub(crate) fn open(
    path: &Path,
    identity: Option<&Path>,
    expected: &Expectations<'_>,
    trust: &Trust,
    now_ms: u64,
) -> Result<Opened, Failure> {
    let bytes = input::read(path, export::MAX_BYTES)?;
    let mut checks = Checklist::new(DECRYPT);
    let decrypted = match (bytes.starts_with(AGE_MAGIC), identity) {
        (false, _) => {
            checks.pass("export.decrypt", "the export is not encrypted");
            Ok(bytes)
        }
        (true, None) => {
            checks.not_done("export.decrypt", "the export is encrypted and no identity was given");
            Err((ExitClass::Collateral, "the export is encrypted and no identity was given"))
        }
        (true, Some(identity)) => match decrypt(&bytes, identity)? {
            Some(tar) => {
                checks.pass("export.decrypt", "decrypted with your identity");
                Ok(tar)
            }
            None => {
                checks.fail("export.decrypt", "your identity does not decrypt the export, or the export was altered");
                Err((ExitClass::Rejected, "the export cannot be decrypted"))
            }
        },
    };
    let mut checks = checks.into_checks();
    let tar = match decrypted {
        Ok(tar) => tar,
        Err((class, error)) => return Ok(Err(Refusal { class, error: error.to_owned(), checks })),
    };
    Ok(match export::verify(&tar, expected, trust, now_ms) {
        Ok(export) => Ok((export, checks)),
        Err(rejected) => {
            checks.extend(rejected.checks);
            Err(Refusal { class: rejected.error.class(), error: rejected.error.to_string(), checks })
        }
    })
}

fn decrypt(bytes: &[u8], identity: &Path) -> Result<Option<Vec<u8>>, Failure> {
    let text = input::read(identity, MAX_IDENTITY_BYTES)?;
    let wrong = || Failure::Usage(format!("{}: not an age identity file", identity.display()));
    let identities = age::IdentityFile::from_buffer(text.as_slice()).map_err(|_| wrong())?;
    let identities = identities.into_identities().map_err(|_| wrong())?;
    if identities.is_empty() {
        return Err(wrong());
    }
    let Ok(decryptor) = age::Decryptor::new(bytes) else { return Ok(None) };
    let identities = identities.iter().map(|identity| &**identity as &dyn age::Identity);
    let Ok(reader) = decryptor.decrypt(identities) else { return Ok(None) };
    let bound = u64::try_from(export::MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut tar = Vec::new();
    // A stream that breaks off or fails its authentication gives an error here, and its beginning is thrown away.
    Ok(reader.take(bound).read_to_end(&mut tar).is_ok().then_some(tar))
}
