//! The reading half of a log: its head, its leaves, and proofs about them.

use std::sync::Arc;

use cloister_attestation::note::Vkey;
use cloister_attestation::tlog::{self, ConsistencyProof, InclusionProof};
use serde_json::{Map, Value};

use super::nodes::StoredTree;
use super::person::PersonKey;
use super::{Head, LEAVES, Person, tree};
use crate::store::{Error, Tenant, TenantStore};

/// The audit log of one tenant.
///
/// Reading is blocking. A proof reads at most 255 leaves and a few tiles for each level of the tree.
#[derive(Debug, Clone)]
pub struct Log {
    store: TenantStore,
}

impl Log {
    pub(crate) const fn new(store: TenantStore) -> Self {
        Self { store }
    }

    pub(crate) const fn store(&self) -> &TenantStore {
        &self.store
    }

    /// The newest head that is on the disk; none before the first event.
    ///
    /// # Errors
    /// [`Error::Integrity`] when the tenant's key is damaged.
    pub fn head(&self) -> Result<Option<Head>, Error> {
        let tenant = self.store.tenant_keys()?;
        let heads = self.store.inner().shared.heads.read().map_err(|_| Error::Stopped)?;
        Ok(heads.get(&tenant.id).cloned())
    }

    /// The newest signed checkpoint; none before the first event.
    ///
    /// # Errors
    /// As for [`Self::head`].
    pub fn checkpoint(&self) -> Result<Option<String>, Error> {
        Ok(self.head()?.map(|head| head.checkpoint))
    }

    /// The name of the log and its key; none before the first event.
    ///
    /// # Errors
    /// As for [`Self::head`].
    pub fn vkey(&self) -> Result<Option<Vkey>, Error> {
        let parse = |head: Head| Vkey::parse(&head.vkey).map_err(|_| Error::Integrity { what: "a log's key" });
        self.head()?.map(parse).transpose()
    }

    /// The bytes of one leaf.
    ///
    /// # Errors
    /// [`Error::Integrity`], also when there is no such leaf.
    pub fn leaf(&self, index: u64) -> Result<Vec<u8>, Error> {
        tree::read_leaf(&self.store.inner().shared, &self.store.tenant_keys()?, index)
    }

    /// Proves that a leaf is in the log of the newest head, which is answered with the proof.
    ///
    /// # Errors
    /// [`Error::Integrity`], also when there is no such leaf.
    pub fn prove_inclusion(&self, index: u64) -> Result<(InclusionProof, Head), Error> {
        let (tenant, head) = (self.store.tenant_keys()?, self.head()?.unwrap_or_default());
        let proof = tlog::prove_inclusion(&self.tree(&tenant, head.size), index, head.size).map_err(broken)?;
        let leaf = tlog::leaf_hash(&self.leaf(index)?);
        tlog::verify_inclusion(&proof, index, head.size, &leaf, &head.root.0).map_err(broken)?;
        Ok((proof, head))
    }

    /// Proves that the log had the first `size` leaves of the newest head, which is answered with the proof.
    ///
    /// # Errors
    /// [`Error::Integrity`], also when the log has fewer leaves.
    pub fn prove_consistency(&self, size: u64) -> Result<(ConsistencyProof, Head), Error> {
        let (tenant, head) = (self.store.tenant_keys()?, self.head()?.unwrap_or_default());
        let tree = self.tree(&tenant, head.size);
        let proof = tlog::prove_consistency(&tree, size, head.size).map_err(broken)?;
        let old = tlog::root_at(&tree, size).map_err(broken)?;
        tlog::verify_consistency(&proof, (size, &old), (head.size, &head.root.0)).map_err(broken)?;
        Ok((proof, head))
    }

    fn tree<'a>(&'a self, tenant: &'a Arc<Tenant>, size: u64) -> StoredTree<'a> {
        StoredTree { shared: &self.store.inner().shared, tenant, size }
    }

    /// Opens the personal details of a leaf about this person; none if the leaf has none, is about somebody else, or the
    /// person was erased.
    ///
    /// # Errors
    /// [`Error::Integrity`].
    pub fn personal(&self, index: u64, person: Person) -> Result<Option<Map<String, Value>>, Error> {
        let tenant = self.store.tenant_keys()?;
        let leaf: Value =
            serde_json::from_slice(&self.leaf(index)?).map_err(|_| Error::Integrity { what: LEAVES.name() })?;
        let key = PersonKey::load(&self.store.inner().shared, &tenant, person)?;
        let (Some(key), Some(head), Some(p)) = (key, self.head()?, leaf.get("p")) else { return Ok(None) };
        Ok(key.open(&head.origin, index, p))
    }
}

const fn broken(_: tlog::Error) -> Error {
    Error::Integrity { what: LEAVES.name() }
}
