//! `cloister-verify proxy` between clients that nobody here wrote and a real appliance: they work unmodified, survive an
//! appliance that comes back with other keys, and reach nobody else.

#![expect(clippy::disallowed_methods, reason = "tests have no App whose tracker could spawn")]
#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cloister_enclave::access::scope::danger::unauthorized_system;
use cloister_enclave::app::unseal;
use cloister_enclave::clock::{Clock, SystemClock};
use cloister_enclave::config::Config;
use cloister_enclave::store::Collection;
use cloister_protocol::api::{ApiKeyCreated, CreateApiKey};
use cloister_tests::appliance::{Appliance, Options, binaries, checkout};
use cloister_tests::client::{Upload, insecure_connector};
use cloister_tests::{scenario, tools};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

const ALLOW: &str = "--insecure-allow-development-tee";

/// A running proxy, killed at the end.
struct Proxy {
    child: Child,
    addr: SocketAddr,
}

impl Proxy {
    fn start(url: &str, more: &[&str]) -> Self {
        let mut child = Command::new(binaries().expect("built").join("cloister-verify"))
            .args(["proxy", url, "--listen", "127.0.0.1:0", "--json", ALLOW])
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .expect("runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let status: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
        assert_eq!(status["report"]["verdict"], "accepted-development", "{status:#}");
        let addr = status["listening"].as_str().expect("an address").parse().expect("an address");
        Self { child, addr }
    }

    fn base_url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// Sends a request as a plain HTTP client would, with these headers besides.
    async fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, Value) {
        self.begun(method, path, headers, body).await.expect("whole")
    }

