//! What the process says about itself: its attested statement.

use cloister_attestation::encoding::{Digest, Hex, sha256};
use cloister_attestation::export::{LogKey, log_keys_root};
use cloister_attestation::receipt::key_id;
use cloister_attestation::statement::{Build, Model, ReceiptKey, Statement, VERSION};
use cloister_models::ModelDigest;

use super::{App, LoadedModels};
use crate::config::Config;
use crate::egress::EgressPolicy;
use crate::store::Store;

/// What a statement is made of besides the state of the store.
pub(super) struct Facts<'a> {
    pub(super) config: &'a Config,
    pub(super) models: &'a LoadedModels,
    /// DER `SubjectPublicKeyInfo` of the TLS key.
    pub(super) tls_spki: &'a [u8],
    pub(super) hpke: &'a [u8; 32],
    pub(super) opaque: [u8; 32],
    pub(super) receipt: [u8; 32],
}

impl App {
    /// What the process says about itself right now, with `not_after` left at zero.
    #[must_use]
    pub fn statement_now(&self) -> Statement {
        Statement { log_keys_root: log_keys(&self.store), state: self.store.state(), ..self.statement.clone() }
    }
}

/// What does not change while the process runs, and the state as it is now.
pub(super) fn statement(facts: &Facts<'_>, store: &Store) -> Statement {
    Statement {
        v: VERSION,
        build: Build {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("CLOISTER_COMMIT").unwrap_or("unknown").to_owned(),
        },
        tls_spki_sha256: vec![sha256(facts.tls_spki)],
        hpke_keys: vec![Hex(*facts.hpke)],
        opaque_pk: Hex(facts.opaque),
        receipt_keys: vec![ReceiptKey { key_id: key_id(&facts.receipt), public_key: Hex(facts.receipt) }],
        log_keys_root: log_keys(store),
        models: models(facts.models),
        policies_sha256: Hex(cloister_policies::digest()),
        egress_sha256: Hex(EgressPolicy::new(facts.config.egress_allow.clone()).digest()),
        state: store.state(),
        not_after: 0,
        channel: None,
    }
}

fn models(loaded: &LoadedModels) -> Vec<Model> {
    let model = |id: &str, digest: &ModelDigest, role: &str| Model {
        id: id.to_owned(),
        sha256: Hex(*digest.as_bytes()),
        role: role.to_owned(),
    };
    let mut models = vec![model(&loaded.embedder_id, loaded.embedder.digest(), "embedder")];
    if let (Some(generator), Some(id)) = (&loaded.generator, &loaded.generator_id) {
        models.push(model(id, generator.digest(), "generator"));
    }
    models
}

fn log_keys(store: &Store) -> Digest {
    let keys: Vec<LogKey> =
        store.log_keys().into_iter().map(|vkey| LogKey { origin: vkey.name.clone(), vkey: vkey.to_string() }).collect();
    log_keys_root(&keys)
}
