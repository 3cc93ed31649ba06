//! An immutable graph over many vectors: instant-distance with byte-sized points.
//!
//! The graph finds candidates by quantised distance; whoever asks scores them again with the full vectors. Points
//! lie inline in one allocation, 384 bytes on their own cache lines, which is what makes the walk fast.

use std::collections::HashMap;

use cloister_protocol::ids::ChunkId;
use instant_distance::{Builder, Hnsw, Point, Search};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Error;
use super::bm25::best;
use super::vector::{DIM, Quantised};

/// Candidates that a search follows: recall@10 is then 0.99 on the bench's 39,000 vectors.
pub const EF_SEARCH: usize = 66;
/// Candidates that the build follows.
pub const EF_CONSTRUCTION: usize = 66;
/// Raised whenever the bytes of a segment change their meaning.
const FORMAT: u32 = 1;

/// A graph and the rows that each of its points stands for.
///
/// Rows with equal vectors share one point: a page footer that stands in every document would otherwise become an
/// island whose points know only each other.
pub struct Segment {
    graph: Hnsw<Quantised>,
    scale: f32,
    /// By point; empty where all rows are gone.
    rows: Vec<Vec<u32>>,
}

/// What [`Segment::to_bytes`] writes before the graph.
#[derive(Serialize, Deserialize)]
struct Header {
    format: u32,
    /// SHA-256 of the embedding model.
    model: [u8; 32],
    scale: f32,
    /// Names of the chunks, by point.
    chunks: Vec<Vec<u128>>,
}

impl Segment {
    /// Builds the graph over `rows` with their unit vectors. Uses every core; takes about 2 ms a vector and core for 39,000 vectors.
    #[must_use]
    pub fn build<'a>(rows: impl ExactSizeIterator<Item = (u32, &'a [f32])> + Clone) -> Self {
        let largest = rows.clone().flat_map(|(_, v)| v).fold(0.0_f32, |max, v| max.max(v.abs()));
        let scale = if largest > 0.0 { 127.0 / largest } else { 1.0 };
        let (mut points, mut held): (Vec<Quantised>, Vec<Vec<u32>>) = (Vec::new(), Vec::new());
        let mut known: HashMap<[i8; DIM], usize> = HashMap::with_capacity(rows.len());
        for (row, vector) in rows {
            let point = Quantised::new(vector, scale);
            let at = *known.entry(point.0).or_insert(points.len());
            match held.get_mut(at) {
                Some(rows) => rows.push(row),
                None => {
                    points.push(point);
                    held.push(vec![row]);
                }
            }
        }
        drop(known);
        let builder = Builder::default().ef_search(EF_SEARCH).ef_construction(EF_CONSTRUCTION).seed(1);
        let (graph, ids) = builder.build_hnsw(points);
        let mut rows = vec![Vec::new(); held.len()];
        for (numbers, id) in held.into_iter().zip(ids) {
            if let Some(slot) = rows.get_mut(id.into_inner() as usize) {
                *slot = numbers;
            }
        }
        Self { graph, scale, rows }
    }

    /// Rows near `vector` by quantised distance, nearest first; dead rows are left out.
    pub fn search(&self, vector: &[f32], search: &mut Search) -> Vec<u32> {
        let point = Quantised::new(vector, self.scale);
        let found = self.graph.search(&point, search);
        found.filter_map(|item| self.rows.get(item.pid.into_inner() as usize)).flatten().copied().collect()
    }

    /// The `k` rows nearest by quantised distance among those that `allowed` lets through, found without the graph.
    pub fn scan(&self, vector: &[f32], k: usize, allowed: impl Fn(u32) -> bool) -> Vec<u32> {
        let point = Quantised::new(vector, self.scale);
        let mut scored = Vec::new();
        for ((_, other), rows) in self.graph.iter().zip(&self.rows) {
            let mut rows = rows.iter().copied().filter(|row| allowed(*row)).peekable();
            if rows.peek().is_some() {
                let score = -point.distance(other);
                scored.extend(rows.map(|row| (row, score)));
            }
        }
        best(scored, k).into_iter().map(|(row, _)| row).collect()
    }

    /// The rows that are still there.
    pub fn rows(&self) -> impl Iterator<Item = u32> + '_ {
        self.rows.iter().flatten().copied()
    }

    /// Points in the graph, dead ones included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no point.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The same graph with other row numbers; rows that `to` maps to nothing die.
    pub(super) fn renumber(&mut self, to: &[Option<u32>]) {
        let target = |row: u32| to.get(row as usize).copied().flatten();
        for rows in &mut self.rows {
            *rows = rows.iter().filter_map(|row| target(*row)).collect();
        }
    }

    /// The segment as bytes, to be sealed. `chunk` names the chunk of a row, `model` the embedding model's digest.
    ///
    /// # Errors
    /// [`Error::Segment`] if it cannot be written.
    pub fn to_bytes(&self, model: [u8; 32], chunk: impl Fn(u32) -> Option<ChunkId>) -> Result<Vec<u8>, Error> {
        let name = |row: &u32| chunk(*row).map(|id| u128::from_be_bytes(id.to_bytes()));
        let chunks = self.rows.iter().map(|rows| rows.iter().filter_map(name).collect()).collect();
        let header = Header { format: FORMAT, model, scale: self.scale, chunks };
        bincode::serialize(&(&header, &self.graph)).map_err(|_| Error::Segment)
    }

    /// Reads a segment back. `row` finds the row of a chunk (by its id's bytes as a number); chunks that are gone die.
    ///
    /// # Errors
    /// [`Error::Segment`] for anything but the bytes of a segment of this model.
    pub fn from_bytes(bytes: &[u8], model: [u8; 32], row: impl Fn(u128) -> Option<u32>) -> Result<Self, Error> {
        let (header, graph): (Header, Hnsw<Quantised>) = bincode::deserialize(bytes).map_err(|_| Error::Segment)?;
        let points = graph.iter().count();
        if header.format != FORMAT || header.model != model || points != header.chunks.len() {
            return Err(Error::Segment);
        }
        let rows = header.chunks.into_iter().map(|names| names.into_iter().filter_map(&row).collect()).collect();
        Ok(Self { graph, scale: header.scale, rows })
    }
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Segment").field("points", &self.rows.len()).finish_non_exhaustive()
    }
}

impl Point for Quantised {
    fn distance(&self, other: &Self) -> f32 {
        #[expect(clippy::cast_precision_loss, reason = "below 2²⁴, so exact")]
        let product = self.dot(other) as f32;
        -product
    }
}

impl Serialize for Quantised {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0.map(i8::cast_unsigned))
    }
}

impl<'de> Deserialize<'de> for Quantised {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Vec::<u8>::deserialize(deserializer)?;
        let bytes: [u8; DIM] =
            bytes.try_into().map_err(|b: Vec<u8>| serde::de::Error::invalid_length(b.len(), &"384 bytes"))?;
        Ok(Self(bytes.map(u8::cast_signed)))
    }
}
