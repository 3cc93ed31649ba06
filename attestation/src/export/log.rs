//! Steps 5 to 7: the checkpoint, the records under it, and what was seen of the log before.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::archive::Files;
use super::error::Error;
use super::{CONSISTENCY, LOG, Manifest, PREVIOUS};
use crate::check::Checklist;
use crate::note::{Checkpoint, Vkey};
use crate::tlog::{self, Hash, MemoryTree, TileRef};

/// Step 5: the log signs the checkpoint, and the manifest says the same.
pub(super) fn check_checkpoint(note: &[u8], manifest: &Manifest, keys: &[Vkey]) -> Result<Checkpoint, Error> {
    let checkpoint = Checkpoint::open(note, keys).map_err(Error::Checkpoint)?;
    if checkpoint.size != manifest.size {
        return Err(Error::ManifestDiffers("size"));
    }
    if STANDARD.encode(checkpoint.root) != manifest.root_b64 {
        return Err(Error::ManifestDiffers("root_b64"));
    }
    Ok(checkpoint)
}

/// Step 6: reads every record.
pub(super) fn read_entries(files: &Files, size: u64) -> Result<Vec<Vec<u8>>, Error> {
    let mut entries = Vec::new();
    for tile in TileRef::of_level(0, size) {
        let path = format!("{LOG}{}", tlog::entries_path(tile.index, tile.width));
        let before = entries.len();
        for entry in tlog::parse_bundle(files.get(&path).ok_or_else(|| Error::Bundle(path.clone()))?) {
            entries.push(entry.map_err(|_| Error::Bundle(path.clone()))?.to_vec());
        }
        if u64::try_from(entries.len() - before) != Ok(tile.width) {
            return Err(Error::Bundle(path));
        }
    }
    Ok(entries)
}

/// Step 6: the published hash tiles are those of the records.
pub(super) fn check_tiles(files: &Files, tree: &MemoryTree) -> Result<usize, Error> {
    let tiles = tlog::hash_tiles(tree, tree.size()).expect("a tree in memory has all its nodes");
    for (tile, bytes) in &tiles {
        let path = format!("{LOG}{}", tile.path());
        if files.get(&path) != Some(bytes) {
            return Err(Error::Tile(path));
        }
    }
    Ok(tiles.len())
}

/// Step 7: the log of the export before is a prefix of this one.
pub(super) fn check_previous_export(
    checks: &mut Checklist,
    files: &Files,
    manifest: &Manifest,
    keys: &[Vkey],
    tree: &MemoryTree,
) -> Result<(), Error> {
    let (Some(previous), Some(proof)) = (files.get(PREVIOUS), files.get(CONSISTENCY)) else {
        let none = manifest.prev_size == 0 && !files.contains_key(PREVIOUS) && !files.contains_key(CONSISTENCY);
        if !none {
            return checks.step("log.consistency", |()| String::new(), Err(Error::MissingFile(PREVIOUS)));
        }
        checks.not_done("log.consistency", "the first export of this log");
        return Ok(());
    };
    let consistent = || {
        let previous = Checkpoint::open(previous, keys).map_err(Error::Previous)?;
        if previous.size != manifest.prev_size {
            return Err(Error::ManifestDiffers("prev_size"));
        }
        let proof = read_proof(proof).ok_or(Error::Consistency(tlog::Error::ProofLength))?;
        let (old, new) = ((previous.size, &previous.root), (tree.size(), &tree.root()));
        tlog::verify_consistency(&proof, old, new).map_err(Error::Consistency)?;
        Ok(previous.size)
    };
    let passed = |size: &u64| format!("the {size} records of the export before are a prefix of this log");
    checks.step("log.consistency", passed, consistent()).map(|_| ())
}

fn read_proof(lines: &[u8]) -> Option<Vec<Hash>> {
    let lines = std::str::from_utf8(lines).ok()?;
    lines.lines().take(128).map(|line| STANDARD.decode(line).ok()?.try_into().ok()).collect()
}

/// Step 7: so is the log that the auditor has seen.
pub(super) fn check_saved(
    checks: &mut Checklist,
    saved: Option<&[u8]>,
    keys: &[Vkey],
    tree: &MemoryTree,
) -> Result<(), Error> {
    let Some(saved) = saved else {
        checks.not_done("log.previous", "no checkpoint of an earlier export was given");
        return Ok(());
    };
    let compare = || {
        let saved = Checkpoint::open(saved, keys).map_err(Error::Saved)?;
        if saved.size > tree.size() {
            return Err(Error::RolledBack { saved: saved.size, size: tree.size() });
        }
        let root = tlog::root_at(tree, saved.size).expect("a tree in memory has all its nodes");
        if root == saved.root { Ok(saved.size) } else { Err(Error::Forked) }
    };
    let passed = |size: &u64| format!("continues the {size} records of the checkpoint that you saved");
    checks.step("log.previous", passed, compare()).map(|_| ())
}
