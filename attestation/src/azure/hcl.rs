//! The container that Azure's paravisor (HCL) keeps the hardware report in, and the runtime data behind it.
//!
//! | offset | length | field |
//! |---|---|---|
//! | 0 | 4 | `HCLA` |
//! | 4 | 4 | version, 1 or 2 |
//! | 8 | 4 | length of everything from here to the end of the runtime data, this header included |
//! | 12 | 4 | request type, 2 |
//! | 16 | 16 | status and reserved, zero |
//! | 32 | 1184 | hardware report: SEV-SNP report, or `TDREPORT` followed by zeros |
//! | 1216 | 20 | length of the data, version 1, report type, hash type 1 (SHA-256), length of the runtime data |
//! | 1236 | | runtime data, JSON; then zeros |
//!
//! Numbers are little-endian. Nothing but the hardware report's own signature vouches for any of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde::Deserialize;
use subtle::ConstantTimeEq as _;

use super::Error;
use crate::encoding::sha256;

/// Containers above this are not looked at; Azure's have 2600 bytes.
const MAX_HCL_BYTES: usize = 64 * 1024;
const HEADER_BYTES: usize = 32;
const HARDWARE_BYTES: usize = 1184;
const DATA_HEADER_BYTES: usize = 20;
const TDREPORT_BYTES: usize = 1024;

const ATTESTATION_KEY_ID: &str = "HCLAkPub";
const RSA_EXPONENT: &[u8] = &[1, 0, 1];

/// The kind of hardware report in a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportKind {
    /// An SEV-SNP report.
    Snp,
    /// A `TDREPORT`, which only the machine that made it can check: the quote beside it counts.
    Tdx,
}

impl ReportKind {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Snp => "sev-snp",
            Self::Tdx => "tdx",
        }
    }
}

/// A container whose layout is right. Nothing in it is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HclReport<'a> {
    kind: ReportKind,
    hardware: &'a [u8; HARDWARE_BYTES],
    runtime_data: &'a [u8],
}

impl<'a> HclReport<'a> {
    /// Reads the layout.
    ///
    /// # Errors
    ///
    /// [`Error::Hcl`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_HCL_BYTES {
            return Err(Error::Hcl("too large"));
        }
        let short = || Error::Hcl("too short");
        let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or_else(short)?;
        let (hardware, rest) = rest.split_first_chunk::<HARDWARE_BYTES>().ok_or_else(short)?;
        let (data, rest) = rest.split_first_chunk::<DATA_HEADER_BYTES>().ok_or_else(short)?;
        let [data_length, data_version, kind, hash, runtime_length] = numbers(data);
        let kind = match kind {
            2 => ReportKind::Snp,
            4 => ReportKind::Tdx,
            _ => return Err(Error::Hcl("unknown report type")),
        };
        if (data_version, hash) != (1, 1) {
            return Err(Error::Hcl("unknown version or hash of the runtime data"));
        }
        let length = usize::try_from(runtime_length).map_err(|_| short())?;
        let (runtime_data, padding) = rest.split_at_checked(length).ok_or_else(short)?;
        check_header(header, data_length, runtime_length)?;
        let unused = match kind {
            ReportKind::Snp => &[],
            ReportKind::Tdx => hardware.split_at(TDREPORT_BYTES).1,
        };
        if padding.iter().chain(unused).any(|byte| *byte != 0) {
            return Err(Error::Hcl("padding is not zero"));
        }
        Ok(Self { kind, hardware, runtime_data })
    }

    /// What kind of hardware report it holds.
    #[must_use]
    pub const fn kind(&self) -> ReportKind {
        self.kind
    }

    /// The runtime data, which the host may have written.
    #[must_use]
    pub const fn runtime_data_unverified(&self) -> &'a [u8] {
        self.runtime_data
    }

    /// Whether container and runtime data belong together: that the hardware report *in the container*, true or not,
    /// speaks of the runtime data.
    ///
    /// # Errors
    ///
    /// [`Error::RuntimeDataHash`].
    pub fn check_own_binding(&self) -> Result<(), Error> {
        let offset = match self.kind {
            ReportKind::Snp => 0x50,
            ReportKind::Tdx => 128,
        };
        let report_data = self.hardware.split_at(offset).1.first_chunk::<64>();
        self.runtime_data_is(report_data.ok_or(Error::RuntimeDataHash)?)
    }

    /// The hardware report, which the host may have written.
    #[must_use]
    pub const fn hardware_report_unverified(&self) -> &'a [u8] {
        self.hardware
    }

    /// That `report_data` is the runtime data's hash and nothing else.
    pub(super) fn runtime_data_is(&self, report_data: &[u8; 64]) -> Result<(), Error> {
        let mut wanted = [0; 64];
        wanted.split_at_mut(32).0.copy_from_slice(&sha256(self.runtime_data).0);
        let same: bool = wanted.ct_eq(report_data).into();
        if same { Ok(()) } else { Err(Error::RuntimeDataHash) }
    }
}

