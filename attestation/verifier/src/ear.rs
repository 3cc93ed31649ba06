//! The verdict as an EAT attestation result (draft-ietf-rats-ear-04), and that in a conceptual message wrapper.
//!
//! The result is a plain claims set in JSON: this program runs where its reader is and has no key that anybody would know.
//! Who passes it on signs it with a key of theirs ([`crate::jws`]).
//!
//! The trustworthiness vector is that of AR4SI (draft-ietf-rats-ar4si, section 2.3), and says no more than the checks do:
//!
//! | claim | from | values |
//! |---|---|---|
//! | `instance-identity` | a pinned key or chip | 2 recognised; 97 not the one; 0 none was pinned |
//! | `configuration` | how the guest was launched | 2 approved; 96 not; 0 not judged |
//! | `executables` | the launch measurements | 3 approved at boot; 33 unknown; 96 not approved |
//! | `hardware` | chain, signature, TCB, the machine's policy | 2 genuine; 32 not judged in full; 96 refused; 97 unknown root |
//! | `runtime-opaque` | the kind of evidence | 2 memory is encrypted; 96 it can be seen |
//!
//! 99 stands in each where the evidence itself is not true, 1 where it is nothing that this program can read, and 0, no
//! claim, where what is needed to judge it is missing. Nothing is ever claimed of files, storage and data sources.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloister_attestation::{ExitClass, Outcome, Stage};
use cloister_policies::appraisal::Verdict;
use serde_json::{Map, Value, json};

use crate::report::Report;

const PROFILE: &str = "tag:ietf.org,2026:rats/ear#04";
/// RFC 9782, section 3: an unsecured claims set in JSON.
pub(crate) const CLAIMS: &str = "application/eat-ucs+json; eat_profile=\"tag:ietf.org,2026:rats/ear#04\"";
/// The same section: a signed token.
pub(crate) const TOKEN: &str = "application/eat+jwt; eat_profile=\"tag:ietf.org,2026:rats/ear#04\"";
/// Bit 3 of a wrapper's indicator: attestation results (draft-ietf-rats-msg-wrap, section 3.1).
const ATTESTATION_RESULTS: u32 = 8;

const NONE: i8 = 0;
const UNREADABLE: i8 = 1;
const AFFIRMING: i8 = 2;
const APPROVED_AT_BOOT: i8 = 3;
const WARNING: i8 = 32;
const UNRECOGNISED_SOFTWARE: i8 = 33;
const CONTRAINDICATED: i8 = 96;
const UNRECOGNISED: i8 = 97;
const NOT_TRUE: i8 = 99;

/// Checks that say which instance it is.
const IDENTITY: &[&str] = &["tls.pin", "policy.snp.chip"];
/// Checks that say how the guest was launched.
const CONFIGURATION: &[&str] = &[
    "policy.snp.debug",
    "policy.snp.migration",
    "policy.snp.vmpl",
    "policy.snp.smt",
    "policy.snp.single_socket",
    "policy.snp.abi",
    "policy.snp.host_data",
    "policy.tdx.debug",
    "policy.tdx.reserved",
    "policy.tdx.td_attributes",
    "policy.tdx.migratable",
    "policy.tdx.sept_ve_disable",
    "policy.tdx.service_td",
    "policy.tdx.perfmon",
    "policy.tdx.xfam",
    "policy.tdx.mr_config_id",
    "policy.tdx.mr_owner",
    "policy.tdx.mr_owner_config",
];
/// Checks that say which software was launched.
const EXECUTABLES: &[&str] = &[
    "policy.image",
    "policy.commits",
    "policy.snp.measurement",
    "policy.tdx.mrtd",
    "policy.tdx.rtmr0",
    "policy.tdx.rtmr1",
    "policy.tdx.rtmr2",
    "policy.tdx.rtmr3",
];

/// The claims set.
pub(crate) fn claims(report: &Report) -> Value {
    let vector = vector(report);
    let worst = vector.values().filter_map(Value::as_i64).max().unwrap_or_default();
    let status = match (report.verdict, report.exit_class) {
        (Verdict::Rejected, ExitClass::Accepted | ExitClass::Rejected) => "contraindicated",
        (Verdict::Rejected, ExitClass::Unsupported | ExitClass::Malformed | ExitClass::Collateral)
        | (Verdict::Accepted | Verdict::AcceptedDevelopment, _) => tier(worst),
    };
    let nonce = report.claims.get("nonce").and_then(Value::as_str).and_then(|nonce| hex::decode(nonce).ok());
    // EAT takes nonces of 8 to 64 bytes (RFC 9711, section 4.1).
    let nonce = nonce.filter(|nonce| (8..=64).contains(&nonce.len()));
    // Of a refusal nothing holds for any time.
    let until = report.valid_until_ms.filter(|_| report.error.is_none());
    let appraisal = object([
        ("ear_status", Some(json!(status))),
        ("ear_trustworthiness_vector", Some(json!(vector))),
        ("ear_appraisal_policy_ids", report.policy_sha256.as_ref().map(|policy| json!([format!("sha256:{policy}")]))),
    ]);
    let verifier = json!({ "developer": "cloister", "build": concat!("cloister-verify ", env!("CARGO_PKG_VERSION")) });
    object([
        ("eat_profile", Some(json!(PROFILE))),
        ("iat", Some(json!(report.verify_at_ms / 1000))),
        ("exp", until.map(|until| json!(until / 1000))),
        ("eat_nonce", nonce.map(|nonce| json!(URL_SAFE_NO_PAD.encode(nonce)))),
        ("ear_verifier_id", Some(verifier)),
        ("submods", Some(json!({ "attester": appraisal }))),
    ])
}

