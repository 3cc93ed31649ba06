//! What an index holds between two changes, and the two searches over it.

use std::collections::{HashMap, HashSet};

use cloister_protocol::ids::{ChunkId, DocumentId};
use instant_distance::Search;

use super::bm25::{Bm25, Scope, best};
use super::segment::Segment;
use super::vector::{DIM, Matrix, dot, unit};
use super::{Error, Filter, Passage};

/// Rows that a scan of quantised points hands on for exact scores, for each one that is wanted.
const SCAN_MARGIN: usize = 4;
/// Dead rows below this number are not worth a compaction.
const COMPACT_ROWS: usize = 1_000;

#[derive(Debug)]
struct Entry {
    id: DocumentId,
    /// A dead entry is a tombstone: its rows are still in the postings and graphs, and never found.
    live: bool,
    /// Its rows follow each other from here.
    first: usize,
    rows: usize,
    words: u64,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    chunk: ChunkId,
    /// Number of its section in the document.
    parent: u32,
    /// Index into the entries.
    entry: usize,
}

/// Tells the segments of one index apart.
pub type SegmentId = u64;

/// Rows, numbered in the order they came; postings, vectors and graphs all speak of these numbers.
#[derive(Debug, Default)]
pub(super) struct State {
    entries: Vec<Entry>,
    live: HashMap<DocumentId, usize>,
    rows: Vec<Row>,
    words: Bm25,
    vectors: Matrix,
    pub(super) segments: Vec<(SegmentId, Segment)>,
    next_segment: SegmentId,
    /// Rows of no segment: the append buffer.
    pub(super) buffer: Vec<u32>,
    /// Raised when rows are renumbered, so that a segment built meanwhile is known to be useless.
    pub(super) numbering: u64,
    dead_rows: usize,
}

/// A filter resolved against the entries.
pub(super) struct Allowed<'a> {
    state: &'a State,
    entries: Vec<bool>,
    pub(super) rows: usize,
    words: u64,
}

impl Allowed<'_> {
    pub(super) fn row(&self, row: u32) -> bool {
        let entry = self.state.rows.get(row as usize).map(|row| row.entry);
        entry.and_then(|at| self.entries.get(at)).copied().unwrap_or(false)
    }
}

