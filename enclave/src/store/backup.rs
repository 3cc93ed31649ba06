//! Backups: the whole sealed store as one file, taken while the store is in use.
//!
//! Records leave as they stand on the disk, sealed, under names that are PRF outputs: whoever carries a backup learns
//! what the owner of the disk knows, and needs one of the key slots, which travel along, to open it. No key of its own
//! protects a backup. That it is whole is shown by the store itself: the sealed header among the records has the sum over
//! all of them, and a start checks it.
//!
//! ```text
//! backup  = "cloister-backup/v1" 0A ‖ length u32be ‖ key-slots.json ‖ frame… ‖ end
//! frame   = 01 ‖ length u8 ‖ name ‖ length u32be ‖ record     a later frame of a name takes the place of an earlier one
//!         | 02 ‖ length u8 ‖ name                             there is no such record any more
//! end     = 00 ‖ epoch u64be ‖ SHA-256 of everything before, the epoch included
//! ```
//! Writing lists all records while commits go on, and then has the lane say what was committed in the meantime: the file
//! holds the state of that moment.

use std::io::{self, Read, Seek, Write};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::collection::Name;
use super::disk::{Disk, RECORDS};
use super::record::MAX_STORED_BYTES;
use super::{Error, Store};

const MAGIC: &[u8] = b"cloister-backup/v1\n";
const RECORD: u8 = 1;
const DELETED: u8 = 2;
const END: u8 = 0;
/// The longest key slots that are read.
const MAX_SLOTS_BYTES: usize = 1024 * 1024;

/// What a whole backup says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// The epoch of the state that it holds.
    pub epoch: u64,
    /// Its digest.
    pub sha256: [u8; 32],
}

/// Why a file is no backup.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// It cannot be read.
    #[error("the backup cannot be read")]
    Read(#[source] io::Error),
    /// It begins with something else.
    #[error("this is no backup of version 1")]
    Magic,
    /// It ends in the middle.
    #[error("the backup is cut off")]
    Truncated,
    /// Something in it is no frame.
    #[error("the backup has a part that is none of a backup")]
    Frame,
    /// Bytes of it were changed.
    #[error("the backup is damaged: its digest is another one")]
    Digest,
}

impl From<io::Error> for Malformed {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::Truncated } else { Self::Read(error) }
    }
}

/// Why a backup is not restored; nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The file is no whole backup.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The records cannot be written.
    #[error("the backup cannot be written into the data folder")]
    Store(#[from] Error),
    /// A file or folder cannot be written.
    #[error("the data folder cannot be written")]
    Io(#[source] io::Error),
}

/// One part of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The table of key slots, first.
    Slots(Vec<u8>),
    /// A record, or that there is none any more.
    Record {
        /// Its name on disk.
        name: Vec<u8>,
        /// The sealed record.
        stored: Option<Vec<u8>>,
    },
}

/// Reads a backup to its end and hands over each part. Nothing of it is to be believed before the summary is there.
///
/// # Errors
/// [`Malformed`].
pub fn read(from: impl Read, mut part: impl FnMut(Part) -> io::Result<()>) -> Result<Summary, Malformed> {
    let mut from = Hashing { inner: from, digest: Sha256::new() };
    let magic: [u8; MAGIC.len()] = from.array()?;
    if magic != MAGIC {
        return Err(Malformed::Magic);
    }
    part(Part::Slots(from.bytes(MAX_SLOTS_BYTES)?))?;
    loop {
        let [kind] = from.array()?;
        match kind {
            RECORD | DELETED => {
                let [length] = from.array()?;
                let name = from.exactly(usize::from(length))?;
                Name::parse(&name).ok_or(Malformed::Frame)?;
                let stored = (kind == RECORD).then(|| from.bytes(MAX_STORED_BYTES)).transpose()?;
                part(Part::Record { name, stored })?;
            }
            END => {
                let epoch = u64::from_be_bytes(from.array()?);
                let sha256: [u8; 32] = from.digest.clone().finalize().into();
                let said: [u8; 32] = from.array()?;
                let rest = from.inner.read(&mut [0])?;
                return match (said == sha256, rest) {
                    (true, 0) => Ok(Summary { epoch, sha256 }),
                    (true, _) => Err(Malformed::Frame),
                    (false, _) => Err(Malformed::Digest),
                };
            }
            _ => return Err(Malformed::Frame),
        }
    }
}

/// Hashes what passes.
struct Hashing<T> {
    inner: T,
    digest: Sha256,
}

impl<R: Read> Hashing<R> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes)?;
        self.digest.update(bytes);
        Ok(bytes)
    }

    fn exactly(&mut self, length: usize) -> Result<Vec<u8>, Malformed> {
        let mut bytes = vec![0; length];
        self.inner.read_exact(&mut bytes)?;
        self.digest.update(&bytes);
        Ok(bytes)
    }

    /// Bytes after their length.
    fn bytes(&mut self, limit: usize) -> Result<Vec<u8>, Malformed> {
        let length = usize::try_from(u32::from_be_bytes(self.array()?)).map_err(|_| Malformed::Frame)?;
        if length > limit { Err(Malformed::Frame) } else { self.exactly(length) }
    }
}

