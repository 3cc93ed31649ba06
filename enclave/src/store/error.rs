//! What can go wrong with stored records.

/// An error of the store. None of its texts contains content, names or keys.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A record, a key or a header is not what was last written: the disk was damaged or somebody changed it.
    #[error("integrity of {what} is broken")]
    Integrity {
        /// The collection, or the part of the store.
        what: &'static str,
    },
    /// A condition of the batch does not hold; nothing of the batch was written.
    #[error("a record of {collection} is not in the expected state")]
    Conflict {
        /// The collection of the condition.
        collection: &'static str,
    },
    /// A value does not fit a record; store it as a blob.
    #[error("a record of {collection} has {size_bytes} bytes, the limit is {limit_bytes}")]
    TooLarge {
        /// The collection.
        collection: &'static str,
        /// What it would have been.
        size_bytes: usize,
        /// What is allowed.
        limit_bytes: usize,
    },
    /// A key or a group does not suit the collection: too long, or of the wrong shape.
    #[error("a key of {collection} has the wrong shape")]
    InvalidKey {
        /// The collection.
        collection: &'static str,
    },
    /// A value cannot be encoded.
    #[error("a value of {collection} cannot be encoded")]
    Encode {
        /// The collection.
        collection: &'static str,
    },
    /// An authentic record is not of the collection's type: it was written by another version of the program.
    #[error("a record of {collection} has another schema")]
    Decode {
        /// The collection.
        collection: &'static str,
    },
    /// The root key does not open this store.
    #[error("the root key is not the one of this store")]
    WrongRootKey,
    /// An audit event cannot become a leaf.
    #[error("audit record refused")]
    Audit(#[source] crate::audit::Error),
    /// The disk or the database answered with an error. The store accepts nothing more.
    #[error("storage fault while {doing}")]
    Io {
        /// What the store was doing.
        doing: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// Another process has the store open.
    #[error("another process has the store open: stop that one first, or use a data folder of your own")]
    InUse,
    /// An earlier fault has stopped the store; this batch was not written.
    #[error("the store has stopped after a fault")]
    Stopped,
    /// The store was closed; this batch was not written.
    #[error("the store is closed")]
    Closed,
}

impl Error {
    /// Wraps an error of the database.
    pub(crate) fn database(doing: &'static str, error: sled::Error) -> Self {
        let source = match error {
            sled::Error::Io(source) => source,
            sled::Error::Corruption { .. } => return Self::Integrity { what: "the database file" },
            other @ (sled::Error::CollectionNotFound(_)
            | sled::Error::Unsupported(_)
            | sled::Error::ReportableBug(_)) => std::io::Error::other(other.to_string()),
        };
        Self::Io { doing, source }
    }
}
