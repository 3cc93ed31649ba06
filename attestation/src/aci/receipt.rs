//! Receipts of ACI (section 7): a signed log of what happened to one request, in hashes.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ED25519, Keyset, VERSION, spelled};
use crate::encoding::{Digest, Hex, MAX_SAFE_INTEGER, jcs};

/// The event that must be the first (section 7.4).
const FIRST: &str = "request.received";

/// Why a receipt is not true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Not JSON, not of the right shape, or with members that no signature covers.
    #[error("receipt is not well formed")]
    Malformed,
    /// Of another version than `aci/1`.
    #[error("receipt is of another version of aci")]
    Version,
    /// Of another keyset than the established one.
    #[error("receipt is of another keyset")]
    OtherKeyset,
    /// The first event is not `request.received`, or there is none.
    #[error("receipt does not begin with the request")]
    FirstEvent,
    /// An integer above 2^53 − 1.
    #[error("receipt time is too large for JSON")]
    Integer,
    /// The keyset has no key of this id, or none of an algorithm that is known.
    #[error("receipt is signed by an unknown key")]
    UnknownKey,
    /// The signature is wrong.
    #[error("signature of the receipt is wrong")]
    Signature,
}

/// One event: its type and the members of that type. Verifiers skip types that they do not know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// What happened, such as `request.received`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What belongs to it.
    #[serde(flatten)]
    pub members: Map<String, Value>,
}

impl Event {
    /// An event about the bytes of a body.
    #[must_use]
    pub fn of_body(kind: &str, body: &Digest) -> Self {
        Self { kind: kind.to_owned(), members: Map::from_iter([("body_hash".to_owned(), spelled(body).into())]) }
    }
}

/// A receipt before it is signed (section 7.3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReceiptBody {
    /// [`VERSION`].
    pub api_version: String,
    /// Its id.
    pub receipt_id: String,
    /// The id of the response; null if it has none.
    pub chat_id: Option<String>,
    /// The model as the request named it.
    pub model: Option<String>,
    /// The keyset in force, spelled.
    pub workload_keyset_digest: String,
    /// The path.
    pub endpoint: String,
    /// The method.
    pub method: String,
    /// When it was answered, Unix seconds, by the appliance's own clock.
    pub served_at: u64,
    /// What happened, in order.
    pub event_log: Vec<Event>,
    /// The key of the keyset that signed.
    pub key_id: String,
}

/// A signed receipt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// What is signed: exactly these members, as canonical JSON.
    #[serde(flatten)]
    pub body: ReceiptBody,
    /// Ed25519 over the canonical JSON of the body.
    pub signature: Hex<64>,
}

impl Receipt {
    /// Reads a receipt: exactly the members of section 7.3 and the signature.
    ///
    /// # Errors
    ///
    /// [`ReceiptError::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ReceiptError> {
        let served: Value = serde_json::from_slice(bytes).map_err(|_| ReceiptError::Malformed)?;
        let receipt = Self::deserialize(&served).map_err(|_| ReceiptError::Malformed)?;
        // Members that this type does not know would be dropped, and what is dropped is not verified.
        if jcs(&receipt) == jcs(&served) { Ok(receipt) } else { Err(ReceiptError::Malformed) }
    }
}

impl ReceiptBody {
    /// The bytes that are signed. No other signature of the same key is over bytes that begin with `{`.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        jcs(self)
    }

    /// Signs.
    #[must_use]
    pub fn sign(self, key: &SigningKey) -> Receipt {
        let signature = Hex(key.sign(&self.signed_bytes()).to_bytes());
        Receipt { body: self, signature }
    }
}

/// Checks a receipt against an established keyset (section 9.3, steps 1 and 2). The bodies are the caller's to compare.
///
/// # Errors
///
/// The first check that fails.
pub fn verify_receipt(receipt: &Receipt, keyset: &Keyset) -> Result<(), ReceiptError> {
    let body = &receipt.body;
    if body.api_version != VERSION {
        return Err(ReceiptError::Version);
    }
    if body.workload_keyset_digest != spelled(&keyset.digest()) {
        return Err(ReceiptError::OtherKeyset);
    }
    if body.event_log.first().is_none_or(|event| event.kind != FIRST) {
        return Err(ReceiptError::FirstEvent);
    }
    if body.served_at > MAX_SAFE_INTEGER {
        return Err(ReceiptError::Integer);
    }
    let known = keyset.receipt_signing_keys.iter().find(|key| key.key_id == body.key_id && key.algo == ED25519);
    let public: Hex<32> = known.and_then(|key| key.public_key.parse().ok()).ok_or(ReceiptError::UnknownKey)?;
    let key = VerifyingKey::from_bytes(&public.0).map_err(|_| ReceiptError::UnknownKey)?;
    let signature = Signature::from_bytes(&receipt.signature.0);
    key.verify_strict(&body.signed_bytes(), &signature).map_err(|_| ReceiptError::Signature)
}
