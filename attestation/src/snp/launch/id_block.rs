//! Who stands behind an image: the ID authentication information that a host hands over at launch (SNP ABI, 8.19,
//! `ID_AUTH_INFO`; attestation notes, 4.1).
//!
//! A report names the keys in it by `ID_KEY_DIGEST` and `AUTHOR_KEY_DIGEST`: SHA-384 over AMD's own structure of a public
//! key, not over an SPKI. This module computes both, for reference values.

use ring::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
use sha2::{Digest as _, Sha384};

use crate::reader::Reader;

/// How long the information is: one page.
pub const ID_AUTH_BYTES: usize = 4096;

const ECDSA_P384_SHA384: u32 = 1;
const CURVE_P384: u32 = 2;
/// Algorithms, then zeros up to the first signature.
const HEADER_BYTES: usize = 0x40 - 8;
const SIGNATURE_BYTES: usize = 512;
const KEY_BYTES: usize = 0x404;
/// Zeros between the ID key and the signature on it.
const GAP_BYTES: usize = 0x680 - 0x644;
const NUMBER_BYTES: usize = 72;
const COORDINATE_BYTES: usize = 48;

/// Why bytes are not ID authentication information that the firmware would accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not one page.
    #[error("ID authentication information has {0} bytes, not 4096")]
    Size(usize),
    /// Another algorithm or curve than ECDSA P-384 with SHA-384.
    #[error("{0} is not of ECDSA P-384 with SHA-384")]
    Algorithm(&'static str),
    /// The author key did not sign the ID key.
    #[error("the author key did not sign the ID key")]
    AuthorSignature,
}

/// ID authentication information whose author, if it names one, did sign its ID key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdAuth {
    id_key_digest: [u8; 48],
    author_key_digest: Option<[u8; 48]>,
    id_block_signature: Vec<u8>,
    id_key_signature: Vec<u8>,
}

impl IdAuth {
    /// Reads the page and checks the author's signature.
    ///
    /// # Errors
    ///
    /// One variant per way of being refused.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let size = || Error::Size(bytes.len());
        if bytes.len() != ID_AUTH_BYTES {
            return Err(size());
        }
        let mut reader = Reader::new(bytes);
        let (id_algorithm, author_algorithm) = (reader.u32().ok_or_else(size)?, reader.u32().ok_or_else(size)?);
        reader.slice(HEADER_BYTES).ok_or_else(size)?;
        let id_block_signature = reader.slice(SIGNATURE_BYTES).ok_or_else(size)?;
        let id_key = reader.slice(KEY_BYTES).ok_or_else(size)?;
        reader.slice(GAP_BYTES).ok_or_else(size)?;
        let id_key_signature = reader.slice(SIGNATURE_BYTES).ok_or_else(size)?;
        let author_key = reader.slice(KEY_BYTES).ok_or_else(size)?;
        if id_algorithm != ECDSA_P384_SHA384 {
            return Err(Error::Algorithm("ID key"));
        }
        point(id_key, "ID key")?;
        let author_key_digest = match author_algorithm {
            0 => None,
            ECDSA_P384_SHA384 => {
                let author = point(author_key, "author key")?;
                check_signature(&author, id_key, id_key_signature)?;
                Some(Sha384::digest(author_key).into())
            }
            _ => return Err(Error::Algorithm("author key")),
        };
        Ok(Self {
            id_key_digest: Sha384::digest(id_key).into(),
            author_key_digest,
            id_block_signature: id_block_signature.to_vec(),
            id_key_signature: id_key_signature.to_vec(),
        })
    }

    /// What a report of the guest has as `ID_KEY_DIGEST`.
    #[must_use]
    pub const fn id_key_digest(&self) -> &[u8; 48] {
        &self.id_key_digest
    }

    /// What a report of the guest has as `AUTHOR_KEY_DIGEST`; none where no author is named.
    #[must_use]
    pub const fn author_key_digest(&self) -> Option<&[u8; 48]> {
        self.author_key_digest.as_ref()
    }

    /// The ID key's signature on the ID block, in AMD's layout.
    #[must_use]
    pub fn id_block_signature(&self) -> &[u8] {
        &self.id_block_signature
    }

    /// The author key's signature on the ID key, in AMD's layout.
    #[must_use]
    pub fn id_key_signature(&self) -> &[u8] {
        &self.id_key_signature
    }
}

/// The point of a key in AMD's layout: curve, then x and y of 72 bytes each, little-endian.
fn point(key: &[u8], name: &'static str) -> Result<[u8; 97], Error> {
    let wrong = Error::Algorithm(name);
    let mut reader = Reader::new(key);
    if reader.u32() != Some(CURVE_P384) {
        return Err(wrong);
    }
    let mut point = [4; 97];
    let (_, coordinates) = point.split_at_mut(1);
    for coordinate in coordinates.chunks_exact_mut(COORDINATE_BYTES) {
        let number = reader.slice(NUMBER_BYTES).ok_or(wrong)?;
        read_number(number, coordinate).ok_or(wrong)?;
    }
    Ok(point)
}

/// Writes a little-endian number of 72 bytes big-endian into 48; none if it does not fit.
fn read_number(number: &[u8], into: &mut [u8]) -> Option<()> {
    let (value, padding) = number.split_at_checked(COORDINATE_BYTES)?;
    if padding.iter().any(|byte| *byte != 0) {
        return None;
    }
    into.copy_from_slice(value);
    into.reverse();
    Some(())
}

fn check_signature(author: &[u8; 97], id_key: &[u8], signature: &[u8]) -> Result<(), Error> {
    let mut fixed = [0; 2 * COORDINATE_BYTES];
    for (place, number) in fixed.chunks_exact_mut(COORDINATE_BYTES).zip(signature.chunks_exact(NUMBER_BYTES)) {
        read_number(number, place).ok_or(Error::AuthorSignature)?;
    }
    let key = UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, author);
    key.verify(id_key, &fixed).map_err(|_| Error::AuthorSignature)
}