impl<W: Write> Hashing<W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digest.update(bytes);
        self.inner.write_all(bytes)
    }

    fn put_sized(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.put(&length.to_be_bytes())?;
        self.put(bytes)
    }

    fn frame(&mut self, name: &[u8], stored: Option<&[u8]>) -> io::Result<()> {
        let length = u8::try_from(name.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.put(&[if stored.is_some() { RECORD } else { DELETED }, length])?;
        self.put(name)?;
        stored.map_or(Ok(()), |stored| self.put_sized(stored))
    }
}

impl Store {
    /// Writes a backup of the state as it is when the last record is written, with these key slots. Blocking; commits go on
    /// in the meantime.
    ///
    /// # Errors
    /// [`Error::Conflict`] while another backup is written; [`Error::Io`] when `to` fails, which does not stop the store, or
    /// the disk; [`Error::Closed`], [`Error::Stopped`].
    pub fn back_up(&self, slots: &[u8], to: impl Write) -> Result<Summary, Error> {
        let mut to = Hashing { inner: to, digest: Sha256::new() };
        to.put(MAGIC).and_then(|()| to.put_sized(slots)).map_err(failed)?;
        self.inner.watch_changes()?;
        let copied = self.copy_all(&mut to);
        // In any case, lest the lane go on noting what nobody asks for.
        let changes = self.inner.take_changes();
        copied?;
        let (epoch, changes) = changes?;
        for (name, stored) in changes {
            to.frame(name.as_bytes(), stored.as_deref()).map_err(failed)?;
        }
        to.put(&[END]).and_then(|()| to.put(&epoch.to_be_bytes())).map_err(failed)?;
        let sha256: [u8; 32] = to.digest.clone().finalize().into();
        to.inner.write_all(&sha256).and_then(|()| to.inner.flush()).map_err(failed)?;
        Ok(Summary { epoch, sha256 })
    }

    fn copy_all(&self, to: &mut Hashing<impl Write>) -> Result<(), Error> {
        for entry in self.shared().disk.database.iter() {
            let (name, stored) = entry.map_err(|error| Error::database("writing a backup", error))?;
            to.frame(&name, Some(&stored)).map_err(failed)?;
        }
        Ok(())
    }
}

const fn failed(source: io::Error) -> Error {
    Error::Io { doing: "writing a backup", source }
}

/// Records that are written in one step while a backup is restored.
const RESTORE_BATCH: usize = 1024;

/// Writes the store that a backup holds into `dir`, in the place of records that may be there without key slots.
///
/// Such records are what a restore that was cut off has left: the key slots, without which there is no store, come last,
/// handed to `install`. Whether these are all the records, opening the store tells.
///
/// # Errors
/// [`RestoreError`]; the backup is read to its end before anything is written.
pub fn restore(
    dir: &Path,
    mut from: impl Read + Seek,
    install: impl FnOnce(&[u8]) -> io::Result<()>,
) -> Result<Summary, RestoreError> {
    let summary = read(&mut from, |_| Ok(()))?;
    take_away(dir)?;
    from.rewind().map_err(Malformed::from)?;
    let written = write_records(dir, from, &summary).and_then(|slots| install(&slots).map_err(RestoreError::Io));
    if let Err(error) = written {
        take_away(dir)?;
        return Err(error);
    }
    Ok(summary)
}

/// Takes the records of a store that cannot be opened away.
///
/// # Errors
/// [`RestoreError::Io`].
pub(crate) fn take_away(dir: &Path) -> Result<(), RestoreError> {
    match std::fs::remove_dir_all(dir.join(RECORDS)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(RestoreError::Io(error)),
        _ => Ok(()),
    }
}

/// Answers the key slots.
fn write_records(dir: &Path, from: impl Read, summary: &Summary) -> Result<Vec<u8>, RestoreError> {
    let disk = Disk::open(dir)?;
    let (mut slots, mut batch, mut waiting) = (Vec::new(), sled::Batch::default(), 0);
    let again = read(from, |part| {
        match part {
            Part::Slots(bytes) => slots = bytes,
            Part::Record { name, stored: Some(stored) } => batch.insert(name, stored),
            Part::Record { name, stored: None } => batch.remove(name),
        }
        waiting += 1;
        if waiting >= RESTORE_BATCH {
            waiting = 0;
            disk.database.apply_batch(std::mem::take(&mut batch)).map_err(io::Error::other)?;
        }
        Ok(())
    })?;
    if again != *summary {
        return Err(Malformed::Digest.into());
    }
    let applied = disk.database.apply_batch(batch);
    applied.map_err(|error| Error::database("restoring a backup", error))?;
    disk.sync("restoring a backup")?;
    Ok(slots)
}
