//! The oldest login: off by default, and when it is on, no way around what other logins have to prove.

use cloister_protocol::api::Empty;
use cloister_tests::appliance::{Appliance, Options};
use cloister_tests::client::{Channel, Reply};
use cloister_tests::scenario::{self, OWNER, PASSWORD};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};

fn start(dir: &std::path::Path, allowed: bool) -> Appliance {
    let mut options = Options::for_checkout(dir.into()).expect("built");
    options.settings.push((["identity", "legacy_login"], allowed.into()));
    Appliance::start(options).expect("starts")
}

async fn post(channel: &Channel, path: &str, token: Option<&str>, body: &Value) -> Reply {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    if let Some(token) = token {
        headers.insert("authorization", format!("Bearer {token}").parse().expect("a header"));
    }
    channel.plain(Method::POST, path, &headers, body.to_string().into()).await.expect("an answer")
}

async fn answer(mut reply: Reply) -> (u16, Value) {
    let body = reply.bytes().await.expect("a body");
    (reply.status, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_01_a_password_in_one_message_opens_a_bearer_session_where_allowed() {
    let dir = tempfile::tempdir().expect("a folder");
    let appliance = start(dir.path(), true);
    let session = scenario::enrol_owner(&appliance).await.expect("enrols");
    let channel = session.channel();

    let (status, body) =
        answer(post(channel, "/login", None, &json!({ "user": OWNER, "password": PASSWORD })).await).await;
    assert_eq!(status, 200);
    let token = body.get("token").and_then(Value::as_str).expect("a token").to_owned();
    let (status, me) = answer(post(channel, "/api/v1/me", Some(&token), &json!({})).await).await;
    assert_eq!((status, me.get("login").and_then(Value::as_str)), (200, Some(OWNER)));

    for wrong in [json!({ "user": OWNER, "password": "wrong" }), json!({ "user": "nobody", "password": PASSWORD })] {
        let refused = answer(post(channel, "/login", None, &wrong).await).await;
        assert_eq!(refused, (401, json!({ "error": "invalid login" })));
    }
    let (status, _) = answer(post(channel, "/login", None, &json!({ "user": 1 })).await).await;
    assert_eq!(status, 400);

    // The name of a session that was begun properly is no bearer token.
    let (status, _) = answer(post(channel, "/api/v1/me", Some(&session.who.session), &json!({})).await).await;
    assert_eq!(status, 401);

    let (status, _) = answer(post(channel, "/api/v1/logout", Some(&token), &json!(Empty {})).await).await;
    assert_eq!(status, 204);
    let (status, _) = answer(post(channel, "/api/v1/me", Some(&token), &json!({})).await).await;
    assert_eq!(status, 401, "a token ends with its session");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_01_the_oldest_login_is_as_if_absent_by_default() {
    let dir = tempfile::tempdir().expect("a folder");
    let appliance = start(dir.path(), false);
    let session = scenario::enrol_owner(&appliance).await.expect("enrols");
    let body = json!({ "user": OWNER, "password": PASSWORD });
    let (status, _) = answer(post(session.channel(), "/login", None, &body).await).await;
    assert_eq!(status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_04_no_malformed_authorization_is_more_than_unauthenticated() {
    let dir = tempfile::tempdir().expect("a folder");
    let appliance = start(dir.path(), true);
    let channel = scenario::channel(&appliance).await.expect("verifies");
    for token in ["", "x", "clk_", "clk_x", &"A".repeat(43), &format!("clk_{}", "A".repeat(43)), &"A".repeat(4_000)] {
        let (status, _) = answer(post(&channel, "/api/v1/me", Some(token), &json!({})).await).await;
        assert_eq!(status, 401, "{} characters", token.len());
    }
}
