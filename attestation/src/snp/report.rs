//! The attestation report: 1184 bytes, little-endian (SNP ABI, `ATTESTATION_REPORT`; attestation notes, 2.1.1).
//!
//! A [`Report`] is only *parsed*: whatever it says is the host's word until [`super::verify`] has run. Signatures are
//! checked over the received bytes, never over fields written back.

use super::error::Error;
use super::flags::{FirmwareVersion, GuestPolicy, PlatformInfo};
use super::product::{Cpuid, Product, RawTcb};

/// How long a report is. Longer input is not a report with something behind it: strip documented headers first.
pub const REPORT_BYTES: usize = 1184;

const SIGNED_BYTES: usize = 0x2A0;
const ECDSA_P384_SHA384: u32 = 1;

/// What a report says, field by field. Reached only through [`Report::claims_unverified`] or a verified report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Layout version, 2 to 5.
    pub version: u32,
    /// The guest's security version, from its ID block.
    pub guest_svn: u32,
    /// What the guest demanded at launch.
    pub policy: GuestPolicy,
    /// Family of the image, from its ID block.
    pub family_id: [u8; 16],
    /// The image, from its ID block.
    pub image_id: [u8; 16],
    /// The privilege level that asked for the report; 0xFFFFFFFF for the host.
    pub vmpl: u32,
    /// Firmware that runs now.
    pub current_tcb: RawTcb,
    /// How the platform is configured.
    pub platform_info: PlatformInfo,
    /// The digest of the author key is meaningful.
    pub author_key_enabled: bool,
    /// The host masked the chip's key: such reports carry no signature.
    pub chip_key_masked: bool,
    /// Which key signed: 0 VCEK, 1 VLEK, 7 none.
    pub signing_key: u8,
    /// What the guest wants to say.
    pub report_data: [u8; 64],
    /// The launch digest.
    pub measurement: [u8; 48],
    /// What the host said at launch. Signed, neither secret nor measured.
    pub host_data: [u8; 32],
    /// SHA-384 of the key that signed the ID block.
    pub id_key_digest: [u8; 48],
    /// SHA-384 of the key that certified the ID key.
    pub author_key_digest: [u8; 48],
    /// Identity of this guest instance.
    pub report_id: [u8; 32],
    /// Identity of its migration agent; all ones for none.
    pub report_id_ma: [u8; 32],
    /// The TCB that the VCEK was derived from.
    pub reported_tcb: RawTcb,
    /// The processor; from version 3 on.
    pub cpuid: Option<Cpuid>,
    /// The chip; zero under a VLEK.
    pub chip_id: [u8; 64],
    /// The TCB below which firmware cannot be rolled back.
    pub committed_tcb: RawTcb,
    /// Firmware that runs now.
    pub current_version: FirmwareVersion,
    /// Firmware below which nothing can be installed.
    pub committed_version: FirmwareVersion,
    /// The TCB when the guest was launched.
    pub launch_tcb: RawTcb,
    /// Mitigations that were in place at launch; from version 5 on.
    pub launch_mitigations: Option<u64>,
    /// Mitigations that are in place now; from version 5 on.
    pub current_mitigations: Option<u64>,
}

impl Claims {
    /// The product by CPUID; none where the report has none (version 2) or names an unknown processor.
    #[must_use]
    pub fn cpuid_product(&self) -> Option<Product> {
        self.cpuid.and_then(Product::from_cpuid)
    }
}

/// A report whose layout is right. Nothing in it is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    claims: Claims,
    bytes: [u8; REPORT_BYTES],
}

impl Report {
    /// Reads the layout: length, version, signature algorithm, and that the unsigned tail is zero.
    ///
    /// # Errors
    ///
    /// [`Error::ReportSize`], [`Error::ReportVersion`], [`Error::SignatureAlgo`] or [`Error::UnsignedNonzero`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let bytes = sized(bytes)?;
        known_version(bytes)?;
        known_algorithm(bytes)?;
        tail_is_zero(bytes)?;
        Ok(Self { claims: read_claims(bytes), bytes: *bytes })
    }

    /// What the report says. The host may have written all of it.
    #[must_use]
    pub const fn claims_unverified(&self) -> &Claims {
        &self.claims
    }

    pub(crate) fn into_claims(self) -> Claims {
        self.claims
    }

    /// The bytes that the signature covers.
    pub(crate) fn signed(&self) -> &[u8] {
        self.bytes.split_at(SIGNED_BYTES).0
    }

    /// R and S, big-endian and one after the other, as ECDSA libraries want them.
    pub(crate) fn signature(&self) -> Result<[u8; 96], Error> {
        let (r, s) = (field::<0x2A0, 72>(&self.bytes), field::<0x2E8, 72>(&self.bytes));
        let mut signature = [0; 96];
        let (first, second) = signature.split_at_mut(48);
        for (number, place) in [(r, first), (s, second)] {
            let (value, padding) = number.split_at(48);
            if padding.iter().any(|byte| *byte != 0) {
                return Err(Error::SignatureEncoding);
            }
            place.copy_from_slice(value);
            place.reverse();
        }
        Ok(signature)
    }

    /// That every signed reserved field is zero. For reports whose signature holds: a non-zero field then means
    /// firmware that says something which this build does not understand.
    pub(crate) fn reserved_is_zero(&self) -> Result<(), Error> {
        let reserved: &[(usize, usize)] = match self.claims.version {
            2 => &[(0x04C, 4), (0x188, 24), (0x1EB, 1), (0x1EF, 1), (0x1F8, 168)],
            3 | 4 => &[(0x04C, 4), (0x18B, 21), (0x1EB, 1), (0x1EF, 1), (0x1F8, 168)],
            _ => &[(0x04C, 4), (0x18B, 21), (0x1EB, 1), (0x1EF, 1), (0x208, 152)],
        };
        if u32::from_le_bytes(field::<0x048, 4>(&self.bytes)) >> 5 != 0 {
            return Err(Error::ReservedNonzero { offset: 0x048 });
        }
        for &(offset, length) in reserved {
            let zero = self.bytes.iter().skip(offset).take(length).all(|byte| *byte == 0);
            if !zero {
                return Err(Error::ReservedNonzero { offset });
            }
        }
        Ok(())
    }
}

