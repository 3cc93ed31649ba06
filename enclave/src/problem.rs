//! The one table from what went wrong to what the caller is told: RFC 9457 problem documents.
//!
//! Every domain error becomes a [`Problem`] here, by an exhaustive `match` without a `_` arm, so that a new error
//! cannot reach a caller unnoticed. A problem carries no text of a peer and no source of ours; under `/v1` it is
//! rendered in the shape that OpenAI clients expect.

mod domains;

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cloister_protocol::ids::RequestId;
use serde_json::{Map, Value, json};

/// What a request came to, when not to an answer. Each variant is one row of the table in ARCHITECTURE.md.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// Cannot be parsed, a bad field, trailing bytes.
    InvalidRequest {
        /// The field, or the part of the request; never its value.
        field: Cow<'static, str>,
    },
    /// No credentials, or wrong ones.
    Unauthenticated,
    /// The caller is known and may not do this.
    Forbidden,
    /// A peer's evidence does not verify.
    EvidenceRejected {
        /// The id of the check that failed.
        claim: &'static str,
    },
    /// A peer's evidence is true and the policy refuses it.
    PolicyDenied {
        /// The id of the check that failed.
        claim: &'static str,
    },
    /// There is no such thing, or the caller may not know that there is.
    NotFound,
    /// The state of things forbids it: a replay, a duplicate, a lost race.
    Conflict {
        /// What stands in the way, written for the caller.
        detail: &'static str,
    },
    /// The request pins sessions of an ACI aggregator, of which a direct service has none.
    SessionNotAccepted,
    /// The request is larger than the limit.
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// A stale or unknown HPKE key, or a body that does not decrypt: one answer for all, so that it is no oracle.
    KeyConfig,
    /// Over a rate or a queue limit.
    TooManyRequests {
        /// When to try again, in seconds.
        retry_after_s: u32,
    },
    /// A bug of ours, or a source that has no row.
    Internal,
    /// Not yet attested, a part is down, or the process is draining.
    Unavailable {
        /// When to try again, in seconds.
        retry_after_s: u32,
    },
    /// A deadline passed.
    Timeout,
}

/// The constant half of a row.
struct Row {
    status: StatusCode,
    slug: &'static str,
    title: &'static str,
    openai_type: &'static str,
}

/// Slugs of all problems, as the API document lists them.
pub const SLUGS: [&str; 14] = [
    "invalid-request",
    "unauthenticated",
    "forbidden",
    "evidence-rejected",
    "policy-denied",
    "not-found",
    "conflict",
    "session-not-accepted",
    "too-large",
    "key-config",
    "too-many-requests",
    "internal",
    "unavailable",
    "timeout",
];

/// The media type of RFC 9457.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// The problem type that EHBP clients look for (EHBP SPEC 5.4.4).
pub const EHBP_KEY_CONFIG: &str = "urn:ietf:params:ehbp:error:key-config";

impl Problem {
    /// A bad field or part of a request, by name.
    #[must_use]
    pub fn invalid(field: impl Into<Cow<'static, str>>) -> Self {
        Self::InvalidRequest { field: field.into() }
    }

