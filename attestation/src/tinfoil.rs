//! The Tinfoil door, version 2: what its reports speak of, and how a certificate names them.
//!
//! `report_data` is the digest of the TLS key and the HPKE key themselves, without a nonce: the document proves which
//! keys are the enclave's, not that it was made just now. A certificate repeats both in its names, so that a client
//! that reads nothing but the certificate can compare. Version 3 needs endorsements of Tinfoil itself and is not here.

use crate::encoding::{Digest, sha256};

/// `format` of a document with an SEV-SNP report: base64 of the gzipped report.
pub const SEV_SNP_FORMAT: &str = "https://tinfoil.sh/predicate/sev-snp-guest/v2";
/// `format` of a document with a TDX quote: base64 of the gzipped quote.
pub const TDX_FORMAT: &str = "https://tinfoil.sh/predicate/tdx-guest/v2";
/// `format` of a document without hardware: hex of `report_data`.
pub const DEVELOPMENT_FORMAT: &str = "https://tinfoil.sh/predicate/dummy/v2";

/// The longest name in a certificate.
const MAX_NAME: usize = 63;
/// Names are numbered with two digits.
const MOST_NAMES: usize = 100;

/// SHA-256 of the TLS key's DER `SubjectPublicKeyInfo` and the X25519 public key: the 64 bytes that the TEE signs.
#[must_use]
pub fn report_data(spki_sha256: &Digest, hpke: &[u8; 32]) -> [u8; 64] {
    let mut report_data = [0; 64];
    for (slot, byte) in report_data.iter_mut().zip(spki_sha256.0.iter().chain(hpke)) {
        *slot = *byte;
    }
    report_data
}

/// The hash of a document: SHA-256 over the two texts `format` and `body`, one after the other.
#[must_use]
pub fn document_hash(format: &str, body: &str) -> Digest {
    sha256(&[format.as_bytes(), body.as_bytes()].concat())
}

/// The names that carry the HPKE key (`hpke`) and the document's hash (`hatt`, as its 64 hex digits) under `domain`;
/// `None` if the domain leaves no room for them.
#[must_use]
pub fn certificate_names(domain: &str, hpke: &[u8; 32], document: &Digest) -> Option<Vec<String>> {
    let mut names = series(domain, "hpke", hpke)?;
    names.extend(series(domain, "hatt", document.to_string().as_bytes())?);
    Some(names)
}

/// `NN` ‖ chunk ‖ `.` ‖ label ‖ `.` ‖ domain, the chunks being lower-case base32 without padding.
fn series(domain: &str, label: &str, payload: &[u8]) -> Option<Vec<String>> {
    let suffix = format!(".{label}.{domain}");
    let room = MAX_NAME.checked_sub(suffix.len() + 2).filter(|room| *room > 0)?;
    let text = data_encoding::BASE32_NOPAD.encode(payload).to_ascii_lowercase();
    let chunks = text.as_bytes().chunks(room).map(String::from_utf8_lossy);
    let names: Vec<String> = chunks.enumerate().map(|(at, chunk)| format!("{at:02}{chunk}{suffix}")).collect();
    (names.len() <= MOST_NAMES).then_some(names)
}
