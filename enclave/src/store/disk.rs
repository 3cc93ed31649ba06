//! The database on the disk, and making writes durable.
//!
//! sled leaves four things undone that a power cut finds out about, and they are done here (its source was read for
//! each; see also its issues 1351 and 1452):
//!
//! * `flush` hands the log to the kernel and waits for the writes, but never calls fsync. The store keeps a handle of its
//!   own on sled's file and calls `sync_data` on it after each flush.
//! * An item of more than a quarter of a segment goes to a file of its own under `blobs/`, which is never synced. With
//!   segments of 8 MiB nothing is that large. The size of segments is for the life of a store: sled refuses to open one
//!   that was made with another.
//! * A new database's files and names are not synced. A store is made aside, synced, and renamed to its place.
//! * What was cut off while it was made (`snap.….generating`) is taken for whole. It is removed first.
//!
//! And a read error while sled looks for the end of its log counts as the end of the log. So everything is read once
//! before sled is let at it: an error of the disk is then an error here.

mod database;
mod files;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::time::{Duration, Instant};

use super::error::Error;
use super::record::MAX_STORED_BYTES;
use database::Database;

/// Memory for sled's page cache; what it really uses is several times this.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// The unit in which sled lays out and reuses its file.
const SEGMENT_BYTES: usize = 8 * 1024 * 1024;
/// The most records in a page of sled's tree: it is split above 16, and grows by less than 4 when its neighbour is merged.
const PAGE_RECORDS: usize = 20;
const NAME_BYTES: usize = 64;
const _: () =
    assert!(PAGE_RECORDS * (MAX_STORED_BYTES + NAME_BYTES) < SEGMENT_BYTES / 4, "a page is written to the log");

/// How long a lock is waited for: a predecessor may just be ending.
const LOCK_WAIT: Duration = Duration::from_secs(2);
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// The folder of the database in the data folder.
pub(crate) const RECORDS: &str = "records";

const OPENING: &str = "opening the database";

/// An open database.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) database: Database,
    /// The same file that sled writes. It is opened before the first write, so that it hears of every failed one.
    file: File,
    /// Keeps other processes out; let go of after the database, as fields are dropped in order.
    _lock: File,
}

impl Disk {
    /// Opens or creates the database under `dir`.
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        let io = |source| Error::Io { doing: OPENING, source };
        files::create_folder(dir).map_err(io)?;
        let lock = lock_file(&dir.join("lock"))?;
        let path = dir.join(RECORDS);
        if !path.try_exists().map_err(io)? {
            create(dir, &path)?;
        }
        files::remove_unfinished(&path).and_then(|()| files::read_through(&path)).map_err(io)?;
        let database = open_sled(&path)?;
        let file = File::open(path.join("db")).map_err(io)?;
        let disk = Self { database: Database::new(database), file, _lock: lock };
        disk.sync(OPENING)?;
        // sled has renamed a new snapshot into place and removed the old one.
        files::sync(&path).map_err(io)?;
        Ok(disk)
    }

    /// Brings everything written so far to the disk.
    pub(crate) fn sync(&self, doing: &'static str) -> Result<(), Error> {
        self.database.flush().map_err(|error| Error::database(doing, error))?;
        let synced = self.file.sync_data();
        synced.inspect_err(|_| self.database.give_up()).map_err(|source| Error::Io { doing, source })
    }
}

/// Makes an empty database aside and renames it to `path`, so that there is a whole one or none. What a power cut left of
/// an earlier attempt was never used.
fn create(dir: &Path, path: &Path) -> Result<(), Error> {
    let io = |source| Error::Io { doing: "creating the database", source };
    let aside = dir.join("records.new");
    if aside.try_exists().map_err(io)? {
        fs::remove_dir_all(&aside).map_err(io)?;
    }
    files::create_folder(&aside).map_err(io)?;
    drop(Database::new(open_sled(&aside)?));
    // sled's threads write until they let go of the file.
    drop(lock_file(&aside.join("db"))?);
    files::sync_below(&aside).map_err(io)?;
    fs::rename(&aside, path).and_then(|()| files::sync(dir)).map_err(io)
}

/// Takes the lock on a file, made if need be, for as long as the handle lives.
fn lock_file(path: &Path) -> Result<File, Error> {
    let io = |source| Error::Io { doing: "locking the store", source };
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path).map_err(io)?;
    let deadline = Instant::now() + LOCK_WAIT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => return Err(Error::InUse),
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
    }
}

/// sled checks the pages it recovers with a CRC and panics on some that pass it; a damaged disk is an error here.
///
/// It also lets go of its own lock on the file some time after it was closed, on threads of its own, so that one is
/// waited for too.
fn open_sled(path: &Path) -> Result<sled::Db, Error> {
    let deadline = Instant::now() + LOCK_WAIT;
    loop {
        let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
        let config = config.segment_size(SEGMENT_BYTES);
        let opened = std::panic::catch_unwind(AssertUnwindSafe(|| config.open()));
        let Ok(opened) = opened else { return Err(Error::Integrity { what: "the database file" }) };
        match opened {
            Err(error) if is_locked(&error) && Instant::now() < deadline => std::thread::sleep(LOCK_PAUSE),
            Err(error) if is_locked(&error) => return Err(Error::InUse),
            opened => return opened.map_err(|error| Error::database(OPENING, error)),
        }
    }
}

fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().starts_with("could not acquire lock"))
}
