//! sled's database, and its end after a fault.
//!
//! Closing sled is not harmless then: it would write out what a failed batch had already put into its buffer, without the
//! mark that holds the batch together, and it panics if its last fsync fails. After a fault nothing more is written: the
//! database is left as it is until the process ends.

use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};

/// An open sled database.
#[derive(Debug)]
pub(crate) struct Database {
    /// There until the drop.
    sled: Option<sled::Db>,
    given_up: AtomicBool,
}

impl Database {
    pub(super) const fn new(sled: sled::Db) -> Self {
        Self { sled: Some(sled), given_up: AtomicBool::new(false) }
    }

    /// Writes nothing more, not even at the end.
    pub(super) fn give_up(&self) {
        self.given_up.store(true, Ordering::Release);
    }

    /// [`sled::Tree::apply_batch`]. After an error the database is of no more use.
    pub(crate) fn apply_batch(&self, batch: sled::Batch) -> sled::Result<()> {
        self.deref().apply_batch(batch).inspect_err(|_| self.give_up())
    }

    /// [`sled::Tree::flush`]. After an error the database is of no more use.
    pub(super) fn flush(&self) -> sled::Result<()> {
        self.deref().flush().map(drop).inspect_err(|_| self.give_up())
    }
}

impl Deref for Database {
    type Target = sled::Db;

    fn deref(&self) -> &sled::Db {
        self.sled.as_ref().expect("the database is there until the drop")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some(sled) = self.sled.take() else { return };
        if self.given_up.load(Ordering::Acquire) {
            // The lock on its file goes with the process.
            Box::leak(Box::new(sled));
        } else if std::panic::catch_unwind(AssertUnwindSafe(|| drop(sled))).is_err() {
            // Everything acknowledged had been synced before.
            tracing::error!("the database could not be closed");
        }
    }
}
