//! `cloister-verify evidence` over genuine evidence, with what its vendors publish in every form that tools hand it over.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod tool;

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tempfile::TempDir;
use tool::{arg, vectors, verify};

/// Genoa is on the default list and this report answers a nonce: the text `hello-attestation`.
const GENOA: &str = "snp/snp-real-genoa-v5";
const GENOA_NONCE: &str = "68656c6c6f2d6174746573746174696f6e";
const GENOA_AT: &str = "2026-09-01T00:00:00Z";
const MILAN: &str = "snp/snp-real-milan-v3-dstack";
const TDX: &str = "tdx/tdx-real-v4-dstack-2025";
const TDX_AT: &str = "2026-03-05T13:50:07Z";

/// Accepts every kind and asks for nothing of it.
const OPEN: &str = r#"
v = 1
tee = ["sev-snp", "tdx", "az-snp", "az-tdx"]
require_fresh = false
max_validity_seconds = 1
[snp]
[tdx]
[azure]
"#;

fn file(case: &str, name: &str) -> PathBuf {
    vectors("attestation").join(case).join(name)
}

fn json_of(args: &[&str]) -> (i32, Value) {
    tool::json(&[&["evidence"], args].concat())
}

fn result<'a>(report: &'a Value, id: &str) -> &'a str {
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|check| check["id"] == id).map_or("absent", |check| check["result"].as_str().unwrap())
}

fn failed(report: &Value) -> Vec<&str> {
    let checks = report["checks"].as_array().unwrap();
    checks.iter().filter(|check| check["result"] == "fail").map(|check| check["id"].as_str().unwrap()).collect()
}

