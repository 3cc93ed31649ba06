//! `GET /v1/models`: the assistants of the workspace, and the embedding model.

use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::authorize;
use crate::access::{Action, Caller};
use crate::api::json::Json;
use crate::app::AppState;
use crate::problem::Problem;

/// Lists what a request may call its model.
#[utoipa::path(
    get, path = "/v1/models", tag = "openai",
    responses((status = 200, description = "Assistants by id, and the embedding model"),
        (status = 401, description = "No credentials"))
)]
pub async fn list(State(app): State<AppState>, caller: Caller) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "object": "list", "data": models(&app, &caller)? })))
}

/// Shows one of them.
#[utoipa::path(
    get, path = "/v1/models/{model}", tag = "openai",
    responses((status = 200, description = "The model"), (status = 401, description = "No credentials"),
        (status = 404, description = "No such model"))
)]
pub async fn retrieve(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let found = models(&app, &caller)?.into_iter().find(|model| model.get("id").is_some_and(|other| *other == id));
    found.map(Json).ok_or(Problem::NotFound)
}

fn models(app: &AppState, caller: &Caller) -> Result<Vec<Value>, Problem> {
    let by = authorize(app, caller, Action::ListModels)?;
    let mut models: Vec<Value> = app
        .identity
        .tenancy()
        .assistants(&by)?
        .into_iter()
        .map(|a| {
            let created = a.created_ms / 1000;
            json!({ "id": a.id, "object": "model", "created": created, "owned_by": a.workspace_id, "name": a.name })
        })
        .collect();
    models.push(json!({ "id": app.models.embedder_id, "object": "model", "created": 0, "owned_by": "cloister" }));
    Ok(models)
}
