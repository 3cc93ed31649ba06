//! The description of this API, to whoever writes a client for it.

use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::openapi;

/// The `OpenAPI` document of the service.
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "description",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json"))
)]
pub async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], openapi::document()).into_response()
}
