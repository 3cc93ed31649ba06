//! Taking a document in: recognised, compared with what is there, and durable before anybody is told.

use std::sync::Arc;

use cloister_protocol::api::{UploadOutcome, Uploaded};
use cloister_protocol::ids::{DocumentId, PersonId, WorkspaceId};

use super::intake::{self, File};
use super::records::{COPIES, CopiesRecord, DOCUMENTS, DocumentRecord, FILES, Stage, document};
use super::service::{ATTEMPTS, Inner, pause};
use super::{Documents, Error};
use crate::access::TenantScope;
use crate::audit::Event;
use crate::fresh;
use crate::store::{self, TenantStore};

/// A received file and what was said about it.
#[derive(Debug)]
pub struct Upload {
    /// Where it belongs.
    pub workspace: WorkspaceId,
    /// Who uploads it.
    pub person: PersonId,
    /// The name of the file, as sent.
    pub file_name: String,
    /// The title, if given.
    pub title: Option<String>,
    /// The author, if given.
    pub author: Option<String>,
    /// The file.
    pub file: File,
}

/// What to do about an upload.
enum Plan {
    /// The workspace has the file: nothing to store.
    Known(DocumentRecord),
    /// The workspace has the file, but it could not be read: try again.
    Retry(DocumentRecord, store::Version),
    /// The workspace has it not.
    Add(DocumentRecord),
}

impl Documents {
    /// Takes a document in (S4-14: the caller is authorized and the size checked by now). When this answers, the document
    /// is on the disk and will be processed, whatever happens. `event` says who did it. The work goes on if the caller
    /// leaves.
    ///
    /// # Errors
    /// [`Error::Text`], [`Error::UnsupportedFormat`], [`Error::Busy`], [`Error::Contended`], [`Error::Store`].
    pub async fn upload(&self, scope: &TenantScope, upload: Upload, event: Event) -> Result<Uploaded, Error> {
        let record = self.inner.recognise(&upload)?;
        if self.inner.queue.is_full() {
            return Err(Error::Busy);
        }
        let (documents, scope) = (self.clone(), scope.clone());
        let task = async move {
            let (outcome, record) = documents.inner.take_in(&scope, record, upload.file, &event).await?;
            let document = record.to_api(documents.inner.queue.progress(record.id));
            if matches!(record.stage, Stage::Uploaded) {
                documents.process(scope, record.workspace_id, record.id);
            }
            Ok(Uploaded { document, outcome })
        };
        self.inner.parts.tracker.spawn(task).await.map_err(|_| Error::Unavailable)?
    }
}

impl Inner {
    fn recognise(&self, upload: &Upload) -> Result<DocumentRecord, Error> {
        let file_name = intake::file_name(&upload.file_name)?;
        let optional = |field, value: &Option<String>| match value.as_deref().map(str::trim) {
            None | Some("") => Ok(None),
            Some(value) => intake::text(field, value).map(Some),
        };
        let created_ms = self.parts.clock.now_ms();
        Ok(DocumentRecord {
            id: fresh::id(DocumentId::from_parts, created_ms),
            workspace_id: upload.workspace,
            uploaded_by: upload.person,
            given_title: optional("title", &upload.title)?,
            own_title: None,
            author: optional("author", &upload.author)?,
            format: intake::detect(&file_name, &upload.file.bytes)?,
            file_name,
            size_bytes: u64::try_from(upload.file.bytes.len()).unwrap_or(u64::MAX),
            sha256: upload.file.sha256.clone(),
            stage: Stage::Uploaded,
            created_ms,
        })
    }

