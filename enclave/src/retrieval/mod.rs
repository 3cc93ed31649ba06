//! Finding the passages that answer a question: BM25 and vectors, fused, with the access filter inside both.
//!
//! One [`Index`] serves one workspace and lives in memory. Passages and their vectors are sealed records, from which
//! the index is rebuilt at first use; the expensive part, the graph of a [`segment::Segment`], is sealed as a blob too
//! and only built again if that is lost. A search that is restricted to some documents behaves as if the index held
//! nothing else: not even word frequencies of other documents show through.

pub mod bm25;
pub mod corpus;
pub mod filter;
pub mod fusion;
pub mod index;
pub mod library;
pub mod segment;
mod state;
pub mod terms;
pub mod vector;

pub use filter::Filter;
pub(crate) use library::COLLECTIONS;

pub use index::{Hit, Index, Limits, Passage, Query};

/// Why the index refused something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A vector longer than [`vector::DIM`]: it is of another embedding model.
    #[error("vector has {0} components")]
    Dimension(usize),
    /// A vector with a component that is not a finite number.
    #[error("vector component is not finite")]
    NotFinite,
    /// More passages than row numbers.
    #[error("index is full")]
    Full,
    /// A sealed segment that is not of this format, model or shape; it has to be built again.
    #[error("segment blob does not fit this index")]
    Segment,
}
