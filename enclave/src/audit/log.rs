//! The reading half of a log: its head, its leaves, and proofs about them.

use cloister_attestation::note::Vkey;
use cloister_attestation::tlog::{self, ConsistencyProof, InclusionProof, MemoryTree};
use serde_json::{Map, Value};

use super::person::PersonKey;
use super::{Head, LEAVES, Person, tree};
use crate::store::{Error, TenantStore};

/// The audit log of one tenant.
///
/// Reading leaves and making proofs is blocking and takes time in proportion to the log.
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
        let head = self.head()?.unwrap_or_default();
        let proof = tlog::prove_inclusion(&self.tree(&head)?, index, head.size);
        Ok((proof.map_err(|_| Error::Integrity { what: LEAVES.name() })?, head))
    }

    /// Proves that the log had the first `size` leaves of the newest head, which is answered with the proof.
    ///
    /// # Errors
    /// [`Error::Integrity`], also when the log has fewer leaves.
    pub fn prove_consistency(&self, size: u64) -> Result<(ConsistencyProof, Head), Error> {
        let head = self.head()?.unwrap_or_default();
        let proof = tlog::prove_consistency(&self.tree(&head)?, size, head.size);
        Ok((proof.map_err(|_| Error::Integrity { what: LEAVES.name() })?, head))
    }

    fn tree(&self, head: &Head) -> Result<MemoryTree, Error> {
        let mut tree = MemoryTree::new();
        for index in 0..head.size {
            tree.push(tlog::leaf_hash(&self.leaf(index)?));
        }
        if tree.root() == head.root.0 { Ok(tree) } else { Err(Error::Integrity { what: LEAVES.name() }) }
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
