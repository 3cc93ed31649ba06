//! Texts to unit vectors.
//!
//! An [`Embedder`] owns one loaded model and a few runtime threads, each with a llama.cpp context of its own that
//! computes on one core: an encoder has no state between batches, and two single-threaded contexts are faster than
//! one that splits every small matrix over two cores. Calls wait in one bounded queue and are served in turns, so a
//! question of one text does not wait behind an upload of thousands.

mod queue;
mod worker;

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;

use crate::{Catalogue, Error, ModelDigest, load};
use queue::{Queue, Text};

/// Most tokens of a text that count, `[CLS]` and `[SEP]` included: what the model was trained with. The rest of a
/// longer text is cut off, as in the reference implementation.
pub const MAX_TOKENS: usize = 256;

/// Calls that may wait at the same time.
const MAX_CALLS: usize = 64;

/// A running embedding model.
#[derive(Debug)]
pub struct Embedder {
    model: Arc<LlamaModel>,
    queue: Arc<Queue>,
    workers: Vec<JoinHandle<()>>,
    digest: ModelDigest,
    id: String,
    dim: usize,
}

impl Embedder {
    /// Loads a model whose file has the digest `expected`, and starts `threads` runtime threads (at least one).
    ///
    /// # Errors
    /// [`Error::WrongDigest`], [`Error::File`], [`Error::NotAModel`], [`Error::NoMemory`].
    pub fn load(path: &Path, expected: &ModelDigest, threads: usize) -> Result<Self, Error> {
        let model = Arc::new(load::load_model(path, expected)?);
        let dim = usize::try_from(model.n_embd()).map_err(|_| Error::NotAModel)?;
        let queue = Arc::new(Queue::new(MAX_CALLS));
        let mut embedder = Self {
            model,
            queue,
            workers: Vec::new(),
            digest: *expected,
            id: Catalogue::built_in().id_of(expected),
            dim,
        };
        for _ in 0..threads.max(1) {
            let worker = worker::start(Arc::clone(&embedder.model), Arc::clone(&embedder.queue))?;
            embedder.workers.push(worker);
        }
        Ok(embedder)
    }

    /// The vectors of `texts`, in their order, each of length 1. Blocks until all are computed.
    ///
    /// # Errors
    /// [`Error::Busy`] if too many calls wait already, [`Error::Compute`], [`Error::Stopped`].
    pub fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Error> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let (reply, replies) = std::sync::mpsc::channel();
        let tokenised = texts.iter().enumerate().map(|(index, text)| Text { index, tokens: self.tokenise(text) });
        self.queue.push(tokenised.collect(), reply)?;
        let mut vectors = vec![Vec::new(); texts.len()];
        for _ in texts {
            let (index, vector) = replies.recv().map_err(|_| Error::Stopped)?;
            if let Some(slot) = vectors.get_mut(index) {
                *slot = vector?;
            }
        }
        Ok(vectors)
    }

    /// Tokens of a text, the two that frame it included; not limited to [`MAX_TOKENS`].
    #[must_use]
    pub fn count_tokens(&self, text: &str) -> usize {
        self.model.vocab().tokenize(text.as_bytes(), true, false).len()
    }

    /// Numbers per vector.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// SHA-256 of the model's file.
    #[must_use]
    pub fn digest(&self) -> &ModelDigest {
        &self.digest
    }

    /// The model's id in the catalogue; for others, the first digits of the digest.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    fn tokenise(&self, text: &str) -> Vec<LlamaToken> {
        let mut tokens = self.model.vocab().tokenize(text.as_bytes(), true, false);
        if tokens.len() > MAX_TOKENS {
            let last = tokens.last().copied();
            tokens.truncate(MAX_TOKENS - 1);
            tokens.extend(last);
        }
        tokens
    }
}

impl Drop for Embedder {
    /// Ends the runtime threads after the batch they are computing.
    fn drop(&mut self) {
        self.queue.close();
        for worker in self.workers.drain(..) {
            // A worker that panicked has nothing left to end.
            let _ended = worker.join();
        }
    }
}
