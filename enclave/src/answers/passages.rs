//! The passages that an answer may rest on, as the rest of this module sees them.

use std::ops::Range;
use std::sync::Arc;

use cloister_protocol::api::Citation;
use cloister_protocol::ids::{ChunkId, DocumentId};

use super::evidence::{Bearing, Weighted};
use super::sentences::sentences;

/// One child chunk: what is found, quoted and cited.
#[derive(Debug, Clone, PartialEq)]
pub struct Passage {
    /// The chunk.
    pub chunk: ChunkId,
    /// Its text, as it stands in the document.
    pub text: String,
    /// Where it stands in the text of its section, in bytes.
    pub range: Range<usize>,
    /// SHA-256 of the text, hex.
    pub sha256: String,
    /// The page it starts on.
    pub page: Option<u32>,
    /// Cosine of question and passage; of a neighbour that was not found itself, 0.
    pub score: f32,
}

/// A section of a document with the passages of it that were found, and their neighbours.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// The document.
    pub document: DocumentId,
    /// Its title.
    pub title: String,
    /// SHA-256 of its file, hex.
    pub sha256: String,
    /// Section titles from the outermost in.
    pub section: Vec<String>,
    /// The text of the whole section.
    pub section_text: Arc<str>,
    /// Passages in reading order; at least one.
    pub passages: Vec<Passage>,
}

impl Source {
    /// The text from the first of the passages to the last.
    #[must_use]
    pub fn text(&self) -> &str {
        let (Some(first), Some(last)) = (self.passages.first(), self.passages.last()) else { return "" };
        self.section_text.get(first.range.start..last.range.end).unwrap_or(&first.text)
    }

    /// Title and section titles, which say what "it" is in a passage.
    #[must_use]
    pub fn heading(&self) -> String {
        std::iter::once(&self.title).chain(&self.section).map(String::as_str).collect::<Vec<_>>().join(" > ")
    }

    /// A citation of `quote`, which must be a substring of the passage; nothing if it is not.
    #[must_use]
    pub fn cite(&self, tag: u32, passage: &Passage, quote: &str) -> Option<Citation> {
        if quote.is_empty() || !passage.text.contains(quote) {
            return None;
        }
        Some(Citation {
            tag: format!("s{tag}"),
            document_id: self.document,
            document_title: self.title.clone(),
            document_sha256: self.sha256.clone(),
            chunk_id: passage.chunk,
            section: self.section.clone(),
            page: passage.page,
            quote: quote.to_owned(),
            score: passage.score,
        })
    }

    /// The citation of the sentence of this source that shares most with `claim`; among equals, of the passage that
    /// fits the question best.
    #[must_use]
    pub fn cite_for(&self, tag: u32, claim: &str) -> Option<Citation> {
        let words = crate::retrieval::terms::query_terms(claim);
        let weights = vec![1.0; words.len()];
        let claim = Weighted::new(words, weights);
        let rank = |passage: &Passage, sentence: &str| {
            Bearing { cosine: passage.score.max(0.0), coverage: claim.coverage(sentence) * 4.0 }.score()
        };
        let candidates = self.passages.iter().flat_map(|p| sentences(&p.text).into_iter().map(move |s| (p, s)));
        let best = candidates.max_by(|a, b| rank(a.0, a.1).total_cmp(&rank(b.0, b.1)))?;
        self.cite(tag, best.0, best.1)
    }
}
