//! Whole attestation documents of synthetic platforms.

use cloister_attestation::document::{Document, Evidence, Tee};
use cloister_attestation::encoding::{Hex, sha256};
use cloister_attestation::receipt;
use cloister_attestation::statement::{self, Build, Model, NULL_NONCE, ReceiptKey, State, Statement};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::amd::Amd;
use crate::azure::Paravisor;
use crate::intel::Intel;

/// A statement that is complete and valid for an hour.
#[must_use]
pub fn statement(now_ms: u64) -> Statement {
    let public_key = Hex([3; 32]);
    Statement {
        v: statement::VERSION,
        build: Build { version: "0.1.0".to_owned(), commit: "c0ffee".to_owned() },
        tls_spki_sha256: vec![sha256(b"spki")],
        hpke_keys: vec![Hex([1; 32])],
        opaque_pk: Hex([2; 32]),
        receipt_keys: vec![ReceiptKey { key_id: receipt::key_id(&public_key.0), public_key }],
        log_keys_root: sha256(b"[]"),
        models: vec![Model { id: "embedder".to_owned(), sha256: sha256(b"model"), role: "embedder".to_owned() }],
        policies_sha256: sha256(b"policies"),
        egress_sha256: sha256(b"egress"),
        state: State { epoch: 7, audit_head: sha256(b"head") },
        not_after: now_ms + 3_600_000,
        channel: None,
    }
}

/// A document of an SEV-SNP guest.
#[must_use]
pub fn of_snp(amd: &Amd, nonce: Option<[u8; 32]>, statement: Statement) -> Document {
    let evidence = Evidence::new(Tee::SevSnp, amd.report(&report_data(nonce, &statement)));
    Document::new(nonce, statement, evidence, members(&amd.collateral()))
}

/// A document of a TDX guest.
#[must_use]
pub fn of_tdx(intel: &Intel, nonce: Option<[u8; 32]>, statement: Statement) -> Document {
    let evidence = Evidence::new(Tee::Tdx, intel.quote(&report_data(nonce, &statement)));
    Document::new(nonce, statement, evidence, members(&intel.collateral))
}

/// A document of a guest on Azure.
#[must_use]
pub fn of_azure(paravisor: &Paravisor, nonce: Option<[u8; 32]>, statement: Statement) -> Document {
    let evidence = paravisor.evidence(&sha256(&report_data(nonce, &statement)).0);
    Document::new(nonce, statement, evidence, paravisor.collateral())
}

/// Collateral as the members of a document.
///
/// # Panics
/// If it is no object.
#[must_use]
pub fn members(collateral: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(collateral) {
        Ok(Value::Object(members)) => members,
        other => panic!("collateral is an object, not {other:?}"),
    }
}

fn report_data(nonce: Option<[u8; 32]>, statement: &Statement) -> [u8; 64] {
    statement.report_data(&nonce.unwrap_or(NULL_NONCE))
}
