//! Safe walks over the object graph of a PDF: every one is iterative and visits an object once.

use std::collections::HashSet;

use cloister_protocol::parsed::ParseFailure;
use lopdf::{Dictionary, Document, Object, ObjectId};

use crate::Limits;

/// The most levels of a page tree, a `/Parent` chain or a name tree that are followed.
const MAX_DEPTH: usize = 64;

/// The pages in order. A page that is listed twice counts once: no honest tree does that, and bombs do.
pub(super) fn pages(document: &Document, limits: &Limits) -> Result<Vec<ObjectId>, ParseFailure> {
    let mut seen = HashSet::new();
    let mut pages = Vec::new();
    for id in document.page_iter() {
        let is_page = document.get_dictionary(id).is_ok();
        if is_page && seen.insert(id) {
            pages.push(id);
        }
        if pages.len() > usize::try_from(limits.pages).unwrap_or(usize::MAX) {
            return Err(ParseFailure::TooLarge);
        }
    }
    if pages.is_empty() { Err(ParseFailure::Malformed) } else { Ok(pages) }
}

/// A value that a page has itself or inherits from its ancestors (ISO 32000-2, 7.7.3.4).
pub(super) fn inherited<'d>(document: &'d Document, page: ObjectId, key: &[u8]) -> Option<&'d Object> {
    let mut node = document.get_dictionary(page).ok()?;
    for _ in 0..MAX_DEPTH {
        if let Ok(value) = node.get_deref(key, document) {
            return Some(value);
        }
        node = dictionary(document, node, b"Parent")?;
    }
    None
}

/// The dictionary, or the dictionary of the stream, under `key`.
pub(super) fn dictionary<'d>(document: &'d Document, parent: &'d Dictionary, key: &[u8]) -> Option<&'d Dictionary> {
    match parent.get_deref(key, document).ok()? {
        Object::Dictionary(dictionary) => Some(dictionary),
        Object::Stream(stream) => Some(&stream.dict),
        _ => None,
    }
}

/// A number of either kind. PDF's numbers are finite; what is not, is not read.
pub(super) fn number(object: &Object) -> Option<f64> {
    let value = match object {
        #[expect(clippy::cast_precision_loss, reason = "coordinates need no more than 53 bits")]
        Object::Integer(value) => *value as f64,
        Object::Real(value) => f64::from(*value),
        _ => return None,
    };
    value.is_finite().then_some(value)
}

/// The destinations that have names: `/Dests` of the catalogue and the `/Dests` name tree (ISO 32000-2, 12.3.2.4).
pub(super) fn named_destination<'d>(document: &'d Document, name: &[u8]) -> Option<&'d Object> {
    let catalog = document.catalog().ok()?;
    if let Some(found) = dictionary(document, catalog, b"Dests").and_then(|d| d.get_deref(name, document).ok()) {
        return Some(found);
    }
    let names = dictionary(document, catalog, b"Names")?;
    let mut open = vec![dictionary(document, names, b"Dests")?];
    let mut budget = 10_000_usize;
    while let Some(node) = open.pop() {
        budget = budget.checked_sub(1)?;
        if let Ok(pairs) = node.get_deref(b"Names", document).and_then(Object::as_array) {
            let found = pairs.chunks_exact(2).find(|pair| pair.first().and_then(|n| n.as_str().ok()) == Some(name));
            if let Some(value) = found.and_then(|pair| pair.get(1)) {
                return document.dereference(value).ok().map(|(_, object)| object);
            }
        }
        if let Ok(kids) = node.get_deref(b"Kids", document).and_then(Object::as_array) {
            let room = MAX_DEPTH * 16;
            let kids = kids.iter().filter_map(|kid| document.dereference(kid).ok()?.1.as_dict().ok());
            open.extend(kids.take(room.saturating_sub(open.len())));
        }
    }
    None
}
