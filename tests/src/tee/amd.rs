//! A small AMD of our own: ARK, ASK, VCEK and revocation list, and a secure processor that signs reports.

use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PSS_SHA384, RsaKeyPair};

use super::der::{bits, integer, octets, oid, sequence, tlv};
use crate::tsm::{Blobs, Platform};

/// How long a report is.
pub const REPORT_BYTES: usize = 1184;

const SIGNED_BYTES: usize = 0x2A0;
/// SHA-384 everywhere, salt 48 (RFC 4055), as AMD has it.
const PSS_SHA384: &[u8] = &[
    0x30, 0x41, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0A, 0x30, 0x34, 0xA0, 0x0F, 0x30, 0x0D,
    0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0xA1, 0x1C, 0x30, 0x1A, 0x06, 0x09,
    0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x08, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03,
    0x04, 0x02, 0x02, 0x05, 0x00, 0xA2, 0x03, 0x02, 0x01, 0x30,
];
/// 1.3.6.1.4.1.3704.1
const AMD_ARC: &[u8] = &[0x2B, 0x06, 0x01, 0x04, 0x01, 0x9C, 0x78, 0x01];

const GUID_VCEK: [u8; 16] = 0x63da_758d_e664_4564_adc5_f4b9_3be8_accd_u128.to_be_bytes();
const GUID_ASK: [u8; 16] = 0x4ab7_b379_bbac_4fe4_a02f_05ae_f327_c782_u128.to_be_bytes();
const GUID_ARK: [u8; 16] = 0xc0b4_06a4_a803_4952_9743_3fb6_014c_d0ae_u128.to_be_bytes();

/// A product line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// Reports of version 5 by default.
    Genoa,
    /// With a chip id of eight bytes and another TCB layout.
    Turin,
}

impl Line {
    const fn name(self) -> &'static str {
        match self {
            Self::Genoa => "Genoa",
            Self::Turin => "Turin",
        }
    }

    /// The TCB as it stands in reports: all new.
    const fn tcb(self) -> [u8; 8] {
        match self {
            Self::Genoa => [0x0B, 0, 0, 0, 0, 0, 0x1E, 0x5A],
            Self::Turin => [1, 2, 1, 5, 0, 0, 0, 0x50],
        }
    }

    const fn cpuid(self) -> [u8; 3] {
        match self {
            Self::Genoa => [0x19, 0x11, 1],
            Self::Turin => [0x1A, 0x02, 1],
        }
    }

    /// Identifier below AMD's arc, and value.
    fn extensions(self, chip: &[u8; 64]) -> Vec<(&'static [u8], Vec<u8>)> {
        let tcb = self.tcb();
        let product = tlv(0x16, self.name().as_bytes());
        match self {
            Self::Genoa => vec![
                (&[1], integer(0)),
                (&[2], product),
                (&[3, 1], integer(tcb[0])),
                (&[3, 2], integer(tcb[1])),
                (&[3, 3], integer(tcb[6])),
                (&[3, 8], integer(tcb[7])),
                (&[4], chip.to_vec()),
            ],
            Self::Turin => vec![
                (&[1], integer(1)),
                (&[2], product),
                (&[3, 1], integer(tcb[1])),
                (&[3, 2], integer(tcb[2])),
                (&[3, 3], integer(tcb[3])),
                (&[3, 8], integer(tcb[7])),
                (&[3, 9], integer(tcb[0])),
                (&[4], chip.split_at(8).0.to_vec()),
            ],
        }
    }
}

/// A chip, and those who vouch for it.
pub struct Amd {
    /// Keys of root and intermediate.
    company: Arc<[RsaKeyPair; 2]>,
    line: Line,
    version: u32,
    chip: [u8; 64],
    vcek_key: EcdsaKeyPair,
    /// The root, DER.
    pub ark: Vec<u8>,
    /// The intermediate, DER.
    pub ask: Vec<u8>,
    /// The leaf, DER.
    pub vcek: Vec<u8>,
    /// The root's revocation list, which is empty, DER.
    pub crl: Vec<u8>,
    /// Whether the host hands out the certificate table.
    pub hands_out_table: bool,
}

impl std::fmt::Debug for Amd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Amd").field("line", &self.line).field("version", &self.version).finish_non_exhaustive()
    }
}

impl Amd {
    /// A new company with new keys, whose chip makes reports of this version (3 or 5).
    ///
    /// # Errors
    /// If keys cannot be made; RSA keys are made by the `openssl` program.
    pub fn new(line: Line, version: u32) -> anyhow::Result<Self> {
        Self::with_keys(Arc::new([rsa_key()?, rsa_key()?]), line, version)
    }

