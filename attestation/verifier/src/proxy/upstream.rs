//! Connections to the appliance: none is handed out before the evidence for that very connection was accepted.
//!
//! HTTP/2 carries all requests over one connection, so that one verification, and one report of the hardware, serves many
//! of them. Nothing but the request for evidence is sent over a connection that was not accepted.

use std::sync::Arc;
use std::time::Duration;

use cloister_attestation::document;
use cloister_policies::appraisal::Verdict;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use super::MAX_CONNECTIONS;
use crate::connection::{Connection, Http};
use crate::failure::Failure;
use crate::fetch::document_path;
use crate::input;
use crate::judge::Judge;
use crate::live::{self, Answer, ChannelArgs, Seen};
use crate::report::Report;
use crate::target::Target;

/// From the first byte to the verdict. Hardware may take seconds to sign.
const DEADLINE: Duration = Duration::from_secs(30);
/// A silent appliance is asked whether it is still there, so that requests do not wait for a dead connection.
const PING_EVERY: Duration = Duration::from_secs(15);
const PING_DEADLINE: Duration = Duration::from_secs(10);
/// What one answer may be ahead of its reader. A client that does not read holds back its own answer and no other's.
const STREAM_WINDOW: u32 = 256 * 1024;

/// Why there is no verified connection.
#[derive(Debug, Clone)]
pub(super) enum Refusal {
    /// Nobody answers, or not as an appliance does: it may be down for a moment.
    Unreachable(String),
    /// It answers and is refused.
    NotVerified(Arc<Report>),
}

/// A connection whose evidence was accepted.
pub(super) struct Verified {
    /// Takes requests.
    pub(super) sender: SendRequest<Full<Bytes>>,
    /// Its appliance, as in a URL.
    pub(super) origin: String,
    /// The attested key to encrypt to.
    pub(super) hpke_key: [u8; 32],
    /// The verdict.
    pub(super) report: Arc<Report>,
    /// When to verify again.
    good_until: Instant,
}

impl Verified {
    /// Whether a new request may be sent over it.
    pub(super) fn is_usable(&self) -> bool {
        Instant::now() < self.good_until && !self.sender.is_closed()
    }
}

/// Makes verified connections.
pub(super) struct Upstream {
    /// Where the appliance is.
    pub(super) target: Target,
    judge: Judge,
    terms: ChannelArgs,
    max_age: Duration,
    tasks: TaskTracker,
}

impl Upstream {
    /// For the appliance at `target`, on these terms.
    pub(super) const fn new(
        target: Target,
        judge: Judge,
        terms: ChannelArgs,
        max_age: Duration,
        tasks: TaskTracker,
    ) -> Self {
        Self { target, judge, terms, max_age, tasks }
    }

    /// Connects, asks for evidence over the connection, and judges it.
    pub(super) async fn connect(&self) -> Result<Verified, Refusal> {
        match timeout(DEADLINE, self.verify()).await {
            Ok(verified) => verified,
            Err(_) => Err(Refusal::Unreachable(format!("no answer within {} s", DEADLINE.as_secs()))),
        }
    }

    async fn verify(&self) -> Result<Verified, Refusal> {
        let machine = |failure: Failure| Refusal::Unreachable(failure.to_string());
        let nonce = input::random_nonce().map_err(machine)?;
        let tls = Connection::open(&self.target, Http::Two).await.map_err(Refusal::Unreachable)?;
        let seen = Seen::of(&tls, &nonce, self.terms.binding);
        let mut sender = self.speak_http(tls).await.map_err(Refusal::Unreachable)?;
        let path = document_path(&nonce, self.terms.binding);
        let document = self.document(&mut sender, &path).await.map_err(Refusal::Unreachable)?;
        let now_ms = input::now_ms().map_err(machine)?;
        let answer = Answer { document: &document, nonce, seen, published: None, memory: None, now_ms };
        let (report, established) = live::judge(&self.judge, &self.terms, &answer).map_err(machine)?;
        let established = established.filter(|_| report.verdict != Verdict::Rejected);
        let key = established.as_ref().and_then(|established| established.statement.hpke_keys.first());
        let (Some(established), Some(key)) = (&established, key) else {
            return Err(Refusal::NotVerified(Arc::new(report)));
        };
        let left = Duration::from_millis(established.valid_until_ms.saturating_sub(now_ms)).min(self.max_age);
        Ok(Verified {
            sender,
            origin: self.target.to_string(),
            hpke_key: key.0,
            report: Arc::new(report),
            good_until: Instant::now() + left,
        })
    }

    async fn speak_http(&self, tls: Connection) -> Result<SendRequest<Full<Bytes>>, String> {
        let streams = u32::try_from(MAX_CONNECTIONS).unwrap_or(u32::MAX);
        let handshake = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_DEADLINE)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(STREAM_WINDOW.saturating_mul(streams))
            .handshake(TokioIo::new(tls.stream));
        let (sender, connection) = handshake.await.map_err(|e| e.to_string())?;
        // Its errors show in the requests. It ends when the last sender and the last answer are gone.
        self.tasks.spawn(async move { drop(connection.await) });
        Ok(sender)
    }

    async fn document(&self, sender: &mut SendRequest<Full<Bytes>>, path: &str) -> Result<Vec<u8>, String> {
        let request = http::Request::get(format!("{}{path}", self.target)).body(Full::default());
        let request = request.map_err(|e| e.to_string())?;
        sender.ready().await.map_err(|e| e.to_string())?;
        let response: http::Response<Incoming> = sender.send_request(request).await.map_err(|e| e.to_string())?;
        if response.status() != http::StatusCode::OK {
            return Err(format!("answered {} when it was asked for evidence", response.status()));
        }
        let body = Limited::new(response.into_body(), document::MAX_BYTES).collect().await;
        body.map(|body| body.to_bytes().to_vec()).map_err(|_| "the evidence broke off, or is too large".to_owned())
    }
}
