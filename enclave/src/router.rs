//! Every path of the service, and nowhere else.

use axum::Router;
use axum::routing::get;

use crate::api::health;
use crate::app::AppState;
use crate::middleware;
use crate::problem::Problem;

/// The whole service: surfaces inside, layers around them.
pub fn router(state: &AppState) -> Router {
    let router = Router::new()
        .merge(public())
        .merge(middleware::private(state, native().merge(openai()).merge(aliases())))
        .fallback(|| async { Problem::NotFound })
        .method_not_allowed_fallback(|| async { Problem::NotFound });
    middleware::outer(state, router).with_state(state.clone())
}

/// Readable by anyone, without credentials and without encryption: nothing here is private.
fn public() -> Router<AppState> {
    Router::new().route("/healthz", get(health::alive)).route("/readyz", get(health::ready))
}

/// The native API. Private reads are POST, so that EHBP can encrypt them.
fn native() -> Router<AppState> {
    Router::new()
}

/// The surface for OpenAI clients.
fn openai() -> Router<AppState> {
    Router::new()
}

/// Older paths, as thin aliases of the native API.
fn aliases() -> Router<AppState> {
    Router::new()
}
