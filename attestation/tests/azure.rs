//! Evidence of guests on Azure: the published cases, and what becomes of evidence that somebody touched.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests stop at the first surprise")]

mod vectors;

use std::fs;
use std::path::{Path, PathBuf};

use cloister_attestation::azure::{Error, Evidence, HclReport, ReportKind, TpmQuote, Verified, verify_snp, verify_tdx};
use cloister_attestation::check::{Outcome, Stage, all_hold};
use cloister_attestation::encoding::sha256;
use cloister_attestation::{Rejected, snp, tdx};
use proptest::prelude::*;
use serde_json::{Value, json};
use vectors::{folder, read};

const NONCE: &[u8] = b"challenge";

struct Snp {
    hcl_report: Vec<u8>,
    quote: TpmQuote,
    vek: Vec<u8>,
    now_ms: u64,
}

impl Snp {
    fn load(case: &str) -> Self {
        let folder = folder("attestation/azure").join(case);
        let json: Value = serde_json::from_slice(&read(&folder.join("case.json"))).unwrap();
        Self {
            hcl_report: read(&folder.join("hcl_report.bin")),
            quote: TpmQuote::from_json(&read(&folder.join("tpm_quote.json"))).unwrap(),
            vek: read(&folder.join("vcek.der")),
            now_ms: json["verify_at"].as_u64().unwrap() * 1000,
        }
    }

    fn genuine() -> Self {
        Self::load("az-snp-milan-v1")
    }

    fn verify(&self, nonce: Option<&[u8]>) -> Result<Verified<snp::Verified>, Rejected<Error>> {
        let evidence = Evidence { hcl_report: &self.hcl_report, quote: &self.quote, nonce };
        let endorsements = snp::Endorsements { vek: Some(&self.vek), ..snp::Endorsements::default() };
        verify_snp(&evidence, &endorsements, &snp::Roots::pinned(), self.now_ms)
    }

    fn refusal(&self) -> Error {
        self.verify(Some(NONCE)).expect_err("altered evidence").error
    }
}

fn cases(tee: &str) -> Vec<(PathBuf, Value)> {
    let entries = fs::read_dir(folder("attestation/azure")).unwrap().map(|entry| entry.unwrap().path());
    let load = |folder: PathBuf| {
        let json: Value = serde_json::from_slice(&read(&folder.join("case.json"))).unwrap();
        (folder, json)
    };
    entries.map(load).filter(|(_, json)| json["tee"] == tee).collect()
}

#[test]
fn azure_every_snp_case_has_its_verdict_stage_and_reason() {
    let mut run = 0;
    for (folder, json) in cases("az-snp") {
        if !folder.join("tpm_quote.json").exists() {
            continue;
        }
        let case = Snp::load(&folder.file_name().unwrap().to_string_lossy());
        let expect = &json["expect"];
        match case.verify(Some(NONCE)) {
            Ok(verified) => {
                assert_eq!(expect["verdict"], "accept", "{}", folder.display());
                assert!(all_hold(verified.checks()));
                assert_eq!(expect["observed"]["nonce"], json!(hex::encode(&verified.quote().extra_data)));
            }
            Err(rejected) => {
                let error = rejected.error;
                assert_eq!(expect["stage"], error.stage().name(), "{}: {error}", folder.display());
                assert!(expect["reason"].as_array().unwrap().contains(&json!(error.code())), "{error}");
            }
        }
        run += 1;
    }
    assert!(run >= 2, "only {run} cases");
}

fn verify_tdx_case(folder: &Path, now_ms: u64, nonce: &[u8]) -> Result<Verified<tdx::Verified>, Rejected<Error>> {
    let (hcl_report, td_quote) = (read(&folder.join("hcl_report.bin")), read(&folder.join("quote.bin")));
    let quote = TpmQuote::from_json(&read(&folder.join("tpm_quote.json"))).unwrap();
    let td_quote = tdx::Evidence { quote: &td_quote, collateral: None };
    let evidence = Evidence { hcl_report: &hcl_report, quote: &quote, nonce: Some(nonce) };
    verify_tdx(&evidence, &td_quote, &tdx::Roots::pinned(), now_ms)
}

