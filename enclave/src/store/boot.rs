//! What a start reads from the disk, and whether that is what the last commit left there.

use std::path::Path;
use std::sync::{Arc, RwLock};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::batch::Target;
use super::collection::{Address, Collection, Listing, Name};
use super::disk::Disk;
use super::error::Error;
use super::hierarchy::{RootKeys, Tenant};
use super::recent::Recent;
use super::record;
use super::set::SetHash;
use super::shared::Shared;
use super::tenants::{self, Tenants};
use super::versions::Versions;
use crate::access::TenantScope;
use crate::audit;
use crate::clock::Clock;
use crate::keys::RootKey;
use crate::keys::secret::random;

const STATE: Collection<StateRecord> = Collection::new("store-state", 41, 2);

/// The collections of this module.
pub(crate) const COLLECTIONS: Listing = &[STATE.meta()];

/// The header: written with every group of commits, read at start.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct StateRecord {
    /// Counts the groups of commits, over all boots.
    pub(crate) epoch: u64,
    /// The version that was given last.
    pub(crate) revision: u64,
    /// Over all records but this one.
    pub(crate) set: SetHash,
    /// The boot that wrote it.
    boot: String,
    /// Whether that boot closed the store.
    pub(crate) clean: bool,
}

/// Where the header record is.
pub(crate) fn header_target(shared: &Shared, system: &Arc<Tenant>) -> Result<Target, Error> {
    shared.target(system, STATE.meta(), Address::Key { group: None, key: "header" })
}

/// A store that was opened and is not yet written to.
pub(crate) struct Opened {
    pub(crate) shared: Shared,
    pub(crate) system: Arc<Tenant>,
    /// The last header.
    pub(crate) state: StateRecord,
    /// Whether the records are the ones that this header counted.
    pub(crate) set_holds: bool,
}

/// Opens the disk, reads every record's version, and compares what is there with what the header says.
pub(crate) fn open(
    dir: &Path,
    root: &RootKey,
    clock: Arc<dyn Clock>,
    settings: audit::Settings,
) -> Result<Opened, Error> {
    settings.check().map_err(Error::Audit)?;
    let disk = Disk::open(dir)?;
    let roots = RootKeys::derive(root.expose());
    let mut found = read(&disk, &roots)?;
    let system = found.system(&roots)?;
    let newest = found.versions.newest();
    let shared = Shared {
        disk,
        roots,
        versions: RwLock::new(found.versions),
        recent: Recent::default(),
        tenants: RwLock::new(found.tenants),
        heads: RwLock::default(),
        clock,
        settings,
        boot: audit::Boot { id: hex::encode(random::<16>()), after_clean_stop: false },
        epoch: 0.into(),
        fault: watch::channel(None).0,
    };
    let mut state = header(&shared, &system, newest, &mut found.set)?;
    let set_holds = state.set == found.set;
    state.revision = state.revision.max(newest.unwrap_or_default());
    Ok(Opened { shared, system, state, set_holds })
}

/// Reads the header and takes it out of the sum, in which it does not count itself.
fn header(shared: &Shared, system: &Arc<Tenant>, newest: Option<u64>, set: &mut SetHash) -> Result<StateRecord, Error> {
    let broken = Error::Integrity { what: STATE.name() };
    let target = header_target(shared, system)?;
    let Some(opened) = shared.read(&target)? else {
        // The header is in every group, so only an empty store has none.
        return match newest {
            Some(_) => Err(broken),
            None => Ok(StateRecord { clean: true, ..StateRecord::default() }),
        };
    };
    let stored = shared.disk.database.get(target.name.as_bytes());
    let stored = stored.map_err(|error| Error::database("reading the header", error))?.ok_or(broken)?;
    set.remove(shared.roots.set.element(target.name.as_bytes(), &stored));
    opened.decode(STATE.meta())
}

impl Opened {
    /// Begins a boot: from now on the store may be written to.
    pub(crate) fn begin(mut self) -> Result<(Shared, StateRecord, Arc<Tenant>), Error> {
        if !self.set_holds {
            return Err(Error::Integrity { what: "the set of all records" });
        }
        self.shared.boot.after_clean_stop = std::mem::replace(&mut self.state.clean, false);
        self.state.boot.clone_from(&self.shared.boot.id);
        self.shared.set_epoch(self.state.epoch);
        audit::load_heads(&self.shared)?;
        Ok((self.shared, self.state, self.system))
    }
}

/// What the disk holds.
struct Found {
    versions: Versions,
    tenants: Tenants,
    /// Over all records, the header too.
    set: SetHash,
}

/// Reads the version of every record and the key of every tenant.
fn read(disk: &Disk, roots: &RootKeys) -> Result<Found, Error> {
    let mut found = Found { versions: Versions::default(), tenants: Tenants::default(), set: SetHash::default() };
    let prefix = roots.tenants_prefix();
    for entry in disk.database.iter() {
        let (name, stored) = entry.map_err(|error| Error::database("reading the versions", error))?;
        let parsed = Name::parse(&name).ok_or(Error::Integrity { what: "a name" })?;
        let version = record::claimed_version(&stored).ok_or(Error::Integrity { what: "a record's version" })?;
        found.versions.insert(&parsed, version);
        found.set.add(roots.set.element(&name, &stored));
        if name.starts_with(&prefix) {
            found.tenants.insert(parsed, tenants::unwrap(roots, &name, &stored).map(Arc::new));
        }
    }
    Ok(found)
}

impl Found {
    /// The tenant whose records are the appliance's own; new on an empty disk.
    fn system(&mut self, roots: &RootKeys) -> Result<Arc<Tenant>, Error> {
        let id = TenantScope::system().tenant();
        let name = roots.tenant_name(&id);
        let system = match self.tenants.get(&name) {
            Some(Some(system)) => Arc::clone(system),
            Some(None) => return Err(Error::Integrity { what: "the system's key" }),
            // There are records, but no key under the name that this root key gives it.
            None if !self.versions.is_empty() => return Err(Error::WrongRootKey),
            None => tenants::new(id),
        };
        self.tenants.insert(name, Some(Arc::clone(&system)));
        Ok(system)
    }
}
