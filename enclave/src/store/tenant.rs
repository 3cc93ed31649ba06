//! Reading the records of one tenant.
//!
//! Reads are blocking and quick: single reads may be done in async code, long lists belong on a blocking thread. A read
//! may see a write whose commit has not yet been answered.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Inner;
use super::batch::{Batch, Target, Version};
use super::blob;
use super::collection::{Address, Collection, Meta};
use super::error::Error;
use super::hierarchy::Tenant;
use super::record;
use crate::audit;

/// The records of one tenant.
#[derive(Clone)]
pub struct TenantStore {
    inner: Arc<Inner>,
    /// Absent when the tenant's key on disk is damaged: every use then answers an integrity error.
    tenant: Option<Arc<Tenant>>,
}

impl std::fmt::Debug for TenantStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TenantStore").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl TenantStore {
    pub(crate) const fn new(inner: Arc<Inner>, tenant: Option<Arc<Tenant>>) -> Self {
        Self { inner, tenant }
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    pub(crate) fn tenant_keys(&self) -> Result<Arc<Tenant>, Error> {
        self.tenant.clone().ok_or(Error::Integrity { what: "a tenant's key" })
    }

    pub(crate) fn target(&self, meta: Meta, address: Address<'_>) -> Result<Target, Error> {
        self.inner.shared.target(&self.tenant_keys()?, meta, address)
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`Error::Integrity`] when the disk does not hold what was last written; [`Error::Decode`], [`Error::InvalidKey`].
    pub fn get<T: DeserializeOwned>(&self, collection: &Collection<T>, key: &str) -> Result<Option<T>, Error> {
        Ok(self.get_versioned(collection, key)?.map(|(value, _)| value))
    }

    /// Reads a record together with its version, for a later [`Batch::expect_version`].
    ///
    /// # Errors
    /// As for [`Self::get`].
    pub fn get_versioned<T: DeserializeOwned>(
        &self,
        collection: &Collection<T>,
        key: &str,
    ) -> Result<Option<(T, Version)>, Error> {
        self.get_at(collection, Address::Key { group: None, key })
    }

    /// Reads a record of a grouped collection.
    ///
    /// # Errors
    /// As for [`Self::get`].
    pub fn get_in<T: DeserializeOwned>(
        &self,
        collection: &Collection<T>,
        group: &str,
        key: &str,
    ) -> Result<Option<T>, Error> {
        Ok(self.get_versioned_in(collection, group, key)?.map(|(value, _)| value))
    }

    /// [`Self::get_versioned`] in a grouped collection.
    ///
    /// # Errors
    /// As for [`Self::get`].
    pub fn get_versioned_in<T: DeserializeOwned>(
        &self,
        collection: &Collection<T>,
        group: &str,
        key: &str,
    ) -> Result<Option<(T, Version)>, Error> {
        self.get_at(collection, Address::Key { group: Some(group), key })
    }

    fn get_at<T: DeserializeOwned>(
        &self,
        collection: &Collection<T>,
        address: Address<'_>,
    ) -> Result<Option<(T, Version)>, Error> {
        let target = self.target(collection.meta(), address)?;
        let Some(opened) = self.inner.shared.read(&target)? else { return Ok(None) };
        Ok(Some((opened.decode(collection.meta())?, Version(opened.version))))
    }

    /// Reads all records of a collection, sorted by key. In a grouped collection the same key may occur more than once.
    ///
    /// # Errors
    /// As for [`Self::get`]; also [`Error::Integrity`] when one of them was taken away.
    pub fn list<T: DeserializeOwned>(&self, collection: &Collection<T>) -> Result<Vec<(String, T)>, Error> {
        let tenant = self.tenant_keys()?;
        let prefix = tenant.tree(&self.inner.shared.roots, collection.meta()).prefix;
        self.scan(&tenant, collection, &prefix)
    }

    /// Reads the records of one group, sorted by key.
    ///
    /// # Errors
    /// As for [`Self::list`].
    pub fn list_in<T: DeserializeOwned>(
        &self,
        collection: &Collection<T>,
        group: &str,
    ) -> Result<Vec<(String, T)>, Error> {
        let tenant = self.tenant_keys()?;
        let keys = tenant.tree(&self.inner.shared.roots, collection.meta());
        let prefix = collection.meta().group_prefix(keys, group)?;
        self.scan(&tenant, collection, prefix.as_bytes())
    }

    fn scan<T: DeserializeOwned>(
        &self,
        tenant: &Tenant,
        collection: &Collection<T>,
        prefix: &[u8],
    ) -> Result<Vec<(String, T)>, Error> {
        let (shared, meta) = (&self.inner.shared, collection.meta());
        let cipher = &tenant.tree(&shared.roots, meta).cipher;
        let decode = |(name, stored): (sled::IVec, sled::IVec)| {
            let opened = record::open(tenant, cipher, meta, &name, &stored)?;
            Ok((meta.decode_key(opened.key())?, opened.decode(meta)?))
        };
        let mut records = shared.scan(meta, prefix)?.into_iter().map(decode).collect::<Result<Vec<_>, Error>>()?;
        records.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(records)
    }

    /// Reads a blob.
    ///
    /// # Errors
    /// As for [`Self::get`].
    pub fn get_blob<T>(&self, collection: &Collection<T>, key: &str) -> Result<Option<Vec<u8>>, Error> {
        blob::read(&self.inner.shared, &self.tenant_keys()?, collection.meta(), key)
    }

    /// An empty batch of this tenant.
    pub fn batch(&self) -> Batch {
        Batch::new(self.clone())
    }

    /// The tenant's audit log.
    #[must_use]
    pub fn audit_log(&self) -> audit::Log {
        audit::Log::new(self.clone())
    }

    /// Writes one record, in a batch of its own.
    ///
    /// # Errors
    /// As for [`Batch::commit`].
    pub async fn put<T: Serialize + DeserializeOwned + Sync>(
        &self,
        collection: &Collection<T>,
        key: &str,
        value: &T,
    ) -> Result<Version, Error> {
        let mut batch = self.batch();
        batch.put(collection, key, value);
        Ok(batch.commit().await?.version)
    }
}
