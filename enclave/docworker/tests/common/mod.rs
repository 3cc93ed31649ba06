//! Makes PDF files for the tests, honest and otherwise.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail that way")]

use lopdf::content::{Content, Operation};
use lopdf::{Document, Object, ObjectId, Stream, dictionary};

/// One line of text on a page.
pub(crate) struct Text<'a> {
    pub(crate) font: &'a str,
    pub(crate) size: i64,
    pub(crate) x: i64,
    pub(crate) y: i64,
    pub(crate) text: &'a str,
}

pub(crate) const fn body(y: i64, text: &str) -> Text<'_> {
    Text { font: "F1", size: 11, x: 72, y, text }
}

pub(crate) const fn heading(y: i64, text: &str) -> Text<'_> {
    Text { font: "F2", size: 16, x: 72, y, text }
}

/// A document under construction with the fonts F1 (Helvetica) and F2 (Helvetica-Bold).
pub(crate) struct Pdf {
    pub(crate) document: Document,
    pub(crate) pages_id: ObjectId,
    pub(crate) resources: ObjectId,
    pub(crate) pages: Vec<ObjectId>,
}

impl Pdf {
    pub(crate) fn new() -> Self {
        let mut document = Document::with_version("1.7");
        let pages_id = document.new_object_id();
        let font = |base: &str| {
            dictionary! { "Type" => "Font", "Subtype" => "Type1", "BaseFont" => base, "Encoding" => "WinAnsiEncoding" }
        };
        let plain = document.add_object(font("Helvetica"));
        let bold = document.add_object(font("Helvetica-Bold"));
        let resources = document.add_object(dictionary! { "Font" => dictionary! { "F1" => plain, "F2" => bold } });
        Self { document, pages_id, resources, pages: Vec::new() }
    }

    pub(crate) fn page(&mut self, lines: &[Text<'_>]) -> ObjectId {
        let mut operations = vec![Operation::new("BT", vec![])];
        for line in lines {
            operations.push(Operation::new("Tf", vec![line.font.into(), line.size.into()]));
            let (x, y) = (line.x, line.y);
            operations.push(Operation::new("Tm", vec![1.into(), 0.into(), 0.into(), 1.into(), x.into(), y.into()]));
            operations.push(Operation::new("Tj", vec![Object::string_literal(line.text)]));
        }
        operations.push(Operation::new("ET", vec![]));
        self.raw_page(Content { operations }.encode().unwrap())
    }

    pub(crate) fn raw_page(&mut self, content: Vec<u8>) -> ObjectId {
        let content = self.document.add_object(Stream::new(dictionary! {}, content));
        self.page_of(content)
    }

    pub(crate) fn page_of(&mut self, content: ObjectId) -> ObjectId {
        let page = self.document.add_object(dictionary! {
            "Type" => "Page", "Parent" => self.pages_id, "Contents" => content, "Resources" => self.resources,
            "MediaBox" => vec![0.into(), 0.into(), 595.into(), 842.into()],
        });
        self.pages.push(page);
        page
    }

    /// Adds an outline of top-level entries.
    pub(crate) fn outline(&mut self, entries: &[(&str, ObjectId)]) -> ObjectId {
        let root = self.document.new_object_id();
        let ids: Vec<ObjectId> = entries.iter().map(|_| self.document.new_object_id()).collect();
        for (i, (title, page)) in entries.iter().enumerate() {
            let mut item = dictionary! {
                "Title" => lopdf::text_string(title), "Parent" => root,
                "Dest" => vec![(*page).into(), "Fit".into()],
            };
            if let Some(next) = ids.get(i + 1) {
                item.set("Next", *next);
            }
            self.document.objects.insert(ids[i], item.into());
        }
        self.document.objects.insert(root, dictionary! { "Type" => "Outlines", "First" => ids[0] }.into());
        root
    }

    pub(crate) fn finish(mut self, outline: Option<ObjectId>) -> Vec<u8> {
        let kids: Vec<Object> = self.pages.iter().map(|page| (*page).into()).collect();
        let count = i64::try_from(kids.len()).unwrap();
        let tree = dictionary! { "Type" => "Pages", "Kids" => kids, "Count" => count };
        self.document.objects.insert(self.pages_id, tree.into());
        let mut catalog = dictionary! { "Type" => "Catalog", "Pages" => self.pages_id };
        if let Some(outline) = outline {
            catalog.set("Outlines", outline);
        }
        let catalog = self.document.add_object(catalog);
        self.document.trailer.set("Root", catalog);
        let mut bytes = Vec::new();
        self.document.save_to(&mut bytes).unwrap();
        bytes
    }
}

/// A handbook of two pages with headings that only their looks tell.
pub(crate) fn handbook() -> Vec<u8> {
    let mut pdf = Pdf::new();
    pdf.page(&[
        Text { font: "F2", size: 24, x: 72, y: 780, text: "Harbour Handbook" },
        heading(740, "1 Opening hours"),
        body(720, "The office opens at 08:30 and closes at 17:00. On the last Friday of a month it is a well-"),
        body(706, "known habit to close at noon. Visitors regis-"),
        body(692, "ter at the front desk."),
        body(664, "The canteen serves lunch from 11:45."),
    ]);
    pdf.page(&[
        heading(780, "2 Leave"),
        body(760, "Staff have 28 days of leave a year. A well-known rule says that ten of them may be carried"),
        body(746, "over until the end of March."),
    ]);
    pdf.finish(None)
}
