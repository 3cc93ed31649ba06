//! Bombs, loops and damaged bytes: always a typed answer, never a panic, never without bound.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail that way")]

mod common;

use cloister_docworker::{Limits, MAX_PATH_DEPTH, MAX_TITLE_CHARS, parse};
use cloister_protocol::parsed::{DocumentFormat, ParseFailure, ParsedDocument};
use lopdf::{Object, Stream, dictionary};
use proptest::prelude::*;

use common::{Pdf, body, handbook};

const FORMATS: [DocumentFormat; 4] =
    [DocumentFormat::Pdf, DocumentFormat::Markdown, DocumentFormat::Html, DocumentFormat::Text];

fn limits() -> Limits {
    Limits::with_text_chars(200_000)
}

fn read(format: DocumentFormat, bytes: &[u8]) -> Result<ParsedDocument, ParseFailure> {
    let outcome = parse(format, bytes, &limits());
    if let Ok(document) = &outcome {
        let chars = document.sections.iter().flat_map(|s| &s.blocks).map(|b| b.text.chars().count()).sum::<usize>();
        assert!(chars as u64 <= limits().text_chars);
        for section in &document.sections {
            assert!(section.path.len() <= MAX_PATH_DEPTH && !section.blocks.is_empty());
            assert!(section.path.iter().all(|title| !title.is_empty() && title.chars().count() <= MAX_TITLE_CHARS));
            assert!(section.blocks.iter().all(|block| !block.text.trim().is_empty()));
        }
    }
    outcome
}

#[test]
fn a_stream_that_inflates_without_end_is_too_large() {
    let mut pdf = Pdf::new();
    let bomb = deflate(b"BT /F1 9 Tf (hello) Tj ET ", 300 << 20);
    assert!(bomb.len() < 1 << 20);
    let content = pdf.document.add_object(Stream::new(dictionary! { "Filter" => "FlateDecode" }, bomb));
    pdf.page_of(content);
    assert_eq!(read(DocumentFormat::Pdf, &pdf.finish(None)), Err(ParseFailure::TooLarge));
}

#[test]
fn many_pages_that_share_one_large_content_are_too_large() {
    let mut pdf = Pdf::new();
    let content = deflate(b"BT /F1 9 Tf (hello) Tj ET ", 30 << 20);
    let content = pdf.document.add_object(Stream::new(dictionary! { "Filter" => "FlateDecode" }, content));
    for _ in 0..50 {
        pdf.page_of(content);
    }
    assert_eq!(read(DocumentFormat::Pdf, &pdf.finish(None)), Err(ParseFailure::TooLarge));
}

#[test]
fn a_page_that_shows_more_text_than_allowed_is_too_large() {
    let mut pdf = Pdf::new();
    pdf.raw_page([b"BT /F1 9 Tf ".as_slice(), "(aaaaaaaaaaaaaaaa) Tj ".repeat(60_000).as_bytes()].concat());
    assert_eq!(read(DocumentFormat::Pdf, &pdf.finish(None)), Err(ParseFailure::TooLarge));
}

#[test]
fn forms_that_draw_themselves_or_each_other_many_times_end() {
    let mut pdf = Pdf::new();
    let levels = 12;
    let ids: Vec<_> = (0..levels).map(|_| pdf.document.new_object_id()).collect();
    for (i, id) in ids.iter().enumerate() {
        let next = ids[(i + 1) % levels];
        let dict = dictionary! { "Type" => "XObject", "Subtype" => "Form",
        "Resources" => dictionary! { "XObject" => dictionary! { "N" => next } } };
        pdf.document.objects.insert(*id, Stream::new(dict, b"/N Do ".repeat(20)).into());
    }
    pdf.resources = pdf.document.add_object(dictionary! { "XObject" => dictionary! { "N" => ids[0] } });
    pdf.raw_page(b"/N Do".to_vec());
    let mut small = limits();
    small.content_bytes = 4 << 20;
    assert_eq!(parse(DocumentFormat::Pdf, &pdf.finish(None), &small), Err(ParseFailure::TooLarge));
}

#[test]
fn a_page_tree_that_contains_itself_ends() {
    let mut pdf = Pdf::new();
    pdf.page(&[body(700, "Once.")]);
    let (pages, page) = (pdf.pages_id, pdf.pages[0]);
    let inner = pdf.document.new_object_id();
    let kids = vec![page.into(), pages.into(), inner.into(), page.into()];
    pdf.document.objects.insert(inner, dictionary! { "Type" => "Pages", "Kids" => kids, "Count" => 9 }.into());
    pdf.pages.push(inner);
    let document = read(DocumentFormat::Pdf, &pdf.finish(None)).unwrap();
    assert_eq!(document.page_count, Some(1));
}

#[test]
fn an_outline_that_runs_in_circles_ends() {
    let mut pdf = Pdf::new();
    let page = pdf.page(&[body(700, "Intro"), body(680, "Text.")]);
    let outline = pdf.outline(&[("Intro", page)]);
    let item = pdf.document.get_dictionary(outline).unwrap().get(b"First").unwrap().as_reference().unwrap();
    let entry = pdf.document.get_object_mut(item).unwrap().as_dict_mut().unwrap();
    entry.set("Next", item);
    entry.set("First", outline);
    let document = read(DocumentFormat::Pdf, &pdf.finish(Some(outline))).unwrap();
    assert_eq!(document.sections[0].path, ["Intro"]);
}

