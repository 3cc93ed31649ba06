//! The caller, to the caller.

use std::sync::Arc;

use axum::extract::State;
use cloister_protocol::api::{Empty, Me};

use super::json::Json;
use crate::access::{Action, Caller, Target};
use crate::identity::Identity;
use crate::problem::Problem;

/// Who am I, where, and what may I do there?
#[utoipa::path(
    post, path = "/api/v1/me", tag = "account", request_body = Empty,
    responses((status = 200, body = Me), (status = 401, description = "No session"))
)]
pub async fn me(
    State(identity): State<Arc<Identity>>,
    caller: Caller,
    Json(Empty {}): Json<Empty>,
) -> Result<Json<Me>, Problem> {
    let authorized = caller.authorize(Action::ReadAccount, Target::Own)?;
    let tenancy = identity.tenancy();
    // The workspaces are content: an auditor sees none.
    let workspaces = match caller.authorize(Action::ListWorkspaces, Target::Organisation) {
        Ok(authorized) => tenancy.workspaces(&authorized)?,
        Err(_) => Vec::new(),
    };
    Ok(Json(Me {
        person_id: caller.person(),
        login: identity.login_of(authorized.person(), authorized.org())?.ok_or(Problem::Unauthenticated)?,
        org_id: caller.org(),
        org_name: tenancy.organisation_name(caller.org())?.ok_or(Problem::Unauthenticated)?,
        role: caller.role(),
        permissions: caller.permissions(),
        workspaces,
    }))
}
