//! TDX: quote, collateral, and the whole verification.

use cloister_attestation::tdx::{self, Collateral, Evidence, Quote, Roots};

use super::{no_failure, one_bit_off, one_failure, reads_back};
use crate::parts::{milliseconds, optional, split};

/// Parts: time, a root to trust instead of Intel's, collateral, quote.
pub(crate) fn verify(data: &[u8]) {
    let [time, root, collateral, quote] = split(data);
    let roots = optional(root).map_or_else(Roots::pinned, |root| Roots::insecure_with_root(root.to_vec()));
    let Ok(collateral) = optional(collateral).map(Collateral::from_json).transpose() else { return };
    let evidence = Evidence { quote, collateral: collateral.as_ref() };
    match tdx::verify(&evidence, &roots, milliseconds(time)) {
        Ok(verified) => {
            no_failure(verified.checks());
            let parsed = Quote::parse(quote).expect("what verifies can be parsed");
            assert_eq!(&parsed.report, verified.report());
            assert_eq!(verified.tcb().is_some(), collateral.is_some());
            signed_bit_off(quote, &evidence, &roots, milliseconds(time));
        }
        Err(rejected) => one_failure(&rejected.checks, Some(rejected.error.stage())),
    }
}

/// Header and a TD report of version 1.0 are the shortest that is signed.
fn signed_bit_off(quote: &[u8], evidence: &Evidence<'_>, roots: &Roots, now_ms: u64) {
    let Some((signed, rest)) = quote.split_at_checked(48 + tdx::TD10_BYTES) else { return };
    let Some(signed) = one_bit_off(signed) else { return };
    let other = [signed.as_slice(), rest].concat();
    let other = Evidence { quote: &other, ..*evidence };
    assert!(tdx::verify(&other, roots, now_ms).is_err(), "a quote with another bit is accepted");
}

/// The layout of a quote alone.
pub(crate) fn quote(data: &[u8]) {
    let Ok(quote) = Quote::parse(data) else { return };
    assert_eq!(Quote::parse(data).as_ref(), Ok(&quote));
    let padded = [data, &[0; 7]].concat();
    if let Ok(padded) = Quote::parse(&padded) {
        assert_eq!(padded, quote, "zeros after a quote say nothing");
    }
    let _ = (quote.report.current_tee_tcb_svn(), quote.report.has_service_td());
}

/// The collateral's JSON alone.
pub(crate) fn collateral(data: &[u8]) {
    if let Ok(collateral) = Collateral::from_json(data) {
        reads_back(&collateral);
    }
}
