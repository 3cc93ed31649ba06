//! The disk as a FUSE filesystem.
//!
//! Writes and syncs come here one by one, as the program makes them: the kernel keeps pages to read them from, and never
//! holds a write back. Names and lengths change only through this mount, so the kernel may keep those too.

use std::ffi::{OsStr, OsString};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::consts::{FOPEN_KEEP_CACHE, FUSE_BIG_WRITES};
use fuser::{
    FileAttr, FileType, KernelConfig, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry,
    ReplyOpen, ReplyWrite, Request, TimeOrNow,
};
use rustix::io::Errno;

use super::device::{Device, Kind};
use super::tree::{Node, Op};

/// How long the kernel may keep names and lengths.
const KEPT: Duration = Duration::from_secs(3600);

#[derive(Debug)]
pub(super) struct Filesystem {
    device: Arc<Mutex<Device>>,
}

impl Filesystem {
    pub(super) fn new(device: Arc<Mutex<Device>>) -> Self {
        Self { device }
    }

    fn device(&self) -> MutexGuard<'_, Device> {
        self.device.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something that may fail.
    fn attempt(&self, kind: Kind, op: Op) -> Result<(), Errno> {
        let mut device = self.device();
        device.attempt(kind)?;
        device.apply(op);
        Ok(())
    }

    fn create(&self, folder: u64, name: &OsStr) -> Result<FileAttr, Errno> {
        let mut device = self.device();
        device.attempt(Kind::Create)?;
        let made = device.now().unused_number();
        device.apply(Op::CreateFile { folder, name: name.to_owned(), made });
        Ok(attributes(Node::File(made), 0))
    }

    fn remove(&self, folder: u64, name: &OsStr) -> Result<(), Errno> {
        self.attempt(Kind::Remove, Op::Remove { folder, name: name.to_owned() })
    }

    fn attributes(&self, number: u64) -> Option<FileAttr> {
        let device = self.device();
        if let Some(content) = device.now().file(number) {
            return Some(attributes(Node::File(number), content.len()));
        }
        device.now().folder(number).map(|_| attributes(Node::Folder(number), 0))
    }

    fn entries(&self, folder: u64) -> Option<Vec<(OsString, Node)>> {
        let device = self.device();
        let names = device.now().folder(folder)?;
        Some(names.iter().map(|(name, node)| (name.clone(), *node)).collect())
    }

    fn read(&self, file: u64, offset: usize, len: usize) -> Result<Vec<u8>, Errno> {
        let mut device = self.device();
        device.attempt_read(file, offset, len)?;
        let content = device.now().file(file).ok_or(Errno::NOENT)?;
        let end = content.len().min(offset + len);
        Ok(content.get(offset.min(end)..end).unwrap_or_default().to_vec())
    }
}

const fn kind(node: Node) -> (u64, FileType, u16) {
    match node {
        Node::File(number) => (number, FileType::RegularFile, 0o600),
        Node::Folder(number) => (number, FileType::Directory, 0o700),
    }
}

