//! Do we accept this SEV-SNP platform and guest? Judgement over a report that `cloister-attestation` found to be true.
//!
//! A policy is a table in TOML, or an object in JSON with the same keys. A key that is absent is not checked, and the
//! check is then reported as not done; a list that is there and empty accepts nothing. All checks are made, so that one
//! run shows everything that is wrong.
//!
//! | check | keys |
//! |---|---|
//! | `policy.snp.debug` | `allow_debug`: whether the host may read the guest's memory |
//! | `policy.snp.migration` | `allow_migrate_ma`: whether a migration agent may |
//! | `policy.snp.vmpl` | `max_vmpl`: the least privileged level that may have asked for the report |
//! | `policy.snp.smt` | `allow_smt` |
//! | `policy.snp.single_socket` | `require_single_socket` |
//! | `policy.snp.ciphertext_hiding` | `require_ciphertext_hiding`: the guest demanded it, so the firmware enforces it |
//! | `policy.snp.alias_check` | `require_alias_check`: memory was checked for aliases |
//! | `policy.snp.abi` | `min_policy_abi`: the lowest firmware ABI that the guest demanded |
//! | `policy.snp.signing_key` | `allowed_signing_keys`, and `allowed_csp_ids` for VLEKs |
//! | `policy.snp.product` | `allowed_products` |
//! | `policy.snp.report_version` | `min_report_version` |
//! | `policy.snp.provisional` | `allow_provisional_firmware`: whether firmware may be rolled back |
//! | `policy.snp.firmware` | `min_firmware`: the version of the firmware that runs |
//! | `policy.snp.reported_tcb` | `min_reported_tcb` for all products, `min_reported_tcb_by_product` for each |
//! | `policy.snp.committed_tcb` | `min_committed_tcb` |
//! | `policy.snp.launch_mitigations` | `required_launch_mitigations`: bits that must have been set at launch |
//! | `policy.snp.measurement` | `measurements` |
//! | `policy.snp.id_key`, `policy.snp.author_key` | `id_key_digests`, `author_key_digests` |
//! | `policy.snp.chip` | `chip_ids`, `denied_chip_ids` |
//! | `policy.snp.report_data`, `policy.snp.host_data` | `report_data`, `host_data` |
//! | `policy.snp.crl` | `require_crl` |

use std::collections::BTreeMap;
use std::str::FromStr;

use cloister_attestation::check::{Check, ExitClass, Rejected, Stage};
use cloister_attestation::encoding::Hex;
use cloister_attestation::snp::{Product, SigningKey, Tcb, Verified};
use serde::Deserialize;

use super::snp_checks;

/// What is accepted. Absent keys are not checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is explained in the table of the module")]
pub struct SnpPolicy {
    pub allow_debug: Option<bool>,
    pub allow_migrate_ma: Option<bool>,
    pub max_vmpl: Option<u32>,
    pub allow_smt: Option<bool>,
    pub require_single_socket: Option<bool>,
    pub require_ciphertext_hiding: Option<bool>,
    pub require_alias_check: Option<bool>,
    pub min_policy_abi: Option<TwoPart>,
    pub allowed_signing_keys: Option<Vec<SigningKey>>,
    pub allowed_csp_ids: Option<Vec<String>>,
    pub allowed_products: Option<Vec<Product>>,
    pub min_report_version: Option<u32>,
    pub allow_provisional_firmware: Option<bool>,
    pub min_firmware: Option<TwoPart>,
    pub min_reported_tcb: Option<Tcb>,
    pub min_reported_tcb_by_product: Option<BTreeMap<Product, Tcb>>,
    pub min_committed_tcb: Option<Tcb>,
    pub required_launch_mitigations: Option<Mask>,
    pub measurements: Option<Vec<Hex<48>>>,
    pub id_key_digests: Option<Vec<Hex<48>>>,
    pub author_key_digests: Option<Vec<Hex<48>>>,
    pub chip_ids: Option<Vec<Hex<64>>>,
    pub denied_chip_ids: Option<Vec<Hex<64>>>,
    pub report_data: Option<Hex<64>>,
    pub host_data: Option<Hex<32>>,
    pub require_crl: Option<bool>,
}

impl SnpPolicy {
    /// Reads a policy from TOML.
    ///
    /// # Errors
    ///
    /// [`PolicyError::Malformed`], with the parser's text.
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        toml::from_str(text).map_err(|error| PolicyError::Malformed(error.message().to_owned()))
    }

    /// Reads a policy from JSON.
    ///
    /// # Errors
    ///
    /// [`PolicyError::Malformed`], with the parser's text.
    pub fn from_json(json: &[u8]) -> Result<Self, PolicyError> {
        serde_json::from_slice(json).map_err(|error| PolicyError::Malformed(error.to_string()))
    }
}

/// Judges a true report by a policy.
///
/// # Errors
///
/// The first thing that the policy does not accept, together with all checks.
pub fn check(report: &Verified, policy: &SnpPolicy) -> Result<Vec<Check>, Rejected<PolicyError>> {
    snp_checks::run(report, policy)
}

