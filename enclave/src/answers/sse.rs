//! Server-sent events whose size says little about the text in them.
//!
//! An eavesdropper who sees the size of every encrypted event learns the length of every token, and from those
//! lengths often the topic ("Whisper Leak", arXiv 2511.03675). So text is gathered on a tick before it is sent, and
//! every event is filled up to a multiple of [`BUCKET`] bytes by a comment line, which clients skip.

use std::fmt::Write as _;

use bytes::Bytes;
use cloister_protocol::api::AnswerEvent;
use serde::Serialize;
use serde_json::json;

/// Every event's size is a multiple of this many bytes.
pub const BUCKET: usize = 256;
/// How long text is gathered before it is sent, milliseconds.
pub const TICK_MS: u64 = 50;
/// How long a stream may be silent before a heartbeat, milliseconds.
pub const HEARTBEAT_MS: u64 = 10_000;

/// The bytes of `: ` before the filling and the two line ends after it: one of the comment, one that parts it.
const COMMENT_BYTES: usize = 3;

/// One event of the native API: `event: <name>`, `data: <json>`, filled up.
#[must_use]
pub fn answer_event(event: &AnswerEvent) -> Bytes {
    // Written directly and not by way of `Value`, which would widen scores to f64 and print other digits of them.
    let (name, data) = match event {
        AnswerEvent::Started { message_id } => ("started", json!({ "message_id": message_id }).to_string()),
        AnswerEvent::Queued { ahead } => ("queued", json!({ "ahead": ahead }).to_string()),
        AnswerEvent::Delta { text } => ("delta", json!({ "text": text }).to_string()),
        AnswerEvent::Citation(citation) => ("citation", written(citation)),
        AnswerEvent::Done(done) => ("done", written(done)),
        AnswerEvent::Failed { problem } => ("failed", json!({ "problem": problem }).to_string()),
    };
    padded(&format!("event: {name}\ndata: {data}\n\n"))
}

fn written(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("wire types have string keys and no failing serializer")
}

/// One event of the OpenAI-compatible API: `data: <json>` alone, filled up.
#[must_use]
pub fn data_event(data: &str) -> Bytes {
    padded(&format!("data: {data}\n\n"))
}

/// A comment of one bucket, which keeps the connection open.
#[must_use]
pub fn heartbeat() -> Bytes {
    padded("\n")
}

/// `event` behind a comment line that fills it up to a multiple of [`BUCKET`].
fn padded(event: &str) -> Bytes {
    let least = event.len() + COMMENT_BYTES;
    let fill = least.div_ceil(BUCKET) * BUCKET - least;
    let mut out = String::with_capacity(least + fill);
    // A constant filling would do against an observer of sizes; it is the encryption that hides it.
    let _ = writeln!(out, ": {}", "~".repeat(fill));
    out.push_str(event);
    Bytes::from(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_named_and_hold_what_the_wire_type_holds() {
        let delta = AnswerEvent::Delta { text: "a\nb".to_owned() };
        let text = String::from_utf8(answer_event(&delta).to_vec()).expect("text");
        let value = serde_json::to_value(&delta).expect("json");
        assert!(text.ends_with(&format!("event: {}\ndata: {}\n\n", "delta", value["data"])), "{text}");
    }

    #[test]
    fn every_event_fills_buckets() {
        for length in [0, 1, 200, 220, 221, 222, 223, 224, 5000] {
            let event = answer_event(&AnswerEvent::Delta { text: "x".repeat(length) });
            assert_eq!(event.len() % BUCKET, 0, "{length}");
            let text = std::str::from_utf8(&event).unwrap();
            let (comment, rest) = text.split_once('\n').unwrap();
            assert!(comment.starts_with(": "));
            assert!(rest.starts_with("event: delta\ndata: {\"text\":\"") && rest.ends_with("\n\n"));
        }
        assert_eq!(heartbeat().len(), BUCKET);
        assert_eq!(data_event("[DONE]").len(), BUCKET);
    }

    #[test]
    fn line_ends_in_text_stay_inside_the_data_line() {
        let event = answer_event(&AnswerEvent::Delta { text: "a\n\nb\r".into() });
        let text = std::str::from_utf8(&event).unwrap();
        assert_eq!(text.lines().filter(|l| l.starts_with("data: ")).count(), 1);
        assert!(text.contains(r#"{"text":"a\n\nb\r"}"#));
    }
}
