//! What the proxy itself says to a client: its state, and errors in the shape that OpenAI clients know.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use super::forward::{Body, Failed};
use super::gate;
use crate::report::Report;

/// The state of the proxy.
pub(super) fn status(appliance: &str, report: Option<&Report>) -> Response<Body> {
    let state = json!({ "proxy": "cloister-verify", "appliance": appliance, "last_verification": report });
    of(StatusCode::OK, &state)
}

/// A request that goes nowhere.
pub(super) fn refused(refused: gate::Refused) -> Response<Body> {
    let (status, code) = match refused {
        gate::Refused::Host => (StatusCode::MISDIRECTED_REQUEST, "wrong_host"),
        gate::Refused::Browser => (StatusCode::FORBIDDEN, "browser_refused"),
        gate::Refused::Path => (StatusCode::NOT_FOUND, "unknown_path"),
    };
    of(status, &error(&refused.to_string(), "invalid_request_error", code))
}

/// A body that cannot be taken.
pub(super) fn unreadable(too_large: Option<usize>) -> Response<Body> {
    let (status, message) = match too_large {
        Some(limit) => (StatusCode::PAYLOAD_TOO_LARGE, format!("the request is larger than {limit} bytes")),
        None => (StatusCode::REQUEST_TIMEOUT, "the request did not arrive whole".to_owned()),
    };
    of(status, &error(&message, "invalid_request_error", "unreadable_request"))
}

/// A request that got no answer.
pub(super) fn failed(failed: &Failed) -> Response<Body> {
    match failed {
        Failed::NotVerified(report) => of(StatusCode::BAD_GATEWAY, &not_verified(report)),
        Failed::Unreachable(reason) => {
            let message = format!("the appliance cannot be reached: {reason}");
            of(StatusCode::BAD_GATEWAY, &error(&message, "server_error", "appliance_unreachable"))
        }
        Failed::TooSlow => {
            let message = "the appliance did not begin to answer in time";
            of(StatusCode::GATEWAY_TIMEOUT, &error(message, "server_error", "appliance_too_slow"))
        }
        Failed::Protocol(reason) => {
            let message = format!("the appliance does not speak as it should: {reason}");
            of(StatusCode::BAD_GATEWAY, &error(&message, "server_error", "appliance_protocol"))
        }
    }
}

/// Names the check that decided, and what to do about it.
fn not_verified(report: &Report) -> Value {
    let decisive = report.decisive();
    let id = decisive.map_or("doc.format", |check| check.id);
    let reason = decisive.map_or_else(|| report.error.clone().unwrap_or_default(), |check| check.reason.clone());
    let fix = decisive.and_then(|check| check.fix);
    let mut message = format!("the appliance was refused and nothing was sent to it: {id}: {reason}");
    if let Some(fix) = fix {
        message = format!("{message}. What to do: {fix}");
    }
    let mut error = error(&message, "server_error", "appliance_not_verified");
    if let Some(details) = error.get_mut("error").and_then(Value::as_object_mut) {
        details.insert("check".to_owned(), id.into());
        details.insert("fix".to_owned(), fix.into());
    }
    error
}

fn error(message: &str, kind: &str, code: &str) -> Value {
    json!({ "error": { "message": message, "type": kind, "param": null, "code": code } })
}

fn of(status: StatusCode, value: &Value) -> Response<Body> {
    let body = Full::new(format!("{value:#}\n").into()).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    for (name, value) in
        [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store"), (X_CONTENT_TYPE_OPTIONS, "nosniff")]
    {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
