//! Exports of the audit log: true ones, and every way of not being true, each with its exact error.

mod common;

use cloister_attestation::encoding::{Hex, jcs, sha256};
use cloister_attestation::export::{self, ArchiveError, Error, Expectations, Manifest, Problem, VerifiedExport};
use cloister_attestation::note::{self, Checkpoint};
use cloister_attestation::{Check, ExitClass, Outcome, Rejected, Trust, receipt, tlog};
use cloister_synthetic::appliance::{Appliance, NOW_MS as NOW, leaf};
use common::{forge, pack, unpack};
use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use serde_json::{Value, json};

const NOTHING: Expectations<'_> = Expectations { document: None, previous: None };

fn verify(tar: &[u8], now_ms: u64, expected: &Expectations<'_>) -> Result<VerifiedExport, Rejected<Error>> {
    export::verify(tar, expected, &Trust::pinned(), now_ms)
}

fn accepted(tar: &[u8], expected: &Expectations<'_>) -> VerifiedExport {
    verify(tar, NOW, expected).unwrap_or_else(|rejected| panic!("{:?}: {:#?}", rejected.error, rejected.checks))
}

/// Verifies and returns the error and the id of the first check that failed.
fn refused(tar: &[u8], expected: &Expectations<'_>) -> (Error, &'static str) {
    let rejected = verify(tar, NOW, expected).expect_err("it is not true");
    let failed = rejected.checks.iter().find(|check| check.result == Outcome::Fail);
    (rejected.error, failed.expect("a check failed").id)
}

fn result(checks: &[Check], id: &str) -> Outcome {
    checks.iter().find(|check| check.id == id).expect("a known check").result
}

#[test]
fn dc_12_a_true_export_verifies_at_every_size() {
    for size in [1, 2, 255, 256, 257, 600] {
        let appliance = Appliance::new(size);
        let export = accepted(&appliance.export(None), &NOTHING);
        assert_eq!(export.checkpoint().size, size);
        assert_eq!(export.entries(), appliance.leaves);
        assert_eq!(result(export.checks(), "log.consistency"), Outcome::NotDone, "the first export");
        assert_eq!(result(export.checks(), "records.origin"), Outcome::Pass);
        assert!(cloister_attestation::check::all_hold(export.checks()));
    }
}

#[test]
fn a_later_export_continues_the_earlier_one() {
    let appliance = Appliance::new(300);
    let saved = appliance.checkpoint(256);
    let expected = Expectations { document: None, previous: Some(saved.as_bytes()) };
    for previous in [1, 100, 256, 300] {
        let export = accepted(&appliance.export(Some(previous)), &expected);
        assert_eq!(result(export.checks(), "log.consistency"), Outcome::Pass);
        assert_eq!(result(export.checks(), "log.previous"), Outcome::Pass);
    }
}

#[test]
fn a_rolled_back_or_forked_log_is_refused() {
    let mut appliance = Appliance::new(30);
    let saved = appliance.checkpoint(30);
    let expected = Expectations { document: None, previous: Some(saved.as_bytes()) };
    appliance.leaves.truncate(20);
    let error = (Error::RolledBack { saved: 30, size: 20 }, "log.previous");
    assert_eq!(refused(&appliance.export(None), &expected), error);

    let mut fork = Appliance::new(40);
    fork.leaves[25] = jcs(&leaf(25, "chat.answer", &json!({ "n": "another" })));
    assert_eq!(refused(&fork.export(None), &expected), (Error::Forked, "log.previous"));

    let other = SigningKey::from_bytes(&[12; 32]);
    let forged = Checkpoint { origin: fork.origin.clone(), size: 1, root: [0; 32] }.sign(&other).unwrap();
    let expected = Expectations { document: None, previous: Some(forged.as_bytes()) };
    assert_eq!(refused(&fork.export(None), &expected), (Error::Saved(note::Error::Unsigned), "log.previous"));
}

