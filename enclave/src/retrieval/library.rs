//! The indexes of all workspaces: made from sealed records at first use, kept up to date, merged in the background.
//!
//! Records are the truth and an index is only a way to find them: whoever gets a hit reads its record again, so that a
//! passage that was deleted a moment ago is not shown even if an index still knows it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cloister_protocol::ids::{DocumentId, WorkspaceId};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use tokio_util::task::TaskTracker;

use super::index::SegmentId;
use super::{Index, Limits, corpus};
use crate::answers::Error;
use crate::documents::{Change, Notify};
use crate::fresh;
use crate::store::{Collection, Listing, TenantStore};

/// The names of a workspace's sealed segments; their bytes are blobs of the same collection.
const SEGMENTS: Collection<Sealed> = Collection::new("index-segments", 23, 1);

/// The collections of this module.
pub(crate) const COLLECTIONS: Listing = &[SEGMENTS.meta()];

/// Which blobs hold the segments of a workspace.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Sealed {
    blobs: Vec<String>,
}

/// All indexes that are in use.
#[derive(Debug)]
pub struct Library {
    /// SHA-256 of the embedding model: vectors of another are not compared.
    model: [u8; 32],
    limits: Limits,
    shelves: Mutex<HashMap<WorkspaceId, Arc<Shelf>>>,
    tracker: TaskTracker,
}

/// The index of one workspace and what is sealed of it.
#[derive(Debug, Default)]
struct Shelf {
    index: OnceCell<Arc<Index>>,
    /// Blobs by segment. Held while segments are merged and sealed, so that only one does it.
    sealed: tokio::sync::Mutex<HashMap<SegmentId, String>>,
}

impl Library {
    /// No index yet. `model` is the digest of the embedding model; merges run on `tracker`.
    #[must_use]
    pub fn new(model: [u8; 32], limits: Limits, tracker: TaskTracker) -> Self {
        Self { model, limits, shelves: Mutex::default(), tracker }
    }

    /// The index of a workspace; made from its records if this is its first use since the start.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn index(self: &Arc<Self>, store: &TenantStore, workspace: WorkspaceId) -> Result<Arc<Index>, Error> {
        let shelf = self.shelf(workspace);
        let index = shelf.index.get_or_try_init(|| async {
            let (library, store) = (Arc::clone(self), store.clone());
            let loading = tokio::task::spawn_blocking(move || library.load(&store, workspace));
            let (index, sealed) = loading.await.map_err(|_| Error::Interrupted)??;
            *shelf.sealed.lock().await = sealed;
            Ok::<_, Error>(Arc::new(index))
        });
        let index = Arc::clone(index.await?);
        Ok(index)
    }

    /// Makes a document findable whose passages are on the disk; call it after the commit that made it ready.
    ///
    /// # Errors
    /// Those of the store, and [`super::Error`] for vectors of another model.
    pub async fn document_ready(
        self: &Arc<Self>,
        store: &TenantStore,
        workspace: WorkspaceId,
        document: DocumentId,
    ) -> Result<(), Error> {
        let index = self.index(store, workspace).await?;
        if index.holds(document) {
            return Ok(());
        }
        let (reader, adding, model) = (store.clone(), Arc::clone(&index), hex::encode(self.model));
        let adding = tokio::task::spawn_blocking(move || corpus::add(&adding, &reader, (workspace, document), &model));
        adding.await.map_err(|_| Error::Interrupted)??;
        self.merge_later(store, workspace, &index);
        Ok(())
    }

    /// Makes a document unfindable; call it after the commit that deleted it.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn document_removed(
        self: &Arc<Self>,
        store: &TenantStore,
        workspace: WorkspaceId,
        document: DocumentId,
    ) -> Result<(), Error> {
        self.index(store, workspace).await?.remove_document(document);
        Ok(())
    }

    /// What documents are told to call, so that a change on the disk becomes one of the index.
    #[must_use]
    pub fn listener(self: &Arc<Self>) -> Notify {
        let library = Arc::clone(self);
        Arc::new(move |store, workspace, document, change| {
            let library = Arc::clone(&library);
            Box::pin(async move {
                let told = match change {
                    Change::Ready => library.document_ready(&store, workspace, document).await,
                    Change::Removed => library.document_removed(&store, workspace, document).await,
                };
                if let Err(error) = told {
                    // The records are right; the index will be too when it is made from them again.
                    tracing::warn!(%workspace, %document, %error, "the index does not follow a document");
                }
            })
        })
    }

    fn shelf(&self, workspace: WorkspaceId) -> Arc<Shelf> {
        let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(shelves.entry(workspace).or_default())
    }

    fn load(&self, store: &TenantStore, workspace: WorkspaceId) -> Result<(Index, HashMap<SegmentId, String>), Error> {
        let index = Index::with_limits(self.limits);
        for document in corpus::ready(store, workspace, &hex::encode(self.model))? {
            corpus::add_record(&index, store, &document)?;
        }
        let mut sealed = HashMap::new();
        for name in store.get(&SEGMENTS, &workspace.to_string())?.unwrap_or_default().blobs {
            // A segment that is lost or of another model is only time lost: its rows stay in the append buffer.
            let Some(bytes) = store.get_blob(&SEGMENTS, &name)? else { continue };
            if let Ok(Some(id)) = index.restore_segment(&bytes, self.model) {
                sealed.insert(id, name);
            }
        }
        Ok((index, sealed))
    }

    /// Merges and seals in the background if there is something to merge.
    fn merge_later(self: &Arc<Self>, store: &TenantStore, workspace: WorkspaceId, index: &Arc<Index>) {
        if !index.wants_merge() {
            return;
        }
        let (library, store, index) = (Arc::clone(self), store.clone(), Arc::clone(index));
        self.tracker.spawn(async move {
            if let Err(error) = library.merge(&store, workspace, index).await {
                tracing::warn!(%workspace, error = %error, "index segment was not sealed; it will be built again");
            }
        });
    }

    async fn merge(&self, store: &TenantStore, workspace: WorkspaceId, index: Arc<Index>) -> Result<(), Error> {
        let shelf = self.shelf(workspace);
        let mut sealed = shelf.sealed.lock().await;
        let merging = Arc::clone(&index);
        let merged = tokio::task::spawn_blocking(move || merging.merge()).await.map_err(|_| Error::Interrupted)?;
        if !merged {
            return Ok(());
        }
        let ids = index.segment_ids();
        let mut batch = store.batch();
        let mut kept = HashMap::new();
        for id in ids {
            if let Some(name) = sealed.remove(&id) {
                kept.insert(id, name);
            } else if let Some(bytes) = index.segment_bytes(id, self.model)? {
                let name = format!("{workspace}/{:032x}", fresh::bits());
                batch.put_blob(&SEGMENTS, &name, bytes);
                kept.insert(id, name);
            }
        }
        for (_, name) in sealed.drain() {
            batch.delete_blob(&SEGMENTS, &name);
        }
        batch.put(&SEGMENTS, &workspace.to_string(), &Sealed { blobs: kept.values().cloned().collect() });
        batch.commit().await?;
        *sealed = kept;
        Ok(())
    }
}
