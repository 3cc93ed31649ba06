//! Batches: what is written together or not at all.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::collection::{Address, Collection, Meta, Name};
use super::error::Error;
use super::hierarchy::Tenant;
use super::record::{Draft, MAX_STORED_BYTES};
use super::tenant::TenantStore;
use crate::audit;

/// The version of a record: which write made it. Never used twice, not even after the record was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub(crate) u64);

/// Where an audit leaf stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafPlace {
    /// The name of the log.
    pub origin: String,
    /// The number of the leaf.
    pub index: u64,
}

/// What a commit answers: everything of the batch is on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The version that every record written by the batch now has.
    pub version: Version,
    /// Where the batch's audit events stand in their logs, in the order in which they were added.
    pub leaves: Vec<LeafPlace>,
}

impl Committed {
    /// The numbers of [`Self::leaves`].
    #[must_use]
    pub fn leaf_indexes(&self) -> Vec<u64> {
        self.leaves.iter().map(|leaf| leaf.index).collect()
    }
}

/// A record, a blob or a condition, with its name and keys found.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) meta: Meta,
    pub(crate) name: Name,
    pub(crate) key: Vec<u8>,
}

/// Makes a record once the places of the batch's audit leaves are known.
pub(crate) type LateBody = Box<dyn FnOnce(&Target, &[LeafPlace]) -> Result<Draft, Error> + Send>;

pub(crate) enum Op {
    Put(Target, Draft),
    PutLate(Target, LateBody),
    Delete(Target),
    Expect(Target, Option<Version>),
    PutBlob { tenant: Arc<Tenant>, meta: Meta, key: String, bytes: Vec<u8> },
    DeleteBlob { tenant: Arc<Tenant>, meta: Meta, key: String },
    Audit { tenant: Arc<Tenant>, event: audit::Event },
    ErasePerson { tenant: Arc<Tenant>, person: cloister_protocol::ids::PersonId },
}

/// Writes of one tenant (or, after [`Batch::join`], several) that take effect together.
///
/// A mistake in an added write, such as a value that is too large, is reported by the commit, which then writes nothing.
#[must_use = "a batch that is not committed writes nothing"]
pub struct Batch {
    store: TenantStore,
    ops: Vec<Op>,
    mistake: Option<Error>,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch").field("ops", &self.ops.len()).finish_non_exhaustive()
    }
}

impl Batch {
    pub(crate) const fn new(store: TenantStore) -> Self {
        Self { store, ops: Vec::new(), mistake: None }
    }

    fn add(&mut self, op: Result<Op, Error>) -> &mut Self {
        match op {
            Ok(op) => self.ops.push(op),
            Err(error) => self.mistake = self.mistake.take().or(Some(error)),
        }
        self
    }

    /// Writes a record, replacing the one under the same key.
    pub fn put<T: Serialize + DeserializeOwned>(
        &mut self,
        collection: &Collection<T>,
        key: &str,
        value: &T,
    ) -> &mut Self {
        self.put_at(collection, None, key, value)
    }

    /// Writes a record of a grouped collection.
    pub fn put_in<T: Serialize + DeserializeOwned>(
        &mut self,
        collection: &Collection<T>,
        group: &str,
        key: &str,
        value: &T,
    ) -> &mut Self {
        self.put_at(collection, Some(group), key, value)
    }

    fn put_at<T: Serialize>(
        &mut self,
        collection: &Collection<T>,
        group: Option<&str>,
        key: &str,
        value: &T,
    ) -> &mut Self {
        let op = self.store.target(collection.meta(), Address::Key { group, key }).and_then(|target| {
            let draft = Draft::of(target.meta, &target.key, value)?;
            within_limit(target.meta, &draft)?;
            Ok(Op::Put(target, draft))
        });
        self.add(op)
    }

