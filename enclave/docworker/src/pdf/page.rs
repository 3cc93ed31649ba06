//! Runs the content of pages (ISO 32000-2, 8 and 9) as far as text goes, and hands out pieces of text with positions.
//!
//! Invisible text counts as text: it is how scanners store what they recognised. Pictures and lines are only noted.

use std::collections::HashMap;
use std::rc::Rc;

use cloister_protocol::parsed::ParseFailure;
use lopdf::content::{Content, Operation};
use lopdf::{DecompressError, Dictionary, Document, Error, Object, ObjectId};

use super::font::Font;
use super::geometry::Matrix;
use super::objects::{dictionary, inherited, number};
use crate::Limits;

/// How deep form `XObjects` may stand in each other, and how many graphics states may be saved.
const MAX_FORM_DEPTH: usize = 8;
const MAX_SAVED_STATES: usize = 256;

/// Text shown by one operator, in axes along (`x`) and across (`y`) its baseline, in units of the page.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) size: f64,
    pub(super) is_bold: bool,
}

/// Reads page after page; fonts are read once, and all pages share one budget.
pub(super) struct Reader<'d> {
    document: &'d Document,
    fonts: HashMap<ObjectId, Rc<Font<'d>>>,
    stream_bytes: usize,
    bytes_left: usize,
    chars_left: usize,
    has_drawings: bool,
}

/// The text-related part of the graphics state.
#[derive(Clone)]
struct State<'d> {
    ctm: Matrix,
    font: Option<Rc<Font<'d>>>,
    size: f64,
    leading: f64,
    char_space: f64,
    word_space: f64,
    scale: f64,
    rise: f64,
}

/// One content stream being run.
struct Run<'d> {
    resources: Option<&'d Dictionary>,
    state: State<'d>,
    saved: Vec<State<'d>>,
    text: Matrix,
    line: Matrix,
    depth: usize,
}

impl<'d> Reader<'d> {
    pub(super) fn new(document: &'d Document, limits: &Limits) -> Self {
        // Twice the cap: headers, footers and doubled strokes are dropped only after layout.
        let chars = limits.text_chars.saturating_mul(2);
        Self {
            document,
            fonts: HashMap::new(),
            stream_bytes: limits.stream_bytes,
            bytes_left: limits.content_bytes,
            chars_left: usize::try_from(chars).unwrap_or(usize::MAX),
            has_drawings: false,
        }
    }

    /// Whether any page so far drew something that is not text.
    pub(super) const fn has_drawings(&self) -> bool {
        self.has_drawings
    }

    pub(super) fn read(&mut self, page: ObjectId) -> Result<Vec<Piece>, ParseFailure> {
        let limit = self.stream_bytes.min(self.bytes_left);
        let content = match self.document.get_page_content_with_limit(page, limit) {
            Ok(content) => content,
            Err(error) if is_limit(&error) => return Err(ParseFailure::TooLarge),
            Err(_) => Vec::new(),
        };
        let resources = inherited(self.document, page, b"Resources").and_then(|object| object.as_dict().ok());
        let mut pieces = Vec::new();
        self.run(&content, resources, &State::new(Matrix::IDENTITY), 0, &mut pieces)?;
        Ok(pieces)
    }

    fn run(
        &mut self,
        content: &[u8],
        resources: Option<&'d Dictionary>,
        state: &State<'d>,
        depth: usize,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), ParseFailure> {
        self.bytes_left = self.bytes_left.checked_sub(content.len()).ok_or(ParseFailure::TooLarge)?;
        let mut run = Run {
            resources,
            state: state.clone(),
            saved: Vec::new(),
            text: Matrix::IDENTITY,
            line: Matrix::IDENTITY,
            depth,
        };
        for operation in Content::decode_iter(content) {
            // The rest of a damaged stream is unreadable, but what came before it is not.
            let Ok(operation) = operation else { break };
            self.operate(&operation, &mut run, pieces)?;
        }
        Ok(())
    }

