//! The background half: read, cut, embed, store, tell the index.

use std::sync::Arc;
use std::time::Duration;

use cloister_models::{Embedder, Error as Failure};
use cloister_protocol::ids::{ChunkId, DocumentId, WorkspaceId};
use cloister_protocol::parsed::ParsedDocument;
use sha2::{Digest, Sha256};

use super::chunker::{self, SIZES};
use super::queue::Work;
use super::records::{
    CHUNKS, ChunkRecord, DOCUMENTS, DocumentRecord, Embedding, FILES, PARENTS, ParentRecord, Stage, chunks, parent_key,
};
use super::service::{Change, Inner, delete_passages};
use super::upload::ready_copy;
use super::{DocumentProblem, Documents, Error};
use crate::access::TenantScope;
use crate::audit::{Class, Event, Outcome};
use crate::fresh;
use crate::store::{self, TenantStore, Version};

/// Passages per call of the model: small enough that a question in between waits about a second.
const BATCH: usize = 8;
/// The most tokens that the model looks at, framing included.
const MODEL_TOKENS: usize = 256;
/// Pauses between calls of a model whose queue is full, and how many of them there are.
const BUSY_PAUSE: Duration = Duration::from_millis(500);
const BUSY_RETRIES: u32 = 240;

/// Why there are no vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmbedError {
    /// Too many calls wait; the same call may succeed later.
    Busy,
    /// It will not succeed.
    Failed,
}

type Embed = dyn Fn(&[String]) -> Result<Vec<Vec<f32>>, EmbedError> + Send + Sync;
type Count = dyn Fn(&str) -> usize + Send + Sync;

/// The embedding model, as documents use it.
#[derive(Clone)]
pub struct Model {
    /// Makes vectors of unit length. Blocking.
    pub embed: Arc<Embed>,
    /// Counts tokens, framing included.
    pub count: Arc<Count>,
    /// SHA-256 of the model, hex.
    pub sha256: String,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("sha256", &self.sha256).finish_non_exhaustive()
    }
}

impl Model {
    /// The model of the appliance.
    #[must_use]
    pub fn of(embedder: Arc<Embedder>) -> Self {
        let (sha256, counter) = (embedder.digest().to_string(), Arc::clone(&embedder));
        let embed = move |texts: &[String]| {
            embedder.embed(texts).map_err(|error| match error {
                Failure::Busy { .. } => EmbedError::Busy,
                Failure::File { .. }
                | Failure::WrongDigest { .. }
                | Failure::UnknownModel(_)
                | Failure::Convert(_)
                | Failure::Unreachable { .. }
                | Failure::NotAModel
                | Failure::NoMemory
                | Failure::Invalid(_)
                | Failure::PromptTooLong { .. }
                | Failure::Compute
                | Failure::Stopped => EmbedError::Failed,
            })
        };
        Self { embed: Arc::new(embed), count: Arc::new(move |text| counter.count_tokens(text)), sha256 }
    }
}

/// Why the work on a document ended without a result.
enum Stop {
    /// The document has no passages, and this is why.
    Problem(DocumentProblem),
    /// The process stops or the document was deleted: nothing is to be written.
    Cancelled,
    /// The store or the random source failed.
    Fault(Error),
}

impl From<DocumentProblem> for Stop {
    fn from(problem: DocumentProblem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Fault(error)
    }
}

impl From<store::Error> for Stop {
    fn from(error: store::Error) -> Self {
        Self::Fault(error.into())
    }
}

/// All that is to be stored of a document.
struct Passages {
    own_title: Option<String>,
    page_count: Option<u32>,
    parents: Vec<ParentRecord>,
    chunks: Vec<ChunkRecord>,
}

impl Documents {
    /// Processes a document in the background, unless that is under way.
    pub(super) fn process(&self, scope: TenantScope, workspace: WorkspaceId, id: DocumentId) {
        let inner = Arc::clone(&self.inner);
        let Some(place) = inner.queue.enter(id, &inner.parts.stopping) else { return };
        self.inner.parts.tracker.spawn(async move {
            let cancelled = place.work.cancelled.clone();
            let work = inner.run(&scope, workspace, id, &place.work);
            // Dropping the work kills its worker process; nothing is half written, as each result is one batch.
            let outcome = tokio::select! {
                biased;
                () = cancelled.cancelled() => Ok(()),
                outcome = work => outcome,
            };
            if let Err(error) = outcome {
                tracing::error!(document = %id, %error, "document was not processed; it will be after the next start");
            }
        });
    }
}

