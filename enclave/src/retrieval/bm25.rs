//! BM25 over an inverted index in memory, scored as if only the allowed rows existed.
//!
//! The statistics (how many rows, how long, how many hold the word) are taken over the allowed rows of each search.
//! That costs a second pass over the postings of the question's few words, and buys two things: a filter can never
//! empty the result, and nobody learns from a score which words stand in documents that they may not read.

use std::collections::HashMap;

use super::Error;
use super::terms::terms;

/// How fast repeated words stop counting (Lin et al., Anserini's default).
const K1: f32 = 0.9;
/// How much long rows are held back.
const B: f32 = 0.4;

/// One word in one row.
#[derive(Debug, Clone, Copy)]
struct Posting {
    row: u32,
    count: u16,
}

/// An inverted index. Rows are numbered from 0 in the order they are pushed.
#[derive(Debug, Default)]
pub struct Bm25 {
    words: HashMap<Box<str>, usize>,
    postings: Vec<Vec<Posting>>,
    lengths: Vec<u32>,
}

/// The rows that a search may see, and their number and total length in words.
pub(super) struct Scope<'a> {
    pub(super) allowed: &'a dyn Fn(u32) -> bool,
    pub(super) rows: usize,
    pub(super) words: u64,
}

impl Bm25 {
    /// Appends a row and returns its length in words.
    ///
    /// # Errors
    /// [`Error::Full`] after 2³² rows.
    pub fn push(&mut self, text: &str) -> Result<u32, Error> {
        let row = u32::try_from(self.lengths.len()).map_err(|_| Error::Full)?;
        let words = terms(text);
        let length = u32::try_from(words.len()).map_err(|_| Error::Full)?;
        for word in words {
            let next = self.postings.len();
            let at = *self.words.entry(word.into_boxed_str()).or_insert(next);
            if at == next {
                self.postings.push(Vec::new());
            }
            let list = self.postings.get_mut(at).expect("every word number has a list");
            match list.last_mut().filter(|last| last.row == row) {
                Some(last) => last.count = last.count.saturating_add(1),
                None => list.push(Posting { row, count: 1 }),
            }
        }
        self.lengths.push(length);
        Ok(length)
    }

    /// The best `k` allowed rows that hold any of the words, best first, equal scores by row number.
    pub(super) fn search(&self, words: &[String], scope: &Scope<'_>, k: usize) -> Vec<(u32, f32)> {
        let mut scores: HashMap<u32, f32> = HashMap::new();
        #[expect(clippy::cast_precision_loss, reason = "averages")]
        let (rows, mean) = (scope.rows as f32, scope.words as f32 / scope.rows.max(1) as f32);
        for word in words {
            let Some(list) = self.words.get(word.as_str()).and_then(|at| self.postings.get(*at)) else { continue };
            let seen: Vec<Posting> = list.iter().filter(|p| (scope.allowed)(p.row)).copied().collect();
            let idf = idf(rows, seen.len());
            for posting in seen {
                let length = self.lengths.get(posting.row as usize).copied().unwrap_or(0);
                *scores.entry(posting.row).or_insert(0.0) += idf * saturation(posting.count, length, mean);
            }
        }
        best(scores.into_iter().collect(), k)
    }

    /// How much each word tells apart, over the allowed rows: its inverse document frequency, words unknown there included.
    pub(super) fn weights(&self, words: &[String], scope: &Scope<'_>) -> Vec<f32> {
        #[expect(clippy::cast_precision_loss, reason = "a logarithm is taken of it")]
        let rows = scope.rows as f32;
        let count = |word: &String| {
            let list = self.words.get(word.as_str()).and_then(|at| self.postings.get(*at));
            list.map_or(0, |list| list.iter().filter(|p| (scope.allowed)(p.row)).count())
        };
        words.iter().map(|word| idf(rows, count(word))).collect()
    }

    /// Renumbers rows by `to` and forgets those that it maps to nothing.
    pub(super) fn renumber(&mut self, to: &[Option<u32>]) {
        let target = |row: u32| to.get(row as usize).copied().flatten();
        for list in &mut self.postings {
            let moved = list.iter().filter_map(|p| Some(Posting { row: target(p.row)?, count: p.count }));
            *list = moved.collect();
        }
        let mut kept = to.iter().map(Option::is_some);
        self.lengths.retain(|_| kept.next().unwrap_or(false));
    }
}

/// The `k` largest, best first; equal scores by row number, so that a result never depends on a hash map's order.
pub(super) fn best(mut scored: Vec<(u32, f32)>, k: usize) -> Vec<(u32, f32)> {
    let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if k == 0 {
        return Vec::new();
    }
    if scored.len() > k {
        scored.select_nth_unstable_by(k - 1, order);
        scored.truncate(k);
    }
    scored.sort_unstable_by(order);
    scored
}

/// Lucene's form, which is never negative.
#[expect(clippy::cast_precision_loss, reason = "a logarithm is taken of it")]
fn idf(rows: f32, with_word: usize) -> f32 {
    let n = with_word as f32;
    (1.0 + (rows - n + 0.5) / (n + 0.5)).ln()
}

#[expect(clippy::cast_precision_loss, reason = "word counts are far below 2²⁴")]
fn saturation(count: u16, length: u32, mean: f32) -> f32 {
    let tf = f32::from(count);
    tf / (tf + K1 * (1.0 - B + B * length as f32 / mean.max(1.0)))
}
