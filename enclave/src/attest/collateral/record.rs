//! What was gathered, sealed in the store.
//!
//! The seal keeps the chip's identity from whoever reads the disk. It makes nothing true: what is read back has to verify
//! like what comes from the network.

use cloister_attestation::document::{Collateral, Tee};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Gathered;
use crate::access::TenantScope;
use crate::store::{Collection, Error, Listing, Store};

const COLLATERAL: Collection<()> = Collection::new("attestation-collateral", 42, 1);
/// The collections of this module.
pub(crate) const COLLECTIONS: Listing = &[COLLATERAL.meta()];
const OWN: &str = "own";

#[derive(Serialize, Deserialize)]
struct Record {
    tee: String,
    gathered_ms: u64,
    valid_until_ms: u64,
    collateral: Map<String, Value>,
}

/// Reads what was kept; none if there is nothing, or something that this build does not understand.
pub(super) fn read(store: &Store) -> Result<Option<Gathered>, Error> {
    let bytes = store.scope(&TenantScope::system()).get_blob(&COLLATERAL, OWN)?;
    Ok(bytes.and_then(|bytes| {
        let record: Record = serde_json::from_slice(&bytes).ok()?;
        let members = serde_json::to_vec(&record.collateral).ok()?;
        let collateral = Collateral::parse(Tee::from_name(&record.tee)?, &members).ok()?;
        let Record { gathered_ms, valid_until_ms, .. } = record;
        Some(Gathered { collateral, gathered_ms, valid_until_ms })
    }))
}

/// Keeps it, in the place of what was kept.
pub(super) async fn write(store: &Store, tee: Tee, gathered: &Gathered) -> Result<(), Error> {
    let record = Record {
        tee: tee.name().to_owned(),
        gathered_ms: gathered.gathered_ms,
        valid_until_ms: gathered.valid_until_ms,
        collateral: gathered.collateral.to_members(),
    };
    let bytes = serde_json::to_vec(&record).map_err(|_| Error::Integrity { what: COLLATERAL.name() })?;
    let mut batch = store.scope(&TenantScope::system()).batch();
    batch.put_blob(&COLLATERAL, OWN, bytes);
    batch.commit().await.map(drop)
}
