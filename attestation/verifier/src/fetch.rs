//! Asks a running appliance for its document and its HPKE key, over one TLS 1.3 connection whose key is observed.
//!
//! No certificate authority is consulted: the certificate is accepted as it is, proof of possession of its key is
//! verified as in any handshake, and the evidence then has to name that key.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use cloister_attestation::document;
use cloister_attestation::encoding::{Digest, Hex, sha256};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, Resumption};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::{DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};

use crate::failure::Failure;

const DEADLINE: Duration = Duration::from_secs(30);
/// An HPKE key configuration of EHBP (protocols, section 1) is 41 bytes.
const MAX_KEYS_BYTES: usize = 1024;
/// What it begins with: key id 0, DHKEM(X25519, HKDF-SHA256).
const KEYS_PREFIX: [u8; 3] = [0x00, 0x00, 0x20];
/// What it ends with: HKDF-SHA256 and AES-256-GCM.
const KEYS_SUFFIX: [u8; 6] = [0x00, 0x04, 0x00, 0x01, 0x00, 0x02];

/// Whom to ask.
#[derive(Debug)]
pub(crate) struct Target {
    host: String,
    port: u16,
}

impl FromStr for Target {
    type Err = Failure;

    fn from_str(url: &str) -> Result<Self, Failure> {
        let wrong =
            |why: &str| Failure::Usage(format!("address of the appliance: {why}, expected https://HOST[:PORT]"));
        let uri: http::Uri = url.parse().map_err(|_| wrong("not an address"))?;
        if uri.scheme_str() != Some("https") {
            return Err(wrong("not https"));
        }
        if uri.path() != "/" || uri.query().is_some() {
            return Err(wrong("a path is of no use here"));
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| wrong("no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port: uri.port_u16().unwrap_or(443) })
    }
}

/// What the appliance answered.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// The attestation document, unverified.
    pub(crate) document: Vec<u8>,
    /// The first published HPKE key, or why there is none.
    pub(crate) hpke_key: Result<Hex<32>, &'static str>,
    /// SHA-256 of the key of the TLS connection.
    pub(crate) spki_sha256: Digest,
}

/// Asks, within 30 seconds.
pub(crate) fn fetch(target: &Target, nonce: &[u8; 32]) -> Result<Fetched, Failure> {
    let failed = |reason: String| Failure::Network { host: format!("{}:{}", target.host, target.port), reason };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|_| Failure::Machine("no asynchronous runtime on this machine"))?;
    match runtime.block_on(async { timeout(DEADLINE, ask(target, nonce)).await }) {
        Ok(answer) => answer.map_err(failed),
        Err(_) => Err(failed(format!("no answer within {} s", DEADLINE.as_secs()))),
    }
}

async fn ask(target: &Target, nonce: &[u8; 32]) -> Result<Fetched, String> {
    let name = ServerName::try_from(target.host.clone()).map_err(|_| "not a host name".to_owned())?;
    let tcp = TcpStream::connect((target.host.as_str(), target.port)).await.map_err(|e| e.to_string())?;
    let tls = TlsConnector::from(Arc::new(tls_config()?)).connect(name, tcp).await.map_err(|e| e.to_string())?;
    let certificates = tls.get_ref().1.peer_certificates();
    let leaf = certificates.and_then(<[_]>::first).ok_or_else(|| "no certificate".to_owned())?;
    let spki_sha256 = spki_sha256(leaf).ok_or_else(|| "certificate is not well formed".to_owned())?;

    let (mut sender, connection) = http1::handshake(TokioIo::new(tls)).await.map_err(|e| e.to_string())?;
    let exchange = async {
        let path = format!("/.well-known/cloister/attestation?nonce={}", hex::encode(nonce));
        let document = get(&mut sender, target, &path, document::MAX_BYTES).await?;
        let keys = get(&mut sender, target, "/.well-known/hpke-keys", MAX_KEYS_BYTES).await;
        drop(sender);
        Ok((document, keys))
    };
    // The connection is driven beside the exchange; its own error shows in the exchange.
    let (_, exchanged) = tokio::join!(connection, exchange);
    let (document, keys) = exchanged.map_err(|error: String| error)?;
    let hpke_key = keys.map_err(|_| "the appliance publishes no HPKE key").and_then(|keys| parse_key_config(&keys));
    Ok(Fetched { document, hpke_key, spki_sha256 })
}

async fn get(
    sender: &mut SendRequest<Empty<Bytes>>,
    target: &Target,
    path: &str,
    limit: usize,
) -> Result<Vec<u8>, String> {
    let host = if target.host.contains(':') { format!("[{}]", target.host) } else { target.host.clone() };
    let request = http::Request::get(path)
        .header(http::header::HOST, format!("{host}:{}", target.port))
        .body(Empty::new())
        .map_err(|e| e.to_string())?;
    sender.ready().await.map_err(|e| e.to_string())?;
    let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
    let status = response.status();
    if status != http::StatusCode::OK {
        return Err(format!("answered {status} to {}", path.split('?').next().unwrap_or_default()));
    }
    let body = Limited::new(response.into_body(), limit).collect().await;
    body.map(|body| body.to_bytes().to_vec()).map_err(|_| format!("answer broke off, or is larger than {limit} bytes"))
}

/// One key configuration, one suite, nothing else: what EHBP clients understand.
fn parse_key_config(bytes: &[u8]) -> Result<Hex<32>, &'static str> {
    let key = bytes.strip_prefix(&KEYS_PREFIX).and_then(|rest| rest.strip_suffix(&KEYS_SUFFIX));
    let key: Option<[u8; 32]> = key.and_then(|key| key.try_into().ok());
    key.map(Hex).ok_or("what the appliance publishes is no HPKE key configuration")
}

fn spki_sha256(leaf: &CertificateDer<'_>) -> Option<Digest> {
    let certificate = Certificate::from_der(leaf).ok()?;
    Some(sha256(&certificate.tbs_certificate.subject_public_key_info.to_der().ok()?))
}

fn tls_config() -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| e.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TrustComesFromEvidence { provider }))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Accepts any certificate whose key the peer holds: which key that may be is for the evidence to say (`tls.spki`).
#[derive(Debug)]
struct TrustComesFromEvidence {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for TrustComesFromEvidence {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
