//! Every SEV-SNP case of the published set, by its folder: verdict, stage, reason, claims and observations.
//!
//! The folder is named by `CLOISTER_VECTORS`; without it, `../shared/vectors` beside the repository.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests stop at the first surprise")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cloister_attestation::check::{Check, Outcome, Stage, all_hold};
use cloister_attestation::encoding::Hex;
use cloister_attestation::snp::{
    self, Claims, Endorsements, Evidence, Product, Report, Roots, Trust, Verified, verify_endorsement,
};
use cloister_policies::appraisal::snp::{SnpPolicy, check};
use serde_json::{Value, json};
use x509_cert::der::DateTime;

struct Case {
    name: String,
    json: Value,
    folder: PathBuf,
}

/// What came of a case.
struct Outcomes {
    stage: Option<Stage>,
    code: Option<&'static str>,
    verified: Option<Verified>,
    checks: Vec<Check>,
}

impl Case {
    fn file(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.folder.join(name)).ok()
    }

    fn now_ms(&self) -> u64 {
        self.json["verify_at"].as_u64().unwrap() * 1000
    }

    fn injects_root(&self) -> bool {
        self.json["requires"].as_array().unwrap().contains(&json!("root-injection"))
    }

    fn run(&self, roots: &Roots) -> Outcomes {
        let (vek, ask, ark, crl) =
            (self.file("vek.der"), self.file("ask.der"), self.file("ark.der"), self.file("crl.der"));
        let endorsements =
            Endorsements { vek: vek.as_deref(), ask: ask.as_deref(), ark: ark.as_deref(), crl: crl.as_deref() };
        let Some(report) = self.file("report.bin") else { return self.run_chain(&endorsements, roots) };
        let verified = match snp::verify(&Evidence { report: &report, endorsements }, roots, self.now_ms()) {
            Ok(verified) => verified,
            Err(rejected) => {
                let failed =
                    rejected.checks.iter().find(|check| check.result == Outcome::Fail).expect("a failed check");
                assert_eq!(failed.stage, rejected.error.stage(), "{}: check and error name one stage", self.name);
                let (stage, code) = (Some(rejected.error.stage()), Some(rejected.error.code()));
                return Outcomes { stage, code, verified: None, checks: rejected.checks };
            }
        };
        assert!(all_hold(verified.checks()), "{}: a true report has no failed or missing check", self.name);
        let policy = self.json["policy"].to_string();
        let judged = SnpPolicy::from_json(policy.as_bytes()).map(|policy| check(&verified, &policy));
        let (stage, code, checks) = match judged {
            Err(error) => (Some(error.stage()), Some(error.code()), Vec::new()),
            Ok(Err(rejected)) => (Some(rejected.error.stage()), Some(rejected.error.code()), rejected.checks),
            Ok(Ok(checks)) => (None, None, checks),
        };
        Outcomes { stage, code, verified: Some(verified), checks }
    }

    fn run_chain(&self, endorsements: &Endorsements<'_>, roots: &Roots) -> Outcomes {
        let (vek, checks) = verify_endorsement(endorsements, roots, self.now_ms()).expect("a genuine chain");
        let expected = self.json["expect"]["claims"]["vek_ext"].as_object().unwrap();
        let found: BTreeMap<String, String> =
            vek.amd_extensions().iter().map(|(arc, value)| (arc.clone(), hex::encode(value))).collect();
        assert_eq!(json!(found), json!(expected), "{}", self.name);
        assert_eq!(vek.product(), Product::Turin);
        Outcomes { stage: None, code: None, verified: None, checks }
    }

    fn roots(&self) -> Roots {
        if self.injects_root() {
            Roots::insecure_with_ark(&self.file("ark.der").unwrap()).unwrap()
        } else {
            Roots::pinned()
        }
    }
}

fn cases() -> Vec<Case> {
    let vectors = vectors().join("attestation/snp");
    let entries = fs::read_dir(&vectors).unwrap_or_else(|error| {
        panic!("no cases in {}: {error}; name their folder by CLOISTER_VECTORS", vectors.display())
    });
    let mut cases: Vec<Case> = entries
        .map(|entry| {
            let folder = entry.unwrap().path();
            let name = folder.file_name().unwrap().to_string_lossy().into_owned();
            let json = serde_json::from_slice(&fs::read(folder.join("case.json")).unwrap()).unwrap();
            Case { name, json, folder }
        })
        .collect();
    cases.sort_by(|one, other| one.name.cmp(&other.name));
    assert!(cases.len() >= 78, "only {} cases in {}", cases.len(), vectors.display());
    cases
}

