//! Embedding speed beside sentence-transformers: the same model, the same texts, two cores each, in turns.
//!
//! The peer is `deploy/bench.d/embedding_peer.py` in one long-lived process. Before anything is timed, both sides'
//! vectors are compared: a figure of a side that computes something else would mean nothing.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use cloister_models::{Catalogue, Embedder};

use super::peer::Peer;
use super::{Figure, Target, median};

const ROUNDS: usize = 5;
const THREADS: usize = 2;
/// Texts of a round, and tokens of each at most.
const TEXTS: usize = 128;
const TEXT_TOKENS: usize = 250;

/// Where everything lies.
#[derive(Debug)]
pub struct Setup<'a> {
    /// Folder with the catalogue's embedding model.
    pub models: &'a Path,
    /// A Python interpreter that has sentence-transformers.
    pub python: &'a Path,
    /// The unpacked model of the package, for the peer.
    pub peer_model: &'a Path,
}

/// Tokens a second, ours and the peer's.
///
/// # Errors
/// If a side does not start, or the two compute different vectors.
pub fn run(setup: &Setup<'_>) -> anyhow::Result<Vec<Figure>> {
    let catalogue = Catalogue::built_in();
    let entry = catalogue.embedder();
    let embedder = Embedder::load(&setup.models.join(&entry.file), &entry.sha256, THREADS)?;
    let texts = texts(&embedder)?;
    let tokens: usize = texts.iter().map(|text| embedder.count_tokens(text)).sum();
    let mut peer = Peer::python(setup.python, "embedding_peer.py", &[setup.peer_model])?;
    let theirs: Vec<Vec<f32>> = peer.ask(&texts)?;
    let similarity = least_similarity(&embedder.embed(&texts)?, &theirs)?;
    ensure!(similarity > 0.99, "the two sides compute different vectors (cosine {similarity})");
    let mut speeds = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        eprintln!("embedding: round {} of {ROUNDS}", round + 1);
        let start = Instant::now();
        embedder.embed(&texts)?;
        speeds.0.push(per_second(tokens, start.elapsed().as_secs_f64()));
        speeds.1.push(per_second(tokens, peer.ask(&round)?));
    }
    let (ours, theirs) = (median(speeds.0), median(speeds.1));
    Ok(vec![Figure::ratio("embedding", "sentence-transformers", "tokens/s", ours, theirs, Target::AtLeast(1.0))])
}

/// Real English on every Debian machine: the licences, cut into pieces of nearly full length.
fn texts(embedder: &Embedder) -> anyhow::Result<Vec<String>> {
    let folder = Path::new("/usr/share/common-licenses");
    let entries = std::fs::read_dir(folder).context("the texts to embed are Debian's licences")?;
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.retain(|file| file.is_file() && !file.is_symlink());
    files.sort();
    let mut texts = Vec::new();
    let mut text = String::new();
    let mut tokens = 2;
    for file in files {
        for word in String::from_utf8_lossy(&std::fs::read(file)?).split_whitespace() {
            let more = embedder.count_tokens(word) - 2;
            if tokens + more > TEXT_TOKENS {
                texts.push(std::mem::take(&mut text));
                tokens = 2;
            }
            text.push_str(word);
            text.push(' ');
            tokens += more;
        }
    }
    ensure!(texts.len() >= TEXTS, "too little text in {}", folder.display());
    texts.truncate(TEXTS);
    Ok(texts)
}

fn per_second(tokens: usize, seconds: f64) -> f64 {
    f64::from(u32::try_from(tokens).unwrap_or(u32::MAX)) / seconds
}

fn least_similarity(ours: &[Vec<f32>], theirs: &[Vec<f32>]) -> anyhow::Result<f32> {
    ensure!(ours.len() == theirs.len(), "the peer answered with another number of vectors");
    let dot = |(a, b): (&Vec<f32>, &Vec<f32>)| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    Ok(ours.iter().zip(theirs).map(dot).fold(1.0, f32::min))
}
