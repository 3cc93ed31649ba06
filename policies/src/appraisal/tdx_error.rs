//! Why true TDX evidence is not accepted: one variant per check, with its stage and a stable code.

use cloister_attestation::check::{ExitClass, Stage};
use cloister_attestation::tdx::TcbStatus;

/// Why true TDX evidence is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The policy speaks of TCB, and there is no collateral to judge it by.
    #[error("the policy speaks of the TCB, and no collateral was given")]
    NoCollateral,
    /// A TCB status that is not good enough.
    #[error("TCB status {} is not accepted", .0.name())]
    TcbStatus(TcbStatus),
    /// An open advisory.
    #[error("advisory {0} is open and not accepted")]
    Advisory(String),
    /// Collateral from before a recovery that the policy wants to see.
    #[error("collateral has evaluation number {found}, the policy wants {wanted}")]
    EvaluationNumber {
        /// What was found.
        found: u32,
        /// What is wanted at least.
        wanted: u32,
    },
    /// A claim that is not as the policy wants it, by its code.
    #[error("{}", .0.text())]
    Claim(Claim),
}

/// A claim of the TD or its platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// TDATTRIBUTES bit 0.
    Debug,
    /// Attributes without a known meaning.
    Reserved,
    /// TDATTRIBUTES bit 28.
    SeptVeDisable,
    /// TDATTRIBUTES bit 29.
    Migratable,
    /// MRSERVICETD or the attribute for it.
    ServiceTd,
    /// TDATTRIBUTES bit 63.
    Perfmon,
    /// All of TDATTRIBUTES.
    TdAttributes,
    /// XFAM.
    Xfam,
    /// MRSEAM.
    MrSeam,
    /// MRTD.
    MrTd,
    /// One of RTMR0 to RTMR3.
    Rtmr(u8),
    /// MRCONFIGID.
    MrConfigId,
    /// MROWNER.
    MrOwner,
    /// MROWNERCONFIG.
    MrOwnerConfig,
    /// REPORTDATA.
    ReportData,
    /// PPID.
    Platform,
    /// Hyperthreading.
    Smt,
    /// Packages may be added.
    DynamicPlatform,
    /// Intel keeps the root keys.
    CachedKeys,
}

impl Claim {
    const fn facts(self) -> (&'static str, &'static str) {
        match self {
            Self::Debug => ("DEBUG", "the TD runs in debug mode: the host can read it"),
            Self::Reserved => ("TD_ATTRIBUTES_RESERVED", "the TD has attributes whose meaning is not known"),
            Self::SeptVeDisable => ("SEPT_VE_DISABLE", "the host can inject exceptions into the TD"),
            Self::Migratable => ("MIGRATABLE", "the TD may be migrated"),
            Self::ServiceTd => ("MRSERVICETD", "the TD is bound to a service TD"),
            Self::Perfmon => ("PERFMON", "the TD runs with performance counters"),
            Self::TdAttributes => ("TD_ATTRIBUTES", "the attributes of the TD are not the pinned ones"),
            Self::Xfam => ("XFAM", "the extended features of the TD are not the pinned ones, or impossible"),
            Self::MrSeam => ("MR_SEAM", "the TDX module is not a pinned one"),
            Self::MrTd => ("MRTD", "the virtual firmware is not a pinned one"),
            Self::Rtmr(0) => ("RTMR0", "the firmware configuration is not a pinned one"),
            Self::Rtmr(1) => ("RTMR1", "loader and kernel are not pinned ones"),
            Self::Rtmr(2) => ("RTMR2", "kernel command line and initrd are not pinned ones"),
            Self::Rtmr(_) => ("RTMR3", "the measurement of user space is not a pinned one"),
            Self::MrConfigId => ("MR_CONFIG_ID", "the configuration id is not the pinned one"),
            Self::MrOwner => ("MR_OWNER", "the owner is not the pinned one"),
            Self::MrOwnerConfig => ("MR_OWNER_CONFIG", "the owner's configuration is not the pinned one"),
            Self::ReportData => ("REPORT_DATA", "the TD did not have the wanted data signed"),
            Self::Platform => ("PPID", "the platform is not a pinned one"),
            Self::Smt => ("SMT", "the platform runs with hyperthreading"),
            Self::DynamicPlatform => ("DYNAMIC_PLATFORM", "packages may be added to the platform"),
            Self::CachedKeys => ("CACHED_KEYS", "Intel keeps the platform's root keys"),
        }
    }

    const fn text(self) -> &'static str {
        self.facts().1
    }
}

impl PolicyError {
    /// The stable code of the reason.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoCollateral => "COLLATERAL_MISSING",
            Self::TcbStatus(_) => "TCB_STATUS",
            Self::Advisory(_) => "ADVISORY",
            Self::EvaluationNumber { .. } => "TCB_EVALUATION_NUMBER",
            Self::Claim(claim) => claim.facts().0,
        }
    }

    /// The stage of the trust path at which it was refused.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        match self {
            Self::NoCollateral => Stage::Collateral,
            Self::TcbStatus(_) => Stage::Tcb,
            Self::Advisory(_) | Self::EvaluationNumber { .. } | Self::Claim(_) => Stage::Policy,
        }
    }

    /// What kind of refusal it is.
    #[must_use]
    pub const fn class(&self) -> ExitClass {
        match self {
            Self::NoCollateral => ExitClass::Collateral,
            Self::TcbStatus(_) | Self::Advisory(_) | Self::EvaluationNumber { .. } | Self::Claim(_) => {
                ExitClass::Rejected
            }
        }
    }
}
