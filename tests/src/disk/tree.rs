//! What a disk holds, and what can be done to it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

/// The number of the outermost folder.
pub(super) const ROOT: u64 = 1;
/// The unit in which a disk writes.
pub(super) const PAGE: usize = 4096;

/// One thing that was done to a disk. Files and folders are numbered; numbers are never used again.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Op {
    Write {
        file: u64,
        offset: usize,
        bytes: Arc<[u8]>,
    },
    /// Zeros written one after the other: sled clears whole segments.
    WriteZeros {
        file: u64,
        offset: usize,
        len: usize,
    },
    Truncate {
        file: u64,
        len: usize,
    },
    CreateFile {
        folder: u64,
        name: OsString,
        made: u64,
    },
    CreateFolder {
        folder: u64,
        name: OsString,
        made: u64,
    },
    Rename {
        folder: u64,
        name: OsString,
        to_folder: u64,
        to_name: OsString,
    },
    Remove {
        folder: u64,
        name: OsString,
    },
    SyncFile {
        file: u64,
    },
    SyncFolder {
        folder: u64,
    },
}

impl Op {
    /// The file or folder that it syncs.
    pub(super) const fn synced(&self) -> Option<u64> {
        match self {
            Self::SyncFile { file: synced } | Self::SyncFolder { folder: synced } => Some(*synced),
            Self::Write { .. }
            | Self::WriteZeros { .. }
            | Self::Truncate { .. }
            | Self::CreateFile { .. }
            | Self::CreateFolder { .. }
            | Self::Rename { .. }
            | Self::Remove { .. } => None,
        }
    }
}

/// What a name in a folder stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    File(u64),
    Folder(u64),
}

/// Files and folders.
#[derive(Debug, Clone)]
pub struct Tree {
    files: BTreeMap<u64, Vec<u8>>,
    folders: BTreeMap<u64, BTreeMap<OsString, Node>>,
    next: u64,
}

impl Default for Tree {
    /// An empty disk.
    fn default() -> Self {
        Self { files: BTreeMap::new(), folders: BTreeMap::from([(ROOT, BTreeMap::new())]), next: ROOT + 1 }
    }
}

impl Tree {
    pub(super) fn unused_number(&self) -> u64 {
        self.next
    }

    pub(super) fn file(&self, number: u64) -> Option<&Vec<u8>> {
        self.files.get(&number)
    }

    pub(super) fn folder(&self, number: u64) -> Option<&BTreeMap<OsString, Node>> {
        self.folders.get(&number)
    }

    pub(super) fn find(&self, folder: u64, name: &OsStr) -> Option<Node> {
        self.folders.get(&folder)?.get(name).copied()
    }

    /// Does it again.
    pub(super) fn apply(&mut self, op: &Op) {
        match op {
            Op::Write { file, offset, bytes } => self.write(*file, *offset, bytes),
            Op::WriteZeros { file, offset, len } => self.write_zeros(*file, *offset, *len),
            Op::Truncate { file, len } => self.files.entry(*file).or_default().resize(*len, 0),
            Op::CreateFile { folder, name, made } => {
                self.files.entry(*made).or_default();
                self.name(*folder, name, Node::File(*made));
                self.next = self.next.max(made + 1);
            }
            Op::CreateFolder { folder, name, made } => {
                self.folders.entry(*made).or_default();
                self.name(*folder, name, Node::Folder(*made));
                self.next = self.next.max(made + 1);
            }
            Op::Rename { folder, name, to_folder, to_name } => {
                if let Some(node) = self.unname(*folder, name) {
                    self.name(*to_folder, to_name, node);
                }
            }
            Op::Remove { folder, name } => drop(self.unname(*folder, name)),
            Op::SyncFile { .. } | Op::SyncFolder { .. } => {}
        }
    }

    fn name(&mut self, folder: u64, name: &OsStr, node: Node) {
        self.folders.entry(folder).or_default().insert(name.to_owned(), node);
    }

    fn unname(&mut self, folder: u64, name: &OsStr) -> Option<Node> {
        self.folders.get_mut(&folder)?.remove(name)
    }

    pub(super) fn write(&mut self, file: u64, offset: usize, bytes: &[u8]) {
        self.reach(file, offset, bytes.len()).copy_from_slice(bytes);
    }

    pub(super) fn write_zeros(&mut self, file: u64, offset: usize, len: usize) {
        self.reach(file, offset, len).fill(0);
    }

    /// A part of a file, which grows to hold it. What lies between its old end and the part reads as zeros.
    fn reach(&mut self, file: u64, offset: usize, len: usize) -> &mut [u8] {
        let content = self.files.entry(file).or_default();
        let end = offset + len;
        if content.len() < end {
            content.resize(end, 0);
        }
        content.get_mut(offset..end).expect("it was just made long enough")
    }

    /// Lays everything down in a real folder.
    ///
    /// # Errors
    /// Of the real disk.
    pub fn lay_down(&self, to: &Path) -> io::Result<()> {
        self.lay_down_folder(ROOT, to)
    }

    fn lay_down_folder(&self, folder: u64, to: &Path) -> io::Result<()> {
        for (name, node) in self.folders.get(&folder).into_iter().flatten() {
            let path = to.join(name);
            match node {
                Node::Folder(number) => {
                    fs::create_dir(&path)?;
                    self.lay_down_folder(*number, &path)?;
                }
                Node::File(number) => {
                    lay_down_file(self.files.get(number).map_or(&[], Vec::as_slice), &File::create(&path)?)?;
                }
            }
        }
        Ok(())
    }
}

/// Leaves out what is zero anyway.
fn lay_down_file(content: &[u8], file: &File) -> io::Result<()> {
    file.set_len(u64::try_from(content.len()).expect("64 bits hold a length"))?;
    for (index, page) in (0_u64..).zip(content.chunks(PAGE)) {
        if page.iter().any(|byte| *byte != 0) {
            file.write_all_at(page, index * 4096)?;
        }
    }
    Ok(())
}
