//! What is accepted of a guest on Azure and what is not, given a virtual TPM that is true.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use std::fs;
use std::path::{Path, PathBuf};

use cloister_attestation::azure::{Evidence, TpmQuote, Verified, verify_snp};
use cloister_attestation::check::Outcome;
use cloister_attestation::snp;
use cloister_policies::appraisal::azure::{AzurePolicy, check};
use cloister_policies::appraisal::snp::SnpPolicy;

fn guest(nonce: Option<&[u8]>) -> Verified<snp::Verified> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    let vectors = std::env::var_os("CLOISTER_VECTORS").map_or_else(beside, PathBuf::from);
    let file = |name: &str| fs::read(vectors.join("attestation/azure/az-snp-milan-v1").join(name)).unwrap();
    let quote = TpmQuote::from_json(&file("tpm_quote.json")).unwrap();
    let (hcl_report, vek) = (file("hcl_report.bin"), file("vcek.der"));
    let endorsements = snp::Endorsements { vek: Some(&vek), ..snp::Endorsements::default() };
    let evidence = Evidence { hcl_report: &hcl_report, quote: &quote, nonce };
    verify_snp(&evidence, &endorsements, &snp::Roots::pinned(), 1_788_220_800_000).unwrap()
}

#[test]
fn azure_each_key_of_a_policy_refuses_what_it_names() {
    let guest = guest(Some(b"challenge"));
    let pcr_4 = "eee70c86ea856a27719a2127d6090f02e100e2947c16a0d6a355f7294382992f";
    let other = "00".repeat(32);
    let rows = [
        (format!("[pcrs]\n4 = [\"{pcr_4}\"]\n8 = [\"{other}\"]"), None),
        (format!("[pcrs]\n4 = [\"{other}\", \"{pcr_4}\"]"), None),
        (format!("[pcrs]\n4 = [\"{other}\"]"), Some("PCR")),
        ("[pcrs]\n4 = []".to_owned(), Some("PCR")),
        ("[pcrs]\n24 = []".to_owned(), Some("POLICY_MALFORMED")),
        ("[pcrs]\n04 = []".to_owned(), Some("POLICY_MALFORMED")),
        ("require_fresh = true".to_owned(), None),
        ("require_secure_boot = true".to_owned(), None),
        ("vm_unique_ids = [\"26F8BC30-774E-4290-8E7A-535F3B672AEE\"]".to_owned(), None),
        ("vm_unique_ids = []".to_owned(), Some("VM_ID")),
        (format!("user_data = \"{}\"", "00".repeat(64)), None),
        (format!("user_data = \"{}\"", "11".repeat(64)), Some("USER_DATA")),
        ("secure_boot = true".to_owned(), Some("POLICY_MALFORMED")),
    ];
    for (toml, expected) in rows {
        let code = match AzurePolicy::from_toml(&toml).map(|policy| check(&guest, &policy)) {
            Err(error) => Some(error.code()),
            Ok(judged) => judged.err().map(|rejected| rejected.error.code()),
        };
        assert_eq!(code, expected, "{toml}");
    }
}

#[test]
fn azure_a_saved_quote_is_not_fresh() {
    let policy = AzurePolicy { require_fresh: Some(true), ..AzurePolicy::default() };
    assert_eq!(check(&guest(None), &policy).unwrap_err().error.code(), "TPM_NONCE");
}

#[test]
fn azure_a_policy_that_asks_for_nothing_does_nothing() {
    let checks = check(&guest(None), &AzurePolicy::default()).unwrap();
    assert!(checks.iter().all(|check| check.result == Outcome::NotDone));
}

#[test]
fn azure_hardware_is_judged_like_any_other() {
    let policy = SnpPolicy { allow_debug: Some(false), max_vmpl: Some(0), ..SnpPolicy::default() };
    let guest = guest(None);
    assert!(cloister_policies::appraisal::snp::check(guest.hardware(), &policy).is_ok());
    let genoa = SnpPolicy { allowed_products: Some(vec![snp::Product::Genoa]), ..policy };
    let refused = cloister_policies::appraisal::snp::check(guest.hardware(), &genoa).unwrap_err();
    assert_eq!(refused.error.code(), "PRODUCT");
}