fn check_header(header: &[u8; HEADER_BYTES], data_length: u32, runtime_length: u32) -> Result<(), Error> {
    let (magic, fields) = header.split_first_chunk::<4>().ok_or(Error::Hcl("too short"))?;
    let [version, length, request, status @ ..]: [u32; 7] = numbers(fields);
    if magic != b"HCLA" || !(1..=2).contains(&version) || request != 2 || status != [0; 4] {
        return Err(Error::Hcl("not a header of a known version"));
    }
    // 20, 32 and 1184 bytes come before the runtime data; the sums cannot overflow in 64 bits.
    let (data_length, runtime_length) = (u64::from(data_length), u64::from(runtime_length));
    if data_length != runtime_length + 20 || u64::from(length) != data_length + 1216 {
        return Err(Error::Hcl("lengths disagree"));
    }
    Ok(())
}

fn numbers<const N: usize>(bytes: &[u8]) -> [u32; N] {
    let mut numbers = [0; N];
    for (number, bytes) in numbers.iter_mut().zip(bytes.chunks_exact(4)) {
        let mut word = [0; 4];
        word.copy_from_slice(bytes);
        *number = u32::from_le_bytes(word);
    }
    numbers
}

/// What the paravisor says about the virtual machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeData {
    /// The key that the virtual TPM signs quotes with.
    pub attestation_key: AttestationKey,
    /// Whether the guest's firmware checks what it starts; none where the paravisor does not say.
    pub secure_boot: Option<bool>,
    /// The machine's identity, as Azure wrote it; none where the paravisor does not say.
    pub vm_unique_id: Option<String>,
    /// What the guest wrote into NV index 0x01400002 before the report was made.
    pub user_data: Option<[u8; 64]>,
}

/// The virtual TPM's attestation key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestationKey {
    modulus: Vec<u8>,
}

#[derive(Deserialize)]
struct RawRuntimeData {
    keys: Vec<RawKey>,
    #[serde(rename = "vm-configuration")]
    vm_configuration: Option<RawConfiguration>,
    #[serde(rename = "user-data")]
    user_data: Option<String>,
}

#[derive(Deserialize)]
struct RawKey {
    kid: String,
    kty: String,
    e: String,
    n: String,
}

#[derive(Deserialize)]
struct RawConfiguration {
    #[serde(rename = "secure-boot")]
    secure_boot: Option<bool>,
    #[serde(rename = "vmUniqueId")]
    vm_unique_id: Option<String>,
}

impl RuntimeData {
    pub(super) fn read(json: &[u8]) -> Result<Self, Error> {
        let raw: RawRuntimeData = serde_json::from_slice(json).map_err(|_| Error::RuntimeData("not the known JSON"))?;
        let mut keys = raw.keys.iter().filter(|key| key.kid == ATTESTATION_KEY_ID);
        let (Some(key), None) = (keys.next(), keys.next()) else {
            return Err(Error::RuntimeData("not exactly one attestation key"));
        };
        let user_data = raw.user_data.map(|text| {
            let mut bytes = [0; 64];
            hex::decode_to_slice(&text, &mut bytes).map(|()| bytes).map_err(|_| Error::RuntimeData("user data"))
        });
        let configuration = raw.vm_configuration;
        Ok(Self {
            attestation_key: AttestationKey::read(key)?,
            secure_boot: configuration.as_ref().and_then(|own| own.secure_boot),
            vm_unique_id: configuration.and_then(|own| own.vm_unique_id),
            user_data: user_data.transpose()?,
        })
    }
}

impl AttestationKey {
    fn read(key: &RawKey) -> Result<Self, Error> {
        let number = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| Error::RuntimeData("attestation key"));
        let (modulus, exponent) = (number(&key.n)?, number(&key.e)?);
        let long_enough = (256..=512).contains(&modulus.len());
        if key.kty != "RSA" || exponent != RSA_EXPONENT || !long_enough {
            return Err(Error::RuntimeData("attestation key is not RSA of 2048 to 4096 bits with exponent 65537"));
        }
        Ok(Self { modulus })
    }

    /// Checks an RSASSA-PKCS1-v1_5 signature with SHA-256.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        let key = RsaPublicKeyComponents { n: self.modulus.as_slice(), e: RSA_EXPONENT };
        key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).map_err(|_| Error::QuoteSignature)
    }
}
