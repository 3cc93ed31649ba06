//! The folder that the operator fills: files `*.json`, each the collateral of some machine as a document holds it.
//!
//! One folder may serve many machines: of its files, those count that verify for this one's evidence.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use cloister_attestation::document::{Collateral, MAX_BYTES, Tee};

/// Files that are looked at, in the order of their names.
const MOST: usize = 1024;

/// The collateral of each file that holds some for evidence of this kind.
pub(super) fn read(folder: &Path, tee: Tee) -> io::Result<Vec<Collateral>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    paths.truncate(MOST);
    Ok(paths.iter().filter_map(|path| Collateral::parse(tee, &bounded(path).ok()?).ok()).collect())
}

fn bounded(path: &PathBuf) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more than is allowed, so that a longer file is refused and not cut.
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}
