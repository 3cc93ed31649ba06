//! The index of one workspace: add, remove, search, and the merging of the append buffer into graphs.
//!
//! Searches share a read lock. Changes take the write lock for microseconds; graphs are built outside it, so that
//! questions are answered while 20,000 vectors are being merged.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use cloister_protocol::ids::{ChunkId, DocumentId};
use instant_distance::Search;

use super::fusion::{capped, fuse};
use super::segment::Segment;
pub use super::state::SegmentId;
use super::state::State;
use super::terms::query_terms;
use super::vector::{DIM, dot, unit};
use super::{Error, Filter};

/// How many candidates each of the two searches brings to the fusion.
pub const CANDIDATES: usize = 50;

/// When the index changes from comparing everything to walking graphs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Up to this many allowed rows every one is compared: exact, and about a millisecond for the default of 20,000.
    pub exact_rows: usize,
    /// Above that, this many rows wait in the append buffer, which every search compares, before they become a segment.
    pub buffer_rows: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { exact_rows: 20_000, buffer_rows: 4_096 }
    }
}

/// A passage to be found.
#[derive(Debug, Clone, Copy)]
pub struct Passage<'a> {
    /// Its name.
    pub chunk: ChunkId,
    /// The number of its section in the document; passages of one section follow each other.
    pub parent: u32,
    /// Its words.
    pub text: &'a str,
    /// Its vector, of any length but zero; it is scaled to one.
    pub vector: &'a [f32],
}

/// What to look for.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// The question.
    pub text: &'a str,
    /// The question's vector.
    pub vector: &'a [f32],
    /// The documents that may be seen.
    pub filter: &'a Filter,
    /// How many passages are wanted; at most [`CANDIDATES`] of each search come to the choice.
    pub k: usize,
    /// How many of them may be of one document while others have something to say too.
    pub per_document: usize,
}

/// A passage that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The passage.
    pub chunk: ChunkId,
    /// Its document.
    pub document: DocumentId,
    /// The number of its section.
    pub parent: u32,
    /// The fused score, which says nothing across questions.
    pub score: f32,
    /// Cosine of question and passage.
    pub cosine: f32,
}

/// Finds passages of one workspace.
#[derive(Default)]
pub struct Index {
    limits: Limits,
    state: RwLock<State>,
    /// Working memory of graph walks, kept between searches.
    walks: Mutex<Vec<Search>>,
}

