//! Genuine evidence, damaged: no bit of what is signed can be turned over, nothing can be cut off or put behind, and a
//! length that promises more than there is costs nothing.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests stop at the first surprise")]

mod vectors;

use cloister_attestation::check::Outcome;
use cloister_attestation::{azure, eventlog, snp, tdx};
use proptest::prelude::*;
use serde_json::Value;
use vectors::{folder, read};

/// A case that is accepted under the pinned roots.
struct Genuine {
    evidence: Vec<u8>,
    support: Vec<u8>,
    now_ms: u64,
}

fn genuine(case: &str, evidence: &str, support: &str) -> Genuine {
    let folder = folder("attestation").join(case);
    let label: Value = serde_json::from_slice(&read(&folder.join("case.json"))).unwrap();
    assert_eq!(label["expect"]["verdict"], "accept");
    Genuine {
        evidence: read(&folder.join(evidence)),
        support: read(&folder.join(support)),
        now_ms: label["verify_at"].as_u64().unwrap() * 1000,
    }
}

fn snp_case() -> Genuine {
    genuine("snp/snp-real-genoa-v5", "report.bin", "vek.der")
}

fn tdx_case() -> Genuine {
    genuine("tdx/tdx-real-v4-dcapqvl-uptodate", "quote.bin", "collateral.json")
}

fn snp_verify(case: &Genuine, report: &[u8]) -> Result<(), snp::Error> {
    let endorsements = snp::Endorsements { vek: Some(&case.support), ..snp::Endorsements::default() };
    let verdict = snp::verify(&snp::Evidence { report, endorsements }, &snp::Roots::pinned(), case.now_ms);
    verdict.map(drop).map_err(|rejected| {
        assert_eq!(rejected.checks.iter().filter(|check| check.result == Outcome::Fail).count(), 1);
        rejected.error
    })
}

fn tdx_verify(case: &Genuine, quote: &[u8]) -> Result<(), tdx::Error> {
    let collateral = tdx::Collateral::from_json(&case.support).unwrap();
    let evidence = tdx::Evidence { quote, collateral: Some(&collateral) };
    let verdict = tdx::verify(&evidence, &tdx::Roots::pinned(), case.now_ms);
    verdict.map(drop).map_err(|rejected| {
        assert_eq!(rejected.checks.iter().filter(|check| check.result == Outcome::Fail).count(), 1);
        rejected.error
    })
}

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut copy = bytes.to_vec();
    *copy.get_mut(bit / 8).unwrap() ^= 1 << (bit % 8);
    copy
}

#[test]
fn snp_report_with_any_bit_turned_over_is_refused() {
    let case = snp_case();
    assert_eq!(snp_verify(&case, &case.evidence), Ok(()));
    // Every eleventh bit; 11 and 8 share no factor, so that every place in a byte is met.
    for bit in (0..case.evidence.len() * 8).step_by(11) {
        assert!(snp_verify(&case, &flipped(&case.evidence, bit)).is_err(), "bit {bit}");
    }
}

#[test]
fn snp_report_of_any_other_length_is_refused_by_its_size() {
    let case = snp_case();
    for length in 0..case.evidence.len() {
        assert_eq!(snp_verify(&case, &case.evidence[..length]), Err(snp::Error::ReportSize(length)));
    }
    let longer = [case.evidence.as_slice(), &[0]].concat();
    assert_eq!(snp_verify(&case, &longer), Err(snp::Error::ReportSize(1185)));
}

#[test]
fn tdx_quote_with_any_signed_bit_turned_over_is_refused() {
    let case = tdx_case();
    assert_eq!(tdx_verify(&case, &case.evidence), Ok(()));
    for bit in (0..(48 + tdx::TD10_BYTES) * 8).step_by(7) {
        assert!(tdx_verify(&case, &flipped(&case.evidence, bit)).is_err(), "bit {bit}");
    }
}

#[test]
fn tdx_quote_that_is_cut_anywhere_is_refused_by_its_layout() {
    let case = tdx_case();
    let quote = tdx::Quote::parse(&case.evidence).unwrap();
    let end = case.evidence.iter().rposition(|byte| *byte != 0).unwrap();
    for length in 0..end {
        let cut = case.evidence.get(..length).unwrap();
        assert!(tdx::Quote::parse(cut).is_err(), "{length} bytes");
    }
    let trailing = [case.evidence.as_slice(), &[1]].concat();
    assert_eq!(tdx::Quote::parse(&trailing), Err(tdx::QuoteError::TrailingData));
    let padded = [case.evidence.as_slice(), &[0; 9]].concat();
    assert_eq!(tdx::Quote::parse(&padded), Ok(quote), "zeros say nothing");
}

#[test]
fn what_is_over_a_bound_is_refused_before_it_is_read() {
    let long = |bytes: usize| vec![b' '; bytes];
    assert!(tdx::Collateral::from_json(&long(tdx::MAX_COLLATERAL_BYTES + 1)).is_err());
    assert!(tdx::Quote::parse(&long(tdx::MAX_QUOTE_BYTES + 1)).is_err());
    assert!(eventlog::ccel::parse(&long(eventlog::MAX_LOG_BYTES + 1)).is_err());
    assert!(eventlog::dstack::parse(&long(eventlog::MAX_LOG_BYTES + 1)).is_err());
    assert!(azure::TpmQuote::from_json(&long(16 * 1024 + 1)).is_err());
}

#[test]
fn lengths_that_promise_gigabytes_are_refused_by_what_is_there() {
    let case = tdx_case();
    // Signature data, certification data, PCK chain: 32-bit lengths in the quote.
    for at in 48 + tdx::TD10_BYTES..case.evidence.len() - 4 {
        let mut quote = case.evidence.clone();
        quote[at..at + 4].copy_from_slice(&0x4000_0000_u32.to_le_bytes());
        let _ = tdx::Quote::parse(&quote);
    }
    let mut quote = case.evidence.clone();
    quote[48 + tdx::TD10_BYTES..][..4].copy_from_slice(&0x4000_0000_u32.to_le_bytes());
    assert!(tdx::Quote::parse(&quote).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn collateral_is_read_back_as_it_was_written(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut json = tdx_case().support;
        let at = at.index(json.len());
        json[at] = byte;
        if let Ok(collateral) = tdx::Collateral::from_json(&json) {
            let written = serde_json::to_vec(&collateral).unwrap();
            prop_assert_eq!(tdx::Collateral::from_json(&written).unwrap(), collateral);
        }
    }
}
