//! EHBP around the private routes: opens the request, runs the route, seals whatever it answers, errors included.
//!
//! The order is that of the specification's server algorithm: the first frame is opened before the handler runs, so
//! that nothing happens on behalf of a sender who does not hold the key.

use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError};

use super::body::{OpenedBody, SealedBody};
use super::{ENCAPSULATED_KEY, Error, FrameLimits, KeyRing, Opener, RESPONSE_NONCE, ReplayCache, Sealer};
use crate::problem::Problem;

/// How a request's body came: an extension of every request behind this layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// Protected by TLS alone.
    Plain,
    /// Encrypted to an attested key of this enclave.
    Encrypted,
}

/// What the layer needs.
#[derive(Debug)]
pub struct Ehbp {
    /// The keys that open requests.
    pub keys: KeyRing,
    /// Encapsulated keys that were used.
    pub replays: ReplayCache,
}

/// The layer, with the bound on a body that its routes have.
#[derive(Debug, Clone)]
pub struct EhbpLayer {
    /// Shared by all routes.
    pub ehbp: Arc<Ehbp>,
    /// The most plaintext in one frame: the body limit, because browsers send a body as one frame.
    pub frame_bytes: usize,
}

const EMPTY_FRAMES: u32 = 64;

/// Why the request did not get to its route.
enum Refused {
    Ehbp(Error),
    /// The body could not be read, or is over the limit of the layer outside.
    Body(Problem),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Ehbp(error)
    }
}

/// Opens and seals. A request without the header passes through in plaintext, marked as such.
pub async fn open_and_seal(State(layer): State<EhbpLayer>, mut request: Request, next: Next) -> Response {
    let Some(enc) = request.headers().get(ENCAPSULATED_KEY).cloned() else {
        request.extensions_mut().insert(Channel::Plain);
        return next.run(request).await;
    };
    if request.headers().get_all(ENCAPSULATED_KEY).iter().count() != 1 {
        return Problem::from(Error::EncapsulatedKey).into_response();
    }
    let failure = Arc::new(OnceLock::new());
    let (request, sealer) = match open(&layer, request, &enc, &failure).await {
        Ok(opened) => opened,
        Err(Refused::Ehbp(error)) => return Problem::from(error).into_response(),
        Err(Refused::Body(problem)) => return problem.into_response(),
    };
    let response = next.run(request).await;
    match failure.get() {
        Some(error) => Problem::from(*error).into_response(),
        None => seal(response, sealer),
    }
}

async fn open(
    layer: &EhbpLayer,
    request: Request,
    enc: &HeaderValue,
    failure: &Arc<OnceLock<Error>>,
) -> Result<(Request, Sealer), Refused> {
    let limits = FrameLimits { frame_bytes: layer.frame_bytes, empty_frames: EMPTY_FRAMES };
    let mut opener = Opener::new(&layer.ehbp.keys, enc.as_bytes(), limits)?;
    let (mut parts, mut body) = request.into_parts();
    let first = first_frame(&mut opener, &mut body, layer.frame_bytes).await?;
    if !layer.ehbp.replays.record(opener.enc()) {
        return Err(Error::Replayed.into());
    }
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).map_err(|_| Error::Random)?;
    let sealer = opener.sealer(nonce)?;
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.extensions.insert(Channel::Encrypted);
    let body = Body::new(OpenedBody::new(first, body, opener, Arc::clone(failure)));
    Ok((Request::from_parts(parts, body), sealer))
}

/// Reads until one frame is open.
async fn first_frame(opener: &mut Opener, body: &mut Body, limit_bytes: usize) -> Result<Bytes, Refused> {
    loop {
        if let Some(plaintext) = opener.next_frame()? {
            return Ok(plaintext);
        }
        match body.frame().await {
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    opener.push(&bytes);
                }
            }
            Some(Err(error)) => return Err(Refused::Body(unreadable(error, limit_bytes))),
            None => {
                opener.finish()?;
                return Err(Error::NothingAuthenticated.into());
            }
        }
    }
}

fn unreadable(error: axum::Error, limit_bytes: usize) -> Problem {
    if error.into_inner().is::<LengthLimitError>() {
        Problem::TooLarge { limit_bytes }
    } else {
        Problem::invalid("body")
    }
}

fn seal(response: Response, sealer: Sealer) -> Response {
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.remove(header::TRANSFER_ENCODING);
    match HeaderValue::from_str(&sealer.nonce_header()) {
        Ok(nonce) => parts.headers.insert(RESPONSE_NONCE, nonce),
        Err(_) => return Problem::Internal.into_response(),
    };
    Response::from_parts(parts, Body::new(SealedBody::new(body, sealer)))
}
