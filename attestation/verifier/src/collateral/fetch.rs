//! One GET over TLS, to a server that has a certificate of an authority.
//!
//! TLS keeps idle hands off; that an answer is AMD's or Intel's is told by their signatures alone. Nothing is followed: a
//! redirection is a failure.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cloister_attestation::collateral::{Request, Response};
use http::{StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::failure::Failure;
use crate::input;

const DEADLINE: Duration = Duration::from_secs(30);
/// Heads of answers: Intel's bring a chain of certificates.
const MAX_HEAD_BYTES: usize = 64 << 10;
const MAX_CA_BYTES: usize = 1 << 20;

/// Why there is no answer, and whether it may help to ask again.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) reason: String,
    pub(super) retry: bool,
    /// How long the server wants to be left alone for.
    pub(super) wait: Option<Duration>,
}

/// What asks.
pub(super) struct Fetcher {
    tls: Arc<ClientConfig>,
}

impl Fetcher {
    /// Servers need a certificate of a public authority, or of one in the file (PEM).
    pub(super) fn new(authorities: Option<&Path>) -> Result<Self, Failure> {
        let mut roots = RootCertStore::empty();
        match authorities {
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Some(path) => {
                let pem = input::read(path, MAX_CA_BYTES)?;
                for certificate in CertificateDer::pem_slice_iter(&pem).flatten() {
                    // What is no authority shows as a server that nobody vouches for.
                    roots.add(certificate).ok();
                }
                if roots.is_empty() {
                    return Err(Failure::Usage(format!("{}: no certificate of an authority (PEM)", path.display())));
                }
            }
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|_| Failure::Machine("TLS cannot be set up"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls: Arc::new(config) })
    }

    /// Asks, within 30 seconds.
    pub(super) async fn get(&self, request: &Request) -> Result<Response, Problem> {
        let late = || passing(&format!("no answer within {} s", DEADLINE.as_secs()));
        timeout(DEADLINE, self.ask(request)).await.map_err(|_| late())?
    }

    async fn ask(&self, request: &Request) -> Result<Response, Problem> {
        let uri: Uri = request.url.parse().map_err(|_| lasting(&"not an address"))?;
        let host = uri.host().ok_or_else(|| lasting(&"not an address"))?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| lasting(&"not a host name"))?;
        let tcp = TcpStream::connect((host, uri.port_u16().unwrap_or(443))).await.map_err(|error| passing(&error))?;
        let tls =
            TlsConnector::from(Arc::clone(&self.tls)).connect(name, tcp).await.map_err(|error| lasting(&error))?;
        let handshake = http1::Builder::new().max_buf_size(MAX_HEAD_BYTES).handshake(TokioIo::new(tls)).await;
        let (mut sender, connection) = handshake.map_err(|error| passing(&error))?;
        let question = http::Request::get(uri.path_and_query().map_or("/", |path| path.as_str()))
            .header(header::HOST, uri.authority().map_or(host, |authority| authority.as_str()))
            .header(header::USER_AGENT, "cloister-verify")
            .header(header::CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .map_err(|error| lasting(&error))?;
        let exchange = async {
            let answer = sender.send_request(question).await.map_err(|error| passing(&error))?;
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

async fn read(request: &Request, answer: http::Response<hyper::body::Incoming>) -> Result<Response, Problem> {
    let (head, body) = answer.into_parts();
    if head.status != StatusCode::OK {
        let wait = head.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let retry = head.status == StatusCode::TOO_MANY_REQUESTS || head.status.is_server_error();
        return Err(Problem {
            reason: format!("answered {}", head.status),
            retry,
            wait: wait.map(Duration::from_secs),
        });
    }
    let limit = request.kind.max_bytes();
    let body = Limited::new(body, limit).collect().await;
    let body = body.map_err(|_| passing(&format!("answer broke off, or is larger than {limit} bytes")))?;
    let mut chains = request.kind.issuer_chain_headers().iter().filter_map(|name| head.headers.get(*name));
    let issuer_chain = chains.next().and_then(|chain| chain.to_str().ok()).map(str::to_owned);
    Ok(Response { kind: request.kind, body: body.to_bytes().to_vec(), issuer_chain })
}

/// What may be gone in a moment.
fn passing(reason: &impl ToString) -> Problem {
    Problem { reason: reason.to_string(), retry: true, wait: None }
}

/// What stays as it is.
fn lasting(reason: &impl ToString) -> Problem {
    Problem { reason: reason.to_string(), retry: false, wait: None }
}
