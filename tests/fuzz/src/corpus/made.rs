//! Inputs of the kinds that no published set has: our own documents, logs and receipts.

use cloister_attestation::document::{Document, Evidence, Tee};
use cloister_attestation::encoding::{Hex, jcs, sha256};
use cloister_attestation::export::{self, Attestation, Contents, LogKey};
use cloister_attestation::note::{Checkpoint, Vkey};
use cloister_attestation::receipt::{self, Kind, LogRef, Receipt, ReceiptBody};
use cloister_attestation::statement::{self, Build, ReceiptKey, State, Statement};
use cloister_attestation::tlog;
use cloister_attestation::{aci, development};
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};

use super::Seed;
use crate::parts::join;

const NOW_MS: u64 = 1_790_000_000_000;
const NOW: [u8; 4] = 1_790_000_000_u32.to_le_bytes();

pub(super) fn seeds() -> anyhow::Result<Vec<Seed>> {
    let mut seeds = Vec::new();
    let mut add = |target, name: &str, data: Vec<u8>| seeds.push(Seed { target, name: name.to_owned(), data });
    let log = Log::new();
    let document = log.document()?;
    add("document", "development", join(&[&NOW, &document]));
    add("statement", "full", log.statement().jcs());
    add("development", "signed", development::sign(&[5; 64], &log.key));
    add("note", "checkpoint", join(&[log.vkey().to_string().as_bytes(), log.checkpoint()?.as_bytes()]));
    add("export", "three-records", join(&[&NOW, &log.export(&document)?]));
    add("receipt", "quotation", serde_json::to_vec(&log.receipt())?);
    add("aci_receipt", "answered", log.aci_receipt()?);
    let leaves: Vec<tlog::Hash> = (0..7_u8).map(|leaf| tlog::leaf_hash(&[leaf])).collect();
    let numbers = [3_u64.to_le_bytes(), 7_u64.to_le_bytes()].concat();
    add("proof", "seven-leaves", join(&[&numbers, &leaves.concat()]));
    let mut bundle = Vec::new();
    for entry in &log.leaves {
        tlog::encode_entry(&mut bundle, entry)?;
    }
    add("bundle", "three-entries", bundle);
    seeds.extend(super::appliance::seeds()?);
    Ok(seeds)
}

/// What the documents of the corpus say.
pub(super) fn statement() -> Statement {
    Log::new().statement()
}

/// A log of three records and everything that attests it.
struct Log {
    key: SigningKey,
    origin: String,
    leaves: Vec<Vec<u8>>,
}

impl Log {
    fn new() -> Self {
        let key = SigningKey::from_bytes(&[11; 32]);
        let leaf = |seq: u64, operation: &str, d: Value| {
            jcs(&json!({
                "v": 1, "seq": seq, "time": NOW_MS - 1000 + seq, "time_src": "host", "boot": "b1", "tenant": "t_1",
                "ocsf": { "metadata": { "version": "1.9.0", "product": { "name": "Cloister" }, "event_code": operation },
                    "category_uid": 6, "class_uid": 6003, "activity_id": 1, "type_uid": 600_301, "severity_id": 1 },
                "d": d,
            }))
        };
        let public_key = hex::encode(key.verifying_key().as_bytes());
        let mut leaves = vec![leaf(0, "log.genesis", json!({ "public_key": public_key }))];
        leaves.extend((1..3).map(|seq| leaf(seq, "chat.answer", json!({ "n": seq }))));
        // A log is named after its first record.
        let id: String = leaves
            .iter()
            .take(1)
            .flat_map(|genesis| sha256(genesis).to_string().into_bytes())
            .take(16)
            .map(char::from)
            .collect();
        Self { key, origin: format!("fuzz.example/audit/t_1/{id}"), leaves }
    }

    fn vkey(&self) -> Vkey {
        Vkey { name: self.origin.clone(), public_key: self.key.verifying_key().to_bytes() }
    }

    fn log_keys(&self) -> Vec<LogKey> {
        vec![LogKey { origin: self.origin.clone(), vkey: self.vkey().to_string() }]
    }

    fn checkpoint(&self) -> anyhow::Result<String> {
        let hashes: Vec<_> = self.leaves.iter().map(|leaf| tlog::leaf_hash(leaf)).collect();
        let size = u64::try_from(hashes.len())?;
        Ok(Checkpoint { origin: self.origin.clone(), size, root: tlog::root(&hashes) }.sign(&self.key)?)
    }

    fn statement(&self) -> Statement {
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
            not_after: NOW_MS + 3_600_000,
            channel: None,
        }
    }

    fn document(&self) -> anyhow::Result<Vec<u8>> {
        let statement = self.statement();
        let report = development::sign(&statement.report_data(&statement::NULL_NONCE), &self.key);
        let evidence = Evidence::new(Tee::Development, report);
        Ok(serde_json::to_vec(&Document::new(None, statement, evidence, serde_json::Map::new()))?)
    }

    fn export(&self, document: &[u8]) -> anyhow::Result<Vec<u8>> {
        let (vkeys, log_keys) = ([self.vkey()], self.log_keys());
        Ok(export::build(&Contents {
            vkeys: &vkeys,
            checkpoint: &self.checkpoint()?,
            previous: None,
            leaves: &self.leaves,
            attestation: Some(Attestation { document, log_keys: &log_keys }),
            schema_files: &[("events.json", b"{}")],
            schema: "ocsf-1.9.0",
            app_version: "0.1.0",
            measurement: None,
            exported_ms: NOW_MS,
        })?)
    }

    fn aci_receipt(&self) -> anyhow::Result<Vec<u8>> {
        let public_key = hex::encode(self.key.verifying_key().as_bytes());
        let keyset = aci::Keyset {
            subject: Some("fuzz.example".to_owned()),
            not_after: NOW_MS,
            receipt_signing_keys: vec![aci::Key { key_id: "1".to_owned(), algo: aci::ED25519.to_owned(), public_key }],
            e2ee_public_keys: Vec::new(),
            tls_public_keys: vec![aci::TlsKey { spki_sha256: sha256(b"spki"), domain: None }],
        };
        let receipt = aci::ReceiptBody {
            api_version: aci::VERSION.to_owned(),
            receipt_id: "rcpt-1".to_owned(),
            chat_id: None,
            model: Some("model".to_owned()),
            workload_keyset_digest: aci::spelled(&keyset.digest()),
            endpoint: "/v1/chat/completions".to_owned(),
            method: "POST".to_owned(),
            served_at: NOW_MS / 1000,
            event_log: vec![aci::Event::of_body("request.received", &sha256(b"question"))],
            key_id: "1".to_owned(),
        };
        let receipt = serde_json::to_vec(&receipt.sign(&self.key))?;
        Ok(join(&[&serde_json::to_vec(&keyset)?, &receipt]))
    }

    fn receipt(&self) -> Receipt {
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
        Receipt::sign(body, LogRef { origin: self.origin.clone(), index: 1 }, &self.key)
    }
}