impl Inner {
    async fn run(&self, scope: &TenantScope, workspace: WorkspaceId, id: DocumentId, work: &Work) -> Result<(), Error> {
        let Ok(_permit) = self.workers.acquire().await else { return Ok(()) };
        let store = self.store(scope);
        let (group, key) = (workspace.to_string(), id.to_string());
        let Some((record, version)) = store.get_versioned_in::<DocumentRecord>(&DOCUMENTS, &group, &key)? else {
            return Ok(());
        };
        work.progress(1);
        let committed = match self.passages(&store, &record, work).await {
            Ok(passages) => self.finish(&store, record, version, passages).await,
            Err(Stop::Problem(problem)) => self.fail(&store, record, version, problem).await,
            Err(Stop::Cancelled) => return Ok(()),
            Err(Stop::Fault(error)) => return Err(error),
        };
        match committed {
            Ok(Stage::Ready { .. }) => {
                (self.parts.notify)(store, workspace, id, Change::Ready).await;
                Ok(())
            }
            // Somebody deleted or changed the document meanwhile; they have the last word.
            Ok(_) | Err(Error::Store(store::Error::Conflict { .. })) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The passages of a document: those of a copy of the same file, or new ones.
    async fn passages(&self, store: &TenantStore, record: &DocumentRecord, work: &Work) -> Result<Passages, Stop> {
        if let Some(copy) = ready_copy(store, record, &self.parts.model.sha256)? {
            let (store, now_ms) = (store.clone(), self.parts.clock.now_ms());
            let copied = tokio::task::spawn_blocking(move || copied(&store, &copy, now_ms)).await;
            return copied.map_err(|_| Stop::Cancelled)?.map_err(Stop::Fault);
        }
        let (reading, key) = (store.clone(), record.sha256.clone());
        let bytes = tokio::task::spawn_blocking(move || reading.get_blob(&FILES, &key)).await;
        let bytes = bytes.map_err(|_| Stop::Cancelled)??.ok_or(DocumentProblem::ReaderFailed)?;
        let parsed = self.parts.reader.read(record.format, &bytes).await?;
        drop(bytes);
        work.progress(10);
        let title = record.given_title.clone().or_else(|| parsed.title.clone());
        let title = title.unwrap_or_else(|| record.file_name.clone());
        let (model, now_ms) = (self.parts.model.clone(), self.parts.clock.now_ms());
        let cut = tokio::task::spawn_blocking(move || cut(parsed, &title, &model, now_ms)).await;
        let (mut passages, texts) = cut.map_err(|_| Stop::Cancelled)?.map_err(Stop::Fault)?;
        work.progress(15);
        self.embed(&mut passages.chunks, &texts, work).await?;
        Ok(passages)
    }

    async fn embed(&self, chunks: &mut [ChunkRecord], texts: &[String], work: &Work) -> Result<(), Stop> {
        let total = chunks.len().max(1);
        for (n, (chunks, texts)) in chunks.chunks_mut(BATCH).zip(texts.chunks(BATCH)).enumerate() {
            let vectors = self.vectors(texts).await?;
            if vectors.len() != chunks.len() {
                return Err(DocumentProblem::NotEmbedded.into());
            }
            for (chunk, vector) in chunks.iter_mut().zip(vectors) {
                chunk.embedding = Embedding(vector);
            }
            work.progress(u8::try_from(15 + 80 * ((n + 1) * BATCH).min(total) / total).unwrap_or(95));
        }
        Ok(())
    }

    async fn vectors(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Stop> {
        for _ in 0..BUSY_RETRIES {
            let (embed, texts) = (Arc::clone(&self.parts.model.embed), texts.to_vec());
            let vectors = tokio::task::spawn_blocking(move || embed(&texts)).await;
            match vectors.map_err(|_| Stop::Cancelled)? {
                Ok(vectors) => return Ok(vectors),
                Err(EmbedError::Busy) => tokio::time::sleep(BUSY_PAUSE).await,
                Err(EmbedError::Failed) => break,
            }
        }
        Err(DocumentProblem::NotEmbedded.into())
    }

    /// Writes passages, state and audit record together. Passages of an earlier attempt or model go in the same batch.
    async fn finish(
        &self,
        store: &TenantStore,
        record: DocumentRecord,
        version: Version,
        passages: Passages,
    ) -> Result<Stage, Error> {
        let (group, key) = (record.workspace_id.to_string(), record.id.to_string());
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let stage = Stage::Ready {
            page_count: passages.page_count,
            parent_count: count(passages.parents.len()),
            chunk_count: count(passages.chunks.len()),
            embedder_sha256: self.parts.model.sha256.clone(),
            ready_ms: self.parts.clock.now_ms(),
        };
        let record = DocumentRecord { own_title: passages.own_title, stage: stage.clone(), ..record };
        let event = Event::new(Class::DatastoreWrite, "document.ready")
            .detail("document", key.clone())
            .detail("sha256", record.sha256.clone())
            .detail("parents", passages.parents.len())
            .detail("chunks", passages.chunks.len());
        let mut batch = store.batch();
        batch.expect_version_in(&DOCUMENTS, &group, &key, version);
        delete_passages(store, &mut batch, record.id)?;
        for (index, parent) in (0..).zip(&passages.parents) {
            batch.put_in(&PARENTS, &key, &parent_key(index), parent);
        }
        for chunk in &passages.chunks {
            batch.put_in(&CHUNKS, &key, &chunk.id.to_string(), chunk);
        }
        batch.put_in(&DOCUMENTS, &group, &key, &record).audit(event);
        self.delete_pending(&mut batch, record.id);
        batch.commit().await?;
        Ok(stage)
    }

    async fn fail(
        &self,
        store: &TenantStore,
        record: DocumentRecord,
        version: Version,
        problem: DocumentProblem,
    ) -> Result<Stage, Error> {
        let (group, key) = (record.workspace_id.to_string(), record.id.to_string());
        let stage = Stage::Failed { problem };
        let record = DocumentRecord { stage: stage.clone(), ..record };
        let event = Event::new(Class::DatastoreWrite, "document.ready")
            .outcome(Outcome::Failure)
            .detail("document", key.clone())
            .detail("problem", problem.slug());
        let mut batch = store.batch();
        batch.expect_version_in(&DOCUMENTS, &group, &key, version).put_in(&DOCUMENTS, &group, &key, &record);
        batch.audit(event);
        self.delete_pending(&mut batch, record.id);
        batch.commit().await?;
        Ok(stage)
    }
}

/// Cuts a document; also what is to be embedded of each passage.
fn cut(parsed: ParsedDocument, title: &str, model: &Model, now_ms: u64) -> Result<(Passages, Vec<String>), Error> {
    let count = |text: &str| (model.count)(text);
    let mut ids = ChunkIds::new(now_ms)?;
    let (mut parents, mut chunks, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    for (number, parent) in (0..).zip(chunker::cut(&parsed, &count, &SIZES)) {
        for child in &parent.children {
            let text = parent.text.get(child.range.clone()).unwrap_or_default();
            texts.push(chunker::embedding_text(title, &parent.path, text, &count, MODEL_TOKENS));
            chunks.push(ChunkRecord {
                id: ids.next(),
                parent: number,
                start: u32::try_from(child.range.start).unwrap_or(u32::MAX),
                end: u32::try_from(child.range.end).unwrap_or(u32::MAX),
                path: parent.path.clone(),
                text: text.to_owned(),
                sha256: hex::encode(Sha256::digest(text)),
                page: child.page,
                paragraph: child.paragraph,
                embedding: Embedding(Vec::new()),
            });
        }
        parents.push(ParentRecord { path: parent.path, text: parent.text, pages: parent.pages });
    }
    let passages = Passages { own_title: parsed.title, page_count: parsed.page_count, parents, chunks };
    Ok((passages, texts))
}

/// The passages of a document of the same file under new ids. Blocking.
fn copied(store: &TenantStore, copy: &DocumentRecord, now_ms: u64) -> Result<Passages, Error> {
    let mut ids = ChunkIds::new(now_ms)?;
    let chunks = chunks(store, copy.id)?.into_iter().map(|chunk| ChunkRecord { id: ids.next(), ..chunk }).collect();
    let parents = store.list_in(&PARENTS, &copy.id.to_string())?.into_iter().map(|(_, parent)| parent).collect();
    let page_count = match copy.stage {
        Stage::Ready { page_count, .. } => page_count,
        Stage::Uploaded | Stage::Failed { .. } => None,
    };
    Ok(Passages { own_title: copy.own_title.clone(), page_count, parents, chunks })
}

/// Ids that grow in reading order: one random start per document, counted up in the lowest 32 of its 80 bits.
struct ChunkIds {
    now_ms: u64,
    next: u128,
}

impl ChunkIds {
    fn new(now_ms: u64) -> Result<Self, Error> {
        Ok(Self { now_ms, next: fresh::bits() & !u128::from(u32::MAX) })
    }

    const fn next(&mut self) -> ChunkId {
        let id = ChunkId::from_parts(self.now_ms, self.next);
        self.next += 1;
        id
    }
}
