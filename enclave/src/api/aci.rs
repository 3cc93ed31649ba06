//! The ACI door: its report, and receipts by id.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::attestation::parse_nonce;
use crate::access::{Action, Caller, Target};
use crate::aci::stored;
use crate::app::AppState;
use crate::problem::Problem;

/// The query of the report.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportQuery {
    nonce: Option<String>,
}

/// The ACI attestation report, fresh for a nonce or cached without one.
#[utoipa::path(
    get, path = "/v1/aci/attestation", tag = "aci",
    params(("nonce" = Option<String>, Query, description = "64 lower-case hex digits; absent: the form with `null`")),
    responses(
        (status = 200, description = "The report of `aci/1`, section 4", content_type = "application/json"),
        (status = 400, description = "The nonce is malformed"),
        (status = 429, description = "Too many fresh reports"),
    )
)]
pub async fn report(
    State(app): State<AppState>,
    query: Result<Query<ReportQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|_| Problem::invalid("query"))?;
    let nonce = query.nonce.as_deref().map(parse_nonce).transpose()?;
    if nonce.is_some() {
        app.limiter.attestation()?;
    }
    let now_ms = app.clock.now_ms();
    let minted = tokio::task::spawn_blocking(move || app.aci_report(nonce, now_ms)).await;
    let report = minted.map_err(|_| Problem::Internal)??;
    Ok(([(header::CONTENT_TYPE, "application/json")], report).into_response())
}

/// The receipt of a request, by `X-Receipt-Id` or by the id of its response, for the credential that made it.
#[utoipa::path(
    get, path = "/v1/aci/receipts/{id}", tag = "aci",
    responses((status = 200, description = "The receipt of `aci/1`, section 7.3"),
        (status = 401, description = "No credentials: `unauthorized`"),
        (status = 404, description = "No such receipt of this credential: `not_found`"))
)]
pub async fn receipt(
    State(app): State<AppState>,
    caller: Result<Caller, Problem>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let caller = match caller {
        // A wrong credential is answered as if the receipt did not exist (section 7.6).
        Err(Problem::Unauthenticated) if headers.contains_key(header::AUTHORIZATION) => return Err(Problem::NotFound),
        caller => caller?,
    };
    // A key reaches what is its person's inside its one workspace.
    let own = caller.api_key_workspace().map_or(Target::Own, Target::OwnIn);
    let by = caller.authorize(Action::ReadReceipt, own)?;
    let receipt = stored(&app.store, &by, &id)?.ok_or(Problem::NotFound)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], receipt).into_response())
}
