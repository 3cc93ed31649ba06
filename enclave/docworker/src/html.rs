//! HTML as browsers read it (html5ever behind `scraper`), reduced to the words that a reader would see.
//!
//! Scripts, styles, navigation, templates, forms, drawings and everything marked as hidden are dropped: text that a
//! browser would not show must not reach a model either. The tree is walked by its parent links, not by recursion.

use cloister_protocol::parsed::{ParseFailure, ParsedDocument};
use ego_tree::NodeRef;
use scraper::{Html, Node, node::Element};

use crate::Limits;
use crate::builder::{Builder, Row, Table, clean};

pub(crate) fn parse(source: &str, limits: &Limits) -> Result<ParsedDocument, ParseFailure> {
    let html = Html::parse_document(source);
    let mut walk = Walk::new(Builder::new(limits));
    walk.run(html.tree.root())?;
    let title = walk.title.or(walk.first_heading);
    walk.builder.finish(title.as_deref(), None)
}

/// Adds the visible text of an HTML fragment to a document of another format.
pub(crate) fn append(fragment: &str, builder: &mut Builder) -> Result<(), ParseFailure> {
    let html = Html::parse_fragment(fragment);
    let mut walk = Walk::new(std::mem::replace(builder, Builder::new(&Limits::with_text_chars(0))));
    let outcome = walk.run(html.tree.root());
    *builder = walk.builder;
    outcome
}

struct Walk {
    builder: Builder,
    text: String,
    heading: Option<u8>,
    table: Option<Table>,
    table_depth: usize,
    header_row: bool,
    preformatted: usize,
    in_title: bool,
    lists: Vec<Option<u64>>,
    title: Option<String>,
    first_heading: Option<String>,
}

impl Walk {
    const fn new(builder: Builder) -> Self {
        Self {
            builder,
            text: String::new(),
            heading: None,
            table: None,
            table_depth: 0,
            header_row: false,
            preformatted: 0,
            in_title: false,
            lists: Vec::new(),
            title: None,
            first_heading: None,
        }
    }

    /// Visits every node once in document order.
    fn run(&mut self, root: NodeRef<'_, Node>) -> Result<(), ParseFailure> {
        let mut node = root;
        loop {
            let dropped = self.open(node)?;
            if !dropped && let Some(child) = node.first_child() {
                node = child;
                continue;
            }
            loop {
                self.close(node)?;
                if node == root {
                    return self.flush();
                }
                if let Some(next) = node.next_sibling() {
                    node = next;
                    break;
                }
                match node.parent() {
                    Some(parent) => node = parent,
                    None => return self.flush(),
                }
            }
        }
    }

    /// Enters a node; true if its children are not to be visited.
    fn open(&mut self, node: NodeRef<'_, Node>) -> Result<bool, ParseFailure> {
        match node.value() {
            Node::Text(text) => self.text.push_str(text),
            Node::Element(element) => {
                if is_dropped(element) {
                    return Ok(true);
                }
                self.open_element(element)?;
            }
            Node::Document | Node::Fragment | Node::Doctype(_) | Node::Comment(_) | Node::ProcessingInstruction(_) => {}
        }
        Ok(false)
    }

