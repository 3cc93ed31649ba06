//! EHBP: both published vectors, each hardening rule, and bytes at random.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod support;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::routing::post;
use bytes::Bytes;
use cloister_enclave::ehbp::layer::{Ehbp, EhbpLayer, open_and_seal};
use cloister_enclave::ehbp::{Channel, Error, FrameLimits, KeyRing, Opener, PrivateKey, ReplayCache, Sealer};
use http_body_util::{BodyExt, StreamBody};
use proptest::prelude::*;
use std::sync::Arc;
use support::{EhbpClient, HPKE_SECRET, hpke_public};
use tower::ServiceExt;

const LIMITS: FrameLimits = FrameLimits { frame_bytes: 1 << 20, empty_frames: 8 };
const VECTOR_ENC: &str = "493e82fc74464a59268817623d2053c5eb8e2cc4a988b4fee179ec6b010d531d";
const VECTOR_BODY: &str = "00000021f843238627d8ce3da6e06cd342c953eb67a7f91e26aff5737f268ae87d0d49c7580000001ae2b233418ae5b063c8827546ee3c4f9c7d67003fccef1cc0f9bc";

fn bytes_from(first: u8) -> [u8; 32] {
    std::array::from_fn(|i| first + u8::try_from(i).unwrap())
}

fn ring(secret: [u8; 32]) -> KeyRing {
    KeyRing::new(PrivateKey::from_bytes(&secret).unwrap(), None)
}

fn vector_opener() -> Opener {
    Opener::new(&ring(bytes_from(0x60)), VECTOR_ENC.as_bytes(), LIMITS).unwrap()
}

/// All frames of a whole body.
fn open_all(mut opener: Opener, body: &[u8]) -> Result<Vec<Bytes>, Error> {
    opener.push(body);
    let mut frames = Vec::new();
    while let Some(frame) = opener.next_frame()? {
        frames.push(frame);
    }
    opener.finish().map(|()| frames)
}

#[test]
fn key_config_is_41_bytes_of_the_vector() {
    let config = ring(bytes_from(0x60)).key_config();
    assert_eq!(
        hex::encode(config),
        "000020675dd574ed7789310b3d2e7681f3790b466c773b1521fecf36577958371ea52f000400010002"
    );
}

#[test]
fn published_response_vector() {
    let mut sealer = Sealer::new(&bytes_from(0), &bytes_from(0x20), bytes_from(0x40));
    assert_eq!(
        hex::encode(sealer.seal(b"hello from test vector")),
        "0000002647e74d9a561b60ff42ac7ffbb4caf6b6d5ad0bb7621e41840d2ab7de7208ff7a59d0a2a482cc"
    );
}

