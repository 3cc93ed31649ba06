//! The certificate table that a host hands to its guest beside a report (GHCB specification 2.03, 4.1.8.1, SNP Extended
//! Guest Request): certificates by GUID, for guests that shall not have to ask AMD.
//!
//! The host fills it in, so nothing in it is believed: only the leaf is taken out, which then has to verify under roots of
//! our own. Intermediate and root are named for whoever wants to show them. A table that is malformed is an error of its
//! own and no reason to give up: the leaf is then fetched elsewhere.
//!
//! | offset | length | field |
//! |---|---|---|
//! | 0 | 24 each | entries: GUID 16, offset `u32`, length `u32`, little-endian |
//! | | 24 | an entry of zeros ends them |
//! | | | certificates, where the entries say |

use super::certificate::MAX_CERTIFICATE_BYTES;
use crate::reader::Reader;

/// The largest table that is looked at: what the kernel hands out at most.
pub const MAX_TABLE_BYTES: usize = 32 * 1024;
/// More entries than any host has a use for.
const MAX_ENTRIES: usize = 16;

const VCEK: [u8; 16] = guid(0x63da_758d_e664_4564_adc5_f4b9_3be8_accd);
const VLEK: [u8; 16] = guid(0xa807_4bc2_a25a_483e_aae6_39c0_45a0_b8a1);
const ASK: [u8; 16] = guid(0x4ab7_b379_bbac_4fe4_a02f_05ae_f327_c782);
const ARK: [u8; 16] = guid(0xc0b4_06a4_a803_4952_9743_3fb6_014c_d0ae);

/// Why bytes are not a certificate table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// Larger than [`MAX_TABLE_BYTES`].
    #[error("the certificate table is larger than {MAX_TABLE_BYTES} bytes")]
    TooLarge,
    /// No entry of zeros ends the entries.
    #[error("the entries of the certificate table have no end")]
    Unterminated,
    /// More entries than are looked at.
    #[error("the certificate table has too many entries")]
    TooManyEntries,
    /// An entry points outside the table, into the entries, or to something too large for a certificate.
    #[error("an entry of the certificate table points astray")]
    Astray,
    /// Two entries are of one kind.
    #[error("a certificate is in the table twice")]
    Twice,
}

/// What a table holds, unverified.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Table<'a> {
    /// The chip's key.
    pub vcek: Option<&'a [u8]>,
    /// The provider's key.
    pub vlek: Option<&'a [u8]>,
    /// The intermediate; for show only.
    pub ask: Option<&'a [u8]>,
    /// The root; for show only.
    pub ark: Option<&'a [u8]>,
}

impl<'a> Table<'a> {
    /// Reads a table. Entries of other kinds are checked for their bounds and passed over; no bytes at all are a table of
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`TableError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, TableError> {
        if bytes.len() > MAX_TABLE_BYTES {
            return Err(TableError::TooLarge);
        }
        let mut table = Self::default();
        if bytes.is_empty() {
            return Ok(table);
        }
        let entries = entries(bytes)?;
        for entry in &entries.all {
            let certificate = entry.certificate(bytes, entries.end).ok_or(TableError::Astray)?;
            let slot = match entry.guid {
                VCEK => &mut table.vcek,
                VLEK => &mut table.vlek,
                ASK => &mut table.ask,
                ARK => &mut table.ark,
                _ => continue,
            };
            if slot.replace(certificate).is_some() {
                return Err(TableError::Twice);
            }
        }
        Ok(table)
    }

    /// The certificate of the key that signed a report: VCEK or VLEK, as the report's key selector says.
    #[must_use]
    pub const fn leaf(&self, signing_key: u8) -> Option<&'a [u8]> {
        match signing_key {
            0 => self.vcek,
            1 => self.vlek,
            _ => None,
        }
    }
}

struct Entries {
    all: Vec<Entry>,
    /// Where they end and certificates may begin.
    end: usize,
}

struct Entry {
    guid: [u8; 16],
    offset: u32,
    length: u32,
}

impl Entry {
    fn certificate<'a>(&self, table: &'a [u8], entries_end: usize) -> Option<&'a [u8]> {
        let (start, length) = (usize::try_from(self.offset).ok()?, usize::try_from(self.length).ok()?);
        let fits = start >= entries_end && (1..=MAX_CERTIFICATE_BYTES).contains(&length);
        fits.then(|| table.get(start..start.checked_add(length)?)).flatten()
    }
}

fn entries(bytes: &[u8]) -> Result<Entries, TableError> {
    let mut reader = Reader::new(bytes);
    let mut all = Vec::new();
    loop {
        let entry = (|| Some(Entry { guid: *reader.array()?, offset: reader.u32()?, length: reader.u32()? }))();
        let entry = entry.ok_or(TableError::Unterminated)?;
        if entry.guid == [0; 16] {
            return Ok(Entries { all, end: bytes.len() - reader.rest().len() });
        }
        if all.len() == MAX_ENTRIES {
            return Err(TableError::TooManyEntries);
        }
        all.push(entry);
    }
}

/// A GUID as it is written: the bytes stand in the table in this order.
const fn guid(written: u128) -> [u8; 16] {
    written.to_be_bytes()
}
