//! The targets, by what they read, and the assertions that several share.

pub(crate) mod azure;
pub(crate) mod document;
pub(crate) mod documents;
pub(crate) mod eventlog;
pub(crate) mod log;
pub(crate) mod policy;
pub(crate) mod snp;
pub(crate) mod store;
pub(crate) mod tdx;
pub(crate) mod wire;

use cloister_attestation::check::{Check, Outcome, Stage, all_hold};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A refusal has exactly one failed check, and it belongs to the stage of the error.
fn one_failure(checks: &[Check], stage: Option<Stage>) {
    let failed: Vec<&Check> = checks.iter().filter(|check| check.result == Outcome::Fail).collect();
    // A processor of an unknown product is refused for its root and for its product, and both are said.
    if let [root, product] = failed.as_slice()
        && root.id == "snp.chain.ark"
        && product.id == "snp.report.product"
    {
        return;
    }
    let [only] = failed.as_slice() else { panic!("a refusal with {} failed checks", failed.len()) };
    assert!(stage.is_none_or(|stage| only.stage == stage), "{} failed, but the error is of {stage:?}", only.id);
    assert!(only.fix.is_some(), "{} failed and nothing is said about what to do", only.id);
    assert!(!all_hold(checks));
}

/// A refusal that may have several reasons: what the records of a log say is judged side by side.
fn some_failure(checks: &[Check]) {
    assert!(!all_hold(checks) && checks.iter().any(|check| check.result == Outcome::Fail), "refused without a reason");
}

/// An acceptance has no failed check.
fn no_failure(checks: &[Check]) {
    assert!(checks.iter().all(|check| check.result != Outcome::Fail), "accepted with a failed check");
}

/// What was read and is written as JSON reads as the same.
fn reads_back<T: Serialize + DeserializeOwned + PartialEq>(value: &T) {
    let json = serde_json::to_vec(value).expect("types of ours serialise");
    let again: T = serde_json::from_slice(&json).expect("what we write can be read");
    assert!(again == *value, "what was written reads as something else");
}

/// A copy with one bit turned over; which one is up to the content, so that many are tried.
fn one_bit_off(bytes: &[u8]) -> Option<Vec<u8>> {
    let sum = bytes.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let mut copy = bytes.to_vec();
    let at = (sum / 8).checked_rem(copy.len())?;
    *copy.get_mut(at)? ^= 1 << (sum % 8);
    Some(copy)
}
