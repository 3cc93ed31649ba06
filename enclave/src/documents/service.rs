//! The documents of all organisations: what requests and start-up call.

use std::sync::Arc;
use std::time::Duration;

use cloister_protocol::api::Document;
use cloister_protocol::ids::{DocumentId, OrgId, WorkspaceId};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::queue::Queue;
use super::records::{CHUNKS, COPIES, CopiesRecord, DOCUMENTS, DocumentRecord, FILES, PARENTS};
use super::{Error, Model, Reader};
use crate::access::TenantScope;
use crate::audit::Event;
use crate::clock::Clock;
use crate::store::{self, Batch, Collection, Store, TenantStore};

/// Documents that are to be processed, of all organisations, in the appliance's own scope; by document.
pub(super) const PENDING: Collection<PendingRecord> = Collection::new("document-queue", 15, 1);

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PendingRecord {
    org: OrgId,
    workspace: WorkspaceId,
}

/// What the search index is told, after the change is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The passages of a document are stored and can be read by [`super::records::chunks`].
    Ready,
    /// The passages of a document are gone.
    Removed,
}

/// Tells the search index of a change and waits until it knows: a document is called ready only after that.
pub type Notify =
    Arc<dyn Fn(TenantStore, WorkspaceId, DocumentId, Change) -> BoxFuture<'static, ()> + Send + Sync + 'static>;

/// What documents need of the rest of the service.
pub struct Parts {
    /// Where everything is kept.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Starts document workers.
    pub reader: Reader,
    /// Counts tokens and makes vectors.
    pub model: Model,
    /// Told of every change.
    pub notify: Notify,
    /// Documents that are processed at the same time.
    pub workers: usize,
    /// The largest file, in bytes.
    pub file_bytes: usize,
    /// Background work runs on it.
    pub tracker: TaskTracker,
    /// Cancelled when the process is to stop; what is then unfinished is taken up after the next start.
    pub stopping: CancellationToken,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("reader", &self.reader).field("workers", &self.workers).finish_non_exhaustive()
    }
}

/// The documents of all organisations. Clones are handles on the same service.
#[derive(Debug, Clone)]
pub struct Documents {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) parts: Parts,
    pub(super) queue: Arc<Queue>,
    pub(super) workers: Semaphore,
}

impl Documents {
    /// The service; call [`Self::resume`] once to take up what an earlier run left unfinished.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let workers = Semaphore::new(parts.workers.max(1));
        Self { inner: Arc::new(Inner { parts, queue: Arc::default(), workers }) }
    }

    /// The largest file that may be uploaded, in bytes.
    #[must_use]
    pub fn file_bytes(&self) -> usize {
        self.inner.parts.file_bytes
    }

    /// Takes up every document that is stored and not processed; how many that are.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn resume(&self) -> Result<usize, Error> {
        let pending = self.inner.pending_store().list(&PENDING)?;
        let mut resumed = 0;
        for (key, record) in pending {
            let Ok(id) = key.parse() else { continue };
            self.process(TenantScope::org(record.org), record.workspace, id);
            resumed += 1;
        }
        Ok(resumed)
    }

    /// The documents of a workspace, newest first. Blocking.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn list(&self, scope: &TenantScope, workspace: WorkspaceId) -> Result<Vec<Document>, Error> {
        // First who is in the queue, then the records: whoever leaves in between is ready or failed in its record.
        let progress = self.inner.queue.snapshot();
        let documents = self.inner.store(scope).list_in(&DOCUMENTS, &workspace.to_string())?;
        let newest_first = documents.into_iter().rev().map(|(_, record)| record);
        Ok(newest_first.map(|record| record.to_api(progress.get(&record.id).copied())).collect())
    }

    /// One document of a workspace.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub fn get(&self, scope: &TenantScope, workspace: WorkspaceId, id: DocumentId) -> Result<Document, Error> {
        let progress = self.inner.queue.progress(id);
        let record = super::records::document(&self.inner.store(scope), workspace, id)?.ok_or(Error::NotFound)?;
        Ok(record.to_api(progress))
    }

    /// Deletes a document with its passages, and the file if no other document is the same one. `event` says who did it.
    /// The work goes on if the caller leaves.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Contended`], [`Error::Store`].
    pub async fn delete(
        &self,
        scope: &TenantScope,
        workspace: WorkspaceId,
        id: DocumentId,
        event: Event,
    ) -> Result<(), Error> {
        let (inner, scope) = (Arc::clone(&self.inner), scope.clone());
        let task = async move { inner.delete(&scope, workspace, id, &event).await };
        self.inner.parts.tracker.spawn(task).await.map_err(|_| Error::Unavailable)?
    }
}

