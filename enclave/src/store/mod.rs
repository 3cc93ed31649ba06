//! Sealed storage: everything that the appliance remembers.
//!
//! Records are typed, belong to a tenant, and are read and written only with a [`TenantScope`]. On the disk there are
//! sealed values under names that are PRF outputs, in one sled tree, so that any set of records can be written together
//! or not at all. A commit answers after its writes, and the audit leaves in it, have been synced to the disk.
//!
//! The store refuses to go on after the first fault of the disk: see [`Store::fault`].
//!
//! Format and keys are those of protocols, section 9; the cipher is [`xaes`]. That the
//! whole disk was put back to an older state is not detected yet.

mod batch;
mod blob;
mod collection;
mod disk;
mod error;
mod hierarchy;
mod lane;
mod recent;
mod record;
mod shared;
mod tenant;
mod tenants;
mod versions;
pub mod xaes;

use std::path::Path;
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

pub use batch::{Batch, Committed, LeafPlace, Version};
pub use blob::MAX_BLOB_BYTES;
pub use collection::{Collection, MAX_KEY_BYTES, order_key};
pub use error::Error;
pub use tenant::TenantStore;

pub(crate) use batch::Target;
pub(crate) use collection::Address;
pub(crate) use hierarchy::{Tenant, derive};
pub(crate) use lane::Stage;
pub(crate) use record::Draft;
pub(crate) use shared::Shared;

use crate::access::TenantScope;
use crate::audit;
use crate::clock::Clock;
use crate::keys::RootKey;
use crate::keys::secret::random;
use disk::Disk;
use hierarchy::RootKeys;
use lane::{Lane, Request};
use recent::Recent;
use tenants::Tenants;
use versions::Versions;

const STATE: Collection<StateRecord> = Collection::new("store-state", 41, 1);

/// The header: written with every group of commits, read at start.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct StateRecord {
    /// Counts the groups of commits, over all boots.
    epoch: u64,
    /// The version that was given last.
    revision: u64,
    /// The boot that wrote it.
    boot: String,
    /// Whether that boot closed the store.
    clean: bool,
}

/// The sealed store. Clones are handles on the same store.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) shared: Arc<Shared>,
    requests: Option<mpsc::Sender<Request>>,
    lane: Option<JoinHandle<()>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The lane ends when nobody can send to it any more.
        self.requests = None;
        if let Some(lane) = self.lane.take() {
            // A lane that panicked has already stopped the store.
            drop(lane.join());
        }
    }
}

impl Inner {
    fn requests(&self) -> &mpsc::Sender<Request> {
        self.requests.as_ref().expect("the sender is there until the drop")
    }

    pub(crate) async fn submit(&self, ops: Vec<batch::Op>) -> Result<Committed, Error> {
        let (reply, answer) = oneshot::channel();
        self.requests().send(Request::Commit { ops, reply }).await.map_err(|_| self.gone())?;
        answer.await.map_err(|_| self.gone())?
    }

    pub(crate) fn submit_blocking(&self, ops: Vec<batch::Op>) -> Result<Committed, Error> {
        let (reply, answer) = oneshot::channel();
        self.requests().blocking_send(Request::Commit { ops, reply }).map_err(|_| self.gone())?;
        answer.blocking_recv().map_err(|_| self.gone())?
    }

    fn gone(&self) -> Error {
        if self.shared.has_stopped() { Error::Stopped } else { Error::Closed }
    }
}

impl Store {
    /// Opens the store under `dir`, creating it if there is none. Blocking: it reads every record's version.
    ///
    /// # Errors
    /// [`Error::WrongRootKey`], [`Error::Integrity`] when the header is damaged, [`Error::Io`].
    pub fn open(dir: &Path, root: &RootKey, clock: Arc<dyn Clock>, settings: audit::Settings) -> Result<Self, Error> {
        settings.check().map_err(Error::Audit)?;
        let disk = Disk::open(dir)?;
        let roots = RootKeys::derive(root.expose());
        let (versions, mut tenants) = load(&disk, &roots)?;
        let system_name = roots.tenant_name(&TenantScope::system().tenant());
        let system = match tenants.get(&system_name) {
            Some(Some(system)) => Arc::clone(system),
            Some(None) => return Err(Error::Integrity { what: "the system's key" }),
            // There are records, but no key under the name that this root key gives it.
            None if !versions.is_empty() => return Err(Error::WrongRootKey),
            None => tenants::new(TenantScope::system().tenant()),
        };
        tenants.insert(system_name, Some(Arc::clone(&system)));
        let newest = versions.values().max().copied();
        let shared = Arc::new(Shared {
            disk,
            roots,
            versions: RwLock::new(versions),
            recent: Recent::default(),
            tenants: RwLock::new(tenants),
            heads: RwLock::default(),
            clock,
            settings,
            boot: audit::Boot { id: hex::encode(random::<16>()), after_clean_stop: false },
            epoch: 0.into(),
            fault: watch::channel(None).0,
        });
        Self::start(shared, &system, newest)
    }

