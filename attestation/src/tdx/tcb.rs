//! How well patched is the platform? Intel's algorithm over TCB info, TDX module identities and QE identity.
//!
//! Intel TDX DCAP Quoting Library API and the source of Intel's QVL (`convergeTcbStatuses`, `checkForRelaunch`);
//! attestation notes, section 2.2.4. Levels are tried from the highest down; the first that the
//! platform reaches in *every* component is its level. None is a refusal, not a status.

use serde::{Deserialize, Serialize};

use super::error::TcbError;
use super::platform::Platform;
use super::published::{Level, LevelVerdict, ModuleLine, ModuleSigner, QeIdentity, TcbInfo};
use super::report::TdReport;
use crate::reader::Reader;

/// What Intel says about a TCB level, in Intel's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TcbStatus {
    /// Everything is patched.
    UpToDate,
    /// Patched, but the software inside must mitigate something as well.
    #[serde(rename = "SWHardeningNeeded")]
    SwHardeningNeeded,
    /// The platform needs another configuration, for example no hyperthreading.
    ConfigurationNeeded,
    /// Both.
    #[serde(rename = "ConfigurationAndSWHardeningNeeded")]
    ConfigurationAndSwHardeningNeeded,
    /// Patches are missing.
    OutOfDate,
    /// Patches are missing, and the configuration is not right either.
    OutOfDateConfigurationNeeded,
    /// The platform was patched after the TD was launched; relaunch it.
    #[serde(rename = "TDRelaunchAdvised")]
    TdRelaunchAdvised,
    /// The same, and the configuration is not right.
    #[serde(rename = "TDRelaunchAdvisedConfigurationNeeded")]
    TdRelaunchAdvisedConfigurationNeeded,
    /// Keys of platforms at this level are compromised.
    Revoked,
}

impl TcbStatus {
    /// Intel's word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UpToDate => "UpToDate",
            Self::SwHardeningNeeded => "SWHardeningNeeded",
            Self::ConfigurationNeeded => "ConfigurationNeeded",
            Self::ConfigurationAndSwHardeningNeeded => "ConfigurationAndSWHardeningNeeded",
            Self::OutOfDate => "OutOfDate",
            Self::OutOfDateConfigurationNeeded => "OutOfDateConfigurationNeeded",
            Self::TdRelaunchAdvised => "TDRelaunchAdvised",
            Self::TdRelaunchAdvisedConfigurationNeeded => "TDRelaunchAdvisedConfigurationNeeded",
            Self::Revoked => "Revoked",
        }
    }

    /// Whether patches are missing.
    #[must_use]
    pub const fn is_out_of_date(self) -> bool {
        matches!(self, Self::OutOfDate | Self::OutOfDateConfigurationNeeded)
    }

    const fn needs_configuration(self) -> bool {
        matches!(
            self,
            Self::ConfigurationNeeded
                | Self::ConfigurationAndSwHardeningNeeded
                | Self::OutOfDateConfigurationNeeded
                | Self::TdRelaunchAdvisedConfigurationNeeded
        )
    }

    /// The status of a platform one of whose components (module, quoting enclave) has a status of its own. Only a
    /// component that is out of date or revoked changes it.
    const fn converge(self, component: Self) -> Self {
        match (component, self) {
            (Self::Revoked, _) => Self::Revoked,
            (Self::OutOfDate, Self::UpToDate | Self::SwHardeningNeeded) => Self::OutOfDate,
            (Self::OutOfDate, Self::ConfigurationNeeded | Self::ConfigurationAndSwHardeningNeeded) => {
                Self::OutOfDateConfigurationNeeded
            }
            (_, platform) => platform,
        }
    }

    /// The status of a TD that was launched at this one and runs at `current`.
    const fn relaunch(self, current: Self) -> Self {
        let patched = matches!(
            current,
            Self::UpToDate
                | Self::SwHardeningNeeded
                | Self::ConfigurationNeeded
                | Self::ConfigurationAndSwHardeningNeeded
        );
        if !(self.is_out_of_date() && patched) {
            self
        } else if self.needs_configuration() || current.needs_configuration() {
            Self::TdRelaunchAdvisedConfigurationNeeded
        } else {
            Self::TdRelaunchAdvised
        }
    }
}

