//! The tar around an export: plain files with plain names, and nothing else.

use std::collections::BTreeMap;
use std::io::Read as _;

use super::{MAX_BYTES, MAX_FILES};

/// The files of an export by path.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

const MAX_PATH_BYTES: usize = 100;

/// Why bytes are not a tar that is looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// More than [`MAX_BYTES`], or more than [`MAX_FILES`] files.
    #[error("archive is too large")]
    TooLarge,
    /// Not a tar, or one that breaks off.
    #[error("not a whole tar archive")]
    Tar,
    /// A link, a directory, a device.
    #[error("archive holds something other than plain files")]
    Kind,
    /// A name that is absolute, goes up, or has characters that no export uses.
    #[error("archive holds a file with a name that no export uses")]
    Path,
    /// The same name twice.
    #[error("archive holds two files of the same name")]
    Duplicate,
}

/// Reads all files.
pub(super) fn read(tar: &[u8]) -> Result<Files, Error> {
    if tar.len() > MAX_BYTES {
        return Err(Error::TooLarge);
    }
    let mut files = Files::new();
    let mut archive = tar::Archive::new(tar);
    // Raw: extension headers, which could rename or resize what follows, are entries of a kind that is refused.
    for entry in archive.entries().map_err(|_| Error::Tar)?.raw(true) {
        let mut entry = entry.map_err(|_| Error::Tar)?;
        if entry.header().entry_type() != tar::EntryType::Regular {
            return Err(Error::Kind);
        }
        let path = check_path(&entry.path_bytes())?;
        let size = usize::try_from(entry.size()).map_err(|_| Error::Tar)?;
        let mut bytes = Vec::with_capacity(size.min(tar.len()));
        entry.read_to_end(&mut bytes).map_err(|_| Error::Tar)?;
        if bytes.len() != size {
            return Err(Error::Tar);
        }
        if files.insert(path, bytes).is_some() {
            return Err(Error::Duplicate);
        }
        if files.len() > MAX_FILES {
            return Err(Error::TooLarge);
        }
    }
    if files.is_empty() { Err(Error::Tar) } else { Ok(files) }
}

/// Writes all files, in the given order, with the given time (Unix seconds).
pub(super) fn write<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>, mtime: u64) -> Result<Vec<u8>, Error> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        check_path(path.as_bytes())?;
        let mut header = tar::Header::new_ustar();
        header.set_size(u64::try_from(bytes.len()).map_err(|_| Error::TooLarge)?);
        header.set_mode(0o644);
        header.set_mtime(mtime);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_path(path).map_err(|_| Error::Path)?;
        header.set_cksum();
        builder.append(&header, bytes).map_err(|_| Error::Tar)?;
    }
    builder.into_inner().map_err(|_| Error::Tar)
}

fn check_path(path: &[u8]) -> Result<String, Error> {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_' | b'/');
    let path = std::str::from_utf8(path).map_err(|_| Error::Path)?;
    let parts_are_names = path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    if path.len() > MAX_PATH_BYTES || !path.bytes().all(allowed) || !parts_are_names {
        return Err(Error::Path);
    }
    Ok(path.to_owned())
}
