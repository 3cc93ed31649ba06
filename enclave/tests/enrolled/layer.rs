//! The signature layer by itself, around a route that answers with the caller.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::FromRef;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::routing::any;
use cloister_enclave::access::{Access, Caller};
use cloister_enclave::identity::Identity;
use cloister_enclave::identity::signature::layer::{SignatureLayer, check};
use tower::ServiceExt;

use super::World;
use super::signed::Parts;

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