fn write(folder: &TempDir, name: &str, bytes: impl AsRef<[u8]>) -> String {
    fs::write(folder.path().join(name), bytes).unwrap();
    arg(&folder.path().join(name)).to_owned()
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// The host's table (GHCB specification, 4.1.8.1) with one entry.
fn table(guid: u128, der: &[u8]) -> Vec<u8> {
    let offset = 48_u32;
    let length = u32::try_from(der.len()).unwrap();
    [&guid.to_be_bytes()[..], &offset.to_le_bytes(), &length.to_le_bytes(), &[0; 24], der].concat()
}

#[test]
fn s3_19_a_genuine_report_is_accepted_with_the_leaf_in_any_form() {
    let folder = TempDir::new().unwrap();
    let report = file(GENOA, "report.bin");
    let vek = fs::read(file(GENOA, "vek.der")).unwrap();
    let forms = [
        arg(&file(GENOA, "vek.der")).to_owned(),
        arg(&vectors("attestation").join(GENOA)).to_owned(),
        write(&folder, "vek.pem", pem("CERTIFICATE", &vek)),
        write(&folder, "collateral.json", json!({ "vek": STANDARD.encode(&vek) }).to_string()),
        write(&folder, "auxblob", table(0x63da_758d_e664_4564_adc5_f4b9_3be8_accd, &vek)),
    ];
    for form in &forms {
        let (code, verdict) =
            json_of(&[arg(&report), "--endorsements", form, "--nonce", GENOA_NONCE, "--at", GENOA_AT]);
        assert_eq!((code, &verdict["verdict"]), (0, &json!("accepted")), "{form}: {verdict:#}");
        assert_eq!((&verdict["tee"], &verdict["hardware"]), (&json!("sev-snp"), &json!(true)));
        assert_eq!((result(&verdict, "bind.nonce"), result(&verdict, "policy.fresh")), ("pass", "pass"));
        assert!(verdict["valid_until"].as_str().unwrap().starts_with("2033-02-17"), "the end of the leaf: {verdict:#}");
    }
}

#[test]
fn s3_19_without_what_amd_publishes_the_answer_is_incomplete_and_says_what_to_fetch() {
    let report = file(GENOA, "report.bin");
    let (code, verdict) = json_of(&[arg(&report), "--at", GENOA_AT]);
    assert_eq!((code, &verdict["exit_class"]), (40, &json!("collateral")));
    assert_eq!(failed(&verdict).len(), 1);
    assert_eq!(result(&verdict, "bind.report_data"), "not_done");
    let text = String::from_utf8(verify(&["evidence", arg(&report), "--at", GENOA_AT]).stdout).unwrap();
    assert!(text.contains("REJECTED, INCOMPLETE"), "{text}");
}

#[test]
fn s3_19_what_the_report_is_about_has_to_be_what_is_expected() {
    let (report, folder) = (file(GENOA, "report.bin"), vectors("attestation").join(GENOA));
    let vek = file(GENOA, "vek.der");
    let padded = format!("{GENOA_NONCE:0<128}");
    let other = format!("{GENOA_NONCE:1<128}");
    let rows: [(&[&str], i32, &str, &str); 6] = [
        (&["--report-data", &padded], 0, "bind.report_data", "pass"),
        (&["--report-data", &other], 10, "bind.report_data", "fail"),
        (&["--nonce", &padded], 0, "bind.nonce", "pass"),
        // A prefix of what is there is not what is there.
        (&["--nonce", &GENOA_NONCE[..32]], 10, "bind.nonce", "fail"),
        (&["--bind-spki", arg(&vek)], 10, "bind.spki", "fail"),
        (&[], 0, "bind.report_data", "not_done"),
    ];
    for (expected, code, check, outcome) in rows {
        let args = [&[arg(&report), "--endorsements", arg(&folder), "--at", GENOA_AT], expected].concat();
        let (found, verdict) = json_of(&args);
        assert_eq!((found, result(&verdict, check)), (code, outcome), "{expected:?}: {verdict:#}");
    }
}

#[test]
fn s3_19_the_default_policy_refuses_milan_and_an_own_one_may_pin_it() {
    let folder = TempDir::new().unwrap();
    let (report, certificates) = (file(MILAN, "report.bin"), vectors("attestation").join(MILAN));
    let args = [arg(&report), "--endorsements", arg(&certificates), "--at", GENOA_AT];
    let (code, verdict) = json_of(&args);
    assert_eq!(code, 10);
    assert!(failed(&verdict).contains(&"policy.snp.product"), "{verdict:#}");
    let named = write(
        &folder,
        "policy.toml",
        format!(
            "{OPEN}\n[[reference.measurement]]\nname = \"dstack 0.5\"\ntee = \"sev-snp\"\nmeasurement = \
             \"7f51e17f72a04d5422cb2c00998166536019a217376f3aa45a630e59c805a599847ff250dbffcd07e1ba639771d6f05d\"\n"
        ),
    );
    let (code, verdict) = json_of(&[&args[..], &["--policy", &named]].concat());
    assert_eq!((code, &verdict["claims"]["image"]), (0, &json!("dstack 0.5")), "{verdict:#}");
}

#[test]
fn s3_19_a_genuine_td_quote_is_judged_with_its_collateral_and_its_event_log() {
    let (quote, collateral) = (file(TDX, "quote.bin"), file(TDX, "collateral.json"));
    let (code, verdict) = json_of(&[arg(&quote), "--endorsements", arg(&collateral), "--at", TDX_AT]);
    assert_eq!((code, &verdict["claims"]["tcb"]["status"]), (0, &json!("UpToDate")), "{verdict:#}");
    let (code, verdict) = json_of(&[arg(&quote), "--at", TDX_AT]);
    assert_eq!((code, &verdict["exit_class"]), (40, &json!("collateral")), "{verdict:#}");
    let folder = TempDir::new().unwrap();
    let policy = write(&folder, "open.toml", OPEN);
    for (case, log, at, outcome) in [
        ("eventlog/ccel-cos113", "ccel.bin", "2025-06-01T00:00:00Z", "pass"),
        ("eventlog/ccel-cos113-tampered", "ccel.bin", "2025-06-01T00:00:00Z", "fail"),
        ("eventlog/dstack-rtmr3-events", "event_log.json", "2026-03-05T00:00:00Z", "pass"),
    ] {
        let (quote, log) = (file(case, "quote.bin"), file(case, log));
        let args = [arg(&quote), "--event-log", arg(&log), "--policy", &policy, "--at", at];
        let (found, verdict) = json_of(&args);
        assert_eq!(result(&verdict, "bind.event_log"), outcome, "{case}: {verdict:#}");
        // Without collateral the log may be right and the machine is still not judged.
        assert_eq!(found, if outcome == "pass" { 40 } else { 10 }, "{case}: {verdict:#}");
    }
}

#[test]
fn s3_19_a_guest_on_azure_is_judged_by_its_container_and_its_tpm() {
    let folder = TempDir::new().unwrap();
    let policy = write(&folder, "open.toml", OPEN);
    let case = |file_name: &str| file("azure/az-snp-milan-v1", file_name);
    let (report, quote, vek) = (case("hcl_report.bin"), case("tpm_quote.json"), case("vcek.der"));
    let at: Value = serde_json::from_slice(&fs::read(case("case.json")).unwrap()).unwrap();
    let at = at["verify_at_utc"].as_str().unwrap();
    let args = [arg(&report), "--tpm-quote", arg(&quote), "--endorsements", arg(&vek), "--at", at, "--policy", &policy];
    let (code, verdict) = json_of(&args);
    assert_eq!((code, &verdict["tee"]), (0, &json!("az-snp")), "{verdict:#}");
    let (code, verdict) = json_of(&[&args[..], &["--nonce", "00"]].concat());
    assert_eq!((code, verdict["exit_class"].as_str()), (10, Some("rejected")), "{verdict:#}");
    let (code, verdict) = json_of(&[arg(&report)]);
    assert_eq!((code, &verdict["verdict"]), (2, &Value::Null));
    assert!(verdict["error"].as_str().unwrap().contains("--tpm-quote"));
}

#[test]
fn s3_19_a_wrapped_report_is_the_report_and_a_broken_one_is_malformed() {
    let folder = TempDir::new().unwrap();
    let report = fs::read(file(GENOA, "report.bin")).unwrap();
    let wrapped = json!(["application/vnd.amd.snp-report", URL_SAFE_NO_PAD.encode(&report), 4]).to_string();
    let wrapped = write(&folder, "evidence.cmw", wrapped);
    let endorsements = vectors("attestation").join(GENOA);
    let args = ["--endorsements", arg(&endorsements), "--at", GENOA_AT];
    assert_eq!(json_of(&[&[wrapped.as_str()], &args[..]].concat()).0, 0);
    for (name, bytes, code) in [
        ("short", &report[..1183], 30),
        ("nothing", &[], 30),
        ("text", b"a report".as_slice(), 30),
        ("json", b"{}", 30),
        ("record", b"[1]", 30),
    ] {
        let path = write(&folder, name, bytes);
        let (found, verdict) = json_of(&[&[path.as_str()], &args[..]].concat());
        assert_eq!((found, &verdict["exit_class"]), (code, &json!("malformed")), "{name}: {verdict:#}");
    }
    let mut forged = report;
    *forged.get_mut(0x90).unwrap() ^= 1;
    let forged = write(&folder, "forged", forged);
    let (code, verdict) = json_of(&[&[forged.as_str()], &args[..]].concat());
    assert_eq!((code, failed(&verdict)), (10, vec!["snp.report.signature"]), "{verdict:#}");
}

#[test]
fn arguments_that_make_no_sense_together_exit_2() {
    let folder = TempDir::new().unwrap();
    let (report, unknown) = (file(GENOA, "report.bin"), write(&folder, "unknown", b"what is this?"));
    let report = arg(&report);
    let rows: [&[&str]; 7] = [
        &[report, "--nonce", "zz"],
        &[report, "--nonce", ""],
        &[report, "--report-data", "00"],
        &[report, "--nonce", "00", "--report-data", "00"],
        &[report, "--endorsements", &unknown],
        &[report, "--bind-spki", &unknown],
        &[report, "--ear", "--cmw"],
    ];
    for args in rows {
        assert_eq!(verify(&[&["evidence"], args].concat()).status.code(), Some(2), "{args:?}");
    }
    let missing = Path::new("/nonexistent/report.bin");
    assert_eq!(verify(&["evidence", arg(missing)]).status.code(), Some(1));
}

#[test]
fn dc_10_the_verdict_as_an_ear_says_no_more_than_the_checks() {
    let (report, folder) = (file(GENOA, "report.bin"), vectors("attestation").join(GENOA));
    let args = ["evidence", arg(&report), "--endorsements", arg(&folder), "--at", GENOA_AT, "--nonce", GENOA_NONCE];
    let ear = |more: &[&str]| {
        let output = verify(&[&args, more, &["--ear"]].concat());
        let claims: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code().unwrap(), claims)
    };
    let (code, claims) = ear(&[]);
    assert_eq!((code, &claims["eat_profile"]), (0, &json!("tag:ietf.org,2026:rats/ear#04")));
    assert_eq!(claims["iat"], 1_788_220_800);
    assert_eq!(claims["eat_nonce"], URL_SAFE_NO_PAD.encode("hello-attestation"));
    let attester = &claims["submods"]["attester"];
    // True and wanted, but nobody said which software may run: a warning, not an affirmation.
    assert_eq!(attester["ear_status"], "warning");
    let expected = json!({
        "instance-identity": 0, "configuration": 2, "executables": 33, "file-system": 0,
        "hardware": 2, "runtime-opaque": 2, "storage-opaque": 0, "sourced-data": 0,
    });
    assert_eq!(attester["ear_trustworthiness_vector"], expected);
    assert_eq!(attester["ear_appraisal_policy_ids"].as_array().unwrap().len(), 1);

    // Not true: nothing is claimed but that.
    let at = ["--at", "2022-01-01T00:00:00Z"];
    let output = verify(&["evidence", arg(&report), "--endorsements", arg(&folder), at[0], at[1], "--ear"]);
    let refused: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(10));
    let refused = &refused["submods"]["attester"];
    assert_eq!((&refused["ear_status"], refused.get("exp")), (&json!("contraindicated"), None));
    assert_eq!(refused["ear_trustworthiness_vector"]["hardware"], 99);

    // Not judged, for lack of certificates or of anything to read: no claim, and never a verdict on the machine.
    let folder = TempDir::new().unwrap();
    let unreadable = write(&folder, "unreadable", b"what is this?");
    for (file, code, value) in [(arg(&report), 40, 0), (unreadable.as_str(), 30, 1)] {
        let output = verify(&["evidence", file, "--at", GENOA_AT, "--ear"]);
        let claims: Value = serde_json::from_slice(&output.stdout).unwrap();
        let attester = &claims["submods"]["attester"];
        assert_eq!((output.status.code(), &attester["ear_status"]), (Some(code), &json!("none")), "{claims:#}");
        assert_eq!(attester["ear_trustworthiness_vector"]["hardware"], value);
    }

    let output = verify(&[&args[..], &["--cmw"]].concat());
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(record[2], 8, "attestation results");
    let inner = URL_SAFE_NO_PAD.decode(record[1].as_str().unwrap()).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&inner).unwrap(), claims);
}
