//! Every layer around the routes, each with its reason. No paths here: `router` says which layers a route gets.
//!
//! From the outside in: request id → log line → security headers → cross-origin → number of requests → rate → size →
//! time → signature over the body as sent → EHBP open → receipt → problem rendering → route → receipt → EHBP seal.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use cloister_attestation::aci;
use cloister_attestation::encoding::sha256;
use cloister_protocol::ids::RequestId;
use http_body_util::{BodyExt, Limited};
use tokio::time::Instant;

use crate::aci::{Receipting, Received, watch};
use crate::api::json::read;
use crate::app::AppState;
use crate::ehbp::layer::{EhbpLayer, open_and_seal};
use crate::identity::signature::{self, layer::SignatureLayer};
use crate::problem::{Problem, Shape};
use crate::serve::Peer;

/// What a private route's requests are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// JSON, small and soon over.
    Ordinary,
    /// A document.
    Upload,
    /// JSON, small, and answered by a model: whole answers take as long as it does.
    Answer,
}

/// Layers around every route.
pub(crate) fn outer(state: &AppState, router: Router<AppState>) -> Router<AppState> {
    router
        .layer(from_fn_with_state(state.clone(), name_evidence))
        .layer(from_fn_with_state(Shape::Problem, render_problems))
        .layer(from_fn(secure_headers))
        .layer(from_fn(log_request))
        .layer(from_fn(name_request))
}

/// Layers around routes that other origins may call: there are no cookies here, so that an origin gains nothing.
pub(crate) fn cross_origin(router: Router<AppState>) -> Router<AppState> {
    router.layer(from_fn(allow_origins))
}

/// Says of every reply, errors included, by which keyset it is served (ACI, section 5.2).
pub(crate) fn aci(state: &AppState, router: Router<AppState>) -> Router<AppState> {
    router.layer(from_fn_with_state(state.clone(), name_keyset))
}

/// Errors in this shape, and nothing else.
pub(crate) fn shaped(shape: Shape, router: Router<AppState>) -> Router<AppState> {
    router.layer(from_fn_with_state(shape, render_problems))
}

/// Inside of EHBP, so that bodies are hashed as the caller knows them, and outside of the errors' shape, so that a
/// refusal is hashed as it is sent.
pub(crate) fn receipted(state: &AppState, shape: Shape, router: Router<AppState>) -> Router<AppState> {
    shaped(shape, router).layer(from_fn_with_state(state.clone(), write_receipt))
}

/// Layers around the private surfaces, inside of [`outer`]; `shape` is that of their errors.
pub(crate) fn private(state: &AppState, class: Class, shape: Shape, router: Router<AppState>) -> Router<AppState> {
    let limits = &state.config.limits;
    let (body_bytes, deadline) = match class {
        Class::Ordinary => (limits.json_bytes, limits.request),
        Class::Upload => (limits.upload_bytes, limits.upload),
        Class::Answer => (limits.json_bytes, limits.answer),
    };
    // Frames cost 20 bytes each; the smallest that a client sends is a few KiB.
    let wire_bytes = body_bytes + body_bytes / 64 + 1024;
    let ehbp = EhbpLayer { ehbp: Arc::clone(&state.ehbp), frame_bytes: body_bytes };
    let signatures = SignatureLayer { identity: Arc::clone(&state.identity), body_bytes: wire_bytes };
    router
        .layer(from_fn_with_state(shape, render_problems))
        // axum's own limit of 2 MB gives way to the route's.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(ehbp, open_and_seal))
        .layer(from_fn_with_state(signatures, signature::layer::check))
        .layer(from_fn_with_state(deadline, limit_time))
        .layer(from_fn_with_state(wire_bytes, limit_body))
        .layer(from_fn_with_state(state.clone(), limit_rate))
        .layer(from_fn_with_state(state.clone(), limit_number))
        .layer(from_fn_with_state(shape, render_problems))
}

/// Gives the request its id, which is random and ours: a caller's own id is not taken over.
async fn name_request(mut request: Request, next: Next) -> Response {
    let mut random = [0; 16];
    if getrandom::fill(&mut random).is_err() {
        return Problem::Internal.into_response();
    }
    let id = RequestId::from_random(random);
    request.extensions_mut().insert(id);
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert("x-request-id", value);
    }
    response
}

