//! Attacks on attested channels (attestation notes, section 5.2), played against the real verifier by a party in the
//! middle that ends TLS, with a real appliance behind it. Each is refused by the check that is there for it, and each test
//! also shows that a weaker rule, written out in `naive`, accepts the very same bytes.
//!
//! | attack | what the attacker has | refused by | accepted by the naive rule |
//! |---|---|---|---|
//! | relay | evidence that an honest appliance made for the attacker's own connection | `channel.match` | nonce only |
//! | relay with a stolen key (CVE-2026-33697) | the same, and the appliance's TLS key | `channel.match` | nonce and TLS key |
//! | downgrade | the same, and evidence without a channel | `channel.match` | a channel only if there is one |
//! | no nonce | the cached document | `nonce.match` | no nonce |
//! | replay | a document from before | `nonce.match`; rewritten: `statement.report_data` | no nonce; nonce beside the report |
//! | replay of a stream | every byte that an honest run put on the wire | the handshake | – |
//! | diversion | a genuine appliance of its own | `tls.pin` | everything but the pin |
//! | reflection | evidence that the verifier's side made for this very connection | `tls.spki` | nonce and exporter |
//! | another HPKE key | the appliance's TLS key, and an HPKE key of its own | `hpke.key` | the document alone |

#![expect(clippy::disallowed_methods, reason = "tests have no App whose tracker could spawn")]
#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use cloister_attestation::development;
use cloister_attestation::document::{Document, Evidence, Tee};
use cloister_attestation::encoding::{Digest, Hex, sha256};
use cloister_attestation::verify::{Expectations, Trust, VerifiedEvidence, verify};
use cloister_enclave::app::unseal;
use cloister_enclave::clock::{Clock, SystemClock};
use cloister_enclave::config::Config;
use cloister_enclave::keys::Keyset;
use cloister_tests::appliance::{Appliance, Options};
use cloister_tests::client::insecure_connector;
use cloister_tests::scenario::now_ms;
use cloister_tests::tools;
use ed25519_dalek::SigningKey;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const ALLOW: &str = "--insecure-allow-development-tee";
const LABEL: &[u8] = b"EXPORTER-cloister-attestation";
const NONCE: [u8; 32] = [0x5a; 32];

/// Rules that leave something out. Each looks at the same bytes as the verifier did.
mod naive {
    use super::{Digest, Expectations, Trust, VerifiedEvidence, now_ms, verify};

    fn evidence(document: &[u8], nonce: Option<[u8; 32]>, channel: Option<Digest>) -> Option<VerifiedEvidence> {
        verify(document, &Expectations { nonce, channel }, &Trust::pinned(), now_ms()).ok()
    }

    pub(crate) fn without_nonce(document: &[u8]) -> bool {
        evidence(document, None, None).is_some()
    }

    pub(crate) fn nonce_only(document: &[u8], nonce: [u8; 32]) -> bool {
        evidence(document, Some(nonce), None).is_some()
    }

    pub(crate) fn nonce_and_key(document: &[u8], nonce: [u8; 32], spki: Digest) -> bool {
        evidence(document, Some(nonce), None).is_some_and(|e| e.statement().tls_spki_sha256.contains(&spki))
    }

    pub(crate) fn channel_if_there_is_one(document: &[u8], nonce: [u8; 32], spki: Digest, channel: Digest) -> bool {
        let evidence = evidence(document, Some(nonce), None);
        evidence.is_some_and(|e| {
            let statement = e.statement();
            statement.tls_spki_sha256.contains(&spki) && statement.channel.is_none_or(|theirs| theirs == channel)
        })
    }

    pub(crate) fn nonce_and_exporter(document: &[u8], nonce: [u8; 32], channel: Digest) -> bool {
        evidence(document, Some(nonce), Some(channel)).is_some()
    }
}

/// A key and certificate for TLS.
struct Identity {
    acceptor: TlsAcceptor,
    spki: Digest,
}

impl Identity {
    fn new(key: &rcgen::KeyPair) -> Self {
        let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let certificate = params.self_signed(key).expect("a certificate").der().clone();
        let spki = sha256(&rcgen::PublicKeyData::subject_public_key_info(key));
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("ring has TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("a key with its certificate");
        Self { acceptor: TlsAcceptor::from(Arc::new(config)), spki }
    }

    /// A key of the attacker's own.
    fn own() -> Self {
        Self::new(&rcgen::KeyPair::generate().expect("a key"))
    }

    /// The appliance's own key, which in this story leaked: read from the sealed store with the development root key.
    async fn stolen(appliance: &mut Appliance) -> Self {
        appliance.kill_enclave().expect("killed");
        let config = Config::read(&appliance.data().join("enclave.toml")).expect("its configuration");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = unseal(&config, &clock).expect("the development root key opens it");
        let keyset = Keyset::open_or_create(&store).await.expect("its keys");
        let der = PrivatePkcs8KeyDer::from(keyset.tls_pkcs8().to_vec());
        let key = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&der, &rcgen::PKCS_ECDSA_P256_SHA256).expect("P-256");
        store.close().await;
        drop((keyset, store));
        appliance.restart_enclave().expect("serves again");
        Self::new(&key)
    }
}

