//! The bytes of a response on their way out.

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use cloister_attestation::encoding::Hex;
use http_body_util::BodyExt;
use sha2::{Digest as _, Sha256};

use super::Receipting;
use crate::app::AppState;

struct Watched {
    body: Body,
    hasher: Sha256,
    app: AppState,
    receipting: Receipting,
}

/// Names the receipt in the response's head, and writes it between the last byte and the end of the body.
pub(crate) fn watch(app: AppState, receipting: Receipting, response: Response) -> Response {
    let id = receipting.id().and_then(|id| HeaderValue::from_str(&id).ok());
    let Some(id) = id else { return response };
    let (mut parts, body) = response.into_parts();
    parts.headers.insert("x-receipt-id", id);
    // A client that counts bytes would not wait for the end.
    parts.headers.remove(header::CONTENT_LENGTH);
    let watched = Watched { body, hasher: Sha256::new(), app, receipting };
    Response::from_parts(parts, Body::from_stream(futures::stream::unfold(Some(watched), next)))
}

async fn next(watched: Option<Watched>) -> Option<(Result<Bytes, axum::Error>, Option<Watched>)> {
    let mut watched = watched?;
    loop {
        match watched.body.frame().await {
            Some(Ok(frame)) => {
                // Trailers are not sent here.
                let Ok(bytes) = frame.into_data() else { continue };
                watched.hasher.update(&bytes);
                return Some((Ok(bytes), Some(watched)));
            }
            Some(Err(error)) => return Some((Err(error), None)),
            None => return watched.end().await.map(|error| (Err(error), None)),
        }
    }
}

impl Watched {
    /// Writes the receipt, also for a client that hangs up after the last byte.
    async fn end(self) -> Option<axum::Error> {
        let Self { hasher, app, receipting, .. } = self;
        let returned = Hex(hasher.finalize().into());
        let now_ms = app.clock.now_ms();
        let writing = app.clone().tracker.spawn(async move {
            receipting.finish(returned, app.aci_keyset(now_ms).digest(), app.keyset.receipt(), now_ms).await
        });
        match writing.await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(axum::Error::new(error)),
            Err(error) => Some(axum::Error::new(error)),
        }
    }
}
