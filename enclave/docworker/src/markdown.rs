//! Markdown: `CommonMark` with tables, footnotes, task lists and front matter, read by `pulldown-cmark`.
//!
//! Raw HTML inside goes through the HTML reader, so that hidden parts and scripts are dropped there too. Images and
//! link targets are dropped; the words of links stay.

use cloister_protocol::parsed::{ParseFailure, ParsedDocument};
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::Limits;
use crate::builder::{Builder, Row, Table};
use crate::html;

pub(crate) fn parse(source: &str, limits: &Limits) -> Result<ParsedDocument, ParseFailure> {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let mut reader = Reader::new(limits);
    for event in Parser::new_ext(source, options) {
        reader.event(event)?;
    }
    reader.flush()?;
    let title = reader.meta_title.or(reader.first_title);
    reader.builder.finish(title.as_deref(), None)
}

/// What the text of the current event belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Paragraph,
    Heading(u8),
    Code,
    Html,
    Cell,
    Metadata,
}

struct Reader {
    builder: Builder,
    inside: Inside,
    text: String,
    table: Option<Table>,
    /// The number of the next item of each open list; `None` where items are not numbered.
    lists: Vec<Option<u64>>,
    /// Depth of open images; their alternative text is no text of the document.
    images: u32,
    meta_title: Option<String>,
    first_title: Option<String>,
}

impl Reader {
    fn new(limits: &Limits) -> Self {
        Self {
            builder: Builder::new(limits),
            inside: Inside::Paragraph,
            text: String::new(),
            table: None,
            lists: Vec::new(),
            images: 0,
            meta_title: None,
            first_title: None,
        }
    }

    fn event(&mut self, event: Event<'_>) -> Result<(), ParseFailure> {
        match event {
            Event::Start(tag) => self.start(&tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) | Event::Code(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                if self.images == 0 {
                    self.text.push_str(&text);
                }
                Ok(())
            }
            Event::Html(html) => {
                self.text.push_str(&html);
                Ok(())
            }
            Event::SoftBreak | Event::HardBreak => {
                self.text.push('\n');
                Ok(())
            }
            Event::Rule => self.flush(),
            Event::InlineHtml(_) | Event::FootnoteReference(_) | Event::TaskListMarker(_) => Ok(()),
        }
    }

    fn start(&mut self, tag: &Tag<'_>) -> Result<(), ParseFailure> {
        match tag {
            Tag::Image { .. } => self.images += 1,
            Tag::Heading { level, .. } => self.begin(Inside::Heading(depth(*level)))?,
            Tag::CodeBlock(_) => self.begin(Inside::Code)?,
            Tag::HtmlBlock => self.begin(Inside::Html)?,
            Tag::MetadataBlock(_) => self.begin(Inside::Metadata)?,
            Tag::TableCell => self.begin(Inside::Cell)?,
            Tag::Table(_) => {
                self.flush()?;
                self.table = Some(Table::default());
            }
            Tag::List(first) => {
                self.flush()?;
                self.lists.push(*first);
            }
            Tag::Item => {
                self.flush()?;
                if let Some(Some(number)) = self.lists.last_mut() {
                    self.text.push_str(&format!("{number}. "));
                    *number = number.saturating_add(1);
                }
            }
            Tag::Paragraph if self.only_a_number() => {}
            Tag::Paragraph
            | Tag::BlockQuote(_)
            | Tag::FootnoteDefinition(_)
            | Tag::DefinitionList
            | Tag::DefinitionListTitle
            | Tag::DefinitionListDefinition => self.flush()?,
            Tag::TableHead
            | Tag::TableRow
            | Tag::Emphasis
            | Tag::Strong
            | Tag::Strikethrough
            | Tag::Superscript
            | Tag::Subscript
            | Tag::Link { .. } => {}
        }
        Ok(())
    }

    fn end(&mut self, tag: TagEnd) -> Result<(), ParseFailure> {
        match tag {
            TagEnd::Image => self.images = self.images.saturating_sub(1),
            TagEnd::List(_) => {
                self.flush()?;
                self.lists.pop();
            }
            TagEnd::TableHead => self.end_row(Row::Header)?,
            TagEnd::TableRow => self.end_row(Row::Values)?,
            TagEnd::Table => {
                if let Some(table) = self.table.take() {
                    table.end(&mut self.builder, None)?;
                }
            }
            TagEnd::Heading(_)
            | TagEnd::CodeBlock
            | TagEnd::HtmlBlock
            | TagEnd::MetadataBlock(_)
            | TagEnd::TableCell
            | TagEnd::Paragraph
            | TagEnd::Item
            | TagEnd::BlockQuote(_)
            | TagEnd::FootnoteDefinition
            | TagEnd::DefinitionList
            | TagEnd::DefinitionListTitle
            | TagEnd::DefinitionListDefinition => self.flush()?,
            TagEnd::Emphasis
            | TagEnd::Strong
            | TagEnd::Strikethrough
            | TagEnd::Superscript
            | TagEnd::Subscript
            | TagEnd::Link => {}
        }
        Ok(())
    }

    fn begin(&mut self, inside: Inside) -> Result<(), ParseFailure> {
        if !(inside == Inside::Code && self.only_a_number()) {
            self.flush()?;
        }
        self.inside = inside;
        Ok(())
    }

    /// Whether the text so far is just the number of a list item, which belongs to the paragraph that follows.
    fn only_a_number(&self) -> bool {
        self.inside == Inside::Paragraph && self.text.ends_with(". ") && self.text.len() < 24
    }

    /// Hands the collected text to where it belongs.
    fn flush(&mut self) -> Result<(), ParseFailure> {
        let text = std::mem::take(&mut self.text);
        match std::mem::replace(&mut self.inside, Inside::Paragraph) {
            Inside::Paragraph => self.builder.block(&text, None),
            Inside::Code => self.builder.lines(&text, None),
            Inside::Html => html::append(&text, &mut self.builder),
            Inside::Heading(level) => {
                self.first_title.get_or_insert_with(|| text.clone());
                self.builder.heading(level, &text)
            }
            Inside::Cell => {
                if let Some(table) = &mut self.table {
                    table.cell(&text);
                }
                Ok(())
            }
            Inside::Metadata => {
                self.meta_title = front_matter_title(&text);
                Ok(())
            }
        }
    }

    fn end_row(&mut self, kind: Row) -> Result<(), ParseFailure> {
        match &mut self.table {
            Some(table) => table.end_row(kind, &mut self.builder, None),
            None => Ok(()),
        }
    }
}

const fn depth(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}

/// The value of a top-level `title:` line.
fn front_matter_title(metadata: &str) -> Option<String> {
    let value = metadata.lines().find_map(|line| line.strip_prefix("title:"))?;
    let value = value.trim().trim_matches(['"', '\'']);
    (!value.is_empty()).then(|| value.to_owned())
}