pub(crate) fn sized(bytes: &[u8]) -> Result<&[u8; REPORT_BYTES], Error> {
    bytes.try_into().map_err(|_| Error::ReportSize(bytes.len()))
}

pub(crate) fn known_version(report: &[u8; REPORT_BYTES]) -> Result<u32, Error> {
    let version = u32::from_le_bytes(field::<0x000, 4>(report));
    if (2..=5).contains(&version) { Ok(version) } else { Err(Error::ReportVersion(version)) }
}

pub(crate) fn known_algorithm(report: &[u8; REPORT_BYTES]) -> Result<(), Error> {
    let algorithm = u32::from_le_bytes(field::<0x034, 4>(report));
    if algorithm == ECDSA_P384_SHA384 { Ok(()) } else { Err(Error::SignatureAlgo(algorithm)) }
}

pub(crate) fn tail_is_zero(report: &[u8; REPORT_BYTES]) -> Result<(), Error> {
    let tail = field::<0x330, 0x170>(report);
    if tail.iter().all(|byte| *byte == 0) { Ok(()) } else { Err(Error::UnsignedNonzero) }
}

fn read_claims(report: &[u8; REPORT_BYTES]) -> Claims {
    let u32_at = u32::from_le_bytes;
    let u64_at = u64::from_le_bytes;
    let version = u32_at(field::<0x000, 4>(report));
    let [flags, ..] = field::<0x048, 4>(report);
    let [family, model, stepping] = field::<0x188, 3>(report);
    let firmware = |[build, minor, major]: [u8; 3]| FirmwareVersion { major, minor, build };
    let since_5 = |vector: [u8; 8]| (version >= 5).then(|| u64_at(vector));
    Claims {
        version,
        guest_svn: u32_at(field::<0x004, 4>(report)),
        policy: GuestPolicy(u64_at(field::<0x008, 8>(report))),
        family_id: field::<0x010, 16>(report),
        image_id: field::<0x020, 16>(report),
        vmpl: u32_at(field::<0x030, 4>(report)),
        current_tcb: RawTcb(field::<0x038, 8>(report)),
        platform_info: PlatformInfo(u64_at(field::<0x040, 8>(report))),
        author_key_enabled: flags & 1 == 1,
        chip_key_masked: flags >> 1 & 1 == 1,
        signing_key: flags >> 2 & 0b111,
        report_data: field::<0x050, 64>(report),
        measurement: field::<0x090, 48>(report),
        host_data: field::<0x0C0, 32>(report),
        id_key_digest: field::<0x0E0, 48>(report),
        author_key_digest: field::<0x110, 48>(report),
        report_id: field::<0x140, 32>(report),
        report_id_ma: field::<0x160, 32>(report),
        reported_tcb: RawTcb(field::<0x180, 8>(report)),
        cpuid: (version >= 3).then_some(Cpuid { family, model, stepping }),
        chip_id: field::<0x1A0, 64>(report),
        committed_tcb: RawTcb(field::<0x1E0, 8>(report)),
        current_version: firmware(field::<0x1E8, 3>(report)),
        committed_version: firmware(field::<0x1EC, 3>(report)),
        launch_tcb: RawTcb(field::<0x1F0, 8>(report)),
        launch_mitigations: since_5(field::<0x1F8, 8>(report)),
        current_mitigations: since_5(field::<0x200, 8>(report)),
    }
}

/// The `N` bytes at offset `O`.
fn field<const O: usize, const N: usize>(report: &[u8; REPORT_BYTES]) -> [u8; N] {
    const { assert!(O + N <= REPORT_BYTES, "a field lies within the report") };
    *report.split_at(O).1.first_chunk().expect("O + N is at most the report's length")
}