#[test]
fn a_damaged_file_of_every_kind_is_told_by_the_manifest() {
    let tar = Appliance::new(300).export(Some(100));
    for path in unpack(&tar).into_keys().filter(|path| path != export::MANIFEST) {
        let mut files = unpack(&tar);
        let file = files.get_mut(&path).unwrap();
        let middle = file.len() / 2;
        file[middle] ^= 1;
        assert_eq!(refused(&pack(&files), &NOTHING), (Error::Digest(path.clone()), "export.files"));
        files.remove(&path);
        assert_eq!(refused(&pack(&files), &NOTHING), (Error::Digest(path), "export.files"));
    }
    let mut files = unpack(&tar);
    files.insert("log/extra".to_owned(), b"x".to_vec());
    let extra = (Error::UnexpectedFile("log/extra".to_owned()), "export.files");
    assert_eq!(refused(&pack(&files), &NOTHING), extra);
    assert_eq!(refused(&forge(&tar, |files| drop(files.insert("log/extra".to_owned(), Vec::new()))), &NOTHING), extra);
}

/// Flips a bit of a file and writes the manifest that fits.
fn flip(path: &'static str, at: usize) -> impl FnOnce(&mut common::Files) {
    move |files| *files.get_mut(path).and_then(|file| file.get_mut(at)).expect(path) ^= 1
}

#[test]
fn a_forged_file_of_every_kind_is_told_by_what_signs_it() {
    let tar = Appliance::new(300).export(Some(100));
    let len = |path: &str| unpack(&tar)[path].len();
    let text = String::from_utf8(unpack(&tar)[export::CHECKPOINT].clone()).unwrap();
    let signature = text.rfind('=').unwrap() - 40;

    let cases = [
        (export::LOG_KEYS, 20, Error::LogKeys, "attest.log_key"),
        (export::CHECKPOINT, 3, Error::Checkpoint(note::Error::Unsigned), "log.checkpoint"),
        (
            export::CHECKPOINT,
            text.find("\n300\n").unwrap() + 2,
            Error::Checkpoint(note::Error::Signature),
            "log.checkpoint",
        ),
        (export::CHECKPOINT, signature, Error::Checkpoint(note::Error::Signature), "log.checkpoint"),
        ("log/tile/entries/000", 100, Error::Root, "log.root"),
        ("log/tile/entries/001.p/44", 1, Error::Bundle("log/tile/entries/001.p/44".to_owned()), "log.entries"),
        ("log/tile/0/000", 0, Error::Tile("log/tile/0/000".to_owned()), "log.tiles"),
        ("log/tile/0/001.p/44", 32 * 44 - 1, Error::Tile("log/tile/0/001.p/44".to_owned()), "log.tiles"),
        ("log/tile/1/000.p/1", 5, Error::Tile("log/tile/1/000.p/1".to_owned()), "log.tiles"),
        (export::PREVIOUS, 3, Error::Previous(note::Error::Unsigned), "log.consistency"),
        (export::CONSISTENCY, 2, Error::Consistency(tlog::Error::WrongRoot), "log.consistency"),
    ];
    for (path, at, error, id) in cases {
        assert!(at < len(path));
        assert_eq!(refused(&forge(&tar, flip(path, at)), &NOTHING), (error, id), "{path} at {at}");
    }
    let (error, id) = refused(&forge(&tar, flip(export::DOCUMENT, 60)), &NOTHING);
    assert!(matches!(error, Error::Evidence(_)), "{error:?}");
    assert_eq!(id, "attest.evidence");
    let (error, id) = refused(&forge(&tar, flip(export::VKEY, len(export::VKEY) - 10)), &NOTHING);
    assert_eq!((error, id), (Error::Vkey(note::Error::Vkey), "attest.log_key"));
}

#[test]
fn a_log_signed_by_another_key_is_refused() {
    let appliance = Appliance::new(10);
    let mallory = Appliance { key: SigningKey::from_bytes(&[13; 32]), ..appliance.clone() };
    let tar = forge(&appliance.export(None), |files| {
        files.insert(export::VKEY.to_owned(), format!("{}\n", mallory.vkey()).into_bytes());
        files.insert(export::CHECKPOINT.to_owned(), mallory.checkpoint(10).into_bytes());
    });
    assert_eq!(refused(&tar, &NOTHING), (Error::KeyNotAttested, "attest.log_key"));
    // With a document of her own she passes for an appliance of her own, and an own document shows the difference.
    let hers = mallory.export(None);
    let own = appliance.document();
    let expected = Expectations { document: Some(&own), previous: None };
    assert_eq!(refused(&hers, &expected), (Error::LogKeys, "attest.log_key"));
    // Even then the first record names the key that it was made under.
    assert_eq!(refused(&hers, &NOTHING), (Error::Record { index: 0, problem: Problem::Origin }, "records.origin"));
}