    fn start(mut shared: Arc<Shared>, system: &Arc<Tenant>, newest: Option<u64>) -> Result<Self, Error> {
        let header = shared.read(&lane::header_target(&shared, system)?)?;
        let mut state: StateRecord = match header {
            Some(header) => header.decode(STATE.meta())?,
            // The header is in every group, so only an empty store has none.
            None if newest.is_some() => return Err(Error::Integrity { what: STATE.name() }),
            None => StateRecord { clean: true, ..StateRecord::default() },
        };
        let unique = Arc::get_mut(&mut shared).expect("nobody else has it yet");
        unique.boot.after_clean_stop = std::mem::replace(&mut state.clean, false);
        state.boot.clone_from(&unique.boot.id);
        state.revision = state.revision.max(newest.unwrap_or_default());
        shared.set_epoch(state.epoch);
        audit::load_heads(&shared)?;

        let (requests, receiver) = mpsc::channel(lane::QUEUE);
        let lane = Lane {
            shared: Arc::clone(&shared),
            requests: receiver,
            logs: audit::lane::Logs::default(),
            state,
            system: Arc::clone(system),
        };
        let thread = std::thread::Builder::new().name("store-lane".to_owned());
        let thread = thread.spawn(move || lane.run());
        let lane = thread.map_err(|source| Error::Io { doing: "starting the commit lane", source })?;
        Ok(Self { inner: Arc::new(Inner { shared, requests: Some(requests), lane: Some(lane) }) })
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    /// The records of a tenant.
    #[must_use]
    pub fn scope(&self, scope: &TenantScope) -> TenantStore {
        TenantStore::new(Arc::clone(&self.inner), self.inner.shared.tenant(scope.tenant()))
    }

    /// How many groups of commits there have been, over all boots.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.inner.shared.epoch.load(std::sync::atomic::Ordering::Acquire)
    }

    /// Names this start of the appliance; it stands in every audit leaf.
    #[must_use]
    pub fn boot_id(&self) -> &str {
        &self.inner.shared.boot.id
    }

    /// Waits for the fault that stops the store, and says what it was. The process should then end: nothing more will be
    /// written.
    pub async fn fault(&self) -> Arc<str> {
        let mut fault = self.inner.shared.fault.subscribe();
        // The sender lives in `self`, so the wait ends only with a fault.
        let found = fault.wait_for(Option::is_some).await.ok().and_then(|fault| fault.clone());
        found.unwrap_or_else(|| "the store is gone".into())
    }

    /// Whether a fault has stopped the store.
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        self.inner.shared.has_stopped()
    }

    /// Commits what is waiting, notes the clean stop, and refuses everything after that.
    pub async fn close(&self) {
        let (reply, answer) = oneshot::channel();
        if self.inner.requests().send(Request::Close { reply }).await.is_ok() {
            // A lane that is gone has nothing left to close.
            let _ = answer.await;
        }
    }

    /// [`Self::close`] for threads that are not running async code.
    ///
    /// # Panics
    /// When called from async code.
    pub fn close_blocking(&self) {
        let (reply, answer) = oneshot::channel();
        if self.inner.requests().blocking_send(Request::Close { reply }).is_ok() {
            // A lane that is gone has nothing left to close.
            let _ = answer.blocking_recv();
        }
    }
}

/// Reads the version of every record and the key of every tenant.
fn load(disk: &Disk, roots: &RootKeys) -> Result<(Versions, Tenants), Error> {
    let (mut versions, mut tenants) = (Versions::default(), Tenants::default());
    let prefix = roots.tenants_prefix();
    for entry in disk.database.iter() {
        let (name, stored) = entry.map_err(|error| Error::database("reading the versions", error))?;
        // A record too short for a version is damaged; its owner learns of it when reading it.
        let version = record::claimed_version(&stored).unwrap_or_default();
        let Some(tail) = collection::tail(&name) else { return Err(Error::Integrity { what: "a name" }) };
        versions.insert(tail, version);
        if name.starts_with(&prefix) {
            let Some(name) = collection::Name::parse(&name) else { return Err(Error::Integrity { what: "a name" }) };
            tenants.insert(name, tenants::unwrap(roots, name.as_bytes(), &stored).map(Arc::new));
        }
    }
    Ok((versions, tenants))
}