    /// Another chip of the same company, of whatever line: its root has another name and the same key.
    ///
    /// # Errors
    /// If the chip's key cannot be made.
    pub fn another(&self, line: Line, version: u32) -> anyhow::Result<Self> {
        Self::with_keys(Arc::clone(&self.company), line, version)
    }

    fn with_keys(company: Arc<[RsaKeyPair; 2]>, line: Line, version: u32) -> anyhow::Result<Self> {
        let [ark_key, ask_key] = company.as_ref();
        let vcek_pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &SystemRandom::new());
        let vcek_pkcs8 = vcek_pkcs8.map_err(|_| anyhow::anyhow!("no P-384 key"))?;
        let vcek_key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, vcek_pkcs8.as_ref(), &SystemRandom::new());
        let vcek_key = vcek_key.map_err(|_| anyhow::anyhow!("no P-384 key"))?;
        let mut chip = [0; 64];
        let random = if line == Line::Turin { chip.split_at_mut(8).0 } else { chip.as_mut_slice() };
        getrandom::fill(random).context("no randomness")?;

        let ark_name = name(&format!("ARK-{}", line.name()));
        let ask_name = name(&format!("SEV-{}", line.name()));
        let certificate = |subject: &[u8], key: Vec<u8>, extensions: Vec<Vec<u8>>, issuer: (&[u8], &RsaKeyPair)| {
            sign(&tbs(issuer.0, subject, key, &extensions), issuer.1)
        };
        let ark = certificate(&ark_name, rsa_spki(ark_key), ca(), (&ark_name, ark_key))?;
        let ask = certificate(&ask_name, rsa_spki(ask_key), ca(), (&ark_name, ark_key))?;
        let extension = |(id, value): (&[u8], Vec<u8>)| sequence(&[oid(&[AMD_ARC, id].concat()), octets(&value)]);
        let extensions = line.extensions(&chip).into_iter().map(extension).collect();
        let vcek = certificate(&name("SEV-VCEK"), p384_spki(&vcek_key), extensions, (&ask_name, ask_key))?;
        let crl = sign(&empty_crl(&ark_name, b"491231235959Z"), ark_key)?;
        Ok(Self { company, line, version, chip, vcek_key, ark, ask, vcek, crl, hands_out_table: true })
    }

    /// A revocation list that was current for the first half of 2024 only.
    ///
    /// # Errors
    /// If it cannot be signed.
    pub fn expired_crl(&self) -> anyhow::Result<Vec<u8>> {
        let [ark_key, _] = self.company.as_ref();
        sign(&empty_crl(&name(&format!("ARK-{}", self.line.name())), b"240630000000Z"), ark_key)
    }

    /// Intermediate and root as AMD publishes them: PEM, one after the other.
    #[must_use]
    pub fn chain_pem(&self) -> String {
        [&self.ask, &self.ark].map(|der| pem(der)).concat()
    }

    /// A report over these bytes.
    ///
    /// # Panics
    /// If the system has no randomness for a signature.
    #[must_use]
    pub fn report(&self, report_data: &[u8; 64]) -> Vec<u8> {
        let mut report = vec![0; REPORT_BYTES];
        let mut put = |offset: usize, bytes: &[u8]| {
            for (place, byte) in report.iter_mut().skip(offset).zip(bytes) {
                *place = *byte;
            }
        };
        let tcb = self.line.tcb();
        put(0x000, &self.version.to_le_bytes());
        put(0x008, &0x3_0000u64.to_le_bytes());
        put(0x034, &1u32.to_le_bytes());
        put(0x038, &tcb);
        // ECC, ciphertext hiding and the check for aliased memory.
        put(0x040, &0b11_0101u64.to_le_bytes());
        put(0x050, report_data);
        put(0x090, &[0xA5; 48]);
        put(0x140, &[0x17; 32]);
        put(0x160, &[0xFF; 32]);
        put(0x180, &tcb);
        put(0x188, &self.line.cpuid());
        put(0x1A0, &self.chip);
        put(0x1E0, &tcb);
        put(0x1E8, &[0x10, 58, 1, 0, 0x10, 58, 1]);
        put(0x1F0, &tcb);
        if self.version >= 5 {
            put(0x1F8, &[0x0F, 0, 0, 0, 0, 0, 0, 0, 0x0F]);
        }
        let signed = report.get(..SIGNED_BYTES).unwrap_or_default();
        let signature = self.vcek_key.sign(&SystemRandom::new(), signed).expect("the system has randomness");
        let (r, s) = signature.as_ref().split_at(48);
        for (offset, number) in [(0x2A0, r), (0x2E8, s)] {
            for (place, byte) in report.iter_mut().skip(offset).zip(number.iter().rev()) {
                *place = *byte;
            }
        }
        report
    }

    /// The table that a host of good will hands out.
    #[must_use]
    pub fn table(&self) -> Vec<u8> {
        let certificates = [(GUID_ARK, &self.ark), (GUID_ASK, &self.ask), (GUID_VCEK, &self.vcek)];
        let mut offset = u32::try_from((certificates.len() + 1) * 24).unwrap_or_default();
        let (mut entries, mut contents) = (Vec::new(), Vec::new());
        for (guid, certificate) in certificates {
            let length = u32::try_from(certificate.len()).unwrap_or_default();
            entries.extend(guid);
            entries.extend(offset.to_le_bytes());
            entries.extend(length.to_le_bytes());
            contents.extend_from_slice(certificate);
            offset += length;
        }
        [entries, vec![0; 24], contents].concat()
    }
}

