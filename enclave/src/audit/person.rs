//! The keys of persons' details in a log.
//!
//! Each person has, in each organisation's log, a random key of their own. It seals the `p` part of leaves and makes the
//! pseudonym by which leaves name the person. Destroying the record of the key erases the person from the log: the leaves
//! stay as they are and verify as before, and nobody can tell any more whom they are about.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::Person;
use crate::keys::secret::{Secret, random};
use crate::store::xaes::Xaes;
use crate::store::{Address, Collection, Draft, Error, Shared, Target, Tenant};

pub(super) const PERSON_KEYS: Collection<PersonRecord> = Collection::new("person-keys", 32, 1);

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct PersonRecord {
    id: String,
    key: String,
}

/// The key of one person in one log.
pub(crate) struct PersonKey {
    /// Names the key in leaves.
    pub(crate) id: String,
    /// Names the person in leaves.
    pub(crate) pseudonym: String,
    key: Secret<32>,
    cipher: Xaes,
}

impl PersonKey {
    fn new(id: String, key: Secret<32>) -> Self {
        let hkdf = Hkdf::<Sha256>::new(None, key.expose_secret());
        let (mut pseudonym, mut sealing) = ([0; 16], [0; 32]);
        hkdf.expand(b"pseudonym", &mut pseudonym).expect("HKDF-SHA256 gives up to 8,160 bytes");
        hkdf.expand(b"fields", &mut sealing).expect("HKDF-SHA256 gives up to 8,160 bytes");
        let cipher = Xaes::new(Secret::new(sealing));
        Self { id, pseudonym: format!("s_{}", hex::encode(pseudonym)), key, cipher }
    }

    /// A new key.
    pub(crate) fn random() -> Self {
        Self::new(format!("dek_{}", hex::encode(random::<8>())), Secret::random())
    }

    /// The key on the disk, if there is one.
    pub(crate) fn load(shared: &Shared, tenant: &Arc<Tenant>, person: Person) -> Result<Option<Self>, Error> {
        let broken = || Error::Integrity { what: PERSON_KEYS.name() };
        let Some(opened) = shared.read(&target(shared, tenant, person)?)? else { return Ok(None) };
        let mut record: PersonRecord = opened.decode(PERSON_KEYS.meta())?;
        let bytes = zeroize::Zeroizing::new(BASE64.decode(&record.key).map_err(|_| broken())?);
        let key = Secret::from_slice(&bytes).ok_or_else(broken)?;
        Ok(Some(Self::new(std::mem::take(&mut record.id), key)))
    }

    /// The record that keeps the key.
    pub(crate) fn record(
        &self,
        shared: &Shared,
        tenant: &Arc<Tenant>,
        person: Person,
    ) -> Result<(Target, Draft), Error> {
        let record = PersonRecord { id: self.id.clone(), key: BASE64.encode(self.key.expose_secret()) };
        let target = target(shared, tenant, person)?;
        let draft = Draft::of(target.meta, &target.key, &record)?;
        Ok((target, draft))
    }

    /// The `p` of a leaf: XAES-256-GCM, bound to the log and the place in it.
    pub(crate) fn seal(&self, origin: &str, seq: u64, fields: &Map<String, Value>) -> Result<Value, super::Error> {
        let plaintext = serde_json_canonicalizer::to_vec(fields).map_err(|_| super::Error::Encode)?;
        let plaintext = zeroize::Zeroizing::new(plaintext);
        let wrapped = self.cipher.wrap(&associated_data(origin, seq), &plaintext);
        let (nonce, ciphertext) = wrapped.split_at(crate::store::xaes::NONCE_LEN);
        Ok(json!({ "k": self.id, "n": BASE64.encode(nonce), "c": BASE64.encode(ciphertext) }))
    }

    /// Opens the `p` of a leaf.
    pub(crate) fn open(&self, origin: &str, seq: u64, p: &Value) -> Option<Map<String, Value>> {
        let part = |name: &str| p.get(name).and_then(Value::as_str).and_then(|part| BASE64.decode(part).ok());
        let wrapped = [part("n")?, part("c")?].concat();
        let plaintext = zeroize::Zeroizing::new(self.cipher.unwrap(&associated_data(origin, seq), &wrapped).ok()?);
        serde_json::from_slice(&plaintext).ok()
    }
}

fn associated_data(origin: &str, seq: u64) -> Vec<u8> {
    [origin.as_bytes(), &seq.to_be_bytes()].concat()
}

/// Where a person's key is.
pub(crate) fn target(shared: &Shared, tenant: &Arc<Tenant>, person: Person) -> Result<Target, Error> {
    shared.target(tenant, PERSON_KEYS.meta(), Address::Key { group: None, key: &person.to_string() })
}
