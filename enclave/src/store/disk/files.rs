//! The files and folders of the database.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

const READ_BYTES: usize = 1024 * 1024;

/// Makes a folder that only its owner enters, unless there is one, and makes its name durable. Folders above it that are
/// missing are made too.
pub(super) fn create_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // An earlier start may have made it and been cut off before this.
    folder.parent().map_or(Ok(()), |parent| sync(if parent.as_os_str().is_empty() { Path::new(".") } else { parent }))
}

/// Brings a file, or the names in a folder, to the disk.
pub(super) fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Brings a folder and everything in it to the disk.
pub(super) fn sync_below(folder: &Path) -> io::Result<()> {
    below(folder)?.iter().try_for_each(|path| sync(path))
}

/// Removes the snapshots that were cut off while sled made them; sled would take the newest one for whole.
pub(super) fn remove_unfinished(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().ends_with(b".generating") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Reads all files of a folder to their ends.
pub(super) fn read_through(folder: &Path) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    for path in below(folder)? {
        let mut file = File::open(&path)?;
        if file.metadata()?.is_file() {
            while file.read(&mut buffer)? > 0 {}
        }
    }
    Ok(())
}

/// Everything in a folder, and the folder itself; what is in a folder comes before it.
fn below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(below(&entry.path())?);
        } else {
            found.push(entry.path());
        }
    }
    found.push(folder.to_owned());
    Ok(found)
}