/// An object of the claims that are there.
fn object<const N: usize>(claims: [(&str, Option<Value>); N]) -> Value {
    let there = claims.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(there.collect())
}

/// A claims set, or the token that holds it, as a CMW record in JSON.
pub(crate) fn record(media_type: &str, result: &str) -> Value {
    json!([media_type, URL_SAFE_NO_PAD.encode(result), ATTESTATION_RESULTS])
}

/// The tier of a value (AR4SI, section 2.3.2).
const fn tier(value: i64) -> &'static str {
    match value {
        0 | 1 => "none",
        2..=31 => "affirming",
        32..=95 => "warning",
        _ => "contraindicated",
    }
}

fn vector(report: &Report) -> Map<String, Value> {
    let [identity, configuration, executables, hardware, memory] = match report.exit_class {
        ExitClass::Collateral => [NONE; 5],
        ExitClass::Unsupported | ExitClass::Malformed => [UNREADABLE; 5],
        ExitClass::Accepted | ExitClass::Rejected if is_untrue(report) => [NOT_TRUE; 5],
        ExitClass::Accepted | ExitClass::Rejected => [
            of_group(report, IDENTITY, (AFFIRMING, NONE, UNRECOGNISED)),
            of_group(report, CONFIGURATION, (AFFIRMING, NONE, CONTRAINDICATED)),
            of_group(report, EXECUTABLES, (APPROVED_AT_BOOT, UNRECOGNISED_SOFTWARE, CONTRAINDICATED)),
            of_hardware(report),
            if report.tee.is_some_and(|tee| tee.is_hardware()) { AFFIRMING } else { CONTRAINDICATED },
        ],
    };
    let named = [
        ("instance-identity", identity),
        ("configuration", configuration),
        ("executables", executables),
        ("file-system", NONE),
        ("hardware", hardware),
        ("runtime-opaque", memory),
        ("storage-opaque", NONE),
        ("sourced-data", NONE),
    ];
    named.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect()
}

/// Whether the evidence is not what it says: something before the policy failed, or nothing was found out at all.
fn is_untrue(report: &Report) -> bool {
    let judged = |check: &&cloister_attestation::Check| !matches!(check.stage, Stage::Policy | Stage::Tcb);
    report.tee.is_none() || report.checks.iter().filter(judged).any(|check| check.result == Outcome::Fail)
}

/// One value for a group of checks: any failure counts, then any pass, then that none was made.
fn of_group(report: &Report, group: &[&str], (passed, undone, failed): (i8, i8, i8)) -> i8 {
    let of = |outcome| report.checks.iter().any(|check| check.result == outcome && group.contains(&check.id));
    match (of(Outcome::Fail), of(Outcome::Pass)) {
        (true, _) => failed,
        (false, true) => passed,
        (false, false) => undone,
    }
}

/// The machine: everything about its chip and firmware that is no claim of another name.
fn of_hardware(report: &Report) -> i8 {
    if report.hardware != Some(true) {
        return UNRECOGNISED;
    }
    let elsewhere = |id: &str| [IDENTITY, CONFIGURATION, EXECUTABLES].concat().contains(&id);
    let machine = |check: &&cloister_attestation::Check| {
        let of_policy = check.id.starts_with("policy.snp.") || check.id.starts_with("policy.tdx.");
        check.stage == Stage::Tcb || (of_policy && !elsewhere(check.id))
    };
    if report.checks.iter().filter(machine).any(|check| check.result == Outcome::Fail) {
        return CONTRAINDICATED;
    }
    let undone = |check: &cloister_attestation::Check| check.required && check.result == Outcome::NotDone;
    if report.checks.iter().any(undone) { WARNING } else { AFFIRMING }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_that_a_claim_rests_on_exists() {
        let known: Vec<_> = cloister_policies::appraisal::check_ids().collect();
        for id in [CONFIGURATION, EXECUTABLES, IDENTITY].concat() {
            assert!(id == "tls.pin" || known.contains(&id), "{id}");
        }
    }
}
