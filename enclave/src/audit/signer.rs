//! The key of a log: Ed25519, one per log, wrapped under the key hierarchy's branch for it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::keys::secret::Secret;
use crate::store::{Address, Collection, Draft, Error, Shared, Target, Tenant};

pub(super) const SIGNING_KEYS: Collection<SigningRecord> = Collection::new("audit-keys", 33, 1);

#[derive(Serialize, Deserialize)]
pub(super) struct SigningRecord {
    wrapped: String,
}

fn target(shared: &Shared, tenant: &Arc<Tenant>) -> Result<Target, Error> {
    shared.target(tenant, SIGNING_KEYS.meta(), Address::Key { group: None, key: "log" })
}

fn associated_data(tenant: &Tenant) -> Vec<u8> {
    [b"audit-sign/", tenant.id.as_bytes()].concat()
}

/// A new key.
pub(crate) fn random() -> SigningKey {
    SigningKey::from_bytes(Secret::random().expose_secret())
}

/// The key on the disk, if there is one.
pub(crate) fn load(shared: &Shared, tenant: &Arc<Tenant>) -> Result<Option<SigningKey>, Error> {
    let broken = || Error::Integrity { what: SIGNING_KEYS.name() };
    let Some(opened) = shared.read(&target(shared, tenant)?)? else { return Ok(None) };
    let record: SigningRecord = opened.decode(SIGNING_KEYS.meta())?;
    let wrapped = BASE64.decode(&record.wrapped).map_err(|_| broken())?;
    let seed = shared.roots.audit_sign.unwrap(&associated_data(tenant), &wrapped).map_err(|_| broken())?;
    let seed = Secret::from_slice(&Zeroizing::new(seed)).ok_or_else(broken)?;
    Ok(Some(SigningKey::from_bytes(seed.expose_secret())))
}

/// The record that keeps the key.
pub(crate) fn record(shared: &Shared, tenant: &Arc<Tenant>, key: &SigningKey) -> (Target, Draft) {
    let seed = Secret::new(key.to_bytes());
    let wrapped = shared.roots.audit_sign.wrap(&associated_data(tenant), seed.expose_secret());
    let record = SigningRecord { wrapped: BASE64.encode(wrapped) };
    let target = target(shared, tenant).expect("a short key");
    let draft = Draft::of(target.meta, &target.key, &record).expect("a string can be encoded");
    (target, draft)
}
