//! Every layer around the routes, outermost first, each with its reason.
//!
//! request id → log line → security headers → limits (size, rate, time, number) → signature over the body as sent →
//! EHBP open → problem rendering → route → EHBP seal.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use cloister_protocol::ids::RequestId;

use crate::app::AppState;
use crate::problem::{Problem, Shape};

/// Layers around every route.
pub(crate) fn outer(_state: &AppState, router: Router<AppState>) -> Router<AppState> {
    router.layer(from_fn(render_problems)).layer(from_fn(name_request))
}

/// Layers around the private surfaces, inside of [`outer`].
pub(crate) fn private(_state: &AppState, router: Router<AppState>) -> Router<AppState> {
    router.layer(from_fn(render_problems))
}

/// Gives the request its id, which is random and ours: a caller's own id is not taken over.
async fn name_request(mut request: Request, next: Next) -> Response {
    let mut random = [0; 16];
    if getrandom::fill(&mut random).is_err() {
        return next.run(request).await;
    }
    let id = RequestId::from_random(random);
    request.extensions_mut().insert(id);
    let mut response = next.run(request).await;
    if let Ok(value) = id.to_string().parse() {
        response.headers_mut().insert("x-request-id", value);
    }
    response
}

/// Gives a problem the request's id and the shape of its surface. Stands inside of EHBP as well as outside, because
/// a problem of a handler is encrypted and a problem of a layer is not.
async fn render_problems(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().copied();
    let shape = if request.uri().path().starts_with("/v1/") { Shape::OpenAi } else { Shape::Problem };
    let mut response = next.run(request).await;
    match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem.render(id, shape),
        None => response,
    }
}
