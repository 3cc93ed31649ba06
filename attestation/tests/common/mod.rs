//! Exports taken apart, changed and put together again.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use std::collections::BTreeMap;
use std::io::Read as _;

use cloister_attestation::encoding::{jcs, sha256};
use cloister_attestation::export::{self, Manifest};

pub(crate) type Files = BTreeMap<String, Vec<u8>>;

pub(crate) fn unpack(tar: &[u8]) -> Files {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (entry.path().unwrap().to_str().unwrap().to_owned(), bytes)
    });
    entries.collect()
}

pub(crate) fn pack(files: &Files) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, bytes.as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Changes files and writes the manifest that fits: what a forger would do.
pub(crate) fn forge(tar: &[u8], change: impl FnOnce(&mut Files)) -> Vec<u8> {
    let mut files = unpack(tar);
    change(&mut files);
    let mut manifest: Manifest = serde_json::from_slice(&files.remove(export::MANIFEST).unwrap()).unwrap();
    manifest.files = files.iter().map(|(path, bytes)| (path.clone(), sha256(bytes))).collect();
    files.insert(export::MANIFEST.to_owned(), jcs(&manifest));
    pack(&files)
}
