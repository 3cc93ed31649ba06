//! The life of one connection.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::Peer;
use super::activity::{Activity, Verdict};
use super::exporter::SharedStream;
use super::proxy;
use crate::config::{Limits, ProxyHeader};

/// What all connections share.
pub(super) struct Shared {
    pub(super) router: Router,
    pub(super) tls: TlsAcceptor,
    pub(super) limits: Limits,
    pub(super) proxy_header: ProxyHeader,
    /// Finish what is under way.
    pub(super) stopping: CancellationToken,
    /// Finish now.
    pub(super) cut: CancellationToken,
}

/// Streams of one HTTP/2 connection that may be open at once.
const HTTP2_STREAMS: u32 = 100;

/// Serves a connection to its end. Its failures are the client's affair and are not logged one by one.
pub(super) async fn serve(shared: &Shared, stream: TcpStream, number: u64) {
    // Small event-stream writes must not wait for acknowledgements. Without it they are late, and that is all.
    stream.set_nodelay(true).ok();
    let handshake = timeout(shared.limits.handshake, shake_hands(shared, stream));
    let (stream, hint) = tokio::select! {
        done = handshake => match done {
            Ok(Some(done)) => done,
            Ok(None) | Err(_) => return,
        },
        () = shared.stopping.cancelled() => return,
    };
    speak_http(shared, stream, Peer { hint, connection: number }).await;
}

async fn shake_hands(
    shared: &Shared,
    mut stream: TcpStream,
) -> Option<(TlsStream<TcpStream>, Option<std::net::IpAddr>)> {
    let hint = match shared.proxy_header {
        ProxyHeader::Required => proxy::read(&mut stream).await.ok()?,
        ProxyHeader::Refused => None,
    };
    // A refused client has its alert already; why it was refused is its own affair.
    let stream = shared.tls.accept(stream).await.ok()?;
    Some((stream, hint))
}

/// The protocol is the one that the TLS handshake settled; there is no guessing from the first bytes.
async fn speak_http(shared: &Shared, stream: TlsStream<TcpStream>, peer: Peer) {
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let (stream, exporter) = SharedStream::new(stream);
    let activity = Activity::new();
    let service = {
        let activity = Arc::clone(&activity);
        service_fn(move |request: hyper::Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            request.extensions_mut().insert(exporter.clone());
            answer(shared.router.clone(), request, Arc::clone(&activity))
        })
    };
    let (io, limits) = (TokioIo::new(stream), &shared.limits);
    if is_http2 {
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
            .max_concurrent_streams(HTTP2_STREAMS)
            .keep_alive_interval(limits.header_read)
            .keep_alive_timeout(limits.write_stall)
            .serve_connection(io, service);
        supervise(shared, &activity, connection, http2::Connection::graceful_shutdown).await;
    } else {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_read)
            .max_headers(limits.headers)
            .max_header_size(limits.header_bytes)
            .serve_connection(io, service);
        supervise(shared, &activity, connection, http1::Connection::graceful_shutdown).await;
    }
}

/// Polls a connection to its end, which may be its own, an idle or stalled client's, or the process's.
async fn supervise<C: Future>(shared: &Shared, activity: &Activity, connection: C, finish_up: impl Fn(Pin<&mut C>)) {
    let mut connection = pin!(connection);
    let (idle, stall) = (shared.limits.idle, shared.limits.write_stall);
    let mut look_at = Instant::now() + idle.min(stall);
    let mut is_told_to_finish = false;
    loop {
        tokio::select! {
            // Errors here are of the client's making: resets, garbage, time-outs.
            _ = connection.as_mut() => return,
            () = shared.cut.cancelled() => return,
            () = shared.stopping.cancelled(), if !is_told_to_finish => {
                is_told_to_finish = true;
                finish_up(connection.as_mut());
            }
            () = sleep_until(look_at) => {
                let now = Instant::now();
                match activity.look(now, idle, stall) {
                    Verdict::LookAgain(at) => look_at = at,
                    Verdict::Stalled => return,
                    Verdict::Idle if is_told_to_finish => return,
                    Verdict::Idle => {
                        // HTTP/2 clients are told before the connection closes; they get a moment to hang up.
                        is_told_to_finish = true;
                        finish_up(connection.as_mut());
                        look_at = now + stall;
                    }
                }
            }
        }
    }
}

async fn answer(router: Router, request: Request, activity: Arc<Activity>) -> Result<Response, Infallible> {
    let exchange = activity.begin();
    let response = router.oneshot(request).await?;
    Ok(response.map(|body| exchange.watch(body)))
}
