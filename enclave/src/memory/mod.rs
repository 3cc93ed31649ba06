//! Long-term memory: texts that a person asked to keep, found again by meaning (requirements S0-13 to S0-17).
//!
//! A note is the person's alone: it is stored in their own group of the organisation's records, with its text and its
//! vectors. Nobody else's notes can be asked for, and no answer uses them unasked.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloister_models::Embedder;
use cloister_protocol::api::Recalled;
use cloister_protocol::ids::{MemoryId, PersonId};
use serde::{Deserialize, Serialize};

use crate::access::Authorized;
use crate::answers::sentences::sentences;
use crate::audit;
use crate::clock::Clock;
use crate::fresh;
use crate::retrieval::vector::{dot, unit};
use crate::store::{self, Collection, Listing, TenantStore};

/// Notes, grouped by person.
pub const NOTES: Collection<Note> = Collection::new_grouped("memory", 24, 1);
/// The collections of this module.
pub(crate) const COLLECTIONS: Listing = &[NOTES.meta()];
/// The longest note, in characters.
pub const MOST_CHARS: usize = 8_000;
/// The most notes of a person.
pub const MOST_NOTES: usize = 10_000;
/// How many notes a search finds if it does not say (requirement S0-14).
pub const DEFAULT_K: u8 = 3;
/// The most notes that a search finds.
pub const MOST_K: u8 = 50;

/// Word pieces of a note that share a vector: what the model reads at once, with room for its own marks.
const PIECE_TOKENS: usize = 200;

/// A kept text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The text.
    pub text: String,
    /// Vectors of its pieces: 32-bit little-endian numbers in base64.
    pub vectors: Vec<String>,
    /// SHA-256 of the embedding model, hex.
    pub model: String,
    /// When it was kept, Unix milliseconds.
    pub created_ms: u64,
}

/// Why a note was not kept or found.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Empty, or more than [`MOST_CHARS`].
    #[error("text is empty or too long")]
    Length,
    /// There are [`MOST_NOTES`] already.
    #[error("memory is full")]
    Full,
    /// The store could not be read or written.
    #[error("storage of memory")]
    Store(#[from] store::Error),
    /// The embedding model refused or stopped.
    #[error("model of memory")]
    Model(#[from] cloister_models::Error),
    /// The process is stopping.
    #[error("interrupted")]
    Interrupted,
}

/// Keeps and finds notes.
#[derive(Debug, Clone)]
pub struct Memory {
    embedder: Arc<Embedder>,
    clock: Arc<dyn Clock>,
}

impl Memory {
    /// A memory over this embedding model.
    #[must_use]
    pub const fn new(embedder: Arc<Embedder>, clock: Arc<dyn Clock>) -> Self {
        Self { embedder, clock }
    }

    /// Keeps a text of a person. It is on the disk when this returns.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::Full`] and those of store and model.
    pub async fn remember(&self, store: &TenantStore, by: &Authorized, text: String) -> Result<MemoryId, Error> {
        let (text, person) = (checked(text)?, by.person());
        let (embedder, reader) = (Arc::clone(&self.embedder), store.clone());
        let now_ms = self.clock.now_ms();
        let preparing = tokio::task::spawn_blocking(move || {
            if reader.list_in(&NOTES, &person.to_string())?.len() >= MOST_NOTES {
                return Err(Error::Full);
            }
            let vectors = embedder.embed(&pieces(&text, |piece| embedder.count_tokens(piece)))?;
            let vectors =
                vectors.iter().map(|v| STANDARD.encode(v.iter().flat_map(|f| f.to_le_bytes()).collect::<Vec<_>>()));
            Ok(Note { vectors: vectors.collect(), text, model: embedder.digest().to_string(), created_ms: now_ms })
        });
        let note = preparing.await.map_err(|_| Error::Interrupted)??;
        let id = fresh::id(MemoryId::from_parts, now_ms);
        let mut batch = store.batch();
        let event = by.event(audit::Class::DatastoreWrite, "memory.write").detail("memory", id.to_string());
        batch.put_in(&NOTES, &person.to_string(), &id.to_string(), &note).audit(event);
        batch.commit().await?;
        Ok(id)
    }

    /// The `k` notes of a person that are nearest in meaning, nearest first.
    ///
    /// # Errors
    /// [`Error::Length`] and those of store and model.
    pub async fn recall(
        &self,
        store: &TenantStore,
        person: PersonId,
        query: String,
        k: u8,
    ) -> Result<Vec<Recalled>, Error> {
        let query = checked(query)?;
        let (embedder, store) = (Arc::clone(&self.embedder), store.clone());
        let finding = tokio::task::spawn_blocking(move || {
            let vector = embedder.embed(&[query])?.pop().unwrap_or_default();
            let model = embedder.digest().to_string();
            let notes = store.list_in(&NOTES, &person.to_string())?;
            let score =
                |note: &Note| note.vectors.iter().filter_map(|v| cosine(v, &vector)).fold(f32::NEG_INFINITY, f32::max);
            let mut found: Vec<Recalled> = notes
                .into_iter()
                .filter(|(_, note)| note.model == model)
                .map(|(_, note)| Recalled { score: score(&note), text: note.text, created_ms: note.created_ms })
                .filter(|recalled| recalled.score.is_finite())
                .collect();
            found.sort_by(|a, b| b.score.total_cmp(&a.score));
            found.truncate(usize::from(k.min(MOST_K)));
            Ok(found)
        });
        finding.await.map_err(|_| Error::Interrupted)?
    }
}

fn checked(text: String) -> Result<String, Error> {
    if text.trim().is_empty() || text.chars().count() > MOST_CHARS {
        return Err(Error::Length);
    }
    Ok(text)
}

/// The sentences of a text, packed into pieces that the model reads whole.
fn pieces(text: &str, count: impl Fn(&str) -> usize) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    for sentence in sentences(text) {
        let joined = pieces.last().map(|last| format!("{last} {sentence}"));
        match (joined, pieces.last_mut()) {
            (Some(joined), Some(last)) if count(&joined) <= PIECE_TOKENS => *last = joined,
            _ => pieces.push(sentence.to_owned()),
        }
    }
    pieces
}

fn cosine(encoded: &str, query: &[f32]) -> Option<f32> {
    let bytes = STANDARD.decode(encoded).ok()?;
    let vector: Vec<f32> = bytes.chunks_exact(4).filter_map(|c| Some(f32::from_le_bytes(c.try_into().ok()?))).collect();
    Some(dot(&unit(&vector).ok()?, query))
}
