//! Reports through AMD's own device, `/dev/sev-guest`: the second way, for kernels without configfs-tsm.
//!
//! Only the plain report is asked for, never the extended one. The library that makes the call reads the host's
//! certificate table by following its offsets without bounds, so a host could have it read, or send out, any of our
//! memory. The leaf certificate is then fetched from AMD like other collateral.

use std::path::Path;

use cloister_attestation::document::{Evidence, Tee};
use sev::error::{UserApiError, VmmError};
use sev::firmware::guest::Firmware;

use super::configfs::{self, Provider};
use super::{Attester, PlatformError, Report};

/// The device.
pub const DEVICE: &str = "/dev/sev-guest";

/// Why there is no report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The device cannot be opened.
    #[error("the SEV guest device cannot be opened: {0}")]
    Open(std::io::ErrorKind),
    /// The hypervisor wants requests to come later.
    #[error("the hypervisor limits the rate of reports")]
    RateLimited,
    /// The secure processor refuses.
    #[error("the secure processor refuses a report")]
    Refused,
    /// What came is no report over our bytes.
    #[error("{0}")]
    Report(configfs::Error),
}

/// AMD's device.
#[derive(Debug)]
pub struct SevGuest {
    privilege_level: Option<u8>,
}

impl SevGuest {
    /// Whether the kernel has the device.
    #[must_use]
    pub fn is_there() -> bool {
        Path::new(DEVICE).exists()
    }

    /// Looks whether it can be opened.
    ///
    /// # Errors
    /// [`Error::Open`].
    pub fn open(privilege_level: Option<u8>) -> Result<Self, Error> {
        device().map(|_| Self { privilege_level })
    }

    fn report(&self, report_data: &[u8; 64]) -> Result<Report, Error> {
        let level = self.privilege_level.map(u32::from);
        let bytes = device()?.get_report(None, Some(*report_data), level).map_err(|error| {
            let limited = matches!(error, UserApiError::VmmError(VmmError::RateLimitRetryRequest));
            if limited { Error::RateLimited } else { Error::Refused }
        })?;
        configfs::check(Provider::SevGuest, &bytes, report_data).map_err(Error::Report)?;
        Ok(Report { evidence: Evidence::new(Tee::SevSnp, bytes), certificates: Vec::new() })
    }
}

impl Attester for SevGuest {
    fn tee(&self) -> Tee {
        Tee::SevSnp
    }

    fn report(&self, report_data: &[u8; 64]) -> Result<Report, PlatformError> {
        self.report(report_data).map_err(PlatformError::SevGuest)
    }
}

/// Opened anew for each report: the kernel gives up a handle's message channel when one request goes wrong.
fn device() -> Result<Firmware, Error> {
    Firmware::open().map_err(|error| Error::Open(error.kind()))
}
