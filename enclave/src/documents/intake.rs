//! The first look at an uploaded file, before anything is stored: its size, digest, name and format. Pure.

use cloister_protocol::parsed::DocumentFormat;
use sha2::{Digest, Sha256};

use super::Error;

/// The longest file name, title or author, in characters.
const MAX_TEXT_CHARS: usize = 200;

/// A file that is being received; memory is bounded and the digest is ready when the last byte is.
#[derive(Default)]
pub struct Incoming {
    bytes: Vec<u8>,
    digest: Sha256,
    limit_bytes: usize,
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming").field("size_bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

impl Incoming {
    /// Receives at most `limit_bytes`.
    #[must_use]
    pub fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, ..Self::default() }
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.bytes.len().saturating_add(bytes.len()) > self.limit_bytes {
            return Err(Error::TooLarge { limit_bytes: self.limit_bytes });
        }
        self.bytes.extend_from_slice(bytes);
        self.digest.update(bytes);
        Ok(())
    }

    /// The whole file.
    ///
    /// # Errors
    /// [`Error::NoBytes`].
    pub fn finish(self) -> Result<File, Error> {
        if self.bytes.is_empty() {
            return Err(Error::NoBytes);
        }
        Ok(File { sha256: hex::encode(self.digest.finalize()), bytes: self.bytes })
    }
}

/// A received file.
pub struct File {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Their SHA-256, hex.
    pub sha256: String,
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("File").field("size_bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

/// Decides what a file is read as. Content decides where it can: a PDF is one whatever its name says, and a name that
/// says PDF does not make one.
///
/// # Errors
/// [`Error::UnsupportedFormat`].
pub fn detect(file_name: &str, bytes: &[u8]) -> Result<DocumentFormat, Error> {
    let head = bytes.get(..1024).unwrap_or(bytes);
    if head.windows(5).any(|window| window == b"%PDF-") {
        return Ok(DocumentFormat::Pdf);
    }
    if head.contains(&0) {
        return Err(Error::UnsupportedFormat);
    }
    let extension = file_name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref() {
        Some("md" | "markdown" | "mdown" | "mkd") => Ok(DocumentFormat::Markdown),
        Some("html" | "htm" | "xhtml") => Ok(DocumentFormat::Html),
        Some("pdf" | "docx" | "doc" | "odt" | "rtf" | "epub" | "xlsx" | "xls" | "pptx" | "ppt" | "zip") => {
            Err(Error::UnsupportedFormat)
        }
        _ if starts_like_html(head) => Ok(DocumentFormat::Html),
        _ => Ok(DocumentFormat::Text),
    }
}

fn starts_like_html(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).trim_ascii_start();
    [b"<!doctype html".as_slice(), b"<html"]
        .iter()
        .any(|start| head.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start)))
}

/// The name of an uploaded file without the folders that some browsers send along.
///
/// # Errors
/// [`Error::Text`].
pub fn file_name(name: &str) -> Result<String, Error> {
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
    text("file", name)
}

/// A title or author as given by the uploader.
///
/// # Errors
/// [`Error::Text`].
pub fn text(field: &'static str, value: &str) -> Result<String, Error> {
    let value = value.trim();
    let fits = !value.is_empty() && value.chars().count() <= MAX_TEXT_CHARS && !value.chars().any(char::is_control);
    if fits { Ok(value.to_owned()) } else { Err(Error::Text { field }) }
}
