//! Server-sent events (WHATWG HTML, 9.2) with heartbeats, so that a relay or a browser does not take a model that
//! thinks for a connection that died.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::{HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt};
use serde::Serialize;

/// Below the idle time-outs of common proxies and far below the stall limit of a connection.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// A named event with JSON data; `None` if the data cannot be written as JSON, which no wire type does.
pub fn event<T: Serialize>(name: &str, data: &T) -> Option<Event> {
    Event::default().event(name).json_data(data).ok()
}

/// An unnamed event with JSON data, as OpenAI streams have.
pub fn data<T: Serialize>(data: &T) -> Option<Event> {
    Event::default().json_data(data).ok()
}

/// A response that sends each event as it comes, and a comment when none came for a while.
pub fn response(events: impl Stream<Item = Event> + Send + 'static) -> Response {
    let stream = events.map(Ok::<_, Infallible>);
    let mut response = Sse::new(stream).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response();
    // Proxies must neither keep nor collect it.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
