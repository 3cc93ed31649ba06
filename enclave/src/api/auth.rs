//! Registration and login by OPAQUE, logout, and the older spellings of them.
//!
//! An enrolment code is as good as a key while it is open, so registration is refused in plaintext: TLS alone could end
//! at a relay with a certificate of its own.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::header::HeaderName;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use cloister_protocol::api::{
    Empty, LoggedIn, LoginFinish, LoginParams, LoginParamsRequest, LoginStart, LoginStarted, RegisterFinish,
    RegisterStart, RegisterStarted, Registered, Role,
};
use cloister_protocol::ids::OrgId;
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

use super::json::Json;
use crate::access::{Action, Caller, Target};
use crate::ehbp::Channel;
use crate::identity::{Error, Identity};
use crate::problem::Problem;
use crate::serve::Peer;

/// Tells browsers to forget what they keep for this origin (S2-02).
const CLEAR_SITE_DATA: (HeaderName, HeaderValue) =
    (HeaderName::from_static("clear-site-data"), HeaderValue::from_static("\"cache\", \"cookies\", \"storage\""));

/// Starts the registration of a password by an enrolment code.
#[utoipa::path(
    post, path = "/api/v1/auth/opaque/register/start", tag = "auth", request_body = RegisterStart,
    responses((status = 200, body = RegisterStarted), (status = 400, description = "Malformed, or not encrypted"),
        (status = 404, description = "No such enrolment code: never made, used, or expired"))
)]
pub async fn register_start(
    State(identity): State<Arc<Identity>>,
    Extension(channel): Extension<Channel>,
    Json(request): Json<RegisterStart>,
) -> Result<Json<RegisterStarted>, Problem> {
    encrypted(channel)?;
    Ok(Json(identity.start_registration(&request)?))
}

/// Ends a registration and uses the enrolment code up.
#[utoipa::path(
    post, path = "/api/v1/auth/opaque/register/finish", tag = "auth", request_body = RegisterFinish,
    responses((status = 200, body = Registered), (status = 400, description = "Malformed, or not encrypted"),
        (status = 404, description = "No such enrolment code: never made, used, or expired"),
        (status = 409, description = "The login name is taken; the code can still be used"))
)]
pub async fn register_finish(
    State(identity): State<Arc<Identity>>,
    Extension(channel): Extension<Channel>,
    Json(request): Json<RegisterFinish>,
) -> Result<Json<Registered>, Problem> {
    encrypted(channel)?;
    Ok(Json(identity.finish_registration(&request).await?))
}

/// Which key-stretching function a login name uses.
#[utoipa::path(
    post, path = "/api/v1/auth/opaque/login/params", tag = "auth", request_body = LoginParamsRequest,
    responses((status = 200, body = LoginParams, description = "Also for names that nobody has"))
)]
pub async fn login_params(
    State(identity): State<Arc<Identity>>,
    Json(request): Json<LoginParamsRequest>,
) -> Result<Json<LoginParams>, Problem> {
    Ok(Json(identity.login_params(&request)?))
}

/// Starts a login.
#[utoipa::path(
    post, path = "/api/v1/auth/opaque/login/start", tag = "auth", request_body = LoginStart,
    responses((status = 200, body = LoginStarted, description = "Also for names that nobody has"),
        (status = 400, description = "Malformed"), (status = 429, description = "Too many guesses"))
)]
pub async fn login_start(
    State(identity): State<Arc<Identity>>,
    peer: Option<Extension<Peer>>,
    Json(request): Json<LoginStart>,
) -> Result<Json<LoginStarted>, Problem> {
    Ok(Json(identity.start_login(&request, source(peer)).await?))
}

/// Ends a login: begins a session, whose requests are signed under a key derived from the OPAQUE session key.
#[utoipa::path(
    post, path = "/api/v1/auth/opaque/login/finish", tag = "auth", request_body = LoginFinish,
    responses((status = 200, body = LoggedIn), (status = 400, description = "Malformed"),
        (status = 401, description = "Wrong, unknown or late, without saying which"))
)]
pub async fn login_finish(
    State(identity): State<Arc<Identity>>,
    Json(request): Json<LoginFinish>,
) -> Result<Json<LoggedIn>, Problem> {
    Ok(Json(identity.finish_login(&request).await?))
}

/// Ends the session of the request.
#[utoipa::path(
    post, path = "/api/v1/logout", tag = "auth", request_body = Empty,
    responses((status = 204, description = "The session has ended"), (status = 401, description = "No session"))
)]
pub async fn logout(
    State(identity): State<Arc<Identity>>,
    caller: Caller,
    Json(Empty {}): Json<Empty>,
) -> Result<Response, Problem> {
    let authorized = caller.authorize(Action::EndSession, Target::Own)?;
    identity.end_session(&authorized).await?;
    Ok((StatusCode::NO_CONTENT, [CLEAR_SITE_DATA]).into_response())
}

/// What the older spelling of the login answers (S2-01). The token names the session; it opens nothing without the key
/// that the client derived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DashboardLogin {
    /// The session.
    pub token: String,
    /// The role in the organisation.
    pub role: Role,
    /// The organisation.
    pub org_id: OrgId,
    /// Its name.
    pub org_name: String,
}

/// The older spelling of the end of a login.
pub async fn dashboard_login_finish(
    State(identity): State<Arc<Identity>>,
    Json(request): Json<LoginFinish>,
) -> Result<Json<DashboardLogin>, Problem> {
    let LoggedIn { session: token, role, org_id, org_name, .. } = identity.finish_login(&request).await?;
    Ok(Json(DashboardLogin { token, role, org_id, org_name }))
}

/// What a valid credential stands for (S2-03).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Verified {
    /// Always true: a bad credential is answered with 401.
    pub valid: bool,
    /// The role in the organisation, as it is now.
    pub role: Role,
    /// The organisation.
    pub org_id: OrgId,
}

/// Says whether the request's credential is valid: a signed `POST`, or an API key.
pub async fn dashboard_verify(caller: Caller) -> Result<Json<Verified>, Problem> {
    caller.authorize(Action::VerifyCredential, Target::Own)?;
    Ok(Json(Verified { valid: true, role: caller.role(), org_id: caller.org() }))
}

/// A login in one message (S0-01).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordLogin {
    user: String,
    password: String,
}

impl std::fmt::Debug for PasswordLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordLogin(…)")
    }
}

/// The oldest login, for clients that cannot do better; as if absent unless the configuration allows it.
pub async fn legacy_login(
    State(identity): State<Arc<Identity>>,
    peer: Option<Extension<Peer>>,
    Json(PasswordLogin { user, password }): Json<PasswordLogin>,
) -> Result<Response, Problem> {
    if !identity.allows_legacy_login() {
        return Err(Problem::NotFound);
    }
    match identity.login_with_password(&user, Zeroizing::new(password), source(peer)).await {
        Ok(token) => Ok(Json(json!({ "token": token })).into_response()),
        Err(Error::LoginFailed | Error::Login(_)) => {
            Ok((StatusCode::UNAUTHORIZED, Json(json!({ "error": "invalid login" }))).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

fn encrypted(channel: Channel) -> Result<(), Problem> {
    match channel {
        Channel::Encrypted => Ok(()),
        Channel::Plain => Err(Problem::invalid("the body must be encrypted (EHBP)")),
    }
}

fn source(peer: Option<Extension<Peer>>) -> Option<IpAddr> {
    peer.and_then(|Extension(peer)| peer.hint)
}
