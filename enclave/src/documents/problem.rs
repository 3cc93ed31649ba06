//! Why a document could not be read, as a sentence that the person who uploaded it can act on.

use cloister_protocol::parsed::ParseFailure;
use serde::{Deserialize, Serialize};

/// Why a document has no passages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentProblem {
    /// Damaged, or not what its name says.
    Malformed,
    /// Needs a password.
    Encrypted,
    /// Pictures of pages.
    NoTextLayer,
    /// No words.
    Empty,
    /// Too much text.
    TooLarge,
    /// Another character encoding.
    NotUtf8,
    /// The reader did not finish in its time.
    TooSlow,
    /// The reader needed more memory than it may use.
    TooMuchMemory,
    /// The reader ended in another way, or answered with something that it must not.
    ReaderFailed,
    /// The reader cannot be started on this appliance: it has no sandbox or no program.
    ReaderUnavailable,
    /// The embedding model did not answer.
    NotEmbedded,
}

impl From<ParseFailure> for DocumentProblem {
    fn from(failure: ParseFailure) -> Self {
        match failure {
            ParseFailure::Malformed => Self::Malformed,
            ParseFailure::Encrypted => Self::Encrypted,
            ParseFailure::NoTextLayer => Self::NoTextLayer,
            ParseFailure::Empty => Self::Empty,
            ParseFailure::TooLarge => Self::TooLarge,
            ParseFailure::NotUtf8 => Self::NotUtf8,
        }
    }
}

impl DocumentProblem {
    /// What went wrong and what to do.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Malformed => {
                "The file is damaged or is not what its name says; open it in the program that made it, save it again \
                 and upload the new file."
            }
            Self::Encrypted => "The PDF asks for a password; save a copy without a password and upload that.",
            Self::NoTextLayer => {
                "The PDF has no text layer: its pages are pictures, as a scanner makes them; run OCR first and upload \
                 the result."
            }
            Self::Empty => "The file has no text in it; check that it is the right file.",
            Self::TooLarge => "The file unpacks to more text than the limit; split it and upload the parts.",
            Self::NotUtf8 => "The text is not in UTF-8; save it with the encoding UTF-8 and upload it again.",
            Self::TooSlow => {
                "Reading the file took longer than allowed; save it again in a simpler form, or split it and upload \
                 the parts."
            }
            Self::TooMuchMemory => "Reading the file needs more memory than allowed; split it and upload the parts.",
            Self::ReaderFailed => {
                "The reader stopped before it had read the file; upload it again, and if that happens twice, save it \
                 in another format."
            }
            Self::ReaderUnavailable => {
                "This appliance cannot read documents at the moment; ask its operator to run \
                 `cloister-docworker --self-test-sandbox`, then upload the file again."
            }
            Self::NotEmbedded => {
                "The embedding model did not take the text; upload the file again when the appliance is less busy."
            }
        }
    }

    /// The name in the audit log.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Encrypted => "encrypted",
            Self::NoTextLayer => "no_text_layer",
            Self::Empty => "empty",
            Self::TooLarge => "too_large",
            Self::NotUtf8 => "not_utf8",
            Self::TooSlow => "too_slow",
            Self::TooMuchMemory => "too_much_memory",
            Self::ReaderFailed => "reader_failed",
            Self::ReaderUnavailable => "reader_unavailable",
            Self::NotEmbedded => "not_embedded",
        }
    }
}
