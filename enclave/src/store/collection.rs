//! Typed collections, and the names that their records have on disk.
//!
//! A name is `prefix8 ‖ [group8] ‖ [order8] ‖ prf16`: the prefix is a PRF of tenant and collection, so that a scan finds
//! a whole collection; the group, if any, a PRF of the group whose first bit is set; the order, if any, a number in clear
//! below 2^63, so that records written one after another stand together; the rest a PRF of the key. The disk shows how
//! many records a collection and a group have, nothing else.

use std::marker::PhantomData;

use super::error::Error;
use super::hierarchy::TreeKeys;
use super::versions::{List, Tail};

/// The longest key or group, in bytes.
pub const MAX_KEY_BYTES: usize = 512;

/// How the keys of a collection are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Flat,
    Grouped,
    Ordered,
}

/// A collection of records of type `T`, declared once as a constant beside the code that owns it.
///
/// Trees are numbered once and for ever (the number stands in every record's associated data); a change of `T` that old
/// records do not survive raises the schema.
pub struct Collection<T> {
    meta: Meta,
    records: PhantomData<fn() -> T>,
}

impl<T> std::fmt::Debug for Collection<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Collection").field(&self.meta.name).finish()
    }
}

impl<T> Clone for Collection<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Collection<T> {}

impl<T> Collection<T> {
    /// A collection with plain keys.
    #[must_use]
    pub const fn new(name: &'static str, tree: u8, schema: u16) -> Self {
        Self::with_layout(name, tree, schema, Layout::Flat)
    }

    /// A collection whose keys belong to a group (say, a workspace), so that one group can be listed by itself. The
    /// same key may occur in several groups.
    #[must_use]
    pub const fn new_grouped(name: &'static str, tree: u8, schema: u16) -> Self {
        Self::with_layout(name, tree, schema, Layout::Grouped)
    }

    /// A collection whose keys are numbers written by [`order_key`], below 2^63, and whose records lie in their order.
    #[must_use]
    pub const fn new_ordered(name: &'static str, tree: u8, schema: u16) -> Self {
        Self::with_layout(name, tree, schema, Layout::Ordered)
    }

    const fn with_layout(name: &'static str, tree: u8, schema: u16, layout: Layout) -> Self {
        assert!((tree as usize) < TREES, "tree numbers are below 64");
        assert!(schema > 0, "schemas count from 1");
        Self { meta: Meta { name, tree, schema, layout }, records: PhantomData }
    }

    pub(crate) const fn meta(&self) -> Meta {
        self.meta
    }

    /// The name of the collection.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.meta.name
    }
}

/// Trees are numbered below this.
pub(crate) const TREES: usize = 64;

/// A collection without the type of its records.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meta {
    pub(crate) name: &'static str,
    pub(crate) tree: u8,
    pub(crate) schema: u16,
    layout: Layout,
}

/// Collections of one owner.
pub(crate) type Listing = &'static [Meta];

/// Whether all collections have numbers of their own.
pub(crate) const fn distinct(mut all: &[Listing]) -> bool {
    let mut seen = 0_u64;
    while let [owner, others @ ..] = all {
        let mut collections = *owner;
        while let [first, rest @ ..] = collections {
            let bit = 1 << first.tree;
            if seen & bit != 0 {
                return false;
            }
            seen |= bit;
            collections = rest;
        }
        all = others;
    }
    true
}

/// The key of the record number `order` in an ordered collection.
#[must_use]
pub fn order_key(order: u64) -> String {
    format!("{order:016x}")
}

/// What follows the tenant's and collection's prefix in a scan.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Address<'a> {
    /// One record.
    Key { group: Option<&'a str>, key: &'a str },
    /// Chunk `index` of a blob.
    Chunk { key: &'a str, index: u32 },
}

/// The name of a record on disk.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Name {
    len: u8,
    bytes: [u8; 40],
}

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.as_bytes()))
    }
}

impl Name {
    pub(crate) fn new(parts: &[&[u8]]) -> Self {
        let mut name = Self { len: 0, bytes: [0; 40] };
        for byte in parts.iter().copied().flatten() {
            let slot = name.bytes.get_mut(usize::from(name.len)).expect("the parts of a name have at most 40 bytes");
            *slot = *byte;
            name.len += 1;
        }
        name
    }