fn vectors() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    std::env::var_os("CLOISTER_VECTORS").map_or_else(beside, PathBuf::from)
}

#[test]
fn every_case_has_its_verdict_stage_and_reason() {
    let mut wrong = Vec::new();
    for case in cases() {
        let expect = &case.json["expect"];
        let found = case.run(&case.roots());
        let verdict = if found.code.is_none() { "accept" } else { "reject" };
        let stage = found.stage.map(Stage::name);
        let reasons = expect["reason"].as_array().unwrap();
        let reason_fits = found.code.is_none_or(|code| reasons.contains(&json!(code)));
        if expect["verdict"] != verdict || expect["stage"] != json!(stage) || !reason_fits {
            wrong.push(format!("{}: {verdict} at {stage:?} for {:?}, expected {expect}", case.name, found.code));
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_claim_of_every_case_is_read() {
    let mut compared = 0;
    for case in cases() {
        let Some(expected) = case.json["expect"].get("claims").filter(|claims| claims.get("vek_ext").is_none()) else {
            continue;
        };
        let found = case.run(&case.roots());
        let report = Report::parse(&case.file("report.bin").unwrap()).unwrap();
        let claims = found.verified.as_ref().map_or_else(|| report.claims_unverified(), Verified::claims);
        let mut actual = describe(claims);
        let product = found.verified.as_ref().map(Verified::product).or_else(|| claims.cpuid_product());
        actual.insert("product", json!(product));
        if let Some(verified) = &found.verified {
            actual.insert("vek_cn", json!(verified.vek().kind().common_name()));
            actual.insert("vek_not_after", json!(date(verified.vek().not_after())));
        }
        for (key, value) in expected.as_object().unwrap() {
            let own = actual.get(key.as_str());
            // A leaf that is refused has no verified dates or names to show.
            if own.is_none() && found.verified.is_none() && key.starts_with("vek_") {
                continue;
            }
            assert_eq!(own, Some(value), "{}: {key}", case.name);
            compared += 1;
        }
    }
    assert!(compared > 400, "only {compared} claims compared");
}

fn describe(claims: &Claims) -> BTreeMap<&'static str, Value> {
    let hex = |bytes: &[u8]| json!(hex::encode(bytes));
    BTreeMap::from([
        ("report_version", json!(claims.version)),
        ("policy", json!(format!("{:#x}", claims.policy.0))),
        ("vmpl", json!(claims.vmpl)),
        ("reported_tcb", json!(claims.reported_tcb.to_string())),
        ("current_tcb", json!(claims.current_tcb.to_string())),
        ("committed_tcb", json!(claims.committed_tcb.to_string())),
        ("launch_tcb", json!(claims.launch_tcb.to_string())),
        ("platform_info", json!(format!("{:#x}", claims.platform_info.0))),
        ("signing_key", json!(claims.signing_key)),
        ("report_data", hex(&claims.report_data)),
        ("measurement", hex(&claims.measurement)),
        ("host_data", hex(&claims.host_data)),
        ("id_key_digest", hex(&claims.id_key_digest)),
        ("author_key_digest", hex(&claims.author_key_digest)),
        ("report_id", hex(&claims.report_id)),
        ("chip_id", hex(&claims.chip_id)),
        ("firmware", json!(claims.current_version.to_string())),
        ("launch_mit_vector", json!(claims.launch_mitigations)),
        ("current_mit_vector", json!(claims.current_mitigations)),
    ])
}

/// The day of a time: the set has days only.
fn date(unix_seconds: u64) -> String {
    let time = DateTime::from_unix_duration(Duration::from_secs(unix_seconds)).unwrap();
    format!("{}-{:02}-{:02}", time.year(), time.month(), time.day())
}

#[test]
fn what_a_reader_should_notice_is_noticed() {
    let mut compared = 0;
    for case in cases() {
        let Some(expected) = case.json["expect"]["observations"].as_array() else { continue };
        let report = Report::parse(&case.file("report.bin").unwrap()).unwrap();
        let mut found: Vec<String> =
            report.claims_unverified().observations().iter().map(ToString::to_string).collect();
        let mut expected: Vec<String> = expected.iter().map(|text| text.as_str().unwrap().to_owned()).collect();
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "{}", case.name);
        compared += 1;
    }
    assert!(compared >= 36, "only {compared} cases with observations");
}

#[test]
fn without_its_root_synthetic_evidence_is_refused() {
    let synthetic: Vec<Case> = cases().into_iter().filter(Case::injects_root).collect();
    assert!(synthetic.len() >= 28);
    for case in synthetic {
        let found = case.run(&Roots::pinned());
        assert!(found.verified.is_none() && found.code.is_some(), "{}", case.name);
        let first = found.checks.iter().find(|check| check.result == Outcome::Fail).unwrap();
        if case.json["expect"]["verdict"] == "accept" {
            assert_eq!((found.code, first.id), (Some("ROOT_UNTRUSTED"), "snp.chain.ark"), "{}", case.name);
        }
    }
}

#[test]
fn the_result_says_who_vouches_for_the_root() {
    for case in cases() {
        if let Some(verified) = case.run(&case.roots()).verified {
            let trust = if case.injects_root() { Trust::InsecureRoot } else { Trust::Pinned };
            assert_eq!(verified.vek().trust(), trust, "{}", case.name);
        }
    }
}

#[test]
fn genuine_evidence_needs_no_intermediate_and_no_root_from_the_host() {
    let mut verified = 0;
    for case in cases().iter().filter(|case| case.json["class"] == "real") {
        let (Some(report), Some(vek)) = (case.file("report.bin"), case.file("vek.der")) else { continue };
        let endorsements = Endorsements { vek: Some(&vek), ..Endorsements::default() };
        let found = snp::verify(&Evidence { report: &report, endorsements }, &Roots::pinned(), case.now_ms());
        let with_chain = case.run(&Roots::pinned());
        assert_eq!(found.is_ok(), with_chain.verified.is_some(), "{}", case.name);
        verified += usize::from(found.is_ok());
    }
    assert!(verified >= 20, "only {verified} genuine reports");
}

#[test]
fn amds_revocation_list_is_honoured_and_has_a_time() {
    let case = cases().into_iter().find(|case| case.name == "snp-real-genoa-v3-azure").unwrap();
    let list = fs::read(vectors().join("attestation/roots/crl-ARK-Genoa-20241023.der")).unwrap();
    let (report, vek) = (case.file("report.bin").unwrap(), case.file("vek.der").unwrap());
    let endorsements = Endorsements { vek: Some(&vek), crl: Some(&list), ..Endorsements::default() };
    let at = |seconds: u64| snp::verify(&Evidence { report: &report, endorsements }, &Roots::pinned(), seconds * 1000);
    // 2025-06-01, within the list's time; a day after its end; and a day before its beginning.
    let current = at(1_748_736_000).expect("the intermediate is the one that AMD issued instead of the revoked one");
    assert_eq!(current.valid_until_ms(), 1_762_131_600_000, "a verdict holds no longer than the list");
    let expired = at(1_762_218_000).unwrap_err();
    assert_eq!(expired.error.code(), "CRL_EXPIRED");
    assert_eq!(expired.error.class().code(), 40);
    assert_eq!(current.vek().revocation(), snp::Revocation::Checked);
}

#[test]
fn a_policy_that_asks_for_nothing_does_nothing() {
    let case = cases().into_iter().find(|case| case.name == "snp-real-milan-v3-dstack").unwrap();
    let verified = case.run(&Roots::pinned()).verified.unwrap();
    let checks = check(&verified, &SnpPolicy::default()).unwrap();
    assert!(checks.iter().all(|check| check.result == Outcome::NotDone));
}

#[test]
fn each_key_of_a_policy_refuses_what_it_names() {
    let case = cases().into_iter().find(|case| case.name == "snp-real-milan-v3-vlek-vmpl1").unwrap();
    let verified = case.run(&Roots::pinned()).verified.unwrap();
    let own = Hex(verified.claims().measurement).to_string();
    let tcb = |snp: u8| json!({"bootloader": 4, "tee": 0, "snp": snp, "microcode": 0xd9});
    let rows = [
        (json!({"allow_smt": false}), Some("SMT")),
        (json!({"allow_smt": true}), None),
        (json!({"require_single_socket": true}), Some("SINGLE_SOCKET")),
        (json!({"require_single_socket": false}), None),
        (json!({"require_ciphertext_hiding": true}), Some("GUEST_POLICY")),
        (json!({"require_alias_check": true}), None),
        (json!({"min_policy_abi": "0.0"}), None),
        (json!({"min_policy_abi": "1.55"}), Some("ABI_VERSION")),
        (json!({"min_policy_abi": "1"}), Some("POLICY_MALFORMED")),
        (json!({"max_vmpl": 0}), Some("VMPL")),
        (json!({"max_vmpl": 1}), None),
        (json!({"allowed_signing_keys": ["VLEK"]}), None),
        (json!({"allowed_signing_keys": []}), Some("SIGNING_KEY")),
        (json!({"allowed_csp_ids": ["CN=cc-us-east-2.amazonaws.com"]}), None),
        (json!({"allowed_csp_ids": ["CN=elsewhere"]}), Some("CSP_ID")),
        (json!({"allowed_products": ["Milan"]}), None),
        (json!({"allowed_products": ["milan"]}), Some("POLICY_MALFORMED")),
        (json!({"min_report_version": 3}), None),
        (json!({"min_report_version": 5}), Some("REPORT_VERSION")),
        (json!({"allow_provisional_firmware": false}), Some("PROVISIONAL_FIRMWARE")),
        (json!({"allow_provisional_firmware": true}), None),
        (json!({"min_firmware": "1.55"}), None),
        (json!({"min_firmware": "1.56"}), Some("FIRMWARE_VERSION")),
        (json!({"min_reported_tcb": tcb(0x18)}), None),
        (json!({"min_reported_tcb": tcb(0x19)}), Some("TCB_BELOW_MINIMUM")),
        (json!({"min_reported_tcb_by_product": {"Milan": tcb(0x18)}}), None),
        (json!({"min_reported_tcb_by_product": {"Genoa": tcb(0)}}), Some("TCB_BELOW_MINIMUM")),
        (json!({"min_committed_tcb": tcb(0x18)}), None),
        (json!({"min_committed_tcb": tcb(0x19)}), Some("TCB_BELOW_MINIMUM")),
        (json!({"required_launch_mitigations": "0x1"}), Some("MITIGATION_VECTOR")),
        (json!({"required_launch_mitigations": "3"}), Some("POLICY_MALFORMED")),
        (json!({"measurements": [own]}), None),
        (json!({"measurements": []}), Some("MEASUREMENT")),
        (json!({"id_key_digests": ["00".repeat(47) + "01"]}), Some("ID_KEY_DIGEST")),
        (json!({"author_key_digests": ["00".repeat(48)]}), Some("AUTHOR_KEY_DIGEST")),
        (json!({"chip_ids": ["11".repeat(64)]}), Some("CHIP_ID")),
        (json!({"denied_chip_ids": ["00".repeat(64)]}), Some("CHIP_ID")),
        (json!({"host_data": "11".repeat(32)}), Some("HOST_DATA")),
        (json!({"require_crl": true}), Some("CRL_MISSING")),
        (json!({"allow_debugging": false}), Some("POLICY_MALFORMED")),
    ];
    for (policy, expected) in rows {
        let judged = SnpPolicy::from_json(policy.to_string().as_bytes());
        let code = match judged.map(|policy| check(&verified, &policy)) {
            Err(error) => Some(error.code()),
            Ok(judged) => judged.err().map(|rejected| rejected.error.code()),
        };
        assert_eq!(code, expected, "{policy}");
    }
}

#[test]
fn a_policy_reads_the_same_from_toml() {
    let toml = "allow_debug = false\nallowed_products = [\"Genoa\", \"Turin\"]\n[min_reported_tcb_by_product.Turin]\n\
                fmc = 1\nbootloader = 1\ntee = 0\nsnp = 4\nmicrocode = 81\n";
    let json = json!({"allow_debug": false, "allowed_products": ["Genoa", "Turin"], "min_reported_tcb_by_product":
        {"Turin": {"fmc": 1, "bootloader": 1, "tee": 0, "snp": 4, "microcode": 81}}});
    assert_eq!(SnpPolicy::from_toml(toml), SnpPolicy::from_json(json.to_string().as_bytes()));
    assert!(SnpPolicy::from_toml("allow_debug = 1").is_err());
}
