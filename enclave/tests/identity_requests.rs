//! Sessions, signed requests and API keys as a request meets them.

#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

mod enrolled;

use axum::http::{HeaderMap, HeaderValue, Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloister_enclave::access::{Action, Target};
use cloister_enclave::identity::Error;
use cloister_enclave::identity::signature::{Claim, RequestKey, verify};
use cloister_protocol::api::{CreateApiKey, Registered, Role};
use cloister_protocol::ids::WorkspaceId;
use enrolled::layer::send;
use enrolled::signed::{ENC, Parts, Signer};
use enrolled::{MINUTE_MS, PASSWORD, START_MS, World};
use proptest::prelude::*;

const URI: &str = "/api/v1/me";

/// An owner who is logged in.
struct LoggedInOwner {
    world: World,
    owner: Registered,
    session: String,
    key: RequestKey,
}

impl LoggedInOwner {
    async fn new() -> Self {
        let world = World::new();
        let owner = world.owner("ada").await;
        let (who, key) = world.login("ada", PASSWORD).await.expect("logged in");
        Self { world, owner, session: who.session, key }
    }

    fn signer(&self, nonce: u32) -> Signer<'_> {
        let created_s = cloister_enclave::clock::Clock::now_ms(&self.world.clock) / 1000;
        Signer { key: &self.key, session: &self.session, created_s, nonce: format!("nonce-{nonce:016}") }
    }

    async fn status(&self, parts: &Parts) -> StatusCode {
        send(&self.world, parts).await.0
    }

    /// Its first workspace.
    fn workspace(&self) -> WorkspaceId {
        let list = self.world.authorize(&self.owner, Action::ListWorkspaces, Target::Organisation);
        self.world.identity.tenancy().workspaces(&list).expect("readable")[0].id
    }
}

