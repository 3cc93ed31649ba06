//! The organisation's audit log: its signed head, and exports of the whole.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use cloister_attestation::export::Attestation;
use cloister_protocol::api::{Consistency, Empty, ExportAudit, ProveConsistency};

use super::json::Json;
use crate::access::{Action, Caller, Target};
use crate::app::AppState;
use crate::audit::export::{Recipient, Request};
use crate::problem::Problem;

/// The newest checkpoint: a C2SP signed note.
#[utoipa::path(
    post, path = "/api/v1/audit/checkpoint", tag = "audit", request_body = Empty,
    responses((status = 200, description = "A signed note", content_type = "text/plain"),
        (status = 401, description = "No credentials"), (status = 403, description = "Not with this role"))
)]
pub async fn checkpoint(
    State(app): State<AppState>,
    caller: Caller,
    Json(Empty {}): Json<Empty>,
) -> Result<Response, Problem> {
    let by = caller.authorize(Action::ReadCheckpoint, Target::Organisation)?;
    let checkpoint = app.store.scope(by.scope()).audit_log().checkpoint()?.ok_or(Problem::NotFound)?;
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))], checkpoint).into_response())
}

/// Proof that the log only grew since a remembered checkpoint: who keeps the newest one notices when the state of the
/// appliance goes backwards, or forks.
#[utoipa::path(
    post, path = "/api/v1/audit/consistency", tag = "audit", request_body = ProveConsistency,
    responses((status = 200, body = Consistency), (status = 401, description = "No credentials"),
        (status = 403, description = "Not with this role"))
)]
pub async fn consistency(
    State(app): State<AppState>,
    caller: Caller,
    Json(request): Json<ProveConsistency>,
) -> Result<Json<Consistency>, Problem> {
    let by = caller.authorize(Action::ReadCheckpoint, Target::Organisation)?;
    let log = app.store.scope(by.scope()).audit_log();
    let proving = tokio::task::spawn_blocking(move || {
        let head = log.head()?.ok_or(Problem::NotFound)?;
        if request.size > head.size {
            return Ok(Json(Consistency { checkpoint: head.checkpoint, vkey: head.vkey, proof: None }));
        }
        let (proof, head) = log.prove_consistency(request.size)?;
        let proof = proof.iter().map(|hash| BASE64.encode(hash)).collect();
        Ok::<_, Problem>(Json(Consistency { checkpoint: head.checkpoint, vkey: head.vkey, proof: Some(proof) }))
    });
    proving.await.map_err(|_| Problem::Internal)?
}

/// The whole log as files in a tar that `cloister-verify audit` checks; encrypted with age if a recipient is given.
#[utoipa::path(
    post, path = "/api/v1/audit/export", tag = "audit", request_body = ExportAudit,
    responses((status = 200, description = "A tar, or an age file with one inside", content_type = "application/x-tar"),
        (status = 400, description = "Not an age recipient"), (status = 401, description = "No credentials"),
        (status = 403, description = "Not with this role"))
)]
pub async fn export(
    State(app): State<AppState>,
    caller: Caller,
    Json(request): Json<ExportAudit>,
) -> Result<Response, Problem> {
    let by = caller.authorize(Action::ExportAudit, Target::Organisation)?;
    let recipient: Option<Recipient> =
        request.recipient.map(|text| text.parse().map_err(|_| Problem::invalid("recipient"))).transpose()?;
    let media_type = if recipient.is_some() { "application/age" } else { "application/x-tar" };
    let (log, person) = (app.store.scope(by.scope()).audit_log(), by.person());
    let head = log.record_export(&Request { by: person, recipient: recipient.as_ref(), previous: None }).await?;
    let exporting = tokio::task::spawn_blocking(move || {
        let log_keys = app.store.log_key_list();
        let document = app.attestation_document(None, None, app.clock.now_ms())?;
        let evidence = Attestation { document: &document, log_keys: &log_keys };
        let request = Request { by: person, recipient: recipient.as_ref(), previous: None };
        Ok::<_, Problem>(log.export(&head, &request, Some(evidence))?)
    });
    let bytes = exporting.await.map_err(|_| Problem::Internal)??;
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static(media_type))], bytes).into_response())
}
