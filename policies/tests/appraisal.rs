//! What is accepted and what is not, given evidence that is true.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use cloister_attestation::document::{Document, Evidence, Tee};
use cloister_attestation::encoding::{Hex, sha256};
use cloister_attestation::statement::{self, Build, Model, NULL_NONCE, State, Statement};
use cloister_attestation::{Check, ExitClass, Expectations, Outcome, Trust, VerifiedEvidence, development, verify};
use cloister_policies::appraisal::lint::{Level, explain, lint};
use cloister_policies::appraisal::{
    AppraisalPolicy, AttestationResult, DEFAULT, DEVELOPMENT, DevelopmentTee, Error, STRICT, Verdict,
};
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
    for name in ["strict", "default", "development"] {
        assert!(AppraisalPolicy::preset(name).is_some(), "{name}");
    }
    assert_eq!(AppraisalPolicy::preset("lax"), None);
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
    let pin = |line: &str, value: &str| format!("{DEVELOPMENT}\n[reference]\n{line} = [{value}]");
    let quoted = |value: &str| format!("\"{value}\"");
    let right = [
        ("commits", "policy.commits", "c0ffee".to_owned()),
        ("policies_sha256", "policy.policies", Hex(shipped::digest()).to_string()),
        ("egress_sha256", "policy.egress", sha256(b"egress").to_string()),
        ("models_sha256", "policy.models", sha256(b"model").to_string()),
    ];
    for (line, id, value) in right {
        let policy = AppraisalPolicy::from_toml(&pin(line, &quoted(&value))).unwrap();
        let result = appraise(fresh(), &policy, DevelopmentTee::Allow);
        let check = result.checks.iter().find(|check| check.id == id).unwrap();
        assert_eq!((result.verdict, check.result), (Verdict::AcceptedDevelopment, Outcome::Pass), "{line}");

        for wrong in [quoted(&"0".repeat(64)), String::new()] {
            let policy = AppraisalPolicy::from_toml(&pin(line, &wrong)).unwrap();
            assert_eq!(
                failed(&appraise(fresh(), &policy, DevelopmentTee::Allow)),
                [id],
                "an empty list accepts nothing"
            );
        }
    }
}

#[test]
fn malformed_policies_are_refused() {
    let toml =
        ["", "v = 1", &DEVELOPMENT.replace("tee =", "teee ="), &DEVELOPMENT.replace("\"development\"", "\"sgx\"")];
    for text in toml {
        assert!(matches!(AppraisalPolicy::from_toml(text), Err(Error::Toml { .. })), "{text}");
    }
    let parse = |from: &str, to: &str| AppraisalPolicy::from_toml(&DEVELOPMENT.replace(from, to));
    assert_eq!(parse("v = 1", "v = 2"), Err(Error::Version(2)));
    assert_eq!(parse("[\"development\"]", "[]"), Err(Error::Kinds));
    assert_eq!(parse("[\"development\"]", "[\"development\", \"tdx\"]"), Err(Error::Kinds), "no policy for both");
}

#[test]
fn a_policy_judges_all_hardware_that_it_lists_and_names_images_whole() {
    let parse = |text: &str| AppraisalPolicy::from_toml(text).unwrap_err();
    let bare = "v = 1\ntee = [\"sev-snp\"]\nrequire_fresh = true\nmax_validity_seconds = 1\n";
    assert_eq!(parse(bare), Error::Table { tee: "sev-snp", table: "snp" });
    let azure = DEFAULT.replace("\"tdx\"]", "\"az-tdx\"]");
    assert_eq!(parse(&azure), Error::Table { tee: "az-tdx", table: "azure" });
    let image = |fields: &str| {
        let entry = format!("{DEFAULT}\n[[reference.measurement]]\nname = \"one\"\n{fields}");
        AppraisalPolicy::from_toml(&entry).map(drop)
    };
    let register = "00".repeat(48);
    assert_eq!(image(&format!("tee = \"sev-snp\"\nmeasurement = \"{register}\"")), Ok(()));
    let dated = "not_before = 2026-05-01T00:00:00Z\nnot_after = \"2026-05-02T00:00:00Z\"";
    assert_eq!(image(&format!("tee = \"sev-snp\"\nmeasurement = \"{register}\"\n{dated}")), Ok(()));
    for wrong in ["tee = \"sev-snp\"", "tee = \"development\"", &format!("tee = \"tdx\"\nmrtd = \"{register}\"")] {
        assert!(matches!(image(wrong), Err(Error::Measurement { .. })), "{wrong}");
    }
    assert!(matches!(image("tee = \"tdx\"\nmrtd = \"00\""), Err(Error::Toml { line: 1.., .. })));
}

#[test]
fn lint_tells_what_a_policy_lets_through() {
    let keys = |text: &str| lint(text, NOW).into_iter().map(|finding| finding.key).collect::<Vec<_>>();
    assert_eq!(keys(DEFAULT), ["snp.require_crl", "reference.measurement"]);
    assert_eq!(keys(DEVELOPMENT), [""; 0]);
    assert!(keys(STRICT).contains(&"reference.measurement"), "as shipped it accepts nothing");
    let loose = DEFAULT.replace("allow_debug = false", "allow_debug = true").replace("[\"Genoa\"", "[\"Milan\"");
    let loose = loose.replace("require_fresh = true", "require_fresh = false");
    for key in ["snp.allow_debug", "tdx.allow_debug", "snp.allowed_products", "require_fresh"] {
        assert!(keys(&loose).contains(&key), "{key}");
    }
    let broken = lint("v = 1\ntea = 2", NOW);
    assert_eq!((broken[0].level, broken[0].key, broken.len()), (Level::Error, "policy", 1));
    assert!(broken[0].message.contains("line 2"), "{}", broken[0].message);
}

#[test]
fn every_key_of_the_presets_is_explained() {
    for name in ["strict", "default", "development"] {
        for (key, sentence) in explain(&AppraisalPolicy::preset(name).unwrap()) {
            assert!(!sentence.starts_with(' '), "{name}: {key} has no words");
        }
    }
    let all = explain(&AppraisalPolicy::shipped_default());
    assert!(all.iter().any(|(key, text)| key == "snp.allowed_products" && text.contains("Genoa")), "{all:?}");
}