    fn open_element(&mut self, element: &Element) -> Result<(), ParseFailure> {
        let name = element.name();
        match name {
            "title" => {
                self.text.clear();
                self.in_title = true;
            }
            "br" => self.text.push('\n'),
            "table" => {
                if self.table_depth == 0 {
                    self.flush()?;
                    self.table = Some(Table::default());
                }
                self.table_depth += 1;
            }
            _ if self.table_depth > 0 => self.open_in_table(name),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.flush()?;
                self.heading = Some(heading_level(name));
            }
            "ol" => {
                self.flush()?;
                let start = element.attr("start").and_then(|n| n.parse().ok());
                self.lists.push(Some(start.unwrap_or(1)));
            }
            "ul" | "menu" => {
                self.flush()?;
                self.lists.push(None);
            }
            "li" => {
                self.flush()?;
                if let Some(Some(number)) = self.lists.last_mut() {
                    self.text = format!("{number}. ");
                    *number = number.saturating_add(1);
                }
            }
            "pre" => {
                self.flush()?;
                self.preformatted += 1;
            }
            _ if is_block(name) && !self.only_a_number() => self.flush()?,
            _ => {}
        }
        Ok(())
    }

    /// Inside a table only rows and cells of the outermost one count; all else is the text of a cell.
    fn open_in_table(&mut self, name: &str) {
        match name {
            "tr" if self.table_depth == 1 => {
                self.text.clear();
                self.header_row = true;
            }
            "td" if self.table_depth == 1 => {
                self.text.clear();
                self.header_row = false;
            }
            "th" | "caption" if self.table_depth == 1 => self.text.clear(),
            _ => self.text.push(' '),
        }
    }

    fn close(&mut self, node: NodeRef<'_, Node>) -> Result<(), ParseFailure> {
        let Some(element) = node.value().as_element().filter(|element| !is_dropped(element)) else {
            return Ok(());
        };
        let name = element.name();
        match name {
            "title" if self.in_title => {
                let text = std::mem::take(&mut self.text);
                self.in_title = false;
                if self.title.is_none() {
                    self.title = Some(clean(&text)).filter(|title| !title.is_empty());
                }
            }
            "table" => {
                self.table_depth = self.table_depth.saturating_sub(1);
                if self.table_depth == 0 {
                    self.text.clear();
                    if let Some(table) = self.table.take() {
                        table.end(&mut self.builder, None)?;
                    }
                }
            }
            _ if self.table_depth > 0 => self.close_in_table(name)?,
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => self.flush()?,
            "pre" => {
                self.flush()?;
                self.preformatted = self.preformatted.saturating_sub(1);
            }
            "ol" | "ul" | "menu" => {
                self.flush()?;
                self.lists.pop();
            }
            _ if is_block(name) => self.flush()?,
            _ => {}
        }
        Ok(())
    }

    fn close_in_table(&mut self, name: &str) -> Result<(), ParseFailure> {
        if self.table_depth > 1 {
            self.text.push(' ');
            return Ok(());
        }
        let Some(table) = &mut self.table else {
            return Ok(());
        };
        match name {
            "td" | "th" => table.cell(&std::mem::take(&mut self.text)),
            "tr" => {
                let kind = if self.header_row { Row::Header } else { Row::Values };
                table.end_row(kind, &mut self.builder, None)?;
            }
            "caption" => {
                let caption = std::mem::take(&mut self.text);
                self.builder.block(&caption, None)?;
            }
            _ => self.text.push(' '),
        }
        Ok(())
    }

    fn only_a_number(&self) -> bool {
        self.text.ends_with(". ") && self.text.len() < 24 && matches!(self.lists.last(), Some(Some(_)))
    }

    fn flush(&mut self) -> Result<(), ParseFailure> {
        let text = std::mem::take(&mut self.text);
        if let Some(level) = self.heading.take() {
            let title = clean(&text);
            if !title.is_empty() {
                self.first_heading.get_or_insert(title);
            }
            return self.builder.heading(level, &text);
        }
        if self.preformatted > 0 { self.builder.lines(&text, None) } else { self.builder.block(&text, None) }
    }
}

/// Elements whose content is not read: it is active, not prose, or hidden from a reader.
fn is_dropped(element: &Element) -> bool {
    let by_name = matches!(
        element.name(),
        "script"
            | "style"
            | "nav"
            | "template"
            | "noscript"
            | "iframe"
            | "object"
            | "embed"
            | "svg"
            | "math"
            | "canvas"
            | "audio"
            | "video"
            | "button"
            | "select"
            | "option"
            | "datalist"
            | "textarea"
            | "input"
            | "dialog"
            | "frameset"
            | "noframes"
    );
    by_name
        || element.attr("hidden").is_some()
        || element.attr("aria-hidden").is_some_and(|value| value.eq_ignore_ascii_case("true"))
        || element.attr("style").is_some_and(is_hiding_style)
}

/// Whether an inline style makes its element invisible in the ways that pages commonly use.
fn is_hiding_style(style: &str) -> bool {
    let style: String = style.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
    ["display:none", "visibility:hidden", "opacity:0;", "font-size:0;", "font-size:0px"]
        .iter()
        .any(|hidden| style.contains(hidden))
        || style.ends_with("opacity:0")
        || style.ends_with("font-size:0")
}

fn heading_level(name: &str) -> u8 {
    name.as_bytes().get(1).map_or(1, |digit| digit.saturating_sub(b'0'))
}

/// Elements that end the paragraph before them and after them.
fn is_block(name: &str) -> bool {
    matches!(
        name,
        "address"
            | "article"
            | "aside"
            | "blockquote"
            | "body"
            | "center"
            | "dd"
            | "details"
            | "dir"
            | "div"
            | "dl"
            | "dt"
            | "fieldset"
            | "figcaption"
            | "figure"
            | "footer"
            | "form"
            | "head"
            | "header"
            | "hgroup"
            | "hr"
            | "html"
            | "legend"
            | "li"
            | "main"
            | "p"
            | "search"
            | "section"
            | "summary"
    )
}
