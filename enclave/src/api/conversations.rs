//! Conversations and answers. Answers stream as server-sent events.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use cloister_protocol::api::{AnswerEvent, Ask, Conversation, CreateConversation, Empty, List, Message};
use cloister_protocol::ids::{ConversationId, ReceiptId, WorkspaceId};

use super::id::Id;
use super::json::Json;
use crate::access::{Action, Caller, Target};
use crate::answers::conversations::{Conversations, receipt as stored_receipt};
use crate::answers::{Answers, sse, stream};
use crate::app::AppState;
use crate::problem::Problem;

/// Begins a conversation with an assistant.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{ws}/conversations", tag = "conversations", request_body = CreateConversation,
    responses((status = 200, body = Conversation), (status = 401, description = "No credentials"),
        (status = 403, description = "Not with this role"), (status = 404, description = "No such assistant"))
)]
pub async fn create(
    State(app): State<AppState>,
    caller: Caller,
    Id(workspace): Id<WorkspaceId>,
    Json(request): Json<CreateConversation>,
) -> Result<Json<Conversation>, Problem> {
    let by = caller.authorize(Action::CreateConversation, Target::Workspace(workspace))?;
    let assistant = app.identity.tenancy().assistant(&by, request.assistant_id)?;
    Ok(Json(Conversations::of(&app.store, &by)?.create(assistant.id, app.clock.now_ms()).await?))
}

/// Lists the caller's conversations, last used first.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{ws}/conversations/list", tag = "conversations", request_body = Empty,
    responses((status = 200, body = List<Conversation>), (status = 401, description = "No credentials"),
        (status = 403, description = "Not with this role"), (status = 404, description = "No such workspace"))
)]
pub async fn list(
    State(app): State<AppState>,
    caller: Caller,
    Id(workspace): Id<WorkspaceId>,
    Json(Empty {}): Json<Empty>,
) -> Result<Json<List<Conversation>>, Problem> {
    let by = caller.authorize(Action::ListConversations, Target::Workspace(workspace))?;
    Ok(Json(List { items: Conversations::of(&app.store, &by)?.list()? }))
}

/// Shows the messages of one of the caller's conversations, in the order they were said.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{ws}/conversations/{id}/get", tag = "conversations", request_body = Empty,
    responses((status = 200, body = List<Message>), (status = 401, description = "No credentials"),
        (status = 404, description = "No such conversation"))
)]
pub async fn get(
    State(app): State<AppState>,
    caller: Caller,
    Id((workspace, id)): Id<(WorkspaceId, ConversationId)>,
    Json(Empty {}): Json<Empty>,
) -> Result<Json<List<Message>>, Problem> {
    let by = caller.authorize(Action::ReadConversation, Target::OwnIn(workspace))?;
    Ok(Json(List { items: Conversations::of(&app.store, &by)?.messages(id)? }))
}

/// Asks. The answer streams as events (`AnswerEvent`): `started`, `queued`, `citation`, `delta`, `done` or `failed`.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{ws}/conversations/{id}/messages", tag = "conversations", request_body = Ask,
    responses((status = 200, body = AnswerEvent, content_type = "text/event-stream"),
        (status = 400, description = "No question, or one that is too long"),
        (status = 401, description = "No credentials"), (status = 404, description = "No such conversation"),
        (status = 429, description = "Too many questions wait already"))
)]
pub async fn ask(
    State(app): State<AppState>,
    State(answers): State<Arc<Answers>>,
    caller: Caller,
    Id((workspace, id)): Id<(WorkspaceId, ConversationId)>,
    Json(request): Json<Ask>,
) -> Result<Response, Problem> {
    let by = caller.authorize(Action::Ask, Target::OwnIn(workspace))?;
    let conversations = Conversations::of(&app.store, &by)?;
    let assistant = app.identity.tenancy().assistant(&by, conversations.assistant_of(id)?)?;
    let events = conversations.ask(&answers, id, assistant, request).await?;
    Ok(stream::respond(events, |event| Some(sse::answer_event(&event))))
}

/// Shows the receipt of one of the caller's answers.
#[utoipa::path(
    post, path = "/api/v1/receipts/{id}", tag = "conversations", request_body = Empty,
    responses((status = 200, description = "The receipt, as `cloister-verify receipt` reads it"),
        (status = 401, description = "No credentials"), (status = 404, description = "No such receipt"))
)]
pub async fn receipt(
    State(app): State<AppState>,
    caller: Caller,
    Id(id): Id<ReceiptId>,
    Json(Empty {}): Json<Empty>,
) -> Result<Json<cloister_attestation::receipt::Receipt>, Problem> {
    let by = caller.authorize(Action::ReadReceipt, Target::Own)?;
    Ok(Json(stored_receipt(&app.store, &by, id)?))
}
