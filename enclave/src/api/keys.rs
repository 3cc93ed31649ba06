//! The caller's API keys.

use std::sync::Arc;

use axum::extract::State;
use cloister_protocol::api::{ApiKey, ApiKeyCreated, CreateApiKey, Empty, List};
use cloister_protocol::ids::ApiKeyId;

use super::id::Id;
use super::json::Json;
use crate::access::{Action, Caller, Target};
use crate::identity::Identity;
use crate::problem::Problem;

/// Makes an API key for a workspace. Its secret is shown once.
#[utoipa::path(
    post, path = "/api/v1/api-keys", tag = "account", request_body = CreateApiKey,
    responses((status = 200, body = ApiKeyCreated), (status = 401, description = "No session"),
        (status = 403, description = "Not with this role"), (status = 404, description = "No such workspace"))
)]
pub async fn create(
    State(identity): State<Arc<Identity>>,
    caller: Caller,
    Json(request): Json<CreateApiKey>,
) -> Result<Json<ApiKeyCreated>, Problem> {
    let authorized = caller.authorize(Action::CreateApiKey, Target::Workspace(request.workspace_id))?;
    Ok(Json(identity.create_api_key(&authorized, &request).await?))
}

/// Lists the caller's API keys.
#[utoipa::path(
    post, path = "/api/v1/api-keys/list", tag = "account", request_body = Empty,
    responses((status = 200, body = List<ApiKey>), (status = 401, description = "No session"))
)]
pub async fn list(
    State(identity): State<Arc<Identity>>,
    caller: Caller,
    Json(Empty {}): Json<Empty>,
) -> Result<Json<List<ApiKey>>, Problem> {
    let authorized = caller.authorize(Action::ListApiKeys, Target::Own)?;
    Ok(Json(List { items: identity.api_keys(&authorized)? }))
}

/// Revokes one of the caller's API keys, at once.
#[utoipa::path(
    post, path = "/api/v1/api-keys/{id}/revoke", tag = "account", request_body = Empty,
    responses((status = 200, body = Empty), (status = 401, description = "No session"),
        (status = 404, description = "No such key of this person"))
)]
pub async fn revoke(
    State(identity): State<Arc<Identity>>,
    caller: Caller,
    Id(id): Id<ApiKeyId>,
    Json(Empty {}): Json<Empty>,
) -> Result<Json<Empty>, Problem> {
    let authorized = caller.authorize(Action::RevokeApiKey, Target::Own)?;
    identity.revoke_api_key(&authorized, id).await?;
    Ok(Json(Empty {}))
}
