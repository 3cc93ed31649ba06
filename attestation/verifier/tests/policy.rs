//! `cloister-verify policy`: what a policy means, and whether it means what its author wanted.

#[expect(dead_code, reason = "no vectors are needed here")]
mod tool;

use serde_json::Value;
use tool::{arg, json, verify};

#[test]
fn every_key_of_the_shipped_policies_is_explained() {
    for preset in ["strict", "default", "development"] {
        let (code, explained) = json(&["policy", "explain", preset]);
        assert_eq!(code, 0, "{preset}");
        let keys = explained["policy"].as_array().unwrap();
        assert!(keys.len() >= 4, "{preset}: {keys:?}");
        for key in keys {
            let meaning = key["meaning"].as_str().unwrap();
            assert!(!meaning.starts_with(" Here:"), "{preset}: {} is not explained", key["key"]);
        }
    }
}

#[test]
fn lint_warns_of_a_policy_that_lets_any_software_run() {
    let (code, found) = json(&["policy", "lint", "default"]);
    assert_eq!(code, 0, "a warning is no error");
    let findings = found["findings"].as_array().unwrap();
    assert!(findings.iter().any(|finding| finding["key"] == "reference.measurement"), "{findings:?}");
    assert!(findings.iter().all(|finding| finding["level"] == "warning"), "{findings:?}");
}

#[test]
fn a_key_that_is_spelt_wrongly_is_an_error_and_not_a_key_that_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/appraisal/default.toml"));
    std::fs::write(&file, text.unwrap().replace("allow_debug", "allow_debugging")).unwrap();
    let (code, found) = json(&["policy", "lint", arg(&file)]);
    assert_eq!((code, &found["findings"][0]["level"]), (10, &Value::from("error")));
    assert!(found["findings"][0]["message"].as_str().unwrap().contains("allow_debugging"), "{found}");
    assert_eq!(json(&["policy", "explain", arg(&file)]).0, 30);
    assert_eq!(verify(&["policy", "lint", "no-such-file.toml"]).status.code(), Some(1));
}