#[tokio::test]
async fn a_signed_request_is_its_person_s() {
    let me = LoggedInOwner::new().await;
    let (status, body) = send(&me.world, &me.signer(1).post(URI, b"sealed")).await;
    assert_eq!((status, body), (StatusCode::OK, format!("{} 6", me.owner.person_id)));
    let (status, _) = send(&me.world, &me.signer(2).post("/api/v1/me?a=b&c=%20", b"sealed")).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn a_signed_request_is_accepted_once() {
    let me = LoggedInOwner::new().await;
    let parts = me.signer(1).post(URI, b"sealed");
    assert_eq!(me.status(&parts).await, StatusCode::OK);
    assert_eq!(me.status(&parts).await, StatusCode::CONFLICT);
    me.world.clock.advance_ms(4 * MINUTE_MS);
    assert_eq!(me.status(&parts).await, StatusCode::CONFLICT);
    me.world.clock.advance_ms(2 * MINUTE_MS);
    assert_eq!(me.status(&parts).await, StatusCode::UNAUTHORIZED, "too old by then");
    // The same nonce in another session is another request.
    let (who, key) = me.world.login("ada", PASSWORD).await.expect("logged in");
    let other = Signer { key: &key, session: &who.session, ..me.signer(1) };
    assert_eq!(me.status(&other.post(URI, b"sealed")).await, StatusCode::OK);
}

#[tokio::test]
async fn of_two_copies_at_once_exactly_one_is_accepted() {
    let me = LoggedInOwner::new().await;
    let parts = me.signer(1).post(URI, b"sealed");
    let (one, other) = tokio::join!(me.status(&parts), me.status(&parts));
    let mut both = [one, other];
    both.sort_unstable();
    assert_eq!(both, [StatusCode::OK, StatusCode::CONFLICT]);
}

#[tokio::test]
async fn every_covered_part_is_covered() {
    let me = LoggedInOwner::new().await;
    let good = me.signer(1).post("/api/v1/me?a=b", b"sealed");
    let changed = [
        ("method", Parts { method: "PUT", ..good.clone() }),
        ("path", Parts { uri: "/api/v1/logout?a=b".into(), ..good.clone() }),
        ("path, trailing slash", Parts { uri: "/api/v1/me/?a=b".into(), ..good.clone() }),
        ("path, percent-encoded", Parts { uri: "/api/v1/m%65?a=b".into(), ..good.clone() }),
        ("query", Parts { uri: "/api/v1/me?a=c".into(), ..good.clone() }),
        ("no query", Parts { uri: "/api/v1/me".into(), ..good.clone() }),
        ("body", Parts { body: b"sealeD".to_vec(), ..good.clone() }),
        ("body cut", Parts { body: b"seale".to_vec(), ..good.clone() }),
        ("no body", Parts { body: Vec::new(), ..good.clone() }),
        (
            "digest and body",
            Parts { body: b"other".to_vec(), ..good.clone() }.header("content-digest", digest(b"other")),
        ),
        ("ehbp key", good.clone().header("ehbp-encapsulated-key", ENC.replace('4', "5"))),
        ("created", resigned(&good, "created=1790000000", "created=1790000001")),
        ("nonce", resigned(&good, "nonce-0", "nonce-1")),
        ("algorithm", resigned(&good, "hmac-sha256", "hmac-sha512")),
        ("tag", resigned(&good, "request/v1", "request/v2")),
        ("fewer components", resigned(&good, " \"@query\"", "")),
        ("signature", good.clone().header("signature", format!("cloister=:{}:", STANDARD.encode([0; 32])))),
    ];
    for (what, parts) in changed {
        assert_eq!(me.status(&parts).await, StatusCode::UNAUTHORIZED, "{what}");
    }
    assert_eq!(me.status(&good).await, StatusCode::OK, "a refused copy does not use the request up");
}

#[tokio::test]
async fn headers_of_any_other_form_are_refused() {
    let me = LoggedInOwner::new().await;
    let good = me.signer(1).post(URI, b"sealed");
    let input = good.headers[2].1.clone();
    let doubled = |name: &'static str| {
        let mut parts = good.clone();
        let value = parts.headers.iter().find(|(n, _)| *n == name).expect("there").1.clone();
        parts.headers.push((name, value));
        parts
    };
    let bad = [
        good.clone().without("signature"),
        good.clone().without("signature-input"),
        good.clone().without("content-digest"),
        good.clone().without("ehbp-encapsulated-key"),
        doubled("signature"),
        doubled("signature-input"),
        doubled("content-digest"),
        doubled("ehbp-encapsulated-key"),
        good.clone().header("signature-input", input.replace("cloister=", "other=")),
        good.clone().header("signature-input", format!("{input}, other=(\"@method\")")),
        good.clone().header("signature-input", format!("{input};expires=1")),
        good.clone().header("signature-input", format!("{input};nonce=\"0123456789012345678901\"")),
        good.clone().header("signature-input", input.replace("created=", "created=-")),
        good.clone().header("signature-input", input.replace("created=", "created=0")),
        good.clone().header("signature-input", input.replace(";created", "; created")),
        good.clone().header("signature-input", input.replace("keyid=\"", "keyid=\"A")),
        good.clone().header("signature", "cloister=:AA==:"),
        good.clone().header("signature", "cloister"),
        good.clone().header("content-digest", digest(b"sealed").replace("sha-256", "sha-512")),
        good.clone().header("content-digest", format!("{}, sha-512=:AA==:", digest(b"sealed"))),
        good.clone().header("authorization", "Bearer clk_x"),
    ];
    for (number, parts) in bad.iter().enumerate() {
        assert_eq!(me.status(parts).await, StatusCode::UNAUTHORIZED, "number {number}");
    }
}

