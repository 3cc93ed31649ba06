//! A small appliance that signs what tests ask it to sign: a log, its exports and receipts, and a development document.

use cloister_attestation::development;
use cloister_attestation::document::{Document, Evidence, Tee};
use cloister_attestation::encoding::{Hex, jcs, sha256};
use cloister_attestation::export::{self, Attestation, Contents, LogKey};
use cloister_attestation::note::{Checkpoint, Vkey};
use cloister_attestation::receipt::{self, Kind, LogRef, Receipt, ReceiptBody};
use cloister_attestation::statement::{Build, NULL_NONCE, ReceiptKey, Statement};
use cloister_attestation::tlog;
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};

use crate::document;

/// The time of its records, Unix milliseconds.
pub const NOW_MS: u64 = 1_790_000_000_000;

/// A log and everything that attests it.
#[derive(Clone)]
pub struct Appliance {
    /// What signs the log, receipts and development evidence.
    pub key: SigningKey,
    /// The log's name.
    pub origin: String,
    /// Its records.
    pub leaves: Vec<Vec<u8>>,
}

impl std::fmt::Debug for Appliance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Appliance").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// A record before it is written in its canonical form.
#[must_use]
pub fn leaf(seq: u64, operation: &str, d: &Value) -> Value {
    json!({
        "v": 1, "seq": seq, "time": NOW_MS - 1_000_000 + seq, "time_src": "host", "boot": "b1", "tenant": "t_1",
        "ocsf": {
            "metadata": {"version": "1.9.0", "product": {"name": "Cloister"}, "event_code": operation},
            "category_uid": 6, "class_uid": 6003, "activity_id": 1, "type_uid": 600_301, "severity_id": 1,
        },
        "d": d,
    })
}

impl Appliance {
    /// One whose log has so many records, the first included; the log is named after its first record.
    #[must_use]
    pub fn new(records: u64) -> Self {
        let key = SigningKey::from_bytes(&[11; 32]);
        let public_key = hex::encode(key.verifying_key().as_bytes());
        let genesis = jcs(&leaf(0, "log.genesis", &json!({ "public_key": public_key })));
        let id: String = sha256(&genesis).to_string().chars().take(16).collect();
        let mut leaves = vec![genesis];
        leaves.extend((1..records).map(|seq| jcs(&leaf(seq, "chat.answer", &json!({ "n": seq })))));
        Self { key, origin: format!("appliance.example/audit/t_1/{id}"), leaves }
    }

    /// The key of the log's notes.
    #[must_use]
    pub fn vkey(&self) -> Vkey {
        Vkey { name: self.origin.clone(), public_key: self.key.verifying_key().to_bytes() }
    }

    /// The keys of all logs of the appliance: this one and another.
    #[must_use]
    pub fn log_keys(&self) -> Vec<LogKey> {
        let other = LogKey { origin: "appliance.example/audit/t_0/0".to_owned(), vkey: "x".to_owned() };
        vec![LogKey { origin: self.origin.clone(), vkey: self.vkey().to_string() }, other]
    }

    /// The signed checkpoint over the first `size` records.
    ///
    /// # Panics
    /// If the origin is none.
    #[must_use]
    pub fn checkpoint(&self, size: usize) -> String {
        let hashes: Vec<_> = self.leaves.iter().take(size).map(|leaf| tlog::leaf_hash(leaf)).collect();
        let root = tlog::root(&hashes);
        Checkpoint { origin: self.origin.clone(), size: size as u64, root }
            .sign(&self.key)
            .expect("an origin that a note can have")
    }

    /// A statement that names its keys.
    #[must_use]
    pub fn statement(&self) -> Statement {
        let public_key = Hex(self.key.verifying_key().to_bytes());
        Statement {
            build: Build { version: "0.1.0".to_owned(), commit: "unknown".to_owned() },
            receipt_keys: vec![ReceiptKey { key_id: receipt::key_id(&public_key.0), public_key }],
            log_keys_root: export::log_keys_root(&self.log_keys()),
            models: Vec::new(),
            ..document::statement(NOW_MS)
        }
    }

    /// A development document of it, without a nonce.
    ///
    /// # Panics
    /// Never: a document can be written as JSON.
    #[must_use]
    pub fn document(&self) -> Vec<u8> {
        let statement = self.statement();
        let report = development::sign(&statement.report_data(&NULL_NONCE), &self.key);
        let evidence = Evidence::new(Tee::Development, report);
        let document = Document::new(None, statement, evidence, serde_json::Map::new());
        serde_json::to_vec(&document).expect("a document is JSON")
    }

    /// An export of all records, the export before having been of `previous` records.
    ///
    /// # Panics
    /// If its fields were changed to what makes no export.
    #[must_use]
    pub fn export(&self, previous: Option<usize>) -> Vec<u8> {
        let (vkeys, log_keys, document) = ([self.vkey()], self.log_keys(), self.document());
        let previous = previous.map(|size| self.checkpoint(size));
        let contents = Contents {
            vkeys: &vkeys,
            checkpoint: &self.checkpoint(self.leaves.len()),
            previous: previous.as_deref(),
            leaves: &self.leaves,
            attestation: Some(Attestation { document: &document, log_keys: &log_keys }),
            schema_files: &[("events.json", b"{}")],
            schema: "ocsf-1.9.0",
            app_version: "0.1.0",
            measurement: None,
            exported_ms: NOW_MS,
        };
        export::build(&contents).expect("an export")
    }

    /// A receipt for the record at `index`, whose leaf is replaced to name it.
    ///
    /// # Panics
    /// If there is no such record.
    pub fn receipt(&mut self, index: u64) -> Receipt {
        let body = ReceiptBody {
            v: receipt::VERSION,
            receipt_id: "rcp_1".to_owned(),
            org: "org_1".to_owned(),
            time_ms: NOW_MS,
            question_sha256: sha256(b"question"),
            answer_sha256: sha256(b"answer"),
            kind: Kind::Quotation,
            model: None,
            prompt_sha256: sha256(b"prompt"),
            documents: Vec::new(),
            policies_sha256: sha256(b"policies"),
        };
        let d = json!({ "receipt_sha256": receipt::digest(&body).to_string() });
        let slot = usize::try_from(index).ok().and_then(|at| self.leaves.get_mut(at));
        *slot.expect("a record at the index") = jcs(&leaf(index, "chat.answer", &d));
        Receipt::sign(body, LogRef { origin: self.origin.clone(), index }, &self.key)
    }
}
