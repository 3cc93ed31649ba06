//! Assistants of a workspace: a name, a purpose, and the documents they may use.

use cloister_protocol::api::{Assistant, CreateAssistant};
use cloister_protocol::ids::{AssistantId, DocumentId, WorkspaceId};
use serde::{Deserialize, Serialize};

use super::{Error, Name, Purpose, Tenancy};
use crate::access::Authorized;
use crate::audit::Class;
use crate::fresh;
use crate::store::Collection;

/// Assistants, grouped by workspace.
pub(super) const ASSISTANTS: Collection<AssistantRecord> = Collection::new_grouped("assistants", 8, 1);
/// Assistants of one workspace.
const MOST_ASSISTANTS: usize = 1000;
/// Documents that one assistant may name.
const MOST_DOCUMENTS: usize = 1000;

/// An assistant as stored.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct AssistantRecord {
    name: String,
    purpose: String,
    document_ids: Option<Vec<DocumentId>>,
    created_ms: u64,
}

impl std::fmt::Debug for AssistantRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AssistantRecord").field("created_ms", &self.created_ms).finish_non_exhaustive()
    }
}

impl Tenancy {
    /// Makes an assistant in the workspace that was authorized. A document id that is not in the workspace is of no
    /// use to it: retrieval looks only inside the workspace.
    ///
    /// # Errors
    /// [`Error::Text`], [`Error::Full`], [`Error::Store`].
    pub async fn create_assistant(&self, by: &Authorized, request: CreateAssistant) -> Result<Assistant, Error> {
        let workspace = by.workspace().ok_or(Error::Unknown { what: "workspace" })?;
        let name: Name = request.name.parse()?;
        let purpose: Purpose = request.purpose.parse()?;
        if request.document_ids.as_ref().is_some_and(|ids| ids.len() > MOST_DOCUMENTS) {
            return Err(Error::Full { what: "documents of one assistant" });
        }
        let tenant = self.store.scope(by.scope());
        let group = workspace.to_string();
        if tenant.list_in(&ASSISTANTS, &group)?.len() >= MOST_ASSISTANTS {
            return Err(Error::Full { what: "assistants" });
        }
        let now_ms = self.clock.now_ms();
        let id = fresh::id(AssistantId::from_parts, now_ms);
        let record = AssistantRecord {
            name: name.into(),
            purpose: purpose.into(),
            document_ids: request.document_ids,
            created_ms: now_ms,
        };
        let mut batch = tenant.batch();
        batch.put_in(&ASSISTANTS, &group, &id.to_string(), &record).audit(
            by.event(Class::EntityCreated, "assistant.create")
                .detail("assistant", id.to_string())
                .detail("workspace", group.clone()),
        );
        batch.commit().await?;
        Ok(assistant(id, workspace, record))
    }

    /// The assistants of the authorized workspace, newest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn assistants(&self, by: &Authorized) -> Result<Vec<Assistant>, Error> {
        let workspace = by.workspace().ok_or(Error::Unknown { what: "workspace" })?;
        let records = self.store.scope(by.scope()).list_in(&ASSISTANTS, &workspace.to_string())?;
        let shown = |(id, record): (String, AssistantRecord)| Some(assistant(id.parse().ok()?, workspace, record));
        Ok(records.into_iter().rev().filter_map(shown).collect())
    }

    /// One assistant of the authorized workspace.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Store`].
    pub fn assistant(&self, by: &Authorized, id: AssistantId) -> Result<Assistant, Error> {
        let workspace = by.workspace().ok_or(Error::Unknown { what: "workspace" })?;
        let record = self.store.scope(by.scope()).get_in(&ASSISTANTS, &workspace.to_string(), &id.to_string())?;
        record.map(|record| assistant(id, workspace, record)).ok_or(Error::Unknown { what: "assistant" })
    }
}

fn assistant(id: AssistantId, workspace_id: WorkspaceId, record: AssistantRecord) -> Assistant {
    let AssistantRecord { name, purpose, document_ids, created_ms } = record;
    Assistant { id, workspace_id, name, purpose, document_ids, created_ms }
}
