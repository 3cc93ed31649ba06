//! Reports through the kernel's vendor-neutral interface, configfs-tsm (Documentation/ABI/testing/configfs-tsm-report;
//! attestation notes, 3.3). One code for AMD SEV-SNP and Intel TDX.
//!
//! A report takes a folder of its own under `/sys/kernel/config/tsm/report`: the 64 bytes go into `inblob`, the report
//! comes out of `outblob`, and the folder goes away whatever happens. `generation` counts the writes to the folder. Any
//! count but that of our own writes means that somebody else wrote there too, and the report may be about their bytes:
//! it is thrown away. The kernel commits what was written when the file is closed, where no error can be seen, so the
//! count is also how a lost write shows.
//!
//! Refused, each with an error of its own: providers that this build does not know, reports of another size than SNP's or
//! larger than 32 KiB, and reports that do not hold our bytes. Nobody is believed here; that a report is *true* is
//! for verifiers to find out.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use cloister_attestation::document::{Evidence, Tee};
use cloister_attestation::{snp, tdx};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::backoff::Backoff;
use super::{Attester, PlatformError, Report};

/// The largest blob that the kernel hands out.
pub const MAX_BLOB_BYTES: usize = 32 * 1024;
/// How long the whole of a report may take, other than one read that the kernel itself does not end.
pub const DEADLINE: Duration = Duration::from_secs(20);

const BACKOFF: Backoff = Backoff { first: Duration::from_millis(4), longest: Duration::from_millis(500) };
/// The longest text attribute that is looked at.
const MAX_TEXT_BYTES: usize = 256;

/// Who makes the reports, as the kernel calls them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// `sev_guest`
    SevGuest,
    /// `tdx_guest`
    TdxGuest,
}

impl Provider {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "sev_guest" => Some(Self::SevGuest),
            "tdx_guest" => Some(Self::TdxGuest),
            _ => None,
        }
    }

    /// The kind of evidence that it makes.
    #[must_use]
    pub const fn tee(self) -> Tee {
        match self {
            Self::SevGuest => Tee::SevSnp,
            Self::TdxGuest => Tee::Tdx,
        }
    }
}

/// Why there is no report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no such folder: configfs is not mounted, or the kernel has no configfs-tsm.
    #[error("there is no configfs-tsm here")]
    Absent,
    /// The kernel has the interface, and no driver behind it.
    #[error("configfs-tsm has no provider")]
    NoProvider,
    /// The provider is none that this build knows.
    #[error("the provider of configfs-tsm is unknown to this build")]
    UnknownProvider,
    /// The provider changed while the process ran.
    #[error("the provider of configfs-tsm has changed")]
    ProviderChanged,
    /// We may not use it.
    #[error("configfs-tsm may not be used by this process")]
    Denied,
    /// Busy or interrupted until the deadline.
    #[error("configfs-tsm was busy until the deadline")]
    Busy,
    /// Somebody else wrote into our folder, or our writes were lost, each time until the deadline.
    #[error("others interfered with configfs-tsm until the deadline")]
    Interfered,
    /// The host did not answer the kernel: for TDX, its quote generation service is missing.
    #[error("the host did not answer the kernel's request for a report")]
    TimedOut,
    /// A blob above the kernel's own limit.
    #[error("a blob of configfs-tsm is larger than {MAX_BLOB_BYTES} bytes")]
    TooLarge,
    /// A report of another size than its kind has.
    #[error("the report has another size than reports of its kind")]
    Size,
    /// Bytes that are no report.
    #[error("the report is malformed")]
    Malformed,
    /// A report over other bytes than ours.
    #[error("the report is over other bytes than ours")]
    OtherReportData,
    /// The kernel does not take the privilege level.
    #[error("the privilege level is refused")]
    PrivilegeLevel,
    /// Something else.
    #[error("configfs-tsm: {0}")]
    Io(io::ErrorKind),
}

/// Why one try failed: for good, or worth another.
#[derive(Debug, Clone, Copy)]
enum Failed {
    Final(Error),
    /// Try again; the error is what to say when the deadline is over.
    Again(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        match Errno::from_io_error(&error) {
            Some(Errno::BUSY | Errno::INTR | Errno::AGAIN) => Self::Again(Error::Busy),
            Some(Errno::FBIG) => Self::Final(Error::TooLarge),
            Some(Errno::NXIO) => Self::Final(Error::NoProvider),
            Some(Errno::ACCESS | Errno::PERM) => Self::Final(Error::Denied),
            Some(Errno::TIMEDOUT) => Self::Final(Error::TimedOut),
            _ => Self::Final(Error::Io(error.kind())),
        }
    }
}

/// The interface, at a place.
#[derive(Debug)]
pub struct Configfs {
    root: PathBuf,
    privilege_level: Option<u8>,
    deadline: Duration,
    provider: Provider,
}

impl Configfs {
    /// Looks who makes reports at `root`, which is `/sys/kernel/config/tsm/report` but in tests.
    ///
    /// # Errors
    /// [`Error::Absent`], [`Error::NoProvider`], [`Error::UnknownProvider`], [`Error::Denied`], [`Error::Busy`].
    pub fn open(root: &Path, privilege_level: Option<u8>) -> Result<Self, Error> {
        Self::open_within(root, privilege_level, DEADLINE)
    }