#[tokio::test]
async fn the_session_s_name_alone_opens_nothing() {
    let me = LoggedInOwner::new().await;
    let bare = |value: String| Parts {
        method: "POST",
        uri: URI.into(),
        body: Vec::new(),
        headers: vec![("authorization", value)],
    };
    assert_eq!(me.status(&bare(format!("Bearer {}", me.session))).await, StatusCode::UNAUTHORIZED);
    assert_eq!(me.status(&bare(format!("Bearer clk_{}", me.session))).await, StatusCode::UNAUTHORIZED);
    let (_, other_key) = me.world.login("ada", PASSWORD).await.expect("logged in");
    let forged = Signer { key: &other_key, ..me.signer(1) };
    assert_eq!(me.status(&forged.post(URI, b"sealed")).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn requests_of_another_time_are_refused() {
    let me = LoggedInOwner::new().await;
    me.world.clock.advance_ms(10 * MINUTE_MS);
    let now_s = me.signer(0).created_s;
    let cases = [(now_s - 301, false), (now_s - 300, true), (now_s + 300, true), (now_s + 301, false), (0, false)];
    for (number, (created_s, accepted)) in cases.into_iter().enumerate() {
        let parts = Signer { created_s, ..me.signer(number.try_into().expect("small")) }.post(URI, b"");
        assert_eq!(me.status(&parts).await.is_success(), accepted, "{created_s}");
    }
}

#[tokio::test]
async fn s2_04_sessions_survive_a_restart_and_old_requests_do_not() {
    let mut me = LoggedInOwner::new().await;
    let old = me.signer(1).post(URI, b"sealed");
    assert_eq!(me.status(&old).await, StatusCode::OK);
    me.world.clock.advance_ms(1000);
    me.world = me.world.restart().await;
    assert_eq!(me.status(&old).await, StatusCode::UNAUTHORIZED, "its nonce is forgotten, so its time must do");
    assert_eq!(me.status(&me.signer(2).post(URI, b"sealed")).await, StatusCode::OK);
}

#[tokio::test]
async fn s1_08_sessions_end_when_idle_and_at_their_absolute_end() {
    let me = LoggedInOwner::new().await;
    for minute in 1..=3 {
        me.world.clock.advance_ms(29 * MINUTE_MS);
        assert_eq!(me.status(&me.signer(minute).post(URI, b"")).await, StatusCode::OK, "used in time");
    }
    me.world.clock.advance_ms(30 * MINUTE_MS);
    assert_eq!(me.status(&me.signer(9).post(URI, b"")).await, StatusCode::UNAUTHORIZED, "idle");

    let me = LoggedInOwner::new().await;
    for half_hour in 1..=49 {
        me.world.clock.advance_ms(29 * MINUTE_MS);
        assert_eq!(me.status(&me.signer(half_hour).post(URI, b"")).await, StatusCode::OK, "{half_hour}");
    }
    me.world.clock.advance_ms(24 * 60 * MINUTE_MS - 49 * 29 * MINUTE_MS - 1);
    me.world.identity.sweep().await.expect("tidied up");
    assert_eq!(me.status(&me.signer(100).post(URI, b"")).await, StatusCode::OK, "the last millisecond");
    me.world.clock.advance_ms(1);
    assert_eq!(me.status(&me.signer(200).post(URI, b"")).await, StatusCode::UNAUTHORIZED, "a day has passed");
}

#[tokio::test]
async fn s2_02_a_logout_ends_the_session_and_no_other() {
    let me = LoggedInOwner::new().await;
    let (other, other_key) = me.world.login("ada", PASSWORD).await.expect("logged in");
    let caller = me.world.caller(cloister_enclave::identity::Authenticated {
        person: me.owner.person_id,
        org: me.owner.org_id,
        credential: cloister_enclave::identity::Credential::Session(digest_of(&me.session)),
    });
    let authorized = caller.authorize(Action::EndSession, Target::Own).expect("permitted");
    me.world.identity.end_session(&authorized).await.expect("ended");
    assert_eq!(me.status(&me.signer(1).post(URI, b"")).await, StatusCode::UNAUTHORIZED);
    let other = Signer { key: &other_key, session: &other.session, ..me.signer(1) };
    assert_eq!(me.status(&other.post(URI, b"")).await, StatusCode::OK);
}

#[tokio::test]
async fn s0_04_malformed_authorization_headers_are_unauthenticated() {
    let me = LoggedInOwner::new().await;
    let secret = "clk_".to_owned() + &"A".repeat(43);
    let values = [
        String::new(),
        "Bearer".into(),
        "Bearer ".into(),
        "Bearer  ".into(),
        "Basic YTpi".into(),
        secret.clone(),
        format!("Bearer {secret}"),
        format!("Bearer  {secret}"),
        format!("Bearer {secret} x"),
        format!("Bearer clk_{}", "A".repeat(42)),
        format!("Bearer clk_{}", "A".repeat(5000)),
        "Bearer clk_é".into(),
        "Bearer Bearer clk_".into(),
    ];
    for value in values {
        let parts = Parts {
            method: "GET",
            uri: "/v1/models".into(),
            body: Vec::new(),
            headers: vec![("authorization", value.clone())],
        };
        assert_eq!(me.status(&parts).await, StatusCode::UNAUTHORIZED, "{value:?}");
    }
    let none = Parts { method: "GET", uri: "/v1/models".into(), body: Vec::new(), headers: Vec::new() };
    assert_eq!(me.status(&none).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn s1_10_api_keys_work_until_they_are_revoked() {
    let me = LoggedInOwner::new().await;
    let workspace_id = me.workspace();
    let by = me.world.authorize(&me.owner, Action::CreateApiKey, Target::Workspace(workspace_id));
    let request = CreateApiKey { name: "nightly".into(), workspace_id };
    let made = me.world.identity.create_api_key(&by, &request).await.expect("made");
    let parts = |scheme: &str| Parts {
        method: "GET",
        uri: "/v1/models".into(),
        body: Vec::new(),
        headers: vec![("authorization", format!("{scheme} {}", made.secret))],
    };
    assert_eq!(me.status(&parts("Bearer")).await, StatusCode::OK);
    assert_eq!(me.status(&parts("bEARER")).await, StatusCode::OK);
    let keys = me.world.identity.api_keys(&by).expect("readable");
    assert_eq!((keys.len(), keys[0].id, keys[0].name.as_str()), (1, made.id, "nightly"));
    assert_eq!(keys[0].last_used_ms, Some(START_MS - START_MS % MINUTE_MS), "to the minute");

    let revoke = me.world.authorize(&me.owner, Action::RevokeApiKey, Target::Own);
    let bob = me.world.invited(&me.owner, "bob", Role::Member).await;
    let bobs = me.world.authorize(&bob, Action::RevokeApiKey, Target::Own);
    assert!(matches!(me.world.identity.revoke_api_key(&bobs, made.id).await, Err(Error::UnknownApiKey)));
    me.world.identity.revoke_api_key(&revoke, made.id).await.expect("revoked");
    assert!(matches!(me.world.identity.revoke_api_key(&revoke, made.id).await, Err(Error::UnknownApiKey)));
    assert_eq!(me.status(&parts("Bearer")).await, StatusCode::UNAUTHORIZED);
}

#[test]
fn the_signature_base_is_that_of_the_specification() {
    // RFC 9421, section 2.5, by hand; the key is 32 bytes of 0x0b.
    let key = RequestKey::from_secret(cloister_enclave::keys::secret::Secret::new([0x0b; 32]));
    let session = "A".repeat(43);
    let signer = Signer { key: &key, session: &session, created_s: 1_790_000_000, nonce: "n".repeat(22) };
    let parts = signer.post("/api/v1/me", b"");
    let mut request = Request::post("/api/v1/me");
    for (name, value) in &parts.headers {
        request = request.header(*name, value);
    }
    let (parts, ()) = request.body(()).expect("well formed").into_parts();
    let claim = Claim::parse(&parts.headers).expect("well formed").expect("signed");
    verify(&parts, &claim, &key, 0, 1_790_000_000_000).expect("verifies");
}

/// `data` as the four headers, split at newlines. What is claimed stands in them, and every component is covered.
fn read_claim(data: &[u8]) {
    let mut headers = HeaderMap::new();
    let names = ["signature-input", "signature", "content-digest", "ehbp-encapsulated-key"];
    for (name, value) in names.into_iter().zip(data.split(|byte| *byte == b'\n')) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    if let Ok(Some(claim)) = Claim::parse(&headers) {
        let input = headers["signature-input"].to_str().expect("what was read is text");
        assert!(input.contains(&format!("\"{}\"", claim.nonce())));
        assert!(input.starts_with(r#"cloister=("@method" "@path" "@query" "content-digest" "ehbp-encapsulated-key")"#));
    }
}

proptest! {
    #[test]
    fn signature_headers_never_panic(data in proptest::collection::vec(any::<u8>(), 0..400)) {
        read_claim(&data);
    }

    #[test]
    fn mutated_signature_headers_never_panic(at in 0usize..600, byte in any::<u8>(), cut in 0usize..600) {
        let key = RequestKey::from_secret(cloister_enclave::keys::secret::Secret::new([1; 32]));
        let session = "A".repeat(43);
        let signer = Signer { key: &key, session: &session, created_s: 1, nonce: "n".repeat(22) };
        let good = signer.post("/", b"x");
        let mut data = [2, 3, 1, 0].map(|i| good.headers[i].1.clone()).join("\n").into_bytes();
        if let Some(slot) = data.get_mut(at) {
            *slot = byte;
        }
        read_claim(&data);
        data.truncate(cut);
        read_claim(&data);
    }

    #[test]
    fn any_authorization_header_is_answered(value in proptest::collection::vec(any::<u8>(), 0..100)) {
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            let mut headers = HeaderMap::new();
            headers.insert("signature-input", value);
            prop_assert!(Claim::parse(&headers).is_err());
        }
    }
}

fn digest(body: &[u8]) -> String {
    use sha2::Digest as _;
    format!("sha-256=:{}:", STANDARD.encode(sha2::Sha256::digest(body)))
}

fn digest_of(session: &str) -> cloister_enclave::identity::token::Digest {
    cloister_enclave::identity::token::Token::<32>::parse(session).expect("a session's name").digest()
}

/// The request with another text in its signature parameters, under the old signature.
fn resigned(parts: &Parts, from: &str, to: &str) -> Parts {
    let input = &parts.headers[2].1;
    assert!(input.contains(from), "{from}");
    parts.clone().header("signature-input", input.replace(from, to))
}
