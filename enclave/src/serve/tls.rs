//! TLS as this service speaks it: version 1.3, no early data, no resumption, post-quantum key exchange first.
//!
//! The certificate is self-signed: the relay's operator could obtain a public one, so that a certificate proves
//! nothing here. What clients rely on is the key's digest in the attested statement, and EHBP above.

use std::sync::Arc;

use rcgen::PublicKeyData;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::NoServerSessionStorage;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::kx::X25519_MLKEM768;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key is not one that a certificate can be made with.
    #[error("no certificate can be made with the TLS key")]
    Certificate(#[source] rcgen::Error),
    /// rustls refuses the key or the certificate.
    #[error("the TLS key is unusable")]
    Key(#[source] rustls::Error),
}

/// The cryptography of both ends: ring, TLS 1.3 suites only, X25519MLKEM768 before X25519 before P-256.
#[must_use]
pub fn provider() -> CryptoProvider {
    let mut provider = ring::default_provider();
    provider.cipher_suites.retain(|suite| suite.tls13().is_some());
    provider.kx_groups = vec![X25519_MLKEM768, ring::kx_group::X25519, ring::kx_group::SECP256R1];
    provider
}

/// The server's side.
#[derive(Debug)]
pub struct Server {
    /// What handshakes are made with.
    pub config: Arc<ServerConfig>,
    /// The certificate, PEM.
    pub certificate_pem: String,
}

/// The DER `SubjectPublicKeyInfo` of a P-256 key in its PKCS #8 form.
///
/// # Errors
/// [`Error::Certificate`] if the key is not of that kind.
pub fn spki(key: &PrivatePkcs8KeyDer<'_>) -> Result<Vec<u8>, Error> {
    key_pair(key).map(|key| key.subject_public_key_info()).map_err(Error::Certificate)
}

/// The server's side, with a certificate for `host` and `names`, made from the PKCS #8 form of its P-256 key.
///
/// # Errors
/// [`Error`] if the key is not of that kind.
pub fn server_config(key: &PrivatePkcs8KeyDer<'_>, host: &str, names: &[String]) -> Result<Server, Error> {
    let certificate = self_signed(key, host, names).map_err(Error::Certificate)?;
    let certificate_pem = certificate.pem();
    let mut config = ServerConfig::builder_with_provider(provider().into())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(Error::Key)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.into()], PrivateKeyDer::Pkcs8(key.clone_key()))
        .map_err(Error::Key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Early data can be replayed by the network: never.
    config.max_early_data_size = 0;
    // Evidence is about one handshake, in which the key was used: no connection continues another one.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(Server { config: Arc::new(config), certificate_pem })
}

fn key_pair(key: &PrivatePkcs8KeyDer<'_>) -> Result<rcgen::KeyPair, rcgen::Error> {
    rcgen::KeyPair::from_pkcs8_der_and_sign_algo(key, &rcgen::PKCS_ECDSA_P256_SHA256)
}

fn self_signed(key: &PrivatePkcs8KeyDer<'_>, host: &str, names: &[String]) -> Result<rcgen::Certificate, rcgen::Error> {
    let names: Vec<String> = std::iter::once(host.to_owned()).chain(names.iter().cloned()).collect();
    let mut params = rcgen::CertificateParams::new(names)?;
    params.distinguished_name.push(rcgen::DnType::CommonName, host);
    // Its life is that of the key, which the statement bounds; these dates only keep clients from complaining.
    params.not_before = rcgen::date_time_ymd(2024, 1, 1);
    params.not_after = rcgen::date_time_ymd(2049, 12, 31);
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    params.self_signed(&key_pair(key)?)
}
