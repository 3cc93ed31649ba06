//! From pieces of text to lines, and which lines are only page furniture.

use std::collections::{HashMap, HashSet};

use super::page::Piece;
use crate::builder::clean;

/// A gap of this many ems separates words; producers move the pen instead of writing a space.
const WORD_GAP: f64 = 0.18;
/// A gap of this many ems separates the cells of a table.
const CELL_GAP: f64 = 1.8;

/// A line of text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    /// Parts of the line with wide gaps between them; one in prose, several in tables.
    pub(super) cells: Vec<String>,
    pub(super) page: u32,
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) size: f64,
    pub(super) is_bold: bool,
}

impl Line {
    pub(super) fn text(&self) -> String {
        self.cells.join(" ")
    }
}

/// Puts the pieces of a page into lines, in the order in which the page draws them.
pub(super) fn lines(pieces: Vec<Piece>, page: u32) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut open: Option<Open> = None;
    let mut last: Option<Piece> = None;
    for piece in pieces {
        if last.as_ref().is_some_and(|last| is_drawn_twice(last, &piece)) {
            continue;
        }
        match &mut open {
            Some(line) if line.continues(&piece) => line.add(&piece),
            _ => {
                lines.extend(open.take().and_then(|line| line.finish(page)));
                open = Some(Open::new(&piece));
            }
        }
        last = Some(piece);
    }
    lines.extend(open.and_then(|line| line.finish(page)));
    lines
}

/// Some producers make letters bold by drawing them twice, a hair apart.
fn is_drawn_twice(last: &Piece, piece: &Piece) -> bool {
    let near = 0.2 * piece.size;
    last.text == piece.text
        && !piece.text.trim().is_empty()
        && (last.x - piece.x).abs() < near
        && (last.y - piece.y).abs() < near
}

/// A line that may go on.
struct Open {
    cells: Vec<String>,
    cell: String,
    x: f64,
    right: f64,
    y: f64,
    /// The largest size so far; superscripts do not make a line small.
    size: f64,
    bold_chars: usize,
    chars: usize,
}

impl Open {
    fn new(piece: &Piece) -> Self {
        let mut line = Self {
            cells: Vec::new(),
            cell: String::new(),
            x: piece.x,
            right: piece.x,
            y: piece.y,
            size: piece.size,
            bold_chars: 0,
            chars: 0,
        };
        line.add(piece);
        line
    }

    fn continues(&self, piece: &Piece) -> bool {
        let size = self.size.max(piece.size);
        let raised = piece.size < 0.85 * self.size || self.size < 0.85 * piece.size;
        let across = (piece.y - self.y).abs();
        let same_baseline = across <= 0.25 * size || (raised && across <= 0.55 * size);
        same_baseline && piece.x >= self.right - 0.6 * size
    }

    fn add(&mut self, piece: &Piece) {
        let gap = piece.x - self.right;
        if !self.cell.trim().is_empty() && gap > CELL_GAP * self.size {
            self.cells.push(std::mem::take(&mut self.cell));
        } else if gap > WORD_GAP * self.size.min(piece.size) {
            self.cell.push(' ');
        }
        self.cell.push_str(&piece.text);
        self.right = piece.x + piece.width;
        if piece.size > self.size {
            self.size = piece.size;
            self.y = piece.y;
        }
        let chars = piece.text.chars().filter(|c| !c.is_whitespace()).count();
        self.chars += chars;
        self.bold_chars += if piece.is_bold { chars } else { 0 };
    }

    fn finish(mut self, page: u32) -> Option<Line> {
        self.cells.push(self.cell);
        let cells: Vec<String> = self.cells.iter().map(|cell| clean(cell)).filter(|cell| !cell.is_empty()).collect();
        (!cells.is_empty()).then_some(Line {
            cells,
            page,
            x: self.x,
            y: self.y,
            size: self.size,
            is_bold: 2 * self.bold_chars > self.chars,
        })
    }
}

/// Removes headers and footers: lines at the top or bottom that come back on most pages, and bare page numbers.
pub(super) fn drop_running_lines(pages: &mut [Vec<Line>]) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for page in pages.iter() {
        let keys: HashSet<String> =
            edges(page.len()).filter_map(|i| page.get(i)).map(|line| key(&line.text())).collect();
        for key in keys {
            *seen.entry(key).or_default() += 1;
        }
    }
    let most = (pages.len() * 3).div_ceil(5).max(3);
    for page in pages {
        let dropped: HashSet<usize> = edges(page.len())
            .filter(|i| {
                page.get(*i).is_some_and(|line| {
                    let key = key(&line.text());
                    is_page_number(&key) || seen.get(&key).is_some_and(|count| *count >= most)
                })
            })
            .collect();
        let mut index = 0;
        page.retain(|_| {
            index += 1;
            !dropped.contains(&(index - 1))
        });
    }
}

/// The first and last two lines of a page of `count` lines.
fn edges(count: usize) -> impl Iterator<Item = usize> {
    (0..count).filter(move |i| *i < 2 || *i + 2 >= count)
}

/// A line with its numbers made equal, so that "Page 3" and "Page 4" are the same line.
fn key(text: &str) -> String {
    let mut key = String::with_capacity(text.len());
    for c in text.chars() {
        if !c.is_ascii_digit() {
            key.extend(c.to_lowercase());
        } else if !key.ends_with('#') {
            key.push('#');
        }
    }
    key
}

fn is_page_number(key: &str) -> bool {
    matches!(key, "#" | "- # -" | "– # –" | "page #" | "page # of #" | "# / #" | "#/#" | "seite #" | "seite # von #")
}
