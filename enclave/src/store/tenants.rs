//! The keys of the tenants, wrapped by the root key.
//!
//! `stored = version u64be ‖ XAES(plaintext = generation u32be ‖ key 32 ‖ tenant id, AAD = "kek1" ‖ name ‖ version)`.
//! The record of a tenant is the only copy of its key: whoever deletes it has erased the tenant.

use std::collections::HashMap;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::collection::Name;
use super::hierarchy::{RootKeys, Tenant};
use crate::keys::secret::Secret;

/// All tenants by the name of their key's record; `None` where that record is damaged.
pub(crate) type Tenants = HashMap<Name, Option<Arc<Tenant>>>;

fn associated_data(name: &[u8], version: [u8; 8]) -> Vec<u8> {
    [b"kek1", name, &version].concat()
}

/// The record that keeps a tenant's key.
pub(crate) fn wrap(roots: &RootKeys, tenant: &Tenant, version: u64) -> (Name, Vec<u8>) {
    let name = roots.tenant_name(&tenant.id);
    let plaintext = Zeroizing::new(
        [&tenant.generation.to_be_bytes(), tenant.key.expose_secret().as_slice(), tenant.id.as_bytes()].concat(),
    );
    let version = version.to_be_bytes();
    let wrapped = roots.tenants.wrap(&associated_data(name.as_bytes(), version), &plaintext);
    (name, [version.as_slice(), &wrapped].concat())
}

/// The tenant whose key this record keeps, unless the record is damaged.
pub(crate) fn unwrap(roots: &RootKeys, name: &[u8], stored: &[u8]) -> Option<Tenant> {
    let (version, wrapped) = stored.split_first_chunk::<8>()?;
    let plaintext = Zeroizing::new(roots.tenants.unwrap(&associated_data(name, *version), wrapped).ok()?);
    let (generation, rest) = plaintext.split_first_chunk::<4>()?;
    let (key, id) = rest.split_first_chunk::<32>()?;
    let id = String::from_utf8(id.to_vec()).ok()?;
    Some(Tenant::new(id, u32::from_be_bytes(*generation), Secret::new(*key), true))
}

/// A tenant that has no key on the disk yet; its first write takes it there.
pub(crate) fn new(id: String) -> Arc<Tenant> {
    Arc::new(Tenant::new(id, 1, Secret::random(), false))
}
