//! Login names: what people type, made comparable.
//!
//! Two names that look alike to a person must be one account, so names are compared in NFKC-casefolded form
//! (Unicode 16, chapter 3.13). The form has an alphabet: letters, digits, marks and a little punctuation. A login name is
//! personal: it is never logged and its `Debug` shows nothing.

use std::fmt;
use std::str::FromStr;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The most bytes of a name, in the form as typed and in the compared form.
pub const MAX_LOGIN_BYTES: usize = 128;

/// The text is not a login name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a login name: letters, digits and ._-@+' only, beginning with a letter or digit")]
pub struct InvalidLogin;

/// A login name.
#[derive(Clone, PartialEq, Eq)]
pub struct LoginName {
    typed: String,
    folded: String,
}

impl LoginName {
    /// As the person typed it, in NFC, for display to that person.
    #[must_use]
    pub fn expose_typed(&self) -> &str {
        &self.typed
    }

    /// The form in which names are compared.
    #[must_use]
    pub fn expose_folded(&self) -> &str {
        &self.folded
    }
}

impl FromStr for LoginName {
    type Err = InvalidLogin;

    fn from_str(text: &str) -> Result<Self, InvalidLogin> {
        if text.len() > MAX_LOGIN_BYTES {
            return Err(InvalidLogin);
        }
        let typed: String = text.nfc().collect();
        let once = unicase::UniCase::unicode(text.nfkc().collect::<String>()).to_folded_case();
        let folded: String = once.nfkc().collect();
        let starts_well = folded.chars().next().is_some_and(char::is_alphanumeric);
        let fits = typed.len() <= MAX_LOGIN_BYTES && folded.len() <= MAX_LOGIN_BYTES;
        if !starts_well
            || !fits
            || !folded.chars().all(belongs)
            || !typed.chars().all(|c| belongs(c) || c.is_uppercase())
        {
            return Err(InvalidLogin);
        }
        Ok(Self { typed, folded })
    }
}

fn belongs(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c) || "._-@+'".contains(c)
}

impl fmt::Debug for LoginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoginName(…)")
    }
}
