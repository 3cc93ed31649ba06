//! The request signature of the page and of the enclave are one: both are tested with
//! `enclave/protocol/vectors/request-signature.json`, which was made with a third implementation.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use cloister_enclave::identity::signature::{Claim, Refused, RequestKey, verify};
use cloister_enclave::keys::secret::Secret;
use http::Request;
use http::request::Parts;
use serde::Deserialize;

const VECTORS: &str = include_str!("../protocol/vectors/request-signature.json");

#[derive(Deserialize)]
struct Vectors {
    opaque_session_key_hex: String,
    k_req_hex: String,
    session: String,
    created_s: u64,
    nonce: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    method: String,
    path: String,
    query: String,
    headers: BTreeMap<String, String>,
}

fn vectors() -> (Vectors, RequestKey) {
    let vectors: Vectors = serde_json::from_str(VECTORS).unwrap();
    let session_key: [u8; 64] = hex::decode(&vectors.opaque_session_key_hex).unwrap().try_into().unwrap();
    (vectors, RequestKey::derive(&Secret::new(session_key)))
}

fn request(case: &Case, path: &str) -> Parts {
    let query = if case.query == "?" { "" } else { &case.query };
    let mut request = Request::builder().method(case.method.as_str()).uri(format!("{path}{query}"));
    for (name, value) in &case.headers {
        request = request.header(name, value);
    }
    request.body(()).unwrap().into_parts().0
}

#[test]
fn the_key_is_derived_as_in_the_vector() {
    let (vectors, key) = vectors();
    assert_eq!(hex::encode(key.expose_secret()), vectors.k_req_hex);
}

#[test]
fn the_signatures_of_the_vector_verify() {
    let (vectors, key) = vectors();
    for case in &vectors.cases {
        let parts = request(case, &case.path);
        let claim = Claim::parse(&parts.headers).unwrap().unwrap();
        assert_eq!(claim.nonce(), vectors.nonce, "{}", case.name);
        assert_eq!(claim.created_s(), vectors.created_s, "{}", case.name);
        assert!(case.headers["Signature-Input"].contains(&vectors.session), "{}", case.name);
        assert_eq!(verify(&parts, &claim, &key, 0, vectors.created_s * 1000), Ok(()), "{}", case.name);
    }
}

#[test]
fn the_signatures_of_the_vector_hold_for_no_other_path() {
    let (vectors, key) = vectors();
    for case in &vectors.cases {
        let parts = request(case, "/api/v1/logout");
        let claim = Claim::parse(&parts.headers).unwrap().unwrap();
        let outcome = verify(&parts, &claim, &key, 0, vectors.created_s * 1000);
        assert_eq!(outcome, Err(Refused::Signature), "{}", case.name);
    }
}
