//! What a TDX policy can ask for, judged over genuine evidence, one key at a time.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests stop at the first surprise")]

use std::path::Path;

use cloister_attestation::check::{ExitClass, Outcome};
use cloister_attestation::tdx::{self, Collateral, Evidence, Roots, Verified};
use cloister_policies::appraisal::tdx::{PolicyError, TdxPolicy, check};
use serde_json::{Value, json};

const UP_TO_DATE: &str = "tdx-real-v5-uptodate";
/// Out of date, with three open advisories.
const OUT_OF_DATE: &str = "tdx-real-v4-outofdate-accepted-by-policy";

#[expect(clippy::disallowed_methods, reason = "tests are told by the environment where the vectors are")]
fn read(case: &str, name: &str) -> Vec<u8> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors");
    let root = std::env::var("CLOISTER_VECTORS").unwrap_or_else(|_| default.to_owned());
    let path = Path::new(&root).join("attestation/tdx").join(case).join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("no test vector {}: {error}", path.display()))
}

fn verified(case: &str, with_collateral: bool) -> Verified {
    let label: Value = serde_json::from_slice(&read(case, "case.json")).unwrap();
    let collateral = Collateral::from_json(&read(case, "collateral.json")).unwrap();
    let quote = read(case, "quote.bin");
    let evidence = Evidence { quote: &quote, collateral: with_collateral.then_some(&collateral) };
    tdx::verify(&evidence, &Roots::pinned(), label["verify_at"].as_u64().unwrap() * 1000).unwrap()
}

fn judge(evidence: &Verified, policy: &Value) -> Result<(), PolicyError> {
    let policy: TdxPolicy = serde_json::from_value(policy.clone()).unwrap();
    check(evidence, &policy).map(|_| ()).map_err(|rejected| rejected.error)
}

/// Judges one policy per row, and compares with the code of the refusal; none for acceptance.
fn table(evidence: &Verified, rows: &[(Value, Option<&str>)]) {
    for (policy, wanted) in rows {
        let found = judge(evidence, policy).err();
        assert_eq!(found.as_ref().map(PolicyError::code), *wanted, "{policy}");
    }
}

#[test]
fn s3_19_an_empty_tdx_policy_checks_nothing_and_says_so() {
    let policy: TdxPolicy = toml::from_str("").unwrap();
    let checks = check(&verified(UP_TO_DATE, true), &policy).unwrap();
    let done: Vec<_> = checks.iter().filter(|check| check.result != Outcome::NotDone).map(|check| check.id).collect();
    assert_eq!(done, ["policy.tdx.xfam"], "only what is impossible is always refused");
    assert!(toml::from_str::<TdxPolicy>("allow_debugging = true").is_err(), "a key that nobody knows");
    assert!(toml::from_str::<TdxPolicy>("report_data = \"00\"").is_err(), "a value that is too short");
    assert!(toml::from_str::<TdxPolicy>("accept_tcb_status = [\"Fine\"]").is_err(), "a status that is none");
}

#[test]
fn tdx_reference_values_are_compared_whole() {
    let evidence = verified(UP_TO_DATE, true);
    let report = evidence.report();
    let other = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        hex::encode(bytes)
    };
    let [rtmr0, rtmr1, rtmr2, rtmr3] = report.rtmr;
    let lists: [(&str, &[u8], &str); 7] = [
        ("mrtd", &report.mr_td, "MRTD"),
        ("mr_seam", &report.mr_seam, "MR_SEAM"),
        ("rtmr0", &rtmr0, "RTMR0"),
        ("rtmr1", &rtmr1, "RTMR1"),
        ("rtmr2", &rtmr2, "RTMR2"),
        ("rtmr3", &rtmr3, "RTMR3"),
        ("ppids", &evidence.platform().ppid, "PPID"),
    ];
    for (key, value, code) in lists {
        let right = hex::encode(value);
        table(
            &evidence,
            &[
                (json!({ key: [other(value), right] }), None),
                (json!({ key: [other(value)] }), Some(code)),
                (json!({ key: [] }), Some(code)),
            ],
        );
    }
    let values: [(&str, &[u8], &str); 6] = [
        ("mr_config_id", &report.mr_config_id, "MR_CONFIG_ID"),
        ("mr_owner", &report.mr_owner, "MR_OWNER"),
        ("mr_owner_config", &report.mr_owner_config, "MR_OWNER_CONFIG"),
        ("report_data", &report.report_data, "REPORT_DATA"),
        ("xfam", &report.xfam, "XFAM"),
        ("td_attributes", &report.td_attributes.0, "TD_ATTRIBUTES"),
    ];
    for (key, value, code) in values {
        table(&evidence, &[(json!({ key: hex::encode(value) }), None), (json!({ key: other(value) }), Some(code))]);
    }
}

