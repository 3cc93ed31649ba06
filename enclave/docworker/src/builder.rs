//! Collects headings and blocks into a [`ParsedDocument`], cleans their text and keeps the limits for all parsers.

use cloister_protocol::parsed::{Block, ParseFailure, ParsedDocument, Section};
use unicode_normalization::UnicodeNormalization;

use crate::{Limits, MAX_BLOCKS, MAX_PATH_DEPTH, MAX_TITLE_CHARS};

/// A document under construction. Every method fails with [`ParseFailure::TooLarge`] once a limit is passed.
pub(crate) struct Builder {
    sections: Vec<Section>,
    /// The open headings, outermost first, each with its level.
    open: Vec<(u8, String)>,
    chars_left: u64,
    blocks_left: usize,
    has_text: bool,
}

impl Builder {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            sections: vec![Section { path: Vec::new(), blocks: Vec::new() }],
            open: Vec::new(),
            chars_left: limits.text_chars,
            blocks_left: MAX_BLOCKS,
            has_text: false,
        }
    }

    /// Starts a section. `level` 1 is the outermost; a heading closes all headings of its level and below.
    pub(crate) fn heading(&mut self, level: u8, title: &str) -> Result<(), ParseFailure> {
        let title = clean_title(title);
        if title.is_empty() {
            return Ok(());
        }
        while self.open.last().is_some_and(|(open, _)| *open >= level) || self.open.len() >= MAX_PATH_DEPTH {
            self.open.pop();
        }
        self.open.push((level, title));
        let path: Vec<String> = self.open.iter().map(|(_, title)| title.clone()).collect();
        self.charge(path.iter().map(|title| title.chars().count()).sum())?;
        self.sections.push(Section { path, blocks: Vec::new() });
        Ok(())
    }

    /// Adds a paragraph whose white space means nothing.
    pub(crate) fn block(&mut self, text: &str, page: Option<u32>) -> Result<(), ParseFailure> {
        self.push(clean(text), page)
    }

    /// Adds a block whose line breaks mean something: code.
    pub(crate) fn lines(&mut self, text: &str, page: Option<u32>) -> Result<(), ParseFailure> {
        let lines: Vec<String> = text.lines().map(clean).collect();
        self.push(lines.join("\n").trim_matches('\n').to_owned(), page)
    }

    /// Whether any heading or block came so far.
    pub(crate) const fn is_untouched(&self) -> bool {
        self.sections.len() == 1 && !self.has_text
    }

    /// The finished document, without the sections that have neither text nor a heading.
    pub(crate) fn finish(self, title: Option<&str>, pages: Option<u32>) -> Result<ParsedDocument, ParseFailure> {
        if !self.has_text {
            return Err(ParseFailure::Empty);
        }
        let title = title.map(clean_title).filter(|title| !title.is_empty());
        let sections = self.sections.into_iter().filter(|section| !section.blocks.is_empty()).collect();
        Ok(ParsedDocument { title, page_count: pages, sections })
    }

    fn push(&mut self, text: String, page: Option<u32>) -> Result<(), ParseFailure> {
        if text.is_empty() {
            return Ok(());
        }
        self.charge(text.chars().count())?;
        self.has_text = true;
        let section = self.sections.last_mut().expect("there is always the section before the first heading");
        section.blocks.push(Block { text, page });
        Ok(())
    }

    fn charge(&mut self, chars: usize) -> Result<(), ParseFailure> {
        let chars = u64::try_from(chars).map_err(|_| ParseFailure::TooLarge)?;
        self.chars_left = self.chars_left.checked_sub(chars).ok_or(ParseFailure::TooLarge)?;
        self.blocks_left = self.blocks_left.checked_sub(1).ok_or(ParseFailure::TooLarge)?;
        Ok(())
    }
}

/// One line of text in NFC with single spaces and nothing invisible.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut space = false;
    for c in text.chars().filter(|c| !is_invisible(*c)).nfc() {
        if c.is_whitespace() || c.is_control() {
            space = !out.is_empty();
            continue;
        }
        if std::mem::take(&mut space) {
            out.push(' ');
        }
        match ligature(c) {
            Some(letters) => out.push_str(letters),
            None => out.push(c),
        }
    }
    out
}

fn clean_title(title: &str) -> String {
    let title = clean(title);
    match title.char_indices().nth(MAX_TITLE_CHARS) {
        Some(_) => {
            let mut short: String = title.chars().take(MAX_TITLE_CHARS - 1).collect();
            short.truncate(short.trim_end().len());
            short.push('…');
            short
        }
        None => title,
    }
}

/// Characters that show nothing: soft hyphens, zero-width joints, direction overrides and the tag block, in which
/// instructions to a model could hide from the reader.
const fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{200B}' | '\u{2060}'..='\u{2064}' | '\u{202D}' | '\u{202E}' | '\u{FEFF}' | '\u{FFFD}'
        | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}' | '\u{E000}'..='\u{F8FF}')
}

/// The letters of a typographic ligature, so that a search for "office" finds it.
const fn ligature(c: char) -> Option<&'static str> {
    Some(match c {
        '\u{FB00}' => "ff",
        '\u{FB01}' => "fi",
        '\u{FB02}' => "fl",
        '\u{FB03}' => "ffi",
        '\u{FB04}' => "ffl",
        '\u{FB05}' | '\u{FB06}' => "st",
        _ => return None,
    })
}

/// A table under construction: each row becomes one block in which every cell names its column, so that a passage cut
/// out of the middle of the table still says what its numbers mean.
#[derive(Default)]
pub(crate) struct Table {
    header: Vec<String>,
    row: Vec<String>,
    rows: usize,
}

impl Table {
    /// Adds a cell to the current row.
    pub(crate) fn cell(&mut self, text: &str) {
        self.row.push(clean(text));
    }

    /// Ends the current row, which is the header or a row of values.
    pub(crate) fn end_row(&mut self, kind: Row, builder: &mut Builder, page: Option<u32>) -> Result<(), ParseFailure> {
        let row = std::mem::take(&mut self.row);
        if row.iter().all(String::is_empty) {
            return Ok(());
        }
        if kind == Row::Header && self.rows == 0 && self.header.is_empty() {
            self.header = row;
            return Ok(());
        }
        self.rows += 1;
        builder.block(&self.line(&row), page)
    }

    /// Ends the table; a table of one header row is that row.
    pub(crate) fn end(self, builder: &mut Builder, page: Option<u32>) -> Result<(), ParseFailure> {
        if self.rows == 0 { builder.block(&self.header.join(" | "), page) } else { Ok(()) }
    }

    fn line(&self, row: &[String]) -> String {
        let cells: Vec<String> = row
            .iter()
            .enumerate()
            .filter(|(_, cell)| !cell.is_empty())
            .map(|(i, cell)| match self.header.get(i).filter(|name| !name.is_empty()) {
                Some(name) => format!("{name}: {cell}"),
                None => cell.clone(),
            })
            .collect();
        cells.join(if self.header.is_empty() { " | " } else { "; " })
    }
}

/// What a row of a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Row {
    /// Names of the columns.
    Header,
    /// Values.
    Values,
}
