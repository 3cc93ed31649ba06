//! Asks a running appliance for its document and its HPKE key, over one connection that is observed.

use std::time::Duration;

use cloister_attestation::document;
use cloister_attestation::encoding::Hex;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use crate::connection::{Connection, Http};
use crate::failure::Failure;
use crate::live::{Binding, Seen};
use crate::target::Target;

const DEADLINE: Duration = Duration::from_secs(30);
/// An HPKE key configuration of EHBP (protocols, section 1) is 41 bytes.
const MAX_KEYS_BYTES: usize = 1024;
/// What it begins with: key id 0, DHKEM(X25519, HKDF-SHA256).
const KEYS_PREFIX: [u8; 3] = [0x00, 0x00, 0x20];
/// What it ends with: HKDF-SHA256 and AES-256-GCM.
const KEYS_SUFFIX: [u8; 6] = [0x00, 0x04, 0x00, 0x01, 0x00, 0x02];

/// What the appliance answered.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// The attestation document, unverified.
    pub(crate) document: Vec<u8>,
    /// The first published HPKE key, or why there is none.
    pub(crate) hpke_key: Result<Hex<32>, &'static str>,
    /// What was seen of the connection.
    pub(crate) seen: Seen,
}

/// Asks, within 30 seconds.
pub(crate) fn fetch(target: &Target, nonce: &[u8; 32], binding: Binding) -> Result<Fetched, Failure> {
    let failed = |reason: String| Failure::Network { host: target.authority(), reason };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|_| Failure::Machine("no asynchronous runtime on this machine"))?;
    match runtime.block_on(async { timeout(DEADLINE, ask(target, nonce, binding)).await }) {
        Ok(answer) => answer.map_err(failed),
        Err(_) => Err(failed(format!("no answer within {} s", DEADLINE.as_secs()))),
    }
}

async fn ask(target: &Target, nonce: &[u8; 32], binding: Binding) -> Result<Fetched, String> {
    let tls = Connection::open(target, Http::One).await?;
    let seen = Seen::of(&tls, nonce, binding);
    let (mut sender, connection) = http1::handshake(TokioIo::new(tls.stream)).await.map_err(|e| e.to_string())?;
    let exchange = async {
        let document = get(&mut sender, target, &document_path(nonce, binding), document::MAX_BYTES).await?;
        let keys = get(&mut sender, target, "/.well-known/hpke-keys", MAX_KEYS_BYTES).await;
        drop(sender);
        Ok((document, keys))
    };
    // The connection is driven beside the exchange; its own error shows in the exchange.
    let (_, exchanged) = tokio::join!(connection, exchange);
    let (document, keys) = exchanged.map_err(|error: String| error)?;
    let hpke_key = keys.map_err(|_| "the appliance publishes no HPKE key").and_then(|keys| parse_key_config(&keys));
    Ok(Fetched { document, hpke_key, seen })
}

/// Where the document for `nonce` is, tied to the connection or not.
pub(crate) fn document_path(nonce: &[u8; 32], binding: Binding) -> String {
    let channel = match binding {
        Binding::TlsExporter => "&channel=tls-exporter",
        Binding::SpkiOnly => "",
    };
    format!("/.well-known/cloister/attestation?nonce={}{channel}", hex::encode(nonce))
}

async fn get(
    sender: &mut SendRequest<Empty<Bytes>>,
    target: &Target,
    path: &str,
    limit: usize,
) -> Result<Vec<u8>, String> {
    let request = http::Request::get(path)
        .header(http::header::HOST, target.authority())
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