#[test]
fn a_cross_reference_that_points_to_itself_ends() {
    let mut bytes = handbook();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let start = text.rfind("startxref").unwrap();
    let offset: usize = text[start..].lines().nth(1).unwrap().trim().parse().unwrap();
    let trailer = bytes.windows(9).rposition(|w| w == b"trailer\n<").map(|at| at + 8);
    if let Some(at) = trailer {
        let prev = format!("<</Prev {offset} ");
        bytes.splice(at..at + 2, prev.bytes());
    }
    // Whatever the library makes of it, it must come back.
    let _ = read(DocumentFormat::Pdf, &bytes);
    let broken = String::from_utf8_lossy(&handbook()).replace("startxref", "startxerf");
    let _ = read(DocumentFormat::Pdf, broken.as_bytes());
}

#[test]
fn deep_nesting_in_a_pdf_is_no_stack_overflow() {
    for (open, close) in [("[", "]"), ("<</A ", ">>"), ("(", ")")] {
        let deep = format!("{}{}", open.repeat(200_000), close.repeat(200_000));
        let mut pdf = Pdf::new();
        pdf.raw_page(format!("BT /F1 9 Tf (a) Tj {deep} Tj (b) Tj ET").into_bytes());
        let _ = read(DocumentFormat::Pdf, &pdf.finish(None));
        let raw = format!("%PDF-1.4\n1 0 obj\n{deep}\nendobj\ntrailer\n<</Root 1 0 R /Size 2>>\nstartxref\n0\n%%EOF");
        assert!(read(DocumentFormat::Pdf, raw.as_bytes()).is_err());
    }
    let mut object = Object::Array(Vec::new());
    for _ in 0..90 {
        object = Object::Array(vec![object]);
    }
    let mut pdf = Pdf::new();
    pdf.page(&[body(700, "Fine.")]);
    pdf.document.add_object(object);
    assert!(read(DocumentFormat::Pdf, &pdf.finish(None)).is_ok());
}

#[test]
fn deep_nesting_in_markup_is_no_stack_overflow() {
    let html = format!("{}deep{}", "<div>".repeat(20_000), "</div>".repeat(20_000));
    assert_eq!(read(DocumentFormat::Html, html.as_bytes()).unwrap().sections[0].blocks[0].text, "deep");
    let inline = format!("{}deep", "<b>".repeat(5_000));
    assert!(read(DocumentFormat::Html, inline.as_bytes()).is_ok());
    let quotes = format!("{}deep", ">".repeat(5_000));
    assert!(read(DocumentFormat::Markdown, quotes.as_bytes()).is_ok());
    let links = format!("{}deep", "[".repeat(5_000));
    assert!(read(DocumentFormat::Markdown, links.as_bytes()).is_ok());
    let lists: String = (0..2_000).map(|i| format!("{}- x\n", " ".repeat(2 * (i % 100)))).collect();
    assert!(read(DocumentFormat::Markdown, lists.as_bytes()).is_ok());
}

#[test]
fn too_much_text_is_too_large_in_every_format() {
    let long = "word ".repeat(60_000);
    for format in [DocumentFormat::Markdown, DocumentFormat::Html, DocumentFormat::Text] {
        assert_eq!(read(format, long.as_bytes()), Err(ParseFailure::TooLarge), "{format:?}");
    }
    let many = "# a\n".repeat(250_000);
    assert_eq!(read(DocumentFormat::Markdown, many.as_bytes()), Err(ParseFailure::TooLarge));
}

#[test]
fn titles_and_paths_stay_short() {
    let source: String =
        (1..=9).map(|n| format!("{} {}\n\ntext\n\n", "#".repeat(n.min(6)), "long ".repeat(100))).collect();
    assert!(read(DocumentFormat::Markdown, source.as_bytes()).is_ok());
}

#[test]
fn every_truncation_of_a_pdf_is_answered() {
    let bytes = handbook();
    for end in 0..bytes.len() {
        let _ = read(DocumentFormat::Pdf, &bytes[..end]);
    }
}

/// Flate-compressed zeros of `size` bytes after a prefix.
fn deflate(prefix: &[u8], size: usize) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(prefix).unwrap();
    let block = vec![b' '; 1 << 20];
    let mut left = size;
    while left > 0 {
        let n = left.min(block.len());
        encoder.write_all(&block[..n]).unwrap();
        left -= n;
    }
    encoder.finish().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn mutated_pdfs_never_panic(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..24)) {
        let mut bytes = handbook();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = read(DocumentFormat::Pdf, &bytes);
    }

    #[test]
    fn random_content_streams_never_panic(content in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut pdf = Pdf::new();
        pdf.raw_page([b"BT /F1 9 Tf ".as_slice(), &content].concat());
        let _ = read(DocumentFormat::Pdf, &pdf.finish(None));
    }

    #[test]
    fn content_streams_of_operators_never_panic(
        operators in proptest::collection::vec(
            ("(-?[0-9]{1,9}(\\.[0-9]{1,3})? ){0,6}", "Tj|TJ|Td|TD|Tm|T\\*|Tf|Tz|TL|Ts|Tc|Tw|q|Q|cm|BT|ET|Do|'|\"|BI|sh"), 0..60)
    ) {
        let content: String = operators.iter().map(|(n, op)| format!("{n}(text) {op} /F1 9 Tf (x y) Tj ")).collect();
        let mut pdf = Pdf::new();
        pdf.raw_page(content.into_bytes());
        let _ = read(DocumentFormat::Pdf, &pdf.finish(None));
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        for format in FORMATS {
            let _ = read(format, &bytes);
        }
    }

    #[test]
    fn random_markup_never_panics(
        parts in proptest::collection::vec("</?(table|tr|td|th|p|li|ol|ul|h[1-6]|pre|div|title|template|svg|b|caption)( hidden)?>|text|# |> |\\| a \\| b \\||---|\n|- |1\\. |```|\\[x\\]|\\*", 0..80)
    ) {
        let source = parts.concat();
        for format in FORMATS {
            let _ = read(format, source.as_bytes());
        }
    }
}
