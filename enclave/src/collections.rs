//! Every collection of the store, so that a check can tell what each record is. Their owners declare them; this only lists
//! them, and refuses to compile when two have one number.

use crate::store::{Listing, distinct};
use crate::{aci, answers, attest, audit, documents, identity, keys, memory, retrieval, store, tenancy};

/// All of them, by owner.
pub(crate) const ALL: &[Listing] = &[
    store::COLLECTIONS,
    keys::keyset::COLLECTIONS,
    audit::COLLECTIONS,
    identity::COLLECTIONS,
    tenancy::COLLECTIONS,
    documents::COLLECTIONS,
    retrieval::COLLECTIONS,
    answers::COLLECTIONS,
    memory::COLLECTIONS,
    aci::COLLECTIONS,
    attest::collateral::COLLECTIONS,
];

const _: () = assert!(distinct(ALL), "two collections have the same number");
