//! What this machine can make evidence with (attestation notes, 3.3).
//!
//! Looked for in this order: configfs-tsm, which knows AMD and Intel; AMD's device; Azure's virtual TPM; nothing. An interface that is there and
//! does not work is an error and never a reason to look further, and nothing is an error too: the development TEE is
//! chosen by the configuration alone.

use std::path::{Path, PathBuf};

use cloister_attestation::document::Tee;

use super::azure::{self, AzureVtpm};
use super::configfs::{self, Configfs};
use super::sev_guest::{self, SevGuest};
use super::{Attester, DevelopmentAttester};

/// Where the interfaces are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interfaces {
    /// `/sys/kernel/config/tsm/report`, but in tests.
    pub tsm_report: PathBuf,
    /// The privilege level (VMPL) to ask reports for; without it the driver's own.
    pub privilege_level: Option<u8>,
}

/// Why there is nothing to make evidence with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing was found.
    #[error(
        "no TEE was found: neither a provider of configfs-tsm (attestation.tsm_report; Linux 6.7 with configfs mounted, \
         and the sev-guest or tdx-guest driver), nor /dev/sev-guest, nor a virtual TPM of Azure's; on a machine without confidential computing, \
         configure tee = \"development\""
    )]
    Nothing,
    /// A TD without a way to have reports quoted.
    #[error(
        "this is a TDX guest whose kernel has no configfs-tsm, without which its reports cannot be quoted: run Linux 6.7 \
         or later and mount configfs at /sys/kernel/config"
    )]
    TdxWithoutConfigfs,
    /// Another TEE than the configuration says.
    #[error("the configuration names another tee than this machine has")]
    Other,
    /// configfs-tsm is there and does not work.
    #[error("{0}")]
    Configfs(configfs::Error),
    /// AMD's device is there and does not work.
    #[error("{0}")]
    SevGuest(sev_guest::Error),
    /// Azure's virtual TPM is there and does not work.
    #[error("{0}")]
    Azure(azure::Error),
}

/// Finds what makes evidence of the kind `wanted`, or of whatever kind of hardware the machine has.
///
/// # Errors
/// [`enum@Error`].
pub fn find(wanted: Option<Tee>, interfaces: &Interfaces) -> Result<Box<dyn Attester>, Error> {
    if wanted == Some(Tee::Development) {
        return Ok(Box::new(DevelopmentAttester::new()));
    }
    let found = detect(wanted, interfaces)?;
    match wanted {
        Some(wanted) if wanted != found.tee() => Err(Error::Other),
        Some(_) | None => Ok(found),
    }
}

fn detect(wanted: Option<Tee>, interfaces: &Interfaces) -> Result<Box<dyn Attester>, Error> {
    match Configfs::open(&interfaces.tsm_report, interfaces.privilege_level) {
        Ok(configfs) => return Ok(Box::new(configfs)),
        Err(configfs::Error::Absent | configfs::Error::NoProvider) => {}
        Err(error) => return Err(Error::Configfs(error)),
    }
    if SevGuest::is_there() && wanted != Some(Tee::Tdx) {
        let device = SevGuest::open(interfaces.privilege_level).map_err(Error::SevGuest)?;
        return Ok(Box::new(device));
    }
    // Guests of Azure's paravisor have neither: their evidence comes from the virtual TPM.
    if let Some(vtpm) = AzureVtpm::detect(Path::new(azure::DEVICE)).map_err(Error::Azure)? {
        return Ok(Box::new(vtpm));
    }
    if Path::new("/dev/tdx_guest").exists() { Err(Error::TdxWithoutConfigfs) } else { Err(Error::Nothing) }
}
