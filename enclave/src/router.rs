//! Every path of the service, and nowhere else.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};

use crate::api::{attestation, health};
use crate::app::AppState;
use crate::middleware::{self, Class};
use crate::problem::{Problem, Shape};

/// The whole service: surfaces inside, layers around them.
pub fn router(state: &AppState) -> Router {
    let private = Router::new()
        .merge(middleware::private(state, Class::Ordinary, Shape::Problem, native().merge(aliases())))
        .merge(middleware::private(state, Class::Upload, Shape::Problem, uploads()))
        .merge(middleware::private(state, Class::Ordinary, Shape::OpenAi, openai()));
    let router = Router::new()
        .merge(health())
        .merge(middleware::cross_origin(evidence().merge(private)))
        .fallback(page)
        .method_not_allowed_fallback(not_found);
    middleware::outer(router).with_state(state.clone())
}

/// For whoever watches the process.
fn health() -> Router<AppState> {
    Router::new().route("/healthz", get(health::alive)).route("/readyz", get(health::ready))
}

/// Readable by anyone, without credentials and without encryption: nothing here is private.
fn evidence() -> Router<AppState> {
    Router::new()
        .route("/.well-known/cloister/attestation", get(attestation::document))
        .route("/.well-known/hpke-keys", get(attestation::hpke_keys))
}

/// The native API. Private reads are POST, so that EHBP can encrypt them.
fn native() -> Router<AppState> {
    Router::new().route("/api/v1/{*unknown}", any(not_found))
}

/// Routes that take a document.
fn uploads() -> Router<AppState> {
    Router::new()
}

/// The surface for OpenAI clients.
fn openai() -> Router<AppState> {
    Router::new().route("/v1/{*unknown}", any(not_found))
}

/// Older paths, as thin aliases of the native API.
fn aliases() -> Router<AppState> {
    Router::new()
}

async fn not_found() -> Problem {
    Problem::NotFound
}

/// Every other path is one of the page's files, or nothing.
async fn page(State(app): State<AppState>, request: Request) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let file = if is_read { app.page.get(request.uri().path()) } else { None };
    file.unwrap_or_else(|| Problem::NotFound.into_response())
}
