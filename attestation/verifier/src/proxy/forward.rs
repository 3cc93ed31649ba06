//! One request to the appliance and back: sent over a verified connection, encrypted to the attested key, and sent anew
//! if the appliance or its key changed before anything of the answer was passed on.

use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::body::{self, Answer};
use super::ehbp::{self, ENCAPSULATED_KEY, Exchange, KEY_CONFIG_PROBLEM, RESPONSE_NONCE};
use super::headers;
use super::pool::Pool;
use super::upstream::{Refusal, Verified};
use crate::report::Report;

/// How long a request waits for an appliance that is being restarted.
const PATIENCE: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How often a request is sent. Its sender repeats it as readily, but does not verify again in between.
const MOST_SENDINGS: u32 = 3;
/// From the last byte of a request to the first of its answer: a long answer that is not streamed takes its time.
const HEAD_DEADLINE: Duration = Duration::from_secs(600);
/// The largest problem document that is looked into.
const MAX_PROBLEM_BYTES: usize = 64 * 1024;

/// The body of whatever the client gets.
pub(super) type Body = UnsyncBoxBody<Bytes, body::Error>;

/// A request as its client sent it, whole, so that it can be sent again.
pub(super) struct Prepared {
    /// Its method.
    pub(super) method: Method,
    /// Its path and query.
    pub(super) path: String,
    /// Its headers, without those of the hop.
    pub(super) headers: HeaderMap,
    /// Its body.
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failed {
    /// The appliance is refused; nothing was sent to it.
    NotVerified(Arc<Report>),
    /// The appliance cannot be reached, or its connections break.
    Unreachable(String),
    /// The appliance did not begin to answer in time.
    TooSlow,
    /// The answer is not what the protocol says.
    Protocol(String),
}

/// What came of one sending.
enum Sending {
    Answered(Response<Body>),
    /// The request may be sent again: the connection broke, or the key is not the appliance's any more.
    Again(&'static str),
    /// The connection was closed before anything of the request was sent: this was no sending.
    Unsent,
    Failed(Failed),
}

/// Gets an answer to `request`, verifying as often as it takes.
pub(super) async fn forward(pool: &Pool, request: &Prepared) -> Result<Response<Body>, Failed> {
    let give_up = Instant::now() + PATIENCE;
    let (mut sendings, mut pause) = (0, FIRST_PAUSE);
    loop {
        let reason = match pool.verified().await {
            Ok(verified) => match send(&verified, request).await {
                Sending::Answered(response) => return Ok(response),
                Sending::Failed(failed) => return Err(failed),
                Sending::Again(reason) => {
                    pool.discard(&verified).await;
                    sendings += 1;
                    reason.to_owned()
                }
                Sending::Unsent => {
                    pool.discard(&verified).await;
                    "the connection to the appliance was closed".to_owned()
                }
            },
            Err(Refusal::NotVerified(report)) => return Err(Failed::NotVerified(report)),
            Err(Refusal::Unreachable(reason)) => reason,
        };
        if sendings >= MOST_SENDINGS || Instant::now() + pause > give_up {
            return Err(Failed::Unreachable(reason));
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn send(verified: &Verified, request: &Prepared) -> Sending {
    let (outgoing, exchange) = match outgoing(verified, request) {
        Ok(sealed) => sealed,
        Err(reason) => return Sending::Failed(Failed::Protocol(reason)),
    };
    let mut sender = verified.sender.clone();
    if sender.ready().await.is_err() {
        return Sending::Unsent;
    }
    match timeout(HEAD_DEADLINE, sender.send_request(outgoing)).await {
        Ok(Ok(response)) => answer(response, exchange).await,
        Ok(Err(error)) if error.is_canceled() => Sending::Unsent,
        Ok(Err(_)) => Sending::Again("the connection to the appliance broke before it answered"),
        Err(_) => Sending::Failed(Failed::TooSlow),
    }
}

/// The request for this connection, its body encrypted to the key that the evidence of this connection names.
fn outgoing(verified: &Verified, request: &Prepared) -> Result<(Request<Full<Bytes>>, Option<Exchange>), String> {
    let mut outgoing = Request::new(Full::default());
    *outgoing.method_mut() = request.method.clone();
    *outgoing.uri_mut() = format!("{}{}", verified.origin, request.path).parse().map_err(|_| "path".to_owned())?;
    request.headers.clone_into(outgoing.headers_mut());
    // EHBP has no form for a request without a body (protocols, section 1): the verified TLS alone protects it.
    if request.body.is_empty() {
        return Ok((outgoing, None));
    }
    let sealed = ehbp::seal(&verified.hpke_key, &request.body).map_err(|error| error.to_string())?;
    let key = HeaderValue::from_str(&sealed.encapsulated_key).map_err(|error| error.to_string())?;
    outgoing.headers_mut().insert(ENCAPSULATED_KEY, key);
    *outgoing.body_mut() = Full::new(sealed.body);
    Ok((outgoing, Some(sealed.exchange)))
}

async fn answer(response: Response<Incoming>, exchange: Option<Exchange>) -> Sending {
    let (mut head, incoming) = response.into_parts();
    let Some(exchange) = exchange else { return passed_on(head, Answer::new(incoming, None).boxed_unsync()) };
    let Some(nonce) = head.headers.get(RESPONSE_NONCE) else {
        if head.status.is_success() {
            return Sending::Failed(Failed::Protocol("the answer is not encrypted".to_owned()));
        }
        if head.status == StatusCode::UNPROCESSABLE_ENTITY {
            return perhaps_another_key(head, incoming).await;
        }
        // Problems of the layers in front of the decryption, such as a rate limit.
        return passed_on(head, Answer::new(incoming, None).boxed_unsync());
    };
    match exchange.opener(nonce.as_bytes()) {
        Ok(opener) => {
            head.headers.remove(http::header::CONTENT_LENGTH);
            passed_on(head, Answer::new(incoming, Some(opener)).boxed_unsync())
        }
        Err(error) => Sending::Failed(Failed::Protocol(error.to_string())),
    }
}

/// The appliance has another HPKE key by now; or it says something else.
async fn perhaps_another_key(head: http::response::Parts, incoming: Incoming) -> Sending {
    let Ok(body) = Limited::new(incoming, MAX_PROBLEM_BYTES).collect().await else {
        return Sending::Again("the answer of the appliance broke off");
    };
    let body = body.to_bytes();
    let is_problem = head.headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "application/problem+json");
    let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
    if is_problem && problem.get("type").is_some_and(|kind| kind == KEY_CONFIG_PROBLEM) {
        return Sending::Again("the appliance does not have the key any more that its evidence named");
    }
    passed_on(head, Full::new(body).map_err(|never| match never {}).boxed_unsync())
}

fn passed_on(mut head: http::response::Parts, body: Body) -> Sending {
    head.headers = headers::of_answer(head.headers);
    head.version = http::Version::HTTP_11;
    Sending::Answered(Response::from_parts(head, body))
}
