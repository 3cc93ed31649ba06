//! C2SP signed notes and tlog checkpoints: `https://c2sp.org/signed-note`, `https://c2sp.org/tlog-checkpoint`.
//!
//! Ed25519 signatures (type 1) only. Lines of key types or of keys that we do not know, such as cosignatures of
//! witnesses, are kept and skipped; a line of a key that we do know must verify.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::tlog::{Hash, MAX_SIZE};

/// The largest note that is looked at, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;
/// The most signature lines.
pub const MAX_SIGNATURES: usize = 100;
/// The longest key name, in bytes.
pub const MAX_NAME_BYTES: usize = 400;

const ED25519: u8 = 1;
const SIGNATURE_PREFIX: &str = "\u{2014} ";

/// Why a text is not a note that we trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A name that is empty, too long, or has a space, a `+` or a control character.
    #[error("not a key name")]
    Name,
    /// A verifier key that is not `<name>+<id>+<base64>` of Ed25519, or whose id is not that of the key.
    #[error("not an Ed25519 verifier key")]
    Vkey,
    /// Not a signed note.
    #[error("not a signed note")]
    Format,
    /// The text is not that of a checkpoint.
    #[error("not a checkpoint")]
    Checkpoint,
    /// No line is by a key that we know.
    #[error("note is not signed by a known key")]
    Unsigned,
    /// A line claims to be by a key that we know and is not.
    #[error("signature of the note is wrong")]
    Signature,
}

/// A public key with the name that it signs under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vkey {
    /// The name; for a log, its origin.
    pub name: String,
    /// The Ed25519 public key.
    pub public_key: [u8; 32],
}

impl Vkey {
    /// Reads `<name>+<key id, 8 hex digits>+<base64(01 ‖ public key)>`.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] or [`Error::Vkey`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Error::Vkey);
        };
        check_name(name)?;
        let key = STANDARD.decode(key).map_err(|_| Error::Vkey)?;
        let (kind, public_key) = key.split_first().ok_or(Error::Vkey)?;
        let public_key: [u8; 32] = public_key.try_into().map_err(|_| Error::Vkey)?;
        if *kind != ED25519 || id != hex::encode(key_id(name, &public_key)) {
            return Err(Error::Vkey);
        }
        Ok(Self { name: name.to_owned(), public_key })
    }

    /// The first four bytes of SHA-256(name ‖ 0A ‖ 01 ‖ public key).
    #[must_use]
    pub fn key_id(&self) -> [u8; 4] {
        key_id(&self.name, &self.public_key)
    }

    fn verify(&self, text: &str, signature: &[u8]) -> Result<(), Error> {
        let signature = Signature::from_slice(signature).map_err(|_| Error::Signature)?;
        let key = VerifyingKey::from_bytes(&self.public_key).map_err(|_| Error::Signature)?;
        key.verify_strict(text.as_bytes(), &signature).map_err(|_| Error::Signature)
    }
}

impl std::fmt::Display for Vkey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&vkey(&self.name, &self.public_key))
    }
}

/// The first four bytes of SHA-256(name ‖ 0A ‖ 01 ‖ public key).
#[must_use]
pub fn key_id(name: &str, public_key: &[u8; 32]) -> [u8; 4] {
    let [a, b, c, d, ..]: [u8; 32] =
        Sha256::new().chain_update(name).chain_update([b'\n', ED25519]).chain_update(public_key).finalize().into();
    [a, b, c, d]
}

/// The verifier key as text: `<name>+<key id>+<base64(01 ‖ public key)>`.
#[must_use]
pub fn vkey(name: &str, public_key: &[u8; 32]) -> String {
    let id = hex::encode(key_id(name, public_key));
    format!("{name}+{id}+{}", STANDARD.encode([[ED25519].as_slice(), public_key].concat()))
}

/// Signs a text, which ends with a newline, under a name. The result is the whole note.
///
/// # Errors
///
/// [`Error::Name`] or [`Error::Format`] if the result would not be a note.
pub fn sign_note(text: &str, name: &str, key: &SigningKey) -> Result<String, Error> {
    check_name(name)?;
    check_text(text)?;
    let id = key_id(name, key.verifying_key().as_bytes());
    let signature = key.sign(text.as_bytes()).to_bytes();
    let line = STANDARD.encode([id.as_slice(), &signature].concat());
    Ok(format!("{text}\n{SIGNATURE_PREFIX}{name} {line}\n"))
}

/// One signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureLine {
    /// The name it is under.
    pub name: String,
    /// The id of the key.
    pub key_id: [u8; 4],
    /// The signature's bytes; 64 for Ed25519.
    pub signature: Vec<u8>,
}

/// A note as it was read: nothing is verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<SignatureLine>,
}