/// What the verifier asked the attacker for, and the exporter value of their connection, the same at both ends.
#[derive(Debug, Clone)]
struct Asked {
    channel: Digest,
    upstream: SocketAddr,
}

/// Where the attacker gets the document from.
#[derive(Clone)]
enum Source {
    /// The honest appliance, by this query.
    Appliance(&'static str),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A document about this connection, by somebody who is at neither end's place of the appliance.
    Reflected(Box<Document>),
}

/// Serves `source` under `identity` and, unless told otherwise, the appliance's own HPKE key.
async fn attacker(
    upstream: SocketAddr,
    identity: Identity,
    source: Source,
    hpke: Option<[u8; 32]>,
) -> (String, Arc<Mutex<Option<Digest>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("https://localhost:{}", listener.local_addr().expect("bound").port());
    let seen = Arc::new(Mutex::new(None));
    let exporter = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut tls) = identity.acceptor.accept(stream).await else { continue };
            let value = tls.get_ref().1.export_keying_material([0; 32], LABEL, Some(&NONCE)).expect("TLS 1.3 has one");
            let asked = Asked { channel: sha256(&value), upstream };
            *exporter.lock().expect("no panic") = Some(asked.channel);
            while let Some(path) = request_path(&mut tls).await {
                let body = match (path.as_str(), hpke) {
                    ("/.well-known/hpke-keys", Some(key)) => key_config(key),
                    ("/.well-known/hpke-keys", None) => from_appliance(upstream, &path).await,
                    _ => source.document(&asked).await,
                };
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                if tls.write_all(&[head.as_bytes(), &body].concat()).await.is_err() || tls.flush().await.is_err() {
                    break;
                }
            }
        }
    });
    (url, seen)
}

impl Source {
    async fn document(&self, asked: &Asked) -> Vec<u8> {
        match self {
            Self::Appliance(query) => {
                let query = query.replace("NONCE", &hex::encode(NONCE));
                from_appliance(asked.upstream, &format!("/.well-known/cloister/attestation{query}")).await
            }
            Self::Bytes(bytes) => bytes.clone(),
            Self::Reflected(document) => {
                let mut statement = document.statement.clone();
                statement.channel = Some(asked.channel);
                let report = development::sign(&statement.report_data(&NONCE), &SigningKey::from_bytes(&[7; 32]));
                let evidence = Evidence::new(Tee::Development, report);
                let document = Document::new(Some(NONCE), statement, evidence, serde_json::Map::new());
                serde_json::to_vec(&document).expect("JSON")
            }
        }
    }
}

fn key_config(key: [u8; 32]) -> Vec<u8> {
    [&[0, 0, 0x20][..], &key, &[0, 4, 0, 1, 0, 2]].concat()
}

/// The path of the next request, which has no body.
async fn request_path(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()?.split(' ').nth(1).map(ToOwned::to_owned)
}

/// What the appliance answers to the attacker, over a TLS connection of the attacker's.
async fn from_appliance(upstream: SocketAddr, path: &str) -> Vec<u8> {
    let tcp = TcpStream::connect(upstream).await.expect("the appliance serves");
    let name = ServerName::try_from("localhost").expect("a name");
    let mut tls = insecure_connector().connect(name, tcp).await.expect("TLS");
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    tls.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    // An end without close_notify is an end all the same.
    drop(tls.read_to_end(&mut answer).await);
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    answer.split_off(end + 4)
}

/// What the verifier said, and the document that it judged.
struct Judged {
    code: Option<i32>,
    report: Value,
    document: Vec<u8>,
}

impl Judged {
    fn failed(&self) -> Vec<&str> {
        let checks = self.report["checks"].as_array().expect("checks");
        checks.iter().filter(|check| check["result"] == "fail").map(|check| check["id"].as_str().expect("id")).collect()
    }

    /// Refused, by this check alone, in these words.
    fn assert_refused(&self, check: &str, error: &str) {
        assert_eq!((self.code, self.failed()), (Some(10), vec![check]), "{:#}", self.report);
        assert_eq!(self.report["verdict"], "rejected");
        assert_eq!(self.report["error"], error);
    }
}