impl State {
    pub(super) fn allowed(&self, filter: &Filter) -> Allowed<'_> {
        let mut allowed = Allowed { state: self, entries: vec![false; self.entries.len()], rows: 0, words: 0 };
        let mut allow = |at: usize| {
            if let (Some(entry), Some(bit)) = (self.entries.get(at), allowed.entries.get_mut(at)) {
                *bit = true;
                allowed.rows += entry.rows;
                allowed.words += entry.words;
            }
        };
        match filter {
            Filter::All => self.live.values().for_each(|at| allow(*at)),
            Filter::Documents(ids) => ids.iter().filter_map(|id| self.live.get(id)).for_each(|at| allow(*at)),
        }
        allowed
    }

    /// Adds a document in whole or not at all; an older one of the same id is replaced.
    pub(super) fn add(&mut self, document: DocumentId, passages: &[Passage<'_>]) -> Result<(), Error> {
        let total = self.rows.len().checked_add(passages.len()).and_then(|n| u32::try_from(n).ok());
        total.ok_or(Error::Full)?;
        let vectors = passages.iter().map(|p| unit(p.vector)).collect::<Result<Vec<_>, _>>()?;
        self.remove(document);
        let (entry, first) = (self.entries.len(), self.rows.len());
        let mut words = 0;
        for (passage, vector) in passages.iter().zip(&vectors) {
            let row = u32::try_from(self.rows.len()).map_err(|_| Error::Full)?;
            words += u64::from(self.words.push(passage.text)?);
            self.vectors.push(vector)?;
            self.rows.push(Row { chunk: passage.chunk, parent: passage.parent, entry });
            self.buffer.push(row);
        }
        self.entries.push(Entry { id: document, live: true, first, rows: passages.len(), words });
        self.live.insert(document, entry);
        Ok(())
    }

    /// Buries a document. Returns whether it was there.
    pub(super) fn remove(&mut self, document: DocumentId) -> bool {
        let Some(entry) = self.live.remove(&document).and_then(|at| self.entries.get_mut(at)) else { return false };
        entry.live = false;
        self.dead_rows += entry.rows;
        if self.dead_rows > COMPACT_ROWS && self.dead_rows * 4 > self.rows.len() {
            self.compact();
        }
        true
    }

    /// Drops the dead rows for good and renumbers the rest. Graphs keep dead points as way marks.
    fn compact(&mut self) {
        let mut next = 0_u32;
        let is_live = |row: &Row| self.entries.get(row.entry).is_some_and(|e| e.live);
        let number = |row: &Row| {
            is_live(row).then(|| {
                next += 1;
                next - 1
            })
        };
        let to: Vec<Option<u32>> = self.rows.iter().map(number).collect();
        let keep = |row: usize| to.get(row).copied().flatten().is_some();
        self.words.renumber(&to);
        self.vectors.retain(keep);
        let mut at = 0;
        self.rows.retain(|_| {
            at += 1;
            keep(at - 1)
        });
        self.buffer = self.buffer.iter().filter_map(|row| to.get(*row as usize).copied().flatten()).collect();
        for segment in &mut self.segments {
            segment.1.renumber(&to);
        }
        self.segments.retain(|(_, segment)| segment.rows().next().is_some());
        let mut entry_to = Vec::with_capacity(self.entries.len());
        let mut kept = 0;
        for entry in &self.entries {
            entry_to.push(kept);
            kept += usize::from(entry.live);
        }
        self.entries.retain(|entry| entry.live);
        let mut first = 0;
        for entry in &mut self.entries {
            entry.first = first;
            first += entry.rows;
        }
        for row in &mut self.rows {
            row.entry = entry_to.get(row.entry).copied().unwrap_or(usize::MAX);
        }
        self.live = self.entries.iter().enumerate().map(|(at, entry)| (entry.id, at)).collect();
        self.dead_rows = 0;
        self.numbering += 1;
    }

    /// Lets a segment serve its rows, which leave the append buffer.
    pub(super) fn install(&mut self, segment: Segment) -> SegmentId {
        let served: HashSet<u32> = segment.rows().collect();
        self.buffer.retain(|row| !served.contains(row));
        let id = self.next_segment;
        self.segments.push((id, segment));
        self.next_segment += 1;
        id
    }

    pub(super) fn documents(&self) -> usize {
        self.live.len()
    }

    /// Rows that can be found.
    pub(super) const fn live_rows(&self) -> usize {
        self.rows.len() - self.dead_rows
    }

    pub(super) fn holds(&self, document: DocumentId) -> bool {
        self.live.contains_key(&document)
    }

    pub(super) fn row(&self, row: u32) -> Option<(ChunkId, DocumentId, u32)> {
        let row = self.rows.get(row as usize)?;
        Some((row.chunk, self.entries.get(row.entry)?.id, row.parent))
    }

    pub(super) fn section(&self, document: DocumentId, parent: u32) -> Vec<ChunkId> {
        let entry = self.live.get(&document).and_then(|at| self.entries.get(*at));
        let rows = entry.and_then(|entry| self.rows.get(entry.first..entry.first + entry.rows)).unwrap_or_default();
        rows.iter().filter(|row| row.parent == parent).map(|row| row.chunk).collect()
    }

    pub(super) fn vector(&self, row: u32) -> Option<&[f32]> {
        self.vectors.row(row as usize)
    }

    /// The rows of live documents by the number form of their chunk's id.
    pub(super) fn rows_by_chunk(&self) -> HashMap<u128, u32> {
        let live = |row: &Row| self.entries.get(row.entry).is_some_and(|e| e.live);
        let numbered = (0_u32..).zip(&self.rows).filter(|(_, row)| live(row));
        numbered.map(|(number, row)| (u128::from_be_bytes(row.chunk.to_bytes()), number)).collect()
    }

    pub(super) fn lexical(&self, words: &[String], allowed: &Allowed<'_>, k: usize) -> Vec<(u32, f32)> {
        self.words.search(words, &scope(allowed, &|row| allowed.row(row)), k)
    }

    pub(super) fn weights(&self, words: &[String], allowed: &Allowed<'_>) -> Vec<f32> {
        self.words.weights(words, &scope(allowed, &|row| allowed.row(row)))
    }

    /// The allowed rows nearest to a unit vector with their cosines, best first; as many as there are, at most `k`.
    ///
    /// Up to `exact_rows` allowed rows every one is compared.
    pub(super) fn nearest(
        &self,
        vector: &[f32; DIM],
        allowed: &Allowed<'_>,
        (k, exact_rows): (usize, usize),
        walk: &mut Search,
    ) -> Vec<(u32, f32)> {
        let score = |row: u32| Some((row, dot(self.vector(row)?, vector)));
        if self.segments.is_empty() || allowed.rows <= exact_rows {
            let rows = (0_u32..).zip(&self.rows).map(|(number, _)| number);
            return best(rows.filter(|row| allowed.row(*row)).filter_map(score).collect(), k);
        }
        let mut found: Vec<u32> = self.buffer.iter().copied().filter(|row| allowed.row(*row)).collect();
        for (_, segment) in &self.segments {
            found.extend(in_segment(segment, vector, allowed, k, walk));
        }
        best(found.into_iter().filter_map(score).collect(), k)
    }
}

/// At least `k` allowed rows of a segment, or all that it has: by the graph if enough of what it finds is allowed.
fn in_segment(segment: &Segment, vector: &[f32; DIM], allowed: &Allowed<'_>, k: usize, walk: &mut Search) -> Vec<u32> {
    let mut found = segment.search(vector, walk);
    found.retain(|row| allowed.row(*row));
    if found.len() >= k {
        return found;
    }
    segment.scan(vector, k.saturating_mul(SCAN_MARGIN), |row| allowed.row(row))
}

fn scope<'a>(allowed: &Allowed<'_>, row: &'a dyn Fn(u32) -> bool) -> Scope<'a> {
    Scope { allowed: row, rows: allowed.rows, words: allowed.words }
}
