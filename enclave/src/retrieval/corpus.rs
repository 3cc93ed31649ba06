//! From the sealed records of documents to an index.

use cloister_protocol::ids::{DocumentId, WorkspaceId};

use super::{Index, Passage};
use crate::answers::Error;
use crate::documents::records::{self, DocumentRecord, Stage};
use crate::store::TenantStore;

/// The documents of a workspace whose vectors are of this embedding model. Blocking.
///
/// # Errors
/// Those of the store.
pub(super) fn ready(store: &TenantStore, workspace: WorkspaceId, model: &str) -> Result<Vec<DocumentRecord>, Error> {
    let documents = records::ready_documents(store, workspace)?;
    Ok(documents.into_iter().filter(|document| is_of(document, model)).collect())
}

/// Adds a document to an index, if it is ready and of this embedding model. Blocking.
///
/// # Errors
/// Those of the store; [`super::Error`] if a vector is not one.
pub(super) fn add(
    index: &Index,
    store: &TenantStore,
    (workspace, document): (WorkspaceId, DocumentId),
    model: &str,
) -> Result<(), Error> {
    match records::document(store, workspace, document)? {
        Some(record) if is_of(&record, model) => add_record(index, store, &record),
        Some(_) | None => Ok(()),
    }
}

/// Adds a document by its record. Blocking.
///
/// # Errors
/// As [`add`].
pub(super) fn add_record(index: &Index, store: &TenantStore, record: &DocumentRecord) -> Result<(), Error> {
    let chunks = records::chunks(store, record.id)?;
    // Headings are searched with each passage: the words of a question are often only there.
    let texts: Vec<String> =
        chunks.iter().map(|chunk| format!("{} {}\n{}", record.title(), chunk.path.join(" "), chunk.text)).collect();
    let passages: Vec<Passage<'_>> = chunks
        .iter()
        .zip(&texts)
        .map(|(chunk, text)| Passage { chunk: chunk.id, parent: chunk.parent, text, vector: &chunk.embedding.0 })
        .collect();
    Ok(index.add_document(record.id, &passages)?)
}

fn is_of(record: &DocumentRecord, model: &str) -> bool {
    match &record.stage {
        Stage::Ready { embedder_sha256, .. } => embedder_sha256 == model,
        Stage::Uploaded | Stage::Failed { .. } => false,
    }
}
