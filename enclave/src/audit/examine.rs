//! Whether a log that nobody writes to adds up: every leaf there, every tile theirs, and all of it what the head signs.

use std::sync::Arc;

use cloister_attestation::note::{Checkpoint, Vkey};

use super::Head;
use super::lane::read_head;
use super::tree::{Edge, read_leaf};
use crate::store::examine::Log;
use crate::store::{Error, Shared, Tenant};

/// Looks through the log of a tenant, if it has one. A head that cannot be read is a log without a name that does not hold.
pub(crate) fn examine(shared: &Shared, tenant: &Arc<Tenant>) -> Option<Log> {
    match read_head(shared, tenant) {
        Ok(None) => None,
        Ok(Some(head)) => {
            let holds = holds(shared, tenant, &head).unwrap_or(false);
            Some(Log { origin: head.origin, size: head.size, holds })
        }
        Err(_) => Some(Log { origin: String::new(), size: 0, holds: false }),
    }
}

fn holds(shared: &Shared, tenant: &Arc<Tenant>, head: &Head) -> Result<bool, Error> {
    let mut edge = Edge::default();
    for seq in 0..head.size {
        for tile in edge.push(&read_leaf(shared, tenant, seq)?) {
            if !tile.is_stored(shared, tenant)? {
                return Ok(false);
            }
        }
    }
    let keys: Vec<Vkey> = Vkey::parse(&head.vkey).into_iter().collect();
    let signed = Checkpoint::open(head.checkpoint.as_bytes(), &keys);
    let same = |checkpoint: Checkpoint| {
        checkpoint.origin == head.origin && checkpoint.size == head.size && checkpoint.root == edge.root()
    };
    Ok(signed.is_ok_and(same) && head.root.0 == edge.root())
}