/// One line per request: ids, the route's template, status and duration. The path itself may hold ids of a tenant and
/// the query may hold anything, so that neither is logged.
async fn log_request(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request.extensions().get::<RequestId>().copied();
    let connection = request.extensions().get::<Peer>().map(|peer| peer.connection);
    let method = known_method(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    tracing::info!(
        request_id = id.map(tracing::field::display),
        connection,
        method,
        route = route.as_ref().map_or("-", MatchedPath::as_str),
        status = response.status().as_u16(),
        duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "request answered"
    );
    response
}

/// A method is a text of the caller's choosing; only known ones are logged.
fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Headers that tell browsers to be careful, on everything that does not say otherwise itself.
async fn secure_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let defaults = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::STRICT_TRANSPORT_SECURITY, "max-age=63072000"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    let headers = response.headers_mut();
    for (name, value) in defaults {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Headers that pages of other origins may read.
const EXPOSED: &str = "Ehbp-Encapsulated-Key, Ehbp-Response-Nonce, Content-Type, Retry-After, X-Request-Id, Tinfoil-Pt, \
    X-ACI-Version, X-ACI-Keyset-Digest, X-Receipt-Id";

/// Cross-origin resource sharing for EHBP clients on other origins.
async fn allow_origins(request: Request, next: Next) -> Response {
    if !request.headers().contains_key(header::ORIGIN) {
        return next.run(request).await;
    }
    let asked = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let is_preflight =
        *request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if is_preflight {
        let mut response = StatusCode::NO_CONTENT.into_response();
        preflight(response.headers_mut(), asked);
        response
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    response
}

fn preflight(headers: &mut HeaderMap, asked: Option<HeaderValue>) {
    const USUAL: HeaderValue = HeaderValue::from_static("Authorization, Content-Type, Ehbp-Encapsulated-Key");
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.unwrap_or(USUAL));
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, PUT, POST, HEAD, DELETE, OPTIONS"),
    );
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
}

/// So many requests at once and no more, each until the last byte of its answer: what they hold in memory is bounded.
async fn limit_number(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let Ok(permit) = Arc::clone(&app.requests).try_acquire_owned() else {
        return Problem::TooManyRequests { retry_after_s: 1 }.into_response();
    };
    next.run(request).await.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _held_until_the_body_ends = &permit;
            frame
        }))
    })
}

/// One caller cannot use up what is there for all.
async fn limit_rate(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().copied();
    match app.limiter.request(peer, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(exceeded) => Problem::from(exceeded).into_response(),
    }
}

/// A body is cut off at the limit of its route, and refused before it is read if it says that it is longer.
async fn limit_body(State(limit_bytes): State<usize>, request: Request, next: Next) -> Response {
    let declared = request.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|bytes| bytes > limit_bytes) {
        return Problem::TooLarge { limit_bytes }.into_response();
    }
    next.run(request.map(|body| Body::new(Limited::new(body, limit_bytes)))).await
}

/// From the request's head to the response's: a body that trickles in ends here. Streams of events have begun by then.
async fn limit_time(State(deadline): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(deadline, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::Timeout.into_response(),
    }
}

/// The kind of evidence that Tinfoil's clients may expect here, on every reply.
async fn name_evidence(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Some(document) = &app.tinfoil.document {
        response.headers_mut().insert("tinfoil-pt", HeaderValue::from_static(document.format));
    }
    response
}

/// Hints without authority: what binds is the report and the receipt.
async fn name_keyset(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let digest = aci::spelled(&app.aci_keyset(app.clock.now_ms()).digest());
    let headers = response.headers_mut();
    headers.insert("x-aci-version", HeaderValue::from_static(aci::VERSION));
    if let Ok(digest) = HeaderValue::from_str(&digest) {
        headers.insert("x-aci-keyset-digest", digest);
    }
    response
}

/// Hashes what comes in and what goes out.
async fn write_receipt(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let bytes = match read(body, app.config.limits.json_bytes).await {
        Ok(bytes) => bytes,
        Err(problem) => return problem.into_response(),
    };
    let received =
        Received { method: parts.method.to_string(), endpoint: parts.uri.path().to_owned(), body: sha256(&bytes) };
    let receipting = Receipting::new(received);
    parts.extensions.insert(receipting.clone());
    let response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
    watch(app, receipting, response)
}

/// Gives a problem the request's id and the shape of its surface. Stands inside of EHBP as well as outside, because
/// a problem of a handler is encrypted and a problem of a layer is not.
async fn render_problems(State(shape): State<Shape>, request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().copied();
    let mut response = next.run(request).await;
    match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem.render(id, shape),
        None => response,
    }
}
