//! Signed requests, written from the specification and not with the server's code.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::FromRef;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::routing::any;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloister_enclave::access::{Access, Caller};
use cloister_enclave::identity::Identity;
use cloister_enclave::identity::signature::RequestKey;
use cloister_enclave::identity::signature::layer::{SignatureLayer, check};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use tower::ServiceExt;

use super::World;

/// What a request is made of; a test changes one part and signs or does not sign again.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) method: &'static str,
    pub(crate) uri: String,
    pub(crate) body: Vec<u8>,
    pub(crate) headers: Vec<(&'static str, String)>,
}

#[derive(Clone)]
pub(crate) struct Signer<'a> {
    pub(crate) key: &'a RequestKey,
    pub(crate) session: &'a str,
    pub(crate) created_s: u64,
    pub(crate) nonce: String,
}

pub(crate) const ENC: &str = "493e82fc74464a59268817623d2053c5eb8e2cc4a988b4fee179ec6b010d531d";

impl Signer<'_> {
    /// A signed POST with a body that this layer does not look into.
    pub(crate) fn post(&self, uri: &str, body: &[u8]) -> Parts {
        let digest = format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body)));
        let parameters = format!(
            "(\"@method\" \"@path\" \"@query\" \"content-digest\" \"ehbp-encapsulated-key\");created={};nonce=\"{}\";\
             keyid=\"{}\";alg=\"hmac-sha256\";tag=\"cloister-request/v1\"",
            self.created_s, self.nonce, self.session
        );
        self.post_with(uri, body, &digest, &parameters)
    }

    pub(crate) fn post_with(&self, uri: &str, body: &[u8], digest: &str, parameters: &str) -> Parts {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let base = format!(
            "\"@method\": POST\n\"@path\": {path}\n\"@query\": ?{query}\n\"content-digest\": {digest}\n\
             \"ehbp-encapsulated-key\": {ENC}\n\"@signature-params\": {parameters}"
        );
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.expose_secret()).expect("any key");
        mac.update(base.as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        Parts {
            method: "POST",
            uri: uri.to_owned(),
            body: body.to_vec(),
            headers: vec![
                ("ehbp-encapsulated-key", ENC.to_owned()),
                ("content-digest", digest.to_owned()),
                ("signature-input", format!("cloister={parameters}")),
                ("signature", format!("cloister=:{signature}:")),
            ],
        }
    }
}

impl Parts {
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(n, _)| *n != name);
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(n, _)| *n != name);
        self
    }
}

#[derive(Clone)]
struct State {
    identity: Arc<Identity>,
    access: Arc<Access>,
}

impl FromRef<State> for Arc<Identity> {
    fn from_ref(state: &State) -> Self {
        Self::clone(&state.identity)
    }
}

impl FromRef<State> for Arc<Access> {
    fn from_ref(state: &State) -> Self {
        Self::clone(&state.access)
    }
}

/// The layer around a route that answers with the caller's person and the body's length.
pub(crate) async fn send(world: &World, parts: &Parts) -> (StatusCode, String) {
    let layer = SignatureLayer { identity: Arc::clone(&world.identity), body_bytes: 10_000 };
    let state = State { identity: Arc::clone(&world.identity), access: Arc::clone(&world.access) };
    let route = |caller: Caller, body: axum::body::Bytes| async move { format!("{} {}", caller.person(), body.len()) };
    let router = Router::new().fallback(any(route)).layer(from_fn_with_state(layer, check)).with_state(state);
    let mut request = Request::builder().method(parts.method).uri(&parts.uri);
    let headers: &mut HeaderMap = request.headers_mut().expect("well formed");
    for (name, value) in &parts.headers {
        headers.append(*name, value.parse().expect("a header value"));
    }
    let request = request.body(Body::from(parts.body.clone())).expect("well formed");
    let response = router.oneshot(request).await.expect("infallible");
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 100_000).await.expect("a body");
    (status, String::from_utf8_lossy(&body).into_owned())
}
