//! Signed requests: RFC 9421 with hmac-sha256, under a key that only the enclave and the logged-in client know.
//!
//! A session is not a bearer secret. Whoever terminates TLS sees the session's name in every request and can do nothing
//! with it: each request is signed over its method, path, query, body as sent (RFC 9530 `Content-Digest` of the
//! ciphertext) and EHBP key, carries a time and a nonce, and is accepted once. Only one form is accepted:
//!
//! ```text
//! Content-Digest: sha-256=:<base64>:
//! Signature-Input: cloister=("@method" "@path" "@query" "content-digest" "ehbp-encapsulated-key")
//!     ;created=<unix s>;nonce="<22 to 64 base64url>";keyid="<session>";alg="hmac-sha256";tag="cloister-request/v1"
//! Signature: cloister=:<base64>:
//! ```
//!
//! (one line each, without the line break; parameters in any order). What is not promised: after a restart the nonces
//! of the time before are forgotten, so nothing that was created before the restart is accepted; a client whose clock
//! runs ahead of the enclave's could see a request of its own repeated in that small span, and nobody else's.

pub mod layer;
mod parse;
mod replay;

use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use http::request::Parts;
use sha2::Sha256;

pub use parse::Claim;
pub use replay::NonceCache;

use crate::keys::secret::Secret;

/// How far the time of a request may be from the enclave's, seconds.
pub const WINDOW_S: u64 = 300;

/// Why a signed request is refused. The caller is told only that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A header of the signature is missing, doubled or not of the one accepted form.
    #[error("the signature headers are malformed")]
    Malformed,
    /// Only encrypted requests are accepted in a session.
    #[error("the signed request is not encrypted")]
    Plaintext,
    /// Not a POST.
    #[error("the signed request is not a POST")]
    Method,
    /// The signature is wrong.
    #[error("the signature does not verify")]
    Signature,
    /// Made too long ago, in the future, or before the enclave started.
    #[error("the signed request is not of this time")]
    Time,
    /// The body is not the one that was signed.
    #[error("the body is not the signed one")]
    Digest,
    /// The nonce was used before.
    #[error("the signed request was seen before")]
    Replayed,
    /// There are more requests than can be remembered.
    #[error("too many signed requests at once")]
    Full,
}

/// The key that signs the requests of one session.
#[derive(Debug)]
pub struct RequestKey(Secret<32>);

impl RequestKey {
    /// Derives it from the OPAQUE session key.
    #[must_use]
    pub fn derive(session_key: &Secret<64>) -> Self {
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(None, session_key.expose_secret())
            .expand(b"cloister/request-signature/v1", &mut key)
            .expect("HKDF-SHA256 gives up to 8,160 bytes");
        Self(Secret::new(key))
    }

    /// Takes a key that was sealed with its session.
    #[must_use]
    pub const fn from_secret(key: Secret<32>) -> Self {
        Self(key)
    }

    /// The bytes, to be sealed with the session.
    #[must_use]
    pub const fn expose_secret(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }

    fn mac(&self) -> Hmac<Sha256> {
        <Hmac<Sha256> as Mac>::new_from_slice(self.0.expose_secret()).expect("HMAC takes any key")
    }
}

/// Checks the signature of a request and its time, not its body and not its nonce. Pure; constant time in the signature.
///
/// `started_ms` is when the memory of nonces began.
///
/// # Errors
/// [`Refused`].
pub fn verify(parts: &Parts, claim: &Claim, key: &RequestKey, started_ms: u64, now_ms: u64) -> Result<(), Refused> {
    if parts.method != http::Method::POST {
        return Err(Refused::Method);
    }
    let mut mac = key.mac();
    mac.update(base(parts, claim).as_bytes());
    mac.verify_slice(claim.signature()).map_err(|_| Refused::Signature)?;
    let created_s = claim.created_s();
    let near = created_s.abs_diff(now_ms / 1000) <= WINDOW_S;
    if !near || created_s < started_ms / 1000 {
        return Err(Refused::Time);
    }
    Ok(())
}

/// The signature base of RFC 9421, section 2.5.
fn base(parts: &Parts, claim: &Claim) -> String {
    let path = match parts.uri.path() {
        "" => "/",
        path => path,
    };
    format!(
        "\"@method\": {}\n\"@path\": {path}\n\"@query\": ?{}\n\"content-digest\": {}\n\"ehbp-encapsulated-key\": {}\n\
         \"@signature-params\": {}",
        parts.method,
        parts.uri.query().unwrap_or_default(),
        claim.content_digest_field(),
        claim.encapsulated_key_field(),
        claim.parameters(),
    )
}