/// Why a report is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The policy is none. The text of the parser, which names the key.
    #[error("SEV-SNP policy is not well formed: {0}")]
    Malformed(String),
    /// The host may read the guest's memory.
    #[error("the guest allows debugging: the host can read its memory")]
    Debug,
    /// A migration agent may move the guest.
    #[error("the guest allows a migration agent")]
    MigrationAgent,
    /// The report was asked for at too low a privilege.
    #[error("the report was asked for at VMPL {found}, the policy allows {allowed}")]
    Vmpl {
        /// In the report.
        found: u32,
        /// In the policy.
        allowed: u32,
    },
    /// The guest allows SMT.
    #[error("the guest allows SMT")]
    Smt,
    /// The guest may span sockets.
    #[error("the guest does not demand a single socket")]
    SingleSocket,
    /// The guest does not demand ciphertext hiding.
    #[error("the guest does not demand ciphertext hiding")]
    CiphertextHiding,
    /// Memory was not checked for aliases.
    #[error("the platform has not checked its memory for aliases")]
    AliasCheck,
    /// The guest accepts firmware with too old an ABI.
    #[error("the guest accepts firmware of ABI {found}, the policy wants {wanted}")]
    Abi {
        /// In the report.
        found: TwoPart,
        /// In the policy.
        wanted: TwoPart,
    },
    /// A kind of key that is not accepted.
    #[error("the policy does not accept a {}", .0.common_name())]
    SigningKey(SigningKey),
    /// A VLEK of a provider that is not accepted.
    #[error("the policy does not accept VLEKs of {0}")]
    Provider(String),
    /// A product that is not accepted.
    #[error("the policy does not accept {0}")]
    Product(Product),
    /// A report that is too old.
    #[error("report version {found} is below {wanted}")]
    ReportVersion {
        /// In the report.
        found: u32,
        /// In the policy.
        wanted: u32,
    },
    /// Firmware that can be rolled back.
    #[error("firmware is provisional: it can be rolled back")]
    ProvisionalFirmware,
    /// Firmware that is too old.
    #[error("firmware {found} is below {wanted}")]
    Firmware {
        /// In the report.
        found: TwoPart,
        /// In the policy.
        wanted: TwoPart,
    },
    /// The reported TCB is below the minimum.
    #[error("reported TCB ({found}) is below the minimum ({wanted})")]
    ReportedTcb {
        /// In the report.
        found: Tcb,
        /// In the policy.
        wanted: Tcb,
    },
    /// The policy has minimums per product, and none for this one.
    #[error("the policy has no minimum TCB for {0}")]
    NoTcbMinimum(Product),
    /// The committed TCB is below the minimum.
    #[error("committed TCB ({found}) is below the minimum ({wanted})")]
    CommittedTcb {
        /// In the report.
        found: Tcb,
        /// In the policy.
        wanted: Tcb,
    },
    /// A mitigation was not in place at launch, or the report is too old to say.
    #[error("a required mitigation was not in place at launch")]
    LaunchMitigations,
    /// Another guest than the pinned ones.
    #[error("launch measurement is none of the pinned ones")]
    Measurement,
    /// Another ID key than the pinned ones.
    #[error("ID key is none of the pinned ones")]
    IdKey,
    /// Another author key than the pinned ones, or none.
    #[error("author key is none of the pinned ones")]
    AuthorKey,
    /// A chip that is not listed, or is denied.
    #[error("chip is not one of the accepted ones")]
    Chip,
    /// The report speaks of something else.
    #[error("report data is not the expected one")]
    ReportData,
    /// The host said something else at launch.
    #[error("host data is not the expected one")]
    HostData,
    /// Revocation was not checked.
    #[error("revocation was not checked, and the policy wants it")]
    Revocation,
}

impl PolicyError {
    /// The reason code, as in the published case sets.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "POLICY_MALFORMED",
            Self::Debug => "DEBUG",
            Self::MigrationAgent => "MIGRATE_MA",
            Self::Vmpl { .. } => "VMPL",
            Self::Smt => "SMT",
            Self::SingleSocket => "SINGLE_SOCKET",
            Self::CiphertextHiding => "GUEST_POLICY",
            Self::AliasCheck => "PLATFORM_INFO",
            Self::Abi { .. } => "ABI_VERSION",
            Self::SigningKey(_) => "SIGNING_KEY",
            Self::Provider(_) => "CSP_ID",
            Self::Product(_) => "PRODUCT",
            Self::ReportVersion { .. } => "REPORT_VERSION",
            Self::ProvisionalFirmware => "PROVISIONAL_FIRMWARE",
            Self::Firmware { .. } => "FIRMWARE_VERSION",
            Self::ReportedTcb { .. } | Self::NoTcbMinimum(_) | Self::CommittedTcb { .. } => "TCB_BELOW_MINIMUM",
            Self::LaunchMitigations => "MITIGATION_VECTOR",
            Self::Measurement => "MEASUREMENT",
            Self::IdKey => "ID_KEY_DIGEST",
            Self::AuthorKey => "AUTHOR_KEY_DIGEST",
            Self::Chip => "CHIP_ID",
            Self::ReportData => "REPORT_DATA",
            Self::HostData => "HOST_DATA",
            Self::Revocation => "CRL_MISSING",
        }
    }

    /// Where the evidence failed: always at the policy.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        Stage::Policy
    }

    /// What kind of refusal it is.
    #[must_use]
    pub const fn class(&self) -> ExitClass {
        if matches!(self, Self::Revocation) { ExitClass::Collateral } else { ExitClass::Rejected }
    }
}

/// A version of two parts, written `1.55`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct TwoPart {
    /// Before the dot.
    pub major: u8,
    /// Behind it.
    pub minor: u8,
}

impl std::fmt::Display for TwoPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl TryFrom<String> for TwoPart {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let parts = text.split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        parts.map(|(major, minor)| Self { major, minor }).ok_or("not a version of two numbers, such as \"1.55\"")
    }
}

/// A mask of 64 bits, written `0x3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Mask(pub u64);

impl FromStr for Mask {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("0x").filter(|digits| digits.bytes().all(|c| c.is_ascii_hexdigit()));
        digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).map(Self).ok_or("not a mask, such as \"0x3\"")
    }
}

impl TryFrom<String> for Mask {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}
