//! Putting an export together. The appliance gives the parts; the layout and its digests are made here.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::archive::{self, Files};
use super::{
    CHECKPOINT, CONSISTENCY, DOCUMENT, INSTRUCTIONS, INSTRUCTIONS_TEXT, LOG, LOG_KEYS, LogKey, MANIFEST, Manifest,
    PREVIOUS, SCHEMA, VERSION, VKEY, log_keys_json,
};
use crate::encoding::{Digest, jcs, sha256};
use crate::note::{self, Checkpoint, Vkey};
use crate::tlog::{self, MemoryTree, TILE_WIDTH, TileRef};

/// The parts of an export.
#[derive(Debug, Clone)]
pub struct Contents<'a> {
    /// Keys of the log, newest first.
    pub vkeys: &'a [Vkey],
    /// The signed checkpoint over exactly `leaves`.
    pub checkpoint: &'a str,
    /// The signed checkpoint of the export before.
    pub previous: Option<&'a str>,
    /// Every record from the first on.
    pub leaves: &'a [Vec<u8>],
    /// What names the log's key; without it an auditor needs a document from elsewhere.
    pub attestation: Option<Attestation<'a>>,
    /// Files under `schema/`: name and content.
    pub schema_files: &'a [(&'a str, &'a [u8])],
    /// The schema that the records follow, for example `ocsf-1.9.0`.
    pub schema: &'a str,
    /// Version of the program.
    pub app_version: &'a str,
    /// What was measured of it, hex; none with the development TEE.
    pub measurement: Option<&'a str>,
    /// The time, Unix milliseconds.
    pub exported_ms: u64,
}

/// What names the log's key.
#[derive(Debug, Clone, Copy)]
pub struct Attestation<'a> {
    /// An attestation document, without a nonce, that is valid at the time of the export.
    pub document: &'a [u8],
    /// The list whose digest its statement has as `log_keys_root`.
    pub log_keys: &'a [LogKey],
}

/// Why parts do not make an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A checkpoint does not verify under the given keys.
    #[error("checkpoint of the export: {0}")]
    Note(note::Error),
    /// The records do not have the checkpoint's number or root.
    #[error("checkpoint is not that of the records")]
    Root,
    /// The tree refuses.
    #[error("{0}")]
    Tree(tlog::Error),
    /// The archive refuses.
    #[error("{0}")]
    Archive(archive::Error),
}

/// Makes the tar of an export.
///
/// # Errors
///
/// If a checkpoint is not signed by `vkeys`, or is not that of the records.
pub fn build(contents: &Contents<'_>) -> Result<Vec<u8>, Error> {
    let checkpoint = Checkpoint::open(contents.checkpoint.as_bytes(), contents.vkeys).map_err(Error::Note)?;
    let leaf_hashes: Vec<_> = contents.leaves.iter().map(|leaf| tlog::leaf_hash(leaf)).collect();
    let tree = MemoryTree::from_leaves(&leaf_hashes);
    if (checkpoint.size, checkpoint.root) != (tree.size(), tree.root()) {
        return Err(Error::Root);
    }

    let mut files = Files::new();
    let vkeys: String = contents.vkeys.iter().map(|key| format!("{key}\n")).collect();
    files.insert(VKEY.to_owned(), vkeys.into_bytes());
    files.insert(CHECKPOINT.to_owned(), contents.checkpoint.as_bytes().to_vec());
    let prev_size = match contents.previous {
        Some(previous) => add_previous(&mut files, contents, &tree, previous)?,
        None => 0,
    };
    for (tile, bytes) in tlog::hash_tiles(&tree, tree.size()).map_err(Error::Tree)? {
        files.insert(format!("{LOG}{}", tile.path()), bytes);
    }
    add_bundles(&mut files, contents.leaves, tree.size())?;
    if let Some(attestation) = &contents.attestation {
        files.insert(DOCUMENT.to_owned(), attestation.document.to_vec());
        files.insert(LOG_KEYS.to_owned(), log_keys_json(attestation.log_keys));
    }
    for (name, bytes) in contents.schema_files {
        files.insert(format!("{SCHEMA}{name}"), bytes.to_vec());
    }
    files.insert(INSTRUCTIONS.to_owned(), INSTRUCTIONS_TEXT.as_bytes().to_vec());

    let manifest = jcs(&Manifest {
        v: VERSION,
        origin: checkpoint.origin,
        size: checkpoint.size,
        root_b64: STANDARD.encode(checkpoint.root),
        prev_size,
        exported_ms: contents.exported_ms,
        files: files.iter().map(|(path, bytes)| (path.clone(), sha256(bytes))).collect::<BTreeMap<String, Digest>>(),
        schema: contents.schema.to_owned(),
        app_version: contents.app_version.to_owned(),
        measurement: contents.measurement.map(ToOwned::to_owned),
    });
    let rest = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()));
    let all = std::iter::once((MANIFEST, manifest.as_slice())).chain(rest);
    archive::write(all, contents.exported_ms / 1000).map_err(Error::Archive)
}

fn add_previous(files: &mut Files, contents: &Contents<'_>, tree: &MemoryTree, previous: &str) -> Result<u64, Error> {
    let size = Checkpoint::open(previous.as_bytes(), contents.vkeys).map_err(Error::Note)?.size;
    let proof = tlog::prove_consistency(tree, size, tree.size()).map_err(Error::Tree)?;
    let lines: String = proof.iter().map(|hash| STANDARD.encode(hash) + "\n").collect();
    files.insert(PREVIOUS.to_owned(), previous.as_bytes().to_vec());
    files.insert(CONSISTENCY.to_owned(), lines.into_bytes());
    Ok(size)
}

fn add_bundles(files: &mut Files, leaves: &[Vec<u8>], size: u64) -> Result<(), Error> {
    let width = usize::try_from(TILE_WIDTH).expect("256 is a usize");
    for (tile, entries) in TileRef::of_level(0, size).zip(leaves.chunks(width)) {
        let mut bundle = Vec::new();
        for entry in entries {
            tlog::encode_entry(&mut bundle, entry).map_err(Error::Tree)?;
        }
        files.insert(format!("{LOG}{}", tlog::entries_path(tile.index, tile.width)), bundle);
    }
    Ok(())
}
