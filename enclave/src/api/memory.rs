//! The caller's long-term memory.

use std::sync::Arc;

use axum::extract::State;
use cloister_protocol::api::{List, Recall, Recalled, Remember};
use serde::Serialize;

use super::json::Json;
use crate::access::{Action, Caller, Target};
use crate::app::AppState;
use crate::memory::{DEFAULT_K, Memory};
use crate::problem::Problem;

/// That it was done.
#[derive(Debug, Clone, Copy, Serialize, utoipa::ToSchema)]
pub struct Status {
    /// Always `ok`.
    status: &'static str,
}

/// Keeps a text (requirement S0-13).
#[utoipa::path(
    post, path = "/api/v1/memory", tag = "memory", request_body = Remember,
    responses((status = 200, body = Status), (status = 400, description = "No text, or one that is too long"),
        (status = 401, description = "No credentials"), (status = 409, description = "The memory is full"))
)]
pub async fn remember(
    State(app): State<AppState>,
    State(memory): State<Arc<Memory>>,
    caller: Caller,
    Json(request): Json<Remember>,
) -> Result<Json<Status>, Problem> {
    let by = caller.authorize(Action::WriteMemory, Target::Own)?;
    memory.remember(&app.store.scope(by.scope()), &by, request.text).await?;
    Ok(Json(Status { status: "ok" }))
}

/// Finds kept texts by meaning (requirement S0-14).
#[utoipa::path(
    post, path = "/api/v1/memory/search", tag = "memory", request_body = Recall,
    responses((status = 200, body = List<Recalled>), (status = 400, description = "No query, or one that is too long"),
        (status = 401, description = "No credentials"))
)]
pub async fn search(
    State(app): State<AppState>,
    State(memory): State<Arc<Memory>>,
    caller: Caller,
    Json(request): Json<Recall>,
) -> Result<Json<List<Recalled>>, Problem> {
    let by = caller.authorize(Action::SearchMemory, Target::Own)?;
    let k = request.k.unwrap_or(DEFAULT_K);
    let items = memory.recall(&app.store.scope(by.scope()), by.person(), request.query, k).await?;
    Ok(Json(List { items }))
}