    /// The same, where an answer that has begun may break off.
    async fn begun(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> hyper::Result<(u16, Value)> {
        let tcp = TcpStream::connect(self.addr).await.expect("listens");
        let (mut sender, connection) = http1::handshake(TokioIo::new(tcp)).await.expect("HTTP");
        tokio::spawn(connection);
        let mut request = http::Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", self.addr.to_string());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).expect("a request");
        let response = sender.send_request(request).await.expect("answered");
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }

    async fn chat(&self, key: &str, model: &str) -> (u16, Value) {
        self.chat_begun(key, model).await.expect("whole")
    }

    async fn chat_begun(&self, key: &str, model: &str) -> hyper::Result<(u16, Value)> {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        self.begun("POST", "/v1/chat/completions", &headers, &question(model)).await
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

const SECRET: &str = "How many days of paid leave does an employee have?";

/// Few tokens: a tiny model talks until it is stopped.
fn question(model: &str) -> String {
    let messages = json!([{ "role": "user", "content": SECRET }]);
    json!({ "model": model, "messages": messages, "max_tokens": 8 }).to_string()
}

/// An appliance with one document, an assistant's id and an API key.
async fn appliance(dir: &std::path::Path) -> (Appliance, String, String) {
    let mut options = Options::for_checkout(dir.into()).expect("built");
    options.generator = Some(tools::tiny_chat_model(dir).expect("a tiny model"));
    let appliance = Appliance::start(options).expect("starts");
    let session = scenario::enrol_owner(&appliance).await.expect("enrols");
    let workspace = scenario::workspace(&session).await.expect("a workspace");
    let (assistant, _) = scenario::assistant(&session, workspace).await.expect("an assistant");
    let text = b"Leave. Every employee has 27 days of paid leave in each calendar year.";
    let file = Upload { name: "leave.txt", title: Some("Leave"), bytes: text };
    scenario::upload_ready(&session, workspace, &file).await.expect("ready");
    let create = CreateApiKey { name: "proxy".to_owned(), workspace_id: workspace };
    let key: ApiKeyCreated = session.call("/api/v1/api-keys", &create).await.expect("a key");
    (appliance, assistant.id.to_string(), key.secret)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_19_the_unmodified_openai_client_is_a_verified_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let (appliance, assistant, key) = appliance(dir.path()).await;
    let proxy = Proxy::start(&appliance.url(), &[]);
    let python =
        std::env::var("CLOISTER_PYTHON").map_or_else(|_| checkout().join("var/tools/python/bin/python"), PathBuf::from);
    let mut client = Command::new(python);
    client.arg(checkout().join("tests/python/openai_client.py")).args([&proxy.base_url(), &key, &assistant]);
    let output = tokio::task::spawn_blocking(move || client.output().expect("runs")).await.expect("no panic");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));

    let (status, state) = proxy.request("GET", "/", &[], "").await;
    assert_eq!((status, &state["last_verification"]["verdict"]), (200, &json!("accepted-development")));
    assert_eq!(state["last_verification"]["claims"]["binding"], "tls-exporter");
    // Pages in browsers, names that lead here, and other paths.
    for (path, headers, expected) in [
        ("/v1/models", vec![("host", "attacker.example")], 421),
        ("/v1/models", vec![("origin", "https://attacker.example")], 403),
        ("/v1/models", vec![("sec-fetch-site", "cross-site")], 403),
        ("/api/v1/me", vec![], 404),
        ("/.well-known/hpke-keys", vec![], 404),
    ] {
        let (status, body) = proxy.request("GET", path, &headers, "").await;
        assert_eq!(status, expected, "{path} {headers:?}");
        assert_eq!(body["error"]["type"], "invalid_request_error", "{path} {headers:?}");
    }
}

/// Deletes the keys of TLS and of HPKE from the store of a stopped enclave, so that its next start makes others.
async fn make_other_keys(appliance: &Appliance) {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Record {}
    let keyset: Collection<Record> = Collection::new("keyset", 40, 1);
    let config = Config::read(&appliance.data().join("enclave.toml")).expect("its configuration");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = unseal(&config, &clock).expect("the development root key opens it");
    let mut batch = store.scope(&unauthorized_system()).batch();
    batch.delete(&keyset, "tls").delete(&keyset, "hpke");
    batch.commit().await.expect("deleted");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_19_no_request_is_dropped_when_the_appliance_comes_back_with_other_keys() {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut appliance, assistant, key) = appliance(dir.path()).await;
    let proxy = Arc::new(Proxy::start(&appliance.url(), &[]));
    let before = tools::verify(&["appliance", &appliance.url(), ALLOW, "--json"]).expect("runs");
    let enough = CancellationToken::new();
    let (clients, mut answers): (Vec<_>, Vec<_>) = (0..4)
        .map(|_| {
            let (proxy, key, assistant, enough) = (Arc::clone(&proxy), key.clone(), assistant.clone(), enough.clone());
            let (answered, answers) = tokio::sync::watch::channel(());
            let client = tokio::spawn(async move {
                let mut broken_off = 0;
                while !enough.is_cancelled() {
                    // An answer that a killed appliance had begun cannot be ended by anybody else: its client sees
                    // that it broke off. At most one of a client can be under way at each of the three restarts.
                    let Ok((status, body)) = proxy.chat_begun(&key, &assistant).await else {
                        broken_off += 1;
                        assert!(broken_off <= 3, "answers break off without a restart");
                        continue;
                    };
                    assert_eq!(status, 200, "{body:#}");
                    answered.send_replace(());
                }
            });
            (client, answers)
        })
        .unzip();
    for other_keys in [false, true, true] {
        appliance.kill_enclave().expect("killed, with requests under way");
        if other_keys {
            make_other_keys(&appliance).await;
        }
        appliance.restart_enclave().expect("serves again");
        // Twice each: the first answer may be to a request from before. So no request meets more than one restart.
        for _ in 0..2 {
            for client in &mut answers {
                client.changed().await.expect("every request is answered");
            }
        }
    }
    enough.cancel();
    for client in clients {
        client.await.expect("every request was answered");
    }
    let after = tools::verify(&["appliance", &appliance.url(), ALLOW, "--json"]).expect("runs");
    let keys = |output: &std::process::Output| -> Value {
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        json!([report["claims"]["statement"]["tls_spki_sha256"], report["claims"]["statement"]["hpke_keys"]])
    };
    assert_ne!(keys(&before), keys(&after), "the keys are others");
}

/// Carries connections as they are or, once told, ends TLS with a key of its own and records what it then sees.
struct Switch {
    url: String,
    hostile: Arc<AtomicBool>,
    cut: Arc<Mutex<CancellationToken>>,
    record: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Switch {
    async fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("https://localhost:{}", listener.local_addr().expect("bound").port());
        let this = Self { url, hostile: Arc::default(), cut: Arc::default(), record: Arc::default() };
        let (hostile, cut, record) = (Arc::clone(&this.hostile), Arc::clone(&this.cut), Arc::clone(&this.record));
        let acceptor = acceptor();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, record) = (acceptor.clone(), Arc::clone(&record));
                let (is_hostile, cut) = (hostile.load(Ordering::SeqCst), cut.lock().expect("no panic").clone());
                tokio::spawn(async move {
                    let enclave = TcpStream::connect(upstream).await.expect("the appliance serves");
                    let carried = async {
                        if !is_hostile {
                            carry(client, enclave).await;
                            return;
                        }
                        let client = acceptor.accept(client).await.expect("TLS");
                        let mut connector = insecure_connector();
                        let mut config = connector.config().as_ref().clone();
                        config.alpn_protocols = vec![b"h2".to_vec()];
                        connector = Arc::new(config).into();
                        let name = ServerName::try_from("localhost").expect("a name");
                        let enclave = connector.connect(name, enclave).await.expect("TLS");
                        let seen = carry(client, enclave).await;
                        record.lock().expect("no panic").push(seen);
                    };
                    tokio::select! { () = carried => (), () = cut.cancelled() => () }
                });
            }
        });
        this
    }

    /// From now on the attacker is in between, on new connections; there are no old ones.
    fn attack(&self) {
        self.hostile.store(true, Ordering::SeqCst);
        let old = std::mem::take(&mut *self.cut.lock().expect("no panic"));
        old.cancel();
    }
}

