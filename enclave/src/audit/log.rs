//! The reading half of a log.

use crate::store::TenantStore;

/// The audit log of one tenant.
#[derive(Debug, Clone)]
pub struct Log {
    store: TenantStore,
}

impl Log {
    pub(crate) const fn new(store: TenantStore) -> Self {
        Self { store }
    }
}