/// How often a batch is tried when other requests are quicker.
pub(super) const ATTEMPTS: u32 = 8;

/// Lets whoever was quicker finish, before the second attempt and all later ones: 10 ms, 20 ms, 40 ms and so on.
pub(super) async fn pause(attempt: u32) {
    if attempt > 0 {
        tokio::time::sleep(Duration::from_millis(5 << attempt.min(8))).await;
    }
}

impl Inner {
    pub(super) fn store(&self, scope: &TenantScope) -> TenantStore {
        self.parts.store.scope(scope)
    }

    fn pending_store(&self) -> TenantStore {
        self.parts.store.scope(&TenantScope::system())
    }

    /// Adds the queue entry of a document to the batch that stores it.
    pub(super) fn put_pending(&self, batch: &mut Batch, scope: &TenantScope, record: &DocumentRecord) {
        let Some(org) = scope.org_id() else { return };
        let mut pending = self.pending_store().batch();
        pending.put(&PENDING, &record.id.to_string(), &PendingRecord { org, workspace: record.workspace_id });
        batch.join(pending);
    }

    /// Removes the queue entry in the batch that makes it superfluous.
    pub(super) fn delete_pending(&self, batch: &mut Batch, id: DocumentId) {
        let mut pending = self.pending_store().batch();
        pending.delete(&PENDING, &id.to_string());
        batch.join(pending);
    }

    async fn delete(
        &self,
        scope: &TenantScope,
        workspace: WorkspaceId,
        id: DocumentId,
        event: &Event,
    ) -> Result<(), Error> {
        let store = self.store(scope);
        for attempt in 0..ATTEMPTS {
            pause(attempt).await;
            let (group, key) = (workspace.to_string(), id.to_string());
            let (record, version) = store.get_versioned_in(&DOCUMENTS, &group, &key)?.ok_or(Error::NotFound)?;
            self.queue.cancel(id);
            let mut batch = store.batch();
            batch.expect_version_in(&DOCUMENTS, &group, &key, version).delete_in(&DOCUMENTS, &group, &key);
            delete_passages(&store, &mut batch, id)?;
            forget_copy(&store, &mut batch, &record)?;
            self.delete_pending(&mut batch, id);
            batch.audit(event.clone().detail("document", key).detail("sha256", record.sha256.clone()));
            match batch.commit().await {
                Ok(_) => {
                    (self.parts.notify)(store, workspace, id, Change::Removed).await;
                    return Ok(());
                }
                Err(store::Error::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Contended)
    }
}

/// Deletes the parents and chunks of a document, if there are any.
pub(super) fn delete_passages(store: &TenantStore, batch: &mut Batch, id: DocumentId) -> Result<(), Error> {
    let group = id.to_string();
    for (key, _) in store.list_in(&PARENTS, &group)? {
        batch.delete_in(&PARENTS, &group, &key);
    }
    for (key, _) in store.list_in(&CHUNKS, &group)? {
        batch.delete_in(&CHUNKS, &group, &key);
    }
    Ok(())
}

/// Takes a document off the list of copies of its file; the last one takes the file along.
fn forget_copy(store: &TenantStore, batch: &mut Batch, record: &DocumentRecord) -> Result<(), Error> {
    let key = &record.sha256;
    let Some((mut copies, version)) = store.get_versioned(&COPIES, key)? else { return Ok(()) };
    copies.documents.retain(|(_, id)| *id != record.id);
    batch.expect_version(&COPIES, key, version);
    if copies.documents.is_empty() {
        batch.delete(&COPIES, key).delete_blob(&FILES, key);
    } else {
        batch.put::<CopiesRecord>(&COPIES, key, &copies);
    }
    Ok(())
}
