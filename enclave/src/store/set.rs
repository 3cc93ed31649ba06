//! One number over all records, by which a start tells whether the disk holds just what the last commit left on it.
//!
//! Each record has an element: HMAC-SHA256 over its name, its version and the tag of its seal, under a key of its own
//! derived from the root key. The number is the sum of all elements modulo 2^256, the additive multiset hash of Clarke,
//! Devadas, van Dijk, Gassend and Suh (ASIACRYPT 2003): a write takes the old element away and adds the new one. It
//! stands in the sealed header, in the same atomic write as the records, so whoever owns the disk sees neither the
//! elements nor the sum, and can neither take a record away nor put one back, an old one of another fork included,
//! without the sum telling. Changed bytes under an unchanged tag are left to the seal, which does not open.

use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::record;
use super::xaes::TAG_LEN;
use crate::keys::secret::Secret;

/// The sum over all records, little-endian; zero for none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SetHash([u64; 4]);

/// What one record adds to the sum.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element([u64; 4]);

/// The key of the elements.
pub(crate) struct SetKey(Hmac<Sha256>);

impl SetKey {
    pub(crate) fn new(key: &Secret<32>) -> Self {
        Self(<Hmac<Sha256> as Mac>::new_from_slice(key.expose_secret()).expect("HMAC takes any key"))
    }

    /// The element of a stored record. One too short to have a version and a tag, which the store never writes, has one too.
    pub(crate) fn element(&self, name: &[u8], stored: &[u8]) -> Element {
        let mut mac = self.0.clone();
        // Names have different lengths; what follows them has not.
        mac.update(&[u8::try_from(name.len()).unwrap_or(u8::MAX)]);
        mac.update(name);
        mac.update(&record::claimed_version(stored).unwrap_or_default().to_be_bytes());
        mac.update(stored.last_chunk::<TAG_LEN>().map_or(&[], |tag| tag.as_slice()));
        let bytes: [u8; 32] = mac.finalize().into_bytes().into();
        let mut limbs = [0; 4];
        for (limb, bytes) in limbs.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *limb = u64::from_le_bytes(*bytes);
        }
        Element(limbs)
    }
}

impl SetHash {
    pub(crate) fn add(&mut self, element: Element) {
        let mut carry = false;
        for (sum, limb) in self.0.iter_mut().zip(element.0) {
            (*sum, carry) = sum.carrying_add(limb, carry);
        }
    }

    pub(crate) fn remove(&mut self, element: Element) {
        let mut borrow = false;
        for (sum, limb) in self.0.iter_mut().zip(element.0) {
            (*sum, borrow) = sum.borrowing_sub(limb, borrow);
        }
    }
}
