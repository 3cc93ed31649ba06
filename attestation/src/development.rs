//! The development TEE: evidence with no hardware behind it, in a layout of its own.
//!
//! It exists so that everything above the hardware can be built, run and tested on any machine. It is *not* a
//! look-alike of AMD or Intel evidence and cannot be mistaken for one: it starts with its own magic, is signed by an
//! Ed25519 key made at start that chains to nothing, and is refused by every verifier that was not told
//! `--insecure-allow-development-tee`. Making and checking live side by side because the type is only these 184 bytes.
//!
//! | offset | length | field |
//! |---|---|---|
//! | 0 | 24 | `cloister-development-tee` |
//! | 24 | 32 | Ed25519 public key |
//! | 56 | 64 | `report_data` |
//! | 120 | 64 | signature over bytes 0 to 120 |

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

/// How a development report begins.
pub const MAGIC: &[u8; 24] = b"cloister-development-tee";
/// How long it is.
pub const REPORT_BYTES: usize = 184;

const SIGNED_BYTES: usize = 120;

/// Why bytes are not a true development report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Wrong length or wrong magic.
    #[error("not a development report")]
    Layout,
    /// The signature does not verify under the key in the report.
    #[error("signature of the development report is wrong")]
    Signature,
}

/// A development report whose layout is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The key that was made at start.
    pub public_key: [u8; 32],
    /// What the report speaks of.
    pub report_data: [u8; 64],
    signed: [u8; SIGNED_BYTES],
    signature: [u8; 64],
}

impl Report {
    /// Reads the layout.
    ///
    /// # Errors
    ///
    /// [`Error::Layout`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let bytes: &[u8; REPORT_BYTES] = bytes.try_into().map_err(|_| Error::Layout)?;
        let (signed, signature) = bytes.split_first_chunk::<SIGNED_BYTES>().ok_or(Error::Layout)?;
        let rest = signed.strip_prefix(MAGIC.as_slice()).ok_or(Error::Layout)?;
        let (public_key, report_data) = rest.split_first_chunk::<32>().ok_or(Error::Layout)?;
        Ok(Self {
            public_key: *public_key,
            report_data: report_data.try_into().map_err(|_| Error::Layout)?,
            signed: *signed,
            signature: signature.try_into().map_err(|_| Error::Layout)?,
        })
    }

    /// Checks the signature. That it holds proves only that the report was not altered on its way.
    ///
    /// # Errors
    ///
    /// [`Error::Signature`].
    pub fn verify(&self) -> Result<(), Error> {
        let key = VerifyingKey::from_bytes(&self.public_key).map_err(|_| Error::Signature)?;
        key.verify_strict(&self.signed, &Signature::from_bytes(&self.signature)).map_err(|_| Error::Signature)
    }
}

/// Makes a report over `report_data` under a key made at start.
#[must_use]
pub fn sign(report_data: &[u8; 64], key: &SigningKey) -> Vec<u8> {
    let mut report = Vec::with_capacity(REPORT_BYTES);
    report.extend_from_slice(MAGIC);
    report.extend_from_slice(key.verifying_key().as_bytes());
    report.extend_from_slice(report_data);
    let signature = key.sign(&report);
    report.extend_from_slice(&signature.to_bytes());
    report
}
