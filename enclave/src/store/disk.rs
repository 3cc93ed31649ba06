//! The database on the disk, and making writes durable.
//!
//! sled's `flush` hands the log to the kernel and waits for the writes, but never calls fsync (measured; see also sled
//! issues 1351 and 1452). A power cut would lose acknowledged writes. So the store keeps a handle of its own on sled's
//! file and calls `sync_data` on it after each flush, and syncs the directories when the database is created.

use std::fs::{self, File};
use std::io;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};

use super::error::Error;

/// Memory for sled's page cache; what it really uses is several times this.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

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
        let path = dir.join("records");
        create_private(dir).and_then(|()| create_private(&path)).map_err(io)?;
        let database = open_sled(path.clone())?;
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
fn open_sled(path: PathBuf) -> Result<sled::Db, Error> {
    let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
    let opened = std::panic::catch_unwind(AssertUnwindSafe(|| config.open()));
    match opened {
        Ok(opened) => opened.map_err(|error| Error::database("opening the database", error)),
        Err(_) => Err(Error::Integrity { what: "the database file" }),
    }
}
