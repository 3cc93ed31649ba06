//! From the events of an answer to the bytes of a response: gathered on a tick, padded, kept alive.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use cloister_protocol::api::AnswerEvent;
use futures::Stream;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout, timeout_at};

use super::sse;

/// A response of server-sent events; `encode` turns each event into bytes of one or more events, or skips it.
pub fn respond<E>(events: Receiver<AnswerEvent>, encode: E) -> Response
where
    E: FnMut(AnswerEvent) -> Option<Bytes> + Send + 'static,
{
    let body =
        Body::from_stream(futures::StreamExt::map(bytes(events, encode, HEARTBEAT), Ok::<_, std::convert::Infallible>));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, body).into_response()
}

const HEARTBEAT: Duration = Duration::from_millis(sse::HEARTBEAT_MS);

struct Gathering<E> {
    events: Receiver<AnswerEvent>,
    /// An event that ended the gathering of text before it.
    next: Option<AnswerEvent>,
    encode: E,
}

fn bytes<E>(events: Receiver<AnswerEvent>, encode: E, heartbeat: Duration) -> impl Stream<Item = Bytes> + Send
where
    E: FnMut(AnswerEvent) -> Option<Bytes> + Send,
{
    let state = Gathering { events, next: None, encode };
    futures::stream::unfold(state, move |mut state| async move {
        loop {
            let event = match state.next.take() {
                Some(event) => event,
                None => match timeout(heartbeat, state.events.recv()).await {
                    Ok(event) => event?,
                    Err(_) => return Some((sse::heartbeat(), state)),
                },
            };
            let event = state.gather(event).await;
            if let Some(bytes) = (state.encode)(event) {
                return Some((bytes, state));
            }
        }
    })
}

impl<E> Gathering<E> {
    /// Joins text that arrives within a tick. Text is only released when the tick is over, so that neither the size
    /// nor the moment of an event tells of one token.
    async fn gather(&mut self, event: AnswerEvent) -> AnswerEvent {
        let AnswerEvent::Delta { mut text } = event else { return event };
        let end = Instant::now() + Duration::from_millis(sse::TICK_MS);
        while let Ok(Some(event)) = timeout_at(end, self.events.recv()).await {
            if let AnswerEvent::Delta { text: more } = event {
                text.push_str(&more);
            } else {
                self.next = Some(event);
                break;
            }
        }
        AnswerEvent::Delta { text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;
    use tokio::sync::mpsc;

    #[tokio::test]
    async fn text_is_gathered_on_a_tick_and_other_events_keep_their_place() {
        let (sender, receiver) = mpsc::channel(16);
        let text = |text: &str| AnswerEvent::Delta { text: text.into() };
        for event in [text("a"), text("b"), AnswerEvent::Queued { ahead: 1 }, text("c"), text("d")] {
            sender.send(event).await.unwrap();
        }
        drop(sender);
        let all: Vec<Bytes> = bytes(receiver, |event| Some(sse::answer_event(&event)), HEARTBEAT).collect().await;
        let all: Vec<String> = all.iter().map(|b| String::from_utf8(b.to_vec()).unwrap()).collect();
        let data = |s: &String| s.lines().find_map(|l| l.strip_prefix("data: ").map(str::to_owned));
        assert_eq!(
            all.iter().filter_map(data).collect::<Vec<_>>(),
            [r#"{"text":"ab"}"#, r#"{"ahead":1}"#, r#"{"text":"cd"}"#]
        );
    }

    #[tokio::test]
    async fn silence_is_filled_with_heartbeats() {
        let (sender, receiver) = mpsc::channel::<AnswerEvent>(1);
        let mut stream = Box::pin(bytes(receiver, |event| Some(sse::answer_event(&event)), Duration::from_millis(5)));
        assert_eq!(stream.next().await, Some(sse::heartbeat()));
        assert_eq!(stream.next().await, Some(sse::heartbeat()));
        drop(sender);
        assert_eq!(stream.next().await, None);
    }
}
