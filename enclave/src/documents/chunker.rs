//! Cuts a parsed document into parents (what a model reads) and children (what is searched and cited). Pure.
//!
//! A parent never crosses a section. A child is a run of whole sentences of one parent and a substring of its text; the
//! next child begins with the last sentence of the one before, so that no statement is torn from its context. Nothing
//! is lost: every character of the document that is not white space is in exactly one parent and at least one child.
//! Sizes are in tokens of the embedding model, whose tokenizer the caller passes in.

use std::ops::Range;

use cloister_protocol::parsed::{ParsedDocument, Section};
use unicode_segmentation::UnicodeSegmentation;

/// Bounds in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// No parent is larger; a section that is larger is cut into parents of about the same size.
    pub parent_max: usize,
    /// No child is larger, unless a single character is.
    pub child_max: usize,
}

/// The sizes of the product: the embedding model cuts off after 256 word pieces, title and section included.
pub const SIZES: Sizes = Sizes { parent_max: 1200, child_max: 200 };

/// A section, or a part of a large one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// Section titles from the outermost in.
    pub path: Vec<String>,
    /// The text; paragraphs are separated by line breaks.
    pub text: String,
    /// First and last page, where there are pages.
    pub pages: Option<(u32, u32)>,
    /// In reading order; at least one.
    pub children: Vec<Child>,
}

/// A passage: what is found, cited and quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// Where it stands in the parent's text, in bytes.
    pub range: Range<usize>,
    /// The page it starts on.
    pub page: Option<u32>,
    /// The paragraph it starts in, counted from 0 over the whole document.
    pub paragraph: u32,
}

/// Cuts a document. `count` gives the tokens of a text, framing tokens included.
pub fn cut(document: &ParsedDocument, count: &dyn Fn(&str) -> usize, sizes: &Sizes) -> Vec<Parent> {
    let tokens = Tokens { count, framing: count("") };
    let mut parents = Vec::new();
    let mut paragraph = 0_u32;
    for section in &document.sections {
        let pieces = pieces(section, &mut paragraph, &tokens, sizes);
        for group in parent_groups(&pieces, sizes) {
            parents.push(parent(&section.path, group, &tokens, sizes));
        }
    }
    parents
}

/// Counts tokens; `framing` are those that every text has, however short.
struct Tokens<'a> {
    count: &'a dyn Fn(&str) -> usize,
    framing: usize,
}

impl Tokens<'_> {
    /// The tokens of a text as a part of a larger one.
    fn of(&self, text: &str) -> usize {
        (self.count)(text).saturating_sub(self.framing)
    }

    fn fits(&self, text: &str, max: usize) -> bool {
        (self.count)(text) <= max
    }
}

/// A sentence, or a part of one that is too long for a child.
struct Piece<'a> {
    text: &'a str,
    tokens: usize,
    /// Whether a paragraph ends with it.
    ends_paragraph: bool,
    paragraph: u32,
    page: Option<u32>,
}

fn pieces<'a>(section: &'a Section, paragraph: &mut u32, tokens: &Tokens<'_>, sizes: &Sizes) -> Vec<Piece<'a>> {
    let mut pieces = Vec::new();
    for block in &section.blocks {
        for sentence in sentences(&block.text) {
            for text in split_to_fit(sentence, tokens, sizes.child_max) {
                let tokens = tokens.of(text.trim());
                let piece = Piece { text, tokens, ends_paragraph: false, paragraph: *paragraph, page: block.page };
                pieces.push(piece);
            }
        }
        if let Some(last) = pieces.last_mut() {
            last.ends_paragraph = true;
        }
        *paragraph = paragraph.saturating_add(1);
    }
    pieces
}

/// Shorter pieces ("No. 7", "e.g.") join the next sentence.
const SHORTEST_CHARS: usize = 16;

/// Sentences by UAX #29, mended after abbreviations; together they are the whole text.
fn sentences(text: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    let mut start = 0;
    for (offset, bound) in text.split_sentence_bound_indices() {
        let end = offset + bound.len();
        let so_far = text.get(start..end).unwrap_or_default();
        if so_far.trim().chars().count() >= SHORTEST_CHARS && !ends_with_abbreviation(so_far.trim_end()) {
            sentences.push(so_far);
            start = end;
        }
    }
    sentences.extend(text.get(start..).filter(|rest| !rest.is_empty()));
    sentences
}

