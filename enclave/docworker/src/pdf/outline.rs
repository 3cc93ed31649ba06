//! The outline of a PDF (bookmarks; ISO 32000-2, 12.3.3): titles with the pages they point to.

use std::collections::{HashMap, HashSet};

use lopdf::{Dictionary, Document, Object, ObjectId};

use super::objects::{named_destination, number};
use crate::MAX_PATH_DEPTH;
use crate::builder::clean;

/// The most entries that are read.
const MAX_ENTRIES: usize = 5_000;

/// One entry of the outline.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    /// 1 for the outermost.
    pub(super) level: u8,
    pub(super) title: String,
    /// Counted from 1.
    pub(super) page: u32,
    /// How far up the page the destination is, if it says so.
    pub(super) top: Option<f64>,
}

/// Reads the outline in reading order. Entries that point nowhere are left out; loops are not followed.
pub(super) fn read(document: &Document, pages: &[ObjectId]) -> Vec<Entry> {
    let numbers: HashMap<ObjectId, u32> = pages.iter().copied().zip(1..).collect();
    let mut entries = Vec::new();
    let mut seen = HashSet::new();
    let mut open: Vec<(ObjectId, u8)> = first_entry(document).into_iter().map(|id| (id, 1)).collect();
    while let Some((id, level)) = open.pop() {
        if !seen.insert(id) || entries.len() >= MAX_ENTRIES {
            continue;
        }
        let Ok(item) = document.get_dictionary(id) else {
            continue;
        };
        if let Some(entry) = entry(document, item, level, &numbers) {
            entries.push(entry);
        }
        open.extend(reference(item, b"Next").map(|next| (next, level)));
        let deepest = u8::try_from(MAX_PATH_DEPTH).unwrap_or(u8::MAX);
        open.extend(reference(item, b"First").map(|first| (first, (level + 1).min(deepest))));
    }
    entries.sort_by_key(|entry| entry.page);
    entries
}

fn first_entry(document: &Document) -> Option<ObjectId> {
    let outlines = document.catalog().ok()?.get_deref(b"Outlines", document).ok()?.as_dict().ok()?;
    reference(outlines, b"First")
}

fn reference(dictionary: &Dictionary, key: &[u8]) -> Option<ObjectId> {
    dictionary.get(key).ok()?.as_reference().ok()
}

fn entry(document: &Document, item: &Dictionary, level: u8, pages: &HashMap<ObjectId, u32>) -> Option<Entry> {
    let title = item.get_deref(b"Title", document).ok()?;
    let title = lopdf::decode_text_string(title)
        .ok()
        .or_else(|| Some(String::from_utf8_lossy(title.as_str().ok()?).into_owned()))
        .map(|title| clean(&title))
        .filter(|title| !title.is_empty())?;
    let target = destination(document, item)?;
    let [page, rest @ ..] = target.as_slice() else {
        return None;
    };
    let page = *pages.get(&page.as_reference().ok()?)?;
    let kind = rest.first().and_then(|kind| kind.as_name().ok()).unwrap_or_default();
    let top = match kind {
        b"XYZ" => rest.get(2),
        b"FitH" | b"FitBH" => rest.get(1),
        b"FitR" => rest.get(4),
        _ => None,
    };
    Some(Entry { level, title, page, top: top.and_then(number) })
}

/// Follows `/Dest` or a go-to action to the array that names a page.
fn destination<'d>(document: &'d Document, item: &'d Dictionary) -> Option<&'d Vec<Object>> {
    let mut target = match item.get_deref(b"Dest", document) {
        Ok(target) => target,
        Err(_) => item.get_deref(b"A", document).ok()?.as_dict().ok()?.get_deref(b"D", document).ok()?,
    };
    // A name leads to an array or to a dictionary with the array in it; no honest file needs more steps.
    for _ in 0..3 {
        target = match target {
            Object::Array(array) => return Some(array),
            Object::Name(name) | Object::String(name, _) => named_destination(document, name)?,
            Object::Dictionary(dictionary) => dictionary.get_deref(b"D", document).ok()?,
            _ => return None,
        };
    }
    target.as_array().ok()
}
