//! What a chat request may say, and what becomes of it.
//!
//! A parameter is honoured, ignored because it cannot change what is answered here, or refused by name. Nothing is
//! silently dropped that a caller could rely on.

use cloister_models::Role;
use serde_json::{Map, Value};

use super::constraints;
use crate::answers::Sampling;
use crate::problem::Problem;

/// Parameters that are accepted and change nothing: they name the caller, choose among offers that do not exist here,
/// or ask for storage elsewhere.
pub(crate) const IGNORED: &[&str] = &[
    "metadata",
    "moderation",
    "parallel_tool_calls",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning_effort",
    "safety_identifier",
    "service_tier",
    "store",
    "user",
    "verbosity",
];

/// Whether a value asks for nothing.
type IsNeutral = fn(&Value) -> bool;

/// Parameters that are accepted only with the value that asks for nothing; other values are refused.
const ONLY_NEUTRAL: &[(&str, IsNeutral)] = &[
    ("audio", Value::is_null),
    ("frequency_penalty", is_zero),
    ("function_call", |v| v.is_null() || *v == "none" || *v == "auto"),
    ("functions", is_empty),
    ("logit_bias", is_empty),
    ("logprobs", |v| v.is_null() || *v == false),
    ("modalities", |v| v.is_null() || *v == serde_json::json!(["text"])),
    ("n", |v| v.is_null() || *v == 1),
    ("prediction", Value::is_null),
    ("presence_penalty", is_zero),
    ("response_format", |v| v.is_null() || v.get("type").is_some_and(|t| t == "text")),
    ("tool_choice", |v| v.is_null() || *v == "none" || *v == "auto"),
    ("tools", is_empty),
    ("top_logprobs", is_zero),
    ("web_search_options", Value::is_null),
];

/// The most messages of a request.
const MOST_MESSAGES: usize = 512;

/// A chat request that can be answered.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ChatRequest {
    pub(super) model: String,
    pub(super) question: String,
    pub(super) turns: Vec<(Role, String)>,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
    pub(super) sampling: Sampling,
}

impl ChatRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// [`Problem::InvalidRequest`] with the name of the parameter that is wrong or cannot be honoured.
    pub(super) fn parse(body: Value) -> Result<Self, Problem> {
        let Value::Object(mut body) = body else { return Err(Problem::invalid("body: not an object")) };
        constraints::take(&mut body)?;
        let model = string(body.remove("model")).ok_or_else(|| Problem::invalid("model"))?;
        let (question, turns) = conversation(body.remove("messages"))?;
        let stream = flag(body.remove("stream").as_ref(), "stream")?;
        let include_usage = stream_options(body.remove("stream_options"), stream)?;
        let sampling = sampling(&mut body)?;
        for (name, value) in body {
            if IGNORED.contains(&name.as_str()) || value.is_null() {
                continue;
            }
            match ONLY_NEUTRAL.iter().find(|(known, _)| *known == name) {
                Some((_, neutral)) if neutral(&value) => {}
                Some((known, _)) => return Err(Problem::invalid(format!("{known}: not supported"))),
                None => return Err(Problem::invalid("a parameter that is not supported")),
            }
        }
        Ok(Self { model, question, turns, stream, include_usage, sampling })
    }
}

/// The last message, which must be the user's, and those before it.
fn conversation(messages: Option<Value>) -> Result<(String, Vec<(Role, String)>), Problem> {
    let Some(Value::Array(messages)) = messages else { return Err(Problem::invalid("messages")) };
    if messages.len() > MOST_MESSAGES {
        return Err(Problem::invalid("messages: too many"));
    }
    let mut turns = Vec::with_capacity(messages.len());
    for (at, message) in messages.into_iter().enumerate() {
        turns.push(turn(message).map_err(|what| Problem::invalid(format!("messages[{at}]{what}")))?);
    }
    match turns.pop() {
        Some((Role::User, question)) => Ok((question, turns)),
        Some((Role::System | Role::Assistant, _)) => Err(Problem::invalid("messages: the last one is not the user's")),
        None => Err(Problem::invalid("messages: empty")),
    }
}

fn turn(message: Value) -> Result<(Role, String), &'static str> {
    let Value::Object(mut message) = message else { return Err(": not an object") };
    let role = match message.get("role").and_then(Value::as_str) {
        Some("system" | "developer") => Role::System,
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        _ => return Err(".role: not supported"),
    };
    if message.get("tool_calls").is_some_and(|calls| !is_empty(calls)) {
        return Err(".tool_calls: not supported");
    }
    let content = match message.remove("content") {
        Some(Value::String(text)) => text,
        Some(Value::Array(parts)) => parts
            .iter()
            .map(text_part)
            .collect::<Option<Vec<_>>>()
            .ok_or(".content: only text is supported")?
            .join("\n"),
        Some(Value::Null) | None if role == Role::Assistant => String::new(),
        _ => return Err(".content"),
    };
    Ok((role, content))
}

fn text_part(part: &Value) -> Option<&str> {
    (part.get("type")? == "text").then(|| part.get("text")?.as_str())?
}

fn stream_options(options: Option<Value>, stream: bool) -> Result<bool, Problem> {
    match options {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Object(_)) if !stream => Err(Problem::invalid("stream_options: only with stream")),
        // Events are always padded, which is what `include_obfuscation` asks for.
        Some(Value::Object(options)) => flag(options.get("include_usage"), "stream_options.include_usage"),
        Some(_) => Err(Problem::invalid("stream_options")),
    }
}

