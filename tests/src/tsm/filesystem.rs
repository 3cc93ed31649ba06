//! The emulated interface as a FUSE filesystem. Nothing is cached: every read comes here.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use fuser::consts::FOPEN_DIRECT_IO;
use fuser::{
    FileAttr, FileType, ReplyAttr, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, Request,
    TimeOrNow,
};
use rustix::io::Errno;

use super::kernel::{Attribute, Kernel};

const ROOT: u64 = 1;
/// Inode numbers that a folder takes: itself and its files.
const STRIDE: u64 = 16;
const UNCACHED: Duration = Duration::ZERO;

/// What an inode number stands for.
#[derive(Clone, Copy)]
enum Node {
    Root,
    Folder(u64),
    File(u64, Attribute),
}

impl Node {
    fn of(ino: u64) -> Option<Self> {
        if ino == ROOT {
            return Some(Self::Root);
        }
        let (folder, place) = (ino / STRIDE, ino % STRIDE);
        match (folder, place) {
            (0, _) => None,
            (_, 0) => Some(Self::Folder(folder)),
            (_, place) => {
                let attribute = Attribute::ALL.get(usize::try_from(place - 1).ok()?)?;
                Some(Self::File(folder, *attribute))
            }
        }
    }

    fn ino(self) -> u64 {
        match self {
            Self::Root => ROOT,
            Self::Folder(folder) => folder * STRIDE,
            Self::File(folder, attribute) => {
                let place = (1..).zip(Attribute::ALL).find(|(_, other)| *other == attribute);
                folder * STRIDE + place.map_or(0, |(place, _)| place)
            }
        }
    }
}

/// An open file.
#[derive(Debug)]
enum Open {
    /// What it said when it was first read.
    Read(Vec<u8>),
    /// What was written so far.
    Written(Vec<u8>),
}

#[derive(Debug)]
pub(super) struct Filesystem {
    kernel: Arc<Mutex<Kernel>>,
    open: BTreeMap<u64, Open>,
    next_handle: u64,
}

impl Filesystem {
    pub(super) fn new(kernel: Arc<Mutex<Kernel>>) -> Self {
        Self { kernel, open: BTreeMap::new(), next_handle: 1 }
    }