#[test]
fn the_manifest_must_agree_with_the_checkpoint() {
    let tar = Appliance::new(300).export(Some(100));
    let with = |change: fn(&mut Manifest)| {
        let mut files = unpack(&tar);
        let mut manifest: Manifest = serde_json::from_slice(&files[export::MANIFEST]).unwrap();
        change(&mut manifest);
        files.insert(export::MANIFEST.to_owned(), jcs(&manifest));
        refused(&pack(&files), &NOTHING)
    };
    assert_eq!(with(|m| m.v = 2), (Error::Version(2), "export.manifest"));
    assert_eq!(with(|m| m.size = 299).1, "export.files", "the tiles are those of another size");
    assert_eq!(with(|m| m.size = u64::MAX >> 11).1, "export.files", "and no claim makes us count for ever");
    assert_eq!(with(|m| m.root_b64 = "AAAA".to_owned()), (Error::ManifestDiffers("root_b64"), "log.checkpoint"));
    assert_eq!(with(|m| m.prev_size = 99), (Error::ManifestDiffers("prev_size"), "log.consistency"));
    assert_eq!(with(|m| m.origin = "other".to_owned()), (Error::KeyNotAttested, "attest.log_key"));
    assert_eq!(with(|m| m.exported_ms = NOW + 1), (Error::Future, "attest.evidence"));

    let mut files = unpack(&tar);
    let spaced = String::from_utf8(files[export::MANIFEST].clone()).unwrap().replace("\"v\":1", "\"v\": 1");
    files.insert(export::MANIFEST.to_owned(), spaced.into_bytes());
    assert_eq!(refused(&pack(&files), &NOTHING), (Error::Manifest, "export.manifest"));
    files.remove(export::MANIFEST);
    assert_eq!(refused(&pack(&files), &NOTHING), (Error::MissingFile(export::MANIFEST), "export.manifest"));
}

#[test]
fn an_export_without_evidence_needs_a_document_from_elsewhere() {
    let appliance = Appliance::new(10);
    let tar = forge(&appliance.export(None), |files| drop(files.remove(export::DOCUMENT)));
    let (error, id) = refused(&tar, &NOTHING);
    assert_eq!((error.class(), id), (ExitClass::Collateral, "attest.evidence"));
    let document = appliance.document();
    accepted(&tar, &Expectations { document: Some(&document), previous: None });
}

#[test]
fn evidence_is_judged_as_of_the_export() {
    let tar = Appliance::new(10).export(None);
    let years_later = NOW + 3 * 365 * 86_400_000;
    let export = verify(&tar, years_later, &NOTHING).expect("the statement was valid when the export was made");
    assert_eq!(export.evidence().verified_at_ms(), NOW);
}

#[test]
fn records_that_do_not_fit_together_are_refused() {
    type Change = fn(&mut Value);
    let cases: [(Change, Problem, &str); 10] = [
        (|leaf| leaf["seq"] = json!(4), Problem::Sequence, "records.sequence"),
        (|leaf| leaf["time"] = json!(5), Problem::Time, "records.time"),
        (|leaf| leaf["boot"] = json!("b2"), Problem::Boot, "records.boots"),
        (|leaf| leaf["v"] = json!(2), Problem::Schema, "records.schema"),
        (|leaf| leaf["d"] = json!([]), Problem::Schema, "records.schema"),
        (|leaf| drop(leaf.as_object_mut().unwrap().remove("boot")), Problem::Schema, "records.schema"),
        (|leaf| leaf["ocsf"]["type_uid"] = json!(1), Problem::Schema, "records.schema"),
        (|leaf| leaf["ocsf"]["class_uid"] = json!(u64::MAX), Problem::Encoding, "records.encoding"),
        (|leaf| leaf["ocsf"]["metadata"] = json!({}), Problem::Schema, "records.schema"),
        (|leaf| *leaf = json!(null), Problem::Schema, "records.schema"),
    ];
    for (change, problem, id) in cases {
        let mut appliance = Appliance::new(8);
        let mut changed = leaf(5, "chat.answer", &json!({ "n": 5 }));
        change(&mut changed);
        appliance.leaves[5] =
            if problem == Problem::Encoding { serde_json::to_vec(&changed).unwrap() } else { jcs(&changed) };
        assert_eq!(refused(&appliance.export(None), &NOTHING), (Error::Record { index: 5, problem }, id));
    }
    let mut appliance = Appliance::new(8);
    appliance.leaves[5].push(b' ');
    let error = Error::Record { index: 5, problem: Problem::Encoding };
    assert_eq!(refused(&appliance.export(None), &NOTHING), (error, "records.encoding"));
    appliance.leaves[0] = jcs(&leaf(0, "chat.answer", &json!({})));
    assert_eq!(refused(&appliance.export(None), &NOTHING).1, "records.encoding");
}

