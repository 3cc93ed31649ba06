//! Attestation documents: true ones, and every way of not being true, each with its exact error.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use cloister_attestation::development;
use cloister_attestation::document::{self, Document, Evidence, Tee};
use cloister_attestation::encoding::{Hex, sha256};
use cloister_attestation::statement::{self, NULL_NONCE, ReceiptKey, Statement};
use cloister_attestation::verify::Error;
use cloister_attestation::{ExitClass, Expectations, Outcome, Rejected, Trust, VerifiedEvidence, receipt};
use ed25519_dalek::SigningKey;
use proptest::prelude::*;

const NOW: u64 = 1_790_000_000_000;
const NONCE: [u8; 32] = [0x5a; 32];

fn key() -> SigningKey {
    SigningKey::from_bytes(&[3; 32])
}

fn statement() -> Statement {
    let public_key = Hex(key().verifying_key().to_bytes());
    let receipt_keys = vec![ReceiptKey { key_id: receipt::key_id(&public_key.0), public_key }];
    Statement { receipt_keys, ..cloister_synthetic::document::statement(NOW) }
}

fn document(nonce: Option<[u8; 32]>, statement: Statement) -> Document {
    let report = development::sign(&statement.report_data(&nonce.unwrap_or(NULL_NONCE)), &key());
    Document::new(nonce, statement, Evidence::new(Tee::Development, report), serde_json::Map::new())
}

fn bytes(document: &Document) -> Vec<u8> {
    serde_json::to_vec(document).unwrap()
}

const FRESH: Expectations = Expectations { nonce: Some(NONCE), channel: None };
const SAVED: Expectations = Expectations { nonce: None, channel: None };

fn verify(document: &[u8], expected: &Expectations, now_ms: u64) -> Result<VerifiedEvidence, Rejected<Error>> {
    cloister_attestation::verify(document, expected, &Trust::pinned(), now_ms)
}

/// Verifies and returns the error and the id of the one check that failed.
fn refused(document: &[u8], expected: &Expectations) -> (Error, &'static str) {
    let rejected = verify(document, expected, NOW).expect_err("it is not true");
    let mut failed = rejected.checks.iter().filter(|check| check.result == Outcome::Fail);
    let id = failed.next().expect("one check failed").id;
    assert!(failed.next().is_none(), "and only one");
    let after = rejected.checks.iter().skip_while(|check| check.id != id).skip(1);
    assert!(after.into_iter().all(|check| check.result == Outcome::NotDone), "nothing after it passes");
    (rejected.error, id)
}

#[test]
fn s3_19_a_true_document_verifies() {
    let evidence = verify(&bytes(&document(Some(NONCE), statement())), &FRESH, NOW).unwrap();
    assert_eq!(evidence.statement(), &statement());
    assert_eq!(evidence.tee(), Tee::Development);
    assert!(evidence.is_fresh());
    assert!(!evidence.tee().is_hardware());
    assert_eq!(evidence.valid_until_ms(), NOW + 3_600_000);
    let not_passed: Vec<_> = evidence.checks().iter().filter(|check| check.result != Outcome::Pass).collect();
    assert_eq!(not_passed.iter().map(|check| check.id).collect::<Vec<_>>(), ["channel.match"]);

    let cached = verify(&bytes(&document(None, statement())), &SAVED, NOW).unwrap();
    assert!(!cached.is_fresh());
}

/// One case of `report_data.json`, which the browser's verifier reads too.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    name: String,
    nonce: Option<Hex<32>>,
    exporter: Option<Hex<32>>,
    statement: serde_json::Value,
    jcs: String,
    digest: Hex<32>,
    report_data: Hex<64>,
}

