//! Plain text: paragraphs by blank lines, pages by form feeds, headings by how people have always typed them.
//!
//! A heading is a line on its own that is underlined, in capitals, centred, numbered ("4.2 Scope") or begins with a
//! word such as "Chapter". A line that ends like a sentence is none, unless it is numbered like one ("0. Definitions.").

use cloister_protocol::parsed::{ParseFailure, ParsedDocument};

use crate::Limits;
use crate::builder::{Builder, clean};

/// The most characters of a line that can be a heading.
const HEADING_CHARS: usize = 80;
/// The most words of one.
const HEADING_WORDS: usize = 12;
/// Lines longer than this do not say where the middle of the page is.
const MAX_LINE_WIDTH: usize = 120;

pub(crate) fn parse(source: &str, limits: &Limits) -> Result<ParsedDocument, ParseFailure> {
    let has_pages = source.trim_end().contains('\u{0C}');
    let groups = groups(source, has_pages);
    let width = line_width(source);
    let mut builder = Builder::new(limits);
    let mut title = None;
    for (i, group) in groups.iter().enumerate() {
        let next = groups.get(i + 1);
        match heading(group, next, width) {
            Some(heading) => {
                if builder.is_untouched() {
                    title = Some(heading.title.clone());
                }
                builder.heading(heading.level, &heading.title)?;
                paragraphs(group.lines.get(heading.lines..).unwrap_or_default(), group.page, &mut builder)?;
            }
            None => paragraphs(&group.lines, group.page, &mut builder)?,
        }
    }
    let pages = has_pages.then(|| groups.last().and_then(|group| group.page)).flatten();
    builder.finish(title.as_deref(), pages)
}

/// Lines without a blank line between them.
struct Group<'a> {
    lines: Vec<&'a str>,
    page: Option<u32>,
}

fn groups(source: &str, has_pages: bool) -> Vec<Group<'_>> {
    let mut groups = Vec::new();
    for (page, text) in (1..).zip(source.split('\u{0C}')) {
        let mut lines = Vec::new();
        for line in text.lines().chain([""]) {
            if !line.trim().is_empty() {
                lines.push(line.trim_end());
            } else if !lines.is_empty() {
                groups.push(Group { lines: std::mem::take(&mut lines), page: has_pages.then_some(page) });
            }
        }
    }
    groups
}

/// The width that the text is set to: a few lines may stand out, the third quartile does not.
fn line_width(source: &str) -> usize {
    let lengths = source.lines().map(|line| line.trim_end().chars().count());
    let mut lengths: Vec<usize> = lengths.filter(|n| (1..=MAX_LINE_WIDTH).contains(n)).collect();
    lengths.sort_unstable();
    lengths.get(lengths.len() * 3 / 4).copied().unwrap_or(0)
}

struct Heading {
    level: u8,
    title: String,
    /// Lines of the group that the heading takes up.
    lines: usize,
}

fn heading(group: &Group<'_>, next: Option<&Group<'_>>, width: usize) -> Option<Heading> {
    let line = *group.lines.first()?;
    let title = clean(line);
    if title.chars().count() > HEADING_CHARS || !title.chars().any(char::is_alphabetic) {
        return None;
    }
    if let Some(level) = group.lines.get(1).and_then(|below| underline(below)) {
        return Some(Heading { level, title, lines: 2 });
    }
    if title.split(' ').count() > HEADING_WORDS {
        return None;
    }
    let alone = group.lines.len() == 1;
    if alone && let Some(level) = numbered(&title) {
        // A list with blank lines between its items looks the same, but its items follow each other.
        let follows = next.is_some_and(|next| next.lines.first().is_some_and(|l| numbered(&clean(l)) != Some(level)));
        return follows.then_some(Heading { level, title, lines: 1 });
    }
    if ends_like_a_sentence(&title) {
        return None;
    }
    let centred = is_centred(line, width) && group.lines.iter().all(|line| is_centred(line, width));
    if (alone && (is_capitals(&title) || is_named_part(&title))) || (centred && group.lines.len() <= 3) {
        return Some(Heading { level: 1, title, lines: 1 });
    }
    None
}

