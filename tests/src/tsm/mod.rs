//! An emulated `/sys/kernel/config/tsm/report`, mounted by FUSE.
//!
//! With it the product's attester runs as it does on real hardware: the same system calls, the same errors, and evidence
//! signed under roots that nobody trusts.
//!
//! `kernel` behaves as the kernel does and can be told to misbehave; `filesystem` is what FUSE makes of it. Mounting
//! needs `/dev/fuse` and root, or `fusermount3` of the Debian package fuse3.

mod filesystem;
mod kernel;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use fuser::{BackgroundSession, MountOption};

use crate::appliance::Hardware;
use kernel::Kernel;
pub use kernel::{Blobs, Fault, Platform, Step};

/// A mounted emulator; dropping it unmounts.
#[derive(Debug)]
pub struct Emulator {
    kernel: Arc<Mutex<Kernel>>,
    // Before the folder, so that the folder is empty again when it goes.
    _session: BackgroundSession,
    folder: tempfile::TempDir,
}

impl Emulator {
    /// Mounts an emulator whose reports `platform` makes.
    ///
    /// # Errors
    /// If this machine or user cannot mount.
    pub fn mount(platform: Box<dyn Platform>) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let kernel = Arc::new(Mutex::new(Kernel::new(platform)));
        let filesystem = filesystem::Filesystem::new(Arc::clone(&kernel));
        let options = [MountOption::FSName("tsm-emulator".to_owned())];
        let session = fuser::spawn_mount2(filesystem, folder.path(), &options)
            .context("FUSE does not mount: this takes /dev/fuse, and root or the Debian package fuse3")?;
        Ok(Self { kernel, _session: session, folder })
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The machine behind it, for an appliance that takes the root in this file for the maker's.
    #[must_use]
    pub fn hardware(&self, tee: &'static str, root: &Path) -> Hardware {
        Hardware { tee, tsm_report: self.path().to_owned(), trust_roots: vec![root.to_owned()] }
    }

    /// Misbehaves in this way at the next occasion, once; after those that were asked for earlier.
    pub fn once(&self, fault: Fault) {
        self.kernel().faults.push(fault, 1);
    }

    /// Misbehaves in this way so many times.
    pub fn times(&self, fault: Fault, times: usize) {
        self.kernel().faults.push(fault, times);
    }

    /// Misbehaves in this way at every occasion.
    pub fn always(&self, fault: Fault) {
        self.kernel().faults.push(fault, usize::MAX);
    }

    /// Behaves from now on.
    pub fn behave(&self) {
        self.kernel().faults.clear();
    }

    /// Folders that were made and not removed.
    #[must_use]
    pub fn folders(&self) -> usize {
        self.kernel().folders()
    }

    /// Folders that were made so far.
    #[must_use]
    pub fn folders_made(&self) -> u64 {
        self.kernel().folders_made()
    }

    /// The most folders that there were at one time.
    #[must_use]
    pub fn most_folders(&self) -> usize {
        self.kernel().most_folders()
    }

    /// What the last privilege level asked for was.
    #[must_use]
    pub fn privilege_level(&self) -> Option<u32> {
        self.kernel().privilege_level()
    }

    fn kernel(&self) -> MutexGuard<'_, Kernel> {
        self.kernel.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
