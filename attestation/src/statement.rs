//! What the appliance says about itself, and how hardware evidence is bound to it (design, section 3).
//!
//! The statement is the only thing that the TEE signs for: callers choose a nonce, never the bytes of `report_data`.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha512};

use crate::encoding::{Digest, Hex, MAX_SAFE_INTEGER, jcs, present, sha256};

/// The only version of the statement so far.
pub const VERSION: u64 = 1;
/// Separates our `report_data` from everybody else's.
pub const REPORT_DATA_DOMAIN: &[u8] = b"cloister/attestation/v1";
/// What stands in the place of the nonce when there is none.
pub const NULL_NONCE: [u8; 32] = [0; 32];

/// Longest list or text in a statement.
const MAX_ITEMS: usize = 64;
const MAX_TEXT: usize = 200;

/// Why a statement that parsed is still not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A version that this build does not know.
    #[error("statement version {0} is not supported")]
    Version(u64),
    /// An integer above 2^53 − 1.
    #[error("statement field {0} is too large for JSON")]
    Integer(&'static str),
    /// A text or list that is too long.
    #[error("statement field {0} is too long")]
    TooLong(&'static str),
}

/// The appliance's description of itself. Digests and keys are lower-case hex, times Unix milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// [`VERSION`].
    pub v: u64,
    /// What is running.
    pub build: Build,
    /// SHA-256 of the DER `SubjectPublicKeyInfo` of each TLS key in use (two while one is rotated).
    pub tls_spki_sha256: Vec<Digest>,
    /// X25519 public keys for EHBP, the current one first.
    pub hpke_keys: Vec<Hex<32>>,
    /// The static public key of the OPAQUE server, ristretto255.
    pub opaque_pk: Hex<32>,
    /// Ed25519 keys that sign receipts, the current one first.
    pub receipt_keys: Vec<ReceiptKey>,
    /// SHA-256 of the JCS list of every audit log's origin and key (`attest/0/log-keys.json` of an export).
    pub log_keys_root: Digest,
    /// The models that are loaded.
    pub models: Vec<Model>,
    /// SHA-256 over all policy and prompt files of the build.
    pub policies_sha256: Digest,
    /// SHA-256 of the egress policy: whom the appliance may talk to.
    pub egress_sha256: Digest,
    /// How far the sealed state has come.
    pub state: State,
    /// When the statement stops being valid, Unix milliseconds.
    pub not_after: u64,
    /// For native clients: SHA-256 of a TLS exporter value, which ties the evidence to one connection.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub channel: Option<Digest>,
}

/// What is running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// Version of the product.
    pub version: String,
    /// Commit it was built from, hex, or `unknown`.
    pub commit: String,
}

/// A key that signs receipts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptKey {
    /// [`crate::receipt::key_id`] of the key.
    pub key_id: String,
    /// The Ed25519 public key.
    pub public_key: Hex<32>,
}

/// A model that is loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Its id in the catalogue.
    pub id: String,
    /// SHA-256 of its file.
    pub sha256: Digest,
    /// What it is used for, for example `embedder`.
    pub role: String,
}

/// How far the sealed state has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Grows with every start and every group of writes.
    pub epoch: u64,
    /// Digest over the heads of all audit logs.
    pub audit_head: Digest,
}

impl Statement {
    /// The canonical JSON (RFC 8785) that is hashed.
    #[must_use]
    pub fn jcs(&self) -> Vec<u8> {
        jcs(self)
    }

    /// SHA-256 of [`Self::jcs`].
    #[must_use]
    pub fn digest(&self) -> Digest {
        sha256(&self.jcs())
    }

    /// SHA-512(`cloister/attestation/v1` ‖ SHA-256(JCS) ‖ nonce): the 64 bytes that the TEE signs.
    #[must_use]
    pub fn report_data(&self, nonce: &[u8; 32]) -> [u8; 64] {
        Sha512::new()
            .chain_update(REPORT_DATA_DOMAIN)
            .chain_update(self.digest().0)
            .chain_update(nonce)
            .finalize()
            .into()
    }

    /// Checks what the types cannot say: the version, the size of numbers, the length of texts and lists.
    ///
    /// # Errors
    ///
    /// The first field that is out of bounds.
    pub fn check(&self) -> Result<(), Error> {
        if self.v != VERSION {
            return Err(Error::Version(self.v));
        }
        for (name, number) in [("state.epoch", self.state.epoch), ("not_after", self.not_after)] {
            if number > MAX_SAFE_INTEGER {
                return Err(Error::Integer(name));
            }
        }
        let lists = [
            ("tls_spki_sha256", self.tls_spki_sha256.len()),
            ("hpke_keys", self.hpke_keys.len()),
            ("receipt_keys", self.receipt_keys.len()),
            ("models", self.models.len()),
        ];
        if let Some((name, _)) = lists.into_iter().find(|(_, len)| *len > MAX_ITEMS) {
            return Err(Error::TooLong(name));
        }
        let keys = self.receipt_keys.iter().map(|key| ("receipt_keys.key_id", &key.key_id));
        let models = self.models.iter().flat_map(|model| [("models.id", &model.id), ("models.role", &model.role)]);
        let build = [("build.version", &self.build.version), ("build.commit", &self.build.commit)];
        match build.into_iter().chain(keys).chain(models).find(|(_, text)| text.len() > MAX_TEXT) {
            Some((name, _)) => Err(Error::TooLong(name)),
            None => Ok(()),
        }
    }
}
