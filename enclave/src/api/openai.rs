//! The surface for OpenAI clients: chat completions, embeddings, models.
//!
//! The model of a chat request is an assistant, by id or by name; its last user message is the question and the earlier
//! ones are the turns. Answers are grounded in the assistant's documents like all others: citations stand in the text
//! as tags and in the extension field `citations`, and `receipt_id` names the receipt. Parameters that cannot be
//! honoured are refused by name; `request::IGNORED` lists those that change nothing here.

pub mod chat;
mod constraints;
pub mod embeddings;
pub mod models;
mod reply;
mod request;

use cloister_protocol::api::Assistant;
use cloister_protocol::ids::WorkspaceId;

use crate::access::{Action, Authorized, Caller, Target};
use crate::app::AppState;
use crate::problem::Problem;

/// The permission of a caller in the workspace that their credential leads to: the API key's, or the person's only one.
fn authorize(app: &AppState, caller: &Caller, action: Action) -> Result<Authorized, Problem> {
    let workspace = workspace(app, caller)?;
    Ok(caller.authorize(action, Target::Workspace(workspace))?)
}

fn workspace(app: &AppState, caller: &Caller) -> Result<WorkspaceId, Problem> {
    if let Some(workspace) = caller.api_key_workspace() {
        return Ok(workspace);
    }
    let by = caller.authorize(Action::ListWorkspaces, Target::Organisation)?;
    let workspaces = app.identity.tenancy().workspaces(&by)?;
    match workspaces.as_slice() {
        [only] => Ok(only.id),
        _ => Err(Problem::invalid("authorization: an API key says which workspace is meant")),
    }
}

/// The assistant that a request calls its model: by id, or by a name that only one of them has.
fn assistant(app: &AppState, by: &Authorized, model: &str) -> Result<Assistant, Problem> {
    let assistants = app.identity.tenancy().assistants(by)?;
    if let Some(by_id) = assistants.iter().find(|assistant| assistant.id.to_string() == model) {
        return Ok(by_id.clone());
    }
    let mut named = assistants.into_iter().filter(|assistant| assistant.name == model);
    match (named.next(), named.next()) {
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) => Err(Problem::invalid("model: several assistants have this name; use the id")),
        (None, _) => Err(Problem::NotFound),
    }
}
