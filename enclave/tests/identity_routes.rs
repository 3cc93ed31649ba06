//! People over HTTP: the whole way through signature check, EHBP and routes, and what somebody in the middle can do.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "enrolled/signed.rs"]
mod signed;
mod support;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloister_enclave::app::AppState;
use cloister_enclave::identity::opaque::Suite;
use cloister_enclave::identity::signature::RequestKey;
use cloister_enclave::keys::secret::Secret;
use cloister_enclave::router::router;
use http_body_util::BodyExt;
use opaque_ke::{
    ClientLogin, ClientLoginFinishParameters, ClientRegistration, ClientRegistrationFinishParameters,
    CredentialResponse, RegistrationResponse,
};
use rand_core::OsRng;
use serde_json::{Value, json};
use signed::{Parts, Signer};
use support::{EhbpClient, NOW_MS, app};
use tower::ServiceExt;

const PASSWORD: &[u8] = b"correct horse battery staple";
const AUTH: &str = "/api/v1/auth/opaque";

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// Sends bytes as they are: what anybody on the way can do.
async fn deliver(app: &AppState, parts: &Parts) -> Answer {
    let mut request = Request::builder().method(parts.method).uri(&parts.uri);
    for (name, value) in &parts.headers {
        request = request.header(*name, value);
    }
    let response = router(app).oneshot(request.body(Body::from(parts.body.clone())).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    Answer { status: head.status, headers: head.headers, body: body.collect().await.unwrap().to_bytes().to_vec() }
}

impl Answer {
    fn open(&self, client: &EhbpClient) -> Value {
        let Some(nonce) = self.headers.get("ehbp-response-nonce") else {
            return serde_json::from_slice(&self.body).unwrap_or(Value::Null);
        };
        let plaintext = client.open(nonce.to_str().unwrap(), &self.body).concat();
        serde_json::from_slice(&plaintext).unwrap_or(Value::Null)
    }
}

/// Somebody who is logged in, with a count for nonces.
struct Person {
    session: String,
    key: RequestKey,
    nonces: std::cell::Cell<u32>,
    /// The enclave's key.
    hpke: [u8; 32],
    who: Value,
}

impl Person {
    /// A sealed and signed request, as it goes over the wire.
    fn sealed(&self, uri: &str, body: &Value) -> (Parts, EhbpClient) {
        let mut client = EhbpClient::new(&self.hpke);
        let frame = client.frame(body.to_string().as_bytes());
        self.nonces.set(self.nonces.get() + 1);
        let nonce = format!("nonce-{:016}", self.nonces.get());
        let signer = Signer { key: &self.key, session: &self.session, created_s: NOW_MS / 1000, nonce };
        let parts = signer.post_sealed(uri, &frame, &client.header());
        (parts.header("content-type", "application/json"), client)
    }

    async fn call(&self, app: &AppState, uri: &str, body: Value) -> (StatusCode, Value) {
        let (parts, client) = self.sealed(uri, &body);
        let answer = deliver(app, &parts).await;
        (answer.status, answer.open(&client))
    }
}

/// A sealed request without credentials.
async fn sealed(app: &AppState, uri: &str, body: Value) -> (StatusCode, Value) {
    let mut client = EhbpClient::new(app.ehbp.keys.public());
    let headers = vec![("ehbp-encapsulated-key", client.header()), ("content-type", "application/json".to_owned())];
    let parts = Parts { method: "POST", uri: uri.to_owned(), body: client.frame(body.to_string().as_bytes()), headers };
    let answer = deliver(app, &parts).await;
    (answer.status, answer.open(&client))
}

fn plain(method: &'static str, uri: &str, body: &Value) -> Parts {
    let headers = vec![("content-type", "application/json".to_owned())];
    Parts { method, uri: uri.to_owned(), body: body.to_string().into_bytes(), headers }
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(value: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(value.as_str().unwrap()).unwrap()
}

async fn register(app: &AppState, code: &str, login: &str) -> Value {
    let started = ClientRegistration::<Suite>::start(&mut OsRng, PASSWORD).unwrap();
    let request = encode(&started.message.serialize());
    let start = json!({ "enrolment_code": code, "login": login, "registration_request": request });
    let (status, answer) = sealed(app, &format!("{AUTH}/register/start"), start).await;
    assert_eq!(status, StatusCode::OK);
    let response = RegistrationResponse::deserialize(&decode(&answer["registration_response"])).unwrap();
    let parameters = ClientRegistrationFinishParameters::default();
    let finished = started.state.finish(&mut OsRng, PASSWORD, response, parameters).unwrap();
    assert_eq!(decode(&answer["server_public_key"]), finished.server_s_pk.serialize().as_slice());
    let record = encode(&finished.message.serialize());
    let finish =
        json!({ "enrolment_code": code, "login": login, "registration_record": record, "ksf": "memory-constrained" });
    let (status, registered) = sealed(app, &format!("{AUTH}/register/finish"), finish).await;
    assert_eq!(status, StatusCode::OK);
    registered
}

async fn login(app: &AppState, paths: (&str, &str), login: &str) -> Person {
    let started = ClientLogin::<Suite>::start(&mut OsRng, PASSWORD).unwrap();
    let start = json!({ "login": login, "start_login_request": encode(&started.message.serialize()) });
    let (status, answer) = sealed(app, paths.0, start).await;
    assert_eq!(status, StatusCode::OK);
    let response = CredentialResponse::deserialize(&decode(&answer["login_response"])).unwrap();
    let parameters = ClientLoginFinishParameters::default();
    let finished = started.state.finish(&mut OsRng, PASSWORD, response, parameters).unwrap();
    let finish =
        json!({ "login_id": answer["login_id"], "finish_login_request": encode(&finished.message.serialize()) });
    let (status, who) = sealed(app, paths.1, finish).await;
    assert_eq!(status, StatusCode::OK);
    let session = who["session"].as_str().or_else(|| who["token"].as_str()).unwrap().to_owned();
    let key = RequestKey::derive(&Secret::from_slice(&finished.session_key).unwrap());
    Person { session, key, nonces: 0.into(), hpke: *app.ehbp.keys.public(), who }
}

const LOGIN: (&str, &str) = ("/api/v1/auth/opaque/login/start", "/api/v1/auth/opaque/login/finish");

async fn owner(app: &AppState) -> Person {
    let code = app.identity.first_owner_code().await.unwrap().unwrap().code;
    register(app, &code, "ada").await;
    login(app, LOGIN, "ada").await
}

#[tokio::test]
async fn s1_05_enrol_log_in_and_ask_who_i_am() {
    let dir = tempfile::tempdir().unwrap();
    let app = app(dir.path(), &[]).await;
    let ada = owner(&app).await;
    let (status, me) = ada.call(&app, "/api/v1/me", json!({})).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        (&me["login"], &me["role"], &me["org_name"]),
        (&json!("ada"), &json!("owner"), &json!("My organisation"))
    );
    assert_eq!(me["workspaces"][0]["name"], "General");
    assert!(me["permissions"].as_array().unwrap().contains(&json!("createEnrolment")));
}

#[tokio::test]
async fn s0_05_invited_people_have_their_role_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let app = app(dir.path(), &[]).await;
    let ada = owner(&app).await;
    let (_, enrolment) = ada.call(&app, "/api/v1/enrolments", json!({ "role": "auditor" })).await;
    register(&app, enrolment["code"].as_str().unwrap(), "eve").await;
    let eve = login(&app, LOGIN, "eve").await;
    assert_eq!(eve.who["role"], "auditor");
    let (status, _) = eve.call(&app, "/api/v1/workspaces/list", json!({})).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (_, me) = eve.call(&app, "/api/v1/me", json!({})).await;
    assert_eq!(me["workspaces"], json!([]));
    let (status, _) = eve.call(&app, "/api/v1/enrolments", json!({ "role": "owner" })).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn assistants_are_made_listed_and_found() {
    let dir = tempfile::tempdir().unwrap();
    let app = app(dir.path(), &[]).await;
    let ada = owner(&app).await;
    let (_, workspace) = ada.call(&app, "/api/v1/workspaces", json!({ "name": "Research" })).await;
    let base = format!("/api/v1/workspaces/{}/assistants", workspace["id"].as_str().unwrap());
    let request = json!({ "name": "Clerk", "purpose": "Answers.", "document_ids": null });
    let (status, made) = ada.call(&app, &base, request.clone()).await;
    assert_eq!(status, StatusCode::OK);
    let (_, list) = ada.call(&app, &format!("{base}/list"), json!({})).await;
    assert_eq!(list["items"], json!([made]));
    let (_, got) = ada.call(&app, &format!("{base}/{}/get", made["id"].as_str().unwrap()), json!({})).await;
    assert_eq!(got, made);
    let unknown = "/api/v1/workspaces/ws_00000000000000000000000001/assistants";
    for path in [unknown, "/api/v1/workspaces/ws_1/assistants", "/api/v1/workspaces/%00/assistants"] {
        let (status, problem) = ada.call(&app, path, request.clone()).await;
        assert_eq!((status, &problem["type"]), (StatusCode::NOT_FOUND, &json!("urn:cloister:problem:not-found")));
    }
    let (status, _) = ada.call(&app, &base, json!({ "name": "", "purpose": "", "document_ids": null })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, _) = ada.call(&app, &base, json!({ "name": "A", "purpose": "", "document_ids": null, "x": 1 })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "unknown fields are refused");
}

#[tokio::test]
async fn s2_01_s2_03_the_older_spellings_answer_in_their_older_shape() {
    let dir = tempfile::tempdir().unwrap();
    let app = app(dir.path(), &[]).await;
    owner(&app).await;
    let ada = login(&app, ("/dashboard/login/start", "/dashboard/login/finish"), "ada").await;
    let mut fields: Vec<_> = ada.who.as_object().unwrap().keys().cloned().collect();
    fields.sort_unstable();
    assert_eq!(fields, ["org_id", "org_name", "role", "token"]);
    let (status, verified) = ada.call(&app, "/dashboard/verify", json!({})).await;
    assert_eq!((status, &verified["valid"]), (StatusCode::OK, &json!(true)));
    let (status, _) = ada.call(&app, "/dashboard/logout", json!({})).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, _) = ada.call(&app, "/dashboard/verify", json!({})).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn s2_02_a_logout_clears_the_site_s_data_and_ends_the_session() {
    let dir = tempfile::tempdir().unwrap();
    let app = app(dir.path(), &[]).await;
    let ada = owner(&app).await;
    let (parts, _) = ada.sealed("/api/v1/logout", &json!({}));
    let answer = deliver(&app, &parts).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(answer.headers["clear-site-data"], "\"cache\", \"cookies\", \"storage\"");
    let (status, _) = ada.call(&app, "/api/v1/me", json!({})).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn s1_10_api_keys_open_their_routes_with_and_without_ehbp() {
    let dir = tempfile::tempdir().unwrap();
    let app = app(dir.path(), &[]).await;
    let ada = owner(&app).await;
    let (_, list) = ada.call(&app, "/api/v1/workspaces/list", json!({})).await;
    let workspace = list["items"][0]["id"].as_str().unwrap();
    let request = json!({ "name": "nightly", "workspace_id": workspace });
    let (status, made) = ada.call(&app, "/api/v1/api-keys", request).await;
    assert_eq!(status, StatusCode::OK);
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("clk_") && secret.len() == 47);
    let bearer = format!("Bearer {secret}");
    let uri = format!("/api/v1/workspaces/{workspace}/assistants/list");
    let parts = plain("POST", &uri, &json!({})).header("authorization", bearer.clone());
    assert_eq!(deliver(&app, &parts).await.status, StatusCode::OK);
    let verify = plain("GET", "/dashboard/verify", &Value::Null).header("authorization", bearer.clone());
    assert_eq!(deliver(&app, &verify).await.status, StatusCode::OK);
    let account = plain("POST", "/api/v1/me", &json!({})).header("authorization", bearer.clone());
    assert_eq!(deliver(&app, &account).await.status, StatusCode::FORBIDDEN, "a program has no account");

    let mut client = EhbpClient::new(app.ehbp.keys.public());
    let mut sealed = Parts { body: client.frame(b"{}"), ..parts.clone() };
    sealed.headers.push(("ehbp-encapsulated-key", client.header()));
    let answer = deliver(&app, &sealed).await;
    assert_eq!((answer.status, answer.open(&client)["items"].clone()), (StatusCode::OK, json!([])));

    let (_, keys) = ada.call(&app, "/api/v1/api-keys/list", json!({})).await;
    assert_eq!(keys["items"][0]["name"], "nightly");
    assert!(keys["items"][0].get("secret").is_none());
    let revoke = format!("/api/v1/api-keys/{}/revoke", made["id"].as_str().unwrap());
    assert_eq!(ada.call(&app, &revoke, json!({})).await.0, StatusCode::OK);
    assert_eq!(deliver(&app, &parts).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(ada.call(&app, &revoke, json!({})).await.0, StatusCode::NOT_FOUND);
}

/// Every route of this part that needs credentials.
const PRIVATE: [&str; 12] = [
    "/api/v1/me",
    "/api/v1/logout",
    "/api/v1/enrolments",
    "/api/v1/api-keys",
    "/api/v1/api-keys/list",
    "/api/v1/api-keys/key_00000000000000000000000001/revoke",
    "/api/v1/workspaces",
    "/api/v1/workspaces/list",
    "/api/v1/workspaces/ws_00000000000000000000000001/assistants",
    "/api/v1/workspaces/ws_00000000000000000000000001/assistants/list",
    "/api/v1/workspaces/ws_00000000000000000000000001/assistants/ast_00000000000000000000000001/get",
    "/dashboard/logout",
];

#[tokio::test]
async fn s2_07_every_private_route_wants_credentials() {
    let dir = tempfile::tempdir().unwrap();
    let app = app(dir.path(), &[]).await;
    let ada = owner(&app).await;
    for uri in PRIVATE {
        assert_eq!(sealed(&app, uri, json!({})).await.0, StatusCode::UNAUTHORIZED, "{uri}");
        for authorization in ["Bearer", "Bearer x", "bearer clk_", "é", "Basic YTpi"] {
            let parts = plain("POST", uri, &json!({})).header("authorization", authorization);
            assert_eq!(deliver(&app, &parts).await.status, StatusCode::UNAUTHORIZED, "{uri} {authorization}");
        }
        let named = plain("POST", uri, &json!({})).header("authorization", format!("Bearer {}", ada.session));
        assert_eq!(deliver(&app, &named).await.status, StatusCode::UNAUTHORIZED, "the session's name alone");
    }
}

#[tokio::test]
async fn a_session_s_requests_must_be_encrypted() {
    let dir = tempfile::tempdir().unwrap();
    let app = app(dir.path(), &[]).await;
    let ada = owner(&app).await;
    let signer = Signer { key: &ada.key, session: &ada.session, created_s: NOW_MS / 1000, nonce: "n".repeat(22) };
    // The header says that the body is encrypted, and the signature is right, but it is not.
    let parts = signer.post("/api/v1/me", b"{}").header("content-type", "application/json");
    assert_eq!(deliver(&app, &parts).await.status, StatusCode::BAD_REQUEST);
    let parts = parts.without("ehbp-encapsulated-key");
    assert_eq!(deliver(&app, &parts).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn registration_in_plaintext_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let app = app(dir.path(), &[]).await;
    let code = app.identity.first_owner_code().await.unwrap().unwrap().code;
    let start = json!({ "enrolment_code": code, "login": "ada", "registration_request": encode(&[1; 32]) });
    let answer = deliver(&app, &plain("POST", &format!("{AUTH}/register/start"), &start)).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(String::from_utf8(answer.body).unwrap().contains("encrypted"));
}

#[tokio::test]
async fn bad_bodies_are_problems() {
    let dir = tempfile::tempdir().unwrap();
    let app = app(dir.path(), &[]).await;
    let ada = owner(&app).await;
    for path in ["register/start", "register/finish", "login/params", "login/start", "login/finish"] {
        for body in [json!(null), json!([]), json!({}), json!("x"), json!({ "login": 1 }), json!({ "unknown": {} })] {
            let (status, problem) = sealed(&app, &format!("{AUTH}/{path}"), body).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
            assert_eq!(problem["type"], "urn:cloister:problem:invalid-request");
        }
    }
    let (status, _) = ada.call(&app, "/api/v1/me", json!({ "x": 1 })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (parts, client) = ada.sealed("/api/v1/me", &json!({}));
    let answer = deliver(&app, &parts.without("content-type")).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.open(&client)["detail"], "content-type");
}

/// A relay that terminates TLS with a certificate of its own sees exactly what [`deliver`] gets and returns.
#[tokio::test]
async fn whoever_sees_every_byte_gains_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let app = app(dir.path(), &[]).await;
    let ada = owner(&app).await;
    let secret_name = "Project Halcyon";
    let (recorded, client) = ada.sealed("/api/v1/workspaces", &json!({ "name": secret_name }));
    let answer = deliver(&app, &recorded).await;
    assert_eq!((answer.status, &answer.open(&client)["name"]), (StatusCode::OK, &json!(secret_name)));

    // What was seen holds neither question nor answer.
    let seen = [recorded.body.clone(), answer.body.clone(), format!("{:?}", answer.headers).into_bytes()].concat();
    for plaintext in [secret_name.as_bytes(), b"created_ms", b"ada"] {
        assert!(!seen.windows(plaintext.len()).any(|window| window == plaintext));
    }
    // It cannot be sent again,
    assert_eq!(deliver(&app, &recorded).await.status, StatusCode::CONFLICT);
    // not to another route, not with another body, not under another method or name,
    let (fresh, _) = ada.sealed("/api/v1/workspaces/list", &json!({}));
    let altered = [
        Parts { uri: "/api/v1/logout".into(), ..fresh.clone() },
        Parts { uri: "/api/v1/workspaces/list?x=1".into(), ..fresh.clone() },
        Parts { method: "PUT", ..fresh.clone() },
        Parts { body: recorded.body.clone(), ..fresh.clone() },
        Parts { body: Vec::new(), ..fresh.clone() },
        fresh.clone().header("ehbp-encapsulated-key", EhbpClient::new(app.ehbp.keys.public()).header()),
    ];
    for parts in altered {
        let status = deliver(&app, &parts).await.status;
        assert!(matches!(status, StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND), "{status} {}", parts.uri);
    }
    // not wrapped around a body of the relay's own, for it has no key to sign it with,
    let mut own = EhbpClient::new(app.ehbp.keys.public());
    let body = own.frame(br#"{"role":"owner"}"#);
    let forged = Signer {
        key: &RequestKey::from_secret(Secret::new([0; 32])),
        session: &ada.session,
        created_s: NOW_MS / 1000,
        nonce: "f".repeat(22),
    };
    let forged = forged.post_sealed("/api/v1/enrolments", &body, &own.header());
    assert_eq!(deliver(&app, &forged).await.status, StatusCode::UNAUTHORIZED);
    // and an answer under the relay's own HPKE context is not for it: the body must be authentic first.
    let stolen = recorded.clone().without("signature").without("signature-input").without("content-digest");
    let status = deliver(&app, &stolen).await.status;
    assert!(matches!(status, StatusCode::CONFLICT | StatusCode::UNAUTHORIZED), "{status}");
    // The person goes on undisturbed.
    assert_eq!(ada.call(&app, "/api/v1/me", json!({})).await.0, StatusCode::OK);
}
