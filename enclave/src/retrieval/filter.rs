//! Which documents a search may see.

use std::collections::HashSet;

use cloister_protocol::ids::DocumentId;

/// The documents that a search may see. It is applied before anything is scored, never to a list of results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// Every document of the workspace.
    All,
    /// These documents and no others; ids that the index does not know are as if absent.
    Documents(HashSet<DocumentId>),
}

impl Filter {
    /// The documents that both filters allow.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, filter) | (filter, Self::All) => filter,
            (Self::Documents(a), Self::Documents(b)) => Self::Documents(a.intersection(&b).copied().collect()),
        }
    }

    /// A filter from the optional lists of the API, where absent means all.
    #[must_use]
    pub fn of(documents: Option<&[DocumentId]>) -> Self {
        documents.map_or(Self::All, |ids| Self::Documents(ids.iter().copied().collect()))
    }
}