/// Whether the full stop belongs to the word before it, after which UAX #29 sees the end of a sentence.
fn ends_with_abbreviation(sentence: &str) -> bool {
    const ABBREVIATIONS: [&str; 20] = [
        "Art", "Co", "Corp", "Dr", "Fig", "Inc", "Jr", "Ltd", "Mr", "Mrs", "Ms", "No", "Nos", "Prof", "Sec", "Sr",
        "St", "approx", "cf", "vs",
    ];
    let word = sentence.rsplit(char::is_whitespace).next().unwrap_or_default();
    let Some(word) = word.strip_suffix('.') else { return false };
    ABBREVIATIONS.contains(&word) || (word.chars().count() == 1 && word.chars().all(char::is_uppercase))
}

/// Cuts a sentence that is too large, at white space where there is some.
fn split_to_fit<'a>(sentence: &'a str, tokens: &Tokens<'_>, max: usize) -> Vec<&'a str> {
    let mut parts = Vec::new();
    let mut rest = sentence;
    while !rest.is_empty() && !tokens.fits(rest.trim(), max) {
        let (part, tail) = rest.split_at(longest_prefix(rest, tokens, max));
        parts.push(part);
        rest = tail;
    }
    parts.extend((!rest.is_empty()).then_some(rest));
    parts
}

/// Where to cut `text` so that what comes before fits; at least one character. No token is longer than 24 characters
/// often enough to look further ahead.
fn longest_prefix(text: &str, tokens: &Tokens<'_>, max: usize) -> usize {
    let ends: Vec<usize> = text.char_indices().skip(1).map(|(at, _)| at).take(max.saturating_mul(24)).collect();
    let fitting = ends.partition_point(|end| tokens.fits(text.get(..*end).unwrap_or_default().trim(), max));
    let Some(end) = fitting.checked_sub(1).and_then(|i| ends.get(i)).or_else(|| ends.first()) else {
        return text.len();
    };
    let head = text.get(..*end).unwrap_or_default();
    match head.rfind(char::is_whitespace) {
        Some(space) if 2 * space > head.len() => {
            space + head.get(space..).and_then(|tail| tail.chars().next()).map_or(1, char::len_utf8)
        }
        _ => *end,
    }
}

/// Parents of one section: one if it fits, otherwise about equal ones that end with a paragraph where possible.
fn parent_groups<'p, 'a>(pieces: &'p [Piece<'a>], sizes: &Sizes) -> Vec<&'p [Piece<'a>]> {
    let mut groups = Vec::new();
    let mut rest = pieces;
    while !rest.is_empty() {
        let (group, tail) = rest.split_at(parent_length(rest, sizes.parent_max.max(1)));
        groups.push(group);
        rest = tail;
    }
    groups
}

