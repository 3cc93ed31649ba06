//! A small appliance that signs what tests ask it to sign.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use std::collections::BTreeMap;
use std::io::Read as _;

use cloister_attestation::development;
use cloister_attestation::document::{Document, Evidence, Tee};
use cloister_attestation::encoding::{Hex, jcs, sha256};
use cloister_attestation::export::{self, Attestation, Contents, LogKey, Manifest};
use cloister_attestation::note::{Checkpoint, Vkey};
use cloister_attestation::receipt::{self, Kind, LogRef, Receipt, ReceiptBody};
use cloister_attestation::statement::{self, Build, ReceiptKey, State, Statement};
use cloister_attestation::tlog;
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};

pub(crate) const NOW: u64 = 1_790_000_000_000;

/// A log and everything that attests it.
#[derive(Clone)]
pub(crate) struct Appliance {
    pub(crate) key: SigningKey,
    pub(crate) origin: String,
    pub(crate) leaves: Vec<Vec<u8>>,
}

pub(crate) fn leaf(seq: u64, operation: &str, d: &Value) -> Value {
    json!({
        "v": 1, "seq": seq, "time": NOW - 1_000_000 + seq, "time_src": "host", "boot": "b1", "tenant": "t_1",
        "ocsf": {
            "metadata": {"version": "1.9.0", "product": {"name": "Cloister"}, "event_code": operation},
            "category_uid": 6, "class_uid": 6003, "activity_id": 1, "type_uid": 600_301, "severity_id": 1,
        },
        "d": d,
    })
}

impl Appliance {
    pub(crate) fn new(records: u64) -> Self {
        let key = SigningKey::from_bytes(&[11; 32]);
        let public_key = hex::encode(key.verifying_key().as_bytes());
        let genesis = jcs(&leaf(0, "log.genesis", &json!({ "public_key": public_key })));
        let id: String = sha256(&genesis).to_string().chars().take(16).collect();
        let mut leaves = vec![genesis];
        leaves.extend((1..records).map(|seq| jcs(&leaf(seq, "chat.answer", &json!({ "n": seq })))));
        Self { key, origin: format!("appliance.example/audit/t_1/{id}"), leaves }
    }

    pub(crate) fn vkey(&self) -> Vkey {
        Vkey { name: self.origin.clone(), public_key: self.key.verifying_key().to_bytes() }
    }

    pub(crate) fn log_keys(&self) -> Vec<LogKey> {
        let other = LogKey { origin: "appliance.example/audit/t_0/0".to_owned(), vkey: "x".to_owned() };
        vec![LogKey { origin: self.origin.clone(), vkey: self.vkey().to_string() }, other]
    }

    /// The signed checkpoint over the first `size` records.
    pub(crate) fn checkpoint(&self, size: usize) -> String {
        let hashes: Vec<_> = self.leaves.iter().take(size).map(|leaf| tlog::leaf_hash(leaf)).collect();
        let root = tlog::root(&hashes);
        Checkpoint { origin: self.origin.clone(), size: size as u64, root }.sign(&self.key).unwrap()
    }

    pub(crate) fn statement(&self) -> Statement {
        let public_key = Hex(self.key.verifying_key().to_bytes());
        Statement {
            v: statement::VERSION,
            build: Build { version: "0.1.0".to_owned(), commit: "unknown".to_owned() },
            tls_spki_sha256: vec![sha256(b"spki")],
            hpke_keys: vec![Hex([1; 32])],
            opaque_pk: Hex([2; 32]),
            receipt_keys: vec![ReceiptKey { key_id: receipt::key_id(&public_key.0), public_key }],
            log_keys_root: export::log_keys_root(&self.log_keys()),
            models: Vec::new(),
            policies_sha256: sha256(b"policies"),
            egress_sha256: sha256(b"egress"),
            state: State { epoch: 7, audit_head: sha256(b"head") },
            not_after: NOW + 3_600_000,
            channel: None,
        }
    }

    pub(crate) fn document(&self) -> Vec<u8> {
        let statement = self.statement();
        let report = development::sign(&statement.report_data(&statement::NULL_NONCE), &self.key);
        serde_json::to_vec(&Document::new(
            None,
            statement,
            Evidence::new(Tee::Development, report),
            serde_json::Map::new(),
        ))
        .unwrap()
    }

    /// An export of all records, the export before having been of `previous` records.
    pub(crate) fn export(&self, previous: Option<usize>) -> Vec<u8> {
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
            exported_ms: NOW,
        };
        export::build(&contents).unwrap()
    }

    /// A receipt for the record at `index`, whose leaf is replaced to name it.
    pub(crate) fn receipt(&mut self, index: u64) -> Receipt {
        let body = ReceiptBody {
            v: receipt::VERSION,
            receipt_id: "rcp_1".to_owned(),
            org: "org_1".to_owned(),
            time_ms: NOW,
            question_sha256: sha256(b"question"),
            answer_sha256: sha256(b"answer"),
            kind: Kind::Quotation,
            model: None,
            prompt_sha256: sha256(b"prompt"),
            documents: Vec::new(),
            policies_sha256: sha256(b"policies"),
        };
        let d = json!({ "receipt_sha256": receipt::digest(&body).to_string() });
        *self.leaves.get_mut(usize::try_from(index).unwrap()).unwrap() = jcs(&leaf(index, "chat.answer", &d));
        Receipt::sign(body, LogRef { origin: self.origin.clone(), index }, &self.key)
    }
}

pub(crate) type Files = BTreeMap<String, Vec<u8>>;

pub(crate) fn unpack(tar: &[u8]) -> Files {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (entry.path().unwrap().to_str().unwrap().to_owned(), bytes)
    });
    entries.collect()
}

pub(crate) fn pack(files: &Files) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, bytes.as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Changes files and writes the manifest that fits: what a forger would do.
pub(crate) fn forge(tar: &[u8], change: impl FnOnce(&mut Files)) -> Vec<u8> {
    let mut files = unpack(tar);
    change(&mut files);
    let mut manifest: Manifest = serde_json::from_slice(&files.remove(export::MANIFEST).unwrap()).unwrap();
    manifest.files = files.iter().map(|(path, bytes)| (path.clone(), sha256(bytes))).collect();
    files.insert(export::MANIFEST.to_owned(), jcs(&manifest));
    pack(&files)
}
