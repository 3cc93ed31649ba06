//! Receipts of the ACI door: what came in and what went out, hashed where it is observed, signed, sealed, durable.
//!
//! A receipt is written when the response has ended and before its end is sent, so that whoever has read the whole
//! response finds the receipt. It outlives a restart. Bodies under EHBP are hashed as their sender and receiver see
//! them, inside of the encryption. Whoever is not authorized gets no receipt.

mod watch;

use std::sync::{Arc, Mutex, PoisonError};

use cloister_attestation::aci::{Event, Receipt, ReceiptBody, VERSION, spelled};
use cloister_attestation::encoding::{Digest, jcs, sha256};
use cloister_attestation::receipt;
use cloister_protocol::ids::ReceiptId;
use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

pub(crate) use watch::watch;

use crate::access::Authorized;
use crate::answers::records::RECEIPTS;
use crate::fresh;
use crate::identity::Credential;
use crate::store::{Collection, Error, Listing, Store, TenantStore};

const ACI_RECEIPTS: Collection<AciRecord> = Collection::new("aci-receipts", 25, 1);

/// The collections of this module.
pub(crate) const COLLECTIONS: Listing = &[ACI_RECEIPTS.meta()];

/// The longest name of a model that a receipt repeats.
const MODEL_BYTES: usize = 256;
/// Before the random half that a receipt's id shares with its response's id, so that either finds it.
const RECEIPT_PREFIX: &str = "rcpt-";
const CHAT_PREFIX: &str = "chatcmpl-";

/// A receipt and the credential that it belongs to.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct AciRecord {
    credential: Digest,
    /// As it is served: JSON.
    receipt: String,
}

/// What is known before the handler runs.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) endpoint: String,
    pub(crate) body: Digest,
}

/// The receipt of a request under way: an extension of it, which the handler fills in.
#[derive(Debug, Clone)]
pub struct Receipting(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bits: String,
    received: Received,
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    by: Option<(TenantStore, Digest)>,
    model: Option<String>,
    chat: bool,
    answer: Option<ReceiptId>,
}

impl Receipting {
    pub(crate) fn new(received: Received) -> Self {
        Self(Arc::new(Inner { bits: format!("{:032x}", fresh::bits()), received, noted: Mutex::default() }))
    }

    fn note(&self, note: impl FnOnce(&mut Noted)) {
        note(&mut self.0.noted.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Who asks, and for which model. Without this there is no receipt.
    pub(crate) fn asked(&self, store: &Store, by: &Authorized, model: Option<&str>) {
        let by = (store.scope(by.scope()), credential(by.credential()));
        let model = model.filter(|model| model.len() <= MODEL_BYTES).map(str::to_owned);
        self.note(|noted| (noted.by, noted.model) = (Some(by), model));
    }

    /// The id of a chat completion, which also finds the receipt.
    pub(crate) fn chat_id(&self) -> String {
        self.note(|noted| noted.chat = true);
        format!("{CHAT_PREFIX}{}", self.0.bits)
    }

    /// The appliance's own receipt of the answer, which says what was retrieved.
    pub(crate) fn answered(&self, answer: Option<ReceiptId>) {
        self.note(|noted| noted.answer = answer);
    }

    /// The id, if there will be a receipt.
    pub(crate) fn id(&self) -> Option<String> {
        let noted = self.0.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.by.as_ref().map(|_| format!("{RECEIPT_PREFIX}{}", self.0.bits))
    }

    /// Signs and stores the receipt; it is on the disk when this returns.
    async fn finish(self, returned: Digest, keyset: Digest, key: &SigningKey, now_ms: u64) -> Result<(), Error> {
        let Inner { bits, received, noted } = &*self.0;
        let noted = std::mem::take(&mut *noted.lock().unwrap_or_else(PoisonError::into_inner));
        let Some((store, credential)) = noted.by else { return Ok(()) };
        let mut event_log = vec![Event::of_body("request.received", &received.body)];
        event_log.extend(noted.answer.map(|id| retrieval(&store, id)).transpose()?.flatten());
        event_log.push(Event::of_body("response.returned", &returned));
        let body = ReceiptBody {
            api_version: VERSION.to_owned(),
            receipt_id: format!("{RECEIPT_PREFIX}{bits}"),
            chat_id: noted.chat.then(|| format!("{CHAT_PREFIX}{bits}")),
            model: noted.model,
            workload_keyset_digest: spelled(&keyset),
            endpoint: received.endpoint.clone(),
            method: received.method.clone(),
            served_at: now_ms / 1000,
            event_log,
            key_id: receipt::key_id(key.verifying_key().as_bytes()),
        };
        let mut batch = store.batch();
        batch.put(&ACI_RECEIPTS, bits, &AciRecord { credential, receipt: served(&body.sign(key)) });
        batch.commit().await.map(drop)
    }
}

/// The canonical JSON, which is also what a verifier makes of it.
fn served(receipt: &Receipt) -> String {
    String::from_utf8_lossy(&jcs(receipt)).into_owned()
}

/// The event `retrieval.used`: the passages that the answer was made from, by digest, and the native receipt that says
/// the same and stands in the audit log.
fn retrieval(store: &TenantStore, id: ReceiptId) -> Result<Option<Event>, Error> {
    let Some(record) = store.get(&RECEIPTS, &id.to_string())? else { return Ok(None) };
    let body = &record.receipt.body;
    let chunks: Vec<_> = body
        .documents
        .iter()
        .flat_map(|document| document.chunks.iter().map(move |chunk| (document, chunk)))
        .map(|(document, chunk)| {
            json!({ "document_hash": spelled(&document.sha256), "chunk_hash": spelled(&chunk.sha256) })
        })
        .collect();
    let members = Map::from_iter([
        ("receipt_id".to_owned(), json!(body.receipt_id)),
        ("receipt_hash".to_owned(), json!(spelled(&receipt::digest(body)))),
        ("chunks".to_owned(), json!(chunks)),
    ]);
    Ok(Some(Event { kind: "retrieval.used".to_owned(), members }))
}

/// The receipt of this id, as JSON, or of the response of this id, if this credential made the request.
///
/// # Errors
/// [`Error`] of the store. Receipts of others are not there.
pub fn stored(store: &Store, by: &Authorized, id: &str) -> Result<Option<String>, Error> {
    let bits = id.strip_prefix(RECEIPT_PREFIX).or_else(|| id.strip_prefix(CHAT_PREFIX));
    let Some(bits) = bits.filter(|bits| bits.len() == 32) else { return Ok(None) };
    let record = store.scope(by.scope()).get(&ACI_RECEIPTS, bits)?;
    Ok(record.filter(|record| record.credential == credential(by.credential())).map(|record| record.receipt))
}

/// Names a credential without being one.
fn credential(credential: Credential) -> Digest {
    match credential {
        Credential::Session(digest) => sha256(&[b"session:".as_slice(), digest.as_bytes()].concat()),
        Credential::ApiKey(id, _) => sha256(&[b"api-key:".as_slice(), &id.to_bytes()].concat()),
    }
}
