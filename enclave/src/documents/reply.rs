//! The check of what the document worker answered. The worker read hostile bytes, so its answer is hostile too.

use cloister_protocol::parsed::{ParsedDocument, WorkerReply};

use super::DocumentProblem;

/// Limits of the answer. The worker keeps the same ones; here they are enforced.
const MAX_PATH_DEPTH: usize = 6;
const MAX_TITLE_CHARS: usize = 200;
const MAX_BLOCKS: usize = 200_000;
const MAX_PAGES: u32 = 100_000;

/// Reads and checks an answer of at most `max_text_chars` characters of text.
///
/// # Errors
/// The worker's own finding, or [`DocumentProblem::ReaderFailed`] for an answer that it must not give.
pub(super) fn check(reply: &[u8], max_text_chars: u64) -> Result<ParsedDocument, DocumentProblem> {
    match serde_json::from_slice(reply) {
        Ok(WorkerReply::Parsed(document)) if is_sound(&document, max_text_chars) => Ok(document),
        Ok(WorkerReply::Failed(failure)) => Err(failure.into()),
        Ok(WorkerReply::Parsed(_)) | Err(_) => Err(DocumentProblem::ReaderFailed),
    }
}

fn is_sound(document: &ParsedDocument, max_text_chars: u64) -> bool {
    let page_count = document.page_count.unwrap_or(0);
    let mut chars_left = max_text_chars;
    let mut blocks_left = MAX_BLOCKS;
    let mut charge = |text: &str| {
        let chars = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
        chars_left.checked_sub(chars).map(|left| chars_left = left).is_some()
    };
    let mut take_block = || blocks_left.checked_sub(1).map(|left| blocks_left = left).is_some();
    page_count <= MAX_PAGES
        && document.title.as_deref().is_none_or(is_title)
        && !document.sections.is_empty()
        && document.sections.iter().all(|section| {
            take_block()
                && section.path.len() <= MAX_PATH_DEPTH
                && section.path.iter().all(|title| is_title(title) && charge(title))
                && !section.blocks.is_empty()
                && section.blocks.iter().all(|block| {
                    take_block()
                        && charge(&block.text)
                        && is_text(&block.text)
                        && block.page.is_none_or(|page| (1..=page_count).contains(&page))
                })
        })
}

fn is_title(title: &str) -> bool {
    !title.trim().is_empty() && title.chars().count() <= MAX_TITLE_CHARS && !title.chars().any(char::is_control)
}

fn is_text(text: &str) -> bool {
    !text.trim().is_empty() && !text.chars().any(|c| c.is_control() && c != '\n')
}
