//! Finding the sources of an answer: hybrid search, then the passages' own records, then their sections.

use std::sync::Arc;

use super::Error;
use super::engine::Engine;
use super::evidence::{Bearing, Weighted};
use super::passages::{Passage, Source};
use super::question::Question;
use super::quotation;
use crate::documents::records;
use crate::retrieval::terms::query_terms;
use crate::retrieval::vector::dot;
use crate::retrieval::{Hit, Index, Query};
use crate::store::TenantStore;

/// Passages that are looked for.
const HITS: usize = 8;
/// How many of them may be of one document while others have something to say.
const PER_DOCUMENT: usize = 5;
/// Sources that are shown to a model at most.
const MOST_SOURCES: usize = 5;

/// What was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Sections with their passages, best first.
    pub sources: Vec<Source>,
    /// How the best passage bears on the question.
    pub passage: Bearing,
    /// How the sentences bear on it, in the order of [`quotation::candidates`].
    pub sentences: Vec<Bearing>,
}

impl Found {
    /// Whether a passage or a sentence that was found is evidence for an answer. The same for all ways to answer: what
    /// is refused does not depend on who would write.
    #[must_use]
    pub fn suffices(&self) -> bool {
        self.passage.suffices() || self.sentences.iter().copied().any(Bearing::suffices)
    }
}

/// Searches the workspace for a question, inside the documents that it may see.
///
/// # Errors
/// Those of store, model and index.
pub async fn search(engine: &Engine, store: &TenantStore, question: &Question) -> Result<Found, Error> {
    let index = engine.library.index(store, question.workspace).await?;
    let (embedder, store, question) = (Arc::clone(&engine.models.embedder), store.clone(), question.clone());
    let searching = tokio::task::spawn_blocking(move || {
        let text = question.search_text();
        let vector = embedder.embed(std::slice::from_ref(&text))?.pop().unwrap_or_default();
        let query =
            Query { text: &text, vector: &vector, filter: &question.documents, k: HITS, per_document: PER_DOCUMENT };
        let hits = index.search(&query)?;
        let words = query_terms(&text);
        let weights = index.weights(&words, &question.documents);
        let words = Weighted::new(words, weights);
        let sources = sources(&index, &store, &question, &hits)?;
        let candidates = quotation::candidates(&sources);
        let texts: Vec<String> = candidates.iter().map(quotation::Candidate::in_context).collect();
        let cosines = embedder.embed(&texts)?.into_iter().map(|sentence| dot(&sentence, &vector));
        let sentences = candidates.iter().zip(cosines).map(|(c, cosine)| c.bearing(&words, cosine)).collect();
        let passage = best_passage(&sources, &words);
        Ok(Found { sources, passage, sentences })
    });
    searching.await.map_err(|_| Error::Interrupted)?
}

fn best_passage(sources: &[Source], words: &Weighted) -> Bearing {
    let mut best = Bearing { cosine: 0.0, coverage: 0.0 };
    for source in sources {
        for passage in source.passages.iter().filter(|passage| passage.score > 0.0) {
            let text = format!("{}\n{}", source.heading(), passage.text);
            let bearing = Bearing { cosine: passage.score, coverage: words.coverage(&text) };
            if bearing.score() > best.score() {
                best = bearing;
            }
        }
    }
    best
}

/// The sections of the passages that were found, in the order of their best passage, with every passage in them.
///
/// Each record is read again: what was deleted since the index heard of it is left out.
fn sources(index: &Index, store: &TenantStore, question: &Question, hits: &[Hit]) -> Result<Vec<Source>, Error> {
    let mut sources: Vec<Source> = Vec::new();
    let mut seen = Vec::new();
    for hit in hits {
        let place = (hit.document, hit.parent);
        if seen.contains(&place) || sources.len() >= MOST_SOURCES {
            continue;
        }
        seen.push(place);
        let Some(document) = records::document(store, question.workspace, hit.document)? else { continue };
        let Some(parent) = records::parent(store, hit.document, hit.parent)? else { continue };
        let mut passages = Vec::new();
        for id in index.section(hit.document, hit.parent) {
            let Some(chunk) = records::chunk(store, hit.document, id)? else { continue };
            let found = hits.iter().find(|other| other.chunk == id);
            passages.push(Passage {
                chunk: id,
                range: usize::try_from(chunk.start).unwrap_or(0)..usize::try_from(chunk.end).unwrap_or(0),
                text: chunk.text,
                sha256: chunk.sha256,
                page: chunk.page,
                score: found.map_or(0.0, |hit| hit.cosine),
            });
        }
        if !passages.is_empty() {
            sources.push(Source {
                document: document.id,
                title: document.title().to_owned(),
                sha256: document.sha256.clone(),
                section: parent.path,
                section_text: parent.text.into(),
                passages,
            });
        }
    }
    Ok(sources)
}
