//! The service's keys: made at the first start, sealed in the store, the same at every later start.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::secret::{Secret, SecretBytes};
use crate::access::TenantScope;
use crate::audit::{Class, Event};
use crate::identity::opaque;
use crate::store::{Batch, Collection, Error, Listing, Store, TenantStore};

const KEYSET: Collection<KeyRecord> = Collection::new("keyset", 40, 1);

/// The collections of this module.
pub(crate) const COLLECTIONS: Listing = &[KEYSET.meta()];

const TLS: &str = "tls";
const HPKE: &str = "hpke";
const RECEIPT: &str = "receipt";
const OPAQUE: &str = "opaque";

/// Binds the OPAQUE setup to its place under the hierarchy's branch for it.
const OPAQUE_AAD: &[u8] = b"opaque-setup";

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct KeyRecord {
    created_ms: u64,
    secret: String,
}

/// The service's secret keys.
pub struct Keyset {
    tls: SecretBytes,
    hpke: Secret<32>,
    receipt: SigningKey,
    opaque: SecretBytes,
}

impl fmt::Debug for Keyset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyset(…)")
    }
}

impl Keyset {
    /// Reads the keys from the store; makes those that it does not hold yet.
    ///
    /// # Errors
    /// [`Error::Integrity`] when a stored key is damaged; those of a commit.
    pub async fn open_or_create(store: &Store) -> Result<Self, Error> {
        let system = store.scope(&TenantScope::system());
        let now_ms = store.shared().clock.now_ms();
        let mut made = Making { batch: system.batch(), now_ms, names: Vec::new() };
        let tls = made.take_or_make(&system, TLS, || SecretBytes::new(new_p256()))?;
        let hpke =
            made.take_or_make(&system, HPKE, || SecretBytes::new(Secret::<32>::random().expose_secret().to_vec()))?;
        let receipt =
            made.take_or_make(&system, RECEIPT, || SecretBytes::new(Secret::<32>::random().expose_secret().to_vec()))?;
        let wrapping = &store.shared().roots.opaque;
        let wrapped = made.take_or_make(&system, OPAQUE, || {
            SecretBytes::new(wrapping.wrap(OPAQUE_AAD, opaque::generate().expose_secret()))
        })?;
        let opaque = wrapping.unwrap(OPAQUE_AAD, wrapped.expose_secret()).map_err(|_| broken())?;
        let keyset = Self {
            tls,
            hpke: Secret::from_slice(hpke.expose_secret()).ok_or_else(broken)?,
            receipt: SigningKey::from_bytes(
                Secret::<32>::from_slice(receipt.expose_secret()).ok_or_else(broken)?.expose_secret(),
            ),
            opaque: SecretBytes::new(opaque),
        };
        made.commit().await?;
        Ok(keyset)
    }

    /// The P-256 key of TLS, as PKCS #8 DER.
    #[must_use]
    pub fn tls_pkcs8(&self) -> &[u8] {
        self.tls.expose_secret()
    }

    /// The X25519 private key of HPKE.
    #[must_use]
    pub const fn hpke(&self) -> &Secret<32> {
        &self.hpke
    }

    /// The Ed25519 key that signs receipts.
    #[must_use]
    pub const fn receipt(&self) -> &SigningKey {
        &self.receipt
    }

    /// The serialized OPAQUE server setup.
    #[must_use]
    pub fn opaque_setup(&self) -> &[u8] {
        self.opaque.expose_secret()
    }
}

const fn broken() -> Error {
    Error::Integrity { what: KEYSET.name() }
}

fn new_p256() -> Vec<u8> {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256);
    pair.expect("ring makes P-256 keys from the kernel's random source").serialize_der()
}

/// The keys that this start makes.
struct Making {
    batch: Batch,
    now_ms: u64,
    names: Vec<&'static str>,
}

impl Making {
    fn take_or_make(
        &mut self,
        system: &TenantStore,
        name: &'static str,
        make: impl FnOnce() -> SecretBytes,
    ) -> Result<SecretBytes, Error> {
        if let Some(record) = system.get(&KEYSET, name)? {
            return BASE64.decode(&record.secret).map(SecretBytes::new).map_err(|_| broken());
        }
        let secret = make();
        let encoded = Zeroizing::new(BASE64.encode(secret.expose_secret()));
        let record = KeyRecord { created_ms: self.now_ms, secret: String::from(encoded.as_str()) };
        self.batch.expect_absent(&KEYSET, name).put(&KEYSET, name, &record);
        self.names.push(name);
        Ok(secret)
    }

    async fn commit(mut self) -> Result<(), Error> {
        if self.names.is_empty() {
            return Ok(());
        }
        self.batch.audit(Event::new(Class::EntityCreated, "keys.create").detail("keys", self.names));
        self.batch.commit().await.map(|_| ())
    }
}
