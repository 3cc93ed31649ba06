//! Where the published case sets are: `CLOISTER_VECTORS`, or `../shared/vectors` beside the repository.

use std::fs;
use std::path::{Path, PathBuf};

/// A folder of the sets.
pub(crate) fn folder(name: &str) -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    let folder = std::env::var_os("CLOISTER_VECTORS").map_or_else(beside, PathBuf::from).join(name);
    assert!(folder.is_dir(), "no {}: name the folder of the case sets by CLOISTER_VECTORS", folder.display());
    folder
}

/// A file of a case.
pub(crate) fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