    fn operate(&mut self, op: &Operation, run: &mut Run<'d>, out: &mut Vec<Piece>) -> Result<(), ParseFailure> {
        let numbers: Vec<f64> = op.operands.iter().filter_map(number).collect();
        let first = numbers.first().copied();
        match op.operator.as_str() {
            "q" if run.saved.len() < MAX_SAVED_STATES => run.saved.push(run.state.clone()),
            "Q" => run.state = run.saved.pop().unwrap_or_else(|| run.state.clone()),
            "cm" => run.concat(&numbers),
            "BT" => run.set_matrix(Matrix::IDENTITY),
            "Tf" => self.select_font(op, run),
            "Tc" => run.state.char_space = first.unwrap_or(0.0),
            "Tw" => run.state.word_space = first.unwrap_or(0.0),
            "Tz" => run.state.scale = first.unwrap_or(100.0) / 100.0,
            "TL" => run.state.leading = first.unwrap_or(0.0),
            "Ts" => run.state.rise = first.unwrap_or(0.0),
            "Td" => run.move_line(&numbers),
            "TD" => {
                run.state.leading = -numbers.get(1).copied().unwrap_or(0.0);
                run.move_line(&numbers);
            }
            "Tm" => {
                if let Some(matrix) = Matrix::from_numbers(&numbers) {
                    run.set_matrix(matrix);
                }
            }
            "T*" => run.next_line(),
            "Tj" => self.show(op.operands.first(), run, out)?,
            "'" => {
                run.next_line();
                self.show(op.operands.first(), run, out)?;
            }
            "\"" => {
                run.state.word_space = first.unwrap_or(0.0);
                run.state.char_space = numbers.get(1).copied().unwrap_or(0.0);
                run.next_line();
                self.show(op.operands.get(2), run, out)?;
            }
            "TJ" => self.show_spaced(op, run, out)?,
            "Do" => self.draw_object(op, run, out)?,
            "BI" | "sh" | "f" | "F" | "f*" | "S" | "s" | "B" | "B*" | "b" | "b*" => self.has_drawings = true,
            _ => {}
        }
        Ok(())
    }

    fn select_font(&mut self, op: &Operation, run: &mut Run<'d>) {
        run.state.size = op.operands.get(1).and_then(number).unwrap_or(0.0);
        let Some(name) = op.operands.first().and_then(|name| name.as_name().ok()) else {
            return;
        };
        let fonts = run.resources.and_then(|resources| dictionary(self.document, resources, b"Font"));
        run.state.font = fonts.and_then(|fonts| self.font(fonts.get(name).ok()?));
    }

