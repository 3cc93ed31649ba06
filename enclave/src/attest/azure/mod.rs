//! Evidence of a guest on Azure: the paravisor's report, and a quote of the virtual TPM whose key it names.
//!
//! Azure shows a guest no SEV-SNP or TDX device. The paravisor has put the hardware's report into the TPM's NV index
//! 0x01400001, and what the guest wants to say goes into a quote (attestation notes, 2.1.10). This module makes such
//! evidence and judges nothing: `cloister_attestation::azure` verifies it, here as everywhere.
//!
//! It refuses to go on where the parts do not fit together, and on a TDX guest: the paravisor holds only a `TDREPORT`
//! there, and the quote that makes it worth something comes from the host over the network, which this process does not
//! ask.
//!
//! The client of the TPM is our own, some hundred lines for four commands: what the crate registry has either needs
//! libraries in C or reads what the TPM says through unchecked casts.

pub mod tpm;
mod wire;

use std::fs::{File, OpenOptions, metadata};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use cloister_attestation::azure::{self, HclReport, HexBytes, ReportKind, TpmQuote};
use cloister_attestation::document::{Evidence, Tee};
use cloister_attestation::encoding::{Hex, sha256};

pub use wire::Command;

use super::{Attester, PlatformError, Report};
use tpm::{SignedQuote, Tpm};

/// The TPM of a Linux guest, behind the kernel's resource manager.
pub const DEVICE: &str = "/dev/tpmrm0";

/// Where the paravisor keeps the report, and the key that it has made for quotes.
const HCL_REPORT: u32 = 0x0140_0001;
const ATTESTATION_KEY: u32 = 0x8100_0003;
const HCL_MAGIC: &[u8] = b"HCLA";

/// How often a quote is asked for while registers change between reading and quoting them.
const ATTEMPTS: usize = 4;

/// Why there is no evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is nothing at the path.
    #[error("there is no TPM")]
    NoDevice,
    /// The TPM is there and cannot be opened: the process needs to be in the device's group.
    #[error("the TPM cannot be opened: {0}")]
    Open(ErrorKind),
    /// The TPM does not do what it was asked.
    #[error(transparent)]
    Tpm(#[from] tpm::Error),
    /// The NV index holds something else than a report of Azure's paravisor.
    #[error("the TPM's NV index holds no report of Azure's paravisor")]
    NotAzure,
    /// A TDX guest, whose quote this process does not fetch.
    #[error("evidence of TDX guests on Azure is not offered: only the host's metadata service has their quote")]
    Tdx,
    /// Report, quote and registers do not fit together; with the verifier's reason code.
    #[error("the TPM's evidence is inconsistent: {0}")]
    Inconsistent(&'static str),
    /// Registers changed each time between reading and quoting them.
    #[error("the TPM's registers do not keep still")]
    Moving,
}

/// What a relying party needs beside the certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AzureEvidence {
    /// The content of NV index 0x01400001.
    pub hcl_report: Vec<u8>,
    /// A quote over all SHA-256 registers and the qualifying data.
    pub tpm_quote: TpmQuote,
}

/// The virtual TPM of an SEV-SNP guest on Azure.
///
/// It is opened anew for each evidence: after an answer that ended early, nothing of it is left for the next.
#[derive(Debug)]
pub struct AzureVtpm {
    path: PathBuf,
}

impl AzureVtpm {
    /// The TPM at `path`, a device or a socket, if it is one of Azure's; none where there is no TPM or where it holds
    /// nothing of Azure's paravisor.
    ///
    /// # Errors
    ///
    /// [`Error`] for a TPM that cannot be asked, and for what an SEV-SNP guest does not have. These are not "none": a
    /// machine that may be Azure's must not be taken for one without hardware.
    pub fn detect(path: &Path) -> Result<Option<Self>, Error> {
        match Self::open(path) {
            Ok(vtpm) => Ok(Some(vtpm)),
            Err(Error::NoDevice | Error::NotAzure | Error::Tpm(tpm::Error::NoIndex(_))) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The TPM at `path`, a device or a socket, which must be one of Azure's.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        hcl_report(&mut connect(path)?)?;
        Ok(Self { path: path.to_owned() })
    }

    /// Evidence over `qualifying_data`. May block for as long as the TPM takes.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub fn evidence(&self, qualifying_data: &[u8; 32]) -> Result<AzureEvidence, Error> {
        evidence(&mut connect(&self.path)?, qualifying_data)
    }
}

