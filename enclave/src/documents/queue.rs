//! Which documents are being processed right now: for progress, for cancelling, and to bound how many wait.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cloister_protocol::ids::DocumentId;
use tokio_util::sync::CancellationToken;

/// The most documents that may wait or be processed at the same time.
const MAX_ACTIVE: usize = 1_000;

/// The documents that are waiting or being processed.
#[derive(Debug, Default)]
pub(super) struct Queue {
    active: Mutex<HashMap<DocumentId, Arc<Work>>>,
}

/// One document's place in the queue.
#[derive(Debug)]
pub(super) struct Work {
    progress: AtomicU8,
    started: AtomicBool,
    pub(super) cancelled: CancellationToken,
}

impl Work {
    /// Per cent of the work done.
    pub(super) fn progress(&self, per_cent: u8) {
        self.started.store(true, Ordering::Relaxed);
        self.progress.store(per_cent.min(99), Ordering::Relaxed);
    }
}

/// Leaves the queue when dropped, however the work ends.
#[derive(Debug)]
pub(super) struct Place {
    queue: Arc<Queue>,
    id: DocumentId,
    pub(super) work: Arc<Work>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut active = self.queue.lock();
        if active.get(&self.id).is_some_and(|work| Arc::ptr_eq(work, &self.work)) {
            active.remove(&self.id);
        }
    }
}

impl Queue {
    /// A place for a document, which is cancelled together with `stopping`; `None` if it has one already.
    pub(super) fn enter(self: &Arc<Self>, id: DocumentId, stopping: &CancellationToken) -> Option<Place> {
        let mut active = self.lock();
        if active.contains_key(&id) {
            return None;
        }
        let work = Arc::new(Work {
            progress: AtomicU8::new(0),
            started: AtomicBool::new(false),
            cancelled: stopping.child_token(),
        });
        active.insert(id, Arc::clone(&work));
        Some(Place { queue: Arc::clone(self), id, work })
    }

    pub(super) fn is_full(&self) -> bool {
        self.lock().len() >= MAX_ACTIVE
    }

    /// Per cent done, for a document that is being processed; `None` for one that waits or is not here.
    pub(super) fn progress(&self, id: DocumentId) -> Option<u8> {
        let work = self.lock().get(&id).cloned()?;
        work.started.load(Ordering::Relaxed).then(|| work.progress.load(Ordering::Relaxed))
    }

    /// [`Self::progress`] of all documents.
    pub(super) fn snapshot(&self) -> HashMap<DocumentId, u8> {
        let active = self.lock();
        let started = active.iter().filter(|(_, work)| work.started.load(Ordering::Relaxed));
        started.map(|(id, work)| (*id, work.progress.load(Ordering::Relaxed))).collect()
    }

    /// Ends the work on a document that is being deleted.
    pub(super) fn cancel(&self, id: DocumentId) {
        if let Some(work) = self.lock().get(&id) {
            work.cancelled.cancel();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<DocumentId, Arc<Work>>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
