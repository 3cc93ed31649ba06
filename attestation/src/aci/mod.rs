//! The ACI door, `aci/1`: its keyset, how a report is bound to it, and its receipts.
//!
//! Specification: `spec/aci.md` of Dstack-TEE/private-ai-gateway. The keyset is the identity; a report binds its digest
//! and the caller's nonce (section 3.2), and every receipt is signed by a key in it (section 7). Hashes are over the
//! canonical JSON of what was parsed, so that the served encoding is free. Nothing here judges the hardware's report.

mod receipt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use receipt::{Event, Receipt, ReceiptBody, ReceiptError, verify_receipt};

use crate::encoding::{Digest, Hex, jcs, sha256};

/// The only version so far: `api_version`, and the header `X-ACI-Version`.
pub const VERSION: &str = "aci/1";
/// The signature algorithm of receipts that every verifier knows (appendix B).
pub const ED25519: &str = "ed25519";
/// The purpose that stands in the statement (section 3.2).
const PURPOSE: &str = "aci.report_data.v1";

/// The keys of a workload (section 3.1). The shape is fixed by the specification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keyset {
    /// A name, to be trusted by nobody for its own sake.
    pub subject: Option<String>,
    /// When verifiers stop accepting the keyset, Unix seconds.
    pub not_after: u64,
    /// Keys that sign receipts.
    pub receipt_signing_keys: Vec<Key>,
    /// Keys of separately specified encryption; empty where none is advertised.
    pub e2ee_public_keys: Vec<Key>,
    /// TLS keys in use.
    pub tls_public_keys: Vec<TlsKey>,
}

/// A key with its algorithm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Its stable id.
    pub key_id: String,
    /// Its algorithm.
    pub algo: String,
    /// The public key, in the encoding of the algorithm.
    pub public_key: String,
}

/// A TLS key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsKey {
    /// SHA-256 of the DER `SubjectPublicKeyInfo`.
    pub spki_sha256: Digest,
    /// The one host name that it serves; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
}

/// A SHA-256 digest as the specification spells it: `sha256:` and lower-case hex.
#[must_use]
pub fn spelled(digest: &Digest) -> String {
    format!("sha256:{digest}")
}

impl Keyset {
    /// SHA-256 over the canonical JSON; [`spelled`], it is `workload_keyset_digest`.
    #[must_use]
    pub fn digest(&self) -> Digest {
        sha256(&jcs(self))
    }
}

/// The bytes of the statement that ties a keyset to a nonce (section 3.2); without a nonce its member is `null`.
#[must_use]
pub fn statement(keyset: &Digest, nonce: Option<&[u8; 32]>) -> String {
    let nonce = nonce.map_or_else(|| "null".to_owned(), |nonce| format!("\"{}\"", Hex(*nonce)));
    format!("{{\"keyset_digest\":\"{}\",\"nonce\":{nonce},\"purpose\":\"{PURPOSE}\"}}", spelled(keyset))
}

/// SHA-256 of the [`statement`] and 32 zero bytes: the 64 bytes that the TEE signs.
#[must_use]
pub fn report_data(keyset: &Digest, nonce: Option<&[u8; 32]>) -> [u8; 64] {
    let mut report_data = [0; 64];
    let digest = Sha256::digest(statement(keyset, nonce).as_bytes());
    for (slot, byte) in report_data.iter_mut().zip(digest) {
        *slot = byte;
    }
    report_data
}