fn sampling(body: &mut Map<String, Value>) -> Result<Sampling, Problem> {
    let mut sampling = Sampling::default();
    let newer = number(body.remove("max_completion_tokens"), "max_completion_tokens", 1.0, 1e9)?;
    let older = number(body.remove("max_tokens"), "max_tokens", 1.0, 1e9)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be within 1 and 10^9")]
    let tokens = newer.or(older).map(|n| n as usize);
    sampling.max_tokens = tokens;
    #[expect(clippy::cast_possible_truncation, reason = "a rounded temperature is as good")]
    if let Some(temperature) = number(body.remove("temperature"), "temperature", 0.0, 2.0)? {
        sampling.temperature = temperature as f32;
    }
    #[expect(clippy::cast_possible_truncation, reason = "a rounded share is as good")]
    if let Some(top_p) = number(body.remove("top_p"), "top_p", 0.0, 1.0)? {
        // OpenAI takes 0 for "only the likeliest".
        sampling.top_p = (top_p as f32).max(f32::EPSILON);
    }
    match body.remove("seed") {
        None | Some(Value::Null) => {}
        Some(seed) => {
            let seed = seed.as_i64().ok_or_else(|| Problem::invalid("seed"))?.to_le_bytes();
            let [a, b, c, d, ..] = seed;
            sampling.seed = u32::from_le_bytes([a, b, c, d]);
        }
    }
    sampling.stop = match body.remove("stop") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(stop)) => vec![stop],
        Some(Value::Array(stops)) if stops.len() <= 4 => stops
            .into_iter()
            .map(|stop| string(Some(stop)))
            .collect::<Option<_>>()
            .ok_or_else(|| Problem::invalid("stop"))?,
        Some(_) => return Err(Problem::invalid("stop")),
    };
    if sampling.stop.iter().any(|stop| stop.is_empty() || stop.len() > 256) {
        return Err(Problem::invalid("stop"));
    }
    Ok(sampling)
}

fn number(value: Option<Value>, name: &'static str, least: f64, most: f64) -> Result<Option<f64>, Problem> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let number = value.as_f64().filter(|n| (least..=most).contains(n));
            number.map(Some).ok_or_else(|| Problem::invalid(name))
        }
    }
}

fn flag(value: Option<&Value>, name: &'static str) -> Result<bool, Problem> {
    match value {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(Problem::invalid(name)),
    }
}

fn string(value: Option<Value>) -> Option<String> {
    match value {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

fn is_zero(value: &Value) -> bool {
    value.is_null() || value.as_f64() == Some(0.0)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn with(extra: &Value) -> Result<ChatRequest, Problem> {
        let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "Why?" }] });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        ChatRequest::parse(body)
    }

    fn field(result: Result<ChatRequest, Problem>) -> String {
        match result {
            Err(Problem::InvalidRequest { field }) => field.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_clients_send_by_default_is_accepted() {
        let extra = json!({ "n": 1, "tools": [], "user": "u", "logprobs": null, "response_format": { "type": "text" },
            "stream": true, "stream_options": { "include_usage": true }, "temperature": 0, "top_p": 1, "seed": -1 });
        let request = with(&extra).unwrap();
        assert!(request.stream && request.include_usage);
        assert_eq!((request.sampling.temperature, request.sampling.seed), (0.0, u32::MAX));
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        assert_eq!(field(with(&json!({ "n": 2 }))), "n: not supported");
        assert_eq!(field(with(&json!({ "tools": [{}] }))), "tools: not supported");
        assert_eq!(
            field(with(&json!({ "response_format": { "type": "json_object" } }))),
            "response_format: not supported"
        );
        assert_eq!(field(with(&json!({ "temperature": 3 }))), "temperature");
        assert_eq!(field(with(&json!({ "stream_options": {} }))), "stream_options: only with stream");
        assert_eq!(field(with(&json!({ "top_k": 4 }))), "a parameter that is not supported");
    }

    #[test]
    fn turns_and_the_question_are_told_apart() {
        let messages = json!([
            { "role": "developer", "content": "be kind" },
            { "role": "user", "content": [{ "type": "text", "text": "a" }, { "type": "text", "text": "b" }] },
            { "role": "assistant", "content": null },
            { "role": "user", "content": "c" }
        ]);
        let request = with(&json!({ "messages": messages })).unwrap();
        assert_eq!(request.question, "c");
        let turns = [(Role::System, "be kind"), (Role::User, "a\nb"), (Role::Assistant, "")];
        assert_eq!(request.turns, turns.map(|(role, text)| (role, text.to_owned())));
        let image = json!([{ "role": "user", "content": [{ "type": "image_url" }] }]);
        assert_eq!(field(with(&json!({ "messages": image }))), "messages[0].content: only text is supported");
        let last = json!([{ "role": "assistant", "content": "x" }]);
        assert_eq!(field(with(&json!({ "messages": last }))), "messages: the last one is not the user's");
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[a-z]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            let name = prop_oneof![
                "[a-z_]{1,12}",
                Just("messages".to_owned()),
                Just("model".to_owned()),
                Just("stop".to_owned()),
                Just("content".to_owned()),
                Just("role".to_owned())
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(name, inner, 0..5).prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in any_json()) {
            let _parsed = ChatRequest::parse(body);
        }
    }
}
