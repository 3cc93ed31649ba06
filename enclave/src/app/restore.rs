//! Putting a backup in the place of a store: only where none is, and never silently.
//!
//! A restore is a rollback that somebody stands for. Each log gets a record of it, sessions and enrolments end, and everybody
//! who has seen a later state is told by the page or by `cloister-verify` that the state went backwards.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use std::sync::Arc;

use super::start::{StartError, open, root_key, with_slots};
use crate::audit::{Class, Event};
use crate::clock::Clock;
use crate::config::Config;
use crate::identity::{self, after_restore};
use crate::keys::RootKey;
use crate::store::backup::{self, Summary};
use crate::store::{self, Store};

/// Why a backup was not restored; the data folder is as empty as it was.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The file cannot be opened.
    #[error("the backup cannot be opened")]
    File(#[source] io::Error),
    /// There is a store already.
    #[error("the data folder holds a store; a backup is restored into an empty one: move the old store away")]
    Occupied,
    /// It is no backup, or the disk fails.
    #[error("the backup cannot be restored")]
    Backup(#[from] backup::RestoreError),
    /// Nothing at hand opens its key slots.
    #[error("this machine cannot open the store of the backup; give the owner's recovery identity (--identity)")]
    Unseal(#[source] StartError),
    /// The records are not all that were there, or this machine cannot be given a key slot.
    #[error("the store of the backup does not open")]
    Open(#[from] StartError),
    /// The restored store cannot be written.
    #[error("the restore cannot be noted")]
    Store(#[from] store::Error),
    /// Sessions cannot be ended.
    #[error("the sessions of the backup cannot be ended")]
    Identity(#[from] identity::Error),
}

/// Restores a backup into the data folder, opens it, by the owner's recovery identity if one is given, and writes into each
/// log that it was restored and why. Blocking; the service must not be running.
///
/// # Errors
/// [`RestoreError`].
pub fn restore(
    config: &Config,
    clock: &Arc<dyn Clock>,
    file: &Path,
    identity: Option<&str>,
    reason: &str,
) -> Result<Summary, RestoreError> {
    let dir = &config.data_dir;
    let from = BufReader::new(File::open(file).map_err(RestoreError::File)?);
    if RootKey::slots_file(dir).exists() {
        return Err(RestoreError::Occupied);
    }
    let summary = backup::restore(dir, from, |slots| RootKey::install_slots(dir, slots).map_err(io::Error::other))?;
    let settled = settle(config, clock, identity, &summary, reason);
    if settled.is_err() {
        std::fs::remove_file(RootKey::slots_file(dir)).map_err(backup::RestoreError::Io)?;
        backup::take_away(dir)?;
    }
    settled.map(|()| summary)
}

/// Opens what was restored, and notes it.
fn settle(
    config: &Config,
    clock: &Arc<dyn Clock>,
    identity: Option<&str>,
    summary: &Summary,
    reason: &str,
) -> Result<(), RestoreError> {
    let root = match identity {
        Some(identity) => {
            RootKey::recover(&config.data_dir, identity).map_err(|error| RestoreError::Unseal(error.into()))?
        }
        None => root_key(config, clock).map_err(RestoreError::Unseal)?,
    };
    let store = open(config, clock, &root)?;
    let noted = note(&store, clock.now_ms(), summary, reason);
    store.close_blocking();
    noted?;
    if identity.is_some() {
        with_slots(config, |slots| Ok(root.rebind(&config.data_dir, slots, clock.now_ms())?))?;
    }
    Ok(())
}

fn note(store: &Store, now_ms: u64, summary: &Summary, reason: &str) -> Result<(), RestoreError> {
    let event = Event::new(Class::ApplicationOther, "log.restore")
        .detail("backup_epoch", summary.epoch)
        .detail("backup_sha256", hex::encode(summary.sha256))
        .detail("reason", reason);
    let mut batch = after_restore(store, now_ms)?;
    batch.join(store.note_in_all_logs(&event)?);
    batch.commit_blocking()?;
    Ok(())
}
