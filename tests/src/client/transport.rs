//! TLS 1.3 to the appliance, pinned to the keys that its verified evidence names.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cloister_attestation::verify::{self, Expectations, verify};
use cloister_policies::appraisal::{AppraisalPolicy, DevelopmentTee, Verdict, appraise};
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::TaskTracker;
use x509_cert::der::{Decode as _, Encode as _};

use super::ehbp::ResponseOpener;
use super::{Error, seal_request};

/// Which evidence the client accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Hardware evidence only.
    Hardware,
    /// The development TEE too: for tests and for trying out.
    DevelopmentAllowed,
}

/// Which key TLS may end at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TlsKey {
    /// One that the evidence names.
    Attested,
    /// Whichever.
    Any,
}

/// A verified appliance.
#[derive(Clone)]
pub struct Channel {
    authority: String,
    host: String,
    tls: TlsConnector,
    tasks: TaskTracker,
    document: Arc<Vec<u8>>,
    hpke: [u8; 32],
    opaque_pk: [u8; 32],
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel").field("authority", &self.authority).finish_non_exhaustive()
    }
}

impl Channel {
    /// Fetches fresh evidence, verifies and appraises it, and pins the connection to the keys in it.
    ///
    /// # Errors
    /// [`Error::NotVerified`] says which check did not hold; nothing private was sent then.
    pub async fn open(url: &str, trust: Trust, now_ms: u64) -> Result<Self, Error> {
        Self::open_with(url, trust, now_ms, TlsKey::Attested).await
    }

    /// [`Self::open`] as a page in a browser has to do it: scripts cannot see the TLS key, so whoever has a certificate
    /// that the browser likes may end TLS. What is left is the evidence, EHBP to its key, and signed requests.
    ///
    /// # Errors
    /// As [`Self::open`], but for the TLS key.
    pub async fn open_like_a_page(url: &str, trust: Trust, now_ms: u64) -> Result<Self, Error> {
        Self::open_with(url, trust, now_ms, TlsKey::Any).await
    }

