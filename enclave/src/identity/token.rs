//! Random secrets that are shown once and stored as digests: session names, API keys, enrolment codes.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::keys::secret::{Secret, random};

/// `N` random bytes, written as base64url without padding. `Debug` shows nothing.
pub struct Token<const N: usize>(Secret<N>);

impl<const N: usize> Token<N> {
    /// Fresh random bytes.
    #[must_use]
    pub fn generate() -> Self {
        Self(Secret::new(random()))
    }

    /// Reads the one spelling that [`Self::expose`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != (N * 4).div_ceil(3) {
            return None;
        }
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
        Secret::from_slice(&bytes).map(Self)
    }

    /// The text for the one who shall have it.
    #[must_use]
    pub fn expose(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.expose_secret())
    }

    /// What is stored instead. Tokens have full entropy, so a plain digest gives nothing away.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest(Sha256::digest(self.0.expose_secret()).into())
    }
}

impl<const N: usize> fmt::Debug for Token<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// SHA-256 of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key that a record has in its collection: lower-case hex.
    #[must_use]
    pub fn key(&self) -> String {
        hex::encode(self.0)
    }
}
