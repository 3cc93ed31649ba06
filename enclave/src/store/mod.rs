//! Sealed storage: everything that the appliance remembers.
//!
//! Records are typed, belong to a tenant, and are read and written only with a [`TenantScope`]. On the disk there are
//! sealed values under names that are PRF outputs, in one sled tree, so that any set of records can be written together
//! or not at all. A commit answers after its writes, and the audit leaves in it, have been synced to the disk.
//!
//! The store refuses to go on after the first fault of the disk: see [`Store::fault`].
//!
//! Format and keys are those of protocols, section 9; the cipher is [`xaes`]. A start refuses a disk on which a record was
//! added, taken away or put back (`set.rs`); that the whole disk is an older one shows whoever remembers a later epoch.

pub mod backup;
mod batch;
mod blob;
pub(crate) mod boot;
mod collection;
mod disk;
mod error;
pub mod examine;
mod hierarchy;
mod lane;
mod recent;
mod record;
mod set;
mod shared;
mod stage;
mod tenant;
mod tenants;
mod versions;
pub mod xaes;

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

pub use batch::{Batch, Committed, LeafPlace, Version};
pub use blob::MAX_BLOB_BYTES;
pub use collection::{Collection, MAX_KEY_BYTES, order_key};
pub use error::Error;
pub use tenant::TenantStore;

pub(crate) use batch::Target;
pub(crate) use boot::COLLECTIONS;
pub(crate) use collection::{Address, Listing, distinct};
pub(crate) use hierarchy::{Tenant, derive};
pub(crate) use record::Draft;
pub(crate) use shared::Shared;
pub(crate) use stage::Stage;

use crate::access::TenantScope;
use crate::audit;
use crate::clock::Clock;
use crate::keys::RootKey;
use boot::StateRecord;
use lane::{Lane, Request};

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

    /// Has the lane note which records are written from now on.
    fn watch_changes(&self) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.requests().blocking_send(Request::Watch { reply }).map_err(|_| self.gone())?;
        answer.blocking_recv().map_err(|_| self.gone())?
    }

    /// What was written since [`Self::watch_changes`], and the epoch of now.
    fn take_changes(&self) -> Result<(u64, Vec<lane::Change>), Error> {
        let (reply, answer) = oneshot::channel();
        self.requests().blocking_send(Request::Changes { reply }).map_err(|_| self.gone())?;
        answer.blocking_recv().map_err(|_| self.gone())?
    }

    fn gone(&self) -> Error {
        if self.shared.has_stopped() { Error::Stopped } else { Error::Closed }
    }
}

impl Store {
    /// Opens the store under `dir`, creating it if there is none. Blocking: it reads every record's version, and checks that
    /// these are the records that were there last.
    ///
    /// # Errors
    /// [`Error::WrongRootKey`], [`Error::Integrity`] when the disk does not hold what was left on it, [`Error::Io`].
    pub fn open(dir: &Path, root: &RootKey, clock: Arc<dyn Clock>, settings: audit::Settings) -> Result<Self, Error> {
        let (shared, state, system) = boot::open(dir, root, clock, settings)?.begin()?;
        Self::start(Arc::new(shared), state, system)
    }

    /// Starts the commit lane.
    fn start(shared: Arc<Shared>, state: StateRecord, system: Arc<Tenant>) -> Result<Self, Error> {
        let (requests, receiver) = mpsc::channel(lane::QUEUE);
        let logs = audit::lane::Logs::default();
        let lane = Lane { shared: Arc::clone(&shared), requests: receiver, logs, state, system, watched: None };
        let thread = std::thread::Builder::new().name("store-lane".to_owned());
        let thread = thread.spawn(move || lane.run());
        let lane = thread.map_err(|source| Error::Io { doing: "starting the commit lane", source })?;
        Ok(Self { inner: Arc::new(Inner { shared, requests: Some(requests), lane: Some(lane) }) })
    }

    /// The records of a tenant, for what the store itself writes about every tenant.
    pub(crate) fn of_tenant(&self, tenant: &str) -> TenantStore {
        TenantStore::new(Arc::clone(&self.inner), self.inner.shared.tenant(tenant.to_owned()))
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    /// The records of a tenant.
    #[must_use]
    pub fn scope(&self, scope: &TenantScope) -> TenantStore {
        TenantStore::new(Arc::clone(&self.inner), self.inner.shared.tenant(scope.tenant()))
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