#[test]
fn azure_every_tdx_case_has_its_verdict_stage_and_reason() {
    let mut run = 0;
    for (folder, json) in cases("az-tdx") {
        let Some(seconds) = json["verify_at"].as_u64() else { continue };
        let expect = &json["expect"];
        match verify_tdx_case(&folder, seconds * 1000, NONCE) {
            Ok(verified) => {
                assert_eq!(expect["verdict"], "accept", "{}", folder.display());
                assert!(verified.hardware().tcb().is_none(), "without collateral the TCB is unknown");
                assert!(!all_hold(verified.checks()), "and the verdict is not whole");
            }
            Err(rejected) => {
                let error = rejected.error;
                assert_eq!(expect["stage"], error.stage().name(), "{}: {error}", folder.display());
                assert!(expect["reason"].as_array().unwrap().contains(&json!(error.code())), "{error}");
            }
        }
        run += 1;
    }
    assert!(run >= 2, "only {run} cases");
}

/// Everything in it is genuine, but the TPM belongs to another machine than the quote.
#[test]
fn azure_a_quote_of_another_td_does_not_speak_of_this_tpm() {
    let az = folder("attestation/azure").join("az-tdx-v1");
    let other = read(&folder("attestation/tdx/tdx-real-v4-dstack-2025").join("quote.bin"));
    let other = tdx::Evidence { quote: &other, collateral: None };
    let quote = TpmQuote::from_json(&read(&az.join("tpm_quote.json"))).unwrap();
    let hcl_report = read(&az.join("hcl_report.bin"));
    let evidence = Evidence { hcl_report: &hcl_report, quote: &quote, nonce: Some(NONCE) };
    let verified = verify_tdx(&evidence, &other, &tdx::Roots::pinned(), 1_788_220_800_000);
    assert_eq!(verified.unwrap_err().error, Error::RuntimeDataHash);
}

/// Cases without a quote: the container and its binding only.
#[test]
fn azure_every_container_is_read_and_names_its_runtime_data() {
    let mut run = 0;
    for (tee, kind) in [("az-snp", ReportKind::Snp), ("az-tdx", ReportKind::Tdx)] {
        for (folder, json) in cases(tee) {
            let bytes = read(&folder.join("hcl_report.bin"));
            let report = HclReport::parse(&bytes).unwrap();
            assert_eq!(report.kind(), kind);
            if let Some(hash) = json["expect"]["var_data_sha256"].as_str() {
                assert_eq!(sha256(report.runtime_data_unverified()).to_string(), hash);
            }
            let bound = json["expect"]["observed"]["var_data_bound"].as_bool().unwrap_or(true);
            assert_eq!(report.check_own_binding().is_ok(), bound, "{}", folder.display());
            run += 1;
        }
    }
    assert!(run >= 6, "only {run} cases");
}

#[test]
fn azure_genuine_evidence_says_what_it_says() {
    let verified = Snp::genuine().verify(Some(NONCE)).unwrap();
    assert_eq!(verified.hardware().product(), snp::Product::Milan);
    assert_eq!(verified.pcrs().len(), 24);
    assert_eq!(verified.runtime().secure_boot, Some(true));
    assert_eq!(verified.runtime().vm_unique_id.as_deref(), Some("26F8BC30-774E-4290-8E7A-535F3B672AEE"));
    assert_eq!(verified.runtime().user_data, Some([0; 64]));
    let ids: Vec<&str> = verified.checks().iter().map(|check| check.id).collect();
    assert_eq!((ids[0], ids[2], *ids.last().unwrap()), ("az.hcl.format", "snp.report.size", "az.pcr_digest"));
}

