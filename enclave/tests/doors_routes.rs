//! The doors of others, served: ACI with its receipts, Tinfoil with its certificate, and the page for a person.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;
#[path = "../../tests/src/tiny_model.rs"]
#[expect(dead_code, unreachable_pub, reason = "shared with the black-box tests")]
mod tiny_model;
#[path = "answers/world.rs"]
#[expect(dead_code, reason = "shared with the tests of answers")]
mod world;

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloister_attestation::Trust;
use cloister_attestation::aci::{self, Keyset, Receipt, verify_receipt};
use cloister_attestation::development;
use cloister_attestation::document::{Evidence, Tee};
use cloister_attestation::encoding::{Hex, sha256};
use cloister_attestation::statement::Statement;
use cloister_enclave::app::AppState;
use cloister_enclave::attest::{Attestation, Attester, PlatformError, Provenance, Report};
use cloister_enclave::router::router;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;
use world::{World, Writes};

async fn send(state: &AppState, request: Request<Body>) -> (StatusCode, HeaderMap, Vec<u8>) {
    let (parts, body) = router(state).oneshot(request).await.unwrap().into_parts();
    (parts.status, parts.headers, body.collect().await.unwrap().to_bytes().to_vec())
}

async fn get(state: &AppState, path: &str) -> (StatusCode, HeaderMap, Vec<u8>) {
    send(state, Request::get(path).body(Body::empty()).unwrap()).await
}

fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn keyset(report: &Value) -> Keyset {
    serde_json::from_value(report["attestation"]["workload_keyset"].clone()).unwrap()
}

/// A look-alike of hardware: bytes of the right length, and a count of who asked.
#[derive(Debug)]
struct Fixed {
    tee: Tee,
    bytes: usize,
    calls: Arc<AtomicUsize>,
}

impl Attester for Fixed {
    fn tee(&self) -> Tee {
        self.tee
    }

    fn report(&self, report_data: &[u8; 64]) -> Result<Report, PlatformError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let mut report = vec![0; self.bytes];
        report[80..144].copy_from_slice(report_data);
        Ok(Report { evidence: Evidence::new(self.tee, report), certificates: Vec::new() })
    }
}

fn fixed(tee: Tee, bytes: usize) -> (Attestation, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let attester = Fixed { tee, bytes, calls: Arc::clone(&calls) };
    (Attestation::new(Box::new(attester), Trust::pinned()), calls)
}

#[tokio::test]
async fn aci_report_binds_the_served_keys_and_the_nonce() {
    let dir = tempfile::tempdir().unwrap();
    let state = support::app(dir.path(), &[]).await;
    let nonce = "ab".repeat(32);
    let (status, headers, body) = get(&state, &format!("/v1/aci/attestation?nonce={nonce}")).await;
    assert_eq!(status, StatusCode::OK);
    let report = parsed(&body);
    let keyset = keyset(&report);
    let digest = keyset.digest();
    assert_eq!(report["api_version"], "aci/1");
    assert_eq!(report["workload_keyset_digest"], json!(aci::spelled(&digest)));
    assert_eq!(headers["x-aci-version"], "aci/1");
    assert_eq!(headers["x-aci-keyset-digest"], aci::spelled(&digest));
    // The development TEE has a type of its own and evidence in its own layout.
    assert_eq!(report["attestation"]["tee_type"], "development");
    let evidence = STANDARD.decode(report["attestation"]["evidence"]["development_report_b64"].as_str().unwrap());
    let evidence = development::Report::parse(&evidence.unwrap()).unwrap();
    evidence.verify().unwrap();
    assert_eq!(evidence.report_data, aci::report_data(&digest, Some(&[0xab; 32])));
    assert_eq!(report["attestation"]["report_data"], json!(hex::encode(&evidence.report_data[..32])));
    assert_eq!(report["service_capabilities"], json!({ "supported_e2ee_versions": [], "serving": "direct" }));
    let statement = state.statement_now();
    assert_eq!(keyset.tls_public_keys[0].spki_sha256, statement.tls_spki_sha256[0]);
    assert_eq!(keyset.receipt_signing_keys[0].public_key, statement.receipt_keys[0].public_key.to_string());
    let days = (keyset.not_after - support::NOW_MS / 1000) / 86_400;
    assert!((30..=60).contains(&days), "{days}");
    let (_, _, unfresh) = get(&state, "/v1/aci/attestation").await;
    let unfresh = parsed(&unfresh);
    let bound = hex::encode(&aci::report_data(&digest, None)[..32]);
    assert_eq!(unfresh["attestation"]["report_data"], json!(bound));
}

