//! What can stand in the way of an upload or of reading a document's record.

use crate::store;

/// Why something about documents did not work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is larger than the limit.
    #[error("the file is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// The file has no bytes.
    #[error("the file is empty")]
    NoBytes,
    /// The file is of a kind that no reader exists for.
    #[error("the file is not a PDF, Markdown, HTML or text document")]
    UnsupportedFormat,
    /// A name or title is empty, too long or has control characters.
    #[error("{field} is empty, too long, or holds control characters")]
    Text {
        /// The field.
        field: &'static str,
    },
    /// There is no such document in the workspace.
    #[error("no such document")]
    NotFound,
    /// So many documents wait already that another would only wait, too.
    #[error("too many documents are waiting")]
    Busy,
    /// Other requests about the same file won the race several times in a row.
    #[error("the file is being changed by other requests")]
    Contended,
    /// The process is stopping, or its random source failed.
    #[error("the service cannot take documents now")]
    Unavailable,
    /// The store does not answer, or does not hold what it should.
    #[error("storage of documents")]
    Store(#[from] store::Error),
}
