//! What is stored of documents, and where. Texts are content: these types are never logged.
//!
//! | collection | tree | group | key |
//! |---|---|---|---|
//! | [`DOCUMENTS`] | 10 | workspace | document |
//! | [`PARENTS`] | 11 | document | number of the parent in reading order, six digits |
//! | [`CHUNKS`] | 12 | document | chunk; ids of one document grow in reading order |
//! | [`COPIES`] | 13 | – | SHA-256 of the file |
//! | [`FILES`] | 14 | – | SHA-256 of the file; the bytes are the blob of that name |
//!
//! The digest is a key of the store and as such a PRF under the organisation's key on the disk, so nobody can tell from
//! outside whether two organisations have the same file.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloister_protocol::api::{Document, DocumentState};
use cloister_protocol::ids::{ChunkId, DocumentId, PersonId, WorkspaceId};
use cloister_protocol::parsed::DocumentFormat;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::problem::DocumentProblem;
use crate::store::{Collection, Error, Listing, TenantStore};

/// Documents, grouped by workspace.
pub const DOCUMENTS: Collection<DocumentRecord> = Collection::new_grouped("documents", 10, 1);
/// Sections of documents, grouped by document.
pub const PARENTS: Collection<ParentRecord> = Collection::new_grouped("document-parents", 11, 1);
/// Passages of documents with their vectors, grouped by document.
pub const CHUNKS: Collection<ChunkRecord> = Collection::new_grouped("document-chunks", 12, 1);
/// Which documents are the same file.
pub const COPIES: Collection<CopiesRecord> = Collection::new("document-copies", 13, 1);
/// The uploaded files, as blobs.
pub const FILES: Collection<()> = Collection::new("document-files", 14, 1);

/// The collections of this module.
pub(crate) const COLLECTIONS: Listing =
    &[DOCUMENTS.meta(), PARENTS.meta(), CHUNKS.meta(), COPIES.meta(), FILES.meta(), super::service::PENDING.meta()];

/// A document in a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentRecord {
    /// Its id.
    pub id: DocumentId,
    /// The workspace it belongs to.
    pub workspace_id: WorkspaceId,
    /// Who uploaded it.
    pub uploaded_by: PersonId,
    /// The title that the uploader gave.
    pub given_title: Option<String>,
    /// The title that the document gives itself.
    pub own_title: Option<String>,
    /// The author, if given.
    pub author: Option<String>,
    /// The name of the uploaded file.
    pub file_name: String,
    /// What it is read as.
    pub format: DocumentFormat,
    /// Size of the file.
    pub size_bytes: u64,
    /// SHA-256 of the file, hex.
    pub sha256: String,
    /// How far it has come, as far as it is stored.
    pub stage: Stage,
    /// When it was uploaded, Unix milliseconds.
    pub created_ms: u64,
}

/// How far a document has come. Being processed is not a stage of its own: what a crash interrupts is begun again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Stage {
    /// Stored; to be processed.
    Uploaded,
    /// Its passages are stored.
    Ready {
        /// Pages, where the format has them.
        page_count: Option<u32>,
        /// Sections and parts of sections.
        parent_count: u32,
        /// Passages.
        chunk_count: u32,
        /// SHA-256 of the embedding model, hex: vectors of another model cannot be compared with these.
        embedder_sha256: String,
        /// When, Unix milliseconds.
        ready_ms: u64,
    },
    /// It has no text.
    Failed {
        /// Why.
        problem: DocumentProblem,
    },
}

impl DocumentRecord {
    /// The title shown in citations: given, else its own, else the name of the file.
    #[must_use]
    pub fn title(&self) -> &str {
        self.given_title.as_deref().or(self.own_title.as_deref()).unwrap_or(&self.file_name)
    }