    /// Writes a record that needs to know where the batch's audit events stand in their logs (a receipt, for example).
    /// `make` runs just before the write and must be quick.
    pub fn put_with_leaves<T: Serialize + DeserializeOwned + 'static>(
        &mut self,
        collection: &Collection<T>,
        key: &str,
        make: impl FnOnce(&[LeafPlace]) -> T + Send + 'static,
    ) -> &mut Self {
        let op = self.store.target(collection.meta(), Address::Key { group: None, key }).map(|target| {
            let make: LateBody = Box::new(move |target, leaves| Draft::of(target.meta, &target.key, &make(leaves)));
            Op::PutLate(target, make)
        });
        self.add(op)
    }

    /// Deletes a record; no error if there is none.
    pub fn delete<T>(&mut self, collection: &Collection<T>, key: &str) -> &mut Self {
        let target = self.store.target(collection.meta(), Address::Key { group: None, key });
        self.add(target.map(Op::Delete))
    }

    /// Deletes a record of a grouped collection; no error if there is none.
    pub fn delete_in<T>(&mut self, collection: &Collection<T>, group: &str, key: &str) -> &mut Self {
        let target = self.store.target(collection.meta(), Address::Key { group: Some(group), key });
        self.add(target.map(Op::Delete))
    }

    /// Writes bytes of any length beside the records of a collection, replacing the blob under the same key. Records and
    /// blobs do not share keys.
    pub fn put_blob<T>(&mut self, collection: &Collection<T>, key: &str, bytes: Vec<u8>) -> &mut Self {
        let (tenant, meta) = (self.store.tenant_keys(), collection.meta());
        let op = tenant.map(|tenant| Op::PutBlob { tenant, meta, key: key.to_owned(), bytes });
        self.add(op)
    }

    /// Deletes a blob; no error if there is none.
    pub fn delete_blob<T>(&mut self, collection: &Collection<T>, key: &str) -> &mut Self {
        let (tenant, meta) = (self.store.tenant_keys(), collection.meta());
        let op = tenant.map(|tenant| Op::DeleteBlob { tenant, meta, key: key.to_owned() });
        self.add(op)
    }

    /// The commit succeeds only if there is no record under this key.
    pub fn expect_absent<T>(&mut self, collection: &Collection<T>, key: &str) -> &mut Self {
        self.expect_at(collection, None, key, None)
    }

    /// The commit succeeds only if the record under this key is still the one that was read with this version.
    pub fn expect_version<T>(&mut self, collection: &Collection<T>, key: &str, version: Version) -> &mut Self {
        self.expect_at(collection, None, key, Some(version))
    }

    /// [`Self::expect_absent`] in a grouped collection.
    pub fn expect_absent_in<T>(&mut self, collection: &Collection<T>, group: &str, key: &str) -> &mut Self {
        self.expect_at(collection, Some(group), key, None)
    }

    /// [`Self::expect_version`] in a grouped collection.
    pub fn expect_version_in<T>(
        &mut self,
        collection: &Collection<T>,
        group: &str,
        key: &str,
        version: Version,
    ) -> &mut Self {
        self.expect_at(collection, Some(group), key, Some(version))
    }

    fn expect_at<T>(
        &mut self,
        collection: &Collection<T>,
        group: Option<&str>,
        key: &str,
        version: Option<Version>,
    ) -> &mut Self {
        let target = self.store.target(collection.meta(), Address::Key { group, key });
        self.add(target.map(|target| Op::Expect(target, version)))
    }

    /// Adds an event to the tenant's audit log. It is in the same atomic write as the records.
    pub fn audit(&mut self, event: audit::Event) -> &mut Self {
        let op = self.store.tenant_keys().map(|tenant| Op::Audit { tenant, event });
        self.add(op)
    }

    /// Destroys the key of a person's fields in the tenant's audit log: what is already logged stays verifiable, and
    /// nobody can read those fields again. Events about the same person get a new key and a new pseudonym.
    pub fn erase_person(&mut self, person: cloister_protocol::ids::PersonId) -> &mut Self {
        let op = self.store.tenant_keys().map(|tenant| Op::ErasePerson { tenant, person });
        self.add(op)
    }

    /// Adds everything of another batch, of whatever tenant: both now take effect together.
    pub fn join(&mut self, mut other: Self) -> &mut Self {
        self.ops.append(&mut other.ops);
        self.mistake = self.mistake.take().or(other.mistake);
        self
    }

    /// Writes the batch and answers when it is on the disk. If the future is dropped, the batch may still be written.
    ///
    /// # Errors
    /// A mistake of the batch or a condition that does not hold: nothing was written. A fault of the disk: the store has
    /// stopped.
    pub async fn commit(self) -> Result<Committed, Error> {
        match self.mistake {
            Some(mistake) => Err(mistake),
            None => self.store.inner().submit(self.ops).await,
        }
    }

    /// [`Self::commit`] for threads that are not running async code.
    ///
    /// # Errors
    /// As for [`Self::commit`].
    ///
    /// # Panics
    /// When called from async code.
    pub fn commit_blocking(self) -> Result<Committed, Error> {
        match self.mistake {
            Some(mistake) => Err(mistake),
            None => self.store.inner().submit_blocking(self.ops),
        }
    }
}

pub(crate) fn within_limit(meta: Meta, draft: &Draft) -> Result<(), Error> {
    let size_bytes = draft.stored_len();
    if size_bytes > MAX_STORED_BYTES {
        return Err(Error::TooLarge { collection: meta.name, size_bytes, limit_bytes: MAX_STORED_BYTES });
    }
    Ok(())
}
