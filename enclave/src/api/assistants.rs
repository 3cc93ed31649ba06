//! Assistants of a workspace.

use std::sync::Arc;

use axum::extract::State;
use cloister_protocol::api::{Assistant, CreateAssistant, Empty, List};
use cloister_protocol::ids::{AssistantId, WorkspaceId};

use super::id::Id;
use super::json::Json;
use crate::access::{Action, Caller, Target};
use crate::identity::Identity;
use crate::problem::Problem;

/// Makes an assistant.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{ws}/assistants", tag = "assistants", request_body = CreateAssistant,
    responses((status = 200, body = Assistant), (status = 400, description = "Not a name or not a purpose"),
        (status = 401, description = "No credentials"), (status = 403, description = "Not with this role"),
        (status = 404, description = "No such workspace"))
)]
pub async fn create(
    State(identity): State<Arc<Identity>>,
    caller: Caller,
    Id(workspace): Id<WorkspaceId>,
    Json(request): Json<CreateAssistant>,
) -> Result<Json<Assistant>, Problem> {
    let authorized = caller.authorize(Action::CreateAssistant, Target::Workspace(workspace))?;
    Ok(Json(identity.tenancy().create_assistant(&authorized, request).await?))
}

/// Lists the assistants of a workspace.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{ws}/assistants/list", tag = "assistants", request_body = Empty,
    responses((status = 200, body = List<Assistant>), (status = 401, description = "No credentials"),
        (status = 403, description = "Not with this role"), (status = 404, description = "No such workspace"))
)]
pub async fn list(
    State(identity): State<Arc<Identity>>,
    caller: Caller,
    Id(workspace): Id<WorkspaceId>,
    Json(Empty {}): Json<Empty>,
) -> Result<Json<List<Assistant>>, Problem> {
    let authorized = caller.authorize(Action::ListAssistants, Target::Workspace(workspace))?;
    Ok(Json(List { items: identity.tenancy().assistants(&authorized)? }))
}

/// Shows one assistant.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{ws}/assistants/{id}/get", tag = "assistants", request_body = Empty,
    responses((status = 200, body = Assistant), (status = 401, description = "No credentials"),
        (status = 403, description = "Not with this role"), (status = 404, description = "No such assistant"))
)]
pub async fn get(
    State(identity): State<Arc<Identity>>,
    caller: Caller,
    Id((workspace, assistant)): Id<(WorkspaceId, AssistantId)>,
    Json(Empty {}): Json<Empty>,
) -> Result<Json<Assistant>, Problem> {
    let authorized = caller.authorize(Action::ReadAssistant, Target::Workspace(workspace))?;
    Ok(Json(identity.tenancy().assistant(&authorized, assistant)?))
}