#[tokio::test]
async fn aci_replies_name_the_keyset_and_errors_have_the_shape_of_openai() {
    let dir = tempfile::tempdir().unwrap();
    let state = support::app(dir.path(), &[("attestations_per_minute = 120", "attestations_per_minute = 1")]).await;
    let nonce = "ab".repeat(32);
    let (status, ..) = get(&state, &format!("/v1/aci/attestation?nonce={nonce}")).await;
    assert_eq!(status, StatusCode::OK);
    for (path, wanted, kind) in [
        (format!("/v1/aci/attestation?nonce={nonce}"), StatusCode::TOO_MANY_REQUESTS, "rate_limit_error"),
        ("/v1/aci/attestation?nonce=AB".to_owned(), StatusCode::BAD_REQUEST, "invalid_request_error"),
        ("/v1/aci/attestation?nonse=ab".to_owned(), StatusCode::BAD_REQUEST, "invalid_request_error"),
        ("/v1/aci/receipts/rcpt-0".to_owned(), StatusCode::UNAUTHORIZED, "unauthorized"),
        ("/v1/models".to_owned(), StatusCode::UNAUTHORIZED, "invalid_request_error"),
        ("/v1/nothing".to_owned(), StatusCode::NOT_FOUND, "invalid_request_error"),
    ] {
        let (status, headers, body) = get(&state, &path).await;
        assert_eq!((status, &parsed(&body)["error"]["type"]), (wanted, &json!(kind)), "{path}");
        assert_eq!(headers["x-aci-version"], "aci/1", "{path}");
        assert!(headers["x-aci-keyset-digest"].to_str().unwrap().starts_with("sha256:"), "{path}");
    }
    let unknown = Request::get("/v1/aci/receipts/rcpt-0").header(header::AUTHORIZATION, "Bearer clk_unknown");
    let (status, _, body) = send(&state, unknown.body(Body::empty()).unwrap()).await;
    assert_eq!((status, &parsed(&body)["error"]["type"]), (StatusCode::NOT_FOUND, &json!("not_found")));
}

#[test]
fn hardware_doors_have_their_own_spelling_and_one_report_per_nonce() {
    let keyset = Keyset {
        subject: None,
        not_after: 1_800_000_000,
        receipt_signing_keys: Vec::new(),
        e2ee_public_keys: Vec::new(),
        tls_public_keys: Vec::new(),
    };
    let unknown = Provenance { commit: None };
    for (tee, bytes, name, member) in [(Tee::SevSnp, 1184, "sev_snp", "report_b64"), (Tee::Tdx, 5000, "tdx", "quote")] {
        let (attestation, calls) = fixed(tee, bytes);
        let asked = |nonce, now| parsed(&attestation.aci_report(nonce, &keyset, unknown, now).unwrap());
        let report = asked(Some([1; 32]), 1_000);
        assert_eq!(report["attestation"]["tee_type"], name);
        let text = report["attestation"]["evidence"][member].as_str().unwrap();
        let raw = if tee == Tee::Tdx { hex::decode(text).unwrap() } else { STANDARD.decode(text).unwrap() };
        assert_eq!(raw[80..144], aci::report_data(&keyset.digest(), Some(&[1; 32])));
        std::thread::scope(|threads| {
            for _ in 0..8 {
                threads.spawn(|| assert_eq!(asked(Some([1; 32]), 1_001), report));
            }
        });
        assert_eq!(calls.load(Ordering::SeqCst), 1, "one report per nonce");
        assert_ne!(asked(Some([2; 32]), 1_001), report);
        assert_ne!(asked(None, 1_001), report);
        assert_eq!(calls.load(Ordering::SeqCst), 3);
        asked(None, 12_000);
        assert_eq!(calls.load(Ordering::SeqCst), 4, "kept for ten seconds and no longer");
    }
}

