//! What a disk may hold after a power cut.
//!
//! The model of [`Cut::Unsynced`] and [`Cut::Reordered`] promises less than ext4, or any other journalling filesystem, keeps:
//!
//! * What was written to a file is durable once the file was synced. Before that each page of 4 KiB is on the disk as it
//!   was after any of the writes to it, independently of all other pages; a page is never torn.
//! * The names in a folder (created, renamed, removed) become durable in the order in which they were changed, and are once
//!   the folder was synced. Syncing a file does not make its name durable, nor that of its folder.
//! * A cut in a file's length is durable once the file was synced.
//! * A file grows by what is written to it; what lies in between reads as zeros.

use std::collections::BTreeMap;

use super::History;
use super::chance::Chance;
use super::tree::{Op, PAGE, Tree};

/// How the machine or the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The process is killed: everything is there, the last write up to any byte of it.
    Killed,
    /// The power fails, and only what was synced is there.
    Unsynced,
    /// The power fails, and any of what was not synced is there too.
    Reordered,
}

impl Cut {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Killed, Self::Unsynced, Self::Reordered];

    /// What the disk holds after an end at `moment`, one of the possibilities.
    #[must_use]
    pub fn leaves(self, history: &History, moment: usize, chance: &mut Chance) -> Tree {
        let mut tree = history.base.clone();
        let ops = history.ops.get(..moment).unwrap_or(&history.ops);
        match self {
            Self::Killed => {
                ops.iter().for_each(|op| tree.apply(op));
                if let Some(next) = history.ops.get(moment) {
                    begin(&mut tree, next, chance);
                }
            }
            Self::Unsynced => Power::new(ops, None).cut(&mut tree, ops),
            Self::Reordered => Power::new(ops, Some(chance)).cut(&mut tree, ops),
        }
        tree
    }
}

/// Does the first part of a write.
fn begin(tree: &mut Tree, op: &Op, chance: &mut Chance) {
    match op {
        Op::Write { file, offset, bytes } => {
            let end = chance.between(0, bytes.len());
            tree.write(*file, *offset, bytes.get(..end).expect("an end within"));
        }
        Op::WriteZeros { file, offset, len } => tree.write_zeros(*file, *offset, chance.between(0, *len)),
        Op::Truncate { .. }
        | Op::CreateFile { .. }
        | Op::CreateFolder { .. }
        | Op::Rename { .. }
        | Op::Remove { .. }
        | Op::SyncFile { .. }
        | Op::SyncFolder { .. } => {}
    }
}

/// How far the disk got with each thing.
struct Power<'a> {
    /// The last sync of each file and each folder.
    synced: BTreeMap<u64, usize>,
    /// Changes before this are durable, if more than the synced ones are: of a folder's names or a file's length.
    reached: BTreeMap<u64, usize>,
    /// Writes of a page before this are durable.
    pages: BTreeMap<(u64, usize), usize>,
    moment: usize,
    chance: Option<&'a mut Chance>,
}

impl<'a> Power<'a> {
    fn new(ops: &[Op], chance: Option<&'a mut Chance>) -> Self {
        let syncs = ops.iter().enumerate().filter_map(|(index, op)| op.synced().map(|synced| (synced, index)));
        let (reached, pages) = (BTreeMap::new(), BTreeMap::new());
        Self { synced: syncs.collect(), reached, pages, moment: ops.len(), chance }
    }

    fn cut(mut self, tree: &mut Tree, ops: &[Op]) {
        for (index, op) in ops.iter().enumerate() {
            match op {
                Op::Write { file, .. } | Op::WriteZeros { file, .. } if self.is_synced(*file, index) => tree.apply(op),
                Op::Write { file, offset, bytes } => {
                    for (start, end) in self.kept(*file, *offset, bytes.len(), index) {
                        tree.write(*file, start, bytes.get(start - offset..end - offset).expect("a part of the write"));
                    }
                }
                Op::WriteZeros { file, offset, len } => {
                    for (start, end) in self.kept(*file, *offset, *len, index) {
                        tree.write_zeros(*file, start, end - start);
                    }
                }
                Op::Truncate { file: of, .. }
                | Op::CreateFile { folder: of, .. }
                | Op::CreateFolder { folder: of, .. }
                | Op::Rename { folder: of, .. }
                | Op::Remove { folder: of, .. } => {
                    if self.is_synced(*of, index) || self.reaches(*of, index) {
                        tree.apply(op);
                    }
                }
                Op::SyncFile { .. } | Op::SyncFolder { .. } => {}
            }
        }
    }

    fn is_synced(&self, number: u64, index: usize) -> bool {
        self.synced.get(&number).is_some_and(|synced| index < *synced)
    }

    /// Whether a change that was not synced is there all the same.
    fn reaches(&mut self, number: u64, index: usize) -> bool {
        let Some(chance) = self.chance.as_deref_mut() else { return false };
        index < *self.reached.entry(number).or_insert_with(|| chance.between(index, self.moment))
    }

    /// The parts of a write that was not synced, page by page, that reached the disk.
    fn kept(&mut self, file: u64, offset: usize, len: usize, index: usize) -> Vec<(usize, usize)> {
        let Some(chance) = self.chance.as_deref_mut() else { return Vec::new() };
        let (end, mut kept) = (offset + len, Vec::new());
        let mut start = offset;
        while start < end {
            let page = start / PAGE;
            let page_end = end.min((page + 1) * PAGE);
            let moment = self.moment;
            let until = *self.pages.entry((file, page)).or_insert_with(|| match chance.below(3) {
                0 => 0,
                1 => moment,
                _ => chance.between(index, moment),
            });
            if index < until {
                kept.push((start, page_end));
            }
            start = page_end;
        }
        kept
    }
}
