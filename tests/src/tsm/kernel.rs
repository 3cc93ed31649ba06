//! What `drivers/virt/coco/guest/report.c` does with a report folder, and the faults that a test can order.
//!
//! A bin attribute that is written is committed when the file is closed. `write_generation` counts commits; a blob is made
//! when it is read after one, and stays the same until the next.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::fmt;

use rustix::io::Errno;

/// What makes the reports: a synthetic AMD or Intel platform.
pub trait Platform: Send + 'static {
    /// Name of the driver.
    fn provider(&self) -> &'static str;

    /// Evidence over these bytes.
    fn evidence(&self, report_data: &[u8; 64]) -> Blobs;
}

/// What a report folder gives out.
#[derive(Debug, Clone, Default)]
pub struct Blobs {
    /// The report.
    pub outblob: Vec<u8>,
    /// The certificate table; without it the attribute is not there.
    pub auxblob: Option<Vec<u8>>,
}

/// An occasion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A folder is made.
    Mkdir,
    /// `inblob` is written.
    WriteInblob,
    /// `privlevel` is written.
    WritePrivlevel,
    /// `generation` is read.
    ReadGeneration,
    /// `provider` is read.
    ReadProvider,
    /// `outblob` is read.
    ReadOutblob,
    /// `auxblob` is read.
    ReadAuxblob,
}

/// A way to misbehave.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The operation fails.
    Fails(Step, Errno),
    /// Somebody else writes into the folder right after this.
    OtherWriter(Step),
    /// What was written is lost when the file is closed, where nobody can be told.
    LostWrite,
    /// The report is over these bytes.
    ReportOver([u8; 64]),
    /// The report is this.
    Outblob(Vec<u8>),
    /// The certificate table is this, or not there.
    Auxblob(Option<Vec<u8>>),
    /// The provider is called this.
    Provider(&'static str),
}

impl Fault {
    const fn step(&self) -> Step {
        match self {
            Self::Fails(step, _) | Self::OtherWriter(step) => *step,
            Self::LostWrite => Step::WriteInblob,
            Self::ReportOver(_) | Self::Outblob(_) => Step::ReadOutblob,
            Self::Auxblob(_) => Step::ReadAuxblob,
            Self::Provider(_) => Step::ReadProvider,
        }
    }
}

/// Faults that are still to come, in order for each step.
#[derive(Debug, Default)]
pub(super) struct Faults(VecDeque<(Fault, usize)>);

impl Faults {
    pub(super) fn push(&mut self, fault: Fault, times: usize) {
        self.0.push_back((fault, times));
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn take(&mut self, step: Step) -> Option<Fault> {
        let at = self.0.iter().position(|(fault, _)| fault.step() == step)?;
        let (fault, left) = self.0.get_mut(at)?;
        let taken = fault.clone();
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.0.remove(at);
        }
        Some(taken)
    }
}

/// A file in a report folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attribute {
    Inblob,
    Privlevel,
    Generation,
    Provider,
    Outblob,
    Auxblob,
}

impl Attribute {
    pub(super) const ALL: [Self; 6] =
        [Self::Inblob, Self::Privlevel, Self::Generation, Self::Provider, Self::Outblob, Self::Auxblob];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Inblob => "inblob",
            Self::Privlevel => "privlevel",
            Self::Generation => "generation",
            Self::Provider => "provider",
            Self::Outblob => "outblob",
            Self::Auxblob => "auxblob",
        }
    }

    pub(super) const fn is_written(self) -> bool {
        matches!(self, Self::Inblob | Self::Privlevel)
    }
}

#[derive(Debug, Default)]
struct Folder {
    name: OsString,
    inblob: Vec<u8>,
    write_generation: u64,
    /// The generation that the blobs are of.
    made: Option<(u64, Blobs)>,
}

/// The interface with all its folders.
pub(super) struct Kernel {
    pub(super) faults: Faults,
    platform: Box<dyn Platform>,
    folders: BTreeMap<u64, Folder>,
    next: u64,
    most: usize,
    privilege_level: Option<u32>,
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel").field("folders", &self.folders.len()).finish_non_exhaustive()
    }
}

impl Kernel {
    pub(super) fn new(platform: Box<dyn Platform>) -> Self {
        let (faults, folders) = (Faults::default(), BTreeMap::new());
        Self { faults, platform, folders, next: 1, most: 0, privilege_level: None }
    }

    pub(super) fn folders(&self) -> usize {
        self.folders.len()
    }

    pub(super) const fn folders_made(&self) -> u64 {
        self.next - 1
    }

    pub(super) const fn most_folders(&self) -> usize {
        self.most
    }

    pub(super) const fn privilege_level(&self) -> Option<u32> {
        self.privilege_level
    }

    pub(super) fn find(&self, name: &std::ffi::OsStr) -> Option<u64> {
        self.folders.iter().find(|(_, folder)| folder.name == name).map(|(id, _)| *id)
    }

    pub(super) fn exists(&self, id: u64) -> bool {
        self.folders.contains_key(&id)
    }