    async fn open_with(url: &str, trust: Trust, now_ms: u64, key: TlsKey) -> Result<Self, Error> {
        let uri: Uri = url.parse().map_err(|_| Error::Protocol("not a URL"))?;
        let authority = uri.authority().ok_or(Error::Protocol("no authority in the URL"))?;
        let host = authority.host().to_owned();
        let authority = format!("{host}:{}", authority.port_u16().unwrap_or(443));
        let tasks = TaskTracker::new();
        let seen = Arc::new(Mutex::new(None));
        let first = TlsConnector::from(tls(Pins::Record(Arc::clone(&seen))));
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).map_err(|_| Error::Protocol("randomness"))?;
        let path = format!("/.well-known/cloister/attestation?nonce={}", hex::encode(nonce));
        let request = request(&host, Method::GET, &path, &HeaderMap::new(), Bytes::new())?;
        let mut reply = send(&first, &tasks, &authority, &host, request).await?;
        let document = reply.bytes().await?;
        if reply.status != 200 {
            return Err(Error::Refused { status: reply.status, problem: String::from_utf8_lossy(&document).into() });
        }
        let expectations = Expectations { nonce: Some(nonce), channel: None };
        let verified = verify(&document, &expectations, &verify::Trust::pinned(), now_ms)
            .map_err(|rejected| Error::NotVerified(rejected.error.to_string()))?;
        let (policy, development) = match trust {
            Trust::Hardware => (AppraisalPolicy::shipped_default(), DevelopmentTee::Refuse),
            Trust::DevelopmentAllowed => (AppraisalPolicy::shipped_development(), DevelopmentTee::Allow),
        };
        let result = appraise(verified, &policy, development);
        if result.verdict == Verdict::Rejected {
            return Err(Error::NotVerified("the appraisal policy does not accept it".to_owned()));
        }
        let statement = result.evidence.statement();
        let spki = seen.lock().ok().and_then(|s| *s).ok_or(Error::Protocol("no certificate"))?;
        let pins: Vec<[u8; 32]> = statement.tls_spki_sha256.iter().map(|d| d.0).collect();
        if key == TlsKey::Attested && !pins.contains(&spki) {
            return Err(Error::NotVerified("the TLS key is not in the statement".into()));
        }
        let hpke = statement.hpke_keys.first().ok_or(Error::Protocol("no HPKE key"))?.0;
        let tls = match key {
            TlsKey::Attested => TlsConnector::from(tls(Pins::Only(pins))),
            TlsKey::Any => insecure_connector(),
        };
        let opaque_pk = statement.opaque_pk.0;
        Ok(Self { authority, host, tls, tasks, document: Arc::new(document), hpke, opaque_pk })
    }

    /// The verified document, for saving.
    #[must_use]
    pub fn document(&self) -> &[u8] {
        &self.document
    }

    /// The attested HPKE key.
    #[must_use]
    pub const fn hpke_key(&self) -> &[u8; 32] {
        &self.hpke
    }

    /// The attested OPAQUE key.
    #[must_use]
    pub const fn opaque_key(&self) -> &[u8; 32] {
        &self.opaque_pk
    }

    /// Sends a request as it is, without EHBP: over TLS to the pinned key.
    ///
    /// # Errors
    /// [`Error::Connection`], also when the peer's key is not pinned.
    pub async fn plain(&self, method: Method, path: &str, headers: &HeaderMap, body: Bytes) -> Result<Reply, Error> {
        let request = request(&self.host, method, path, headers, body)?;
        send(&self.tls, &self.tasks, &self.authority, &self.host, request).await
    }

    /// Sends a `POST` with an encrypted body. `sign` sees the body as it goes out and the encapsulated key, and adds
    /// headers.
    ///
    /// # Errors
    /// As [`Self::plain`]; [`Error::Protocol`] for a successful answer that is not encrypted.
    pub async fn sealed(
        &self,
        path: &str,
        content_type: &str,
        body: &[u8],
        sign: impl FnOnce(&[u8], &str, &mut HeaderMap),
    ) -> Result<Reply, Error> {
        let (sealer, sealed) = seal_request(&self.hpke, body, 16 * 1024)?;
        let mut headers = HeaderMap::new();
        insert(&mut headers, "content-type", content_type)?;
        let encapsulated = sealer.encapsulated_key();
        insert(&mut headers, "ehbp-encapsulated-key", &encapsulated)?;
        sign(&sealed, &encapsulated, &mut headers);
        let mut reply = self.plain(Method::POST, path, &headers, sealed.into()).await?;
        match reply.headers.get("ehbp-response-nonce") {
            Some(nonce) => {
                let nonce = nonce.to_str().map_err(|_| Error::Protocol("response nonce"))?;
                reply.opener = Some(sealer.response(nonce)?);
            }
            None if (200..300).contains(&reply.status) => return Err(Error::Protocol("the answer is not encrypted")),
            None => (),
        }
        Ok(reply)
    }
}

pub(super) fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) -> Result<(), Error> {
    headers.insert(name, value.parse().map_err(|_| Error::Protocol("header value"))?);
    Ok(())
}

fn request(
    host: &str,
    method: Method,
    path: &str,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, Error> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().map_err(|_| Error::Protocol("path"))?;
    headers.clone_into(request.headers_mut());
    insert(request.headers_mut(), "host", host)?;
    Ok(request)
}