#[test]
fn s3_19_report_data_is_that_of_the_vectors() {
    let file: serde_json::Value = serde_json::from_str(include_str!("report_data.json")).unwrap();
    let cases: Vec<Vector> = serde_json::from_value(file["cases"].clone()).unwrap();
    assert_eq!(cases.len(), 5);
    for Vector { name, nonce, exporter, statement, jcs, digest, report_data } in cases {
        let statement: Statement = serde_json::from_value(statement).unwrap();
        statement.check().unwrap();
        assert_eq!(statement.channel, exporter.map(|value| sha256(&value.0)), "{name}");
        assert_eq!(String::from_utf8(statement.jcs()).unwrap(), jcs, "{name}");
        assert_eq!(statement.digest(), digest, "{name}");
        assert_eq!(Hex(statement.report_data(&nonce.map_or(NULL_NONCE, |nonce| nonce.0))), report_data, "{name}");
    }
}

#[test]
fn nonce_must_be_ours() {
    for other in [None, Some([1; 32])] {
        assert_eq!(refused(&bytes(&document(other, statement())), &FRESH), (Error::Nonce, "nonce.match"));
    }
    // A relay that writes our nonce over an old answer's gains nothing: the report speaks of the old one.
    let mut replayed = document(Some([1; 32]), statement());
    replayed.nonce = Some(Hex(NONCE));
    assert_eq!(refused(&bytes(&replayed), &FRESH), (Error::ReportData, "statement.report_data"));
    let mut zero = document(None, statement());
    zero.nonce = Some(Hex(NULL_NONCE));
    assert_eq!(refused(&bytes(&zero), &SAVED), (Error::Document(document::Error::ZeroNonce), "doc.format"));
}

#[test]
fn every_field_of_the_statement_is_covered() {
    let changes: [fn(&mut Statement); 13] = [
        |s| s.build.version.push('x'),
        |s| s.build.commit.push('x'),
        |s| s.tls_spki_sha256.push(Hex([9; 32])),
        |s| s.hpke_keys = vec![Hex([9; 32])],
        |s| s.opaque_pk = Hex([9; 32]),
        |s| s.receipt_keys.clear(),
        |s| s.log_keys_root = Hex([9; 32]),
        |s| s.models.clear(),
        |s| s.policies_sha256 = Hex([9; 32]),
        |s| s.egress_sha256 = Hex([9; 32]),
        |s| s.state.epoch += 1,
        |s| s.not_after += 1,
        |s| s.channel = Some(Hex([9; 32])),
    ];
    for (i, change) in changes.iter().enumerate() {
        let mut document = document(Some(NONCE), statement());
        change(&mut document.statement);
        assert_eq!(refused(&bytes(&document), &FRESH), (Error::ReportData, "statement.report_data"), "change {i}");
    }
}

#[test]
fn every_region_of_the_report_is_covered() {
    let layout = (Error::Development(development::Error::Layout), "dev.format");
    let signature = (Error::Development(development::Error::Signature), "dev.signature");
    let regions = [(0..24, &layout), (24..56, &signature), (56..120, &signature), (120..184, &signature)];
    for (region, expected) in regions {
        for at in [region.start, region.end - 1] {
            let mut document = document(Some(NONCE), statement());
            document.evidence.report.0[at] ^= 1;
            assert_eq!(&refused(&bytes(&document), &FRESH), expected, "byte {at}");
        }
    }
    for len in [0, 183, 185] {
        let mut document = document(Some(NONCE), statement());
        document.evidence.report.0.resize(len, 0);
        assert_eq!(&refused(&bytes(&document), &FRESH), &layout);
    }
}

#[test]
fn an_expired_statement_is_refused() {
    let document = bytes(&document(Some(NONCE), statement()));
    let not_after = NOW + 3_600_000;
    verify(&document, &FRESH, not_after).expect("valid to the last millisecond");
    let rejected = verify(&document, &FRESH, not_after + 1).expect_err("and not longer");
    assert_eq!(rejected.error, Error::Expired { not_after });
    assert_eq!(rejected.error.class(), ExitClass::Rejected);
}