    /// A name found on the disk, unless it is too short or too long to be one.
    pub(crate) fn parse(found: &[u8]) -> Option<Self> {
        (24..=40).contains(&found.len()).then(|| Self::new(&[found]))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).expect("a name is at most 40 bytes")
    }

    /// The key of the version map: the part of the name that is a PRF of the whole key.
    pub(crate) fn tail(&self) -> Tail {
        tail(self.as_bytes()).expect("every name ends with 16 bytes of PRF output")
    }
}

/// The first bit of a group, which no order has.
const GROUP_BIT: u8 = 0x80;

/// The lists that a record of this name is in: its collection, and its group if it has one.
pub(crate) fn lists(name: &Name) -> impl Iterator<Item = List> {
    let bytes = name.as_bytes();
    let group = bytes
        .first_chunk::<16>()
        .filter(|_| bytes.len() > 24 && bytes.get(8).is_some_and(|byte| byte & GROUP_BIT != 0));
    bytes.first_chunk::<8>().map(|prefix| list(prefix)).into_iter().chain(group.copied())
}

/// The list that a collection's or a group's prefix names.
pub(crate) fn list(prefix: &[u8]) -> List {
    let mut list = List::default();
    list.iter_mut().zip(prefix).for_each(|(slot, byte)| *slot = *byte);
    list
}

/// The last 16 bytes of a name on disk.
pub(crate) fn tail(name: &[u8]) -> Option<Tail> {
    name.last_chunk::<16>().copied()
}

impl Meta {
    /// The name of a record, and the encoded key that stands first in its plaintext.
    pub(crate) fn address(&self, keys: &TreeKeys, address: Address<'_>) -> Result<(Name, Vec<u8>), Error> {
        let fits = |key: &str| !key.is_empty() && key.len() <= MAX_KEY_BYTES;
        let invalid = Error::InvalidKey { collection: self.name };
        match (self.layout, address) {
            (_, Address::Chunk { key, index }) if fits(key) => {
                let mut encoded = index.to_be_bytes().to_vec();
                encoded.extend_from_slice(key.as_bytes());
                Ok((Name::new(&[&keys.blob_prefix, &keys.name(b'b', &[&encoded])]), encoded))
            }
            (Layout::Flat, Address::Key { group: None, key }) if fits(key) => {
                let name = Name::new(&[&keys.prefix, &keys.name(b'k', &[key.as_bytes()])]);
                Ok((name, key.as_bytes().to_vec()))
            }
            (Layout::Grouped, Address::Key { group: Some(group), key }) if fits(key) && fits(group) => {
                let encoded = encode_grouped(group, key);
                let prefix = self.group_prefix(keys, group)?;
                Ok((Name::new(&[prefix.as_bytes(), &keys.name(b'm', &[&encoded])]), encoded))
            }
            (Layout::Ordered, Address::Key { group: None, key }) if key.len() == 16 => {
                let order =
                    u64::from_str_radix(key, 16).ok().filter(|order| *order < 1 << 63 && order_key(*order) == key);
                order.map(|order| (self.ordered(keys, order), key.as_bytes().to_vec())).ok_or(invalid)
            }
            _ => Err(invalid),
        }
    }

    fn ordered(&self, keys: &TreeKeys, order: u64) -> Name {
        let order = order.to_be_bytes();
        Name::new(&[&keys.prefix, &order, &keys.name(b'o', &[&order])])
    }

    /// What the names of a group's records start with.
    pub(crate) fn group_prefix(&self, keys: &TreeKeys, group: &str) -> Result<Name, Error> {
        if self.layout != Layout::Grouped {
            return Err(Error::InvalidKey { collection: self.name });
        }
        let mut prf: [u8; 8] = *keys.name(b'g', &[group.as_bytes()]).first_chunk().expect("16 bytes begin with 8");
        prf[0] |= GROUP_BIT;
        Ok(Name::new(&[&keys.prefix, &prf]))
    }

    /// The caller's key, from the one in a record's plaintext.
    pub(crate) fn decode_key(&self, encoded: &[u8]) -> Result<String, Error> {
        let key = match self.layout {
            Layout::Flat | Layout::Ordered => Some(encoded),
            Layout::Grouped => encoded
                .split_first_chunk::<2>()
                .and_then(|(len, rest)| rest.get(usize::from(u16::from_be_bytes(*len))..)),
        };
        key.and_then(|key| String::from_utf8(key.to_vec()).ok()).ok_or(Error::Integrity { what: self.name })
    }
}

fn encode_grouped(group: &str, key: &str) -> Vec<u8> {
    let len = u16::try_from(group.len()).expect("groups have at most 512 bytes");
    [&len.to_be_bytes(), group.as_bytes(), key.as_bytes()].concat()
}
