//! `cloister-verify inspect`: everything is shown, nothing is believed, and the output says so.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests stop at the first surprise")]

mod tool;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use tool::{arg, vectors, verify};

fn fields(file: &Path) -> Value {
    let (code, report) = tool::json(&["inspect", arg(file)]);
    assert_eq!((code, &report["verified"]), (0, &json!(false)), "{}: {report:#}", file.display());
    report["fields"].clone()
}

/// Runs over bytes that somebody made up.
fn inspect(bytes: &[u8]) -> (i32, Value) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("evidence");
    fs::write(&file, bytes).unwrap();
    tool::json(&["inspect", arg(&file)])
}

#[test]
fn the_banner_stands_above_and_below() {
    let output = verify(&["inspect", arg(&vectors("attestation/snp/snp-real-milan-v2-debug").join("report.bin"))]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(text.starts_with("UNVERIFIED: ") && text.lines().last().unwrap().starts_with("UNVERIFIED: "), "{text}");
    assert!(text.contains("DEBUG: the host can read and change the guest's memory"), "{text}");
}

#[test]
fn claims_and_observations_are_those_of_the_labels() {
    let mut compared = 0;
    for entry in fs::read_dir(vectors("attestation/snp")).unwrap() {
        let folder = entry.unwrap().path();
        let case: Value = serde_json::from_slice(&fs::read(folder.join("case.json")).unwrap()).unwrap();
        let (claims, observations) = (&case["expect"]["claims"], case["expect"]["observations"].as_array());
        let (Some(mut expected), true) = (observations.cloned(), folder.join("report.bin").exists()) else { continue };
        let shown = fields(&folder.join("report.bin"));
        let mut found = shown["observations"]["value"].as_array().unwrap().clone();
        let by_text = |value: &Value| value.as_str().unwrap().to_owned();
        expected.sort_by_key(by_text);
        found.sort_by_key(by_text);
        assert_eq!(found, expected, "{}", folder.display());
        for name in ["measurement", "report_data", "chip_id"] {
            if let Some(value) = claims[name].as_str() {
                assert_eq!(shown[name], value, "{}: {name}", folder.display());
                compared += 1;
            }
        }
    }
    assert!(compared > 40, "only {compared} claims compared");
}

#[test]
fn quotes_and_containers_are_shown() {
    let quote = vectors("attestation/tdx/tdx-real-v4-dstack-2025");
    let case: Value = serde_json::from_slice(&fs::read(quote.join("case.json")).unwrap()).unwrap();
    let shown = fields(&quote.join("quote.bin"));
    assert_eq!(shown["mrtd"]["value"], case["expect"]["claims"]["mrtd"]);
    assert_eq!(shown["rtmr3"]["value"], case["expect"]["claims"]["rtmr3"]);
    assert!(shown["td_attributes"]["meaning"].as_str().unwrap().contains("cannot inject exceptions"));

    let container = fields(&vectors("attestation/azure/az-snp-milan-v1").join("hcl_report.bin"));
    assert_eq!((&container["report_type"]["value"], &container["binding"]["value"]), (&json!("sev-snp"), &json!(true)));
    assert_eq!(container["snp.vmpl"]["value"], json!(0));
    let tampered = fields(&vectors("attestation/azure/az-snp-var-data-tampered").join("hcl_report.bin"));
    assert_eq!(tampered["binding"]["value"], json!(false));
}

#[test]
fn a_conceptual_message_wrapper_is_opened() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let report = fs::read(vectors("attestation/snp/snp-real-milan-v3-dstack").join("report.bin")).unwrap();
    let record = json!(["application/vnd.example.snp", URL_SAFE_NO_PAD.encode(report), 4]).to_string();
    let (code, report) = inspect(record.as_bytes());
    assert_eq!((code, &report["kind"]), (0, &json!("CMW record")));
    assert_eq!(report["fields"]["cmw.type"], "application/vnd.example.snp");
}

#[test]
fn what_is_not_well_formed_is_malformed() {
    let report = fs::read(vectors("attestation/snp/snp-real-milan-v3-dstack").join("report.bin")).unwrap();
    let mut wrapped = vec![0; 32];
    wrapped.splice(4..8, 1184_u32.to_le_bytes());
    wrapped.extend(&report);
    let mut tail = report.clone();
    *tail.last_mut().unwrap() = 1;
    let rows: [(&[u8], &str); 6] = [
        (b"", "neither a SEV-SNP report"),
        (&wrapped, "tail -c +33"),
        (&tail, "bytes behind the signature"),
        (b"HCLA", "too short"),
        (b"{}", "not well formed"),
        (b"[1]", "not a CMW record"),
    ];
    for (bytes, part) in rows {
        let (code, found) = inspect(bytes);
        assert_eq!(code, 30, "{found}");
        assert!(found["error"].as_str().unwrap().contains(part), "{found}");
    }
    assert_eq!(verify(&["inspect", "/nonexistent"]).status.code(), Some(1));
}
