//! From lines to sections and paragraphs.

use std::collections::{HashMap, HashSet};

use cloister_protocol::parsed::{ParseFailure, ParsedDocument};

use super::layout::Line;
use super::outline::Entry;
use crate::Limits;
use crate::builder::{Builder, Row, Table};

/// Lines this much larger than the body are headings where there is no outline.
const HEADING_SCALE: f64 = 1.15;
/// The most characters of a heading that is found by its looks.
const HEADING_CHARS: usize = 120;

/// A heading and how many lines of the page it takes up.
struct Heading {
    level: u8,
    title: String,
    lines: usize,
}

/// Where headings stand: (index of the page, index of the line) → headings before or at that line.
type Headings = HashMap<(usize, usize), Vec<Heading>>;

pub(super) fn assemble(
    pages: &[Vec<Line>],
    outline: &[Entry],
    info_title: Option<&str>,
    page_count: u32,
    limits: &Limits,
) -> Result<ParsedDocument, ParseFailure> {
    let body = body_size(pages);
    let mut headings = from_outline(pages, outline);
    if headings.is_empty() {
        headings = from_looks(pages, body);
    }
    let title = info_title.map(str::to_owned).or_else(|| largest_line(pages.first()?, body));
    let mut writer = Writer {
        builder: Builder::new(limits),
        compounds: compounds(pages),
        leading: leading(pages),
        paragraph: String::new(),
        page: 1,
        last: None,
    };
    for (p, page) in pages.iter().enumerate() {
        writer.page(page, p, &headings)?;
    }
    writer.flush()?;
    writer.builder.finish(title.as_deref(), Some(page_count))
}

struct Writer {
    builder: Builder,
    /// Words with a hyphen inside a line: where such a word is broken at its hyphen, the hyphen stays.
    compounds: HashSet<String>,
    /// Distance of lines in a paragraph, in sizes of the letters.
    leading: f64,
    paragraph: String,
    page: u32,
    last: Option<Line>,
}

impl Writer {
    fn page(&mut self, lines: &[Line], p: usize, headings: &Headings) -> Result<(), ParseFailure> {
        let mut i = 0;
        loop {
            let mut skip = 0;
            for heading in headings.get(&(p, i)).into_iter().flatten() {
                self.flush()?;
                self.builder.heading(heading.level, &heading.title)?;
                skip = skip.max(heading.lines);
            }
            if skip > 0 {
                i += skip;
                continue;
            }
            let Some(line) = lines.get(i) else {
                return Ok(());
            };
            if line.cells.len() > 1 {
                let rows = lines.iter().skip(i).enumerate().take_while(|(n, row)| {
                    row.cells.len() == line.cells.len() && (*n == 0 || !headings.contains_key(&(p, i + n)))
                });
                let count = rows.count();
                self.table(lines.get(i..i + count).unwrap_or_default())?;
                i += count;
            } else {
                self.line(line)?;
                i += 1;
            }
        }
    }

    /// Rows of cells; the first names the columns if it alone is bold.
    fn table(&mut self, rows: &[Line]) -> Result<(), ParseFailure> {
        self.flush()?;
        let mut table = Table::default();
        let has_header = rows.first().is_some_and(|row| row.is_bold) && rows.get(1).is_some_and(|row| !row.is_bold);
        let mut page = None;
        for (n, row) in rows.iter().enumerate() {
            row.cells.iter().for_each(|cell| table.cell(cell));
            page = Some(row.page);
            let kind = if n == 0 && has_header { Row::Header } else { Row::Values };
            table.end_row(kind, &mut self.builder, page)?;
        }
        table.end(&mut self.builder, page)
    }

    fn line(&mut self, line: &Line) -> Result<(), ParseFailure> {
        let text = line.text();
        if self.last.as_ref().is_some_and(|last| self.continues(last, line, &text)) {
            self.join(&text);
        } else {
            self.flush()?;
            self.paragraph = text;
            self.page = line.page;
        }
        self.last = Some(line.clone());
        Ok(())
    }

