//! The same keys in the spelling of each door.

use std::sync::Arc;

use bytes::Bytes;
use cloister_attestation::aci::{ED25519, Key, Keyset as AciKeyset, TlsKey};
use cloister_attestation::encoding::{Digest, sha256};
use cloister_attestation::tinfoil;
use rustls::ServerConfig;
use rustls_pki_types::PrivatePkcs8KeyDer;

use super::{App, StartError};
use crate::attest::{self, Attestation, Provenance, TinfoilDocument};
use crate::serve::tls;

/// A keyset of ACI is named by its digest, so that its end may not move with every request: it moves once in a period,
/// and is one to two periods away.
const KEYSET_PERIOD_S: u64 = 30 * 24 * 60 * 60;

/// What the Tinfoil door serves: made once, before TLS is set up.
#[derive(Debug)]
pub struct Tinfoil {
    /// The document; none on Azure.
    pub document: Option<TinfoilDocument>,
    /// The certificate in force, PEM.
    pub certificate: String,
}

/// TLS with a certificate that names the Tinfoil document about its key and the HPKE key. The document speaks of the
/// keys alone, so that it can be minted before the certificate is made. A host whose name is too long for the names of
/// Tinfoil gets a certificate without them.
pub(super) fn tls(
    attestation: &Attestation,
    key: &PrivatePkcs8KeyDer<'_>,
    host: &str,
    hpke: &[u8; 32],
) -> Result<(Arc<ServerConfig>, Tinfoil), StartError> {
    let document = attestation.tinfoil_document(&sha256(&tls::spki(key)?), hpke)?;
    let names = document.as_ref().map(|document| tinfoil::certificate_names(host, hpke, &document.hash()));
    if names == Some(None) {
        tracing::warn!("public_host is too long for the names that Tinfoil clients look for in the certificate");
    }
    let server = tls::server_config(key, host, &names.flatten().unwrap_or_default())?;
    Ok((server.config, Tinfoil { document, certificate: server.certificate_pem }))
}

impl App {
    /// The keyset of the ACI door. No key of encryption is in it: that of EHBP is of no suite that ACI names.
    #[must_use]
    pub fn aci_keyset(&self, now_ms: u64) -> AciKeyset {
        let period = now_ms / 1000 / KEYSET_PERIOD_S;
        let host = self.config.public_host.name();
        let receipt_key = |key: &cloister_attestation::statement::ReceiptKey| Key {
            key_id: key.key_id.clone(),
            algo: ED25519.to_owned(),
            public_key: key.public_key.to_string(),
        };
        let tls_key = |spki: &Digest| TlsKey { spki_sha256: *spki, domain: Some(host.to_owned()) };
        AciKeyset {
            subject: Some(host.to_owned()),
            not_after: (period + 2) * KEYSET_PERIOD_S,
            receipt_signing_keys: self.statement.receipt_keys.iter().map(receipt_key).collect(),
            e2ee_public_keys: Vec::new(),
            tls_public_keys: self.statement.tls_spki_sha256.iter().map(tls_key).collect(),
        }
    }

    /// The report of the ACI door, as JSON. Blocks for as long as the TEE takes.
    ///
    /// # Errors
    /// As [`Attestation::aci_report`].
    pub fn aci_report(&self, nonce: Option<[u8; 32]>, now_ms: u64) -> Result<Bytes, attest::Error> {
        let commit = Some(self.statement.build.commit.as_str()).filter(|commit| *commit != "unknown");
        self.attestation.aci_report(nonce, &self.aci_keyset(now_ms), Provenance { commit }, now_ms)
    }
}
