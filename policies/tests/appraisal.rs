//! What is accepted and what is not, given evidence that is true.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use cloister_attestation::document::{Document, Evidence, Tee};
use cloister_attestation::encoding::{Hex, sha256};
use cloister_attestation::statement::{self, Build, Model, NULL_NONCE, State, Statement};
use cloister_attestation::{Check, ExitClass, Expectations, Outcome, Trust, VerifiedEvidence, development, verify};
use cloister_policies::appraisal::{AppraisalPolicy, AttestationResult, DEVELOPMENT, DevelopmentTee, Error, Verdict};
use cloister_policies::{appraise, shipped};
use ed25519_dalek::SigningKey;

const NOW: u64 = 1_790_000_000_000;
const NONCE: [u8; 32] = [5; 32];

fn evidence(nonce: Option<[u8; 32]>, valid_ms: u64) -> VerifiedEvidence {
    let statement = Statement {
        v: statement::VERSION,
        build: Build { version: "0.1.0".to_owned(), commit: "c0ffee".to_owned() },
        tls_spki_sha256: vec![sha256(b"spki")],
        hpke_keys: vec![Hex([1; 32])],
        opaque_pk: Hex([2; 32]),
        receipt_keys: Vec::new(),
        log_keys_root: sha256(b"[]"),
        models: vec![Model { id: "embedder".to_owned(), sha256: sha256(b"model"), role: "embedder".to_owned() }],
        policies_sha256: Hex(shipped::digest()),
        egress_sha256: sha256(b"egress"),
        state: State { epoch: 7, audit_head: sha256(b"head") },
        not_after: NOW + valid_ms,
        channel: None,
    };
    let data = statement.report_data(&nonce.unwrap_or(NULL_NONCE));
    let report = development::sign(&data, &SigningKey::from_bytes(&[3; 32]));
    let evidence = Evidence::new(Tee::Development, report);
    let document = serde_json::to_vec(&Document::new(nonce, statement, evidence, serde_json::Map::new())).unwrap();
    verify(&document, &Expectations { nonce, channel: None }, &Trust::pinned(), NOW).expect("it is true")
}

fn fresh() -> VerifiedEvidence {
    evidence(Some(NONCE), 3_600_000)
}

fn failed(result: &AttestationResult) -> Vec<&'static str> {
    let fails = |check: &&Check| check.result == Outcome::Fail;
    result.checks.iter().filter(fails).map(|check| check.id).collect()
}

#[test]
fn the_shipped_policies_are_policies() {
    let _ = (AppraisalPolicy::shipped_default(), AppraisalPolicy::shipped_development());
}

#[test]
fn the_development_tee_needs_two_agreements() {
    let judge = |policy: &AppraisalPolicy, allow| appraise(fresh(), policy, allow);
    let (default, development) = (AppraisalPolicy::shipped_default(), AppraisalPolicy::shipped_development());

    let refused = judge(&default, DevelopmentTee::Refuse);
    assert_eq!((refused.verdict, refused.exit_class()), (Verdict::Rejected, ExitClass::Rejected));
    assert_eq!(failed(&refused), ["policy.tee", "policy.hardware"]);
    assert_eq!(failed(&judge(&default, DevelopmentTee::Allow)), ["policy.tee"]);
    assert_eq!(failed(&judge(&development, DevelopmentTee::Refuse)), ["policy.hardware"]);

    let accepted = judge(&development, DevelopmentTee::Allow);
    assert_eq!((accepted.verdict, accepted.exit_class()), (Verdict::AcceptedDevelopment, ExitClass::Accepted));
    let hardware = accepted.checks.iter().find(|check| check.id == "policy.hardware").unwrap();
    assert!(hardware.reason.contains("DEVELOPMENT, NOT CONFIDENTIAL"));
}

#[test]
fn a_saved_document_is_accepted_only_where_freshness_is_not_asked_for() {
    let policy = AppraisalPolicy::shipped_development();
    let saved = appraise(evidence(None, 1000), &policy, DevelopmentTee::Allow);
    assert_eq!(failed(&saved), ["policy.fresh"]);
    let offline = appraise(evidence(None, 1000), &policy.for_saved_document(), DevelopmentTee::Allow);
    assert_eq!(offline.verdict, Verdict::AcceptedDevelopment);
    let check = offline.checks.iter().find(|check| check.id == "policy.fresh").unwrap();
    assert_eq!(check.result, Outcome::NotDone, "and nobody is told that it was fresh");
}

#[test]
fn a_statement_that_is_valid_too_long_is_refused() {
    let policy = AppraisalPolicy::shipped_development();
    let at_limit = appraise(evidence(Some(NONCE), 172_800_000), &policy, DevelopmentTee::Allow);
    assert_eq!(at_limit.verdict, Verdict::AcceptedDevelopment);
    let over = appraise(evidence(Some(NONCE), 172_801_000), &policy, DevelopmentTee::Allow);
    assert_eq!(failed(&over), ["policy.validity"]);
}

#[test]
fn pinned_values_must_match() {
    let pin =
        |line: &str, value: &str| DEVELOPMENT.replace(&format!("{line} = []"), &format!("{line} = [\"{value}\"]"));
    let right = [
        ("commits", "policy.commits", "c0ffee".to_owned()),
        ("policies_sha256", "policy.policies", Hex(shipped::digest()).to_string()),
        ("egress_sha256", "policy.egress", sha256(b"egress").to_string()),
        ("models_sha256", "policy.models", sha256(b"model").to_string()),
    ];
    for (line, id, value) in right {
        let policy = AppraisalPolicy::from_toml(&pin(line, &value)).unwrap();
        let result = appraise(fresh(), &policy, DevelopmentTee::Allow);
        let check = result.checks.iter().find(|check| check.id == id).unwrap();
        assert_eq!((result.verdict, check.result), (Verdict::AcceptedDevelopment, Outcome::Pass), "{line}");

        let policy = AppraisalPolicy::from_toml(&pin(line, &"0".repeat(64))).unwrap();
        assert_eq!(failed(&appraise(fresh(), &policy, DevelopmentTee::Allow)), [id]);
    }
}

#[test]
fn malformed_policies_are_refused() {
    let toml =
        ["", "v = 1", &DEVELOPMENT.replace("tee =", "teee ="), &DEVELOPMENT.replace("\"development\"", "\"sgx\"")];
    for text in toml {
        assert!(matches!(AppraisalPolicy::from_toml(text), Err(Error::Toml(_))), "{text}");
    }
    let parse = |from: &str, to: &str| AppraisalPolicy::from_toml(&DEVELOPMENT.replace(from, to));
    assert_eq!(parse("v = 1", "v = 2"), Err(Error::Version(2)));
    assert_eq!(parse("[\"development\"]", "[]"), Err(Error::Kinds));
    assert_eq!(parse("[\"development\"]", "[\"development\", \"tdx\"]"), Err(Error::Kinds), "no policy for both");
}
