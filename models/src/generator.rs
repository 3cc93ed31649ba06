//! Answers to prompts: several conversations at once on one loaded model.
//!
//! A [`Generator`] owns one loaded model and one runtime thread that does continuous batching: every step computes
//! one token of each running answer and a bounded piece of new prompts. Waiting requests are admitted in turns
//! between fairness keys (tenants); a full queue is [`Error::Busy`]. Attention state belongs to one request and, when
//! it names a prefix key, to later requests of the same key: nobody else's tokens are ever attended to.
//!
//! An answer is a [`Generation`]: a [`futures::Stream`] of [`Piece`]s for async callers, with a blocking
//! [`Generation::wait_next`] for others. Dropping it frees its place before the next token is computed.

mod admission;
mod slot;
mod stream;
mod text;
mod worker;

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;

use crate::template::Part;
use crate::{Catalogue, Error, ModelDigest, Role, Template, load};
use admission::{Admission, Job};
pub use stream::{Finish, FinishReason, Generation, Piece};

/// How a model runs.
#[derive(Debug, Clone)]
pub struct GeneratorConfig {
    /// Cores that compute.
    pub threads: usize,
    /// Answers that are generated at the same time, 1 to 64.
    pub parallel: usize,
    /// Tokens that prompt and answer of one request may have together.
    pub n_ctx_per_seq: usize,
    /// How conversations are written; from the catalogue, or the operator for a model of their own.
    pub template: Template,
    /// Requests that may wait, over all fairness keys. At least `parallel`: each waits for a moment, even for a free place.
    pub max_waiting: usize,
    /// Requests that may wait under one fairness key.
    pub max_waiting_per_key: usize,
}

/// What to answer to.
#[derive(Clone)]
pub enum Prompt {
    /// A conversation, oldest message first; the assistant's turn follows.
    Chat(Vec<(Role, String)>),
}

impl std::fmt::Debug for Prompt {
    /// Shows the number of messages, never their text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self::Chat(messages) = self;
        write!(f, "Chat({} messages)", messages.len())
    }
}

/// One request for an answer.
#[derive(Debug, Clone)]
pub struct GenerateRequest {
    /// What to answer to.
    pub prompt: Prompt,
    /// Most tokens of the answer; fewer if the context is full before.
    pub max_tokens: usize,
    /// 0 takes the likeliest token always; up to 2.
    pub temperature: f32,
    /// Share of the probability from which tokens are drawn, above 0 and at most 1.
    pub top_p: f32,
    /// Same seed, same answer.
    pub seed: u32,
    /// Texts that end the answer and are not part of it; at most 8 of at most 256 bytes.
    pub stop: Vec<String>,
    /// Whose turn a waiting request takes: the tenant.
    pub fairness_key: [u8; 16],
    /// Names the conversation (or the assistant's fixed prompt) whose attention state may be reused; none reuses nothing
    /// and leaves nothing behind. Must be a random id: whoever knows it could measure what it was used for.
    pub prefix_key: Option<[u8; 16]>,
}

/// A running chat model.
#[derive(Debug)]
pub struct Generator {
    model: Arc<LlamaModel>,
    admission: Arc<Admission>,
    worker: Option<JoinHandle<()>>,
    config: GeneratorConfig,
    digest: ModelDigest,
    id: String,
}

impl Generator {
    /// Loads a model whose file has the digest `expected`, and starts its runtime thread.
    ///
    /// # Errors
    /// [`Error::WrongDigest`], [`Error::File`], [`Error::NotAModel`], [`Error::NoMemory`]; [`Error::Invalid`] if the
    /// configuration does not fit the model.
    pub fn load(path: &Path, expected: &ModelDigest, config: GeneratorConfig) -> Result<Self, Error> {
        if config.threads == 0 || !(1..=64).contains(&config.parallel) {
            return Err(Error::Invalid("a generator needs threads, and 1 to 64 parallel answers"));
        }
        if config.max_waiting == 0 || config.max_waiting_per_key == 0 {
            return Err(Error::Invalid("a generator needs room for waiting requests"));
        }
        let model = Arc::new(load::load_model(path, expected)?);
        let most = usize::try_from(model.n_ctx_train()).unwrap_or(usize::MAX);
        if !(256..=most).contains(&config.n_ctx_per_seq) {
            return Err(Error::Invalid("the context is below 256 tokens or above what the model supports"));
        }
        check_markers(&model, config.template)?;
        let admission = Arc::new(Admission::new(config.max_waiting, config.max_waiting_per_key));
        let worker = worker::start(Arc::clone(&model), Arc::clone(&admission), &config)?;
        Ok(Self {
            model,
            admission,
            worker: Some(worker),
            config,
            digest: *expected,
            id: Catalogue::built_in().id_of(expected),
        })
    }

