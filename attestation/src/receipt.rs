//! Receipts: what an answer was made from, signed by an attested key and recorded in the audit log.
//!
//! A receipt has digests and ids only, so that it can be shown to anyone; the texts stay with who has them. It is
//! verified offline against the keys of an attested statement, and its digest stands in the log leaf that it names.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::encoding::{Digest, Hex, MAX_SAFE_INTEGER, jcs, sha256};
use crate::export::VerifiedExport;
use crate::statement::ReceiptKey;

/// The only version so far.
pub const VERSION: u64 = 1;
/// The largest receipt that is looked at, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;
/// Separates receipt signatures from all others made with Ed25519.
pub const SIGNATURE_DOMAIN: &[u8] = b"cloister/receipt/v1\n";

/// Why a receipt is not true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// More than [`MAX_BYTES`].
    #[error("receipt is larger than {MAX_BYTES} bytes")]
    TooLarge,
    /// Not JSON, or not of the right shape.
    #[error("receipt is not well formed at line {line}, column {column}")]
    Json {
        /// Where, counted from 1.
        line: usize,
        /// Where, counted from 1.
        column: usize,
    },
    /// A version that this build does not know.
    #[error("receipt version {0} is not supported")]
    Version(u64),
    /// An integer above 2^53 − 1.
    #[error("receipt field {0} is too large for JSON")]
    Integer(&'static str),
    /// Signed by a key that is not among the trusted ones.
    #[error("receipt is signed by an unknown key")]
    UnknownKey,
    /// The signature is wrong.
    #[error("signature of the receipt is wrong")]
    Signature,
    /// The export is of another log than the receipt names.
    #[error("export is of another log than the one the receipt names")]
    OtherLog,
    /// The log has no record at the place that the receipt names.
    #[error("log ends before the record that the receipt names")]
    NotYetInLog,
    /// The record at that place is not about this receipt.
    #[error("record that the receipt names is not about this receipt")]
    NotRecorded,
}

/// How an answer came about. The names are those of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Written by the generative model from the cited passages.
    Generated,
    /// Verbatim quotations.
    Quotation,
    /// The documents do not answer the question.
    Refusal,
    /// Stopped before the end.
    Stopped,
}

/// What the answer was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptBody {
    /// [`VERSION`].
    pub v: u64,
    /// Id of the receipt.
    pub receipt_id: String,
    /// The organisation.
    pub org: String,
    /// When the answer was finished, Unix milliseconds.
    pub time_ms: u64,
    /// SHA-256 of the question, UTF-8.
    pub question_sha256: Digest,
    /// SHA-256 of the answer, UTF-8, as it is stored.
    pub answer_sha256: Digest,
    /// How it came about.
    pub kind: Kind,
    /// The model that wrote it; null if none did.
    pub model: Option<Model>,
    /// SHA-256 of the prompt template.
    pub prompt_sha256: Digest,
    /// The documents that were put before the model.
    pub documents: Vec<Document>,
    /// SHA-256 over the policies in force.
    pub policies_sha256: Digest,
}

/// The model that wrote an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Its id in the catalogue.
    pub id: String,
    /// SHA-256 of its file.
    pub sha256: Digest,
}

/// A document that was put before the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Its id.
    pub document_id: String,
    /// SHA-256 of its file.
    pub sha256: Digest,
    /// Which passages of it.
    pub chunks: Vec<Chunk>,
}

/// A passage that was put before the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chunk {
    /// Its id.
    pub chunk_id: String,
    /// SHA-256 of its text, UTF-8.
    pub sha256: Digest,
}

/// Where in which log the receipt is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogRef {
    /// Origin of the log.
    pub origin: String,
    /// Index of the leaf whose `d.receipt_sha256` is [`digest`] of the body.
    pub index: u64,
}

