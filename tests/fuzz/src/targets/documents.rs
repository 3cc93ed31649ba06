//! Documents that somebody uploaded, what the sandboxed reader makes of them, and how that is cut into passages.

use cloister_docworker::{Limits, MAX_BLOCKS, MAX_PATH_DEPTH, MAX_TITLE_CHARS, parse};
use cloister_enclave::documents::chunker::{SIZES, cut};
use cloister_protocol::parsed::{DocumentFormat, ParsedDocument, WorkerReply};

use super::reads_back;

const TEXT_CHARS: u64 = 20_000;

/// What a captured reader could answer, cut into passages without more ado.
pub(crate) fn worker_reply(data: &[u8]) {
    let Ok(reply) = serde_json::from_slice::<WorkerReply>(data) else { return };
    reads_back(&reply);
    if let WorkerReply::Parsed(document) = reply {
        passages(&document);
    }
}

pub(crate) fn html(data: &[u8]) {
    document(DocumentFormat::Html, data);
}

pub(crate) fn markdown(data: &[u8]) {
    document(DocumentFormat::Markdown, data);
}

pub(crate) fn text(data: &[u8]) {
    document(DocumentFormat::Text, data);
}

pub(crate) fn pdf(data: &[u8]) {
    document(DocumentFormat::Pdf, data);
}

fn document(format: DocumentFormat, data: &[u8]) {
    let limits =
        Limits { pages: 100, stream_bytes: 4 << 20, content_bytes: 16 << 20, ..Limits::with_text_chars(TEXT_CHARS) };
    let Ok(document) = parse(format, data, &limits) else { return };
    reads_back(&WorkerReply::Parsed(document.clone()));
    bounded(&document);
    passages(&document);
}

/// What the enclave will demand of the reply, the reader keeps by itself.
fn bounded(document: &ParsedDocument) {
    let blocks: usize = document.sections.iter().map(|section| 1 + section.blocks.len()).sum();
    assert!(blocks <= MAX_BLOCKS && !document.sections.is_empty());
    let mut chars = 0;
    for section in &document.sections {
        assert!(section.path.len() <= MAX_PATH_DEPTH && !section.blocks.is_empty());
        for title in &section.path {
            assert!(!title.trim().is_empty() && title.chars().count() <= MAX_TITLE_CHARS);
            assert!(!title.chars().any(char::is_control), "a title with control characters");
        }
        for block in &section.blocks {
            assert!(!block.text.trim().is_empty(), "a block without text");
            assert!(!block.text.chars().any(|c| c.is_control() && c != '\n'), "text with control characters");
            assert!(block.page.is_none_or(|page| (1..=document.page_count.unwrap_or(0)).contains(&page)));
            chars += block.text.chars().count();
        }
    }
    assert!(u64::try_from(chars).is_ok_and(|chars| chars <= TEXT_CHARS), "{chars} characters");
}

/// Cutting loses nothing: every passage stands in its parent's text.
fn passages(document: &ParsedDocument) {
    let count = |text: &str| 2 + text.split_whitespace().count();
    for parent in cut(document, &count, &SIZES) {
        assert!(!parent.children.is_empty(), "a parent without passages");
        for child in &parent.children {
            assert!(parent.text.get(child.range.clone()).is_some(), "a passage outside its parent's text");
        }
    }
}