/// One connection for one request: what a connection carried before can then explain nothing.
async fn send(
    tls: &TlsConnector,
    tasks: &TaskTracker,
    authority: &str,
    host: &str,
    request: Request<Full<Bytes>>,
) -> Result<Reply, Error> {
    let broken = |e: &dyn std::fmt::Display| Error::Connection(e.to_string());
    let tcp = TcpStream::connect(authority).await.map_err(|e| broken(&e))?;
    tcp.set_nodelay(true).map_err(|e| broken(&e))?;
    let name = ServerName::try_from(host.to_owned()).map_err(|_| Error::Protocol("host name"))?;
    let stream = tls.connect(name, tcp).await.map_err(|e| broken(&e))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| broken(&e))?;
    tasks.spawn(async move { drop(connection.await) });
    let (head, body) = sender.send_request(request).await.map_err(|e| broken(&e))?.into_parts();
    Ok(Reply { status: head.status.as_u16(), headers: head.headers, body, opener: None })
}

/// An answer, decrypted as it arrives.
#[derive(Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// HTTP headers: neither encrypted nor authenticated by EHBP.
    pub headers: HeaderMap,
    body: Incoming,
    opener: Option<ResponseOpener>,
}

impl Reply {
    /// The next plaintext; `None` at the end of the body.
    ///
    /// # Errors
    /// If the connection breaks, or a frame was cut or altered.
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>, Error> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|e| Error::Connection(e.to_string()))?;
            let Ok(data) = frame.into_data() else { continue };
            let plain = match &mut self.opener {
                Some(opener) => opener.push(&data)?,
                None => data.to_vec(),
            };
            if !plain.is_empty() {
                return Ok(Some(plain));
            }
        }
        if let Some(opener) = &self.opener {
            opener.finish()?;
        }
        Ok(None)
    }

    /// The whole body.
    ///
    /// # Errors
    /// As [`Self::chunk`].
    pub async fn bytes(&mut self) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            out.extend(chunk);
        }
        Ok(out)
    }

    /// The whole body of a success, or the problem of a refusal.
    ///
    /// # Errors
    /// [`Error::Refused`] for any status but 2xx.
    pub async fn success(mut self) -> Result<Vec<u8>, Error> {
        let status = self.status;
        let body = self.bytes().await?;
        if (200..300).contains(&status) {
            return Ok(body);
        }
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let slug = problem.get("type").and_then(|t| t.as_str()).and_then(|t| t.rsplit(':').next());
        let problem = slug.map_or_else(|| String::from_utf8_lossy(&body).into_owned(), str::to_owned);
        Err(Error::Refused { status, problem })
    }
}

/// What the TLS layer does with the peer's key. Certificates prove nothing here: the host can get one of its own.
#[derive(Debug)]
enum Pins {
    /// Notes the key; the evidence will decide.
    Record(Arc<Mutex<Option<[u8; 32]>>>),
    /// Accepts these keys and no others.
    Only(Vec<[u8; 32]>),
}

#[derive(Debug)]
struct KeyVerifier {
    pins: Pins,
    provider: Arc<CryptoProvider>,
}

/// TLS to whoever answers.
#[must_use]
pub fn insecure_connector() -> TlsConnector {
    TlsConnector::from(tls(Pins::Record(Arc::default())))
}

fn tls(pins: Pins) -> Arc<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let verifier = KeyVerifier { pins, provider: Arc::clone(&provider) };
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ring has TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Arc::new(config)
}

fn spki_sha256(certificate: &CertificateDer<'_>) -> Option<[u8; 32]> {
    let parsed = x509_cert::Certificate::from_der(certificate).ok()?;
    let spki = parsed.tbs_certificate.subject_public_key_info.to_der().ok()?;
    Some(Sha256::digest(spki).into())
}

impl ServerCertVerifier for KeyVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let bad = rustls::Error::InvalidCertificate(CertificateError::BadEncoding);
        let key = spki_sha256(end_entity).ok_or(bad)?;
        match &self.pins {
            Pins::Record(seen) => {
                if let Ok(mut seen) = seen.lock() {
                    *seen = Some(key);
                }
                Ok(ServerCertVerified::assertion())
            }
            Pins::Only(keys) if keys.contains(&key) => Ok(ServerCertVerified::assertion()),
            Pins::Only(_) => Err(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("only TLS 1.3".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
