//! The bit fields of a report: guest policy, platform information, signing key, firmware version.

/// What the guest demanded of the platform at launch (SNP ABI, table "Guest Policy").
///
/// For `single_socket`, `xts`, `rapl_disabled`, `ciphertext_hiding` and `page_swap_disabled` a one is the *safer* value;
/// for `smt_allowed`, `migration_agent_allowed`, `debug_allowed` and `cxl_allowed` it is the *looser* one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestPolicy(pub u64);

impl GuestPolicy {
    /// Lowest ABI version of the firmware that the guest accepts: major, minor.
    #[must_use]
    pub const fn abi(self) -> (u8, u8) {
        let [minor, major, ..] = self.0.to_le_bytes();
        (major, minor)
    }

    /// SMT may be on.
    #[must_use]
    pub const fn smt_allowed(self) -> bool {
        self.bit(16)
    }

    /// Bit 17, which must be one, and bits 26 to 63, which must be zero, are so.
    #[must_use]
    pub const fn reserved_bits_hold(self) -> bool {
        self.must_be_one() && self.0 >> 26 == 0
    }

    /// Bit 17.
    pub(crate) const fn must_be_one(self) -> bool {
        self.bit(17)
    }

    /// A migration agent may move the guest, and so read it.
    #[must_use]
    pub const fn migration_agent_allowed(self) -> bool {
        self.bit(18)
    }

    /// The host may read the guest's memory.
    #[must_use]
    pub const fn debug_allowed(self) -> bool {
        self.bit(19)
    }

    /// The guest runs on one socket only.
    #[must_use]
    pub const fn single_socket(self) -> bool {
        self.bit(20)
    }

    /// CXL devices may be populated.
    #[must_use]
    pub const fn cxl_allowed(self) -> bool {
        self.bit(21)
    }

    /// Memory must be encrypted with AES-256-XTS.
    #[must_use]
    pub const fn xts(self) -> bool {
        self.bit(22)
    }

    /// RAPL must be off.
    #[must_use]
    pub const fn rapl_disabled(self) -> bool {
        self.bit(23)
    }

    /// Ciphertext hiding must be on.
    #[must_use]
    pub const fn ciphertext_hiding(self) -> bool {
        self.bit(24)
    }

    /// The host may not swap pages.
    #[must_use]
    pub const fn page_swap_disabled(self) -> bool {
        self.bit(25)
    }

    const fn bit(self, bit: u32) -> bool {
        self.0 >> bit & 1 == 1
    }
}

/// How the platform is configured (SNP ABI, `PLATFORM_INFO`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlatformInfo(pub u64);

impl PlatformInfo {
    /// SMT is on.
    #[must_use]
    pub const fn smt(self) -> bool {
        self.bit(0)
    }

    /// Transparent SME is on.
    #[must_use]
    pub const fn tsme(self) -> bool {
        self.bit(1)
    }

    /// Memory has ECC.
    #[must_use]
    pub const fn ecc(self) -> bool {
        self.bit(2)
    }

    /// RAPL is off.
    #[must_use]
    pub const fn rapl_disabled(self) -> bool {
        self.bit(3)
    }

    /// Ciphertext of the guest's memory is hidden from the host.
    #[must_use]
    pub const fn ciphertext_hiding(self) -> bool {
        self.bit(4)
    }

    /// Memory was checked for aliases since the last reset (the mitigation of `BadRAM`).
    #[must_use]
    pub const fn alias_check_complete(self) -> bool {
        self.bit(5)
    }

    /// Trusted I/O is on.
    #[must_use]
    pub const fn tio(self) -> bool {
        self.bit(7)
    }

    const fn bit(self, bit: u32) -> bool {
        self.0 >> bit & 1 == 1
    }
}

/// The kind of key that signs reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum SigningKey {
    /// A key of one chip at one TCB.
    #[serde(rename = "VCEK")]
    Vcek,
    /// A key of one cloud provider at one TCB: it does not identify a machine.
    #[serde(rename = "VLEK")]
    Vlek,
}

impl SigningKey {
    /// The value in a report.
    #[must_use]
    pub const fn value(self) -> u8 {
        match self {
            Self::Vcek => 0,
            Self::Vlek => 1,
        }
    }

    /// The key of a value in a report.
    #[must_use]
    pub const fn from_value(value: u8) -> Option<Self> {
        match value {
            0 => Some(Self::Vcek),
            1 => Some(Self::Vlek),
            _ => None,
        }
    }

    /// The common name of its certificate.
    #[must_use]
    pub const fn common_name(self) -> &'static str {
        match self {
            Self::Vcek => "SEV-VCEK",
            Self::Vlek => "SEV-VLEK",
        }
    }
}

/// A version of the SNP firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FirmwareVersion {
    /// Major part.
    pub major: u8,
    /// Minor part.
    pub minor: u8,
    /// Build number.
    pub build: u8,
}

impl std::fmt::Display for FirmwareVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{} build {}", self.major, self.minor, self.build)
    }
}
