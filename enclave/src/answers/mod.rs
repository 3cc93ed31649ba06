//! Answers from documents: find, weigh the evidence, then generate, quote or refuse; record, then release.
//!
//! An answer that the documents do not support is a refusal. Without a generative model, answers are quotations and
//! say so. Every answer has a receipt, whose digest stands in the audit log in the same write as the message.

pub mod admission;
pub mod citations;
pub mod conversations;
pub mod engine;
pub mod evidence;
pub mod job;
pub mod passages;
pub mod prompt;
pub mod question;
pub mod quotation;
pub mod receipts;
pub mod records;
pub mod search;
pub mod sentences;
pub mod sse;
pub mod stream;
pub mod writer;

pub use engine::{Engine, Settings};
pub use job::{Answers, Ask, InConversation};
pub use question::{Question, Sampling};
pub(crate) use records::COLLECTIONS;

use crate::{retrieval, store};

/// Why there is no answer. None of its texts holds content.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store could not be read or written; nothing was recorded.
    #[error("storage of an answer")]
    Store(#[from] store::Error),
    /// A model refused or stopped.
    #[error("model of an answer")]
    Model(#[from] cloister_models::Error),
    /// The index refused the question's vector or a stored one.
    #[error("search for an answer")]
    Retrieval(#[from] retrieval::Error),
    /// Too many questions of the same person wait already.
    #[error("too many questions wait")]
    TooManyWaiting,
    /// The question is empty or too long.
    #[error("question is empty or too long")]
    QuestionLength,
    /// There is no such conversation or receipt of this person.
    #[error("no such conversation")]
    NotFound,
    /// There are as many conversations as there may be.
    #[error("too many conversations")]
    Full,
    /// Question and rules alone fill the model's context.
    #[error("question does not fit the model")]
    QuestionTooLong,
    /// The reader left before there was anything to record.
    #[error("reader has left")]
    Left,
    /// The process is stopping, or a part of it has stopped.
    #[error("interrupted")]
    Interrupted,
}