/// Runs `cloister-verify appliance` with the nonce of these tests.
async fn judge(dir: &Path, url: &str, more: &[&str]) -> Judged {
    let saved = dir.join("judged.json");
    let mut args = vec!["appliance", url, ALLOW, "--json", "--nonce"];
    let nonce = hex::encode(NONCE);
    let saved_text = saved.to_str().expect("UTF-8").to_owned();
    args.extend([nonce.as_str(), "--save", &saved_text]);
    args.extend(more);
    let args: Vec<String> = args.into_iter().map(ToOwned::to_owned).collect();
    let output = tokio::task::spawn_blocking(move || {
        tools::verify(&args.iter().map(String::as_str).collect::<Vec<_>>()).expect("runs")
    });
    let output = output.await.expect("no panic");
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    Judged { code: output.status.code(), report, document: std::fs::read(saved).unwrap_or_default() }
}

const NOT_TIED: &str = "evidence is not tied to this connection";
const BOUND: &str = "?nonce=NONCE&channel=tls-exporter";
const UNBOUND: &str = "?nonce=NONCE";

fn start(dir: &Path) -> Appliance {
    Appliance::start(Options::for_checkout(dir.into()).expect("built")).expect("starts")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_14_relay_and_downgrade() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut appliance = start(dir.path());
    let upstream = appliance.public_addr();

    // Undisturbed: what all the rest is measured against.
    let honest = judge(dir.path(), &appliance.url(), &[]).await;
    assert_eq!((honest.code, honest.failed()), (Some(0), vec![]), "{:#}", honest.report);
    assert_eq!(honest.report["claims"]["binding"], "tls-exporter");

    // Relay, under a key of the attacker's own.
    let (url, _) = attacker(upstream, Identity::own(), Source::Appliance(BOUND), None).await;
    let relayed = judge(dir.path(), &url, &[]).await;
    relayed.assert_refused("channel.match", NOT_TIED);
    assert!(naive::nonce_only(&relayed.document, NONCE));

    // Relay under the appliance's key, which leaked.
    let stolen = Identity::stolen(&mut appliance).await;
    let spki = stolen.spki;
    let (url, _) = attacker(upstream, stolen, Source::Appliance(BOUND), None).await;
    let relayed = judge(dir.path(), &url, &[]).await;
    relayed.assert_refused("channel.match", NOT_TIED);
    assert!(naive::nonce_and_key(&relayed.document, NONCE, spki));
    // The naive rule is what the verifier does when it is told to, and then it says so.
    let weaker = judge(dir.path(), &url, &["--binding", "spki-only"]).await;
    assert_eq!((weaker.code, weaker.failed()), (Some(0), vec![]), "the attack gets through: {:#}", weaker.report);
    assert_eq!(weaker.report["claims"]["binding"], "spki-only");

    // Downgrade: true evidence that names no connection.
    let stolen = Identity::stolen(&mut appliance).await;
    let (url, exporter) = attacker(upstream, stolen, Source::Appliance(UNBOUND), None).await;
    let downgraded = judge(dir.path(), &url, &[]).await;
    downgraded.assert_refused("channel.match", NOT_TIED);
    let channel = exporter.lock().expect("no panic").expect("connected");
    assert!(naive::channel_if_there_is_one(&downgraded.document, NONCE, spki, channel));

    // Another HPKE key, to encrypt to: even where the binding is the weaker one.
    let stolen = Identity::stolen(&mut appliance).await;
    let (url, _) = attacker(upstream, stolen, Source::Appliance(UNBOUND), Some([9; 32])).await;
    let swapped = judge(dir.path(), &url, &["--binding", "spki-only"]).await;
    swapped.assert_refused("hpke.key", "the published HPKE key is not one that the evidence names");
    assert!(naive::nonce_and_key(&swapped.document, NONCE, spki));
    // And in the statement itself.
    let mut document: Document = serde_json::from_slice(&swapped.document).expect("a document");
    document.statement.hpke_keys = vec![Hex([9; 32])];
    let bytes = serde_json::to_vec(&document).expect("JSON");
    let (url, _) = attacker(upstream, Identity::own(), Source::Bytes(bytes), Some([9; 32])).await;
    let altered = judge(dir.path(), &url, &[]).await;
    altered.assert_refused("statement.report_data", "report does not speak of this statement and nonce");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_14_replay_with_and_without_a_nonce() {
    let dir = tempfile::tempdir().expect("a folder");
    let appliance = start(dir.path());
    let upstream = appliance.public_addr();
    let not_ours = "document does not carry the nonce that was sent";

    // The nonce is stripped: the appliance answers with the cached document.
    let (url, _) = attacker(upstream, Identity::own(), Source::Appliance(""), None).await;
    let stripped = judge(dir.path(), &url, &[]).await;
    stripped.assert_refused("nonce.match", not_ours);
    assert!(naive::without_nonce(&stripped.document));

    // A document from before, asked with a nonce of its own.
    let path = format!("/.well-known/cloister/attestation?nonce={}&channel=tls-exporter", "11".repeat(32));
    let old = from_appliance(upstream, &path).await;
    let (url, _) = attacker(upstream, Identity::own(), Source::Bytes(old.clone()), None).await;
    let replayed = judge(dir.path(), &url, &[]).await;
    replayed.assert_refused("nonce.match", not_ours);
    assert!(naive::without_nonce(&replayed.document));

    // The same with our nonce written over it.
    let mut document: Document = serde_json::from_slice(&old).expect("a document");
    let honest_nonce = document.nonce;
    document.nonce = Some(Hex(NONCE));
    let bytes = serde_json::to_vec(&document).expect("JSON");
    let (url, _) = attacker(upstream, Identity::own(), Source::Bytes(bytes), None).await;
    let rewritten = judge(dir.path(), &url, &[]).await;
    rewritten.assert_refused("statement.report_data", "report does not speak of this statement and nonce");
    // Who compares the nonce beside the report, and the report with the nonce that it was made for, sees nothing.
    let shown: Document = serde_json::from_slice(&rewritten.document).expect("a document");
    assert_eq!(shown.nonce, Some(Hex(NONCE)));
    let unwritten = Document { nonce: honest_nonce, ..shown };
    assert!(naive::without_nonce(&serde_json::to_vec(&unwritten).expect("JSON")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_14_a_recorded_stream_is_of_no_use() {
    let dir = tempfile::tempdir().expect("a folder");
    let appliance = start(dir.path());
    let upstream = appliance.public_addr();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("https://localhost:{}", listener.local_addr().expect("bound").port());
    tokio::spawn(async move {
        // The first connection is carried and recorded, the others get the record.
        let (mut client, _) = listener.accept().await.expect("accepted");
        let server = TcpStream::connect(upstream).await.expect("the appliance serves");
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.into_split();
        let mut record = Vec::new();
        let there = tokio::io::copy(&mut from_client, &mut to_server);
        let back = async {
            let mut buffer = [0; 16 * 1024];
            while let Ok(n @ 1..) = from_server.read(&mut buffer).await {
                record.extend_from_slice(&buffer[..n]);
                if to_client.write_all(&buffer[..n]).await.is_err() {
                    break;
                }
            }
        };
        tokio::select! { _ = there => (), () = back => () }
        while let Ok((mut client, _)) = listener.accept().await {
            drop(client.write_all(&record).await);
            drop(client.shutdown().await);
        }
    });
    let first = judge(dir.path(), &url, &[]).await;
    assert_eq!(first.code, Some(0), "{:#}", first.report);
    let second = judge(dir.path(), &url, &[]).await;
    assert_eq!((second.code, &second.report["verdict"]), (Some(1), &Value::Null), "{:#}", second.report);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_14_diversion_and_reflection() {
    let (dir, other_dir) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (ours, theirs) = (start(dir.path()), start(other_dir.path()));
    let mine = judge(dir.path(), &ours.url(), &[]).await;
    let document: Document = serde_json::from_slice(&mine.document).expect("a document");
    let pin = document.statement.tls_spki_sha256[0].to_string();
    let pinned = judge(dir.path(), &ours.url(), &["--pin", &pin]).await;
    assert_eq!((pinned.code, pinned.failed()), (Some(0), vec![]), "{:#}", pinned.report);

    // Diversion: the name leads to a genuine appliance of somebody else. All that it says is true.
    let diverted = judge(dir.path(), &theirs.url(), &["--pin", &pin]).await;
    diverted.assert_refused("tls.pin", "the key of this TLS connection is not one that you pinned");
    let unpinned = judge(dir.path(), &theirs.url(), &[]).await;
    assert_eq!((unpinned.code, unpinned.failed()), (Some(0), vec![]), "every rule but the pin accepts it");

    // Reflection: evidence that the verifier's own side would make for this very connection, whose exporter value it
    // knows as well as the peer does. Here the verifier's side is the first appliance.
    let (url, exporter) =
        attacker(ours.public_addr(), Identity::own(), Source::Reflected(Box::new(document)), None).await;
    let reflected = judge(dir.path(), &url, &[]).await;
    reflected.assert_refused("tls.spki", "the key of this TLS connection is not one that the evidence names");
    let channel = exporter.lock().expect("no panic").expect("connected");
    assert!(naive::nonce_and_exporter(&reflected.document, NONCE, channel));
}