    fn kernel(&self) -> MutexGuard<'_, Kernel> {
        self.kernel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attr(&self, node: Node) -> Option<FileAttr> {
        let (kind, perm) = match node {
            Node::Root => (FileType::Directory, 0o755),
            Node::Folder(folder) => self.kernel().exists(folder).then_some((FileType::Directory, 0o755))?,
            Node::File(folder, attribute) => {
                let perm = if attribute.is_written() { 0o200 } else { 0o444 };
                let kernel = self.kernel();
                (kernel.exists(folder) && kernel.has(attribute)).then_some((FileType::RegularFile, perm))?
            }
        };
        Some(FileAttr {
            ino: node.ino(),
            size: 0,
            blocks: 0,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }

    fn lookup_node(&self, parent: u64, name: &OsStr) -> Option<Node> {
        match Node::of(parent)? {
            Node::Root => self.kernel().find(name).map(Node::Folder),
            Node::Folder(folder) => {
                let attribute = Attribute::ALL.into_iter().find(|attribute| name == attribute.name())?;
                Some(Node::File(folder, attribute))
            }
            Node::File(..) => None,
        }
    }

    fn open_file(&mut self, ino: u64) -> Result<u64, Errno> {
        let Some(Node::File(folder, attribute)) = Node::of(ino) else { return Err(Errno::ISDIR) };
        let file = if attribute.is_written() {
            Open::Written(Vec::new())
        } else {
            Open::Read(self.kernel().read(folder, attribute)?)
        };
        let handle = self.next_handle;
        self.next_handle += 1;
        self.open.insert(handle, file);
        Ok(handle)
    }

    fn close(&mut self, ino: u64, handle: u64) -> Result<(), Errno> {
        let Some(Open::Written(bytes)) = self.open.remove(&handle) else { return Ok(()) };
        let Some(Node::File(folder, attribute)) = Node::of(ino) else { return Ok(()) };
        self.kernel().commit(folder, attribute, &bytes)
    }
}

impl fuser::Filesystem for Filesystem {
    fn lookup(&mut self, _: &Request<'_>, parent: u64, name: &OsStr, reply: ReplyEntry) {
        match self.lookup_node(parent, name).and_then(|node| self.attr(node)) {
            Some(attr) => reply.entry(&UNCACHED, &attr, 0),
            None => reply.error(Errno::NOENT.raw_os_error()),
        }
    }

    fn getattr(&mut self, _: &Request<'_>, ino: u64, _: Option<u64>, reply: ReplyAttr) {
        match Node::of(ino).and_then(|node| self.attr(node)) {
            Some(attr) => reply.attr(&UNCACHED, &attr),
            None => reply.error(Errno::NOENT.raw_os_error()),
        }
    }

    /// Truncation at opening, which configfs takes and forgets.
    fn setattr(
        &mut self,
        _: &Request<'_>,
        ino: u64,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<std::time::SystemTime>,
        _: Option<u64>,
        _: Option<std::time::SystemTime>,
        _: Option<std::time::SystemTime>,
        _: Option<std::time::SystemTime>,
        _: Option<u32>,
        reply: ReplyAttr,
    ) {
        match Node::of(ino).and_then(|node| self.attr(node)) {
            Some(attr) => reply.attr(&UNCACHED, &attr),
            None => reply.error(Errno::NOENT.raw_os_error()),
        }
    }

    fn mkdir(&mut self, _: &Request<'_>, parent: u64, name: &OsStr, _: u32, _: u32, reply: ReplyEntry) {
        if parent != ROOT {
            return reply.error(Errno::PERM.raw_os_error());
        }
        let made = self.kernel().mkdir(name.to_owned());
        match made.map(|folder| self.attr(Node::Folder(folder))) {
            Ok(Some(attr)) => reply.entry(&UNCACHED, &attr, 0),
            Ok(None) => reply.error(Errno::NOENT.raw_os_error()),
            Err(errno) => reply.error(errno.raw_os_error()),
        }
    }

    fn rmdir(&mut self, _: &Request<'_>, _: u64, name: &OsStr, reply: ReplyEmpty) {
        match self.kernel().rmdir(name) {
            Ok(()) => reply.ok(),
            Err(errno) => reply.error(errno.raw_os_error()),
        }
    }

    fn open(&mut self, _: &Request<'_>, ino: u64, _: i32, reply: ReplyOpen) {
        match self.open_file(ino) {
            Ok(handle) => reply.opened(handle, FOPEN_DIRECT_IO),
            Err(errno) => reply.error(errno.raw_os_error()),
        }
    }

    fn read(
        &mut self,
        _: &Request<'_>,
        _: u64,
        handle: u64,
        offset: i64,
        size: u32,
        _: i32,
        _: Option<u64>,
        reply: ReplyData,
    ) {
        let Some(Open::Read(content)) = self.open.get(&handle) else { return reply.error(Errno::BADF.raw_os_error()) };
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        let end = start.saturating_add(usize::try_from(size).unwrap_or(0)).min(content.len());
        reply.data(content.get(start..end).unwrap_or_default());
    }

    fn write(
        &mut self,
        _: &Request<'_>,
        _: u64,
        handle: u64,
        _: i64,
        data: &[u8],
        _: u32,
        _: i32,
        _: Option<u64>,
        reply: ReplyWrite,
    ) {
        let Some(Open::Written(content)) = self.open.get_mut(&handle) else {
            return reply.error(Errno::BADF.raw_os_error());
        };
        content.extend_from_slice(data);
        reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX));
    }

    /// close(2). FUSE tells of the release later; what the kernel does there is done here, before close returns.
    fn flush(&mut self, _: &Request<'_>, ino: u64, handle: u64, _: u64, reply: ReplyEmpty) {
        match self.close(ino, handle) {
            Ok(()) => reply.ok(),
            Err(errno) => reply.error(errno.raw_os_error()),
        }
    }

    fn readdir(&mut self, _: &Request<'_>, ino: u64, _: u64, offset: i64, mut reply: ReplyDirectory) {
        let entries: Vec<(u64, FileType, std::ffi::OsString)> = match Node::of(ino) {
            Some(Node::Root) => {
                let folders = self.kernel().names().into_iter();
                folders.map(|(id, name)| (Node::Folder(id).ino(), FileType::Directory, name)).collect()
            }
            Some(Node::Folder(folder)) => Attribute::ALL
                .into_iter()
                .map(|attribute| (Node::File(folder, attribute).ino(), FileType::RegularFile, attribute.name().into()))
                .collect(),
            Some(Node::File(..)) | None => return reply.error(Errno::NOTDIR.raw_os_error()),
        };
        for (next, (ino, kind, name)) in (1i64..).zip(entries).skip(usize::try_from(offset).unwrap_or(0)) {
            if reply.add(ino, next, kind, name) {
                break;
            }
        }
        reply.ok();
    }
}
