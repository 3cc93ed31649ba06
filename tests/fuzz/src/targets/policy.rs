//! Files that a person wrote: appraisal policies and configurations.

use cloister_attestation::snp::{self, Endorsements, Roots};
use cloister_policies::appraisal::AppraisalPolicy;
use cloister_policies::appraisal::azure::AzurePolicy;
use cloister_policies::appraisal::snp::{SnpPolicy, check};
use cloister_policies::appraisal::tdx::TdxPolicy;

use crate::parts::{milliseconds, split};

/// A policy of any of the four kinds, in TOML or JSON.
pub(crate) fn appraisal(data: &[u8]) {
    let _ = SnpPolicy::from_json(data);
    let _ = serde_json::from_slice::<TdxPolicy>(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(policy) = AppraisalPolicy::from_toml(text) {
        assert_eq!(AppraisalPolicy::from_toml(text), Ok(policy));
    }
    let _ = (SnpPolicy::from_toml(text), AzurePolicy::from_toml(text));
}

/// Parts: a policy in JSON, time, VEK, report. A policy that checks nothing refuses nothing; no policy makes a check pass
/// that the verification failed.
pub(crate) fn appraise(data: &[u8]) {
    let [policy, time, vek, report] = split(data);
    let endorsements = Endorsements { vek: Some(vek), ..Endorsements::default() };
    let evidence = snp::Evidence { report, endorsements };
    let Ok(verified) = snp::verify(&evidence, &Roots::pinned(), milliseconds(time)) else { return };
    assert!(check(&verified, &SnpPolicy::default()).is_ok(), "a policy that checks nothing refuses");
    let Ok(policy) = SnpPolicy::from_json(policy) else { return };
    if let Err(rejected) = check(&verified, &policy) {
        assert!(!cloister_attestation::check::all_hold(&rejected.checks), "a refusal without a failed check");
    }
}

/// A configuration of the enclave or the relay.
pub(crate) fn configuration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = cloister_enclave::config::Config::parse(text);
    let _ = cloister_host::Config::from_toml(text);
}