    fn continues(&self, last: &Line, line: &Line, text: &str) -> bool {
        let ended = self.paragraph.ends_with(['.', '!', '?', ':', '”', '"']);
        if is_item(text, ended) || last.is_bold != line.is_bold || (last.size - line.size).abs() > 0.12 * last.size {
            return false;
        }
        let down = last.y - line.y;
        if last.page != line.page || down <= 0.0 {
            // The next page or column: only an unfinished sentence goes on there.
            return !ended && text.chars().next().is_some_and(|c| c.is_lowercase() || c.is_ascii_digit());
        }
        let indented = line.x > last.x + 0.8 * line.size;
        let after_list = line.x < last.x - 0.8 * line.size && is_item(&self.paragraph, true);
        down <= self.leading * 1.3 * line.size && !(ended && (indented || after_list))
    }

    fn join(&mut self, text: &str) {
        let mut back = self.paragraph.chars().rev();
        let broken = matches!(back.next(), Some('-' | '\u{2010}')) && back.next().is_some_and(char::is_alphabetic);
        if !broken {
            self.paragraph.push(' ');
        } else if text.chars().next().is_some_and(char::is_lowercase) {
            let first = self.paragraph.rsplit(' ').next().unwrap_or("").to_lowercase();
            let second = text.split(' ').next().unwrap_or("").to_lowercase();
            if !self.compounds.contains(word(&(first + &second))) {
                self.paragraph.pop();
            }
        }
        self.paragraph.push_str(text);
    }

    fn flush(&mut self) -> Result<(), ParseFailure> {
        self.last = None;
        let paragraph = std::mem::take(&mut self.paragraph);
        self.builder.block(&paragraph, Some(self.page))
    }
}

/// Whether a line begins an item of a list. Numbers do so only where a sentence ended.
fn is_item(text: &str, ended: bool) -> bool {
    let Some((marker, rest)) = text.split_once(' ') else {
        return false;
    };
    if rest.is_empty() {
        return false;
    }
    if ["•", "-", "–", "*", "▪", "◦", "●", "‣", "·"].contains(&marker) {
        return true;
    }
    let body = marker.trim_start_matches('(').trim_end_matches([')', '.']);
    let short = !body.is_empty() && body.len() <= 3 && body.len() < marker.len();
    ended && short && (body.bytes().all(|b| b.is_ascii_digit()) || (body.len() == 1 && marker.ends_with(')')))
}

/// Finds the lines that the entries of the outline mean.
fn from_outline(pages: &[Vec<Line>], outline: &[Entry]) -> Headings {
    let mut headings = Headings::new();
    let mut from = (0, 0);
    for entry in outline {
        let Some(p) = usize::try_from(entry.page).ok().and_then(|page| page.checked_sub(1)) else {
            continue;
        };
        let Some(page) = pages.get(p) else { continue };
        let start = if from.0 == p { from.1 } else { 0 };
        let (at, lines) = title_lines(page, start, &entry.title).unwrap_or_else(|| {
            let below =
                entry.top.and_then(|top| (start..page.len()).find(|i| page.get(*i).is_some_and(|l| l.y <= top)));
            (below.unwrap_or(start), 0)
        });
        from = (p, at + lines);
        let heading = Heading { level: entry.level, title: entry.title.clone(), lines };
        headings.entry((p, at)).or_default().push(heading);
    }
    headings
}

/// The first run of at most three lines from `start` on that reads like `title`, be it with a number before it.
fn title_lines(page: &[Line], start: usize, title: &str) -> Option<(usize, usize)> {
    let title = letters(title);
    if title.is_empty() {
        return None;
    }
    (start..page.len()).find_map(|i| {
        let mut read = String::new();
        (1..=3).find_map(|count| {
            read.push_str(&letters(&page.get(i + count - 1)?.text()));
            let before = read.strip_suffix(title.as_str())?;
            before.chars().all(|c| c.is_ascii_digit()).then_some((i, count))
        })
    })
}

fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Headings by size, largest first, then bold lines of the body's size.
fn from_looks(pages: &[Vec<Line>], body: f64) -> Headings {
    let mut sizes: Vec<i64> = Vec::new();
    for line in pages.iter().flatten().filter(|line| looks_like_heading(line, body)) {
        let size = tenths(line.size);
        if !sizes.contains(&size) && sizes.len() < 64 {
            sizes.push(size);
        }
    }
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let mut headings = Headings::new();
    for (p, page) in pages.iter().enumerate() {
        let mut i = 0;
        while let Some(line) = page.get(i) {
            if !looks_like_heading(line, body) {
                i += 1;
                continue;
            }
            let same = |next: &&Line| {
                next.cells.len() == 1 && tenths(next.size) == tenths(line.size) && next.is_bold == line.is_bold
            };
            let close = |a: &Line, b: &Line| a.y - b.y > 0.0 && a.y - b.y < 1.6 * a.size;
            let mut lines = 1;
            while lines < 3
                && let (Some(above), Some(below)) = (page.get(i + lines - 1), page.get(i + lines).filter(same))
                && close(above, below)
            {
                lines += 1;
            }
            let title: Vec<String> = page.iter().skip(i).take(lines).map(Line::text).collect();
            let level = sizes.iter().position(|size| *size == tenths(line.size)).unwrap_or(sizes.len());
            let level = u8::try_from(level).unwrap_or(u8::MAX).saturating_add(1);
            headings.entry((p, i)).or_default().push(Heading { level, title: title.join(" "), lines });
            i += lines;
        }
    }
    headings
}

fn looks_like_heading(line: &Line, body: f64) -> bool {
    let text = line.text();
    let short = text.chars().count() <= HEADING_CHARS && text.chars().filter(|c| c.is_alphabetic()).count() >= 3;
    let plain = line.cells.len() == 1 && !text.ends_with(['.', ',', ';', ':']);
    short && plain && (line.size >= HEADING_SCALE * body || (line.is_bold && line.size >= 0.98 * body))
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to sizes that letters can have")]
fn tenths(size: f64) -> i64 {
    (size.clamp(0.0, 10_000.0) * 10.0).round() as i64
}

/// The size that most characters are set in.
fn body_size(pages: &[Vec<Line>]) -> f64 {
    let mut chars: HashMap<i64, usize> = HashMap::new();
    for line in pages.iter().flatten() {
        *chars.entry(tenths(line.size)).or_default() += line.cells.iter().map(String::len).sum::<usize>();
    }
    let most = chars.into_iter().max_by_key(|(size, count)| (*count, *size)).map_or(100, |(size, _)| size);
    #[expect(clippy::cast_precision_loss, reason = "at most 100,000")]
    let size = most as f64 / 10.0;
    size
}

fn largest_line(page: &[Line], body: f64) -> Option<String> {
    let largest = page.iter().max_by(|a, b| a.size.total_cmp(&b.size))?;
    let text = largest.text();
    (largest.size >= 1.3 * body && text.chars().count() <= HEADING_CHARS).then_some(text)
}

/// The usual distance of lines that follow each other, in sizes; between single and generous double spacing.
fn leading(pages: &[Vec<Line>]) -> f64 {
    let mut ratios: Vec<f64> = pages
        .iter()
        .flat_map(|page| page.iter().zip(page.iter().skip(1)))
        .filter(|(a, b)| tenths(a.size) == tenths(b.size) && a.size > 0.0 && a.y > b.y)
        .map(|(a, b)| (a.y - b.y) / a.size)
        .filter(|ratio| *ratio < 4.0)
        .collect();
    ratios.sort_unstable_by(f64::total_cmp);
    // The lower quartile: gaps between paragraphs must not count.
    ratios.get(ratios.len() / 4).copied().unwrap_or(1.2).clamp(1.15, 2.2)
}

/// All words with a hyphen inside, in lower case.
fn compounds(pages: &[Vec<Line>]) -> HashSet<String> {
    let mut compounds = HashSet::new();
    for text in pages.iter().flatten().flat_map(|line| &line.cells) {
        for candidate in text.split(' ').map(word).filter(|w| w.contains('-') && w.len() <= 64) {
            compounds.insert(candidate.to_lowercase());
        }
    }
    compounds
}

/// A word without the punctuation around it.
fn word(text: &str) -> &str {
    text.trim_matches(|c: char| !c.is_alphanumeric())
}
