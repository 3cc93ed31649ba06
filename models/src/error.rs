//! Everything that can go wrong in this crate, without a word of any prompt, answer or document.

use std::path::PathBuf;

use crate::ModelDigest;

/// What went wrong with a model, its file or a request to it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("cannot read or write {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file holds other bytes than those that were asked for; nothing of it was used.
    #[error("{path} has sha-256 {found}, expected {expected}")]
    WrongDigest {
        /// The file.
        path: PathBuf,
        /// The digest that was asked for.
        expected: ModelDigest,
        /// The digest of the bytes that were read.
        found: ModelDigest,
    },
    /// The catalogue has no model of this id.
    #[error("no model {0:?} in the catalogue")]
    UnknownModel(String),
    /// The published package does not have the expected content.
    #[error("cannot convert the embedding model: {0}")]
    Convert(&'static str),
    /// The hub of the model could not be reached, or it refused. `curl` is the exit code of the downloader, if it ran.
    #[error("cannot download {id} from its hub (curl exit code {curl:?})")]
    Unreachable {
        /// The model's id in the catalogue.
        id: String,
        /// Exit code of `curl`; none if it could not be started or was killed.
        curl: Option<i32>,
    },
    /// llama.cpp refused the file, although its digest was right.
    #[error("the file is not a model that llama.cpp can run")]
    NotAModel,
    /// llama.cpp could not set up its working memory.
    #[error("no working memory for the model")]
    NoMemory,
    /// A parameter is outside its range.
    #[error("{0}")]
    Invalid(&'static str),
    /// The prompt does not fit into the model's context.
    #[error("the prompt has {tokens} tokens, at most {limit} fit")]
    PromptTooLong {
        /// Tokens of the prompt.
        tokens: usize,
        /// The most tokens that a prompt may have.
        limit: usize,
    },
    /// Too many requests wait already; try again later.
    #[error("busy: {ahead} requests wait already")]
    Busy {
        /// How many requests were waiting.
        ahead: usize,
    },
    /// llama.cpp could not compute a batch; the request is lost, the model goes on.
    #[error("the model could not compute")]
    Compute,
    /// The runtime thread has ended: the model is being shut down.
    #[error("the model is stopped")]
    Stopped,
}
