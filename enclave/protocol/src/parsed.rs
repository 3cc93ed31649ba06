//! What the sandboxed document worker hands back: text with its structure, never markup or active content.
//!
//! The worker reads one [`WorkerRequest`] line of JSON followed by the raw document on standard input, and writes one
//! [`WorkerReply`] as JSON on standard output. The enclave treats the reply as untrusted: it re-checks every length.

use serde::{Deserialize, Serialize};

/// The document formats that the worker understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DocumentFormat {
    /// PDF, ISO 32000.
    Pdf,
    /// `CommonMark`.
    Markdown,
    /// HTML as browsers read it.
    Html,
    /// UTF-8 text.
    Text,
}

/// The first line on the worker's standard input; `size_bytes` raw bytes of the document follow it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerRequest {
    /// What the bytes are to be read as.
    pub format: DocumentFormat,
    /// How many bytes follow.
    pub size_bytes: u64,
    /// The most characters of text that the reply may hold.
    pub max_text_chars: u64,
}

/// What the worker found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerReply {
    /// The document's text.
    Parsed(ParsedDocument),
    /// Why there is none.
    Failed(ParseFailure),
}

/// A document as a list of sections in reading order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParsedDocument {
    /// The title that the document gives itself, if any.
    pub title: Option<String>,
    /// Pages, for formats that have them.
    pub page_count: Option<u32>,
    /// Sections in reading order; text before the first heading is a section without a title.
    pub sections: Vec<Section>,
}

/// A heading and the blocks below it, up to the next heading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Titles from the outermost heading to this one; empty before the first heading.
    pub path: Vec<String>,
    /// Paragraphs, list items, tables and code blocks in reading order.
    pub blocks: Vec<Block>,
}

/// One paragraph-like piece of text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// Plain text with single spaces; never markup.
    pub text: String,
    /// The page it starts on, counted from 1, for formats that have pages.
    pub page: Option<u32>,
}

/// Why a document has no text; each has a sentence a person can act on in `enclave/src/documents`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ParseFailure {
    /// The bytes are not of the stated format, or damaged beyond reading.
    Malformed,
    /// The document asks for a password.
    Encrypted,
    /// There are pages but no text layer: a scan, which would need OCR.
    NoTextLayer,
    /// Nothing but white space.
    Empty,
    /// More text than the limit: a bomb, or a document to be split.
    TooLarge,
    /// The text is not UTF-8.
    NotUtf8,
}
