//! What a font says about the text set in it: which characters its codes mean and how far each moves the pen.

use std::collections::HashMap;

use lopdf::{Dictionary, Document, Encoding, Object};

use super::objects::{dictionary, number};

/// The bytes that one `ToUnicode` map may unpack to.
const MAX_CMAP_BYTES: usize = 4 << 20;
/// The most widths of a composite font that are kept.
const MAX_WIDTHS: usize = 70_000;

/// A font as far as reading needs it.
pub(super) struct Font<'d> {
    encoding: Option<Encoding<'d>>,
    /// Bytes of one code: 2 for composite fonts, 1 for all others.
    code_bytes: usize,
    widths: HashMap<u32, f64>,
    default_width: f64,
    /// Whether the name of the font says that it is bold.
    pub(super) is_bold: bool,
}

impl<'d> Font<'d> {
    pub(super) fn read(document: &'d Document, font: &'d Dictionary) -> Self {
        let name = font.get_deref(b"BaseFont", document).and_then(Object::as_name).unwrap_or_default();
        let name = String::from_utf8_lossy(name).to_lowercase();
        let composite = font.get_deref(b"Subtype", document).and_then(Object::as_name).is_ok_and(|s| s == b"Type0");
        let (widths, default_width) =
            if composite { composite_widths(document, font) } else { simple_widths(document, font, &name) };
        Self {
            encoding: encoding(document, font),
            code_bytes: if composite { 2 } else { 1 },
            widths,
            default_width,
            is_bold: ["bold", "black", "heavy"].iter().any(|word| name.contains(word)),
        }
    }

    /// The text of a shown string; codes that mean nothing are left out.
    pub(super) fn text(&self, bytes: &[u8]) -> String {
        let decoded = self.encoding.as_ref().and_then(|encoding| encoding.bytes_to_string(bytes).ok());
        decoded.unwrap_or_default().replace('\u{0}', "")
    }

    /// The codes of a shown string, each with its width in text space for a font size of 1.
    pub(super) fn advances(&self, bytes: &[u8]) -> impl Iterator<Item = (u32, f64)> {
        bytes.chunks(self.code_bytes).map(|code| {
            let code = code.iter().fold(0_u32, |value, byte| (value << 8) | u32::from(*byte));
            (code, self.widths.get(&code).copied().unwrap_or(self.default_width) / 1000.0)
        })
    }
}

/// `ToUnicode` is what the producer meant (ISO 32000-2, 9.10.2) and comes first; the font's own encoding is second.
fn encoding<'d>(document: &'d Document, font: &'d Dictionary) -> Option<Encoding<'d>> {
    if font.has(b"ToUnicode") && font.has(b"Encoding") {
        let mut by_map = font.clone();
        by_map.remove(b"Encoding");
        if let Ok(Encoding::UnicodeMapEncoding(map)) = by_map.get_font_encoding_with_limit(document, MAX_CMAP_BYTES) {
            return Some(Encoding::UnicodeMapEncoding(map));
        }
    }
    font.get_font_encoding_with_limit(document, MAX_CMAP_BYTES).ok()
}

fn simple_widths(document: &Document, font: &Dictionary, name: &str) -> (HashMap<u32, f64>, f64) {
    let first = font.get_deref(b"FirstChar", document).ok().and_then(|n| n.as_i64().ok()).unwrap_or(0);
    let first = u32::try_from(first).unwrap_or(0);
    let listed = font.get_deref(b"Widths", document).and_then(Object::as_array).ok();
    let listed = listed
        .into_iter()
        .flatten()
        .take(256)
        .filter_map(|width| document.dereference(width).ok().and_then(|(_, width)| number(width)));
    let widths: HashMap<u32, f64> = (first..).zip(listed).filter(|(_, width)| *width > 0.0).collect();
    let missing = dictionary(document, font, b"FontDescriptor")
        .and_then(|descriptor| number(descriptor.get_deref(b"MissingWidth", document).ok()?))
        .filter(|width| *width > 0.0);
    if !widths.is_empty() {
        return (widths, missing.unwrap_or(500.0));
    }
    if name.contains("courier") {
        return (HashMap::new(), 600.0);
    }
    ((0..=255).map(|code| (code, standard_width(code))).collect(), 500.0)
}

/// About how wide the characters of the standard fonts are; good enough to tell a gap from a letter.
const fn standard_width(code: u32) -> f64 {
    match code {
        0x20 | 0x21 | 0x27 | 0x2C | 0x2E | 0x3A | 0x3B | 0x49 | 0x69 | 0x6A | 0x6C | 0x74 | 0x66 => 270.0,
        0x28 | 0x29 | 0x2D | 0x72 | 0x5B | 0x5D => 333.0,
        0x4D | 0x57 | 0x6D | 0x77 | 0x40 => 820.0,
        0x41..=0x5A => 680.0,
        _ => 530.0,
    }
}

/// `/W` of the descendant font: `c [w…]` or `first last w` (ISO 32000-2, 9.7.4.3).
fn composite_widths(document: &Document, font: &Dictionary) -> (HashMap<u32, f64>, f64) {
    let mut widths = HashMap::new();
    let descendant = font
        .get_deref(b"DescendantFonts", document)
        .and_then(Object::as_array)
        .ok()
        .and_then(|fonts| document.dereference(fonts.first()?).ok()?.1.as_dict().ok());
    let Some(descendant) = descendant else {
        return (widths, 1000.0);
    };
    let default = descendant.get_deref(b"DW", document).ok().and_then(number).filter(|w| *w > 0.0).unwrap_or(1000.0);
    let mut rest =
        descendant.get_deref(b"W", document).and_then(Object::as_array).map(Vec::as_slice).unwrap_or_default();
    while let [first, second, tail @ ..] = rest {
        let Some(first) = code(document, first) else {
            break;
        };
        let second = document.dereference(second).map(|(_, object)| object);
        if let Ok(Object::Array(list)) = second {
            widths.extend((first..).zip(list.iter().filter_map(number)).take(MAX_WIDTHS.saturating_sub(widths.len())));
            rest = tail;
            continue;
        }
        let (Some(last), [width, tail @ ..]) = (second.ok().and_then(|last| code(document, last)), tail) else {
            break;
        };
        if let Some(width) = number(width) {
            let room = MAX_WIDTHS.saturating_sub(widths.len());
            widths.extend((first..=last.min(0xFFFF)).take(room).map(|code| (code, width)));
        }
        rest = tail;
    }
    (widths, default)
}

fn code(document: &Document, object: &Object) -> Option<u32> {
    let (_, object) = document.dereference(object).ok()?;
    object.as_i64().ok().and_then(|code| u32::try_from(code).ok()).filter(|code| *code <= 0xFFFF)
}
