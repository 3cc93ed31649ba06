//! What a relying party reads before it sends a byte: evidence, and the key to encrypt to.

use axum::extract::{Extension, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::app::AppState;
use crate::ehbp::KEYS_MEDIA_TYPE;
use crate::problem::Problem;
use crate::serve::Exporter;

/// The query of the document.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentQuery {
    nonce: Option<String>,
    channel: Option<ChannelBinding>,
}

/// What a document is bound to besides its nonce.
#[derive(Debug, Clone, Copy, Deserialize)]
pub enum ChannelBinding {
    /// The TLS connection that asks for it.
    #[serde(rename = "tls-exporter")]
    TlsExporter,
}

/// The attestation document, fresh for a nonce or cached without one.
#[utoipa::path(
    get, path = "/.well-known/cloister/attestation", tag = "attestation",
    params(
        ("nonce" = Option<String>, Query, description = "64 lower-case hex digits; absent: the cached form"),
        ("channel" = Option<String>, Query, description = "`tls-exporter` adds the statement's `channel`: SHA-256 of the \
            exporter value of this connection, label `EXPORTER-cloister-attestation`, context the nonce, 32 bytes"),
    ),
    responses(
        (status = 200, description = "cloister/attestation-document/v1", content_type = "application/json"),
        (status = 400, description = "The nonce is malformed"),
        (status = 429, description = "Too many fresh reports"),
    )
)]
pub async fn document(
    State(app): State<AppState>,
    exporter: Option<Extension<Exporter>>,
    query: Result<Query<DocumentQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|_| Problem::invalid("query"))?;
    let nonce = query.nonce.as_deref().map(parse_nonce).transpose()?;
    if nonce.is_some() {
        app.limiter.attestation()?;
    }
    let channel = match (query.channel, nonce) {
        (None, _) => None,
        (Some(ChannelBinding::TlsExporter), None) => return Err(Problem::invalid("nonce")),
        (Some(ChannelBinding::TlsExporter), Some(nonce)) => {
            Some(exporter.and_then(|Extension(exporter)| exporter.channel(&nonce)).ok_or(Problem::Internal)?)
        }
    };
    let now_ms = app.clock.now_ms();
    let worker = app.clone();
    // Hardware takes milliseconds to sign, and the store is read.
    let minted = tokio::task::spawn_blocking(move || worker.attestation_document(nonce, channel, now_ms)).await;
    let document = minted.map_err(|_| Problem::Internal)??;
    Ok(([(header::CONTENT_TYPE, "application/json")], document).into_response())
}

/// The HPKE key configuration of RFC 9458, 41 bytes.
#[utoipa::path(
    get, path = "/.well-known/hpke-keys", tag = "attestation",
    responses((status = 200, description = "One key configuration", content_type = "application/ohttp-keys"))
)]
pub async fn hpke_keys(State(app): State<AppState>) -> Response {
    ([(header::CONTENT_TYPE, KEYS_MEDIA_TYPE)], app.ehbp.keys.key_config()).into_response()
}

/// A nonce as every door spells it: 64 lower-case hex digits.
pub(super) fn parse_nonce(text: &str) -> Result<[u8; 32], Problem> {
    let mut nonce = [0; 32];
    let is_lower = !text.bytes().any(|b| b.is_ascii_uppercase());
    match hex::decode_to_slice(text, &mut nonce) {
        Ok(()) if is_lower => Ok(nonce),
        Ok(()) | Err(_) => Err(Problem::invalid("nonce")),
    }
}
