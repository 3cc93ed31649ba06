//! Exports of the log, verified by the verifier and opened by Debian's `age`.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod opened;

use std::io::Write as _;
use std::process::{Command, Stdio};

use cloister_attestation::document::{Document, Evidence, Tee};
use cloister_attestation::encoding::{Hex, sha256};
use cloister_attestation::export::{self, Attestation, Expectations, LogKey};
use cloister_attestation::statement::{self, Build, Statement};
use cloister_attestation::{Trust, check, development};
use cloister_enclave::audit::export::{Error, Recipient, Request};
use cloister_enclave::audit::{Class, Event};
use cloister_enclave::clock::{Clock as _, SystemClock};
use cloister_enclave::store::Store;
use cloister_protocol::ids::PersonId;
use ed25519_dalek::SigningKey;
use opened::{open, tenant};

fn officer() -> PersonId {
    PersonId::from_parts(1_790_000_000_000, 5)
}

async fn log_some(store: &Store, count: u64) {
    for number in 0..count {
        let mut batch = tenant(store, 1).batch();
        batch.audit(Event::new(Class::ApiCreate, "chat.answer").by(officer()).detail("number", number));
        batch.commit().await.unwrap();
    }
}

/// A document of the development TEE that names the logs of the store.
fn document(store: &Store, log_keys: &[LogKey]) -> Vec<u8> {
    let statement = Statement {
        v: statement::VERSION,
        build: Build { version: "0.1.0".to_owned(), commit: "unknown".to_owned() },
        tls_spki_sha256: vec![sha256(b"spki")],
        hpke_keys: vec![Hex([1; 32])],
        opaque_pk: Hex([2; 32]),
        receipt_keys: Vec::new(),
        log_keys_root: export::log_keys_root(log_keys),
        models: Vec::new(),
        policies_sha256: sha256(b"policies"),
        egress_sha256: sha256(b"egress"),
        state: store.state(),
        not_after: SystemClock.now_ms() + 3_600_000,
        channel: None,
    };
    let key = SigningKey::from_bytes(&[3; 32]);
    let report = development::sign(&statement.report_data(&statement::NULL_NONCE), &key);
    serde_json::to_vec(&Document::new(None, statement, Evidence::new(Tee::Development, report), serde_json::Map::new()))
        .unwrap()
}

async fn exported(store: &Store, request: &Request<'_>) -> Result<Vec<u8>, Error> {
    let log = tenant(store, 1).audit_log();
    let head = log.record_export(request).await?;
    let log_keys = store.log_key_list();
    let document = document(store, &log_keys);
    log.export(&head, request, Some(Attestation { document: &document, log_keys: &log_keys }))
}

#[tokio::test]
async fn dc_12_an_export_verifies_offline_and_continues_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    log_some(&store, 20).await;
    let first = exported(&store, &Request { by: officer(), recipient: None, previous: None }).await.unwrap();
    let expectations = Expectations { document: None, previous: None };
    let report = export::verify(&first, &expectations, &Trust::pinned(), SystemClock.now_ms()).expect("it is true");
    assert!(check::all_hold(report.checks()), "{:#?}", report.checks());
    assert_eq!(report.checkpoint().size, 23, "genesis, boot, 20 events and the export itself");
    let last = String::from_utf8(report.entries().last().unwrap().clone()).unwrap();
    assert!(last.contains("\"event_code\":\"log.export\""));

    let saved = tenant(&store, 1).audit_log().checkpoint().unwrap().unwrap();
    store.close().await;
    drop(store);
    let store = open(dir.path());
    log_some(&store, 300).await;
    let request = Request { by: officer(), recipient: None, previous: Some(&saved) };
    let second = exported(&store, &request).await.unwrap();
    let expectations = Expectations { document: None, previous: Some(saved.as_bytes()) };
    let report = export::verify(&second, &expectations, &Trust::pinned(), SystemClock.now_ms()).expect("it continues");
    assert_eq!(report.checkpoint().size, 325);
}

#[tokio::test]
async fn an_earlier_checkpoint_must_be_of_this_log() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    log_some(&store, 1).await;
    let mut other = tenant(&store, 2).batch();
    other.audit(Event::new(Class::ApiCreate, "chat.answer"));
    other.commit().await.unwrap();
    let foreign = tenant(&store, 2).audit_log().checkpoint().unwrap().unwrap();
    let own = tenant(&store, 1).audit_log().checkpoint().unwrap().unwrap();
    for previous in [foreign, own.replace("\n3\n", "\n2\n"), "nonsense".to_owned()] {
        let request = Request { by: officer(), recipient: None, previous: Some(&previous) };
        assert!(matches!(exported(&store, &request).await, Err(Error::Previous)));
    }
    assert!("age1nonsense".parse::<Recipient>().is_err());
}

#[tokio::test]
async fn dc_12_an_encrypted_export_opens_with_debian_age() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    log_some(&store, 300).await;
    let keygen = Command::new("age-keygen").output().expect("Debian package age is installed");
    let identity = String::from_utf8(keygen.stdout).unwrap();
    let recipient = identity.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
    let recipient: Recipient = recipient.parse().unwrap();
    let request = Request { by: officer(), recipient: Some(&recipient), previous: None };
    let sealed = exported(&store, &request).await.unwrap();
    assert!(sealed.starts_with(b"age-encryption.org/v1\n"));

    let key_file = dir.path().join("officer.key");
    std::fs::write(&key_file, identity).unwrap();
    let mut age = Command::new("age")
        .args(["--decrypt", "--identity"])
        .arg(&key_file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = age.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&sealed));
    let opened = age.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(opened.status.success());
    let expectations = Expectations { document: None, previous: None };
    let report =
        export::verify(&opened.stdout, &expectations, &Trust::pinned(), SystemClock.now_ms()).expect("it is true");
    assert_eq!(report.checkpoint().size, 303);
}