impl Platform for Amd {
    fn provider(&self) -> &'static str {
        "sev_guest"
    }

    fn evidence(&self, report_data: &[u8; 64]) -> Blobs {
        Blobs { outblob: self.report(report_data), auxblob: self.hands_out_table.then(|| self.table()) }
    }
}

fn rsa_key() -> anyhow::Result<RsaKeyPair> {
    let output = Command::new("openssl")
        .args(["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096", "-outform", "DER"])
        .output()
        .context("start openssl (Debian package openssl)")?;
    ensure!(output.status.success(), "openssl makes no key: {}", String::from_utf8_lossy(&output.stderr));
    // Version 3 writes RSA keys bare, others in PKCS #8.
    let key = RsaKeyPair::from_der(&output.stdout).or_else(|_| RsaKeyPair::from_pkcs8(&output.stdout));
    key.map_err(|error| anyhow::anyhow!("openssl's key: {error}"))
}

fn rsa_spki(key: &RsaKeyPair) -> Vec<u8> {
    const RSA_ENCRYPTION: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01];
    sequence(&[sequence(&[oid(RSA_ENCRYPTION), tlv(5, &[])]), bits(key.public_key().as_ref())])
}

fn p384_spki(key: &EcdsaKeyPair) -> Vec<u8> {
    const EC_PUBLIC_KEY: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];
    const SECP384R1: &[u8] = &[0x2B, 0x81, 0x04, 0x00, 0x22];
    sequence(&[sequence(&[oid(EC_PUBLIC_KEY), oid(SECP384R1)]), bits(key.public_key().as_ref())])
}

fn name(common: &str) -> Vec<u8> {
    let part = |id: u8, text: &str| tlv(0x31, &sequence(&[oid(&[0x55, 0x04, id]), tlv(0x0C, text.as_bytes())]));
    sequence(&[part(10, "Not Advanced Micro Devices"), part(3, common)])
}

/// What an issuing certificate has: basic constraints and the right to sign certificates and lists.
fn ca() -> Vec<Vec<u8>> {
    let critical = tlv(1, &[0xFF]);
    let constraints = octets(&sequence(&[tlv(1, &[0xFF])]));
    let usage = octets(&[3, 2, 1, 6]);
    vec![
        sequence(&[oid(&[0x55, 0x1D, 0x13]), critical.clone(), constraints]),
        sequence(&[oid(&[0x55, 0x1D, 0x0F]), critical, usage]),
    ]
}

fn tbs(issuer: &[u8], subject: &[u8], key: Vec<u8>, extensions: &[Vec<u8>]) -> Vec<u8> {
    let mut serial = [0; 8];
    getrandom::fill(&mut serial).ok();
    let [first, ..] = &mut serial;
    *first = *first >> 1 | 1;
    let validity = sequence(&[tlv(0x17, b"240101000000Z"), tlv(0x17, b"491231235959Z")]);
    sequence(&[
        tlv(0xA0, &integer(2)),
        tlv(2, &serial),
        PSS_SHA384.to_vec(),
        issuer.to_vec(),
        validity,
        subject.to_vec(),
        key,
        tlv(0xA3, &sequence(extensions)),
    ])
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

fn empty_crl(issuer: &[u8], until: &[u8]) -> Vec<u8> {
    let (from, until) = (tlv(0x17, b"240101000000Z"), tlv(0x17, until));
    sequence(&[integer(1), PSS_SHA384.to_vec(), issuer.to_vec(), from, until])
}

fn sign(body: &[u8], key: &RsaKeyPair) -> anyhow::Result<Vec<u8>> {
    let mut signature = vec![0; key.public().modulus_len()];
    let signed = key.sign(&RSA_PSS_SHA384, &SystemRandom::new(), body, &mut signature);
    signed.map_err(|_| anyhow::anyhow!("RSA does not sign"))?;
    Ok(sequence(&[body.to_vec(), PSS_SHA384.to_vec(), bits(&signature)]))
}