#[test]
fn azure_freshness_is_never_assumed() {
    let case = Snp::genuine();
    let saved = case.verify(None).unwrap();
    let nonce = saved.checks().iter().find(|check| check.id == "az.nonce").unwrap();
    assert_eq!(nonce.result, Outcome::NotDone);
    let refused = case.verify(Some(b"challenge2")).unwrap_err();
    assert_eq!((refused.error.stage(), refused.error), (Stage::Binding, Error::Nonce));
}

#[test]
fn azure_the_hardware_report_is_verified_first() {
    let other = read(&folder("attestation/snp/snp-real-milan-v3-oak-oc").join("vek.der"));
    let refused = Snp { vek: other, ..Snp::genuine() }.verify(Some(NONCE)).unwrap_err();
    assert_eq!(refused.error, Error::Snp(snp::Error::ReportSignature));
    let tpm = refused.checks.iter().filter(|check| check.id.starts_with("az.") && !check.id.starts_with("az.hcl"));
    assert!(tpm.clone().all(|check| check.result == Outcome::NotDone) && tpm.count() == 6);
}

#[test]
fn azure_every_byte_of_the_container_counts() {
    let genuine = Snp::genuine();
    for offset in (0..genuine.hcl_report.len()).step_by(3).chain(0..32).chain(1216..1240) {
        let mut hcl_report = genuine.hcl_report.clone();
        hcl_report[offset] ^= 1;
        let error = Snp { hcl_report, ..Snp::genuine() }.refusal();
        match offset {
            0..32 | 1216..1236 | 2346.. => assert!(matches!(error, Error::Hcl(_)), "{offset}: {error}"),
            32..1216 => assert!(matches!(error, Error::Snp(_)), "{offset}: {error}"),
            _ => assert_eq!(error, Error::RuntimeDataHash, "{offset}"),
        }
    }
}

#[test]
fn azure_every_byte_of_the_quote_counts() {
    let genuine = Snp::genuine();
    for offset in 0..genuine.quote.message.0.len() {
        let mut quote = genuine.quote.clone();
        quote.message.0[offset] ^= 1;
        let error = Snp { quote, ..Snp::genuine() }.refusal();
        assert!(matches!(error, Error::Quote(_) | Error::QuoteSignature), "{offset}: {error}");
    }
    for offset in 0..genuine.quote.signature.0.len() {
        let mut quote = genuine.quote.clone();
        quote.signature.0[offset] ^= 0x80;
        assert_eq!(Snp { quote, ..Snp::genuine() }.refusal(), Error::QuoteSignature, "{offset}");
    }
    for register in 0..genuine.quote.pcrs.len() {
        let mut quote = genuine.quote.clone();
        quote.pcrs[register].0[register] ^= 1;
        assert_eq!(Snp { quote, ..Snp::genuine() }.refusal(), Error::PcrDigest, "{register}");
    }
    let mut quote = genuine.quote.clone();
    quote.pcrs.pop();
    assert_eq!(Snp { quote, ..Snp::genuine() }.refusal(), Error::PcrDigest, "a missing register");
}

#[test]
fn azure_a_report_of_another_kind_is_not_verified_as_this_one() {
    let tdx = read(&folder("attestation/azure/az-tdx-v1").join("hcl_report.bin"));
    let error = Snp { hcl_report: tdx, ..Snp::genuine() }.refusal();
    assert_eq!(error, Error::Kind { found: ReportKind::Tdx, wanted: ReportKind::Snp });
}

proptest! {
    #[test]
    fn azure_containers_of_any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        prop_assert!(HclReport::parse(&bytes).is_err());
    }

    #[test]
    fn azure_cut_evidence_is_refused(cut in any::<prop::sample::Index>()) {
        let mut case = Snp::genuine();
        case.hcl_report.truncate(cut.index(2346));
        let error = case.refusal();
        prop_assert!(matches!(error, Error::Hcl(_)), "{}", error);
        let mut case = Snp::genuine();
        let length = case.quote.message.0.len();
        case.quote.message.0.truncate(cut.index(length));
        let error = case.refusal();
        prop_assert!(matches!(error, Error::Quote(_)), "{}", error);
    }
}
