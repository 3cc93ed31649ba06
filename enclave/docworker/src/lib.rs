//! Turns a document that nobody trusts into plain text with its structure: sections, paragraphs, pages.
//!
//! The parsers here are pure (bytes in, [`ParsedDocument`] or [`ParseFailure`] out) so that they can be tested and
//! fuzzed; the process around them (`main.rs`) is the sandbox. Active content, markup, hidden text and links never
//! leave: what comes out is what a reader of the document would see as words. Nothing recurses to a depth that the
//! document chooses, and every loop is bounded by [`Limits`] or by the size of the input.
//!
//! ```
//! use cloister_docworker::{Limits, parse};
//! use cloister_protocol::parsed::DocumentFormat;
//! let parsed = parse(DocumentFormat::Markdown, b"# Leave\n\nStaff have 28 days.", &Limits::with_text_chars(10_000));
//! assert_eq!(parsed.expect("small and well formed").sections[0].path, ["Leave"]);
//! ```

mod builder;
mod html;
mod markdown;
mod pdf;
mod text;

use cloister_protocol::parsed::{DocumentFormat, ParseFailure, ParsedDocument};

/// The most characters that a title keeps; longer ones end in `…`.
pub const MAX_TITLE_CHARS: usize = 200;
/// The most levels of headings that a path keeps; deeper headings replace the last one.
pub const MAX_PATH_DEPTH: usize = 6;
/// The most sections and blocks together that a document may have.
pub const MAX_BLOCKS: usize = 200_000;

/// What a parser may use up before it answers [`ParseFailure::TooLarge`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Characters of text, titles included.
    pub text_chars: u64,
    /// Pages of a PDF.
    pub pages: u32,
    /// Bytes that one compressed PDF stream may unpack to.
    pub stream_bytes: usize,
    /// Bytes that all page contents of a PDF may unpack to together.
    pub content_bytes: usize,
}

impl Limits {
    /// The limits of the product, with the cap on text that the caller asks for.
    #[must_use]
    pub const fn with_text_chars(text_chars: u64) -> Self {
        Self { text_chars, pages: 10_000, stream_bytes: 64 << 20, content_bytes: 256 << 20 }
    }
}

/// Reads `bytes` as `format`.
///
/// # Errors
/// [`ParseFailure`] says why there is no text; a document that is merely damaged in places is read as far as possible.
pub fn parse(format: DocumentFormat, bytes: &[u8], limits: &Limits) -> Result<ParsedDocument, ParseFailure> {
    match format {
        DocumentFormat::Pdf => pdf::parse(bytes, limits),
        DocumentFormat::Markdown => markdown::parse(utf8(bytes)?, limits),
        DocumentFormat::Html => html::parse(utf8(bytes)?, limits),
        DocumentFormat::Text => text::parse(utf8(bytes)?, limits),
    }
}

/// A document in UTF-8 without its byte order mark. A NUL means that it is no text at all.
fn utf8(bytes: &[u8]) -> Result<&str, ParseFailure> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    if bytes.contains(&0) {
        return Err(ParseFailure::Malformed);
    }
    std::str::from_utf8(bytes).map_err(|_| ParseFailure::NotUtf8)
}