fn underline(line: &str) -> Option<u8> {
    let line = line.trim();
    let mark = line.chars().next().filter(|_| line.len() >= 3)?;
    let level = match mark {
        '=' | '*' | '#' => 1,
        '-' | '~' | '^' | '_' => 2,
        _ => return None,
    };
    line.chars().all(|c| c == mark).then_some(level)
}

/// The level of "4 Scope" (2), "4. Scope." (2), "4.2 Scope" (3) and so on; `None` for other lines.
fn numbered(title: &str) -> Option<u8> {
    let (number, rest) = title.split_once(' ')?;
    let parts: Vec<&str> = number.trim_end_matches(['.', ')']).split('.').collect();
    let digits = parts.iter().all(|part| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()));
    let plain = rest.strip_suffix('.').unwrap_or(rest);
    let one_sentence = !plain.contains(". ") && !plain.ends_with([',', ';', ':', '.', '!', '?']);
    let capital = rest.chars().next().is_some_and(|c| c.is_uppercase() || !c.is_lowercase() && c.is_alphabetic());
    (digits && one_sentence && capital).then(|| u8::try_from(parts.len()).unwrap_or(u8::MAX).saturating_add(1))
}

fn ends_like_a_sentence(title: &str) -> bool {
    title.ends_with(['.', ',', ';', '!', '"', '”'])
}

fn is_capitals(title: &str) -> bool {
    title.chars().filter(|c| c.is_uppercase()).count() >= 4 && !title.chars().any(char::is_lowercase)
}

/// "Chapter 3", "Annex B – Forms" and the like.
fn is_named_part(title: &str) -> bool {
    let mut words = title.split(' ');
    let named =
        words.next().is_some_and(|word| ["Chapter", "Section", "Article", "Part", "Appendix", "Annex"].contains(&word));
    let number = words.next().unwrap_or("").trim_end_matches([':', '.', '-', '–']);
    named && !number.is_empty() && number.len() <= 5 && number.chars().all(|c| c.is_ascii_digit() || c.is_uppercase())
}

/// Whether a line stands in the middle of a page of `width` characters, clear of the left margin.
fn is_centred(line: &str, width: usize) -> bool {
    let indent = line.chars().take_while(|c| *c == ' ').count() + 8 * line.chars().filter(|c| *c == '\t').count();
    let length = line.trim().chars().count();
    indent >= 8 && (2 * indent + length).abs_diff(width) <= 8
}

/// Writes lines as paragraphs: list items each their own, all else joined.
fn paragraphs(lines: &[&str], page: Option<u32>, builder: &mut Builder) -> Result<(), ParseFailure> {
    let kind = lines.first().and_then(|line| list_marker(line));
    let mut paragraph = String::new();
    for line in lines {
        let starts_item = list_marker(line).is_some_and(|marker| marker == Marker::Bullet || Some(marker) == kind);
        if starts_item && !paragraph.is_empty() {
            builder.block(&paragraph, page)?;
            paragraph.clear();
        }
        // A line broken at a hyphen was typed with it; the hyphen stays and no space comes after it.
        if !ends_in_broken_word(&paragraph) {
            paragraph.push(' ');
        }
        paragraph.push_str(line.trim());
    }
    builder.block(&paragraph, page)
}

fn ends_in_broken_word(paragraph: &str) -> bool {
    let mut back = paragraph.chars().rev();
    back.next() == Some('-') && back.next().is_some_and(char::is_alphabetic)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    Bullet,
    Number,
    Letter,
}

fn list_marker(line: &str) -> Option<Marker> {
    let (marker, _) = line.trim_start().split_once(char::is_whitespace)?;
    if ["-", "*", "+", "•", "–", "o"].contains(&marker) {
        return Some(Marker::Bullet);
    }
    let body = marker.strip_suffix([')', '.'])?;
    let body = body.strip_prefix('(').unwrap_or(body);
    if !body.is_empty() && body.len() <= 3 && body.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Marker::Number);
    }
    (body.len() == 1 && marker.ends_with(')') && body.bytes().all(|b| b.is_ascii_lowercase())).then_some(Marker::Letter)
}