    /// Queues a request.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a parameter outside its range, [`Error::PromptTooLong`], [`Error::Busy`],
    /// [`Error::Stopped`].
    pub fn submit(&self, request: &GenerateRequest) -> Result<Generation, Error> {
        check(request)?;
        let tokens = self.tokenise(&request.prompt);
        let limit = self.config.n_ctx_per_seq - 1;
        if tokens.len() > limit {
            return Err(Error::PromptTooLong { tokens: tokens.len(), limit });
        }
        let room = self.config.n_ctx_per_seq - tokens.len();
        let (sink, generation) = stream::channel();
        self.admission.push(Job {
            max_tokens: request.max_tokens.min(room),
            tokens,
            temperature: request.temperature,
            top_p: request.top_p,
            seed: request.seed,
            stop: request.stop.clone(),
            fairness_key: request.fairness_key,
            prefix_key: request.prefix_key,
            sink,
        })?;
        Ok(generation)
    }

    /// Forgets the attention state kept under a prefix key, as when its conversation is deleted. Running answers go on.
    pub fn forget(&self, prefix_key: [u8; 16]) {
        self.admission.forget(prefix_key);
    }

    /// Tokens of a text by itself.
    #[must_use]
    pub fn count_tokens(&self, text: &str) -> usize {
        self.model.vocab().tokenize(text.as_bytes(), false, false).len()
    }

    /// Tokens of a whole prompt, markers of the template included.
    #[must_use]
    pub fn count_prompt_tokens(&self, prompt: &Prompt) -> usize {
        self.tokenise(prompt).len()
    }

    /// Tokens that prompt and answer of one request may have together.
    #[must_use]
    pub fn context_tokens(&self) -> usize {
        self.config.n_ctx_per_seq
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

    fn tokenise(&self, prompt: &Prompt) -> Vec<LlamaToken> {
        let Prompt::Chat(messages) = prompt;
        let vocabulary = self.model.vocab();
        let mut tokens = Vec::new();
        if vocabulary.should_add_bos() {
            tokens.push(vocabulary.bos());
        }
        for part in self.config.template.render(messages) {
            tokens.extend(match part {
                Part::Marker(marker) => vocabulary.tokenize(marker.as_bytes(), false, true),
                Part::Text(text) => vocabulary.tokenize(text.as_bytes(), false, false),
            });
        }
        tokens
    }
}

impl Drop for Generator {
    /// Ends the runtime thread after the step it is computing; answers that were running end with [`Error::Stopped`].
    fn drop(&mut self) {
        self.admission.close();
        if let Some(worker) = self.worker.take() {
            // A worker that panicked has nothing left to end.
            let _ended = worker.join();
        }
    }
}

/// A template only works with a model that knows its markers.
fn check_markers(model: &LlamaModel, template: Template) -> Result<(), Error> {
    let vocabulary = model.vocab();
    for part in template.render(&[(Role::User, String::new())]) {
        if let Part::Marker(marker) = part {
            let tokens = vocabulary.tokenize(marker.as_bytes(), false, true);
            if tokens.len() != 1 {
                return Err(Error::Invalid("the model does not know the markers of its chat template"));
            }
        }
    }
    Ok(())
}

fn check(request: &GenerateRequest) -> Result<(), Error> {
    let Prompt::Chat(messages) = &request.prompt;
    if messages.is_empty() {
        return Err(Error::Invalid("a prompt needs a message"));
    }
    if request.max_tokens == 0 {
        return Err(Error::Invalid("max_tokens is 0"));
    }
    if !(0.0..=2.0).contains(&request.temperature) {
        return Err(Error::Invalid("temperature is not within 0 and 2"));
    }
    if !(request.top_p > 0.0 && request.top_p <= 1.0) {
        return Err(Error::Invalid("top_p is not above 0 and at most 1"));
    }
    if request.stop.len() > 8 || !request.stop.iter().all(|stop| (1..=256).contains(&stop.len())) {
        return Err(Error::Invalid("more than 8 stop texts, or one is empty or above 256 bytes"));
    }
    Ok(())
}
