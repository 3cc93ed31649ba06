//! `POST /v1/chat/completions`.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use cloister_protocol::api::{AnswerDone, AnswerEvent, Assistant};
use serde_json::Value;
use tokio::sync::mpsc::Receiver;

use super::reply::{Frame, problem};
use super::request::ChatRequest;
use super::{assistant, authorize};
use crate::access::{Action, Authorized, Caller};
use crate::aci::Receipting;
use crate::answers::conversations::check_question;
use crate::answers::question::TURNS;
use crate::answers::{Answers, Ask, Question, stream};
use crate::api::json::Json;
use crate::app::AppState;
use crate::identity::Credential;
use crate::problem::Problem;
use crate::retrieval::Filter;

/// Answers of one API key at a time; those of a person come one after the other.
const AT_ONCE: usize = 4;

/// Completes a chat from the assistant's documents.
#[utoipa::path(
    post, path = "/v1/chat/completions", tag = "openai",
    request_body(content = Object, description = "As the OpenAI API; `model` is an assistant's id or name"),
    responses((status = 200, description = "A chat completion, or its chunks as server-sent events"),
        (status = 400, description = "A parameter is wrong or not supported; the message names it"),
        (status = 401, description = "No credentials"), (status = 404, description = "No such model"),
        (status = 412, description = "Sessions of an ACI aggregator are pinned"),
        (status = 429, description = "Too many requests wait already"))
)]
pub async fn complete(
    State(app): State<AppState>,
    State(answers): State<Arc<Answers>>,
    Extension(receipting): Extension<Receipting>,
    caller: Caller,
    Json(body): Json<Value>,
) -> Result<Response, Problem> {
    let by = authorize(&app, &caller, Action::CompleteChat)?;
    receipting.asked(&app.store, &by, body.get("model").and_then(Value::as_str));
    let request = ChatRequest::parse(body)?;
    check_question(&request.question).map_err(|_| Problem::invalid("messages: the question is empty or too long"))?;
    let assistant = assistant(&app, &by, &request.model)?;
    let limit = answers.engine.answer_tokens(&request.sampling);
    let frame = Frame {
        id: receipting.chat_id(),
        created: app.clock.now_ms() / 1000,
        model: request.model.clone(),
        limit: u64::try_from(limit).unwrap_or(u64::MAX),
        include_usage: request.include_usage,
    };
    let stream = request.stream;
    let events = answers.ask(ask(&app, by, assistant, request)?).await?;
    if stream {
        return Ok(stream::respond(events, move |event| {
            if let AnswerEvent::Done(done) = &event {
                receipting.answered(done.message.receipt_id);
            }
            Some(frame.event(event))
        }));
    }
    let done = whole(events).await?;
    receipting.answered(done.message.receipt_id);
    Ok(Json(frame.completion(&done)).into_response())
}

fn ask(app: &AppState, by: Authorized, assistant: Assistant, request: ChatRequest) -> Result<Ask, Problem> {
    let skip = request.turns.len().saturating_sub(TURNS);
    let question = Question {
        org: by.org(),
        workspace: assistant.workspace_id,
        assistant_name: assistant.name,
        assistant_purpose: assistant.purpose,
        documents: Filter::of(assistant.document_ids.as_deref()),
        text: request.question,
        turns: request.turns.into_iter().skip(skip).collect(),
        sampling: request.sampling,
        prefix_key: None,
    };
    let lane = match by.credential() {
        Credential::Session(_) => (by.person().to_bytes(), 1),
        Credential::ApiKey(key, _) => (key.to_bytes(), AT_ONCE),
    };
    Ok(Ask { store: app.store.scope(by.scope()), by, question, conversation: None, lane })
}

/// Waits for the end of an answer. Dropping the wait stops the answer.
async fn whole(mut events: Receiver<AnswerEvent>) -> Result<AnswerDone, Problem> {
    while let Some(event) = events.recv().await {
        match event {
            AnswerEvent::Done(done) => return Ok(*done),
            AnswerEvent::Failed { problem: slug } => return Err(problem(&slug)),
            AnswerEvent::Started { .. }
            | AnswerEvent::Queued { .. }
            | AnswerEvent::Delta { .. }
            | AnswerEvent::Citation(_) => {}
        }
    }
    Err(Problem::Unavailable { retry_after_s: 5 })
}
