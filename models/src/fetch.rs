//! Downloads a chat model from its hub.
//!
//! The transfer is the system's `curl`: it resumes, shows its progress, honours proxies, and has been attacked for
//! longer than anything we could write here. What arrives is trusted only after its digest was found right; until
//! then it lies beside its place as `<file>.partial`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::catalogue::Entry;
use crate::digest::{digest_file, file_error};
use crate::{Error, ModelDigest};

/// Puts the model's file into `folder`, or does nothing if it is there already. An interrupted download goes on where
/// it stopped. `progress` is told the number of bytes that were checked.
///
/// # Errors
/// [`Error::Unreachable`] if the hub cannot be reached (what arrived is kept), [`Error::WrongDigest`] if it sent
/// something else (which is removed), [`Error::Invalid`] if the model has no address, [`Error::File`].
pub fn fetch(entry: &Entry, folder: &Path, mut progress: impl FnMut(u64)) -> Result<PathBuf, Error> {
    let url = entry.url.as_ref().ok_or(Error::Invalid("this model is not downloaded but converted"))?;
    let path = folder.join(&entry.file);
    if path.exists() {
        check(&path, &entry.sha256, &mut progress)?;
        return Ok(path);
    }
    std::fs::create_dir_all(folder).map_err(|source| file_error(folder, source))?;
    let partial = folder.join(format!("{}.partial", entry.file));
    let have = std::fs::metadata(&partial).map_or(0, |metadata| metadata.len());
    if have < entry.size_bytes {
        download(&entry.id, url, &partial, entry.size_bytes)?;
    }
    if let Err(error) = check(&partial, &entry.sha256, &mut progress) {
        if matches!(error, Error::WrongDigest { .. }) {
            std::fs::remove_file(&partial).map_err(|source| file_error(&partial, source))?;
        }
        return Err(error);
    }
    let place = || -> std::io::Result<()> {
        std::fs::File::open(&partial)?.sync_all()?;
        std::fs::rename(&partial, &path)?;
        std::fs::File::open(folder)?.sync_all()
    };
    place().map_err(|source| file_error(&path, source))?;
    Ok(path)
}

fn check(path: &Path, expected: &ModelDigest, progress: &mut impl FnMut(u64)) -> Result<(), Error> {
    let found = digest_file(path, progress)?;
    if found == *expected {
        return Ok(());
    }
    Err(Error::WrongDigest { path: path.to_owned(), expected: *expected, found })
}

/// HTTPS only, redirects included; gives up when nothing answers for 10 s or less than 1 KiB/s arrives for 30 s.
fn download(id: &str, url: &str, to: &Path, size_bytes: u64) -> Result<(), Error> {
    let status = Command::new("curl")
        .args(["--fail", "--location", "--proto", "=https", "--continue-at", "-"])
        .args(["--connect-timeout", "10", "--speed-limit", "1024", "--speed-time", "30"])
        .args(["--retry", "2", "--progress-bar", "--max-filesize", &size_bytes.to_string()])
        .arg("--output")
        .arg(to)
        .arg("--")
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status();
    let curl = match status {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) => status.code(),
        Err(_) => None,
    };
    Err(Error::Unreachable { id: id.to_owned(), curl })
}
