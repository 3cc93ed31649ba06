//! Makes the PDF of the demo set, `deploy/demo/continuity-plan.pdf`: real text, headings, a table and an outline.
//!
//! `cargo run -p cloister-docworker --example demo_pdf` writes it again; the file is checked in.

use lopdf::content::{Content, Operation};
use lopdf::{Document, Object, ObjectId, SaveOptions, Stream, dictionary};

const PAGE: (f32, f32) = (595.0, 842.0);
const LEFT: f32 = 72.0;
const TOP: f32 = 770.0;
const BOTTOM: f32 = 90.0;
const WIDTH: f32 = 451.0;

/// A piece of the document.
enum Part {
    Title(&'static str),
    Small(&'static str),
    Heading(&'static str),
    Text(&'static str),
    Item(&'static str),
    Row(Face, [&'static str; 3]),
    NewPage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Face {
    Plain,
    Bold,
}

use Face::{Bold, Plain};
use Part::{Heading, Item, NewPage, Row, Small, Text, Title};

const PLAN: &[Part] = &[
    Title("Emergency and Continuity Plan"),
    Small("Brae Harbour Trust. Version 7, in force from 1 March 2026. Approved by the board on 12 February 2026."),
    Heading("1 Purpose and scope"),
    Text(
        "This plan says what the Brae Harbour Trust does when something happens that endangers people, vessels or the \
         running of the port. It covers the North Pier, the South Pier, the ferry terminal, the fuel station and the \
         harbour office at 4 Quay Street. It does not cover incidents outside the harbour limits, for which the coastguard \
         is responsible.",
    ),
    Text(
        "Everyone who works for the Trust has to know sections 2 and 3. Contractors who stay for more than five days are \
         given a copy by the person who engaged them.",
    ),
    Heading("2 Raising the alarm"),
    Text(
        "Whoever discovers an emergency calls the duty officer first, on extension 4400 or from outside on +44 1632 \
         960 144. The duty officer is on watch at all hours and decides which of the three alarm levels applies. If life \
         is in danger, call 999 before you call the duty officer.",
    ),
    Row(Bold, ["Level", "Meaning", "Who is called"]),
    Row(Plain, ["Green", "One team can deal with it", "Duty officer"]),
    Row(Plain, ["Amber", "Part of the port must stop", "Harbour master and duty officer"]),
    Row(Plain, ["Red", "People must leave the port", "Crisis team, coastguard and police"]),
    Text(
        "At level red the siren sounds for two minutes without a break. The all-clear is three short tones. The siren is \
         tested on the first Tuesday of every month at 11:00; on that occasion nobody needs to do anything.",
    ),
    Heading("3 Evacuation"),
    Text(
        "There are two assembly points. People on the North Pier and in the harbour office go to the car park of the \
         Maritime Museum. People on the South Pier, in the ferry terminal and at the fuel station go to the football \
         ground in Mill Lane. Lifts are not used. Vehicles stay where they are, with the key in the ignition.",
    ),
    Text(
        "Floor wardens wear yellow vests and count their people at the assembly point. A warden who is missing somebody \
         reports it to the duty officer within ten minutes of the siren. Nobody goes back until the harbour master, or the \
         fire officer in command, has said so.",
    ),
    NewPage,
    Heading("4 The crisis team"),
    Text(
        "The crisis team meets within forty-five minutes of a red alarm in the training room of the Maritime Museum. If the \
         museum cannot be used, it meets by telephone conference. The team is led by the harbour master, Ingrid Solheim; \
         her deputy is the head of operations, Tomas Okafor.",
    ),
    Item("The communications lead, Priya Raman, is the only person who speaks to the press."),
    Item("The head of finance, Walter Brandt, may spend up to 75,000 pounds without a further signature."),
    Item("The safety adviser, Mairi Campbell, keeps the log of decisions and times."),
    Text(
        "Decisions need three members. The log is kept on paper, because the network may be down, and is stored for seven \
         years afterwards.",
    ),
    Heading("5 Fuel spill"),
    Text(
        "The fuel station holds at most 120,000 litres of marine diesel. The emergency stop is the red handle beside the \
         kiosk; it closes both tanks within eight seconds. After any spill of more than 50 litres the environment agency \
         must be told within two hours, and the booms are laid out from the store behind shed C.",
    ),
    Text(
        "Absorbent mats are kept in the blue containers along the South Pier. They are checked every quarter. Used mats are \
         special waste and are collected by the contractor named in annex B; they never go into the general bins.",
    ),
    Heading("6 Power failure"),
    Text(
        "A diesel generator in shed A starts by itself within fifteen seconds and supplies the navigation lights, the radio \
         room and the pumps of the dry dock for thirty-six hours. It does not supply the office computers. The generator is \
         run for thirty minutes on the last Wednesday of each month.",
    ),
    Text(
        "If the generator does not start, the duty officer calls the electrical contractor, who has promised to be on site \
         within ninety minutes, and has the portable lights put up on both pier heads. Ferries do not berth in the dark \
         without navigation lights.",
    ),
    NewPage,
    Heading("7 Loss of computers or data"),
    Text(
        "The berth planning system may be down for at most four hours before the harbour master closes the port to new \
         arrivals. Until then berths are assigned on the whiteboard in the radio room. A printed plan of the next two days \
         is taken at 06:00 and at 18:00 and kept in the red folder.",
    ),
    Text(
        "Backups are made every night at 02:30. One copy is kept in the harbour office and one in the bank in Kirkgate; the \
         copy in the bank is exchanged on Mondays. A restore is rehearsed twice a year, in April and in October. At the last \
         rehearsal, on 14 October 2025, the berth planning system was running again after two hours and ten minutes.",
    ),
    Text(
        "Anybody who suspects that a computer has been tampered with unplugs the network cable, leaves the machine switched \
         on and calls the IT desk on extension 4455. Ransom demands are not answered and are not paid.",
    ),
    Heading("8 Storm and flood"),
    Text(
        "When the weather service forecasts wind of force 9 or more, the duty officer doubles the mooring lines by noon and \
         closes both pier heads to visitors. When a tide of more than 5.80 metres is forecast, the flood gates in Quay Street \
         are closed three hours before high water. Closing them takes two people and about twenty minutes.",
    ),
    Text(
        "Sandbags are stored in shed D; there are 1,400 of them. The ferry company is told at least six hours before a \
         closure, so that it can inform its passengers.",
    ),
    NewPage,
    Heading("9 Exercises and review"),
    Text(
        "One full exercise is held each year, in September, together with the coastguard and the fire brigade. Each team also \
         practises its own part once in every half-year. The exercise of 18 September 2025 took seventy-two minutes from the \
         alarm to the all-clear; the aim is sixty.",
    ),
    Text(
        "The plan is reviewed every twelve months and after every amber or red alarm. Changes are proposed by the safety \
         adviser and approved by the board. The next review is due on 1 March 2027.",
    ),
    Heading("10 After an emergency"),
    Text(
        "Within five working days the crisis team writes a report of no more than six pages: what happened, what was decided \
         and when, what worked, and what is to be changed. The report goes to the board and, without names, to all staff.",
    ),
    Text(
        "Anyone who was involved may talk to the counselling service free of charge and in confidence, on +44 1632 960 178. \
         The first three sessions need no approval and count as working time.",
    ),
];

struct Maker {
    document: Document,
    pages_id: ObjectId,
    resources: ObjectId,
    pages: Vec<ObjectId>,
    outline: Vec<(&'static str, ObjectId, f32)>,
    operations: Vec<Operation>,
    y: f32,
}

fn main() -> lopdf::Result<()> {
    let mut document = Document::with_version("1.7");
    let font = |base: &str| {
        dictionary! { "Type" => "Font", "Subtype" => "Type1", "BaseFont" => base, "Encoding" => "WinAnsiEncoding" }
    };
    let (plain, bold) = (document.add_object(font("Helvetica")), document.add_object(font("Helvetica-Bold")));
    let resources = document.add_object(dictionary! { "Font" => dictionary! { "F1" => plain, "F2" => bold } });
    let pages_id = document.new_object_id();
    let first = document.new_object_id();
    let mut maker = Maker {
        document,
        pages_id,
        resources,
        pages: vec![first],
        outline: Vec::new(),
        operations: Vec::new(),
        y: TOP,
    };
    for part in PLAN {
        maker.part(part);
    }
    maker.end_page();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/demo/continuity-plan.pdf");
    maker.save(path)
}

impl Maker {
    fn part(&mut self, part: &Part) {
        match part {
            Title(text) => self.paragraph(text, Bold, 22.0, 0.0, 8.0),
            Small(text) => self.paragraph(text, Plain, 9.0, 0.0, 10.0),
            Heading(text) => {
                self.y -= 10.0;
                let page = self.pages.last().copied().unwrap_or(self.pages_id);
                self.outline.push((text, page, self.y));
                self.paragraph(text, Bold, 14.0, 0.0, 6.0);
            }
            Text(text) => self.paragraph(text, Plain, 11.0, 0.0, 8.0),
            Item(text) => self.paragraph(&format!("\u{2022} {text}"), Plain, 11.0, 12.0, 4.0),
            Row(face, cells) => {
                for (cell, x) in cells.iter().zip([LEFT, LEFT + 70.0, LEFT + 250.0]) {
                    self.show(cell, *face, 11.0, x);
                }
                self.y -= 17.0;
            }
            NewPage => {
                self.end_page();
                let page = self.document.new_object_id();
                self.pages.push(page);
                self.y = TOP;
            }
        }
    }

    /// Sets a text in lines of at most the page's width.
    fn paragraph(&mut self, text: &str, face: Face, size: f32, indent: f32, after: f32) {
        let mut line = String::new();
        for word in text.split(' ') {
            let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
            if width(&longer) * size > WIDTH - indent {
                self.show(&line, face, size, LEFT + indent);
                self.y -= size * 1.35;
                line = word.to_owned();
            } else {
                line = longer;
            }
        }
        self.show(&line, face, size, LEFT + indent);
        self.y -= size * 1.35 + after;
        assert!(self.y > BOTTOM, "a page overflows: put a NewPage before this paragraph");
    }

    fn show(&mut self, text: &str, face: Face, size: f32, x: f32) {
        let font = if face == Bold { "F2" } else { "F1" };
        let bytes: Vec<u8> =
            text.chars().map(|c| if c == '\u{2022}' { 0x95 } else { u8::try_from(c).unwrap_or(b'?') }).collect();
        let number = |n: f32| Object::Real(format!("{n:.2}").parse().unwrap_or(0.0));
        self.operations.extend([
            Operation::new("Tf", vec![font.into(), number(size)]),
            Operation::new("Tm", vec![1.into(), 0.into(), 0.into(), 1.into(), number(x), number(self.y)]),
            Operation::new("Tj", vec![Object::string_literal(bytes)]),
        ]);
    }

    fn end_page(&mut self) {
        let Some(page) = self.pages.last().copied() else { return };
        self.y = 50.0;
        let footer =
            format!("Brae Harbour Trust \u{B7} Emergency and Continuity Plan \u{B7} page {} of 4", self.pages.len());
        self.show(&footer, Plain, 8.0, LEFT);
        let mut operations = vec![Operation::new("BT", vec![])];
        operations.append(&mut self.operations);
        operations.push(Operation::new("ET", vec![]));
        let content = Content { operations }.encode().unwrap_or_default();
        let content = self.document.add_object(Stream::new(dictionary! {}, content));
        let media_box: Vec<Object> = vec![0.into(), 0.into(), PAGE.0.into(), PAGE.1.into()];
        let page_object = dictionary! {
            "Type" => "Page", "Parent" => self.pages_id, "MediaBox" => media_box, "Contents" => content,
            "Resources" => self.resources,
        };
        self.document.objects.insert(page, page_object.into());
    }

    fn save(mut self, path: &str) -> lopdf::Result<()> {
        let root = self.document.new_object_id();
        let ids: Vec<ObjectId> = self.outline.iter().map(|_| self.document.new_object_id()).collect();
        for (i, ((title, page, y), id)) in self.outline.iter().zip(&ids).enumerate() {
            let destination: Vec<Object> =
                vec![(*page).into(), "XYZ".into(), Object::Null, Object::Real(*y + 20.0), Object::Null];
            let mut item =
                dictionary! { "Title" => lopdf::text_string(title), "Parent" => root, "Dest" => destination };
            if let Some(next) = ids.get(i + 1) {
                item.set("Next", *next);
            }
            if let Some(previous) = i.checked_sub(1).and_then(|i| ids.get(i)) {
                item.set("Prev", *previous);
            }
            self.document.objects.insert(*id, item.into());
        }
        let count = i64::try_from(ids.len()).unwrap_or(0);
        let (first, last) = (ids.first().copied().unwrap_or(root), ids.last().copied().unwrap_or(root));
        let outlines = dictionary! { "Type" => "Outlines", "First" => first, "Last" => last, "Count" => count };
        self.document.objects.insert(root, outlines.into());
        let kids: Vec<Object> = self.pages.iter().map(|page| (*page).into()).collect();
        let pages =
            dictionary! { "Type" => "Pages", "Count" => i64::try_from(kids.len()).unwrap_or(0), "Kids" => kids };
        self.document.objects.insert(self.pages_id, pages.into());
        let catalog = dictionary! { "Type" => "Catalog", "Pages" => self.pages_id, "Outlines" => root };
        let catalog = self.document.add_object(catalog);
        let info = dictionary! {
            "Title" => lopdf::text_string("Emergency and Continuity Plan"),
            "Author" => lopdf::text_string("Brae Harbour Trust"),
        };
        let info = self.document.add_object(info);
        self.document.trailer.set("Root", catalog);
        self.document.trailer.set("Info", info);
        self.document.compress();
        let mut bytes = Vec::new();
        self.document.save_with_options(&mut bytes, SaveOptions::default())?;
        std::fs::write(path, bytes)?;
        Ok(())
    }
}

/// About how wide a text in Helvetica is at size 1; a little too wide rather than too narrow.
fn width(text: &str) -> f32 {
    text.chars()
        .map(|c| match c {
            ' ' | 'i' | 'j' | 'l' | 't' | 'f' | 'I' | '.' | ',' | ';' | ':' | '\'' => 0.28,
            'r' | '(' | ')' | '-' => 0.34,
            'm' | 'w' | 'M' | 'W' => 0.84,
            'A'..='Z' => 0.70,
            _ => 0.557,
        })
        .sum()
}
