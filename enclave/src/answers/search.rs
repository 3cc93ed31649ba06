//! Finding the sources of an answer: hybrid search, then the passages' own records, then their sections.

use std::sync::Arc;

use super::Error;
use super::engine::Engine;
use super::evidence::Weighted;
use super::passages::{Passage, Source};
use super::question::Question;
use crate::documents::records;
use crate::retrieval::terms::query_terms;
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
    /// The question's words and their weights.
    pub words: Weighted,
    /// The question's vector.
    pub vector: Vec<f32>,
}

/// Searches the workspace for a question, inside the documents that it may see.
pub(super) async fn search(engine: &Engine, store: &TenantStore, question: &Question) -> Result<Found, Error> {
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
        let sources = sources(&index, &store, &question, &hits)?;
        Ok(Found { sources, words: Weighted::new(words, weights), vector })
    });
    searching.await.map_err(|_| Error::Interrupted)?
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