    fn font(&mut self, object: &'d Object) -> Option<Rc<Font<'d>>> {
        let (id, object) = self.document.dereference(object).ok()?;
        let dictionary = object.as_dict().ok()?;
        let Some(id) = id else {
            return Some(Rc::new(Font::read(self.document, dictionary)));
        };
        let document = self.document;
        Some(Rc::clone(self.fonts.entry(id).or_insert_with(|| Rc::new(Font::read(document, dictionary)))))
    }

    fn show_spaced(&mut self, op: &Operation, run: &mut Run<'d>, out: &mut Vec<Piece>) -> Result<(), ParseFailure> {
        let Some(Object::Array(parts)) = op.operands.first() else {
            return Ok(());
        };
        for part in parts {
            match number(part) {
                Some(adjustment) => run.advance(-adjustment / 1000.0 * run.state.size * run.state.scale),
                None => self.show(Some(part), run, out)?,
            }
        }
        Ok(())
    }

    fn show(&mut self, text: Option<&Object>, run: &mut Run<'d>, out: &mut Vec<Piece>) -> Result<(), ParseFailure> {
        let (Some(Ok(bytes)), Some(font)) = (text.map(Object::as_str), run.state.font.clone()) else {
            return Ok(());
        };
        let state = &run.state;
        let advance: f64 = font
            .advances(bytes)
            .map(|(code, width)| {
                let word = if code == 32 { state.word_space } else { 0.0 };
                (width * state.size + state.char_space + word) * state.scale
            })
            .sum();
        let text = font.text(bytes);
        self.chars_left = self.chars_left.checked_sub(text.len()).ok_or(ParseFailure::TooLarge)?;
        if !text.is_empty() {
            let to_page = run.text.then(run.state.ctm);
            let (along, across) = to_page.scales();
            let (x, y) = Matrix::translation(0.0, run.state.rise).then(to_page).origin_on_baseline();
            let piece = Piece {
                text,
                x,
                y,
                width: advance * along,
                size: (run.state.size * across).abs(),
                is_bold: font.is_bold,
            };
            if [piece.x, piece.y, piece.width, piece.size].iter().all(|n| n.is_finite()) {
                out.push(piece);
            }
        }
        run.advance(advance);
        Ok(())
    }

    /// `Do`: a form is run in place, a picture is noted.
    fn draw_object(&mut self, op: &Operation, run: &Run<'d>, out: &mut Vec<Piece>) -> Result<(), ParseFailure> {
        let document = self.document;
        let form = op.operands.first().and_then(|name| name.as_name().ok()).and_then(|name| {
            let objects = dictionary(document, run.resources?, b"XObject")?;
            objects.get_deref(name, document).ok()?.as_stream().ok()
        });
        let Some(form) = form else { return Ok(()) };
        let is_form = form.dict.get_deref(b"Subtype", document).and_then(Object::as_name).is_ok_and(|s| s == b"Form");
        if !is_form || run.depth >= MAX_FORM_DEPTH {
            self.has_drawings = true;
            return Ok(());
        }
        let limit = self.stream_bytes.min(self.bytes_left);
        let content = match form.decompressed_content_with_limit(limit) {
            Ok(content) => content,
            Err(error) if is_limit(&error) => return Err(ParseFailure::TooLarge),
            Err(_) => return Ok(()),
        };
        let mut state = run.state.clone();
        let matrix = form.dict.get_deref(b"Matrix", document).and_then(Object::as_array).ok();
        if let Some(matrix) =
            matrix.and_then(|m| Matrix::from_numbers(&m.iter().filter_map(number).collect::<Vec<_>>()))
        {
            state.ctm = matrix.then(state.ctm);
        }
        let resources = dictionary(document, &form.dict, b"Resources").or(run.resources);
        // Running an empty form costs something too.
        self.bytes_left = self.bytes_left.checked_sub(64).ok_or(ParseFailure::TooLarge)?;
        self.run(&content, resources, &state, run.depth + 1, out)
    }
}

impl State<'_> {
    const fn new(ctm: Matrix) -> Self {
        Self { ctm, font: None, size: 0.0, leading: 0.0, char_space: 0.0, word_space: 0.0, scale: 1.0, rise: 0.0 }
    }
}

impl Run<'_> {
    fn concat(&mut self, numbers: &[f64]) {
        if let Some(matrix) = Matrix::from_numbers(numbers) {
            self.state.ctm = matrix.then(self.state.ctm);
        }
    }

    const fn set_matrix(&mut self, matrix: Matrix) {
        self.text = matrix;
        self.line = matrix;
    }

    fn move_line(&mut self, numbers: &[f64]) {
        if let [x, y] = *numbers {
            self.set_matrix(Matrix::translation(x, y).then(self.line));
        }
    }

    fn next_line(&mut self) {
        let down = -self.state.leading;
        self.set_matrix(Matrix::translation(0.0, down).then(self.line));
    }

    fn advance(&mut self, distance: f64) {
        self.text = Matrix::translation(distance, 0.0).then(self.text);
    }
}

const fn is_limit(error: &Error) -> bool {
    matches!(
        error,
        Error::Decompress(DecompressError::MemoryLimitExceeded { .. } | DecompressError::TooManyFilters { .. })
    )
}
