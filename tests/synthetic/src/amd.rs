//! A small AMD of our own: ARK, ASK, VCEK and revocation list, and a secure processor that signs reports.

mod x509;

use std::sync::Arc;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloister_attestation::document::SnpCollateral;
use cloister_attestation::encoding::Base64;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, RsaKeyPair};

use crate::der::{integer, octets, oid, sequence, tlv};
use x509::{LONG, ca, crl, name, p384_spki, rsa_spki, sign, tbs};

pub(crate) use x509::rsa_key;

/// How long a report is.
pub const REPORT_BYTES: usize = 1184;

const SIGNED_BYTES: usize = 0x2A0;
/// 1.3.6.1.4.1.3704.1
const AMD_ARC: &[u8] = &[0x2B, 0x06, 0x01, 0x04, 0x01, 0x9C, 0x78, 0x01];

const GUID_VCEK: [u8; 16] = 0x63da_758d_e664_4564_adc5_f4b9_3be8_accd_u128.to_be_bytes();
const GUID_ASK: [u8; 16] = 0x4ab7_b379_bbac_4fe4_a02f_05ae_f327_c782_u128.to_be_bytes();
const GUID_ARK: [u8; 16] = 0xc0b4_06a4_a803_4952_9743_3fb6_014c_d0ae_u128.to_be_bytes();

/// A product line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// With reports of versions 2 and 3.
    Milan,
    /// Reports of version 5 by default.
    Genoa,
    /// With a chip id of eight bytes and another TCB layout.
    Turin,
}

impl Line {
    const fn name(self) -> &'static str {
        match self {
            Self::Milan => "Milan",
            Self::Genoa => "Genoa",
            Self::Turin => "Turin",
        }
    }

    /// What the VCEK calls it.
    const fn product(self) -> &'static str {
        if matches!(self, Self::Milan) { "Milan-B0" } else { self.name() }
    }

    /// The TCB as it stands in reports: all new.
    const fn tcb(self) -> [u8; 8] {
        match self {
            Self::Milan => [4, 0, 0, 0, 0, 0, 0x1C, 0xDB],
            Self::Genoa => [0x0B, 0, 0, 0, 0, 0, 0x1E, 0x5A],
            Self::Turin => [1, 2, 1, 5, 0, 0, 0, 0x50],
        }
    }

    const fn cpuid(self) -> [u8; 3] {
        match self {
            Self::Milan => [0x19, 0x01, 1],
            Self::Genoa => [0x19, 0x11, 1],
            Self::Turin => [0x1A, 0x02, 1],
        }
    }

    /// Identifier below AMD's arc, and value.
    fn extensions(self, chip: &[u8; 64]) -> Vec<(&'static [u8], Vec<u8>)> {
        let tcb = self.tcb();
        let product = tlv(0x16, self.product().as_bytes());
        match self {
            Self::Milan | Self::Genoa => vec![
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
    /// A new company with new keys, whose chip makes reports of this version (2, 3 or 5).
    ///
    /// # Errors
    /// If keys cannot be made; RSA keys are made by the `openssl` program.
    pub fn new(line: Line, version: u32) -> anyhow::Result<Self> {
        Self::with_keys(Arc::new([rsa_key(4096)?, rsa_key(4096)?]), line, version)
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
        let vcek = vcek(line, &chip, &vcek_key, ask_key)?;
        let crl = sign(&crl(&ark_name, LONG), ark_key)?;
        Ok(Self { company, line, version, chip, vcek_key, ark, ask, vcek, crl, hands_out_table: true })
    }

    /// A VCEK over the key of this chip that names another chip.
    ///
    /// # Errors
    /// If it cannot be signed.
    pub fn vcek_of_another_chip(&self) -> anyhow::Result<Vec<u8>> {
        let mut chip = self.chip;
        let [first, ..] = &mut chip;
        *first ^= 1;
        let [_, ask_key] = self.company.as_ref();
        vcek(self.line, &chip, &self.vcek_key, ask_key)
    }

    /// A revocation list that was current for the first half of 2024 only.
    ///
    /// # Errors
    /// If it cannot be signed.
    pub fn expired_crl(&self) -> anyhow::Result<Vec<u8>> {
        let [ark_key, _] = self.company.as_ref();
        let half_a_year = ["240101000000Z", "240630000000Z"];
        sign(&crl(&name(&format!("ARK-{}", self.line.name())), half_a_year), ark_key)
    }

    /// Intermediate and root as AMD publishes them: PEM, one after the other.
    #[must_use]
    pub fn chain_pem(&self) -> String {
        [&self.ask, &self.ark].map(|der| pem(der)).concat()
    }

    /// The certificates and the revocation list in the shape of a document. The root is the relying party's own.
    #[must_use]
    pub fn collateral(&self) -> SnpCollateral {
        let [vek, ask, crl] = [&self.vcek, &self.ask, &self.crl].map(|der| Some(Base64(der.clone())));
        SnpCollateral { vek, ask, ark: None, crl }
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
        // Version 2 does not name the processor.
        if self.version >= 3 {
            put(0x188, &self.line.cpuid());
        }
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

fn vcek(line: Line, chip: &[u8; 64], key: &EcdsaKeyPair, ask_key: &RsaKeyPair) -> anyhow::Result<Vec<u8>> {
    let extension = |(id, value): (&[u8], Vec<u8>)| sequence(&[oid(&[AMD_ARC, id].concat()), octets(&value)]);
    let extensions: Vec<_> = line.extensions(chip).into_iter().map(extension).collect();
    let issuer = name(&format!("SEV-{}", line.name()));
    sign(&tbs(&issuer, &name("SEV-VCEK"), p384_spki(key), &extensions), ask_key)
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
