//! The router as a whole: surfaces, headers, problems, evidence.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod support;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use cloister_attestation::document::Document;
use cloister_enclave::app::{AppState, Phase};
use cloister_enclave::router::router;
use http_body_util::BodyExt;
use serde_json::Value;
use support::app;
use tower::ServiceExt;

async fn call(state: &AppState, request: Request<Body>) -> (StatusCode, HeaderMap, Vec<u8>) {
    let response = router(state).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    (parts.status, parts.headers, body.collect().await.unwrap().to_bytes().to_vec())
}

async fn get(state: &AppState, path: &str) -> (StatusCode, HeaderMap, Vec<u8>) {
    call(state, Request::get(path).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn s0_13_attestation_document_is_fresh_for_a_nonce() {
    let dir = tempfile::tempdir().unwrap();
    let state = app(dir.path(), &[]).await;
    let nonce = "ab".repeat(32);
    let (status, headers, body) = get(&state, &format!("/.well-known/cloister/attestation?nonce={nonce}")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers[header::CONTENT_TYPE], "application/json");
    let document = Document::parse(&body).unwrap();
    assert_eq!(document.evidence.tee, "development");
    let report = cloister_attestation::development::Report::parse(&document.evidence.report.0).unwrap();
    report.verify().unwrap();
    assert_eq!(report.report_data, document.statement.report_data(&[0xab; 32]));
    assert_eq!(document.statement.hpke_keys[0].0, state.ehbp.keys.key_config()[3..35]);
    assert_eq!(document.statement.models[0].id, "tiny-embedder");
    assert!(document.statement.not_after > support::NOW_MS);
}

#[tokio::test]
async fn s0_13_without_a_nonce_the_document_is_cached_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let state = app(dir.path(), &[]).await;
    let (_, _, first) = get(&state, "/.well-known/cloister/attestation").await;
    let (_, _, second) = get(&state, "/.well-known/cloister/attestation").await;
    assert_eq!(first, second);
    assert_eq!(serde_json::from_slice::<Value>(&first).unwrap()["nonce"], Value::Null);
    let later = state.attestation_document(None, None, support::NOW_MS + 10_000).unwrap();
    assert_ne!(later, first, "kept for ten seconds and no longer");
}

#[tokio::test]
async fn s0_13_malformed_nonces_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let state = app(dir.path(), &[]).await;
    for nonce in ["", "ab", &"AB".repeat(32), &"zz".repeat(32), &"ab".repeat(33), &"00".repeat(32)] {
        let (status, _, body) = get(&state, &format!("/.well-known/cloister/attestation?nonce={nonce}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{nonce}");
        assert!(String::from_utf8(body).unwrap().contains("urn:cloister:problem:invalid-request"));
    }
    let (status, ..) = get(&state, "/.well-known/cloister/attestation?nonse=1").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn s0_13_minting_is_rate_limited_and_the_cached_form_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let state = app(dir.path(), &[("attestations_per_minute = 120", "attestations_per_minute = 2")]).await;
    let path = format!("/.well-known/cloister/attestation?nonce={}", "cd".repeat(32));
    for _ in 0..2 {
        assert_eq!(get(&state, &path).await.0, StatusCode::OK);
    }
    let (status, headers, _) = get(&state, &path).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert!(headers.contains_key(header::RETRY_AFTER));
    assert_eq!(get(&state, "/.well-known/cloister/attestation").await.0, StatusCode::OK);
}

#[tokio::test]
async fn s0_17_key_config_has_the_exact_media_type_and_is_readable_from_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let state = app(dir.path(), &[]).await;
    let request = Request::get("/.well-known/hpke-keys").header(header::ORIGIN, "https://elsewhere.example");
    let (status, headers, body) = call(&state, request.body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers[header::CONTENT_TYPE], "application/ohttp-keys");
    assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    assert_eq!(body.len(), 41);
}

