//! The check of signed requests as a layer: outside of EHBP, because what is signed is the body as sent.
//!
//! The headers are verified before the body is read, so that nobody without a session can make the enclave hold a
//! body. A request without a signature passes through without credentials; its route decides whether it needs any.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

use super::{Claim, Refused, WINDOW_S, verify};
use crate::api::json;
use crate::identity::records::SessionKind;
use crate::identity::{Error, Identity};
use crate::problem::Problem;

/// What the layer needs.
#[derive(Debug, Clone)]
pub struct SignatureLayer {
    /// Knows the sessions.
    pub identity: Arc<Identity>,
    /// The most bytes of a body as sent.
    pub body_bytes: usize,
}

/// Lets unsigned requests pass, marks rightly signed ones with [`crate::identity::Authenticated`], refuses the rest.
pub async fn check(State(layer): State<SignatureLayer>, request: Request, next: Next) -> Response {
    match authenticate(&layer, request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn authenticate(layer: &SignatureLayer, request: Request) -> Result<Request, Problem> {
    let Some(claim) = Claim::parse(request.headers()).map_err(Error::Signature)? else { return Ok(request) };
    if request.headers().contains_key(header::AUTHORIZATION) {
        return Err(Error::Signature(Refused::Malformed).into());
    }
    let identity = &layer.identity;
    let now_ms = identity.now_ms();
    let session = identity.session(claim.session(), SessionKind::Signed, now_ms)?;
    let (mut parts, body) = request.into_parts();
    verify(&parts, &claim, &session.request_key, identity.started_ms, now_ms).map_err(Error::Signature)?;
    let body = json::read(body, layer.body_bytes).await?;
    let is_signed_body = *claim.content_digest() == <[u8; 32]>::from(Sha256::digest(&body));
    if !is_signed_body {
        return Err(Error::Signature(Refused::Digest).into());
    }
    // One second more than the window, because both ends of it are rounded to seconds.
    let expires_ms = claim.created_s().saturating_add(WINDOW_S + 1).saturating_mul(1000);
    identity.nonces.record(session.digest, claim.nonce(), expires_ms, now_ms).map_err(Error::Signature)?;
    identity.touch_session(session.digest, now_ms).await?;
    if !identity.is_approved(session.who.person)? {
        return Err(Error::Unauthenticated.into());
    }
    parts.extensions.insert(session.who);
    Ok(Request::from_parts(parts, Body::from(body)))
}
