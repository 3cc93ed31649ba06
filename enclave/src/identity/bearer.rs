//! `Authorization: Bearer …` (RFC 6750): an API key, or the token of a legacy login.

use super::api_keys::PREFIX;
use super::records::SessionKind;
use super::token::{Digest, Token};
use super::{Authenticated, Credential, Error, Identity};

/// A valid bearer secret in use.
#[derive(Debug)]
pub struct BearerUse {
    digest: Digest,
    /// Who uses it.
    pub who: Authenticated,
}

/// What a header holds.
enum Bearer {
    ApiKey(Token<32>),
    Session(Token<32>),
}

impl Identity {
    /// Reads an `Authorization` header. Whatever is wrong with it is refused alike (S0-04).
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], [`Error::Store`].
    pub fn authenticate_bearer(&self, authorization: &[u8]) -> Result<BearerUse, Error> {
        let (digest, who) = match parse(authorization).ok_or(Error::Unauthenticated)? {
            Bearer::ApiKey(secret) => (secret.digest(), self.api_key(&secret)?),
            // Switching the legacy login off ends what it began.
            Bearer::Session(_) if !self.allows_legacy_login() => return Err(Error::Unauthenticated),
            Bearer::Session(name) => (name.digest(), self.session(&name, SessionKind::Bearer, self.now_ms())?.who),
        };
        if !self.is_approved(who.person)? {
            return Err(Error::Unauthenticated);
        }
        Ok(BearerUse { digest, who })
    }

    /// Notes that a secret was used, once a minute.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] if it was revoked meanwhile; [`Error::Store`].
    pub async fn touch_bearer(&self, used: &BearerUse) -> Result<(), Error> {
        match used.who.credential {
            Credential::ApiKey(..) => self.touch_api_key(used.digest, self.now_ms()).await,
            Credential::Session(digest) => self.touch_session(digest, self.now_ms()).await,
        }
    }
}

/// `Bearer` and 43 characters of base64url, for an API key after its prefix; the scheme's case does not matter (RFC 9110,
/// section 11.1).
fn parse(authorization: &[u8]) -> Option<Bearer> {
    let (scheme, secret) = std::str::from_utf8(authorization).ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    match secret.strip_prefix(PREFIX) {
        Some(key) => Token::parse(key).map(Bearer::ApiKey),
        None => Token::parse(secret).map(Bearer::Session),
    }
}