impl Note {
    /// Splits a note into text and signature lines.
    ///
    /// # Errors
    ///
    /// [`Error::Format`].
    pub fn parse(note: &[u8]) -> Result<Self, Error> {
        if note.len() > MAX_BYTES {
            return Err(Error::Format);
        }
        let note = std::str::from_utf8(note).map_err(|_| Error::Format)?;
        if note.chars().any(|c| c.is_ascii_control() && c != '\n') {
            return Err(Error::Format);
        }
        // The last blank line divides; the text keeps its own final newline.
        let (text, lines) = note.rsplit_once("\n\n").ok_or(Error::Format)?;
        let text = format!("{text}\n");
        check_text(&text)?;
        let lines = lines.strip_suffix('\n').ok_or(Error::Format)?;
        let signatures =
            lines.split('\n').take(MAX_SIGNATURES + 1).map(signature_line).collect::<Result<Vec<_>, _>>()?;
        if signatures.len() > MAX_SIGNATURES {
            return Err(Error::Format);
        }
        Ok(Self { text, signatures })
    }

    /// The signature lines, not verified.
    #[must_use]
    pub fn signatures(&self) -> &[SignatureLine] {
        &self.signatures
    }

    /// The text, if at least one of these keys signed it and every line that names one of them is right.
    ///
    /// # Errors
    ///
    /// [`Error::Unsigned`] or [`Error::Signature`].
    pub fn verify(&self, keys: &[Vkey]) -> Result<&str, Error> {
        let mut signed = false;
        for line in &self.signatures {
            for key in keys.iter().filter(|key| key.name == line.name && key.key_id() == line.key_id) {
                key.verify(&self.text, &line.signature)?;
                signed = true;
            }
        }
        if signed { Ok(&self.text) } else { Err(Error::Unsigned) }
    }
}

fn signature_line(line: &str) -> Result<SignatureLine, Error> {
    let (name, encoded) = line.strip_prefix(SIGNATURE_PREFIX).and_then(|l| l.split_once(' ')).ok_or(Error::Format)?;
    check_name(name).map_err(|_| Error::Format)?;
    let bytes = STANDARD.decode(encoded).map_err(|_| Error::Format)?;
    let (key_id, signature) = bytes.split_first_chunk::<4>().ok_or(Error::Format)?;
    if signature.is_empty() {
        return Err(Error::Format);
    }
    Ok(SignatureLine { name: name.to_owned(), key_id: *key_id, signature: signature.to_vec() })
}

fn check_name(name: &str) -> Result<(), Error> {
    let allowed = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.chars().all(allowed) {
        return Err(Error::Name);
    }
    Ok(())
}

/// A text has at least one line, ends with a newline, and has no control characters besides.
fn check_text(text: &str) -> Result<(), Error> {
    let plain = text.chars().all(|c| c == '\n' || !c.is_ascii_control());
    if text.len() < 2 || !text.ends_with('\n') || !plain || text.len() > MAX_BYTES {
        return Err(Error::Format);
    }
    Ok(())
}

/// The head of a log: which log, how many leaves, which root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the log, and of its key.
    pub origin: String,
    /// Number of leaves.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Hash,
}

impl Checkpoint {
    /// The text to sign: three lines.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// The signed note.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] if the origin cannot be a key name.
    pub fn sign(&self, key: &SigningKey) -> Result<String, Error> {
        sign_note(&self.text(), &self.origin, key)
    }

    /// Reads the text of a note. Extension lines are not used by us and refused.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`].
    pub fn parse_text(text: &str) -> Result<Self, Error> {
        let mut lines = text.strip_suffix('\n').ok_or(Error::Checkpoint)?.split('\n');
        let (Some(origin), Some(size), Some(root), None) = (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(Error::Checkpoint);
        };
        check_name(origin).map_err(|_| Error::Checkpoint)?;
        let number: u64 = size.parse().map_err(|_| Error::Checkpoint)?;
        let root = STANDARD.decode(root).map_err(|_| Error::Checkpoint)?;
        let root: Hash = root.try_into().map_err(|_| Error::Checkpoint)?;
        if number.to_string() != size || number > MAX_SIZE {
            return Err(Error::Checkpoint);
        }
        Ok(Self { origin: origin.to_owned(), size: number, root })
    }

    /// Reads a signed checkpoint and verifies it under one of these keys, whose name must be the log's origin.
    ///
    /// # Errors
    ///
    /// One variant per way of not being a checkpoint that we trust.
    pub fn open(note: &[u8], keys: &[Vkey]) -> Result<Self, Error> {
        let note = Note::parse(note)?;
        let checkpoint = Self::parse_text(&note.text)?;
        let own: Vec<Vkey> = keys.iter().filter(|key| key.name == checkpoint.origin).cloned().collect();
        note.verify(&own)?;
        Ok(checkpoint)
    }
}