    /// The HTTP status, never 2xx.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.row().status
    }

    /// The last part of the problem type, such as `not-found`.
    #[must_use]
    pub fn slug(&self) -> &'static str {
        self.row().slug
    }

    fn row(&self) -> Row {
        let (status, slug, title, openai_type) = match self {
            Self::InvalidRequest { .. } => {
                (StatusCode::BAD_REQUEST, "invalid-request", "The request is malformed", "invalid_request_error")
            }
            Self::Unauthenticated => {
                (StatusCode::UNAUTHORIZED, "unauthenticated", "Valid credentials are needed", "invalid_request_error")
            }
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "The caller may not do this", "permission_error"),
            Self::EvidenceRejected { .. } => {
                (StatusCode::FORBIDDEN, "evidence-rejected", "The evidence does not verify", "permission_error")
            }
            Self::PolicyDenied { .. } => {
                (StatusCode::FORBIDDEN, "policy-denied", "The policy refuses the evidence", "permission_error")
            }
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "There is no such thing", "invalid_request_error"),
            Self::Conflict { .. } => {
                (StatusCode::CONFLICT, "conflict", "The current state forbids this", "invalid_request_error")
            }
            Self::SessionNotAccepted => (
                StatusCode::PRECONDITION_FAILED,
                "session-not-accepted",
                "None of the pinned sessions can serve",
                "session_not_accepted",
            ),
            Self::TooLarge { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The request is too large", "invalid_request_error")
            }
            Self::KeyConfig => {
                (StatusCode::UNPROCESSABLE_ENTITY, "key-config", "failed to decrypt request", "invalid_request_error")
            }
            Self::TooManyRequests { .. } => {
                (StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests", "rate_limit_error")
            }
            Self::Internal => {
                (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong here", "server_error")
            }
            Self::Unavailable { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not available right now", "server_error")
            }
            Self::Timeout => (StatusCode::GATEWAY_TIMEOUT, "timeout", "It took too long", "server_error"),
        };
        Row { status, slug, title, openai_type }
    }

    /// The sentence written for the caller, where the row has one.
    fn detail(&self) -> Option<String> {
        match self {
            Self::InvalidRequest { field } => Some(field.to_string()),
            Self::EvidenceRejected { claim } | Self::PolicyDenied { claim } => Some((*claim).to_owned()),
            Self::Conflict { detail } => Some((*detail).to_owned()),
            Self::TooLarge { limit_bytes } => Some(format!("the limit is {limit_bytes} bytes")),
            Self::Unauthenticated
            | Self::Forbidden
            | Self::NotFound
            | Self::SessionNotAccepted
            | Self::KeyConfig
            | Self::TooManyRequests { .. }
            | Self::Internal
            | Self::Unavailable { .. }
            | Self::Timeout => None,
        }
    }

    const fn retry_after_s(&self) -> Option<u32> {
        match self {
            Self::TooManyRequests { retry_after_s } | Self::Unavailable { retry_after_s } => Some(*retry_after_s),
            Self::InvalidRequest { .. }
            | Self::Unauthenticated
            | Self::Forbidden
            | Self::EvidenceRejected { .. }
            | Self::PolicyDenied { .. }
            | Self::NotFound
            | Self::Conflict { .. }
            | Self::SessionNotAccepted
            | Self::TooLarge { .. }
            | Self::KeyConfig
            | Self::Internal
            | Self::Timeout => None,
        }
    }

    /// The response for a request with this id, in the shape that its surface speaks.
    #[must_use]
    pub fn render(&self, request_id: Option<RequestId>, shape: Shape) -> Response {
        let row = self.row();
        // An EHBP client recognises a stale key by media type and problem type, whatever the route.
        let (media_type, body) = match (shape, self) {
            (Shape::OpenAi | Shape::Aci, Self::KeyConfig) | (Shape::Problem, _) => {
                (MEDIA_TYPE, self.document(&row, request_id))
            }
            (Shape::OpenAi, _) => ("application/json", self.openai(&row, row.openai_type)),
            (Shape::Aci, Self::Unauthenticated) => ("application/json", self.openai(&row, "unauthorized")),
            (Shape::Aci, Self::NotFound) => ("application/json", self.openai(&row, "not_found")),
            (Shape::Aci, _) => ("application/json", self.openai(&row, row.openai_type)),
        };
        let mut response = (row.status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        if let Some(seconds) = self.retry_after_s() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if matches!(self, Self::Unauthenticated) {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"cloister\""));
        }
        response
    }

    fn document(&self, row: &Row, request_id: Option<RequestId>) -> Value {
        let kind = if matches!(self, Self::KeyConfig) {
            EHBP_KEY_CONFIG.to_owned()
        } else {
            format!("urn:cloister:problem:{}", row.slug)
        };
        let mut document = Map::new();
        document.insert("type".to_owned(), kind.into());
        document.insert("title".to_owned(), row.title.into());
        document.insert("status".to_owned(), row.status.as_u16().into());
        document.extend(self.detail().map(|detail| ("detail".to_owned(), detail.into())));
        document.extend(request_id.map(|id| ("instance".to_owned(), format!("urn:uuid:{id}").into())));
        document.into()
    }

    fn openai(&self, row: &Row, kind: &'static str) -> Value {
        let message = self.detail().map_or_else(|| row.title.to_owned(), |detail| format!("{}: {detail}", row.title));
        json!({ "error": { "message": message, "type": kind, "param": null, "code": row.slug } })
    }
}

/// The shape of an error on a surface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// RFC 9457.
    Problem,
    /// `{"error": {…}}`, as under `/v1`.
    OpenAi,
    /// The same with the types that ACI defines (its section 10), as under `/v1/aci`.
    Aci,
}

/// The middleware renders the response again with the request's id and in the shape of its surface.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.render(None, Shape::Problem);
        response.extensions_mut().insert(self);
        response
    }
}
