//! Vector search and index building beside hnswlib: 39,000 descriptions of Debian packages, embedded by our model.
//!
//! Both sides answer the same 1,000 other descriptions on one thread. A search is only as good as what it finds, so the
//! peer gets the smallest search effort that reaches the recall asked of both; ours is what the product does.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use cloister_enclave::retrieval::vector::{DIM, dot};
use cloister_enclave::retrieval::{Filter, Index, Passage};
use cloister_models::{Catalogue, Embedder};
use cloister_protocol::ids::{ChunkId, DocumentId};
use serde::Deserialize;

use super::peer::Peer;
use super::{Figure, Target, median};

/// Vectors of the model, of equal length.
type Vectors = Vec<Vec<f32>>;

const ROUNDS: usize = 5;
const VECTORS: usize = 39_000;
const QUERIES: usize = 1_000;
const FOUND: usize = 10;
const RECALL: f64 = 0.99;
const THREADS: usize = 2;
/// Passages of a document.
const PASSAGES: usize = 100;
/// Search efforts of the peer, smallest first.
const EFFORTS: [u32; 9] = [10, 16, 24, 32, 48, 64, 96, 128, 256];

/// Where everything lies.
#[derive(Debug)]
pub struct Setup<'a> {
    /// Folder with the catalogue's embedding model.
    pub models: &'a Path,
    /// A Python interpreter that has hnswlib.
    pub python: &'a Path,
    /// Descriptions of Debian packages, one a line.
    pub descriptions: &'a Path,
    /// Folder for the vectors, which take minutes to compute and are kept.
    pub cache: &'a Path,
}

/// Searches a second, recall, and the time to build.
///
/// # Errors
/// If a side does not start, there are too few descriptions, or the peer never reaches the recall.
pub fn run(setup: &Setup<'_>) -> anyhow::Result<Vec<Figure>> {
    let (vectors, queries) = vectors(setup)?;
    let truth = exact(&vectors, &queries);
    let files = [setup.cache.join("vectors.f32"), setup.cache.join("queries.f32")];
    write(&files[0], &vectors)?;
    write(&files[1], &queries)?;
    let mut peer = Peer::python(setup.python, "vectors_peer.py", &files)?;

    let mut build = (Vec::new(), Vec::new());
    let mut index = Index::default();
    for round in 0..3 {
        eprintln!("vectors: build {} of 3", round + 1);
        let (built, seconds) = ours(&vectors)?;
        index = built;
        build.0.push(seconds);
        build.1.push(peer.ask(&serde_json::json!({ "build": THREADS }))?);
    }
    let effort = least_effort(&mut peer, &truth)?;
    eprintln!("vectors: the peer reaches the recall with ef = {effort}");

    let mut speed = (Vec::new(), Vec::new());
    let mut found = Vec::new();
    for round in 0..ROUNDS {
        eprintln!("vectors: round {} of {ROUNDS}", round + 1);
        let start = Instant::now();
        found = search(&index, &queries)?;
        speed.0.push(per_second(start.elapsed().as_secs_f64()));
        let theirs: Searched = peer.ask(&serde_json::json!({ "search": effort }))?;
        speed.1.push(per_second(theirs.seconds));
    }
    let recall = recall(&truth, &found);
    let peer = "hnswlib, recall ≥ 0.99";
    Ok(vec![
        Figure::absolute("vector search: recall@10", "of 1", recall, Target::AtLeast(RECALL)),
        Figure::ratio("vector search", peer, "1/s", median(speed.0), median(speed.1), Target::AtLeast(0.8)),
        Figure::ratio("vector index: build", peer, "s", median(build.0), median(build.1), Target::AtMost(2.5)),
    ])
}

#[derive(Deserialize)]
struct Searched {
    seconds: f64,
    found: Vec<Vec<usize>>,
}

fn least_effort(peer: &mut Peer, truth: &[Vec<usize>]) -> anyhow::Result<u32> {
    for effort in EFFORTS {
        let searched: Searched = peer.ask(&serde_json::json!({ "search": effort }))?;
        if recall(truth, &searched.found) >= RECALL {
            return Ok(effort);
        }
    }
    anyhow::bail!("the peer does not reach a recall of {RECALL}")
}

