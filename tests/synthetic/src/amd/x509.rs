//! Certificates and revocation lists as AMD writes them: RSA-4096, PSS with SHA-384, names in UTF-8.

use std::process::Command;

use anyhow::{Context as _, ensure};
use ring::rand::SystemRandom;
use ring::signature::{EcdsaKeyPair, KeyPair as _, RSA_PSS_SHA384, RsaKeyPair};

use crate::der::{bits, integer, octets, oid, sequence, tlv};

/// SHA-384 everywhere, salt 48 (RFC 4055), as AMD has it.
const PSS_SHA384: &[u8] = &[
    0x30, 0x41, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0A, 0x30, 0x34, 0xA0, 0x0F, 0x30, 0x0D,
    0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0xA1, 0x1C, 0x30, 0x1A, 0x06, 0x09,
    0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x08, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03,
    0x04, 0x02, 0x02, 0x05, 0x00, 0xA2, 0x03, 0x02, 0x01, 0x30,
];
/// The validity of everything that does not have to run out: the first day of 2024 to the last of 2049.
pub(super) const LONG: [&str; 2] = ["240101000000Z", "491231235959Z"];

pub(crate) fn rsa_key(bits: u32) -> anyhow::Result<RsaKeyPair> {
    let size = format!("rsa_keygen_bits:{bits}");
    let output = Command::new("openssl")
        .args(["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", &size, "-outform", "DER"])
        .output()
        .context("start openssl (Debian package openssl)")?;
    ensure!(output.status.success(), "openssl makes no key: {}", String::from_utf8_lossy(&output.stderr));
    // Version 3 writes RSA keys bare, others in PKCS #8.
    let key = RsaKeyPair::from_der(&output.stdout).or_else(|_| RsaKeyPair::from_pkcs8(&output.stdout));
    key.map_err(|error| anyhow::anyhow!("openssl's key: {error}"))
}

pub(super) fn rsa_spki(key: &RsaKeyPair) -> Vec<u8> {
    const RSA_ENCRYPTION: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01];
    sequence(&[sequence(&[oid(RSA_ENCRYPTION), tlv(5, &[])]), bits(key.public_key().as_ref())])
}

pub(super) fn p384_spki(key: &EcdsaKeyPair) -> Vec<u8> {
    const EC_PUBLIC_KEY: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];
    const SECP384R1: &[u8] = &[0x2B, 0x81, 0x04, 0x00, 0x22];
    sequence(&[sequence(&[oid(EC_PUBLIC_KEY), oid(SECP384R1)]), bits(key.public_key().as_ref())])
}

pub(super) fn name(common: &str) -> Vec<u8> {
    let part = |id: u8, text: &str| tlv(0x31, &sequence(&[oid(&[0x55, 0x04, id]), tlv(0x0C, text.as_bytes())]));
    sequence(&[part(10, "Not Advanced Micro Devices"), part(3, common)])
}

/// What an issuing certificate has: basic constraints and the right to sign certificates and lists.
pub(super) fn ca() -> Vec<Vec<u8>> {
    let critical = tlv(1, &[0xFF]);
    let constraints = octets(&sequence(&[tlv(1, &[0xFF])]));
    let usage = octets(&[3, 2, 1, 6]);
    vec![
        sequence(&[oid(&[0x55, 0x1D, 0x13]), critical.clone(), constraints]),
        sequence(&[oid(&[0x55, 0x1D, 0x0F]), critical, usage]),
    ]
}

pub(super) fn tbs(issuer: &[u8], subject: &[u8], key: Vec<u8>, extensions: &[Vec<u8>]) -> Vec<u8> {
    let mut serial = [0; 8];
    getrandom::fill(&mut serial).ok();
    let [first, ..] = &mut serial;
    *first = *first >> 1 | 1;
    let validity = sequence(&LONG.map(|time| tlv(0x17, time.as_bytes())));
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

/// A revocation list without entries.
pub(super) fn crl(issuer: &[u8], validity: [&str; 2]) -> Vec<u8> {
    let [from, until] = validity.map(|time| tlv(0x17, time.as_bytes()));
    sequence(&[integer(1), PSS_SHA384.to_vec(), issuer.to_vec(), from, until])
}

pub(super) fn sign(body: &[u8], key: &RsaKeyPair) -> anyhow::Result<Vec<u8>> {
    let mut signature = vec![0; key.public().modulus_len()];
    let signed = key.sign(&RSA_PSS_SHA384, &SystemRandom::new(), body, &mut signature);
    signed.map_err(|_| anyhow::anyhow!("RSA does not sign"))?;
    Ok(sequence(&[body.to_vec(), PSS_SHA384.to_vec(), bits(&signature)]))
}
