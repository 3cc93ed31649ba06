//! The local port: plain HTTP/1.1, bounded in connections, heads and bodies.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::forward::{Body, Prepared, forward};
use super::gate::{Reach, Route, admit};
use super::pool::Pool;
use super::{MAX_CONNECTIONS, headers, log, reply};

const MAX_HEADERS: usize = 100;
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// The appliance has a limit of its own, by default lower.
const MAX_BODY_BYTES: usize = 8 << 20;
const BODY_DEADLINE: Duration = Duration::from_secs(60);
/// The head of a request has to come within this time; so long an unused connection stays open.
const HEAD_DEADLINE: Duration = Duration::from_secs(120);
/// Accepting fails for want of file descriptors, which others give back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What all connections share.
pub(super) struct Port {
    pool: Arc<Pool>,
    reach: Reach,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

impl Port {
    /// Serves from `pool` until `stopping`.
    pub(super) const fn new(pool: Arc<Pool>, reach: Reach, tasks: TaskTracker, stopping: CancellationToken) -> Self {
        Self { pool, reach, tasks, stopping }
    }

    /// Accepts connections until it is told to stop; those under way go on.
    pub(super) async fn accept(self, listener: TcpListener) {
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let shared = Arc::new(self);
        loop {
            let next = async {
                let permit = Arc::clone(&permits).acquire_owned().await;
                (listener.accept().await, permit)
            };
            let accepted = tokio::select! {
                accepted = next => accepted,
                () = shared.stopping.cancelled() => return,
            };
            match accepted {
                (Ok((stream, _)), Ok(permit)) => {
                    let connection = Arc::clone(&shared);
                    shared.tasks.spawn(async move {
                        connection.serve(stream).await;
                        drop(permit);
                    });
                }
                (Err(_), _) => sleep(ACCEPT_PAUSE).await,
                (_, Err(_)) => return,
            }
        }
    }

    async fn serve(&self, stream: TcpStream) {
        // Events must not wait for acknowledgements. Without it they are late, and that is all.
        stream.set_nodelay(true).ok();
        let service = service_fn(|request| async { Ok::<_, Infallible>(self.answer(request).await) });
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_DEADLINE)
                .max_headers(MAX_HEADERS)
                .max_buf_size(MAX_HEAD_BYTES)
                .serve_connection(TokioIo::new(stream), service)
        );
        // Errors here are of the client's making, or an answer that broke off: the client sees that itself. A client that
        // leaves ends the connection, and with it the request to the appliance.
        tokio::select! {
            _ = connection.as_mut() => return,
            () = self.stopping.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        drop(connection.await);
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let since = Instant::now();
        let (head, body) = request.into_parts();
        match admit(&head, self.reach) {
            Ok(Route::Forward) => (),
            Ok(Route::Status) => return reply::status(&self.pool.origin(), self.pool.last_report().await.as_deref()),
            Err(refused) => return reply::refused(refused),
        }
        let body = match read(body).await {
            Ok(body) => body,
            Err(unreadable) => return unreadable,
        };
        let path = head.uri.path().to_owned();
        let request = Prepared {
            path: head.uri.path_and_query().map_or_else(|| path.clone(), ToString::to_string),
            method: head.method,
            headers: headers::of_request(head.headers),
            body,
        };
        let response = forward(&self.pool, &request).await.unwrap_or_else(|failed| reply::failed(&failed));
        log::request(&request.method, &path, response.status(), since);
        response
    }
}

/// The whole body: a request that may have to be sent again cannot be passed on piece by piece.
async fn read(body: Incoming) -> Result<Bytes, Response<Body>> {
    match timeout(BODY_DEADLINE, Limited::new(body, MAX_BODY_BYTES).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(reply::unreadable(Some(MAX_BODY_BYTES))),
        Ok(Err(_)) | Err(_) => Err(reply::unreadable(None)),
    }
}