    async fn take_in(
        self: &Arc<Self>,
        scope: &TenantScope,
        fresh: DocumentRecord,
        file: File,
        event: &Event,
    ) -> Result<(UploadOutcome, DocumentRecord), Error> {
        let store = self.store(scope);
        let mut bytes = Some(file.bytes);
        for attempt in 0..ATTEMPTS {
            pause(attempt).await;
            let copies = store.get_versioned(&COPIES, &fresh.sha256)?;
            let others = copies.as_ref().map_or(0, |(copies, _)| copies.documents.len());
            let (outcome, record, version) = match plan(&store, copies.as_ref().map(|(copies, _)| copies), &fresh)? {
                Plan::Known(record) => (UploadOutcome::Existing, record, None),
                Plan::Retry(record, version) => (UploadOutcome::New, record, Some(version)),
                Plan::Add(record) if others > 0 => (UploadOutcome::AccessGranted, record, None),
                Plan::Add(record) => (UploadOutcome::New, record, None),
            };
            let mut batch = store.batch();
            let (group, key) = (record.workspace_id.to_string(), record.id.to_string());
            let is_new = record.id == fresh.id;
            if is_new || version.is_some() {
                if let Some(version) = version {
                    batch.expect_version_in(&DOCUMENTS, &group, &key, version);
                }
                batch.put_in(&DOCUMENTS, &group, &key, &record);
                self.put_pending(&mut batch, scope, &record);
            }
            if is_new {
                let mut list = CopiesRecord::default();
                match &copies {
                    Some((copies, version)) => {
                        batch.expect_version(&COPIES, &record.sha256, *version);
                        list = copies.clone();
                    }
                    None => {
                        batch.expect_absent(&COPIES, &record.sha256);
                        // Whoever was quicker has stored the file, which shows once their write is through.
                        let Some(bytes) = bytes.take() else { continue };
                        batch.put_blob(&FILES, &record.sha256, bytes);
                    }
                }
                list.documents.push((record.workspace_id, record.id));
                batch.put(&COPIES, &record.sha256, &list);
            }
            batch.audit(uploaded(event.clone(), &record, outcome));
            match batch.commit().await {
                Ok(_) => return Ok((outcome, record)),
                Err(store::Error::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Contended)
    }
}

fn plan(store: &TenantStore, copies: Option<&CopiesRecord>, fresh: &DocumentRecord) -> Result<Plan, Error> {
    let here = copies.and_then(|c| c.documents.iter().find(|(workspace, _)| *workspace == fresh.workspace_id));
    let Some((workspace, id)) = here else { return Ok(Plan::Add(fresh.clone())) };
    let found = store.get_versioned_in(&DOCUMENTS, &workspace.to_string(), &id.to_string())?;
    Ok(match found {
        Some((record, version)) if matches!(record.stage, Stage::Failed { .. }) => {
            Plan::Retry(DocumentRecord { stage: Stage::Uploaded, ..record }, version)
        }
        Some((record, _)) => Plan::Known(record),
        None => Plan::Add(fresh.clone()),
    })
}

fn uploaded(event: Event, record: &DocumentRecord, outcome: UploadOutcome) -> Event {
    let outcome = match outcome {
        UploadOutcome::New => "new",
        UploadOutcome::Existing => "existing",
        UploadOutcome::AccessGranted => "access_granted",
    };
    event
        .detail("document", record.id.to_string())
        .detail("workspace", record.workspace_id.to_string())
        .detail("sha256", record.sha256.clone())
        .detail("size_bytes", record.size_bytes)
        .detail("upload", outcome)
}

/// Another workspace's document of the same file whose passages can be used as they are.
pub(super) fn ready_copy(
    store: &TenantStore,
    of: &DocumentRecord,
    embedder_sha256: &str,
) -> Result<Option<DocumentRecord>, Error> {
    let copies = store.get(&COPIES, &of.sha256)?.unwrap_or_default();
    for (workspace, id) in copies.documents.into_iter().filter(|(_, id)| *id != of.id) {
        let Some(copy) = document(store, workspace, id)? else { continue };
        // The same bytes under another name may be read as another format.
        let same_model = matches!(&copy.stage, Stage::Ready { embedder_sha256: model, .. } if model == embedder_sha256);
        if same_model && copy.format == of.format {
            return Ok(Some(copy));
        }
    }
    Ok(None)
}