#[tokio::test]
async fn s0_17_preflight_allows_what_ehbp_clients_send() {
    let dir = tempfile::tempdir().unwrap();
    let state = app(dir.path(), &[]).await;
    let request = Request::options("/v1/chat/completions")
        .header(header::ORIGIN, "https://elsewhere.example")
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
        .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "authorization,content-type,ehbp-encapsulated-key");
    let (status, headers, _) = call(&state, request.body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_HEADERS], "authorization,content-type,ehbp-encapsulated-key");
    assert!(headers[header::ACCESS_CONTROL_EXPOSE_HEADERS].to_str().unwrap().contains("Ehbp-Response-Nonce"));
    assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS));
}

#[tokio::test]
async fn ready_only_between_start_and_stop() {
    let dir = tempfile::tempdir().unwrap();
    let state = app(dir.path(), &[]).await;
    assert_eq!(get(&state, "/healthz").await.0, StatusCode::OK);
    assert_eq!(get(&state, "/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
    state.enter(Phase::Ready);
    assert_eq!(get(&state, "/readyz").await.0, StatusCode::OK);
    state.enter(Phase::Draining);
    assert_eq!(get(&state, "/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn unknown_paths_are_problems_with_the_request_id_and_openai_errors_under_v1() {
    let dir = tempfile::tempdir().unwrap();
    let state = app(dir.path(), &[]).await;
    for path in ["/nothing", "/api/v1/nothing", "/../etc/passwd", "/assets/nothing.js"] {
        let (status, headers, body) = get(&state, path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
        let problem: Value = serde_json::from_slice(&body).unwrap();
        let instance = format!("urn:uuid:{}", headers["x-request-id"].to_str().unwrap());
        assert_eq!(problem["instance"], Value::from(instance));
    }
    let (status, headers, body) = get(&state, "/v1/nothing").await;
    assert_eq!((status, &headers[header::CONTENT_TYPE]), (StatusCode::NOT_FOUND, &"application/json".parse().unwrap()));
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["error"]["code"], "not-found");
}

#[tokio::test]
async fn bodies_over_the_limit_are_refused_before_they_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let state = app(dir.path(), &[]).await;
    let request = Request::post("/api/v1/nothing").header(header::CONTENT_LENGTH, "99999999999");
    let (status, ..) = call(&state, request.body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn one_credential_is_limited_and_another_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let state = app(dir.path(), &[("request_burst = 100", "request_burst = 2")]).await;
    let ask = |token: &str| {
        let request = Request::post("/v1/nothing").header(header::AUTHORIZATION, format!("Bearer {token}"));
        request.body(Body::empty()).unwrap()
    };
    for _ in 0..2 {
        assert_eq!(call(&state, ask("one")).await.0, StatusCode::NOT_FOUND);
    }
    let (status, headers, body) = call(&state, ask("one")).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert!(headers.contains_key(header::RETRY_AFTER));
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["error"]["type"], "rate_limit_error");
    assert_eq!(call(&state, ask("two")).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn s2_21_page_is_served_from_memory_with_strict_headers() {
    let dir = tempfile::tempdir().unwrap();
    let web = dir.path().join("web");
    std::fs::create_dir_all(web.join("assets")).unwrap();
    std::fs::write(web.join("index.html"), "<!doctype html>").unwrap();
    std::fs::write(web.join("assets/app-0a1b2c.js"), "export {}").unwrap();
    let state = app(dir.path(), &[]).await;
    std::fs::remove_dir_all(&web).unwrap();
    let (status, headers, _) = get(&state, "/").await;
    assert_eq!(status, StatusCode::OK);
    let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    for directive in
        ["default-src 'none'", "'wasm-unsafe-eval'", "require-trusted-types-for 'script'", "frame-ancestors 'none'"]
    {
        assert!(policy.contains(directive), "{directive}");
    }
    assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(headers["cross-origin-opener-policy"], "same-origin");
    assert_eq!(headers[header::CACHE_CONTROL], "no-cache");
    let (_, headers, _) = get(&state, "/assets/app-0a1b2c.js").await;
    assert!(headers[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
    assert_eq!(headers[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
}

#[tokio::test]
async fn an_empty_folder_says_how_to_build_the_page() {
    let dir = tempfile::tempdir().unwrap();
    let (status, _, body) = get(&app(dir.path(), &[]).await, "/").await;
    assert_eq!(status, StatusCode::OK);
    assert!(String::from_utf8(body).unwrap().contains("npm run build"));
}