#[test]
fn request_and_response_vector() {
    let mut opener = vector_opener();
    assert_eq!(opener.sealer([0; 32]).unwrap_err(), Error::NothingAuthenticated);
    opener.push(&hex::decode(VECTOR_BODY).unwrap());
    assert_eq!(opener.next_frame().unwrap().unwrap(), &br#"{"model":"m","str"#[..]);
    assert_eq!(opener.next_frame().unwrap().unwrap(), &br#"eam":true}"#[..]);
    assert_eq!(opener.next_frame().unwrap(), None);
    opener.finish().unwrap();
    let mut sealer = opener.sealer(bytes_from(0x40)).unwrap();
    let body = [sealer.seal(b"data: {\"a\":1}\n\n"), sealer.seal(b"data: [DONE]\n\n")].concat();
    assert_eq!(
        hex::encode(body),
        "0000001f37ecf07c7e8a7fbb4604184334d2147c5e336fe56ef415ddfeb683f05850bc0000001e433eca735b1635c903dc7eb424e8859a5b020762ad0ab17a5052c06ee699"
    );
}

#[test]
fn body_may_come_one_byte_at_a_time() {
    let mut opener = vector_opener();
    let mut text = Vec::new();
    for byte in hex::decode(VECTOR_BODY).unwrap() {
        opener.push(&[byte]);
        while let Some(frame) = opener.next_frame().unwrap() {
            text.extend_from_slice(&frame);
        }
    }
    assert_eq!(text, br#"{"model":"m","stream":true}"#);
}

#[test]
fn encapsulated_key_must_be_32_bytes_of_lower_case_hex_and_no_small_point() {
    let ring = ring(HPKE_SECRET);
    for bad in ["", "00", &VECTOR_ENC[1..], &VECTOR_ENC.to_uppercase(), &format!("{VECTOR_ENC}00"), &"zz".repeat(32)] {
        assert_eq!(Opener::new(&ring, bad.as_bytes(), LIMITS).unwrap_err(), Error::EncapsulatedKey, "{bad}");
    }
    assert_eq!(Opener::new(&ring, "00".repeat(32).as_bytes(), LIMITS).unwrap_err(), Error::EncapsulatedKey);
}

#[test]
fn frames_longer_than_the_limit_are_refused_by_their_length_alone() {
    for length in [u32::MAX, (1 << 20) + 17] {
        let mut opener = vector_opener();
        opener.push(&length.to_be_bytes());
        assert_eq!(opener.next_frame().unwrap_err(), Error::FrameTooLong { limit_bytes: 1 << 20 });
    }
}

#[test]
fn empty_frames_are_skipped_up_to_their_limit_and_never_authenticate() {
    assert_eq!(open_all(vector_opener(), &[0; 4 * 8]).unwrap_err(), Error::NothingAuthenticated);
    assert_eq!(open_all(vector_opener(), &[0; 4 * 9]).unwrap_err(), Error::EmptyFrames);
    // A million of them neither overflow a stack nor take long.
    assert_eq!(open_all(vector_opener(), &vec![0; 4 << 20]).unwrap_err(), Error::EmptyFrames);
    let body = [vec![0; 8], hex::decode(VECTOR_BODY).unwrap(), vec![0; 8]].concat();
    assert_eq!(open_all(vector_opener(), &body).unwrap().len(), 2);
}

#[test]
fn truncation_inside_a_frame_and_frames_below_a_tag_are_framing_errors() {
    let body = hex::decode(VECTOR_BODY).unwrap();
    for cut in [1, 3, 4, 20, body.len() - 1] {
        assert_eq!(open_all(vector_opener(), &body[..cut]).unwrap_err(), Error::Framing, "{cut}");
    }
    assert_eq!(open_all(vector_opener(), &[0, 0, 0, 15]).unwrap_err(), Error::Framing);
    assert_eq!(open_all(vector_opener(), &[]).unwrap_err(), Error::NothingAuthenticated);
}

#[test]
fn after_a_rotation_the_previous_key_still_opens() {
    let rotated = |previous: [u8; 32]| {
        let key = |secret| PrivateKey::from_bytes(secret).unwrap();
        KeyRing::new(key(&[9; 32]), Some(key(&previous)))
    };
    let body = hex::decode(VECTOR_BODY).unwrap();
    let opener = Opener::new(&rotated(bytes_from(0x60)), VECTOR_ENC.as_bytes(), LIMITS).unwrap();
    assert_eq!(open_all(opener, &body).unwrap().len(), 2);
    let opener = Opener::new(&rotated([5; 32]), VECTOR_ENC.as_bytes(), LIMITS).unwrap();
    assert_eq!(open_all(opener, &body).unwrap_err(), Error::Undecryptable);
}

#[test]
fn debug_shows_no_secret() {
    let key = PrivateKey::from_bytes(&HPKE_SECRET).unwrap();
    assert!(!format!("{key:?}{:?}", ring(HPKE_SECRET)).contains(&hex::encode(HPKE_SECRET)));
    assert!(!format!("{:?}", vector_opener()).contains(VECTOR_ENC));
}

proptest! {
    #[test]
    fn no_bytes_make_the_opener_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = open_all(vector_opener(), &body);
    }

    #[test]
    fn no_flipped_bit_goes_unnoticed(at in 0usize..68, bit in 0u8..8) {
        let mut body = hex::decode(VECTOR_BODY).unwrap();
        if let Some(byte) = body.get_mut(at) {
            *byte ^= 1 << bit;
            prop_assert!(open_all(vector_opener(), &body).is_err());
        }
    }

    #[test]
    fn what_a_client_seals_comes_out_in_any_pieces(
        frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..100), 1..6),
        piece in 1usize..50,
    ) {
        let mut client = EhbpClient::new(&hpke_public());
        let body: Vec<u8> = frames.iter().flat_map(|frame| client.frame(frame)).collect();
        let mut opener = Opener::new(&ring(HPKE_SECRET), client.header().as_bytes(), LIMITS).unwrap();
        let mut opened = Vec::new();
        for piece in body.chunks(piece) {
            opener.push(piece);
            while let Some(frame) = opener.next_frame().unwrap() { opened.push(frame.to_vec()); }
        }
        opener.finish().unwrap();
        prop_assert_eq!(&opened, &frames);
        let mut sealer = opener.sealer([3; 32]).unwrap();
        let sealed: Vec<u8> = frames.iter().flat_map(|frame| sealer.seal(frame)).collect();
        prop_assert_eq!(client.open(&sealer.nonce_header(), &sealed), frames);
    }
}

// ---- the layer ----

/// Routes that echo, stream, fail and tell how the body came.
fn service() -> Router {
    let ehbp = Arc::new(Ehbp { keys: ring(HPKE_SECRET), replays: ReplayCache::new(100) });
    Router::new()
        .route("/echo", post(|body: Bytes| async move { body }))
        .route(
            "/channel",
            post(|axum::Extension(channel): axum::Extension<Channel>| async move { format!("{channel:?}") }),
        )
        .route("/fail", post(|| async { cloister_enclave::problem::Problem::NotFound }))
        .route(
            "/stream",
            post(|| async {
                let events = [Ok::<_, axum::Error>("data: 1\n\n"), Ok("data: 2\n\n")];
                let frames = events.map(|event| event.map(|text| http_body::Frame::data(Bytes::from(text))));
                Body::new(StreamBody::new(futures::stream::iter(frames)))
            }),
        )
        .layer(from_fn_with_state(EhbpLayer { ehbp, frame_bytes: 1 << 20 }, open_and_seal))
}

