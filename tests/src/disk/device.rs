//! The disk with its memory of what was done, and its faults.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustix::io::Errno;

use super::History;
use super::tree::{Op, Tree};

/// What can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    Open,
    Create,
    Read,
    Write,
    Truncate,
    Sync,
    Rename,
    Remove,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Open, Self::Create, Self::Read, Self::Write, Self::Truncate, Self::Sync, Self::Rename, Self::Remove];
}

/// How long a fault lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasts {
    /// One operation fails. (A place that could not be read cannot be read later either.)
    Once,
    /// Every later operation of the kind fails too.
    ForEver,
}

/// Operation number `nth` of a kind fails, counted from 1.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Fault {
    pub kind: Kind,
    pub nth: u64,
    pub error: Errno,
    pub lasts: Lasts,
}

#[derive(Debug)]
pub(super) struct Device {
    base: Tree,
    now: Tree,
    ops: Vec<Op>,
    /// Whether somebody looked since the last operation, which therefore is complete.
    looked: bool,
    fault: Option<Fault>,
    counts: BTreeMap<Kind, u64>,
    has_failed: bool,
    /// The file and the byte that cannot be read.
    unreadable: Option<(u64, usize)>,
}

impl Device {
    pub(super) fn new(base: Tree) -> Self {
        let (now, ops, counts) = (base.clone(), Vec::new(), BTreeMap::new());
        Self { base, now, ops, looked: true, fault: None, counts, has_failed: false, unreadable: None }
    }

    pub(super) fn now(&self) -> &Tree {
        &self.now
    }

    pub(super) fn moment(&mut self) -> usize {
        self.looked = true;
        self.ops.len()
    }

    pub(super) fn history(&mut self) -> History {
        self.looked = true;
        History { base: self.base.clone(), ops: self.ops.clone() }
    }

    pub(super) fn fail(&mut self, fault: Fault) {
        (self.fault, self.has_failed, self.unreadable) = (Some(fault), false, None);
        self.counts.clear();
    }

    pub(super) fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Counts an operation, which fails if its turn has come.
    pub(super) fn attempt(&mut self, kind: Kind) -> Result<(), Errno> {
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        match self.fault {
            Some(fault) if fault.kind == kind => {
                let fails = *count == fault.nth || (*count > fault.nth && fault.lasts == Lasts::ForEver);
                self.has_failed |= fails;
                if fails { Err(fault.error) } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }

    /// Counts the reading of a part of a file. The place where it fails stays bad.
    pub(super) fn attempt_read(&mut self, file: u64, offset: usize, len: usize) -> Result<(), Errno> {
        if let Some((bad, at)) = self.unreadable
            && bad == file
            && (offset..offset + len).contains(&at)
        {
            return Err(Errno::IO);
        }
        self.attempt(Kind::Read).inspect_err(|_| self.unreadable = Some((file, offset)))
    }

    /// Does and remembers it.
    pub(super) fn apply(&mut self, op: Op) {
        self.now.apply(&op);
        self.ops.push(op);
        self.looked = false;
    }

    /// Counts and does a write. sled clears whole segments, and the kernel passes that on page by page: such a run counts
    /// once and is remembered as one operation.
    pub(super) fn write(&mut self, file: u64, offset: usize, bytes: &[u8]) -> Result<(), Errno> {
        let zeros = bytes.iter().all(|byte| *byte == 0);
        if zeros
            && !self.looked
            && !self.has_failed
            && let Some(Op::WriteZeros { file: of, offset: start, len }) = self.ops.last_mut()
            && (*of, *start + *len) == (file, offset)
        {
            *len += bytes.len();
            self.now.write_zeros(file, offset, bytes.len());
            return Ok(());
        }
        self.attempt(Kind::Write)?;
        self.apply(if zeros {
            Op::WriteZeros { file, offset, len: bytes.len() }
        } else {
            Op::Write { file, offset, bytes: Arc::from(bytes) }
        });
        Ok(())
    }
}
