//! What readers and the commit lane share: the database, the keys, and what is known of it in memory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use tokio::sync::watch;

use super::batch::Target;
use super::collection::{self, Address, Meta, Name};
use super::disk::Disk;
use super::error::Error;
use super::hierarchy::{RootKeys, Tenant};
use super::recent::Recent;
use super::record::{self, Opened};
use super::tenants::{self, Tenants};
use super::versions::{Listed, Tail, Versions};
use crate::audit;
use crate::clock::Clock;

/// How often a list is read without making commits wait.
const UNDISTURBED_SCANS: usize = 4;

/// What readers and the lane share.
pub(crate) struct Shared {
    pub(crate) disk: Disk,
    pub(crate) roots: RootKeys,
    pub(crate) versions: RwLock<Versions>,
    pub(super) recent: Recent,
    pub(super) tenants: RwLock<Tenants>,
    pub(crate) heads: RwLock<BTreeMap<String, audit::Head>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: audit::Settings,
    pub(crate) boot: audit::Boot,
    pub(super) epoch: AtomicU64,
    pub(super) fault: watch::Sender<Option<Arc<str>>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn has_stopped(&self) -> bool {
        self.fault.borrow().is_some()
    }

    /// Stops the store for good.
    pub(super) fn stop(&self, error: &Error) {
        let mut cause = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(inner) = source {
            cause = format!("{cause}: {inner}");
            source = inner.source();
        }
        tracing::error!(cause, "the store has stopped");
        self.fault.send_if_modified(|fault| {
            let first = fault.is_none();
            fault.get_or_insert_with(|| cause.into());
            first
        });
    }

    pub(crate) fn set_epoch(&self, epoch: u64) {
        self.epoch.store(epoch, Ordering::Release);
    }
}

impl Shared {
    /// The tenant with this id, new if it has no key yet; `None` if its key is damaged.
    pub(super) fn tenant(&self, id: String) -> Option<Arc<Tenant>> {
        let name = self.roots.tenant_name(&id);
        let tenants = self.tenants.read().ok()?;
        if let Some(tenant) = tenants.get(&name).cloned() {
            return tenant;
        }
        drop(tenants);
        let mut tenants = self.tenants.write().ok()?;
        tenants.entry(name).or_insert_with(|| Some(tenants::new(id))).clone()
    }

    /// The heads of all logs.
    pub(crate) fn all_heads(&self) -> Vec<audit::Head> {
        self.epoch_and_heads().1
    }

    /// The epoch, and the heads of all logs in it.
    pub(crate) fn epoch_and_heads(&self) -> (u64, Vec<audit::Head>) {
        let heads = self.heads.read();
        let all = heads.as_ref().map(|heads| heads.values().cloned().collect()).unwrap_or_default();
        (self.epoch.load(Ordering::Acquire), all)
    }

    /// Every tenant whose key is sound.
    pub(crate) fn all_tenants(&self) -> Vec<Arc<Tenant>> {
        let tenants = self.tenants.read();
        tenants.map(|tenants| tenants.values().flatten().cloned().collect()).unwrap_or_default()
    }
}

impl Shared {
    /// Finds the name of a record.
    pub(crate) fn target(&self, tenant: &Arc<Tenant>, meta: Meta, address: Address<'_>) -> Result<Target, Error> {
        let (name, key) = meta.address(tenant.tree(&self.roots, meta), address)?;
        Ok(Target { tenant: Arc::clone(tenant), meta, name, key })
    }

    /// The version of a record, if there is one.
    pub(super) fn version(&self, name: &Name) -> Result<Option<u64>, Error> {
        Ok(self.versions.read().map_err(|_| Error::Stopped)?.get(&name.tail()))
    }

    /// Reads and opens a record, if there is one.
    pub(crate) fn read(&self, target: &Target) -> Result<Option<Arc<Opened>>, Error> {
        let broken = || Error::Integrity { what: target.meta.name };
        let (name, tail) = (&target.name, target.name.tail());
        let (expected, stored) = {
            // Under the lock the disk and the map tell of the same commit.
            let versions = self.versions.read().map_err(|_| Error::Stopped)?;
            let expected = versions.get(&tail);
            if let Some(opened) = expected.and_then(|version| self.recent.get(&tail, version)) {
                return (opened.key() == target.key).then_some(Some(opened)).ok_or_else(broken);
            }
            let stored = self.disk.database.get(name.as_bytes());
            (expected, stored.map_err(|error| Error::database("reading a record", error))?)
        };
        match (expected, stored) {
            (None, None) => Ok(None),
            (Some(expected), Some(stored)) => {
                let keys = target.tenant.tree(&self.roots, target.meta);
                let opened = record::open(&target.tenant, &keys.cipher, target.meta, name.as_bytes(), &stored)?;
                if opened.version != expected || opened.key() != target.key {
                    return Err(broken());
                }
                let opened = Arc::new(opened);
                self.keep(tail, &opened)?;
                Ok(Some(opened))
            }
            (Some(_), None) | (None, Some(_)) => Err(broken()),
        }
    }

    /// Keeps an opened record for the next reader, unless it was overwritten while it was being opened.
    fn keep(&self, tail: Tail, opened: &Arc<Opened>) -> Result<(), Error> {
        let versions = self.versions.read().map_err(|_| Error::Stopped)?;
        if versions.get(&tail) == Some(opened.version) {
            self.recent.keep(tail, opened);
        }
        Ok(())
    }

    /// The records of a list as they stand on the disk, all of one moment. A list that changes while it is read is read
    /// again, the last time with commits waiting.
    pub(super) fn scan(&self, meta: Meta, prefix: &[u8]) -> Result<Vec<(sled::IVec, sled::IVec)>, Error> {
        let list = collection::list(prefix);
        let versions = || self.versions.read().map_err(|_| Error::Stopped);
        for _ in 0..UNDISTURBED_SCANS {
            let before = versions()?.listed(&list);
            let found = self.scan_once(prefix)?;
            let versions = versions()?;
            if versions.listed(&list) == before {
                check(&versions, before, &found).ok_or(Error::Integrity { what: meta.name })?;
                return Ok(found);
            }
        }
        let versions = versions()?;
        let found = self.scan_once(prefix)?;
        check(&versions, versions.listed(&list), &found).ok_or(Error::Integrity { what: meta.name })?;
        Ok(found)
    }

    fn scan_once(&self, prefix: &[u8]) -> Result<Vec<(sled::IVec, sled::IVec)>, Error> {
        let found = self.disk.database.scan_prefix(prefix).collect::<Result<Vec<_>, _>>();
        found.map_err(|error| Error::database("listing records", error))
    }
}

/// Whether a scan found the current version of each record of a list.
fn check(versions: &Versions, listed: Listed, found: &[(sled::IVec, sled::IVec)]) -> Option<()> {
    let current = |(name, stored): &(sled::IVec, sled::IVec)| {
        let expected = collection::tail(name).and_then(|tail| versions.get(&tail));
        expected.is_some() && expected == record::claimed_version(stored)
    };
    let whole = u64::try_from(found.len()) == Ok(listed.records) && found.iter().all(current);
    whole.then_some(())
}