#[test]
fn doors_do_not_share_a_report() {
    let (attestation, calls) = fixed(Tee::SevSnp, 1184);
    let document = attestation.tinfoil_document(&Hex([3; 32]), &[4; 32]).unwrap().unwrap();
    assert_eq!(document.format, "https://tinfoil.sh/predicate/sev-snp-guest/v2");
    let mut raw = Vec::new();
    let gzip = STANDARD.decode(&document.body).unwrap();
    flate2::read::GzDecoder::new(gzip.as_slice()).read_to_end(&mut raw).unwrap();
    assert_eq!((raw.len(), &raw[80..112], &raw[112..144]), (1184, [3; 32].as_slice(), [4; 32].as_slice()));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    let (attestation, _) = fixed(Tee::Tdx, 5000);
    let document = attestation.tinfoil_document(&Hex([3; 32]), &[4; 32]).unwrap().unwrap();
    assert_eq!(document.format, "https://tinfoil.sh/predicate/tdx-guest/v2");
    let (attestation, calls) = fixed(Tee::AzSnp, 2600);
    assert_eq!(attestation.tinfoil_document(&Hex([3; 32]), &[4; 32]), Ok(None), "Tinfoil has no format for it");
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_native_nonce_is_one_report_too() {
    let dir = tempfile::tempdir().unwrap();
    let state = support::app(dir.path(), &[]).await;
    let (attestation, calls) = fixed(Tee::SevSnp, 1184);
    let statement: Statement = state.statement_now();
    let first = attestation.document(Some([1; 32]), statement.clone(), 1_000).unwrap();
    assert_eq!(attestation.document(Some([1; 32]), statement.clone(), 2_000).unwrap(), first);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    let bound = Statement { channel: Some(Hex([5; 32])), ..statement };
    assert_ne!(attestation.document(Some([1; 32]), bound, 2_000).unwrap(), first, "another connection, another report");
}

/// Names of a certificate by a decoder of their contract: numbered chunks of base32 before label and domain.
fn carried(pem: &str, label: &str, host: &str) -> Vec<u8> {
    let der = STANDARD.decode(pem.lines().filter(|line| !line.starts_with("---")).collect::<String>()).unwrap();
    let text = String::from_utf8_lossy(&der).into_owned();
    let suffix = format!(".{label}.{host}");
    let mut chunks: Vec<&str> = Vec::new();
    for (end, _) in text.match_indices(&suffix) {
        let start = text[..end]
            .rfind(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit())
            .map_or(0, |at| at + text[at..].chars().next().unwrap().len_utf8());
        chunks.push(&text[start..end]);
    }
    chunks.sort_unstable();
    let text: String = chunks.iter().map(|chunk| &chunk[2..]).collect();
    let mut bits = (0_u32, 0);
    let mut out = Vec::new();
    for c in text.bytes() {
        let value = if c.is_ascii_lowercase() { c - b'a' } else { c - b'2' + 26 };
        bits = (bits.0 << 5 | u32::from(value), bits.1 + 5);
        if bits.1 >= 8 {
            bits.1 -= 8;
            out.push((bits.0 >> bits.1).to_le_bytes()[0]);
        }
    }
    out
}

#[tokio::test]
async fn tinfoil_document_and_certificate_name_the_same_keys() {
    let dir = tempfile::tempdir().unwrap();
    let state = support::app(dir.path(), &[]).await;
    let request = Request::get("/.well-known/tinfoil-attestation").header(header::ORIGIN, "https://elsewhere.example");
    let (status, headers, body) = send(&state, request.body(Body::empty()).unwrap()).await;
    assert_eq!((status, &headers[header::ACCESS_CONTROL_ALLOW_ORIGIN]), (StatusCode::OK, &"*".parse().unwrap()));
    assert!(headers[header::ACCESS_CONTROL_EXPOSE_HEADERS].to_str().unwrap().contains("Tinfoil-Pt"));
    let document = parsed(&body);
    let (format, evidence) = (document["format"].as_str().unwrap(), document["body"].as_str().unwrap());
    assert_eq!(format, "https://tinfoil.sh/predicate/dummy/v2", "nothing that looks like hardware");
    assert_eq!(headers["tinfoil-pt"], format);
    let statement = state.statement_now();
    assert_eq!(evidence, format!("{}{}", statement.tls_spki_sha256[0], statement.hpke_keys[0]));
    let (_, headers, body) = get(&state, "/.well-known/tinfoil-certificate").await;
    assert_eq!(headers["tinfoil-pt"], format);
    let pem = parsed(&body)["certificate"].as_str().unwrap().to_owned();
    let host = state.config.public_host.name();
    assert_eq!(carried(&pem, "hpke", host), statement.hpke_keys[0].0);
    let hash = sha256(&[format, evidence].concat().into_bytes()).to_string();
    assert_eq!(String::from_utf8(carried(&pem, "hatt", host)).unwrap(), hash);
    assert_eq!(get(&state, "/healthz").await.1["tinfoil-pt"], format, "on every reply");
}

#[tokio::test]
async fn tinfoil_version_3_is_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let state = support::app(dir.path(), &[]).await;
    let (status, _, body) = get(&state, &format!("/.well-known/tinfoil-attestation?nonce={}", "ab".repeat(32))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(parsed(&body)["detail"].as_str().unwrap().contains("v3 is not offered"));
}

#[tokio::test]
async fn verify_txt_tells_a_person_what_is_true_now() {
    let dir = tempfile::tempdir().unwrap();
    let state = support::app(dir.path(), &[]).await;
    let (status, headers, body) = get(&state, "/.well-known/cloister/verify.txt").await;
    assert_eq!(
        (status, &headers[header::CONTENT_TYPE]),
        (StatusCode::OK, &"text/plain; charset=utf-8".parse().unwrap())
    );
    assert_eq!(headers[header::CACHE_CONTROL], "no-cache");
    let text = String::from_utf8(body).unwrap();
    let statement = state.statement_now();
    for wanted in [
        format!("cloister-verify appliance https://{}", state.config.public_host),
        "DEVELOPMENT, NOT CONFIDENTIAL".to_owned(),
        statement.digest().to_string(),
        statement.tls_spki_sha256[0].to_string(),
        statement.hpke_keys[0].to_string(),
        statement.models[0].sha256.to_string(),
        statement.build.commit.clone(),
        "/v1/aci/attestation".to_owned(),
        "/.well-known/tinfoil-attestation".to_owned(),
    ] {
        assert!(text.contains(&wanted), "{wanted}\n{text}");
    }
}

async fn receipt(state: &AppState, bearer: &str, id: &str) -> (StatusCode, Vec<u8>) {
    let request = Request::get(format!("/v1/aci/receipts/{id}")).header(header::AUTHORIZATION, bearer);
    let (status, _, body) = send(state, request.body(Body::empty()).unwrap()).await;
    (status, body)
}

fn kinds(receipt: &Receipt) -> Vec<&str> {
    receipt.body.event_log.iter().map(|event| event.kind.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn aci_receipts_hash_the_wire_belong_to_their_key_and_survive_a_restart() {
    let world = World::new(Writes::Nothing).await;
    world.demo("berth-tariff.html").await;
    let assistant = world.assistant(Value::Null).await;
    let question = json!([{ "role": "user", "content": "How much third-party insurance does a vessel need?" }]);
    let mut receipts = Vec::new();
    for stream in [false, true] {
        let request = json!({ "model": assistant, "messages": question, "stream": stream,
            "provider": { "aci_verified": true } })
        .to_string()
        .into_bytes();
        let path = "/v1/chat/completions";
        let response = world.respond(&world.bearer, path, "application/json", request.clone()).await;
        assert_eq!(response.status(), StatusCode::OK);
        let id = response.headers()["x-receipt-id"].to_str().unwrap().to_owned();
        let digest = response.headers()["x-aci-keyset-digest"].to_str().unwrap().to_owned();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let (status, served) = receipt(&world.app, &world.bearer, &id).await;
        assert_eq!(status, StatusCode::OK);
        let document = Receipt::parse(&served).unwrap();
        let report = parsed(&get(&world.app, "/v1/aci/attestation").await.2);
        verify_receipt(&document, &keyset(&report)).unwrap();
        assert_eq!(document.body.workload_keyset_digest, digest);
        assert_eq!((document.body.receipt_id.as_str(), document.body.endpoint.as_str()), (id.as_str(), path));
        assert_eq!(document.body.model.as_deref(), Some(assistant.as_str()));
        assert_eq!(kinds(&document), ["request.received", "retrieval.used", "response.returned"]);
        let log = &document.body.event_log;
        assert_eq!(log[0].members["body_hash"], json!(aci::spelled(&sha256(&request))));
        assert_eq!(log[2].members["body_hash"], json!(aci::spelled(&sha256(&body))), "framing included");
        let chunk = log[1].members["chunks"][0]["chunk_hash"].as_str().unwrap();
        assert!(chunk.starts_with("sha256:") && chunk.len() == 71);
        receipts.push((id, document));
    }
    let chat_id = receipts[0].1.body.chat_id.clone().unwrap();
    assert_eq!(receipt(&world.app, &world.bearer, &chat_id).await.0, StatusCode::OK, "the response's id finds it too");
    let (_, other) = world.colleague().await;
    let (status, body) = receipt(&world.app, &other, &receipts[0].0).await;
    assert_eq!((status, &parsed(&body)["error"]["type"]), (StatusCode::NOT_FOUND, &json!("not_found")));
    let world = world.restart().await;
    for (id, document) in &receipts {
        let (status, served) = receipt(&world.app, &world.bearer, id).await;
        assert_eq!((status, &Receipt::parse(&served).unwrap()), (StatusCode::OK, document));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn aci_constraints_are_kept_or_refused_and_refusals_have_receipts() {
    let world = World::new(Writes::Nothing).await;
    let assistant = world.assistant(Value::Null).await;
    let session = "a1".repeat(32);
    for (path, rest) in [
        ("/v1/chat/completions", json!({ "model": assistant, "messages": [{ "role": "user", "content": "Why?" }] })),
        ("/v1/embeddings", json!({ "model": "all-minilm-l6-v2-q8_0", "input": "a" })),
    ] {
        for (provider, wanted, kind) in [
            (json!({ "aci_session_ids": [session] }), StatusCode::PRECONDITION_FAILED, "session_not_accepted"),
            (json!({ "aci_session_ids": [] }), StatusCode::BAD_REQUEST, "invalid_request_error"),
            (json!({ "aci_session_ids": ["A1"] }), StatusCode::BAD_REQUEST, "invalid_request_error"),
            (
                json!({ "aci_session_ids": [session], "aci_verified": false }),
                StatusCode::BAD_REQUEST,
                "invalid_request_error",
            ),
            (json!({ "aci_verified": 1 }), StatusCode::BAD_REQUEST, "invalid_request_error"),
            (json!({ "aci_gpu": true }), StatusCode::BAD_REQUEST, "invalid_request_error"),
        ] {
            let mut request = rest.clone();
            request["provider"] = provider.clone();
            let body = request.to_string().into_bytes();
            let response = world.respond(&world.bearer, path, "application/json", body).await;
            let (parts, body) = response.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            assert_eq!((parts.status, &parsed(&body)["error"]["type"]), (wanted, &json!(kind)), "{path} {provider}");
            let (_, served) = receipt(&world.app, &world.bearer, parts.headers["x-receipt-id"].to_str().unwrap()).await;
            let document = Receipt::parse(&served).unwrap();
            assert_eq!(kinds(&document), ["request.received", "response.returned"]);
            assert_eq!(document.body.event_log[1].members["body_hash"], json!(aci::spelled(&sha256(&body))));
        }
    }
    let unauthenticated = Request::post("/v1/chat/completions").header(header::CONTENT_TYPE, "application/json");
    let (status, headers, _) = send(&world.app, unauthenticated.body(Body::from("{}")).unwrap()).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(!headers.contains_key("x-receipt-id"), "nobody's request has no receipt");
}
