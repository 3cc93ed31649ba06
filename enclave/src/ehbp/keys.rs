//! The enclave's HPKE keys, and how they are published.

use std::fmt;

use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, Serializable};

/// The private half of an HPKE key: DHKEM(X25519, HKDF-SHA256).
pub struct PrivateKey {
    secret: <X25519HkdfSha256 as Kem>::PrivateKey,
    public: [u8; 32],
}

/// The bytes are not an X25519 private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an X25519 private key")]
pub struct InvalidKey;

impl PrivateKey {
    /// Takes over the 32 bytes of a private key.
    ///
    /// # Errors
    /// [`InvalidKey`] if the library refuses the bytes.
    pub fn from_bytes(secret: &[u8; 32]) -> Result<Self, InvalidKey> {
        let secret = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(secret).map_err(|_| InvalidKey)?;
        let public = X25519HkdfSha256::sk_to_pk(&secret).to_bytes().into();
        Ok(Self { secret, public })
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    pub(super) const fn secret(&self) -> &<X25519HkdfSha256 as Kem>::PrivateKey {
        &self.secret
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").field("public", &hex::encode(self.public)).finish_non_exhaustive()
    }
}

/// The key that is published and, after a rotation, the one before it, which opens requests a while longer.
#[derive(Debug)]
pub struct KeyRing {
    current: PrivateKey,
    previous: Option<PrivateKey>,
}

impl KeyRing {
    /// A ring that publishes `current` and still opens requests to `previous`.
    #[must_use]
    pub const fn new(current: PrivateKey, previous: Option<PrivateKey>) -> Self {
        Self { current, previous }
    }

    /// The public half of the key that is published.
    #[must_use]
    pub const fn public(&self) -> &[u8; 32] {
        self.current.public()
    }

    /// The 41 bytes of `/.well-known/hpke-keys`: one RFC 9458 key configuration without a list length, because
    /// clients read the first configuration and its first suite and no more.
    #[must_use]
    pub fn key_config(&self) -> [u8; 41] {
        const KEY_ID: [u8; 1] = [0];
        const KEM_X25519_HKDF_SHA256: [u8; 2] = [0x00, 0x20];
        const SUITES: [u8; 6] = [
            0x00, 0x04, // length of the list
            0x00, 0x01, // HKDF-SHA256
            0x00, 0x02, // AES-256-GCM
        ];
        let mut config = [0; 41];
        let parts: [&[u8]; 4] = [&KEY_ID, &KEM_X25519_HKDF_SHA256, self.current.public(), &SUITES];
        for (slot, byte) in config.iter_mut().zip(parts.into_iter().flatten()) {
            *slot = *byte;
        }
        config
    }

    /// The keys to try, the published one first.
    pub(super) fn keys(&self) -> impl Iterator<Item = &PrivateKey> {
        std::iter::once(&self.current).chain(self.previous.as_ref())
    }
}
