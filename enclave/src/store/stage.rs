//! What a group of commits will write, sealed and gathered before any of it is applied.

use std::collections::HashMap;
use std::sync::Arc;

use super::batch::Target;
use super::collection::Name;
use super::error::Error;
use super::hierarchy::Tenant;
use super::record::Draft;
use super::{Shared, tenants};

/// The writes of a group before they are applied: the last one of each name counts.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    pub(super) writes: HashMap<Name, Write>,
    pub(super) new_tenants: Vec<Arc<Tenant>>,
}

/// What becomes of a record.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) version: u64,
    /// Nothing for a deletion.
    pub(super) stored: Option<Vec<u8>>,
}

impl Stage {
    /// The version that the record will have after the group, if there will be one.
    pub(super) fn version(&self, shared: &Shared, name: &Name) -> Result<Option<u64>, Error> {
        match self.writes.get(name) {
            Some(write) => Ok(write.stored.as_ref().map(|_| write.version)),
            None => shared.version(name),
        }
    }

    pub(super) fn write(&mut self, name: Name, version: u64, stored: Option<Vec<u8>>) {
        self.writes.insert(name, Write { version, stored });
    }

    /// Adds the wrapped key of a tenant that is not on the disk yet.
    pub(super) fn announce(&mut self, shared: &Shared, tenant: &Arc<Tenant>, version: u64) {
        if !tenant.is_durable() && !self.new_tenants.iter().any(|new| new.id == tenant.id) {
            let (name, stored) = tenants::wrap(&shared.roots, tenant, version);
            self.write(name, version, Some(stored));
            self.new_tenants.push(Arc::clone(tenant));
        }
    }

    /// Seals a record into the group.
    pub(crate) fn put(&mut self, shared: &Shared, target: &Target, draft: Draft, version: u64) {
        let tenant = &target.tenant;
        self.announce(shared, tenant, version);
        let keys = tenant.tree(&shared.roots, target.meta);
        let stored = draft.seal(tenant, &keys.cipher, target.meta, &target.name, version);
        self.write(target.name, version, Some(stored));
    }
}