#[test]
fn a_boot_record_begins_a_boot_and_an_old_boot_never_comes_back() {
    let booted = |boots: [(&str, &str); 3]| {
        let mut appliance = Appliance::new(4);
        for (seq, (boot, operation)) in (1u64..).zip(boots) {
            let mut record = leaf(seq, operation, &json!({}));
            record["boot"] = json!(boot);
            appliance.leaves[usize::try_from(seq).unwrap()] = jcs(&record);
        }
        appliance.export(None)
    };
    accepted(&booted([("b1", "log.boot"), ("b1", "me"), ("b2", "log.boot")]), &NOTHING);
    let back = booted([("b2", "log.boot"), ("b2", "me"), ("b1", "log.boot")]);
    assert_eq!(refused(&back, &NOTHING), (Error::Record { index: 3, problem: Problem::Boot }, "records.boots"));
}

#[test]
fn silence_is_a_finding_once_there_are_heartbeats() {
    let silent = |heartbeat: &str| {
        let mut appliance = Appliance::new(3);
        let mut record = leaf(2, heartbeat, &json!({}));
        record["time"] = json!(NOW + 8_000_000);
        appliance.leaves[2] = jcs(&record);
        appliance.export(None)
    };
    assert_eq!(result(accepted(&silent("me"), &NOTHING).checks(), "records.heartbeat"), Outcome::NotDone);
    let error = Error::Record { index: 2, problem: Problem::Heartbeat };
    assert_eq!(refused(&silent("log.heartbeat"), &NOTHING), (error, "records.heartbeat"));
}

#[test]
fn what_is_not_a_plain_tar_is_refused() {
    let archive = |tar: &[u8]| match refused(tar, &NOTHING) {
        (Error::Archive(error), "export.archive") => error,
        other => panic!("{other:?}"),
    };
    let entry = |path: &[u8], kind: tar::EntryType| {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path);
        header.set_entry_type(kind);
        header.set_size(1);
        header.set_cksum();
        let mut builder = tar::Builder::new(Vec::new());
        builder.append(&header, b"x".as_slice()).unwrap();
        builder.into_inner().unwrap()
    };
    assert_eq!(archive(&[]), ArchiveError::Tar);
    assert_eq!(archive(b"age-encryption.org/v1"), ArchiveError::Tar);
    assert_eq!(archive(&[0; 1024]), ArchiveError::Tar);
    for path in ["/etc/passwd", "../up", "log/../../up", "./dot", "a//b", "nul\u{e9}", "back\\slash", "a b", "log/"] {
        assert_eq!(archive(&entry(path.as_bytes(), tar::EntryType::Regular)), ArchiveError::Path, "{path}");
    }
    use tar::EntryType as Kind;
    for kind in [
        Kind::Symlink,
        Kind::Link,
        Kind::Directory,
        Kind::Fifo,
        Kind::Char,
        Kind::GNULongName,
        Kind::XHeader,
        Kind::GNUSparse,
    ] {
        assert_eq!(archive(&entry(b"name", kind)), ArchiveError::Kind, "{kind:?}");
    }
    let twice = [&entry(b"a", Kind::Regular)[..1024], &entry(b"a", Kind::Regular)].concat();
    assert_eq!(archive(&twice), ArchiveError::Duplicate);
    let whole = Appliance::new(10).export(None);
    for cut in [100, 512, 700, 1024 + 512] {
        assert!(verify(&whole[..cut], NOW, &NOTHING).is_err(), "cut at {cut}");
    }
    // A header that claims more than there is.
    let mut header = tar::Header::new_ustar();
    header.set_path("big").unwrap();
    header.set_size(1 << 40);
    header.set_cksum();
    assert_eq!(archive(header.as_bytes()), ArchiveError::Tar);
}

