//! Genuine TDX evidence, altered: a flipped byte anywhere is refused, and nothing makes the readers panic.

use std::path::{Path, PathBuf};

use cloister_attestation::check::{Outcome, all_hold};
use cloister_attestation::tdx::{self, Collateral, Evidence, Quote, Roots, Verified};
use proptest::prelude::*;

#[expect(clippy::disallowed_methods, reason = "tests are told by the environment where the vectors are")]
fn read(case: &str, name: &str) -> Vec<u8> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors");
    let root = std::env::var("CLOISTER_VECTORS").unwrap_or_else(|_| default.to_owned());
    let path: PathBuf = Path::new(&root).join("attestation/tdx").join(case).join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("no test vector {}: {error}", path.display()))
}

/// Genuine quotes of both versions, with the time at which their collateral was valid.
const GENUINE: [(&str, u64); 2] =
    [("tdx-real-v4-dcapqvl-uptodate", 1_751_624_191), ("tdx-real-v5-uptodate", 1_771_028_279)];

struct Genuine {
    quote: Vec<u8>,
    collateral: Vec<u8>,
    now_ms: u64,
}

impl Genuine {
    fn all() -> impl Iterator<Item = Self> {
        GENUINE.into_iter().map(|(case, now_s)| Self {
            quote: read(case, "quote.bin"),
            collateral: read(case, "collateral.json"),
            now_ms: now_s * 1000,
        })
    }

    fn verify(&self, quote: &[u8], collateral: &Collateral) -> Result<Verified, tdx::Error> {
        let evidence = Evidence { quote, collateral: Some(collateral) };
        tdx::verify(&evidence, &Roots::pinned(), self.now_ms).map_err(|rejected| rejected.error)
    }
}

#[test]
fn tdx_genuine_evidence_is_true_in_every_check() {
    for genuine in Genuine::all() {
        let collateral = Collateral::from_json(&genuine.collateral).unwrap();
        let verified = genuine.verify(&genuine.quote, &collateral).unwrap();
        assert!(all_hold(verified.checks()));
        assert!(verified.checks().iter().all(|check| check.result == Outcome::Pass));
    }
}

#[test]
fn tdx_every_flipped_byte_of_a_genuine_quote_is_refused() {
    for genuine in Genuine::all() {
        let collateral = Collateral::from_json(&genuine.collateral).unwrap();
        for at in 0..genuine.quote.len() {
            let mut quote = genuine.quote.clone();
            quote[at] ^= 1;
            assert!(genuine.verify(&quote, &collateral).is_err(), "byte {at}");
        }
    }
}

#[test]
fn tdx_every_shortened_genuine_quote_is_malformed_and_zeros_may_follow() {
    for genuine in Genuine::all() {
        for length in 0..genuine.quote.len() {
            let error = tdx::Error::from(Quote::parse(&genuine.quote[..length]).unwrap_err());
            assert_eq!(error.code(), "QUOTE_MALFORMED", "{length} bytes");
        }
        let collateral = Collateral::from_json(&genuine.collateral).unwrap();
        let mut padded = genuine.quote.clone();
        padded.resize(8000, 0);
        assert!(genuine.verify(&padded, &collateral).is_ok());
        padded.push(1);
        assert_eq!(genuine.verify(&padded, &collateral).unwrap_err().code(), "TRAILING_DATA");
        padded.resize(64 * 1024 + 1, 0);
        assert_eq!(genuine.verify(&padded, &collateral).unwrap_err().code(), "QUOTE_MALFORMED");
    }
}

#[test]
fn tdx_flipped_bytes_of_genuine_collateral_are_refused() {
    for genuine in Genuine::all() {
        let text = String::from_utf8(genuine.collateral.clone()).unwrap();
        // The one part that is not looked at: the issuer is the one in the quote's own chain.
        let unused = text.find("\"pck_crl_issuer_chain\"").unwrap();
        let unused = unused..unused + text[unused..].find("\",").unwrap();
        for at in (0..genuine.collateral.len()).step_by(5).filter(|at| !unused.contains(at)) {
            let mut altered = genuine.collateral.clone();
            altered[at] ^= 1;
            let Ok(collateral) = Collateral::from_json(&altered) else { continue };
            assert!(
                genuine.verify(&genuine.quote, &collateral).is_err() || altered[at].is_ascii_whitespace(),
                "byte {at}"
            );
        }
    }
}

#[test]
fn tdx_collateral_is_bounded_and_exact() {
    let genuine = Genuine::all().next().unwrap();
    let mut long = genuine.collateral.clone();
    long.resize(1024 * 1024 + 1, b' ');
    assert!(Collateral::from_json(&long).is_err());
    let mut huge = Collateral::from_json(&genuine.collateral).unwrap();
    huge.tcb_info = " ".repeat(1024 * 1024);
    assert_eq!(genuine.verify(&genuine.quote, &huge).unwrap_err().code(), "COLLATERAL_MALFORMED");
    let collateral = Collateral::from_json(&genuine.collateral).unwrap();
    let written = serde_json::to_vec(&collateral).unwrap();
    assert_eq!(Collateral::from_json(&written).unwrap(), collateral);
}

proptest! {
    #[test]
    fn tdx_readers_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..6000)) {
        let _ = Quote::parse(&bytes);
        let _ = Collateral::from_json(&bytes);
    }

    #[test]
    fn tdx_genuine_quotes_altered_in_many_places_are_refused(
        changes in proptest::collection::vec((0usize..4936, any::<u8>()), 1..20),
    ) {
        let genuine = Genuine::all().next().unwrap();
        let collateral = Collateral::from_json(&genuine.collateral).unwrap();
        let mut quote = genuine.quote.clone();
        for (at, value) in changes {
            quote[at] = value;
        }
        // White space between the lines of a certificate's base64 says nothing, and any white space will do.
        let mut altered = genuine.quote.iter().zip(&quote).filter(|(before, after)| before != after);
        let same = altered.all(|(before, after)| before.is_ascii_whitespace() && after.is_ascii_whitespace());
        prop_assert!(same || genuine.verify(&quote, &collateral).is_err());
    }
}
