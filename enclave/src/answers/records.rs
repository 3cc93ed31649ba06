//! Conversations, messages and receipts as they are kept.

use cloister_attestation::receipt::Receipt;
use cloister_protocol::api::{Conversation, Message};
use cloister_protocol::ids::{AssistantId, ConversationId, PersonId, WorkspaceId};
use serde::{Deserialize, Serialize};

use crate::store::{Collection, Listing};

/// Conversations, grouped by [`owner_group`]: another person's conversation cannot even be asked for.
pub const CONVERSATIONS: Collection<ConversationRecord> = Collection::new_grouped("conversations", 20, 1);
/// Messages, grouped by conversation id. The record is the message as the API shows it.
pub const MESSAGES: Collection<Message> = Collection::new_grouped("messages", 21, 1);
/// Receipts by id.
pub const RECEIPTS: Collection<ReceiptRecord> = Collection::new("receipts", 22, 1);

/// The collections of this module.
pub(crate) const COLLECTIONS: Listing = &[CONVERSATIONS.meta(), MESSAGES.meta(), RECEIPTS.meta()];

/// A conversation of one person with one assistant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationRecord {
    /// Its id.
    pub id: ConversationId,
    /// The assistant.
    pub assistant_id: AssistantId,
    /// The first question, shortened; empty before it.
    pub title: String,
    /// When it began, Unix milliseconds.
    pub created_ms: u64,
    /// When it was last used, Unix milliseconds.
    pub updated_ms: u64,
}

/// A receipt and who may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptRecord {
    /// Who asked.
    pub person_id: PersonId,
    /// The receipt.
    pub receipt: Receipt,
}

impl From<ConversationRecord> for Conversation {
    fn from(record: ConversationRecord) -> Self {
        Self {
            id: record.id,
            assistant_id: record.assistant_id,
            title: record.title,
            created_ms: record.created_ms,
            updated_ms: record.updated_ms,
        }
    }
}

/// The group of a person's conversations in a workspace.
#[must_use]
pub fn owner_group(workspace: WorkspaceId, person: PersonId) -> String {
    format!("{workspace}/{person}")
}

/// The most characters of a conversation's title.
const TITLE_CHARS: usize = 80;

/// A question as a title: its first line, shortened at a word.
#[must_use]
pub fn title_of(question: &str) -> String {
    let line = question.trim().lines().next().unwrap_or("").trim();
    if line.chars().count() <= TITLE_CHARS {
        return line.to_owned();
    }
    let cut: String = line.chars().take(TITLE_CHARS - 1).collect();
    let at_word = cut.rfind(' ').filter(|at| *at > TITLE_CHARS / 2).and_then(|at| cut.get(..at));
    format!("{}…", at_word.unwrap_or(&cut))
}
