//! Is the process alive, and does it answer requests? Nothing about its content.

use axum::extract::State;

use crate::app::{AppState, Phase};
use crate::problem::Problem;

/// The process runs its event loop.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, description = "Alive")))]
pub async fn alive() -> &'static str {
    "alive\n"
}

/// The process has attested itself and is not draining.
#[utoipa::path(
    get, path = "/readyz", tag = "health",
    responses((status = 200, description = "Ready"), (status = 503, description = "Starting or draining"))
)]
pub async fn ready(State(app): State<AppState>) -> Result<&'static str, Problem> {
    match app.phase() {
        Phase::Ready => Ok("ready\n"),
        Phase::Starting | Phase::Draining => Err(Problem::Unavailable { retry_after_s: 1 }),
    }
}
