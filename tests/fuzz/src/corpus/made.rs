//! Inputs of the kinds that no published set has: our own documents, logs and receipts.

use cloister_attestation::encoding::sha256;
use cloister_attestation::statement::Statement;
use cloister_attestation::{aci, development, tlog};
use cloister_synthetic::appliance::{Appliance, NOW_MS};
use ed25519_dalek::SigningKey;

use super::Seed;
use crate::parts::join;

const NOW: [u8; 4] = 1_790_000_000_u32.to_le_bytes();

pub(super) fn seeds() -> anyhow::Result<Vec<Seed>> {
    let mut seeds = Vec::new();
    let mut add = |target, name: &str, data: Vec<u8>| seeds.push(Seed { target, name: name.to_owned(), data });
    let mut log = Appliance::new(3);
    let document = log.document();
    add("document", "development", join(&[&NOW, &document]));
    add("statement", "full", log.statement().jcs());
    add("development", "signed", development::sign(&[5; 64], &log.key));
    add("note", "checkpoint", join(&[log.vkey().to_string().as_bytes(), log.checkpoint(log.leaves.len()).as_bytes()]));
    add("export", "three-records", join(&[&NOW, &log.export(None)]));
    add("receipt", "quotation", serde_json::to_vec(&log.receipt(1))?);
    add("aci_receipt", "answered", aci_receipt(&log.key)?);
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
    Appliance::new(3).statement()
}

/// A keyset of the ACI door, and a receipt under it.
fn aci_receipt(key: &SigningKey) -> anyhow::Result<Vec<u8>> {
    let public_key = hex::encode(key.verifying_key().as_bytes());
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
    let receipt = serde_json::to_vec(&receipt.sign(key))?;
    Ok(join(&[&serde_json::to_vec(&keyset)?, &receipt]))
}