    /// The same with another deadline, for each report too.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_within(root: &Path, privilege_level: Option<u8>, deadline: Duration) -> Result<Self, Error> {
        let provider = retried(deadline, || Folder::make(root)?.provider())?;
        Ok(Self { root: root.to_owned(), privilege_level, deadline, provider })
    }

    /// Who makes the reports.
    #[must_use]
    pub const fn provider(&self) -> Provider {
        self.provider
    }

    fn attempt(&self, report_data: &[u8; 64]) -> Result<Report, Failed> {
        let folder = Folder::make(&self.root)?;
        let mut expected = folder.generation()?;
        folder.write("inblob", report_data)?;
        expected = expected.wrapping_add(1);
        if let Some(level) = self.privilege_level {
            let written = folder.write("privlevel", level.to_string().as_bytes());
            written.map_err(|error| match Errno::from_io_error(&error) {
                Some(Errno::INVAL) => Failed::Final(Error::PrivilegeLevel),
                _ => error.into(),
            })?;
            expected = expected.wrapping_add(1);
        }
        let undisturbed = |folder: &Folder| match folder.generation()? == expected {
            true => Ok(()),
            false => Err(Failed::Again(Error::Interfered)),
        };
        undisturbed(&folder)?;
        if folder.provider()? != self.provider {
            return Err(Error::ProviderChanged.into());
        }
        let bytes = folder.read("outblob", MAX_BLOB_BYTES)?;
        let certificates = match folder.read("auxblob", MAX_BLOB_BYTES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other?,
        };
        undisturbed(&folder)?;
        check(self.provider, &bytes, report_data)?;
        Ok(Report { evidence: Evidence::new(self.provider.tee(), bytes), certificates })
    }
}

impl Attester for Configfs {
    fn tee(&self) -> Tee {
        self.provider.tee()
    }

    fn report(&self, report_data: &[u8; 64]) -> Result<Report, PlatformError> {
        retried(self.deadline, || self.attempt(report_data)).map_err(PlatformError::Configfs)
    }
}

/// Tries until it works, fails for good, or the deadline is over.
fn retried<T>(deadline: Duration, mut attempt: impl FnMut() -> Result<T, Failed>) -> Result<T, Error> {
    let end = Instant::now() + deadline;
    let mut failures = 0u32;
    loop {
        let last = match attempt() {
            Ok(done) => return Ok(done),
            Err(Failed::Final(error)) => return Err(error),
            Err(Failed::Again(error)) => error,
        };
        failures = failures.saturating_add(1);
        let wait = BACKOFF.wait(failures, random());
        if Instant::now() + wait >= end {
            return Err(last);
        }
        // Reports are asked for on threads that may block.
        thread::sleep(wait);
    }
}

/// A report is of its kind's form and over our bytes, or it is not used.
pub(super) fn check(provider: Provider, report: &[u8], report_data: &[u8; 64]) -> Result<(), Error> {
    let theirs = match provider {
        Provider::SevGuest if report.len() != snp::REPORT_BYTES => return Err(Error::Size),
        Provider::SevGuest => snp::Report::parse(report).map_err(|_| Error::Malformed)?.claims_unverified().report_data,
        Provider::TdxGuest => tdx::Quote::parse(report).map_err(|_| Error::Malformed)?.report.report_data,
    };
    if theirs == *report_data { Ok(()) } else { Err(Error::OtherReportData) }
}

/// Our folder while a report is made.
struct Folder(PathBuf);

impl Folder {
    fn make(root: &Path) -> Result<Self, Failed> {
        let path = root.join(format!("cloister-{:016x}", random()));
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => Ok(Self(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::Absent.into()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Failed::Again(Error::Busy)),
            Err(error) => Err(error.into()),
        }
    }

    fn provider(&self) -> Result<Provider, Failed> {
        let name = self.text("provider")?;
        Provider::from_name(&name).ok_or_else(|| Error::UnknownProvider.into())
    }

    fn generation(&self) -> Result<u64, Failed> {
        self.text("generation")?.parse().map_err(|_| Error::Malformed.into())
    }

    fn text(&self, attribute: &str) -> Result<String, Failed> {
        let bytes = self.read(attribute, MAX_TEXT_BYTES)?;
        let text = String::from_utf8(bytes).map_err(|_| Error::Malformed)?;
        Ok(text.trim_end_matches('\n').to_owned())
    }

    /// Reads a whole attribute of at most `limit` bytes. The calls are the bare ones: the standard library tries again by
    /// itself, and for ever, when a driver says that it was interrupted.
    fn read(&self, attribute: &str, limit: usize) -> io::Result<Vec<u8>> {
        let file = rustix::fs::open(self.0.join(attribute), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            let count = rustix::io::read(&file, &mut buffer)?;
            bytes.extend_from_slice(buffer.split_at(count).0);
            if count == 0 {
                return Ok(bytes);
            }
            if bytes.len() > limit {
                return Err(Errno::FBIG.into());
            }
        }
    }

    /// Writes an attribute in one write, and closes it, which is when the kernel takes it.
    fn write(&self, attribute: &str, bytes: &[u8]) -> io::Result<()> {
        let file = rustix::fs::open(self.0.join(attribute), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        let written = rustix::io::write(&file, bytes)?;
        if written == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.0) {
            tracing::warn!(kind = ?error.kind(), "a folder of configfs-tsm could not be removed");
        }
    }
}

fn random() -> u64 {
    let mut bytes = [0; 8];
    // Without randomness the name meets another one at worst, which is seen.
    getrandom::fill(&mut bytes).ok();
    u64::from_le_bytes(bytes)
}