#[test]
fn other_kinds_of_evidence_are_unsupported() {
    for tee in ["sgx", "az-sgx", ""] {
        let mut document = document(Some(NONCE), statement());
        tee.clone_into(&mut document.evidence.tee);
        let (error, id) = refused(&bytes(&document), &FRESH);
        assert_eq!((error.class(), id), (ExitClass::Unsupported, "evidence.tee"), "{tee}");
    }
}

#[test]
fn keys_must_be_named_by_their_ids() {
    type Change = fn(&mut Statement);
    let broken: [(Change, &str); 3] = [
        (|s| s.tls_spki_sha256.clear(), "TLS"),
        (|s| s.hpke_keys.clear(), "HPKE"),
        (|s| s.receipt_keys[0].key_id = "0000000000000000".to_owned(), "receipt"),
    ];
    for (change, name) in broken {
        let mut statement = statement();
        change(&mut statement);
        let document = bytes(&document(Some(NONCE), statement));
        assert_eq!(refused(&document, &FRESH), (Error::Keys(name), "statement.keys"));
    }
}

#[test]
fn evidence_for_another_connection_is_refused() {
    let mut tied = statement();
    tied.channel = Some(Hex([4; 32]));
    let document = bytes(&document(Some(NONCE), tied));
    let on = |channel| Expectations { nonce: Some(NONCE), channel: Some(Hex([channel; 32])) };
    verify(&document, &on(4), NOW).expect("the same connection");
    assert_eq!(refused(&document, &on(5)), (Error::Channel, "channel.match"));
}

#[test]
fn malformed_documents_are_refused_by_shape() {
    let good = document(Some(NONCE), statement());
    let text = String::from_utf8(bytes(&good)).unwrap();
    let shape = |text: &str| match refused(text.as_bytes(), &FRESH) {
        (Error::Document(error), "doc.format") => error,
        other => panic!("{other:?}"),
    };
    let json = [
        String::new(),
        text[..text.len() - 1].to_owned(),
        format!("{text} {{}}"),
        text.replacen("\"v\":1", "\"v\":1,\"v\":1", 1),
        text.replacen("\"v\":1", "\"v\":1,\"extra\":0", 1),
        text.replacen("\"v\":1", "\"v\":1.0", 1),
        text.replacen("\"v\":1", "\"v\":\"1\"", 1),
        text.replacen("\"v\":1", "\"v\":1,\"channel\":null", 1),
        text.replacen("5a5a", "5A5a", 1),
        text.replacen("5a5a", "5a5", 1),
        "[".repeat(100_000),
    ];
    for bad in &json {
        assert!(matches!(shape(bad), document::Error::Json { .. }), "{}", &bad[..bad.len().min(60)]);
    }
    assert_eq!(shape(&text.replace("document/v1", "document/v2")), document::Error::Format);
    assert_eq!(shape(&" ".repeat(document::MAX_BYTES + 1)), document::Error::TooLarge);
    let version = text.replacen("\"v\":1", "\"v\":2", 1);
    assert_eq!(shape(&version), document::Error::Statement(statement::Error::Version(2)));
    let epoch = text.replacen("\"epoch\":7", "\"epoch\":9007199254740992", 1);
    assert_eq!(shape(&epoch), document::Error::Statement(statement::Error::Integer("state.epoch")));
    let long = text.replacen("\"0.1.0\"", &format!("\"{}\"", "x".repeat(201)), 1);
    assert_eq!(shape(&long), document::Error::Statement(statement::Error::TooLong("build.version")));
    let mut large = good;
    large.evidence.report.0.resize(document::MAX_REPORT_BYTES + 1, 0);
    assert_eq!(shape(&String::from_utf8(bytes(&large)).unwrap()), document::Error::ReportTooLarge);
}

proptest! {
    #[test]
    fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(verify(&bytes, &SAVED, NOW).is_err());
    }

    #[test]
    fn no_flipped_byte_verifies_as_something_else(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = bytes(&document(Some(NONCE), statement()));
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(evidence) = verify(&bytes, &FRESH, NOW) {
            prop_assert_eq!(evidence.statement(), &statement());
        }
    }
}
