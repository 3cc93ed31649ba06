//! Steps 2 to 9 of the offline verification (protocols, section 8). Step 1, decryption, is the caller's.
//!
//! | step | checks |
//! |---|---|
//! | 2 | `export.archive`, `export.manifest`, `export.files` |
//! | 3 | `attest.evidence` |
//! | 4 | `attest.log_key` |
//! | 5 | `log.checkpoint` |
//! | 6 | `log.entries`, `log.root`, `log.tiles` |
//! | 7 | `log.consistency`, `log.previous` |
//! | 8 | `log.witnesses` |
//! | 9 | `records.encoding`, `.schema`, `.sequence`, `.time`, `.boots`, `.origin`, `.heartbeat` |

use std::collections::BTreeSet;

use super::archive::{self, Files};
use super::error::Error;
use super::log::{check_checkpoint, check_previous_export, check_saved, check_tiles, read_entries};
use super::records::{self, Findings, Found};
use super::{
    CHECKPOINT, CONSISTENCY, DOCUMENT, INSTRUCTIONS, LOG, LOG_KEYS, LogKey, MANIFEST, Manifest, PREVIOUS, SCHEMA,
    VERSION, VKEY,
};
use crate::check::{Check, Checklist, Planned, Rejected, Stage};
use crate::encoding::{MAX_SAFE_INTEGER, jcs, sha256};
use crate::note::{self, Checkpoint, Vkey};
use crate::tlog::{self, Hash, MemoryTree, TileRef};
use crate::verify::{Trust, VerifiedEvidence};

const AGAIN: &str = "export again; a damaged copy fails here, and so does a forged one";
const FORGED: &str = "keep this file as proof and take it to whoever is responsible for the appliance";
const WRITER: &str = "keep this file as proof: the appliance itself wrote records that do not fit together";

const PLAN: &[Planned] = &[
    Planned::required("export.archive", Stage::Format, "give the .tar, or the .tar.age with its identity"),
    Planned::required("export.manifest", Stage::Format, AGAIN),
    Planned::required("export.files", Stage::Format, AGAIN),
    Planned::required(
        "attest.evidence",
        Stage::Evidence,
        "give the attestation document that was valid when the export was made (--document)",
    ),
    Planned::required("attest.log_key", Stage::Log, "give the attestation document that names this log (--document)"),
    Planned::required("log.checkpoint", Stage::Log, FORGED),
    Planned::required("log.entries", Stage::Log, FORGED),
    Planned::required("log.root", Stage::Log, FORGED),
    Planned::required("log.tiles", Stage::Log, FORGED),
    Planned::optional("log.consistency", Stage::Log, "compare with the checkpoint of an earlier export (--previous)"),
    Planned::optional("log.previous", Stage::Log, "give the checkpoint that you saved at the last export (--previous)"),
    Planned::optional("log.witnesses", Stage::Log, "name witnesses once the appliance uses them"),
    Planned::required("records.encoding", Stage::Records, WRITER),
    Planned::required("records.schema", Stage::Records, WRITER),
    Planned::required("records.sequence", Stage::Records, WRITER),
    Planned::required("records.time", Stage::Records, WRITER),
    Planned::required("records.boots", Stage::Records, WRITER),
    Planned::required("records.origin", Stage::Records, WRITER),
    Planned::optional("records.heartbeat", Stage::Records, "ask why the appliance was silent"),
];

/// What the auditor knows from elsewhere.
#[derive(Debug, Clone, Copy)]
pub struct Expectations<'a> {
    /// An attestation document to use in the place of the one in the export; verified as of now.
    pub document: Option<&'a [u8]>,
    /// The checkpoint that the auditor saved from an earlier export.
    pub previous: Option<&'a [u8]>,
}

/// An export that is true, given its evidence. Only [`verify`] makes it; `cloister-policies` judges the evidence.
#[derive(Debug, Clone)]
pub struct VerifiedExport {
    manifest: Manifest,
    checkpoint: Checkpoint,
    checkpoint_note: Vec<u8>,
    evidence: VerifiedEvidence,
    entries: Vec<Vec<u8>>,
    checks: Vec<Check>,
}

impl VerifiedExport {
    /// What was sent.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The head of the log.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The signed checkpoint, to be saved for the next verification.
    #[must_use]
    pub fn checkpoint_note(&self) -> &[u8] {
        &self.checkpoint_note
    }

    /// What attests the log's key.
    #[must_use]
    pub const fn evidence(&self) -> &VerifiedEvidence {
        &self.evidence
    }

    /// Every record.
    #[must_use]
    pub fn entries(&self) -> &[Vec<u8>] {
        &self.entries
    }

