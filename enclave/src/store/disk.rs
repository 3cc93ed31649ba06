//! The database on the disk, and making writes durable.
//!
//! sled's `flush` hands the log to the kernel and waits for the writes, but never calls fsync (measured; see also sled
//! issues 1351 and 1452). A power cut would lose acknowledged writes. So the store keeps a handle of its own on sled's
//! file and calls `sync_data` on it after each flush, and syncs the directories when the database is created.

use std::fs::{self, File};
use std::io;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::time::{Duration, Instant};

use super::error::Error;

/// Memory for sled's page cache; what it really uses is several times this.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// How long a lock on the database is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(2);
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// The folder of the database in the data folder.
pub(crate) const RECORDS: &str = "records";

/// An open database.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) database: sled::Db,
    /// The same file that sled writes. It is opened before the first write, so that it hears of every failed one.
    file: File,
}

impl Disk {
    /// Opens or creates the database under `dir`.
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        let doing = "opening the database";
        let io = |source| Error::Io { doing, source };
        let path = dir.join(RECORDS);
        create_private(dir).and_then(|()| create_private(&path)).map_err(io)?;
        let database = open_sled(&path)?;
        let file = File::open(path.join("db")).map_err(io)?;
        let disk = Self { database, file };
        disk.sync(doing)?;
        for dir in [path.as_path(), dir] {
            File::open(dir).and_then(|dir| dir.sync_all()).map_err(io)?;
        }
        Ok(disk)
    }

    /// Brings everything written so far to the disk.
    pub(crate) fn sync(&self, doing: &'static str) -> Result<(), Error> {
        self.database.flush().map_err(|error| Error::database(doing, error))?;
        self.file.sync_data().map_err(|source| Error::Io { doing, source })
    }
}

fn create_private(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// sled checks the pages it recovers with a CRC and panics on some that pass it; a damaged disk is an error here.
///
/// It also lets go of its lock on the file some time after it was closed, on threads of its own, so a lock that is held
/// is waited for a little.
fn open_sled(path: &Path) -> Result<sled::Db, Error> {
    let deadline = Instant::now() + LOCK_WAIT;
    loop {
        let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
        let opened = std::panic::catch_unwind(AssertUnwindSafe(|| config.open()));
        let Ok(opened) = opened else { return Err(Error::Integrity { what: "the database file" }) };
        match opened {
            Err(error) if is_locked(&error) && Instant::now() < deadline => std::thread::sleep(LOCK_PAUSE),
            opened => return opened.map_err(|error| Error::database("opening the database", error)),
        }
    }
}

fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().starts_with("could not acquire lock"))
}