    /// Whether its passages are stored.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Ready { .. })
    }

    /// What a caller sees; `progress` is given while it is being processed, and until the search index knows it.
    #[must_use]
    pub fn to_api(&self, progress: Option<u8>) -> Document {
        let mut document = Document {
            id: self.id,
            workspace_id: self.workspace_id,
            title: self.title().to_owned(),
            author: self.author.clone(),
            file_name: self.file_name.clone(),
            format: self.format,
            size_bytes: self.size_bytes,
            sha256: self.sha256.clone(),
            state: DocumentState::Uploaded,
            progress: 0,
            page_count: None,
            chunk_count: None,
            problem: None,
            created_ms: self.created_ms,
            ready_ms: None,
        };
        match &self.stage {
            Stage::Uploaded | Stage::Ready { .. } if progress.is_some() => {
                document.state = DocumentState::Processing;
                document.progress = progress.unwrap_or(0).min(99);
            }
            Stage::Uploaded => {}
            Stage::Ready { page_count, chunk_count, ready_ms, .. } => {
                document.state = DocumentState::Ready;
                document.progress = 100;
                document.page_count = *page_count;
                document.chunk_count = Some(*chunk_count);
                document.ready_ms = Some(*ready_ms);
            }
            Stage::Failed { problem } => {
                document.state = DocumentState::Error;
                document.problem = Some(problem.sentence().to_owned());
            }
        }
        document
    }
}

/// A section of a document, or a part of a large one: what a model reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParentRecord {
    /// Section titles from the outermost in.
    pub path: Vec<String>,
    /// The text; paragraphs are separated by line breaks.
    pub text: String,
    /// First and last page, where there are pages.
    pub pages: Option<(u32, u32)>,
}

/// A passage of a document: what is searched, cited and quoted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChunkRecord {
    /// Its id; ids of one document grow in reading order.
    pub id: ChunkId,
    /// The number of its parent.
    pub parent: u32,
    /// Where it stands in the parent's text, in bytes: from.
    pub start: u32,
    /// Up to, not including.
    pub end: u32,
    /// Section titles from the outermost in, as of the parent.
    pub path: Vec<String>,
    /// The text, a substring of the parent's.
    pub text: String,
    /// SHA-256 of the text, hex; stands in receipts.
    pub sha256: String,
    /// The page it starts on, where there are pages.
    pub page: Option<u32>,
    /// The paragraph it starts in, counted from 0 over the document.
    pub paragraph: u32,
    /// Its vector, of unit length, by the model that the document's record names.
    pub embedding: Embedding,
}

/// A vector, stored as base64 of little-endian `f32`.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding(pub Vec<f32>);

impl Serialize for Embedding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = self.0.iter().flat_map(|component| component.to_le_bytes()).collect();
        serializer.serialize_str(&STANDARD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Embedding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).map_err(serde::de::Error::custom)?;
        let (components, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(serde::de::Error::custom("not a whole number of components"));
        }
        Ok(Self(components.iter().map(|component| f32::from_le_bytes(*component)).collect()))
    }
}

/// The documents of an organisation that are one and the same file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopiesRecord {
    /// Each with its workspace.
    pub documents: Vec<(WorkspaceId, DocumentId)>,
}

/// The key of parent number `index` of a document.
#[must_use]
pub fn parent_key(index: u32) -> String {
    format!("{index:06}")
}

/// All documents of a workspace that can be asked about. Blocking.
///
/// # Errors
/// Those of the store.
pub fn ready_documents(store: &TenantStore, workspace: WorkspaceId) -> Result<Vec<DocumentRecord>, Error> {
    let documents = store.list_in(&DOCUMENTS, &workspace.to_string())?;
    Ok(documents.into_iter().map(|(_, document)| document).filter(DocumentRecord::is_ready).collect())
}

/// One document of a workspace.
///
/// # Errors
/// Those of the store.
pub fn document(
    store: &TenantStore,
    workspace: WorkspaceId,
    document: DocumentId,
) -> Result<Option<DocumentRecord>, Error> {
    store.get_in(&DOCUMENTS, &workspace.to_string(), &document.to_string())
}

/// The passages of a document in reading order. Blocking.
///
/// # Errors
/// Those of the store.
pub fn chunks(store: &TenantStore, document: DocumentId) -> Result<Vec<ChunkRecord>, Error> {
    let chunks = store.list_in(&CHUNKS, &document.to_string())?;
    Ok(chunks.into_iter().map(|(_, chunk)| chunk).collect())
}

/// One passage.
///
/// # Errors
/// Those of the store.
pub fn chunk(store: &TenantStore, document: DocumentId, chunk: ChunkId) -> Result<Option<ChunkRecord>, Error> {
    store.get_in(&CHUNKS, &document.to_string(), &chunk.to_string())
}

/// The section that a passage stands in.
///
/// # Errors
/// Those of the store.
pub fn parent(store: &TenantStore, document: DocumentId, index: u32) -> Result<Option<ParentRecord>, Error> {
    store.get_in(&PARENTS, &document.to_string(), &parent_key(index))
}