/// How many pieces the next parent takes: an equal share of what is left, rounded to the end of a paragraph.
fn parent_length(pieces: &[Piece<'_>], max: usize) -> usize {
    let total: usize = pieces.iter().map(|piece| piece.tokens).sum();
    if total <= max {
        return pieces.len();
    }
    let share = total.div_ceil(total.div_ceil(max));
    let mut sum = 0_usize;
    for (i, piece) in pieces.iter().enumerate() {
        if i > 0 && sum + piece.tokens > max {
            return i;
        }
        sum += piece.tokens;
        if sum >= share || (piece.ends_paragraph && 10 * sum >= 9 * share) {
            return i + 1;
        }
    }
    pieces.len()
}

fn parent(path: &[String], pieces: &[Piece<'_>], tokens: &Tokens<'_>, sizes: &Sizes) -> Parent {
    let mut text = String::new();
    let mut ranges = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let start = text.len();
        text.push_str(piece.text);
        ranges.push(start..text.len());
        if piece.ends_paragraph {
            text.push('\n');
        }
    }
    text.truncate(text.trim_end().len());
    let children = child_groups(&text, pieces, &ranges, tokens, sizes)
        .into_iter()
        .filter_map(|group| child(&text, pieces.get(group.clone())?, ranges.get(group)?))
        .collect();
    let pages: Vec<u32> = pieces.iter().filter_map(|piece| piece.page).collect();
    let pages = pages.iter().copied().min().zip(pages.iter().copied().max());
    Parent { path: path.to_vec(), text, pages, children }
}

/// Which pieces each child is made of.
fn child_groups(
    text: &str,
    pieces: &[Piece<'_>],
    ranges: &[Range<usize>],
    tokens: &Tokens<'_>,
    sizes: &Sizes,
) -> Vec<Range<usize>> {
    let room = sizes.child_max.saturating_sub(tokens.framing);
    let mut groups = Vec::new();
    let mut start = 0;
    let mut fresh = 0;
    while fresh < pieces.len() {
        let mut end = fill(pieces, start, fresh, room);
        // The sum of parts is an estimate; what counts is the text.
        while end > fresh + 1 && !tokens.fits(span(text, ranges, start..end), sizes.child_max) {
            end -= 1;
        }
        if end == fresh + 1 && start < fresh && !tokens.fits(span(text, ranges, start..end), sizes.child_max) {
            start = fresh;
        }
        groups.push(start..end);
        start = overlap_start(pieces, start, end, room);
        fresh = end;
    }
    groups
}

/// How far a child that begins at `start` and must hold `fresh` can go.
fn fill(pieces: &[Piece<'_>], start: usize, fresh: usize, room: usize) -> usize {
    let mut sum: usize = pieces.iter().take(fresh + 1).skip(start).map(|piece| piece.tokens).sum();
    let mut end = fresh + 1;
    while let Some(piece) = pieces.get(end) {
        let at_paragraph = pieces.get(end - 1).is_some_and(|last| last.ends_paragraph);
        // Half full and the next paragraph does not fit whole: it gets a child of its own.
        if at_paragraph && 2 * sum >= room {
            let paragraph = pieces.iter().skip(end).take_while(|next| next.paragraph == piece.paragraph);
            if sum + paragraph.map(|next| next.tokens).sum::<usize>() > room {
                break;
            }
        }
        if sum + piece.tokens > room {
            break;
        }
        sum += piece.tokens;
        end += 1;
    }
    end
}

/// Where the next child begins: with the last sentence of this one, if that is short and its paragraph goes on.
fn overlap_start(pieces: &[Piece<'_>], start: usize, end: usize, room: usize) -> usize {
    match pieces.get(end - 1) {
        Some(last) if end - start > 1 && !last.ends_paragraph && 3 * last.tokens <= room => end - 1,
        _ => end,
    }
}

fn span<'t>(text: &'t str, ranges: &[Range<usize>], group: Range<usize>) -> &'t str {
    let (Some(first), Some(last)) = (ranges.get(group.start), ranges.get(group.end.saturating_sub(1))) else {
        return "";
    };
    text.get(first.start..last.end.min(text.len())).unwrap_or_default().trim()
}

fn child(text: &str, pieces: &[Piece<'_>], ranges: &[Range<usize>]) -> Option<Child> {
    let first = pieces.first()?;
    let (start, end) = (ranges.first()?.start, ranges.last()?.end.min(text.len()));
    let whole = text.get(start..end)?;
    let start = start + (whole.len() - whole.trim_start().len());
    let end = start + whole.trim().len();
    (start < end).then_some(Child { range: start..end, page: first.page, paragraph: first.paragraph })
}

/// What is embedded for a passage: `title > section: text`, with as much of the heading as fits into `max_tokens`.
pub fn embedding_text(
    title: &str,
    path: &[String],
    text: &str,
    count: &dyn Fn(&str) -> usize,
    max_tokens: usize,
) -> String {
    let same_title = path.first().is_some_and(|first| first == title);
    let path = if same_title { path.get(1..).unwrap_or_default() } else { path };
    let whole: Vec<&str> = std::iter::once(title).chain(path.iter().map(String::as_str)).collect();
    let ends: Vec<&str> = std::iter::once(title).chain(path.last().map(String::as_str)).collect();
    let section: Vec<&str> = path.last().map(String::as_str).into_iter().collect();
    [whole, ends, section]
        .iter()
        .filter(|heading| !heading.is_empty())
        .map(|heading| format!("{}: {text}", heading.join(" > ")))
        .find(|candidate| count(candidate) <= max_tokens)
        .unwrap_or_else(|| text.to_owned())
}
