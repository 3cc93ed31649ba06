//! The request signature: RFC 9421 with hmac-sha256 under a key derived from the OPAQUE session key, over the method,
//! the path, the digest of the body as sent, and EHBP's encapsulated key.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

const KEY_INFO: &[u8] = b"cloister/request-signature/v1";
const TAG: &str = "cloister-request/v1";

/// The key of a session's request signatures.
#[derive(Clone)]
pub struct RequestKey([u8; 32]);

impl std::fmt::Debug for RequestKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RequestKey(…)")
    }
}

impl RequestKey {
    /// Derives the key from OPAQUE's session key.
    #[must_use]
    pub fn derive(session_key: &[u8]) -> Self {
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(None, session_key).expand(KEY_INFO, &mut key).expect("32 bytes are a valid length");
        Self(key)
    }

    /// Takes a key as it is, for vectors.
    #[must_use]
    pub const fn from_bytes(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The `Signature` header for a signature base.
    #[must_use]
    pub fn sign(&self, base: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes any key length");
        mac.update(base.as_bytes());
        format!("cloister=:{}:", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// What a signature covers.
#[derive(Debug, Clone)]
pub struct SignatureInput<'a> {
    /// HTTP method.
    pub method: &'a str,
    /// Path without the query.
    pub path: &'a str,
    /// Query without the question mark; empty if there is none.
    pub query: &'a str,
    /// The body as it goes over the wire: ciphertext.
    pub body: &'a [u8],
    /// `Ehbp-Encapsulated-Key`.
    pub encapsulated_key: &'a str,
    /// Unix seconds.
    pub created: u64,
    /// Random text, used once.
    pub nonce: &'a str,
    /// The session.
    pub session: &'a str,
}

/// The signature base, and the headers `Content-Digest` and `Signature-Input` that go with it.
#[must_use]
pub fn signature_base(input: &SignatureInput<'_>) -> (String, String, String) {
    let digest = format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(input.body)));
    let params = format!(
        "(\"@method\" \"@path\" \"@query\" \"content-digest\" \"ehbp-encapsulated-key\");created={};nonce=\"{}\";\
         keyid=\"{}\";alg=\"hmac-sha256\";tag=\"{TAG}\"",
        input.created, input.nonce, input.session
    );
    let base = format!(
        "\"@method\": {}\n\"@path\": {}\n\"@query\": ?{}\n\"content-digest\": {digest}\n\"ehbp-encapsulated-key\": {}\n\
         \"@signature-params\": {params}",
        input.method, input.path, input.query, input.encapsulated_key
    );
    (base, digest, format!("cloister={params}"))
}

/// A nonce: 18 random bytes in base64url.
pub(super) fn fresh_nonce() -> String {
    let mut bytes = [0; 18];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    URL_SAFE_NO_PAD.encode(bytes)
}