    pub(super) fn names(&self) -> Vec<(u64, OsString)> {
        self.folders.iter().map(|(id, folder)| (*id, folder.name.clone())).collect()
    }

    pub(super) fn mkdir(&mut self, name: OsString) -> Result<u64, Errno> {
        if let Some(Fault::Fails(_, errno)) = self.faults.take(Step::Mkdir) {
            return Err(errno);
        }
        let id = self.next;
        self.next += 1;
        self.folders.insert(id, Folder { name, ..Folder::default() });
        self.most = self.most.max(self.folders.len());
        Ok(id)
    }

    pub(super) fn rmdir(&mut self, name: &std::ffi::OsStr) -> Result<(), Errno> {
        let id = self.find(name).ok_or(Errno::NOENT)?;
        self.folders.remove(&id);
        Ok(())
    }

    /// Whether the file is there at all.
    pub(super) fn has(&self, attribute: Attribute) -> bool {
        attribute != Attribute::Auxblob || self.platform.provider() == "sev_guest"
    }

    /// The file is closed after these bytes were written. What goes wrong is for the log alone, as with the kernel, unless
    /// the attribute is a text, which is taken at the write.
    pub(super) fn commit(&mut self, id: u64, attribute: Attribute, bytes: &[u8]) -> Result<(), Errno> {
        let step = if attribute == Attribute::Inblob { Step::WriteInblob } else { Step::WritePrivlevel };
        let fault = self.faults.take(step);
        let folder = self.folders.get_mut(&id).ok_or(Errno::NOENT)?;
        match fault {
            Some(Fault::Fails(_, errno)) => return Err(errno),
            Some(Fault::LostWrite) => return Ok(()),
            Some(Fault::OtherWriter(_)) => folder.write_generation += 1,
            _ => {}
        }
        if attribute == Attribute::Inblob {
            if bytes.is_empty() || bytes.len() > 64 {
                return Err(Errno::INVAL);
            }
            folder.inblob = bytes.to_vec();
        } else {
            let text = std::str::from_utf8(bytes).map_err(|_| Errno::INVAL)?;
            let level = text.trim_end().parse().ok().filter(|level| *level <= 3);
            self.privilege_level = Some(level.ok_or(Errno::INVAL)?);
        }
        folder.write_generation += 1;
        Ok(())
    }

    /// The whole content of a file that is opened for reading.
    pub(super) fn read(&mut self, id: u64, attribute: Attribute) -> Result<Vec<u8>, Errno> {
        let step = match attribute {
            Attribute::Generation => Step::ReadGeneration,
            Attribute::Provider => Step::ReadProvider,
            Attribute::Outblob => Step::ReadOutblob,
            Attribute::Auxblob => Step::ReadAuxblob,
            Attribute::Inblob | Attribute::Privlevel => return Err(Errno::ACCESS),
        };
        let fault = self.faults.take(step);
        let folder = self.folders.get_mut(&id).ok_or(Errno::NOENT)?;
        if let Some(Fault::Fails(_, errno)) = fault {
            return Err(errno);
        }
        let content = match attribute {
            Attribute::Generation => format!("{}\n", folder.write_generation).into_bytes(),
            Attribute::Provider => match fault {
                Some(Fault::Provider(name)) => format!("{name}\n").into_bytes(),
                _ => format!("{}\n", self.platform.provider()).into_bytes(),
            },
            Attribute::Outblob | Attribute::Auxblob | Attribute::Inblob | Attribute::Privlevel => {
                let blobs = folder.blobs(self.platform.as_ref())?;
                match (attribute, &fault) {
                    (Attribute::Outblob, Some(Fault::Outblob(bytes))) => bytes.clone(),
                    (Attribute::Outblob, Some(Fault::ReportOver(other))) => self.platform.evidence(other).outblob,
                    (Attribute::Outblob, _) => blobs.outblob,
                    (_, Some(Fault::Auxblob(table))) => table.clone().ok_or(Errno::NOENT)?,
                    _ => blobs.auxblob.ok_or(Errno::NOENT)?,
                }
            }
        };
        if matches!(fault, Some(Fault::OtherWriter(_))) {
            folder.write_generation += 1;
        }
        // The kernel's own limit for blobs.
        if content.len() > 32 * 1024 && fault.is_none() { Err(Errno::FBIG) } else { Ok(content) }
    }
}

impl Folder {
    /// The blobs of the current generation, made once.
    fn blobs(&mut self, platform: &dyn Platform) -> Result<Blobs, Errno> {
        if self.inblob.is_empty() {
            return Err(Errno::INVAL);
        }
        if let Some((generation, blobs)) = &self.made
            && *generation == self.write_generation
        {
            return Ok(blobs.clone());
        }
        let mut report_data = [0; 64];
        for (place, byte) in report_data.iter_mut().zip(&self.inblob) {
            *place = *byte;
        }
        let blobs = platform.evidence(&report_data);
        self.made = Some((self.write_generation, blobs.clone()));
        Ok(blobs)
    }
}