impl Index {
    /// An empty index with other limits than the default ones.
    #[must_use]
    pub fn with_limits(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Adds a document, or replaces it; a search sees all of its passages or none.
    ///
    /// # Errors
    /// [`Error::Dimension`], [`Error::NotFinite`] or [`Error::Full`]; then nothing has changed.
    pub fn add_document(&self, document: DocumentId, passages: &[Passage<'_>]) -> Result<(), Error> {
        self.write().add(document, passages)
    }

    /// Removes a document. Returns whether it was there.
    pub fn remove_document(&self, document: DocumentId) -> bool {
        self.write().remove(document)
    }

    /// How many documents can be found.
    #[must_use]
    pub fn documents(&self) -> usize {
        self.read().documents()
    }

    /// Whether the document can be found.
    #[must_use]
    pub fn holds(&self, document: DocumentId) -> bool {
        self.read().holds(document)
    }

    /// The passages that fit best, by words and by meaning, best first.
    ///
    /// # Errors
    /// [`Error::Dimension`] or [`Error::NotFinite`] for a vector of another model.
    pub fn search(&self, query: &Query<'_>) -> Result<Vec<Hit>, Error> {
        let vector = unit(query.vector)?;
        let state = self.read();
        let allowed = state.allowed(query.filter);
        let mut walk = self.walk();
        let by_meaning = state.nearest(&vector, &allowed, (CANDIDATES, self.limits.exact_rows), &mut walk);
        self.put_back(walk);
        let by_words = state.lexical(&query_terms(query.text), &allowed, CANDIDATES);
        let rows = |ranked: &[(u32, f32)]| ranked.iter().map(|(row, _)| *row).collect::<Vec<_>>();
        let fused = fuse(&[&rows(&by_meaning), &rows(&by_words)]);
        let hits: Vec<Hit> = fused
            .into_iter()
            .filter_map(|(row, score)| {
                let cosine = dot(state.vector(row)?, &vector);
                hit(&state, row, score, cosine)
            })
            .collect();
        Ok(capped(&hits, query.k, query.per_document, |hit| hit.document))
    }

    /// The passages nearest by meaning alone.
    ///
    /// # Errors
    /// As [`Index::search`].
    pub fn nearest(&self, vector: &[f32], filter: &Filter, k: usize) -> Result<Vec<Hit>, Error> {
        let vector = unit(vector)?;
        let state = self.read();
        let mut walk = self.walk();
        let found = state.nearest(&vector, &state.allowed(filter), (k, self.limits.exact_rows), &mut walk);
        self.put_back(walk);
        Ok(found.into_iter().filter_map(|(row, cosine)| hit(&state, row, cosine, cosine)).collect())
    }

    /// The passages of a section of a document, in reading order.
    #[must_use]
    pub fn section(&self, document: DocumentId, parent: u32) -> Vec<ChunkId> {
        self.read().section(document, parent)
    }

    /// How much each of the words tells apart among the allowed passages (inverse document frequency).
    #[must_use]
    pub fn weights(&self, words: &[String], filter: &Filter) -> Vec<f32> {
        let state = self.read();
        state.weights(words, &state.allowed(filter))
    }

    /// Merges the append buffer into a segment if it has grown large. Blocks for as long as the graph takes to build.
    ///
    /// Segments that are not clearly larger than what is merged go into the same new one, so that there are few and
    /// each row is moved a logarithmic number of times. Returns whether the segments changed.
    pub fn merge(&self) -> bool {
        let (rows, vectors, merged, numbering) = {
            let state = self.read();
            let Some(merged) = merge_plan(&state, self.limits) else { return false };
            let allowed = state.allowed(&Filter::All);
            let old = state.segments.iter().filter(|(id, _)| merged.contains(id)).flat_map(|(_, s)| s.rows());
            let rows: Vec<u32> = old.chain(state.buffer.iter().copied()).filter(|row| allowed.row(*row)).collect();
            let vectors: Vec<f32> = rows.iter().filter_map(|row| state.vector(*row)).flatten().copied().collect();
            (rows, vectors, merged, state.numbering)
        };
        let segment = Segment::build(rows.iter().copied().zip(vectors.chunks_exact(DIM)));
        let mut state = self.write();
        if state.numbering != numbering {
            return false;
        }
        state.segments.retain(|(id, _)| !merged.contains(id));
        state.install(segment);
        true
    }

    /// Whether [`Index::merge`] would do something.
    #[must_use]
    pub fn wants_merge(&self) -> bool {
        merge_plan(&self.read(), self.limits).is_some()
    }

    /// The segments that there are; a number never means another segment later.
    #[must_use]
    pub fn segment_ids(&self) -> Vec<SegmentId> {
        self.read().segments.iter().map(|(id, _)| *id).collect()
    }

    /// A segment as bytes to be sealed, if it still exists; `model` is the embedding model's digest.
    ///
    /// # Errors
    /// [`Error::Segment`] if it cannot be written.
    pub fn segment_bytes(&self, id: SegmentId, model: [u8; 32]) -> Result<Option<Vec<u8>>, Error> {
        let state = self.read();
        let chunk = |row| state.row(row).map(|(chunk, ..)| chunk);
        let segment = state.segments.iter().find(|(other, _)| *other == id);
        segment.map(|(_, segment)| segment.to_bytes(model, chunk)).transpose()
    }

    /// Takes a sealed segment back, after the documents were added. Nothing if none of its rows is waiting for one.
    ///
    /// # Errors
    /// [`Error::Segment`] if the bytes are of another format or model; the rows then stay in the append buffer.
    pub fn restore_segment(&self, bytes: &[u8], model: [u8; 32]) -> Result<Option<SegmentId>, Error> {
        let mut state = self.write();
        let by_chunk = state.rows_by_chunk();
        let buffered: HashSet<u32> = state.buffer.iter().copied().collect();
        let row = |chunk: u128| by_chunk.get(&chunk).copied().filter(|row| buffered.contains(row));
        let segment = Segment::from_bytes(bytes, model, row)?;
        let serves = segment.rows().next().is_some();
        Ok(serves.then(|| state.install(segment)))
    }

    /// How many rows each segment serves, and how many wait in the append buffer.
    #[must_use]
    pub fn shape(&self) -> (Vec<usize>, usize) {
        let state = self.read();
        (state.segments.iter().map(|(_, s)| s.rows().count()).collect(), state.buffer.len())
    }

    fn walk(&self) -> Search {
        self.walks.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn put_back(&self, walk: Search) {
        self.walks.lock().unwrap_or_else(PoisonError::into_inner).push(walk);
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("documents", &self.documents()).finish_non_exhaustive()
    }
}

fn hit(state: &State, row: u32, score: f32, cosine: f32) -> Option<Hit> {
    let (chunk, document, parent) = state.row(row)?;
    Some(Hit { chunk, document, parent, score, cosine })
}

/// Which segments go into a new one with the buffer: from the smallest up, while each is less than twice what is there.
fn merge_plan(state: &State, limits: Limits) -> Option<Vec<SegmentId>> {
    if state.live_rows() <= limits.exact_rows || state.buffer.len() < limits.buffer_rows {
        return None;
    }
    let mut by_size: Vec<(usize, SegmentId)> = state.segments.iter().map(|(id, s)| (s.len(), *id)).collect();
    by_size.sort_unstable();
    let mut total = state.buffer.len();
    let mut merged = Vec::new();
    for (size, id) in by_size {
        if size >= total * 2 {
            break;
        }
        total += size;
        merged.push(id);
    }
    Some(merged)
}