/// What Intel says about platform, TDX module and quoting enclave together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcbVerdict {
    /// Everything together.
    pub status: TcbStatus,
    /// The platform alone, at launch.
    pub platform: TcbStatus,
    /// The TDX module alone, at launch; none for the first, single line of modules.
    pub module: Option<TcbStatus>,
    /// Platform and module as they are now, for TDX 1.5.
    pub current: Option<TcbStatus>,
    /// The quoting enclave alone.
    pub qe: TcbStatus,
    /// Security advisories that are open at the matched levels, sorted.
    pub advisories: Vec<String>,
    /// The date of the oldest matched level of platform and module, Unix seconds: patches since are missing.
    pub date_s: u64,
    /// The date of the quoting enclave's level, Unix seconds.
    pub qe_date_s: u64,
    /// The lower of the evaluation numbers of TCB info and QE identity.
    pub evaluation_number: u32,
}

/// The quoting enclave, as far as its identity describes it.
///
/// Offsets in its report: MISCSELECT 16, ATTRIBUTES 48, MRSIGNER 128, ISVPRODID 256, ISVSVN 258.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotingEnclave {
    /// Extended features.
    pub misc_select: u32,
    /// Attributes; bit 1 is DEBUG.
    pub attributes: [u8; 16],
    /// Its measurement.
    pub mr_enclave: [u8; 32],
    /// Its signer.
    pub mr_signer: [u8; 32],
    /// Its product id.
    pub isv_prod_id: u16,
    /// Its SVN.
    pub isv_svn: u16,
}

impl QuotingEnclave {
    pub(super) fn parse(report: &[u8; 384]) -> Option<Self> {
        let mut reader = Reader::new(report);
        reader.slice(16)?;
        let misc_select = reader.u32()?;
        reader.slice(28)?;
        let attributes = *reader.array()?;
        let mr_enclave = *reader.array()?;
        reader.slice(32)?;
        let mr_signer = *reader.array()?;
        reader.slice(96)?;
        Some(Self {
            misc_select,
            attributes,
            mr_enclave,
            mr_signer,
            isv_prod_id: reader.u16()?,
            isv_svn: reader.u16()?,
        })
    }

    /// Whether the host may look inside it.
    const fn debug(&self) -> bool {
        u128::from_le_bytes(self.attributes) & 2 != 0
    }
}

/// Is this the quoting enclave of the identity?
pub(super) fn check_quoting_enclave(qe: &QuotingEnclave, identity: &QeIdentity) -> Result<(), TcbError> {
    if qe.mr_signer != identity.mr_signer {
        return Err(TcbError::QeMrSigner);
    }
    if qe.isv_prod_id != identity.isv_prod_id {
        return Err(TcbError::QeIsvProdId);
    }
    if (qe.misc_select ^ identity.misc_select) & identity.misc_select_mask != 0 {
        return Err(TcbError::QeMiscSelect);
    }
    let attributes = masked_equal(&qe.attributes, &identity.attributes, &identity.attributes_mask);
    if qe.debug() || !attributes {
        return Err(TcbError::QeAttributes);
    }
    Ok(())
}

/// The level of the quoting enclave.
pub(super) fn qe_level(qe: &QuotingEnclave, identity: &QeIdentity) -> Result<LevelVerdict, TcbError> {
    first_reached(&identity.levels, qe.isv_svn).ok_or(TcbError::QeUnsupported)
}

/// Is the TDX module signed as the TCB info says, with the attributes that it allows?
pub(super) fn check_module(report: &TdReport, info: &TcbInfo) -> Result<(), TcbError> {
    let line = module_line(info, &report.tee_tcb_svn)?;
    let expected: &ModuleSigner = line.map_or(&info.module, |line| &line.signer);
    if report.mr_signer_seam != expected.mr_signer {
        return Err(TcbError::ModuleMrSigner);
    }
    let allowed = masked_equal(&report.seam_attributes, &expected.attributes, &expected.attributes_mask);
    let outside = report.seam_attributes.iter().zip(expected.attributes_mask).any(|(bits, mask)| bits & !mask != 0);
    if allowed && !outside { Ok(()) } else { Err(TcbError::SeamAttributes) }
}

