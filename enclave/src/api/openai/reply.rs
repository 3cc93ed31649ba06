//! Answers in the shapes of chat completions.

use bytes::{Bytes, BytesMut};
use cloister_protocol::api::{AnswerDone, AnswerEvent, Citation};
use serde_json::{Value, json};

use crate::answers::sse;
use crate::problem::Problem;

/// What all parts of a reply share.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    /// `chatcmpl-…`.
    pub(super) id: String,
    /// Unix seconds.
    pub(super) created: u64,
    /// The model as the request named it.
    pub(super) model: String,
    /// The most tokens of the answer, for telling a cut answer from a whole one.
    pub(super) limit: u64,
    /// Whether the stream ends with the usage.
    pub(super) include_usage: bool,
}

impl Frame {
    /// The whole answer in one object.
    pub(super) fn completion(&self, done: &AnswerDone) -> Value {
        json!({
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [{
                "index": 0,
                "message": { "role": "assistant", "content": done.message.text, "refusal": null, "annotations": [] },
                "logprobs": null,
                "finish_reason": self.finish_reason(done),
            }],
            "usage": usage(done),
            "citations": done.message.citations,
            "kind": done.message.kind,
            "receipt_id": done.message.receipt_id,
        })
    }

    /// The bytes of an event of the stream; an event without a counterpart becomes a heartbeat.
    pub(super) fn event(&self, event: AnswerEvent) -> Bytes {
        match event {
            AnswerEvent::Started { .. } => self.chunk(&json!({ "role": "assistant", "content": "" }), None, None),
            AnswerEvent::Queued { .. } => sse::heartbeat(),
            AnswerEvent::Delta { text } => self.chunk(&json!({ "content": text }), None, None),
            AnswerEvent::Citation(citation) => self.chunk(&json!({}), None, Some(&[citation])),
            AnswerEvent::Done(done) => self.end(&done),
            AnswerEvent::Failed { problem } => sse::data_event(&failure(&problem).to_string()),
        }
    }

    fn end(&self, done: &AnswerDone) -> Bytes {
        let mut out = BytesMut::new();
        let mut last = self.value(&json!({}), Some(self.finish_reason(done)), Some(&done.message.citations));
        if let Some(last) = last.as_object_mut() {
            last.insert("kind".to_owned(), json!(done.message.kind));
            last.insert("receipt_id".to_owned(), json!(done.message.receipt_id));
        }
        out.extend_from_slice(&sse::data_event(&last.to_string()));
        if self.include_usage {
            let mut value = self.value(&json!({}), None, None);
            if let Some(value) = value.as_object_mut() {
                value.insert("choices".to_owned(), json!([]));
                value.insert("usage".to_owned(), usage(done));
            }
            out.extend_from_slice(&sse::data_event(&value.to_string()));
        }
        out.extend_from_slice(&sse::data_event("[DONE]"));
        out.freeze()
    }

    fn chunk(&self, delta: &Value, finish: Option<&str>, citations: Option<&[Citation]>) -> Bytes {
        sse::data_event(&self.value(delta, finish, citations).to_string())
    }

    fn value(&self, delta: &Value, finish: Option<&str>, citations: Option<&[Citation]>) -> Value {
        let mut value = json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": [{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }],
        });
        if let Some(fields) = value.as_object_mut() {
            if let Some(citations) = citations {
                fields.insert("citations".to_owned(), json!(citations));
            }
            if self.include_usage {
                fields.insert("usage".to_owned(), Value::Null);
            }
        }
        value
    }

    fn finish_reason(&self, done: &AnswerDone) -> &'static str {
        if done.completion_tokens >= self.limit { "length" } else { "stop" }
    }
}

fn usage(done: &AnswerDone) -> Value {
    let (prompt, completion) = (done.prompt_tokens, done.completion_tokens);
    json!({ "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion })
}

fn failure(slug: &str) -> Value {
    json!({ "error": { "message": "the answer failed", "type": "server_error", "param": null, "code": slug } })
}

/// The problem that a `failed` event names.
pub(super) fn problem(slug: &str) -> Problem {
    match slug {
        "too-many-requests" => Problem::TooManyRequests { retry_after_s: 5 },
        "unavailable" => Problem::Unavailable { retry_after_s: 5 },
        "timeout" => Problem::Timeout,
        "invalid-request" => Problem::invalid("messages: do not fit the model's context"),
        _ => Problem::Internal,
    }
}