fn attributes(node: Node, len: usize) -> FileAttr {
    let (ino, kind, perm) = kind(node);
    let size = u64::try_from(len).expect("64 bits hold a length");
    FileAttr {
        ino,
        size,
        blocks: size.div_ceil(512),
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind,
        perm,
        nlink: 1,
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

fn size(number: impl TryInto<usize>) -> usize {
    number.try_into().unwrap_or(0)
}

fn answer(done: Result<(), Errno>, reply: ReplyEmpty) {
    match done {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(errno.raw_os_error()),
    }
}

impl fuser::Filesystem for Filesystem {
    fn init(&mut self, _: &Request<'_>, config: &mut KernelConfig) -> Result<(), i32> {
        // Or every write comes in pieces of a page.
        config.add_capabilities(FUSE_BIG_WRITES).map_err(|_| Errno::NOSYS.raw_os_error())
    }

    fn lookup(&mut self, _: &Request<'_>, parent: u64, name: &OsStr, reply: ReplyEntry) {
        let node = self.device().now().find(parent, name);
        match node.and_then(|node| self.attributes(kind(node).0)) {
            Some(attributes) => reply.entry(&KEPT, &attributes, 0),
            None => reply.error(Errno::NOENT.raw_os_error()),
        }
    }

    fn getattr(&mut self, _: &Request<'_>, ino: u64, _: Option<u64>, reply: ReplyAttr) {
        match self.attributes(ino) {
            Some(attributes) => reply.attr(&KEPT, &attributes),
            None => reply.error(Errno::NOENT.raw_os_error()),
        }
    }

    /// Lengths are changed here; other attributes are not kept.
    fn setattr(
        &mut self,
        _: &Request<'_>,
        ino: u64,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        len: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<u64>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<u32>,
        reply: ReplyAttr,
    ) {
        let truncated =
            len.map_or(Ok(()), |len| self.attempt(Kind::Truncate, Op::Truncate { file: ino, len: size(len) }));
        match (truncated, self.attributes(ino)) {
            (Ok(()), Some(attributes)) => reply.attr(&KEPT, &attributes),
            (Ok(()), None) => reply.error(Errno::NOENT.raw_os_error()),
            (Err(errno), _) => reply.error(errno.raw_os_error()),
        }
    }

    fn mkdir(&mut self, _: &Request<'_>, parent: u64, name: &OsStr, _: u32, _: u32, reply: ReplyEntry) {
        let made = self.device().now().unused_number();
        match self.attempt(Kind::Create, Op::CreateFolder { folder: parent, name: name.to_owned(), made }) {
            Ok(()) => reply.entry(&KEPT, &attributes(Node::Folder(made), 0), 0),
            Err(errno) => reply.error(errno.raw_os_error()),
        }
    }

    fn create(&mut self, _: &Request<'_>, parent: u64, name: &OsStr, _: u32, _: u32, _: i32, reply: ReplyCreate) {
        match Self::create(self, parent, name) {
            Ok(attributes) => reply.created(&KEPT, &attributes, 0, 0, FOPEN_KEEP_CACHE),
            Err(errno) => reply.error(errno.raw_os_error()),
        }
    }

    fn unlink(&mut self, _: &Request<'_>, parent: u64, name: &OsStr, reply: ReplyEmpty) {
        answer(self.remove(parent, name), reply);
    }

    fn rmdir(&mut self, _: &Request<'_>, parent: u64, name: &OsStr, reply: ReplyEmpty) {
        let node = self.device().now().find(parent, name);
        let full = node.and_then(|node| self.entries(kind(node).0)).is_some_and(|entries| !entries.is_empty());
        answer(if full { Err(Errno::NOTEMPTY) } else { self.remove(parent, name) }, reply);
    }

    fn rename(
        &mut self,
        _: &Request<'_>,
        parent: u64,
        name: &OsStr,
        to: u64,
        to_name: &OsStr,
        _: u32,
        reply: ReplyEmpty,
    ) {
        let op = Op::Rename { folder: parent, name: name.to_owned(), to_folder: to, to_name: to_name.to_owned() };
        answer(self.attempt(Kind::Rename, op), reply);
    }

    fn open(&mut self, _: &Request<'_>, _: u64, _: i32, reply: ReplyOpen) {
        let attempted = self.device().attempt(Kind::Open);
        match attempted {
            Ok(()) => reply.opened(0, FOPEN_KEEP_CACHE),
            Err(errno) => reply.error(errno.raw_os_error()),
        }
    }

    fn read(
        &mut self,
        _: &Request<'_>,
        ino: u64,
        _: u64,
        offset: i64,
        len: u32,
        _: i32,
        _: Option<u64>,
        reply: ReplyData,
    ) {
        match Self::read(self, ino, size(offset), size(len)) {
            Ok(bytes) => reply.data(&bytes),
            Err(errno) => reply.error(errno.raw_os_error()),
        }
    }

    fn write(
        &mut self,
        _: &Request<'_>,
        ino: u64,
        _: u64,
        offset: i64,
        data: &[u8],
        _: u32,
        _: i32,
        _: Option<u64>,
        reply: ReplyWrite,
    ) {
        let written = self.device().write(ino, size(offset), data);
        match written {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX)),
            Err(errno) => reply.error(errno.raw_os_error()),
        }
    }

    fn flush(&mut self, _: &Request<'_>, _: u64, _: u64, _: u64, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&mut self, _: &Request<'_>, ino: u64, _: u64, _: bool, reply: ReplyEmpty) {
        answer(self.attempt(Kind::Sync, Op::SyncFile { file: ino }), reply);
    }

    fn fsyncdir(&mut self, _: &Request<'_>, ino: u64, _: u64, _: bool, reply: ReplyEmpty) {
        answer(self.attempt(Kind::Sync, Op::SyncFolder { folder: ino }), reply);
    }

    fn readdir(&mut self, _: &Request<'_>, ino: u64, _: u64, offset: i64, mut reply: ReplyDirectory) {
        let Some(entries) = self.entries(ino) else { return reply.error(Errno::NOTDIR.raw_os_error()) };
        for (next, (name, node)) in (1..).zip(entries).skip(size(offset)) {
            let (number, kind, _) = kind(node);
            if reply.add(number, next, kind, name) {
                break;
            }
        }
        reply.ok();
    }
}