/// Platform and module at one set of TDX SVNs.
#[derive(Debug, Clone)]
pub(super) struct Evaluated {
    platform: TcbStatus,
    module: Option<TcbStatus>,
    status: TcbStatus,
    advisories: Vec<String>,
    date: u64,
}

impl Evaluated {
    /// Platform and module together.
    pub(super) const fn status(&self) -> TcbStatus {
        self.status
    }
}

/// Evaluates platform and module at the TDX SVNs given.
pub(super) fn evaluate(info: &TcbInfo, platform: &Platform, tdx_svn: &[u8; 16]) -> Result<Evaluated, TcbError> {
    // Components 0 and 1 are the module's own, which are judged by its identity where it has one.
    let own = if module_version(tdx_svn) == 0 { 0 } else { 2 };
    let reached = info.levels.iter().find(|level| {
        all_reach(&platform.tcb_components, &level.sgx, 0)
            && platform.pce_svn >= level.pce_svn
            && all_reach(tdx_svn, &level.tdx, own)
    });
    let level = &reached.ok_or(TcbError::Unsupported)?.verdict;
    let module = match module_line(info, tdx_svn)? {
        Some(line) => Some(first_reached(&line.levels, tdx_svn[0]).ok_or(TcbError::ModuleUnsupported)?),
        None => None,
    };
    let mut advisories = level.advisories.clone();
    advisories.extend(module.iter().flat_map(|module| module.advisories.clone()));
    Ok(Evaluated {
        platform: level.status,
        module: module.as_ref().map(|module| module.status),
        status: module.as_ref().map_or(level.status, |module| level.status.converge(module.status)),
        date: module.as_ref().map_or(level.date, |module| level.date.min(module.date)),
        advisories,
    })
}

/// Puts everything together.
pub(super) fn conclude(
    launch: Evaluated,
    current: Option<&Evaluated>,
    qe: LevelVerdict,
    evaluation_number: u32,
) -> Result<TcbVerdict, TcbError> {
    let launched = launch.status.converge(qe.status);
    let now = current.map(|current| current.status.converge(qe.status));
    if launched == TcbStatus::Revoked || now == Some(TcbStatus::Revoked) {
        return Err(TcbError::Revoked);
    }
    let mut advisories = launch.advisories;
    advisories.extend(qe.advisories);
    advisories.sort_unstable();
    advisories.dedup();
    Ok(TcbVerdict {
        status: now.map_or(launched, |now| launched.relaunch(now)),
        platform: launch.platform,
        module: launch.module,
        current: now,
        qe: qe.status,
        advisories,
        date_s: launch.date,
        qe_date_s: qe.date,
        evaluation_number,
    })
}

const fn module_version(tdx_svn: &[u8; 16]) -> u8 {
    tdx_svn[1]
}

/// The line of modules that the SVNs name; none for the first, single line.
fn module_line<'i>(info: &'i TcbInfo, tdx_svn: &[u8; 16]) -> Result<Option<&'i ModuleLine>, TcbError> {
    let version = module_version(tdx_svn);
    if version == 0 {
        return Ok(None);
    }
    let id = format!("TDX_{version:02X}");
    let line = info.module_lines.iter().find(|line| line.id.eq_ignore_ascii_case(&id));
    line.map(Some).ok_or(TcbError::ModuleUnknown(version))
}

fn first_reached<Svn: PartialOrd + Copy>(levels: &[Level<Svn>], svn: Svn) -> Option<LevelVerdict> {
    levels.iter().find(|level| svn >= level.isv_svn).map(|level| level.verdict.clone())
}

fn all_reach(have: &[u8; 16], need: &[u8; 16], from: usize) -> bool {
    have.iter().zip(need).skip(from).all(|(have, need)| have >= need)
}

fn masked_equal<const N: usize>(have: &[u8; N], want: &[u8; N], mask: &[u8; N]) -> bool {
    have.iter().zip(want).zip(mask).all(|((have, want), mask)| (have ^ want) & mask == 0)
}
