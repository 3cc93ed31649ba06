//! Conversations of one person: begin, list, read, ask.

use cloister_models::Role;
use cloister_protocol::api::{
    AnswerEvent, AnswerKind, Ask as AskRequest, Assistant, Conversation, Message, MessageRole,
};
use cloister_protocol::ids::{AssistantId, ConversationId, ReceiptId, WorkspaceId};
use tokio::sync::mpsc::Receiver;

use super::Error;
use super::job::{Answers, Ask, InConversation};
use super::question::{Question, Sampling, TURNS};
use super::records::{CONVERSATIONS, ConversationRecord, MESSAGES, RECEIPTS, owner_group};
use crate::access::Authorized;
use crate::audit::Class;
use crate::fresh;
use crate::retrieval::Filter;
use crate::store::{Store, TenantStore};

/// The longest question, in characters.
pub const QUESTION_CHARS: usize = 8_000;
/// Conversations of one person in one workspace.
const MOST_CONVERSATIONS: usize = 5_000;

/// The conversations of one person, as far as a permission goes.
#[derive(Debug)]
pub struct Conversations<'a> {
    store: TenantStore,
    by: &'a Authorized,
    workspace: WorkspaceId,
    group: String,
}

impl<'a> Conversations<'a> {
    /// The conversations that the permission is about.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it is not about a workspace.
    pub fn of(store: &Store, by: &'a Authorized) -> Result<Self, Error> {
        let workspace = by.workspace().ok_or(Error::NotFound)?;
        Ok(Self { store: store.scope(by.scope()), by, workspace, group: owner_group(workspace, by.person()) })
    }

    /// Begins a conversation. The caller has checked that the assistant exists.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Full`].
    pub async fn create(&self, assistant_id: AssistantId, now_ms: u64) -> Result<Conversation, Error> {
        if self.store.list_in(&CONVERSATIONS, &self.group)?.len() >= MOST_CONVERSATIONS {
            return Err(Error::Full);
        }
        let id = fresh::id(ConversationId::from_parts, now_ms);
        let record =
            ConversationRecord { id, assistant_id, title: String::new(), created_ms: now_ms, updated_ms: now_ms };
        let event = self
            .by
            .event(Class::ApiCreate, "conversation.create")
            .detail("conversation", id.to_string())
            .detail("assistant", assistant_id.to_string())
            .detail("workspace", self.workspace.to_string());
        let mut batch = self.store.batch();
        batch.put_in(&CONVERSATIONS, &self.group, &id.to_string(), &record).audit(event);
        batch.commit().await?;
        Ok(record.into())
    }

    /// The person's conversations, last used first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn list(&self) -> Result<Vec<Conversation>, Error> {
        let mut records: Vec<ConversationRecord> =
            self.store.list_in(&CONVERSATIONS, &self.group)?.into_iter().map(|(_, record)| record).collect();
        records.sort_by_key(|record| std::cmp::Reverse(record.updated_ms));
        Ok(records.into_iter().map(Conversation::from).collect())
    }

    /// The messages of a conversation of the person, in the order they were said.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub fn messages(&self, id: ConversationId) -> Result<Vec<Message>, Error> {
        self.record(id)?;
        Ok(self.store.list_in(&MESSAGES, &id.to_string())?.into_iter().map(|(_, message)| message).collect())
    }

    /// The assistant of a conversation of the person.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub fn assistant_of(&self, id: ConversationId) -> Result<AssistantId, Error> {
        Ok(self.record(id)?.assistant_id)
    }

    /// Asks in a conversation of the person. The question is on the disk when this returns.
    ///
    /// # Errors
    /// [`Error::QuestionLength`], [`Error::NotFound`], [`Error::TooManyWaiting`], [`Error::Store`].
    pub async fn ask(
        &self,
        answers: &Answers,
        id: ConversationId,
        assistant: Assistant,
        request: AskRequest,
    ) -> Result<Receiver<AnswerEvent>, Error> {
        let record = self.record(id)?;
        check_question(&request.text)?;
        let question = Question {
            org: self.by.org(),
            workspace: self.workspace,
            assistant_name: assistant.name,
            assistant_purpose: assistant.purpose,
            documents: Filter::of(assistant.document_ids.as_deref()).and(Filter::of(request.document_ids.as_deref())),
            text: request.text,
            turns: turns(self.store.list_in(&MESSAGES, &id.to_string())?),
            sampling: Sampling::default(),
            prefix_key: Some(id.to_bytes()),
        };
        let conversation = Some(InConversation { group: self.group.clone(), record });
        let lane = (self.by.person().to_bytes(), 1);
        answers.ask(Ask { by: self.by.clone(), store: self.store.clone(), question, conversation, lane }).await
    }

    fn record(&self, id: ConversationId) -> Result<ConversationRecord, Error> {
        self.store.get_in(&CONVERSATIONS, &self.group, &id.to_string())?.ok_or(Error::NotFound)
    }
}

/// A receipt of an answer that the permission's person got.
///
/// # Errors
/// [`Error::NotFound`], also for receipts of other people; [`Error::Store`].
pub fn receipt(store: &Store, by: &Authorized, id: ReceiptId) -> Result<cloister_attestation::receipt::Receipt, Error> {
    let record = store.scope(by.scope()).get(&RECEIPTS, &id.to_string())?;
    record.filter(|record| record.person_id == by.person()).map(|record| record.receipt).ok_or(Error::NotFound)
}

/// Refuses a question without words, and one that is too long.
///
/// # Errors
/// [`Error::QuestionLength`].
pub fn check_question(text: &str) -> Result<(), Error> {
    if text.trim().is_empty() || text.chars().count() > QUESTION_CHARS {
        return Err(Error::QuestionLength);
    }
    Ok(())
}

/// The last turns, oldest first. What was refused, stopped or quoted says nothing that a model should go on from, but
/// its question does.
fn turns(messages: Vec<(String, Message)>) -> Vec<(Role, String)> {
    let skip = messages.len().saturating_sub(TURNS);
    let turn = |(_, message): (String, Message)| match (message.role, message.kind) {
        (MessageRole::User, _) => Some((Role::User, message.text)),
        (MessageRole::Assistant, Some(AnswerKind::Generated)) => Some((Role::Assistant, message.text)),
        (MessageRole::Assistant, _) => None,
    };
    messages.into_iter().skip(skip).filter_map(turn).collect()
}