#[test]
fn tdx_status_advisories_and_grace_decide_together() {
    let evidence = verified(OUT_OF_DATE, true);
    let all = ["INTEL-SA-00960", "INTEL-SA-00982", "INTEL-SA-00986"];
    let dated = evidence.tcb().unwrap().date_s;
    let age_days = (evidence.verified_at_ms() / 1000 - dated) / 86_400;
    table(
        &evidence,
        &[
            (json!({ "accept_tcb_status": ["UpToDate"] }), Some("TCB_STATUS")),
            (json!({ "accept_tcb_status": [] }), Some("TCB_STATUS")),
            (json!({ "accept_tcb_status": ["OutOfDate"] }), None),
            (json!({ "accept_tcb_status": ["UpToDate"], "out_of_date_grace_days": age_days }), Some("TCB_STATUS")),
            (json!({ "accept_tcb_status": ["UpToDate"], "out_of_date_grace_days": age_days + 1 }), None),
            (
                json!({ "accept_tcb_status": ["SWHardeningNeeded"], "out_of_date_grace_days": age_days + 1 }),
                Some("TCB_STATUS"),
            ),
            (json!({ "reject_advisories": [all[1]] }), Some("ADVISORY")),
            (json!({ "reject_advisories": ["INTEL-SA-99999"] }), None),
            (json!({ "allow_advisories": all }), None),
            (json!({ "allow_advisories": all[..2] }), Some("ADVISORY")),
            (json!({ "min_tcb_evaluation_data_number": 17 }), None),
            (json!({ "min_tcb_evaluation_data_number": 99 }), Some("TCB_EVALUATION_NUMBER")),
        ],
    );
}

#[test]
fn tdx_without_collateral_a_policy_about_the_tcb_cannot_be_met() {
    let evidence = verified(UP_TO_DATE, false);
    for policy in [
        json!({ "accept_tcb_status": ["UpToDate"] }),
        json!({ "reject_advisories": [] }),
        json!({ "min_tcb_evaluation_data_number": 0 }),
    ] {
        let error = judge(&evidence, &policy).unwrap_err();
        assert_eq!((error.code(), error.stage().name()), ("COLLATERAL_MISSING", "collateral"), "{policy}");
        assert_eq!(error.class(), ExitClass::Collateral);
    }
    assert!(judge(&evidence, &json!({ "allow_debug": false })).is_ok());
}

#[test]
fn tdx_flags_of_the_platform_are_judged_by_the_certificate() {
    let evidence = verified(UP_TO_DATE, true);
    let platform = evidence.platform();
    for (key, told, code) in [
        ("allow_smt", platform.smt, "SMT"),
        ("allow_dynamic_platform", platform.dynamic_platform, "DYNAMIC_PLATFORM"),
        ("allow_cached_keys", platform.cached_keys, "CACHED_KEYS"),
    ] {
        let refusal = told.unwrap_or(true).then_some(code);
        table(&evidence, &[(json!({ key: true }), None), (json!({ key: false }), refusal)]);
    }
    assert_eq!(platform.dynamic_platform, Some(true), "the genuine platform is one of several packages");
}

#[test]
fn tdx_every_check_is_made_and_the_first_that_fails_is_the_reason() {
    let policy: TdxPolicy = serde_json::from_value(json!({
        "min_tcb_evaluation_data_number": 99, "mr_owner": "11".repeat(48), "allow_debug": false,
    }))
    .unwrap();
    let rejected = check(&verified(UP_TO_DATE, true), &policy).unwrap_err();
    assert_eq!(rejected.error, PolicyError::EvaluationNumber { found: 18, wanted: 99 });
    let of = |outcome| rejected.checks.iter().filter(|check| check.result == outcome).count();
    assert_eq!((of(Outcome::Fail), of(Outcome::Pass)), (2, 2));
}
