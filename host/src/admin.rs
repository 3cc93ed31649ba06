//! Metrics and health for the machine's own operator, on a loopback port of their own.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Inbound;
use crate::metrics::Metrics;

/// What the health pages are answered from.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) inbound: Arc<Inbound>,
    pub(crate) stop: CancellationToken,
}

/// Serves until `cut`: a relay that drains still answers its operator.
pub(crate) async fn serve(listener: TcpListener, admin: Admin, tracker: TaskTracker, cut: CancellationToken) {
    loop {
        let stream = tokio::select! {
            biased;
            () = cut.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => continue,
            },
        };
        let (admin, cut) = (admin.clone(), cut.clone());
        tracker.spawn(async move {
            let service = service_fn(move |request| {
                let admin = admin.clone();
                async move { Ok::<_, Infallible>(admin.respond(&request).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(std::time::Duration::from_secs(5))
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                () = cut.cancelled() => (),
                _ = connection => (),
            }
        });
    }
}

impl Admin {
    async fn respond(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
        }
        match request.uri().path() {
            "/metrics" => text(StatusCode::OK, self.metrics.render()),
            "/healthz" => text(StatusCode::OK, "ok\n"),
            "/readyz" => self.readiness().await,
            _ => text(StatusCode::NOT_FOUND, "here are /metrics, /healthz and /readyz\n"),
        }
    }

    /// Ready means: not draining, and the enclave accepts connections.
    async fn readiness(&self) -> Response<Full<Bytes>> {
        if self.stop.is_cancelled() {
            return text(StatusCode::SERVICE_UNAVAILABLE, "draining\n");
        }
        match tokio::time::timeout(self.inbound.connect_timeout, self.inbound.upstream.connect()).await {
            Ok(Ok(_)) => text(StatusCode::OK, "ready\n"),
            Ok(Err(_)) | Err(_) => text(StatusCode::SERVICE_UNAVAILABLE, "the enclave does not accept connections\n"),
        }
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let plain = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}
