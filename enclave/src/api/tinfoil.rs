//! The Tinfoil door, version 2: the document, and the certificate that names it.

use axum::extract::{RawQuery, State};
use serde_json::{Value, json};

use super::json::Json;
use crate::app::AppState;
use crate::attest::TinfoilDocument;
use crate::problem::Problem;

/// The document of version 2. A nonce asks for version 3, which needs endorsements that only Tinfoil can give.
#[utoipa::path(
    get, path = "/.well-known/tinfoil-attestation", tag = "attestation",
    responses((status = 200, description = "`{format, body}` of version 2"),
        (status = 400, description = "There is a query: version 3 is not offered"),
        (status = 404, description = "On Azure: version 2 has no format for its evidence"))
)]
pub async fn document(
    State(app): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<Json<TinfoilDocument>, Problem> {
    if query.is_some_and(|query| !query.is_empty()) {
        return Err(Problem::invalid(
            "nonce: attestation/v3 is not offered; fresh evidence is at /.well-known/cloister/attestation",
        ));
    }
    app.tinfoil.document.clone().map(Json).ok_or(Problem::NotFound)
}

/// The certificate in force.
#[utoipa::path(
    get, path = "/.well-known/tinfoil-certificate", tag = "attestation",
    responses((status = 200, description = "`{certificate}`, PEM"))
)]
pub async fn certificate(State(app): State<AppState>) -> Json<Value> {
    Json(json!({ "certificate": app.tinfoil.certificate }))
}