/// A signed receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// What the answer was made from.
    pub body: ReceiptBody,
    /// Where it is recorded.
    pub log: LogRef,
    /// [`key_id`] of the signing key.
    pub key_id: String,
    /// Ed25519 over `cloister/receipt/v1\n` ‖ JCS of `{body, key_id, log}`.
    pub signature: Hex<64>,
}

#[derive(Serialize)]
struct Signed<'a> {
    body: &'a ReceiptBody,
    log: &'a LogRef,
    key_id: &'a str,
}

impl Receipt {
    /// Signs a body that is recorded at `log`.
    #[must_use]
    pub fn sign(body: ReceiptBody, log: LogRef, key: &SigningKey) -> Self {
        let key_id = key_id(key.verifying_key().as_bytes());
        let signature = key.sign(&signed_bytes(&body, &log, &key_id)).to_bytes();
        Self { body, log, key_id, signature: Hex(signature) }
    }

    /// Reads a receipt and checks its shape and bounds, not its truth.
    ///
    /// # Errors
    ///
    /// One variant per way of being malformed.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_BYTES {
            return Err(Error::TooLarge);
        }
        let receipt: Self = serde_json::from_slice(bytes)
            .map_err(|error| Error::Json { line: error.line(), column: error.column() })?;
        if receipt.body.v != VERSION {
            return Err(Error::Version(receipt.body.v));
        }
        for (name, number) in [("body.time_ms", receipt.body.time_ms), ("log.index", receipt.log.index)] {
            if number > MAX_SAFE_INTEGER {
                return Err(Error::Integer(name));
            }
        }
        Ok(receipt)
    }
}

/// First 16 hex digits of SHA-256 of the Ed25519 public key.
#[must_use]
pub fn key_id(public_key: &[u8; 32]) -> String {
    let mut id = sha256(public_key).to_string();
    id.truncate(16);
    id
}

/// SHA-256 of the canonical JSON of a body: what stands in the log leaf as `d.receipt_sha256`.
#[must_use]
pub fn digest(body: &ReceiptBody) -> Digest {
    sha256(&jcs(body))
}

/// Checks the signature of a receipt under one of these keys.
///
/// # Errors
///
/// [`Error::UnknownKey`] or [`Error::Signature`].
pub fn verify(receipt: &Receipt, keys: &[ReceiptKey]) -> Result<(), Error> {
    let key = keys
        .iter()
        .find(|key| key.key_id == receipt.key_id && key_id(&key.public_key.0) == key.key_id)
        .ok_or(Error::UnknownKey)?;
    let key = VerifyingKey::from_bytes(&key.public_key.0).map_err(|_| Error::Signature)?;
    let signed = signed_bytes(&receipt.body, &receipt.log, &receipt.key_id);
    key.verify_strict(&signed, &Signature::from_bytes(&receipt.signature.0)).map_err(|_| Error::Signature)
}

/// Checks that a verified export has the record of this receipt where the receipt says.
///
/// # Errors
///
/// [`Error::OtherLog`], [`Error::NotYetInLog`] or [`Error::NotRecorded`].
pub fn prove_in_export(receipt: &Receipt, export: &VerifiedExport) -> Result<(), Error> {
    if export.checkpoint().origin != receipt.log.origin {
        return Err(Error::OtherLog);
    }
    let index = usize::try_from(receipt.log.index).map_err(|_| Error::NotYetInLog)?;
    let entry = export.entries().get(index).ok_or(Error::NotYetInLog)?;
    let leaf: serde_json::Value = serde_json::from_slice(entry).map_err(|_| Error::NotRecorded)?;
    let recorded = leaf.pointer("/d/receipt_sha256").and_then(serde_json::Value::as_str);
    if recorded == Some(digest(&receipt.body).to_string().as_str()) { Ok(()) } else { Err(Error::NotRecorded) }
}

fn signed_bytes(body: &ReceiptBody, log: &LogRef, key_id: &str) -> Vec<u8> {
    [SIGNATURE_DOMAIN, &jcs(&Signed { body, log, key_id })].concat()
}
