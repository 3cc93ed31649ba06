//! One TLS 1.3 connection to whoever answers, of which the key and the exporter value are observed.
//!
//! No certificate authority is consulted: the certificate is accepted as it is, proof of possession of its key is
//! verified as in any handshake, and the evidence then has to name that key and this connection. Nothing is carried over
//! from one connection to the next: no resumption, no early data.

use std::sync::Arc;

use cloister_attestation::encoding::{Digest, sha256};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, Resumption};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::{DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};

use crate::target::Target;

/// The label of the exporter value (RFC 8446, section 7.5) that evidence is tied to (design, section 3).
const EXPORTER_LABEL: &[u8] = b"EXPORTER-cloister-attestation";

/// The version of HTTP that is spoken on a connection, settled by ALPN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Http {
    /// One exchange after the other.
    One,
    /// Many at once.
    Two,
}

impl Http {
    const fn alpn(self) -> &'static [u8] {
        match self {
            Self::One => b"http/1.1",
            Self::Two => b"h2",
        }
    }
}

/// A connection after its handshake.
pub(crate) struct Connection {
    /// The bytes inside of TLS.
    pub(crate) stream: TlsStream<TcpStream>,
    /// SHA-256 of the `SubjectPublicKeyInfo` of the key that the peer holds.
    pub(crate) spki_sha256: Digest,
}

impl Connection {
    /// Connects and shakes hands.
    pub(crate) async fn open(target: &Target, http: Http) -> Result<Self, String> {
        let name = ServerName::try_from(target.host().to_owned()).map_err(|_| "not a host name".to_owned())?;
        let tcp = TcpStream::connect((target.host(), target.port())).await.map_err(|e| e.to_string())?;
        // Small requests must not wait for acknowledgements. Without it they are late, and that is all.
        tcp.set_nodelay(true).ok();
        let tls = TlsConnector::from(Arc::new(tls_config(http)?));
        let stream = tls.connect(name, tcp).await.map_err(|e| e.to_string())?;
        let session = stream.get_ref().1;
        if http == Http::Two && session.alpn_protocol() != Some(http.alpn()) {
            return Err("does not speak HTTP/2".to_owned());
        }
        let leaf = session.peer_certificates().and_then(<[_]>::first).ok_or_else(|| "no certificate".to_owned())?;
        let spki_sha256 = spki_sha256(leaf).ok_or_else(|| "certificate is not well formed".to_owned())?;
        Ok(Self { stream, spki_sha256 })
    }

    /// What evidence for `nonce` has to say about this connection: SHA-256 of its exporter value. `None` if the
    /// connection gives none; evidence cannot be tied to it then.
    pub(crate) fn channel(&self, nonce: &[u8; 32]) -> Option<Digest> {
        let session = self.stream.get_ref().1;
        session.export_keying_material([0; 32], EXPORTER_LABEL, Some(nonce)).ok().map(|value| sha256(&value))
    }
}

fn spki_sha256(leaf: &CertificateDer<'_>) -> Option<Digest> {
    let certificate = Certificate::from_der(leaf).ok()?;
    Some(sha256(&certificate.tbs_certificate.subject_public_key_info.to_der().ok()?))
}

fn tls_config(http: Http) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| e.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TrustComesFromEvidence { provider }))
        .with_no_client_auth();
    config.alpn_protocols = vec![http.alpn().to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
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
