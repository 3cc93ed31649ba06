//! Invitations.

use std::sync::Arc;

use axum::extract::State;
use cloister_protocol::api::{CreateEnrolment, Enrolment};

use super::json::Json;
use crate::access::{Action, Caller, Target};
use crate::identity::Identity;
use crate::problem::Problem;

/// Makes a one-time code by which a person joins the caller's organisation.
#[utoipa::path(
    post, path = "/api/v1/enrolments", tag = "account", request_body = CreateEnrolment,
    responses((status = 200, body = Enrolment), (status = 401, description = "No session"),
        (status = 403, description = "Not an owner"))
)]
pub async fn create(
    State(identity): State<Arc<Identity>>,
    caller: Caller,
    Json(request): Json<CreateEnrolment>,
) -> Result<Json<Enrolment>, Problem> {
    let authorized = caller.authorize(Action::CreateEnrolment, Target::Organisation)?;
    Ok(Json(identity.create_enrolment(&authorized, &request).await?))
}