fn request(path: &str, enc: &str, body: Vec<u8>) -> Request<Body> {
    Request::post(path).header("Ehbp-Encapsulated-Key", enc).body(Body::from(body)).unwrap()
}

async fn send(path: &str, enc: &str, body: Vec<u8>) -> Response<Body> {
    service().oneshot(request(path, enc, body)).await.unwrap()
}

async fn opened(client: &EhbpClient, response: Response<Body>) -> Vec<Bytes> {
    assert!(!response.headers().contains_key(header::CONTENT_LENGTH));
    let nonce = response.headers()["ehbp-response-nonce"].to_str().unwrap().to_owned();
    client.open(&nonce, &response.into_body().collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn s0_17_request_and_response_are_encrypted() {
    let mut client = EhbpClient::new(&hpke_public());
    let body = [client.frame(b"hello "), client.frame(b"there")].concat();
    let response = send("/echo", &client.header(), body).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(opened(&client, response).await.concat(), b"hello there");
}

#[tokio::test]
async fn s0_17_each_event_is_a_frame_and_long_answers_are_cut_to_16_kib() {
    let mut client = EhbpClient::new(&hpke_public());
    let body = client.frame(b"{}");
    let frames = opened(&client, send("/stream", &client.header(), body).await.map(Body::new)).await;
    assert_eq!(frames, ["data: 1\n\n", "data: 2\n\n"]);
    let mut client = EhbpClient::new(&hpke_public());
    let long = vec![b'x'; 100_000];
    let body = client.frame(&long);
    assert_eq!(opened(&client, send("/echo", &client.header(), body).await).await.concat(), long);
}

#[tokio::test]
async fn s0_17_errors_of_the_handler_are_encrypted() {
    let mut client = EhbpClient::new(&hpke_public());
    let body = client.frame(b"{}");
    let response = send("/fail", &client.header(), body).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    let text = opened(&client, response).await.concat();
    assert!(String::from_utf8(text).unwrap().contains("urn:cloister:problem:not-found"));
}

#[tokio::test]
async fn s0_17_stale_key_is_the_exact_problem_in_plaintext() {
    let mut client = EhbpClient::new(PrivateKey::from_bytes(&[42; 32]).unwrap().public());
    let body = client.frame(b"{}");
    let response = send("/echo", &client.header(), body).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    assert!(!response.headers().contains_key("ehbp-response-nonce"));
    let problem: serde_json::Value =
        serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(problem["type"], "urn:ietf:params:ehbp:error:key-config");
    assert_eq!(problem["title"], "failed to decrypt request");
    assert!(problem.get("detail").is_none(), "no oracle");
}

#[tokio::test]
async fn a_later_frame_that_does_not_open_replaces_the_answer_in_plaintext() {
    let mut client = EhbpClient::new(&hpke_public());
    let first = client.frame(b"first");
    let mut second = client.frame(b"second");
    *second.last_mut().unwrap() ^= 1;
    let response = send("/echo", &client.header(), [first.clone(), second.clone()].concat()).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!response.headers().contains_key("ehbp-response-nonce"));
    let mut client = EhbpClient::new(&hpke_public());
    let body = [client.frame(b"first"), client.frame(b"second")].concat();
    let response = send("/echo", &client.header(), body[..body.len() - 1].to_vec()).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn nothing_authenticated_gets_no_sealed_answer() {
    // The attack of EHBP SPEC 7.4: an `enc` of the attacker's choice and frames that prove nothing.
    let client = EhbpClient::new(&hpke_public());
    for body in [vec![], vec![0; 4], vec![0; 40]] {
        let response = send("/channel", &client.header(), body).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert!(!response.headers().contains_key("ehbp-response-nonce"));
    }
}

#[tokio::test]
async fn the_same_body_is_not_accepted_twice() {
    let mut client = EhbpClient::new(&hpke_public());
    let (service, body) = (service(), client.frame(b"{}"));
    let first = service.clone().oneshot(request("/echo", &client.header(), body.clone())).await.unwrap();
    assert_eq!(first.status(), StatusCode::OK);
    let second = service.oneshot(request("/echo", &client.header(), body)).await.unwrap();
    assert_eq!(second.status(), StatusCode::CONFLICT);
}

#[tokio::test]
async fn two_encapsulated_keys_are_refused() {
    let mut client = EhbpClient::new(&hpke_public());
    let body = client.frame(b"{}");
    let mut request = request("/echo", &client.header(), body);
    request.headers_mut().append("ehbp-encapsulated-key", VECTOR_ENC.parse().unwrap());
    assert_eq!(service().oneshot(request).await.unwrap().status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn handlers_know_how_a_body_came() {
    let plain = Request::post("/channel").body(Body::from("{}")).unwrap();
    let response = service().oneshot(plain).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "Plain");
    let mut client = EhbpClient::new(&hpke_public());
    let body = client.frame(b"{}");
    let response = send("/channel", &client.header(), body).await;
    assert_eq!(opened(&client, response).await.concat(), b"Encrypted");
}
