//! Workspaces of the caller's organisation.

use std::sync::Arc;

use axum::extract::State;
use cloister_protocol::api::{CreateWorkspace, Empty, List, Workspace};

use super::json::Json;
use crate::access::{Action, Caller, Target};
use crate::identity::Identity;
use crate::problem::Problem;

/// Makes a workspace.
#[utoipa::path(
    post, path = "/api/v1/workspaces", tag = "workspaces", request_body = CreateWorkspace,
    responses((status = 200, body = Workspace), (status = 400, description = "Not a name"),
        (status = 401, description = "No session"), (status = 403, description = "Not an owner"))
)]
pub async fn create(
    State(identity): State<Arc<Identity>>,
    caller: Caller,
    Json(request): Json<CreateWorkspace>,
) -> Result<Json<Workspace>, Problem> {
    let authorized = caller.authorize(Action::CreateWorkspace, Target::Organisation)?;
    Ok(Json(identity.tenancy().create_workspace(&authorized, &request).await?))
}

/// Lists the workspaces.
#[utoipa::path(
    post, path = "/api/v1/workspaces/list", tag = "workspaces", request_body = Empty,
    responses((status = 200, body = List<Workspace>), (status = 401, description = "No session"),
        (status = 403, description = "Not with this role"))
)]
pub async fn list(
    State(identity): State<Arc<Identity>>,
    caller: Caller,
    Json(Empty {}): Json<Empty>,
) -> Result<Json<List<Workspace>>, Problem> {
    let authorized = caller.authorize(Action::ListWorkspaces, Target::Organisation)?;
    Ok(Json(List { items: identity.tenancy().workspaces(&authorized)? }))
}
