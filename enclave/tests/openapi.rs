//! The committed `OpenAPI` document is the one that the code generates.
//!
//! `CLOISTER_BLESS=1 cargo test -p cloister-enclave --test openapi` writes it anew.

use std::path::Path;

use cloister_enclave::openapi;
use serde_json::Value;

#[test]
fn committed_document_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let generated = openapi::document();
    if std::env::var_os("CLOISTER_BLESS").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == generated, "enclave/openapi.json is stale: bless it, and review the difference as code");
}

#[test]
fn every_operation_says_what_it_answers() {
    let document: Value = serde_json::from_str(&openapi::document()).unwrap();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            assert!(!operation["responses"].as_object().unwrap().is_empty(), "{method} {path}");
            assert!(operation["summary"].is_string() || operation["description"].is_string(), "{method} {path}");
        }
    }
}
