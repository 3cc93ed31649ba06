//! Texts that people give to things.

use std::str::FromStr;

use unicode_normalization::UnicodeNormalization;

use super::Error;

/// The most bytes of a name.
const MAX_NAME_BYTES: usize = 200;
/// The most bytes of a purpose.
const MAX_PURPOSE_BYTES: usize = 4000;

/// What something is called: one line, not empty, in NFC.
#[derive(Clone, PartialEq, Eq)]
pub struct Name(String);

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let name = clean(text, MAX_NAME_BYTES, "name")?;
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(Error::Text { field: "name" });
        }
        Ok(Self(name))
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Name(…)")
    }
}

/// What an assistant is for: lines of text, possibly none, in NFC.
#[derive(Clone, PartialEq, Eq)]
pub struct Purpose(String);

impl FromStr for Purpose {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let purpose = clean(text, MAX_PURPOSE_BYTES, "purpose")?;
        if purpose.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
            return Err(Error::Text { field: "purpose" });
        }
        Ok(Self(purpose))
    }
}

impl From<Purpose> for String {
    fn from(purpose: Purpose) -> Self {
        purpose.0
    }
}

impl std::fmt::Debug for Purpose {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Purpose(…)")
    }
}

fn clean(text: &str, max_bytes: usize, field: &'static str) -> Result<String, Error> {
    // NFC can make a text longer, threefold at most; what is far too long is not worth normalizing.
    if text.len() > max_bytes {
        return Err(Error::Text { field });
    }
    let text: String = text.trim().replace("\r\n", "\n").nfc().collect();
    if text.len() > max_bytes { Err(Error::Text { field }) } else { Ok(text) }
}
