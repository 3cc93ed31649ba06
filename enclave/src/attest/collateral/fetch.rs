//! One GET over TLS, through the relay. What comes is the network's word, whoever's certificate the other side has.
//!
//! TLS hides from the host which chip is asked about and keeps idle hands off; that an answer is AMD's or Intel's is
//! told by their signatures alone. Nothing is followed: an answer that is not 200 is a failure, a redirection included.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cloister_attestation::collateral::{Request, Response};
use http::{HeaderMap, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::TlsConnector;

use crate::clock::Clock;
use crate::egress::{self, Egress};
use crate::serve::tls;

/// From asking the relay to the last byte of the answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Heads of answers: Intel's bring a chain of certificates.
const MAX_HEAD_BYTES: usize = 64 * 1024;
const MAX_CA_BYTES: u64 = 64 * 1024;
/// The longest time that an answer may ask us to wait for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The file of certificate authorities cannot be used.
    #[error("the file of attestation.collateral_ca holds no certificates")]
    Authorities,
    /// The address is not one of HTTPS.
    #[error("the address is not one of HTTPS")]
    Address,
    /// No way out.
    #[error("{0}")]
    Egress(egress::Error),
    /// The other side is not whom its certificate should name, or speaks no TLS 1.3.
    #[error("no TLS 1.3 connection to a server with a trusted certificate")]
    Tls,
    /// The other side does not speak HTTP, or hung up.
    #[error("no answer of HTTP")]
    Http,
    /// Another status than 200.
    #[error("answered with status {0}")]
    Status(StatusCode, Option<Duration>),
    /// The answer is larger than what was asked for can be.
    #[error("the answer is too large")]
    TooLarge,
    /// It took too long.
    #[error("no answer in time")]
    TimedOut,
}

impl FetchError {
    /// How long the other side wants to be left alone for.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status(_, wait) => *wait,
            Self::Authorities
            | Self::Address
            | Self::Egress(_)
            | Self::Tls
            | Self::Http
            | Self::TooLarge
            | Self::TimedOut => None,
        }
    }
}

/// What asks.
#[derive(Clone)]
pub struct Fetcher {
    egress: Egress,
    tls: Arc<ClientConfig>,
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher").field("egress", &self.egress).finish_non_exhaustive()
    }
}

impl Fetcher {
    /// Through `egress`. Servers need a certificate of a public authority, or, where `authorities` names a file (PEM), of
    /// one in there.
    ///
    /// # Errors
    /// [`FetchError::Authorities`].
    pub fn new(egress: Egress, authorities: Option<&Path>, clock: Arc<dyn Clock>) -> Result<Self, FetchError> {
        let mut roots = RootCertStore::empty();
        match authorities {
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Some(path) => own_authorities(path, &mut roots).ok_or(FetchError::Authorities)?,
        }
        let mut config = ClientConfig::builder_with_details(Arc::new(tls::provider()), Arc::new(OurTime(clock)))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|_| FetchError::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.enable_early_data = false;
        Ok(Self { egress, tls: Arc::new(config) })
    }

    /// Asks.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn get(&self, request: &Request) -> Result<Response, FetchError> {
        tokio::time::timeout(TIMEOUT, self.ask(request)).await.map_err(|_| FetchError::TimedOut)?
    }

    async fn ask(&self, request: &Request) -> Result<Response, FetchError> {
        let uri: Uri = request.url.parse().map_err(|_| FetchError::Address)?;
        let host = uri.host().filter(|_| uri.scheme_str() == Some("https")).ok_or(FetchError::Address)?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| FetchError::Address)?;
        let port = uri.port_u16().unwrap_or(443);
        let stream = self.egress.connect(host, port).await.map_err(FetchError::Egress)?;
        let stream = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await;
        let stream = stream.map_err(|_| FetchError::Tls)?;

        let handshake = http1::Builder::new().max_buf_size(MAX_HEAD_BYTES).handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|_| FetchError::Http)?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let authority = uri.authority().ok_or(FetchError::Address)?.as_str();
        let question = http::Request::get(path)
            .header(header::HOST, authority)
            .header(header::USER_AGENT, "cloister")
            .header(header::CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .map_err(|_| FetchError::Address)?;
        let exchange = async {
            let answer = sender.send_request(question).await.map_err(|_| FetchError::Http)?;
            read(request, answer).await
        };
        // Both halves run here, so that nothing outlives the question.
        tokio::pin!(exchange, connection);
        tokio::select! {
            biased;
            answer = &mut exchange => answer,
            _ = &mut connection => exchange.await,
        }
    }
}

async fn read(request: &Request, answer: http::Response<Incoming>) -> Result<Response, FetchError> {
    let (head, mut body) = answer.into_parts();
    if head.status != StatusCode::OK {
        return Err(FetchError::Status(head.status, retry_after(&head.headers)));
    }
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| FetchError::Http)?.into_data() else { continue };
        if bytes.len() + data.len() > request.kind.max_bytes() {
            return Err(FetchError::TooLarge);
        }
        bytes.extend_from_slice(&data);
    }
    let mut chains = request.kind.issuer_chain_headers().iter().filter_map(|name| head.headers.get(*name));
    let issuer_chain = chains.next().and_then(|chain| chain.to_str().ok()).map(str::to_owned);
    Ok(Response { kind: request.kind, body: bytes, issuer_chain })
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

fn own_authorities(path: &Path, roots: &mut RootCertStore) -> Option<()> {
    let mut pem = Vec::new();
    std::fs::File::open(path).ok()?.take(MAX_CA_BYTES).read_to_end(&mut pem).ok()?;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        roots.add(certificate.ok()?).ok()?;
    }
    (!roots.is_empty()).then_some(())
}

/// The process's clock, for the validity of servers' certificates.
#[derive(Debug)]
struct OurTime(Arc<dyn Clock>);

impl TimeProvider for OurTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(self.0.now_ms())))
    }
}
