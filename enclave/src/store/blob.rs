//! Blobs: bytes of any length, cut into records.
//!
//! Each chunk is a record of its own whose plaintext starts with the length of the whole blob. All chunks of a blob carry
//! the version of the one batch that wrote it, so chunks of different writes never come together.

use std::sync::Arc;

use super::Shared;
use super::batch::Target;
use super::collection::{Address, Meta};
use super::error::Error;
use super::hierarchy::Tenant;
use super::record::Draft;

/// Bytes of a blob in one record; the rest up to 64 KiB is for key, length and seal.
pub(crate) const CHUNK_BYTES: usize = 62 * 1024;

/// The longest blob, in bytes: a batch is held in memory.
pub const MAX_BLOB_BYTES: usize = 256 * 1024 * 1024;

pub(crate) fn chunk_target(
    shared: &Shared,
    tenant: &Arc<Tenant>,
    meta: Meta,
    key: &str,
    index: u32,
) -> Result<Target, Error> {
    shared.target(tenant, meta, Address::Chunk { key, index })
}

/// The records of a blob. An empty blob has one, empty, chunk.
pub(crate) fn chunks(
    shared: &Shared,
    tenant: &Arc<Tenant>,
    meta: Meta,
    key: &str,
    bytes: &[u8],
) -> Result<Vec<(Target, Draft)>, Error> {
    if bytes.len() > MAX_BLOB_BYTES {
        let (collection, size_bytes) = (meta.name, bytes.len());
        return Err(Error::TooLarge { collection, size_bytes, limit_bytes: MAX_BLOB_BYTES });
    }
    let total = u64::try_from(bytes.len()).expect("blobs are at most 256 MiB").to_be_bytes();
    let empty = bytes.is_empty().then_some(bytes);
    let chunk = |(index, chunk): (u32, &[u8])| {
        let target = chunk_target(shared, tenant, meta, key, index)?;
        let mut draft = Draft::new(&target.key, total.len() + chunk.len());
        draft.append(&total);
        draft.append(chunk);
        Ok((target, draft))
    };
    (0..).zip(bytes.chunks(CHUNK_BYTES).chain(empty)).map(chunk).collect()
}

/// Reads a blob.
pub(crate) fn read(shared: &Shared, tenant: &Arc<Tenant>, meta: Meta, key: &str) -> Result<Option<Vec<u8>>, Error> {
    // A blob that is overwritten while it is read is read again.
    for _ in 0..8 {
        match read_once(shared, tenant, meta, key)? {
            Attempt::Absent => return Ok(None),
            Attempt::Whole(bytes) => return Ok(Some(bytes)),
            Attempt::Changed => {}
        }
    }
    Err(Error::Conflict { collection: meta.name })
}

enum Attempt {
    Absent,
    Whole(Vec<u8>),
    Changed,
}

fn read_once(shared: &Shared, tenant: &Arc<Tenant>, meta: Meta, key: &str) -> Result<Attempt, Error> {
    let broken = || Error::Integrity { what: meta.name };
    let Some(first) = shared.read(&chunk_target(shared, tenant, meta, key, 0)?)? else { return Ok(Attempt::Absent) };
    let (total, head) = first.body().split_first_chunk::<8>().ok_or_else(broken)?;
    let total_bytes = usize::try_from(u64::from_be_bytes(*total)).map_err(|_| broken())?;
    let mut bytes = Vec::with_capacity(total_bytes.min(MAX_BLOB_BYTES));
    bytes.extend_from_slice(head);
    let mut index = 1;
    while bytes.len() < total_bytes {
        let next = shared.read(&chunk_target(shared, tenant, meta, key, index)?)?;
        let Some(next) = next.filter(|next| next.version == first.version) else { return Ok(Attempt::Changed) };
        let (_, part) = next.body().split_first_chunk::<8>().ok_or_else(broken)?;
        bytes.extend_from_slice(part);
        index += 1;
    }
    if bytes.len() == total_bytes { Ok(Attempt::Whole(bytes)) } else { Err(broken()) }
}