#[test]
fn the_builder_refuses_a_checkpoint_that_is_not_of_the_records() {
    let appliance = Appliance::new(10);
    let short = appliance.checkpoint(9);
    let vkeys = [appliance.vkey()];
    let contents = export::Contents {
        vkeys: &vkeys,
        checkpoint: &short,
        previous: None,
        leaves: &appliance.leaves,
        attestation: None,
        schema_files: &[],
        schema: "",
        app_version: "",
        measurement: None,
        exported_ms: NOW,
    };
    assert_eq!(export::build(&contents), Err(export::BuildError::Root));
}

#[test]
fn a_receipt_is_proved_by_the_log_that_it_names() {
    let mut appliance = Appliance::new(20);
    let mut receipt = appliance.receipt(7);
    let export = accepted(&appliance.export(None), &NOTHING);
    let keys = &export.evidence().statement().receipt_keys;
    receipt::verify(&receipt, keys).unwrap();
    receipt::prove_in_export(&receipt, &export).unwrap();

    receipt.log.index = 8;
    assert_eq!(receipt::prove_in_export(&receipt, &export), Err(receipt::Error::NotRecorded));
    receipt.log.index = 20;
    assert_eq!(receipt::prove_in_export(&receipt, &export), Err(receipt::Error::NotYetInLog));
    receipt.log.origin.push('x');
    assert_eq!(receipt::prove_in_export(&receipt, &export), Err(receipt::Error::OtherLog));
    assert_eq!(receipt::verify(&receipt, keys), Err(receipt::Error::Signature));
}

#[test]
fn every_field_of_a_receipt_is_signed() {
    let mut appliance = Appliance::new(20);
    let receipt = appliance.receipt(7);
    let keys = appliance.statement().receipt_keys;
    let wire = serde_json::to_vec(&receipt).unwrap();
    assert_eq!(receipt::Receipt::parse(&wire), Ok(receipt.clone()), "it survives the wire");
    let changes: [fn(&mut receipt::Receipt); 12] = [
        |r| r.body.receipt_id.push('x'),
        |r| r.body.org.push('x'),
        |r| r.body.time_ms += 1,
        |r| r.body.question_sha256 = Hex([0; 32]),
        |r| r.body.answer_sha256 = Hex([0; 32]),
        |r| r.body.kind = receipt::Kind::Generated,
        |r| r.body.model = Some(receipt::Model { id: "m".to_owned(), sha256: Hex([0; 32]) }),
        |r| r.body.prompt_sha256 = Hex([0; 32]),
        |r| r.body.policies_sha256 = Hex([0; 32]),
        |r| r.log.index += 1,
        |r| r.log.origin.push('x'),
        |r| r.signature.0[5] ^= 1,
    ];
    for (i, change) in changes.iter().enumerate() {
        let mut changed = receipt.clone();
        change(&mut changed);
        assert_eq!(receipt::verify(&changed, &keys), Err(receipt::Error::Signature), "change {i}");
    }
    let mut other = receipt.clone();
    other.key_id = "0000000000000000".to_owned();
    assert_eq!(receipt::verify(&other, &keys), Err(receipt::Error::UnknownKey));
    assert_eq!(receipt::verify(&receipt, &[]), Err(receipt::Error::UnknownKey));
    assert_eq!(receipt::digest(&receipt.body), sha256(&jcs(&receipt.body)));

    let text = String::from_utf8(wire).unwrap();
    let parse = |text: &str| receipt::Receipt::parse(text.as_bytes());
    assert_eq!(parse(&text.replacen("\"v\":1", "\"v\":2", 1)), Err(receipt::Error::Version(2)));
    let large = text.replacen("\"index\":7", "\"index\":9007199254740992", 1);
    assert_eq!(parse(&large), Err(receipt::Error::Integer("log.index")));
    assert!(matches!(parse(&text.replacen("quotation", "guess", 1)), Err(receipt::Error::Json { .. })));
    assert!(matches!(parse(&text[1..]), Err(receipt::Error::Json { .. })));
    assert_eq!(parse(&" ".repeat(receipt::MAX_BYTES + 1)), Err(receipt::Error::TooLarge));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_flipped_byte_verifies_as_something_else(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let appliance = Appliance::new(12);
        let mut tar = appliance.export(Some(5));
        let at = at.index(tar.len());
        tar[at] ^= 1 << bit;
        if let Ok(export) = verify(&tar, NOW, &NOTHING) {
            prop_assert_eq!(export.entries(), appliance.leaves);
        }
    }

    #[test]
    fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(verify(&bytes, NOW, &NOTHING).is_err());
        let _ = receipt::Receipt::parse(&bytes);
    }
}
