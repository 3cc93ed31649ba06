//! The headers of a signed request, in the one form that is accepted.
//!
//! This is the exact subset of RFC 8941 that a signer of ours writes, not a general parser: single spaces, no optional
//! whitespace, no second label, no unknown parameter. What is verified is the text as received, so a text that another
//! parser could read in another way is refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;

use super::Refused;
use crate::identity::token::Token;

const COMPONENTS: &str = r#"("@method" "@path" "@query" "content-digest" "ehbp-encapsulated-key")"#;
const ENCAPSULATED_KEY: &str = "ehbp-encapsulated-key";
const MAX_FIELD_BYTES: usize = 1024;

/// What a request says about its signature. Nothing of it is believed yet.
#[derive(Debug)]
pub struct Claim {
    parameters: String,
    created_s: u64,
    nonce: String,
    session: Token<32>,
    signature: [u8; 32],
    content_digest_field: String,
    content_digest: [u8; 32],
    encapsulated_key_field: String,
}

impl Claim {
    /// Reads the headers; nothing if the request is not signed at all.
    ///
    /// # Errors
    /// [`Refused::Malformed`], or [`Refused::Plaintext`] when the body is not EHBP.
    pub fn parse(headers: &HeaderMap) -> Result<Option<Self>, Refused> {
        if !headers.contains_key("signature") && !headers.contains_key("signature-input") {
            return Ok(None);
        }
        let encapsulated_key_field = match single(headers, ENCAPSULATED_KEY) {
            Some(field) => field.to_owned(),
            None if headers.contains_key(ENCAPSULATED_KEY) => return Err(Refused::Malformed),
            None => return Err(Refused::Plaintext),
        };
        Self::from_fields(headers, encapsulated_key_field).map(Some).ok_or(Refused::Malformed)
    }

    fn from_fields(headers: &HeaderMap, encapsulated_key_field: String) -> Option<Self> {
        let parameters = single(headers, "signature-input")?.strip_prefix("cloister=")?.to_owned();
        let signature = single(headers, "signature")?.strip_prefix("cloister=")?;
        let content_digest_field = single(headers, "content-digest")?.to_owned();
        let content_digest = bytes32(content_digest_field.strip_prefix("sha-256=")?)?;
        let Parameters { created_s, nonce, session } = Parameters::parse(parameters.strip_prefix(COMPONENTS)?)?;
        let signature = bytes32(signature)?;
        Some(Self {
            parameters,
            created_s,
            nonce,
            session,
            signature,
            content_digest_field,
            content_digest,
            encapsulated_key_field,
        })
    }

    /// The session that the request says it belongs to.
    #[must_use]
    pub const fn session(&self) -> &Token<32> {
        &self.session
    }

    /// The nonce.
    #[must_use]
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// When the request says it was made, Unix seconds.
    #[must_use]
    pub const fn created_s(&self) -> u64 {
        self.created_s
    }

    /// SHA-256 that the body as sent must have.
    #[must_use]
    pub const fn content_digest(&self) -> &[u8; 32] {
        &self.content_digest
    }

    pub(super) const fn signature(&self) -> &[u8; 32] {
        &self.signature
    }

    pub(super) fn parameters(&self) -> &str {
        &self.parameters
    }

    pub(super) fn content_digest_field(&self) -> &str {
        &self.content_digest_field
    }

    pub(super) fn encapsulated_key_field(&self) -> &str {
        &self.encapsulated_key_field
    }
}

#[derive(Default)]
struct Found<'a> {
    created: Option<&'a str>,
    nonce: Option<&'a str>,
    keyid: Option<&'a str>,
    alg: Option<&'a str>,
    tag: Option<&'a str>,
}

struct Parameters {
    created_s: u64,
    nonce: String,
    session: Token<32>,
}

impl Parameters {
    /// Reads `;name=value…`: each of the five names exactly once.
    fn parse(text: &str) -> Option<Self> {
        let mut found = Found::default();
        for parameter in text.strip_prefix(';')?.split(';') {
            let (name, value) = parameter.split_once('=')?;
            let slot = match name {
                "created" => &mut found.created,
                "nonce" => &mut found.nonce,
                "keyid" => &mut found.keyid,
                "alg" => &mut found.alg,
                "tag" => &mut found.tag,
                _ => return None,
            };
            if slot.replace(value).is_some() {
                return None;
            }
        }
        if quoted(found.alg?)? != "hmac-sha256" || quoted(found.tag?)? != "cloister-request/v1" {
            return None;
        }
        let nonce = quoted(found.nonce?)?;
        if !(22..=64).contains(&nonce.len()) || !nonce.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        {
            return None;
        }
        let session = Token::parse(quoted(found.keyid?)?)?;
        Some(Self { created_s: integer(found.created?)?, nonce: nonce.to_owned(), session })
    }
}

/// An RFC 8941 string without escapes, which none of our values needs.
fn quoted(value: &str) -> Option<&str> {
    let inner = value.strip_prefix('"')?.strip_suffix('"')?;
    inner.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'"' && b != b'\\').then_some(inner)
}

/// An RFC 8941 integer that is not negative, in its one canonical spelling.
fn integer(value: &str) -> Option<u64> {
    let canonical = value == "0" || !value.starts_with('0');
    (canonical && value.len() <= 15 && value.bytes().all(|b| b.is_ascii_digit())).then(|| value.parse().ok())?
}

/// An RFC 8941 byte sequence of 32 bytes.
fn bytes32(value: &str) -> Option<[u8; 32]> {
    let inner = value.strip_prefix(':')?.strip_suffix(':')?;
    STANDARD.decode(inner).ok()?.try_into().ok()
}

/// The value of a header that is there exactly once.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    (values.next().is_none() && value.len() <= MAX_FIELD_BYTES).then_some(value)
}
