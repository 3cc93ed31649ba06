//! One record, as it stands on disk.
//!
//! ```text
//! stored    = version u64be ‖ value
//! value     = 01 ‖ generation u32be ‖ nonce 24 ‖ ciphertext ‖ tag 16
//! plaintext = len16 ‖ key ‖ body
//! AAD       = "rec1" ‖ len16 ‖ tenant ‖ tree u8 ‖ len16 ‖ name ‖ version u64be ‖ schema u16be
//! ```
//! The body is MessagePack with the names of the fields: as open to change as JSON, and read in half the time.
//!
//! The version is in clear because the map of versions is rebuilt from it at start; it authenticates with the record.
//! The associated data binds the name, itself a PRF of the key under a key of tenant and collection, because a scan has
//! to open records whose keys it has yet to learn; the key stands first in the plaintext.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::collection::{Meta, Name};
use super::error::Error;
use super::hierarchy::Tenant;
use super::xaes::{NONCE_LEN, TAG_LEN, Xaes};
use crate::keys::secret::random;

/// The longest stored value, all overhead included (sled writes longer ones to files that it never syncs).
pub(crate) const MAX_STORED_BYTES: usize = 64 * 1024;

const FORMAT: u8 = 1;
const VERSION_LEN: usize = 8;
/// Room for a body whose length is not known before it is encoded.
const BODY_HINT_BYTES: usize = 512;
const HEADER_LEN: usize = VERSION_LEN + 1 + 4 + NONCE_LEN;

/// A record before sealing: the final buffer with room for the header, so that nothing is copied later.
#[derive(Debug)]
pub(crate) struct Draft {
    buffer: Vec<u8>,
}

impl Draft {
    /// A draft with the key written; the body is appended through [`std::io::Write`].
    pub(crate) fn new(key: &[u8], body_hint: usize) -> Self {
        let mut buffer = Vec::with_capacity(HEADER_LEN + 2 + key.len() + body_hint + TAG_LEN);
        buffer.resize(HEADER_LEN, 0);
        let len = u16::try_from(key.len()).expect("keys are far shorter than 64 KiB");
        buffer.extend_from_slice(&len.to_be_bytes());
        buffer.extend_from_slice(key);
        Self { buffer }
    }

    /// A draft of a value.
    pub(crate) fn of<T: Serialize>(meta: Meta, key: &[u8], value: &T) -> Result<Self, Error> {
        let mut draft = Self::new(key, BODY_HINT_BYTES);
        let encoded = rmp_serde::encode::write_named(&mut draft, value);
        encoded.map_err(|_| Error::Encode { collection: meta.name })?;
        Ok(draft)
    }

    /// A draft of bytes as they are.
    pub(crate) fn with_body(key: &[u8], body: &[u8]) -> Self {
        let mut draft = Self::new(key, body.len());
        draft.buffer.extend_from_slice(body);
        draft
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The bytes that the sealed record will have.
    pub(crate) const fn stored_len(&self) -> usize {
        self.buffer.len() + TAG_LEN
    }

    /// Seals the record.
    pub(crate) fn seal(self, tenant: &Tenant, cipher: &Xaes, meta: Meta, name: &Name, version: u64) -> Vec<u8> {
        let mut stored = self.buffer;
        let nonce = random::<NONCE_LEN>();
        let (header, plaintext) = stored.split_at_mut(HEADER_LEN);
        for (slot, byte) in header
            .iter_mut()
            .zip(version.to_be_bytes().into_iter().chain([FORMAT]).chain(tenant.generation.to_be_bytes()).chain(nonce))
        {
            *slot = byte;
        }
        let aad = associated_data(&tenant.id, meta.tree, meta.schema, name.as_bytes(), version);
        let tag = cipher.seal_in_place(&nonce, &aad, plaintext);
        stored.extend_from_slice(&tag);
        stored
    }
}

impl std::io::Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// An opened record.
#[derive(Debug)]
pub(crate) struct Opened {
    plaintext: Vec<u8>,
    key_end: usize,
    pub(crate) version: u64,
}

impl Opened {
    /// Bytes of the plaintext.
    pub(crate) const fn len(&self) -> usize {
        self.plaintext.len()
    }

    pub(crate) fn key(&self) -> &[u8] {
        self.plaintext.get(2..self.key_end).unwrap_or_default()
    }

    pub(crate) fn body(&self) -> &[u8] {
        self.plaintext.get(self.key_end..).unwrap_or_default()
    }

    /// The value that [`Draft::of`] encoded.
    pub(crate) fn decode<T: DeserializeOwned>(&self, meta: Meta) -> Result<T, Error> {
        rmp_serde::from_slice(self.body()).map_err(|_| Error::Decode { collection: meta.name })
    }
}

/// The version that a stored record claims, which only opening it confirms.
pub(crate) fn claimed_version(stored: &[u8]) -> Option<u64> {
    stored.first_chunk::<VERSION_LEN>().map(|bytes| u64::from_be_bytes(*bytes))
}

/// Opens a stored record.
pub(crate) fn open(tenant: &Tenant, cipher: &Xaes, meta: Meta, name: &[u8], stored: &[u8]) -> Result<Opened, Error> {
    let broken = || Error::Integrity { what: meta.name };
    let (version, value) = stored.split_first_chunk::<VERSION_LEN>().ok_or_else(broken)?;
    let (format, value) = value.split_first().ok_or_else(broken)?;
    let (generation, value) = value.split_first_chunk::<4>().ok_or_else(broken)?;
    let (nonce, value) = value.split_first_chunk::<NONCE_LEN>().ok_or_else(broken)?;
    let (ciphertext, tag) = value.split_last_chunk::<TAG_LEN>().ok_or_else(broken)?;
    if *format != FORMAT || u32::from_be_bytes(*generation) != tenant.generation {
        return Err(broken());
    }
    let version = u64::from_be_bytes(*version);
    // A record may be older than the program: the schemas before the current one are tried in turn.
    for schema in (1..=meta.schema).rev() {
        let mut plaintext = ciphertext.to_vec();
        let aad = associated_data(&tenant.id, meta.tree, schema, name, version);
        if cipher.open_in_place(nonce, &aad, &mut plaintext, tag).is_ok() {
            let key_len = plaintext.first_chunk::<2>().map(|len| usize::from(u16::from_be_bytes(*len)));
            let key_end = key_len.map(|len| len + 2).filter(|end| *end <= plaintext.len()).ok_or_else(broken)?;
            return Ok(Opened { plaintext, key_end, version });
        }
    }
    Err(broken())
}

fn associated_data(tenant: &str, tree: u8, schema: u16, name: &[u8], version: u64) -> Vec<u8> {
    let len16 = |bytes: &[u8]| u16::try_from(bytes.len()).expect("tenants and names are short").to_be_bytes();
    let mut aad = Vec::with_capacity(19 + tenant.len() + name.len());
    aad.extend_from_slice(b"rec1");
    aad.extend_from_slice(&len16(tenant.as_bytes()));
    aad.extend_from_slice(tenant.as_bytes());
    aad.push(tree);
    aad.extend_from_slice(&len16(name));
    aad.extend_from_slice(name);
    aad.extend_from_slice(&version.to_be_bytes());
    aad.extend_from_slice(&schema.to_be_bytes());
    aad
}
