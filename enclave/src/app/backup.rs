//! Backups while the service runs: one file every so many hours, and one whenever the operator asks.
//!
//! A backup is written beside its name and takes it only when it is whole and on the disk. Old ones go when there are more
//! than are to be kept. What a backup is, [`crate::store::backup`] says.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::access::TenantScope;
use crate::audit::{Class, Event};
use crate::clock::Clock;
use crate::config::{Backup as Settings, Config};
use crate::keys::RootKey;
use crate::store::backup::Summary;
use crate::store::{self, Store};

/// How often to look whether one is due.
const EVERY: Duration = Duration::from_secs(60);
const PREFIX: &str = "cloister-";
const SUFFIX: &str = ".backup";

/// Why no backup was written.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// A file or folder cannot be written.
    #[error("the folder of backups cannot be written")]
    Folder(#[source] io::Error),
    /// The key slots cannot be read.
    #[error("the key slots cannot be read")]
    Slots(#[source] io::Error),
    /// The store, or the file, answered with an error.
    #[error("the state cannot be copied")]
    Store(#[from] store::Error),
}

/// Writes backups.
#[derive(Debug)]
pub struct Backups {
    settings: Settings,
    data_dir: PathBuf,
    store: Store,
    clock: Arc<dyn Clock>,
    wanted: Notify,
}

impl Backups {
    /// What the configuration asks for, if it asks for any.
    pub(super) fn configured(config: &Config, store: &Store, clock: &Arc<dyn Clock>) -> Option<Arc<Self>> {
        let (settings, data_dir) = (config.backup.clone()?, config.data_dir.clone());
        let (store, clock) = (store.clone(), Arc::clone(clock));
        Some(Arc::new(Self { settings, data_dir, store, clock, wanted: Notify::new() }))
    }

    /// Asks for a backup now.
    pub fn ask(&self) {
        self.wanted.notify_one();
    }

    /// Writes one now. Blocking.
    ///
    /// # Errors
    /// [`enum@Error`]; nothing is left behind then.
    fn write(&self) -> Result<Summary, Error> {
        let folder = &self.settings.folder;
        fs::create_dir_all(folder).map_err(Error::Folder)?;
        let slots = fs::read(RootKey::slots_file(&self.data_dir)).map_err(Error::Slots)?;
        let part = folder.join(format!("{PREFIX}unfinished.part"));
        let written = self.write_part(&slots, &part).and_then(|summary| {
            let name = format!("{PREFIX}{:010}-{}{SUFFIX}", self.clock.now_ms() / 1000, summary.epoch);
            let named = fs::rename(&part, folder.join(name)).and_then(|()| File::open(folder)?.sync_all());
            named.map(|()| summary).map_err(Error::Folder)
        });
        if written.is_err() {
            // What there is of it is worth nothing; the error says more than that it cannot be removed.
            drop(fs::remove_file(&part));
        }
        written
    }

    fn write_part(&self, slots: &[u8], part: &Path) -> Result<Summary, Error> {
        let open = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(part);
        let mut file = BufWriter::new(open.map_err(Error::Folder)?);
        let summary = self.store.back_up(slots, &mut file)?;
        file.flush().and_then(|()| file.get_ref().sync_all()).map_err(Error::Folder)?;
        Ok(summary)
    }

    /// The backups that there are, oldest first.
    fn all(&self) -> io::Result<Vec<PathBuf>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.settings.folder)? {
            let path = entry?.path();
            all.extend(taken_at(&path).is_some().then_some(path));
        }
        all.sort();
        Ok(all)
    }

    fn is_due(&self) -> bool {
        let newest = self.all().ok().and_then(|all| all.last().and_then(|path| taken_at(path)));
        let hours = u64::from(self.settings.every_hours);
        newest.is_none_or(|newest| (self.clock.now_ms() / 1000).saturating_sub(newest) >= hours * 3600)
    }

    fn remove_old(&self) -> io::Result<()> {
        let all = self.all()?;
        let surplus = all.len().saturating_sub(self.settings.keep);
        all.iter().take(surplus).try_for_each(fs::remove_file)
    }

    /// Writes one whenever it is due or asked for, until `stopping`. To be spawned on the App's tracker.
    pub(super) async fn run_until(self: Arc<Self>, stopping: CancellationToken) {
        let mut interval = tokio::time::interval(EVERY);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let wanted = tokio::select! {
                () = stopping.cancelled() => return,
                () = self.wanted.notified() => true,
                _ = interval.tick() => self.is_due(),
            };
            if wanted {
                self.write_and_note().await;
            }
        }
    }

    async fn write_and_note(self: &Arc<Self>) {
        let this = Arc::clone(self);
        let written = tokio::task::spawn_blocking(move || this.write()).await;
        match written {
            Ok(Ok(summary)) => {
                tracing::info!(epoch = summary.epoch, "backup written");
                let event = Event::new(Class::ApplicationOther, "store.backup")
                    .detail("epoch", summary.epoch)
                    .detail("sha256", hex::encode(summary.sha256));
                let mut batch = self.store.scope(&TenantScope::system()).batch();
                batch.audit(event);
                if let Err(error) = batch.commit().await {
                    tracing::warn!(error = %error, "the backup could not be noted in the log");
                }
                if let Err(error) = self.remove_old() {
                    tracing::warn!(kind = ?error.kind(), "old backups could not be removed");
                }
            }
            Ok(Err(error)) => tracing::error!(cause = chain(&error), "no backup was written"),
            Err(_) => tracing::error!("a backup was interrupted"),
        }
    }
}

/// When a backup was taken, Unix seconds, by its name; nothing for other files.
fn taken_at(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let (seconds, epoch) = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.split_once('-')?;
    epoch.parse::<u64>().ok()?;
    seconds.parse().ok()
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}
