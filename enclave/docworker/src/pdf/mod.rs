//! PDF (ISO 32000-2): pages are read as positioned glyphs, put into lines and paragraphs, and cut at headings.
//!
//! Headings come from the outline; a document without one is cut at lines set larger or bolder than its body. What a
//! page draws as pictures is not read: a document of pictures is [`ParseFailure::NoTextLayer`].

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "objects and errors of lopdf: most kinds are of no use to a reader"
)]

mod font;
mod geometry;
mod layout;
mod objects;
mod outline;
mod page;
mod structure;

use cloister_protocol::parsed::{ParseFailure, ParsedDocument};
use lopdf::{DecompressError, Document, Error, LoadOptions, Object};

use crate::Limits;
use crate::builder::clean;

pub(crate) fn parse(bytes: &[u8], limits: &Limits) -> Result<ParsedDocument, ParseFailure> {
    let options = LoadOptions::with_max_decompressed_size(limits.stream_bytes);
    let document = Document::load_mem_with_options(bytes, options).map_err(|error| failure(&error))?;
    if document.trailer.get(b"Encrypt").is_ok() && !document.was_encrypted() {
        return Err(ParseFailure::Encrypted);
    }
    let pages = objects::pages(&document, limits)?;
    let mut reader = page::Reader::new(&document, limits);
    let mut lines = Vec::new();
    for (number, id) in (1..).zip(&pages) {
        lines.push(layout::lines(reader.read(*id)?, number));
    }
    layout::drop_running_lines(&mut lines);
    if lines.iter().all(Vec::is_empty) {
        return Err(if reader.has_drawings() { ParseFailure::NoTextLayer } else { ParseFailure::Empty });
    }
    let outline = outline::read(&document, &pages);
    let page_count = u32::try_from(pages.len()).map_err(|_| ParseFailure::TooLarge)?;
    structure::assemble(&lines, &outline, info_title(&document).as_deref(), page_count, limits)
}

/// What an error of the PDF library says about the document.
fn failure(error: &Error) -> ParseFailure {
    match error {
        Error::Decompress(DecompressError::MemoryLimitExceeded { .. } | DecompressError::TooManyFilters { .. }) => {
            ParseFailure::TooLarge
        }
        Error::InvalidPassword | Error::Decryption(_) | Error::UnsupportedSecurityHandler(_) => ParseFailure::Encrypted,
        _ => ParseFailure::Malformed,
    }
}

/// The title in the document information, unless a word processor just put a file name there.
fn info_title(document: &Document) -> Option<String> {
    let info = document.trailer.get_deref(b"Info", document).and_then(Object::as_dict).ok()?;
    let title = lopdf::decode_text_string(info.get_deref(b"Title", document).ok()?).ok()?;
    let title = clean(&title);
    let lower = title.to_lowercase();
    let is_file_name =
        [".doc", ".docx", ".odt", ".tex", ".indd", ".pdf", ".qxd"].iter().any(|end| lower.ends_with(end));
    (!title.is_empty() && !is_file_name && !lower.starts_with("microsoft word") && lower != "untitled").then_some(title)
}
