//! JSON in and out, strictly: the right media type, no trailing bytes, no unknown fields, no more than the limit.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::app::AppState;
use crate::problem::Problem;

/// A JSON body, of a request or of a response.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<AppState> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        if !is_json(request.headers().get(header::CONTENT_TYPE)) {
            return Err(Problem::invalid("content-type"));
        }
        let bytes = read(request.into_body(), state.config.limits.json_bytes).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|e| Problem::invalid(place_of(&e)))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => {
                ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], bytes).into_response()
            }
            Err(_) => Problem::Internal.into_response(),
        }
    }
}

/// Reads a whole body of at most `limit_bytes`.
///
/// # Errors
/// [`Problem::TooLarge`], or [`Problem::InvalidRequest`] for a body that breaks off.
pub async fn read(body: Body, limit_bytes: usize) -> Result<bytes::Bytes, Problem> {
    match Limited::new(body, limit_bytes).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(e) if e.is::<LengthLimitError>() => Err(Problem::TooLarge { limit_bytes }),
        Err(_) => Err(Problem::invalid("body")),
    }
}

fn is_json(value: Option<&HeaderValue>) -> bool {
    value
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// Where a body departs from its type. serde's own message may quote the body, so it is not used.
fn place_of(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => "is not JSON",
        serde_json::error::Category::Eof => "ends too early",
        serde_json::error::Category::Data => "does not fit its type",
    };
    format!("the body {what} at line {}, column {}", error.line(), error.column())
}
