//! A disk in memory, mounted by FUSE, that remembers everything that was done to it.
//!
//! From what it remembers, [`Cut`] computes what the disk may hold after a power cut at any moment; and it can be told to
//! fail ([`Fault`]). Mounting needs `/dev/fuse` and root, or `fusermount3` of the Debian package fuse3.
//!
//! `tree` is what a disk holds; `device` the disk with its memory and its faults; `filesystem` what FUSE makes of it.

mod chance;
mod cut;
mod device;
mod filesystem;
mod tree;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use fuser::{BackgroundSession, MountOption};

pub use chance::Chance;
pub use cut::Cut;
use device::Device;
pub use device::{Fault, Kind, Lasts};
pub use tree::{Op, Tree};

/// A mounted disk; dropping it unmounts.
#[derive(Debug)]
pub struct Disk {
    device: Arc<Mutex<Device>>,
    // Before the folder, so that the folder is empty again when it goes.
    _session: BackgroundSession,
    folder: tempfile::TempDir,
}

/// What a disk held at first, and everything that was done to it since, in order.
#[derive(Debug, Clone)]
pub struct History {
    /// What it held at first; all of that is durable.
    pub base: Tree,
    /// What was done.
    pub ops: Vec<Op>,
}

impl Disk {
    /// Mounts a disk that holds `base`.
    ///
    /// # Errors
    /// If this machine or user cannot mount.
    pub fn mount(base: Tree) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let device = Arc::new(Mutex::new(Device::new(base)));
        let filesystem = filesystem::Filesystem::new(Arc::clone(&device));
        let options = [MountOption::FSName("disk-in-memory".to_owned())];
        let session = fuser::spawn_mount2(filesystem, folder.path(), &options)
            .context("FUSE does not mount: this takes /dev/fuse, and root or the Debian package fuse3")?;
        Ok(Self { device, _session: session, folder })
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// How many operations there were so far. Whatever is done later is another operation.
    #[must_use]
    pub fn moment(&self) -> usize {
        self.device().moment()
    }

    /// Everything so far.
    #[must_use]
    pub fn history(&self) -> History {
        self.device().history()
    }

    /// Fails in this way; operations are counted from now on.
    pub fn fail(&self, fault: Fault) {
        self.device().fail(fault);
    }

    /// Whether the fault asked for last has happened.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.device().has_failed()
    }

    fn device(&self) -> MutexGuard<'_, Device> {
        self.device.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