    /// Every check that was made.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }
}

/// Verifies the tar of an export as of `now_ms` (Unix milliseconds).
///
/// The document inside the export is verified as of the time of the export: statements expire, logs are kept.
///
/// # Errors
///
/// The first step that fails, together with all checks: those after it are reported as not done.
pub fn verify(
    tar: &[u8],
    expected: &Expectations<'_>,
    trust: &Trust,
    now_ms: u64,
) -> Result<VerifiedExport, Rejected<Error>> {
    let mut checks = Checklist::new(PLAN);
    match steps(&mut checks, tar, expected, trust, now_ms) {
        Ok(export) => Ok(VerifiedExport { checks: checks.into_checks(), ..export }),
        Err(error) => Err(Rejected { checks: checks.into_checks(), error }),
    }
}

fn steps(
    checks: &mut Checklist,
    tar: &[u8],
    expected: &Expectations<'_>,
    trust: &Trust,
    now_ms: u64,
) -> Result<VerifiedExport, Error> {
    let files = archive::read(tar).map_err(Error::Archive);
    let files = checks.step("export.archive", |files| format!("{} files", files.len()), files)?;
    let manifest = checks.step(
        "export.manifest",
        |m| format!("says it was made at {} (Unix milliseconds)", m.exported_ms),
        read_manifest(&files),
    )?;
    let listed = check_files(&files, &manifest);
    checks.step("export.files", |count| format!("{count} files as the manifest names them"), listed)?;

    let evidence = check_evidence(&files, &manifest, expected, trust, now_ms);
    let evidence =
        checks.step("attest.evidence", |e| format!("true evidence of the kind {}", e.tee().name()), evidence)?;
    let keys = check_keys(&files, &manifest.origin, &evidence);
    let keys =
        checks.step("attest.log_key", |keys| format!("{} attested for this log", plural(keys.len(), "key")), keys)?;

    let note = file(&files, CHECKPOINT)?;
    let checkpoint = check_checkpoint(note, &manifest, &keys);
    let checkpoint = checks.step("log.checkpoint", |c| format!("signed over {} records", c.size), checkpoint)?;

    let entries = read_entries(&files, checkpoint.size);
    let entries = checks.step("log.entries", |entries| format!("all {} records read", entries.len()), entries)?;
    let hashes: Vec<Hash> = entries.iter().map(|entry| tlog::leaf_hash(entry)).collect();
    let tree = MemoryTree::from_leaves(&hashes);
    let root = (tree.root() == checkpoint.root).then_some(()).ok_or(Error::Root);
    checks.step("log.root", |()| "recomputed from all records, and as signed".to_owned(), root)?;
    let tiles = check_tiles(&files, &tree);
    checks.step("log.tiles", |count| format!("{} as the records give them", plural(*count, "hash tile")), tiles)?;

    check_previous_export(checks, &files, &manifest, &keys, &tree)?;
    check_saved(checks, expected.previous, &keys, &tree)?;
    checks.not_done("log.witnesses", "no witness is named by this version's policy");
    check_records(checks, &records::judge(&checkpoint.origin, &keys, &entries))?;

    let checkpoint_note = note.to_vec();
    Ok(VerifiedExport { manifest, checkpoint, checkpoint_note, evidence, entries, checks: Vec::new() })
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

fn file<'a>(files: &'a Files, path: &'static str) -> Result<&'a [u8], Error> {
    files.get(path).map(Vec::as_slice).ok_or(Error::MissingFile(path))
}

fn read_manifest(files: &Files) -> Result<Manifest, Error> {
    let bytes = file(files, MANIFEST)?;
    let manifest: Manifest = serde_json::from_slice(bytes).map_err(|_| Error::Manifest)?;
    if manifest.v != VERSION {
        return Err(Error::Version(manifest.v));
    }
    let numbers = [manifest.size, manifest.prev_size, manifest.exported_ms];
    if jcs(&manifest) != bytes || numbers.iter().any(|number| *number > MAX_SAFE_INTEGER) {
        return Err(Error::Manifest);
    }
    Ok(manifest)
}

/// Nothing is missing, nothing is added, and nothing stands where no export has anything.
fn check_files(files: &Files, manifest: &Manifest) -> Result<usize, Error> {
    for (path, digest) in &manifest.files {
        if files.get(path).map(|bytes| sha256(bytes)) != Some(*digest) {
            return Err(Error::Digest(path.clone()));
        }
    }
    let tiles: BTreeSet<String> = TileRef::of_tree(bounded_size(files, manifest))
        .flat_map(|tile| {
            let entries = (tile.level == 0).then(|| tlog::entries_path(tile.index, tile.width));
            entries.into_iter().chain([tile.path()])
        })
        .map(|path| format!("{LOG}{path}"))
        .collect();
    let fixed = [VKEY, CHECKPOINT, PREVIOUS, CONSISTENCY, DOCUMENT, LOG_KEYS, INSTRUCTIONS];
    let belongs = |path: &str| fixed.contains(&path) || path.starts_with(SCHEMA) || tiles.contains(path);
    let foreign = files
        .keys()
        .find(|path| path.as_str() != MANIFEST && !(manifest.files.contains_key(path.as_str()) && belongs(path)));
    match foreign {
        Some(path) => Err(Error::UnexpectedFile(path.clone())),
        None => Ok(manifest.files.len()),
    }
}

/// The claimed size, but not more than the files could hold: a claim must not make us count to 2^53.
fn bounded_size(files: &Files, manifest: &Manifest) -> u64 {
    let bundles = u64::try_from(files.len()).unwrap_or(u64::MAX);
    manifest.size.min(bundles.saturating_mul(tlog::TILE_WIDTH))
}

fn check_evidence(
    files: &Files,
    manifest: &Manifest,
    expected: &Expectations<'_>,
    trust: &Trust,
    now_ms: u64,
) -> Result<VerifiedEvidence, Error> {
    if manifest.exported_ms > now_ms {
        return Err(Error::Future);
    }
    let (document, as_of) = match (expected.document, files.get(DOCUMENT)) {
        (Some(own), _) => (own, now_ms),
        (None, Some(enclosed)) => (enclosed.as_slice(), manifest.exported_ms),
        (None, None) => return Err(Error::NoEvidence),
    };
    let saved = crate::verify::Expectations { nonce: None, channel: None };
    crate::verify::verify(document, &saved, trust, as_of).map_err(|rejected| Error::Evidence(rejected.error))
}

fn check_keys(files: &Files, origin: &str, evidence: &VerifiedEvidence) -> Result<Vec<Vkey>, Error> {
    let list = files.get(LOG_KEYS).ok_or(Error::NoEvidence)?;
    if sha256(list) != evidence.statement().log_keys_root {
        return Err(Error::LogKeys);
    }
    let attested: Vec<LogKey> = serde_json::from_slice(list).map_err(|_| Error::LogKeys)?;
    let lines = std::str::from_utf8(file(files, VKEY)?).map_err(|_| Error::Vkey(note::Error::Vkey))?;
    let keys = lines.lines().map(Vkey::parse).collect::<Result<Vec<_>, _>>().map_err(Error::Vkey)?;
    let is_attested = |key: &Vkey| {
        key.name == origin && attested.iter().any(|own| own.origin == origin && own.vkey == key.to_string())
    };
    if !keys.is_empty() && keys.iter().all(is_attested) { Ok(keys) } else { Err(Error::KeyNotAttested) }
}

fn check_records(checks: &mut Checklist, findings: &Findings) -> Result<(), Error> {
    let boots = format!("{}, none out of order", plural(findings.boot_count, "boot"));
    let rules: [(&'static str, Option<Found>, String); 6] = [
        ("records.encoding", findings.encoding, "every record is canonical JSON".to_owned()),
        ("records.schema", findings.schema, "every record has the fields of a record".to_owned()),
        ("records.sequence", findings.sequence, "numbered from 0 without a gap".to_owned()),
        ("records.time", findings.time, "time never goes back".to_owned()),
        ("records.boots", findings.boots, boots),
        ("records.origin", findings.origin, "the log is named after its first record and its key".to_owned()),
    ];
    let failure = |(index, problem): Found| Error::Record { index, problem };
    // A record that cannot be read ends the reading, and the rules after it cannot be said to hold.
    let mut first = findings.encoding.or(findings.schema).map(failure);
    let unread = first.is_some();
    for (id, found, passed) in rules {
        match found.map(failure) {
            Some(error) => {
                checks.fail(id, error.to_string());
                first.get_or_insert(error);
            }
            None if unread => checks.not_done(id, "not every record could be read"),
            None => checks.pass(id, passed),
        }
    }
    match findings.heartbeat {
        _ if findings.heartbeat_count == 0 => {
            checks
                .not_done("records.heartbeat", "the log has no heartbeat records, so silence cannot be told from rest");
        }
        Some(found) => {
            let error = failure(found);
            checks.fail("records.heartbeat", error.to_string());
            first.get_or_insert(error);
        }
        None => checks.pass("records.heartbeat", "no gap of more than two hours within a boot"),
    }
    first.map_or(Ok(()), Err)
}
