//! Signing a result, so that whoever passes it on can show who judged: a compact JWS (RFC 7515) under a key of the user's.

use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloister_attestation::encoding::sha256;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::input;

const MAX_KEY_BYTES: usize = 16 << 10;
/// What a token holds: RFC 9782, section 3.
const TYPE: &str = "eat+jwt";

/// A private key, which is never shown.
pub(crate) struct Signer {
    key: Key,
    /// The thumbprint of the public key (RFC 7638), by which who verifies finds it.
    key_id: String,
}

enum Key {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

impl Signer {
    /// Reads an unencrypted PKCS#8 key (PEM), Ed25519 or P-256.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let pem = Zeroizing::new(input::read(path, MAX_KEY_BYTES)?);
        Self::parse(&pem).ok_or_else(|| {
            let path = path.display();
            Failure::Usage(format!(
                "{path}: no unencrypted Ed25519 or P-256 key in PKCS#8 (PEM); make one by: openssl genpkey -algorithm \
                 ed25519 -out {path}"
            ))
        })
    }

    fn parse(pem: &[u8]) -> Option<Self> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).ok()?;
        let der = der.secret_pkcs8_der();
        let p256 = || EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &SystemRandom::new());
        // openssl writes keys of Ed25519 without their public half, which then follows from the private one.
        let key = match Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            Ok(key) => Key::Ed25519(key),
            Err(_) => Key::P256(p256().ok()?),
        };
        let key_id = URL_SAFE_NO_PAD.encode(sha256(key.jwk()?.as_bytes()).0);
        Some(Self { key, key_id })
    }

    /// The claims as a signed token.
    pub(crate) fn sign(&self, claims: &Value) -> Result<String, Failure> {
        let header = json!({ "alg": self.key.algorithm(), "typ": TYPE, "kid": self.key_id });
        let [header, claims] = [&header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let input = format!("{header}.{claims}");
        let signature = match &self.key {
            Key::Ed25519(key) => key.sign(input.as_bytes()).as_ref().to_vec(),
            Key::P256(key) => {
                let signed = key.sign(&SystemRandom::new(), input.as_bytes());
                signed.map_err(|_| Failure::Machine("this machine gives no random bytes"))?.as_ref().to_vec()
            }
        };
        Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

impl Key {
    /// RFC 7518, section 3.1; RFC 8037, section 3.1.
    const fn algorithm(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "EdDSA",
            Self::P256(_) => "ES256",
        }
    }

    /// The members that a thumbprint is over, in the order and spelling of RFC 7638, section 3.
    fn jwk(&self) -> Option<String> {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Ed25519(key) => {
                Some(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, text(key.public_key().as_ref())))
            }
            Self::P256(key) => {
                let (x, y) = key.public_key().as_ref().strip_prefix(&[4])?.split_at_checked(32)?;
                Some(format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, text(x), text(y)))
            }
        }
    }
}