/// The index as the product builds it, and how long the graph took.
fn ours(vectors: &[Vec<f32>]) -> anyhow::Result<(Index, f64)> {
    let index = Index::default();
    for (number, document) in (0_u64..).zip(vectors.chunks(PASSAGES)) {
        let passages: Vec<Passage<'_>> = (0_u128..)
            .zip(document)
            .map(|(at, vector)| Passage { chunk: ChunkId::from_parts(number + 1, at), parent: 0, text: "", vector })
            .collect();
        index.add_document(DocumentId::from_parts(number + 1, 0), &passages)?;
    }
    let start = Instant::now();
    ensure!(index.merge(), "that many vectors make a graph");
    Ok((index, start.elapsed().as_secs_f64()))
}

/// The rows that the index finds for each query.
fn search(index: &Index, queries: &[Vec<f32>]) -> anyhow::Result<Vec<Vec<usize>>> {
    // An id is 48 bits of the document's number and 80 bits of the passage's.
    let row = |chunk: ChunkId| {
        let id = u128::from_be_bytes(chunk.to_bytes());
        let (document, at) = (usize::try_from(id >> 80).ok()?, usize::try_from(id & ((1 << 80) - 1)).ok()?);
        Some((document - 1) * PASSAGES + at)
    };
    let found = queries.iter().map(|query| index.nearest(query, &Filter::All, FOUND));
    let rows = found.map(|hits| Ok(hits?.iter().filter_map(|hit| row(hit.chunk)).collect()));
    rows.collect()
}

/// The nearest rows of each query, by comparing with every vector.
fn exact(vectors: &[Vec<f32>], queries: &[Vec<f32>]) -> Vec<Vec<usize>> {
    let nearest = |query: &Vec<f32>| {
        let mut scored: Vec<(f32, usize)> = vectors.iter().map(|vector| dot(query, vector)).zip(0..).collect();
        scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        scored.into_iter().take(FOUND).map(|(_, row)| row).collect()
    };
    queries.iter().map(nearest).collect()
}

fn recall(truth: &[Vec<usize>], found: &[Vec<usize>]) -> f64 {
    let hits: usize = truth
        .iter()
        .zip(found)
        .map(|(truth, found)| found.iter().collect::<HashSet<_>>().intersection(&truth.iter().collect()).count())
        .sum();
    ratio(hits, truth.len() * FOUND)
}

fn per_second(seconds: f64) -> f64 {
    ratio(QUERIES, 1) / seconds
}

#[expect(clippy::cast_precision_loss, reason = "figures of a few digits")]
fn ratio(a: usize, b: usize) -> f64 {
    a as f64 / b as f64
}

/// The vectors of the descriptions, from the cache if they are there: every fortieth is a query.
fn vectors(setup: &Setup<'_>) -> anyhow::Result<(Vectors, Vectors)> {
    let text = fs::read_to_string(setup.descriptions).context("descriptions of packages; deploy/bench makes them")?;
    let texts: Vec<String> = text.lines().take(VECTORS + QUERIES).map(str::to_owned).collect();
    ensure!(texts.len() == VECTORS + QUERIES, "too few descriptions in {}", setup.descriptions.display());
    let entry = Catalogue::built_in().embedder().clone();
    let kept = setup.cache.join(format!("descriptions-{}.f32", &entry.sha256.to_string()[..16]));
    let all = match read(&kept) {
        Ok(kept) if kept.len() == texts.len() => kept,
        _ => {
            let embedder = Embedder::load(&setup.models.join(&entry.file), &entry.sha256, THREADS)?;
            let mut all = Vec::new();
            for part in texts.chunks(1_000) {
                eprintln!("vectors: embedding {} of {}", all.len(), texts.len());
                all.extend(embedder.embed(part)?);
            }
            write(&kept, &all)?;
            all
        }
    };
    let (queries, vectors): (Vec<_>, Vec<_>) =
        (0..).zip(all).partition(|(at, _): &(usize, _)| at % ((VECTORS + QUERIES) / QUERIES) == 0);
    let only = |numbered: Vec<(usize, Vec<f32>)>| numbered.into_iter().map(|(_, vector)| vector).collect();
    Ok((only(vectors), only(queries)))
}

fn write(path: &Path, vectors: &[Vec<f32>]) -> std::io::Result<()> {
    let bytes: Vec<u8> = vectors.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
    fs::write(path, bytes)
}

fn read(path: &Path) -> std::io::Result<Vectors> {
    let bytes = fs::read(path)?;
    let values: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect();
    Ok(values.chunks_exact(DIM).map(<[f32]>::to_vec).collect())
}