fn acceptor() -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ring has TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a key with its certificate");
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// Carries both ways until one side ends; what the client sent.
async fn carry(client: impl AsyncRead + AsyncWrite, enclave: impl AsyncRead + AsyncWrite) -> Vec<u8> {
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_enclave, mut to_enclave) = tokio::io::split(enclave);
    let mut seen = Vec::new();
    let there = async {
        let mut buffer = [0; 16 * 1024];
        while let Ok(n @ 1..) = from_client.read(&mut buffer).await {
            seen.extend_from_slice(&buffer[..n]);
            if to_enclave.write_all(&buffer[..n]).await.is_err() || to_enclave.flush().await.is_err() {
                break;
            }
        }
    };
    tokio::select! { () = there => (), _ = tokio::io::copy(&mut from_enclave, &mut to_client) => () }
    seen
}

/// The types of the HTTP/2 frames that a client sent after its preface (RFC 9113, sections 3.4 and 4.1).
fn frame_types(sent: &[u8]) -> Vec<u8> {
    let mut rest = sent.strip_prefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("the preface");
    let mut types = Vec::new();
    while let [a, b, c, kind, ..] = *rest {
        types.push(kind);
        let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).expect("24 bits");
        rest = rest.get(9 + length..).unwrap_or_default();
    }
    types
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_19_an_appliance_that_is_refused_gets_nothing_of_a_request() {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    let dir = tempfile::tempdir().expect("a folder");
    let (appliance, assistant, key) = appliance(dir.path()).await;
    let switch = Switch::start(appliance.public_addr()).await;
    let proxy = Proxy::start(&switch.url, &[]);
    assert_eq!(proxy.chat(&key, &assistant).await.0, 200, "undisturbed");

    switch.attack();
    let (status, body) = proxy.chat(&key, &assistant).await;
    assert_eq!(status, 502, "{body:#}");
    let error = &body["error"];
    assert_eq!((&error["code"], &error["check"]), (&json!("appliance_not_verified"), &json!("channel.match")));
    assert_eq!(error["fix"], "ask for evidence over the connection that you want to use");
    let (status, state) = proxy.request("GET", "/", &[], "").await;
    assert_eq!((status, &state["last_verification"]["verdict"]), (200, &json!("rejected")));

    drop(proxy);
    let recorded = async {
        loop {
            let record = std::mem::take(&mut *switch.record.lock().expect("no panic"));
            if !record.is_empty() {
                return record;
            }
            tokio::task::yield_now().await;
        }
    };
    for sent in tokio::time::timeout(std::time::Duration::from_secs(10), recorded).await.expect("recorded") {
        let types = frame_types(&sent);
        assert_eq!(types.iter().filter(|kind| **kind == HEADERS).count(), 1, "one request: that for evidence");
        assert!(!types.contains(&DATA), "and no body");
        for secret in [SECRET, &key, &assistant] {
            assert!(!sent.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} passed");
        }
    }
}