impl Attester for AzureVtpm {
    fn tee(&self) -> Tee {
        Tee::AzSnp
    }

    /// A TPM takes no 64 bytes: its quote speaks of their SHA-256.
    fn report(&self, report_data: &[u8; 64]) -> Result<Report, PlatformError> {
        let evidence = self.evidence(&sha256(report_data).0).map_err(PlatformError::Azure)?;
        let evidence = Evidence::azure_snp(evidence.hcl_report, evidence.tpm_quote);
        Ok(Report { evidence, certificates: Vec::new() })
    }
}

/// Evidence from a TPM that is connected already.
///
/// # Errors
///
/// [`Error`].
pub fn evidence<S: Read + Write>(tpm: &mut Tpm<S>, qualifying_data: &[u8; 32]) -> Result<AzureEvidence, Error> {
    let hcl_report = hcl_report(tpm)?;
    for _ in 0..ATTEMPTS {
        let pcrs = tpm.pcr_read()?.into_iter().map(Hex).collect();
        let SignedQuote { message, signature } = tpm.quote(ATTESTATION_KEY, qualifying_data)?;
        let tpm_quote = TpmQuote { message: HexBytes(message), signature: HexBytes(signature), pcrs };
        // The counter of updates that comes with the registers leaves some of them out ("`TPM_PT_PCR_NO_INCREMENT`", part
        // 2, 6.14); the digest in the quote leaves out none.
        match tpm_quote.check_own_binding(qualifying_data) {
            Ok(()) => return Ok(AzureEvidence { hcl_report, tpm_quote }),
            Err(azure::Error::PcrDigest) => {}
            Err(error) => return Err(inconsistent(&error)),
        }
    }
    Err(Error::Moving)
}

/// The paravisor's report, if it is that of an SEV-SNP guest and speaks of the runtime data beside it.
fn hcl_report<S: Read + Write>(tpm: &mut Tpm<S>) -> Result<Vec<u8>, Error> {
    let bytes = tpm.nv_read(HCL_REPORT)?;
    if !bytes.starts_with(HCL_MAGIC) {
        return Err(Error::NotAzure);
    }
    let report = HclReport::parse(&bytes).map_err(|error| inconsistent(&error))?;
    match report.kind() {
        ReportKind::Snp => {}
        ReportKind::Tdx => return Err(Error::Tdx),
    }
    report.check_own_binding().map_err(|error| inconsistent(&error))?;
    Ok(bytes)
}

const fn inconsistent(error: &azure::Error) -> Error {
    Error::Inconsistent(error.code())
}

/// A device or a socket.
#[derive(Debug)]
enum Stream {
    Device(File),
    Socket(UnixStream),
}

fn connect(path: &Path) -> Result<Tpm<Stream>, Error> {
    let stream = metadata(path).and_then(|found| {
        if found.file_type().is_socket() {
            UnixStream::connect(path).map(Stream::Socket)
        } else {
            OpenOptions::new().read(true).write(true).open(path).map(Stream::Device)
        }
    });
    stream
        .map(Tpm::new)
        .map_err(|error| if error.kind() == ErrorKind::NotFound { Error::NoDevice } else { Error::Open(error.kind()) })
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Device(file) => file.read(bytes),
            Self::Socket(socket) => socket.read(bytes),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Device(file) => file.write(bytes),
            Self::Socket(socket) => socket.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Device(file) => file.flush(),
            Self::Socket(socket) => socket.flush(),
        }
    }
}
