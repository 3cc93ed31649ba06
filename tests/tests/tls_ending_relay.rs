//! A relay with a certificate of its own that ends TLS and sees every byte in clear: what the host can always do.
//!
//! A native client notices at once. A page cannot, and does not have to: what passes is encrypted to an attested key and
//! signed under a key that never passes. The test records everything and then tries to use it. It fails if the
//! record holds a plaintext, or if any part of it, repeated, redirected or put around something else, is accepted.

#![expect(clippy::disallowed_methods, reason = "tests have no App whose tracker could spawn")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use cloister_protocol::api::{CreateWorkspace, Me, Workspace};
use cloister_tests::appliance::{Appliance, Options};
use cloister_tests::client::{Channel, Error, Trust, insecure_connector};
use cloister_tests::scenario::{self, OWNER, PASSWORD, now_ms};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// The plaintext of TLS on one connection, which carries one request.
#[derive(Debug, Default, Clone)]
struct Exchange {
    request: Vec<u8>,
    response: Vec<u8>,
}

type Record = Arc<Mutex<Vec<Exchange>>>;

/// A self-signed certificate for `localhost`, as good as one that the host got for the real name.
fn acceptor() -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ring has TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a key with its certificate");
    TlsAcceptor::from(Arc::new(config))
}

async fn relay(upstream: SocketAddr, record: Record) -> SocketAddr {
    let (listener, acceptor) = (TcpListener::bind("127.0.0.1:0").await.expect("a port"), acceptor());
    let addr = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (acceptor, record) = (acceptor.clone(), Arc::clone(&record));
            tokio::spawn(async move {
                let Ok(client) = acceptor.accept(client).await else { return };
                let Ok(enclave) = connect(upstream).await else { return };
                let (from_client, to_client) = tokio::io::split(client);
                let (from_enclave, to_enclave) = tokio::io::split(enclave);
                let (request, response) = tokio::join!(carry(from_client, to_enclave), carry(from_enclave, to_client));
                record.lock().expect("no panic").push(Exchange { request, response });
            });
        }
    });
    addr
}

async fn connect(upstream: SocketAddr) -> std::io::Result<impl AsyncRead + AsyncWrite> {
    let name = ServerName::try_from("localhost").expect("a name");
    insecure_connector().connect(name, TcpStream::connect(upstream).await?).await
}

/// Copies until the end and returns what it saw.
async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> Vec<u8> {
    let (mut seen, mut buffer) = (Vec::new(), vec![0; 16 * 1024]);
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        let bytes = buffer.get(..n).expect("read says how much it read");
        seen.extend_from_slice(bytes);
        if to.write_all(bytes).await.is_err() || to.flush().await.is_err() {
            break;
        }
    }
    // An end without close_notify is an end all the same.
    drop(to.shutdown().await);
    seen
}

/// Sends recorded or altered bytes to the appliance and returns the status of the answer.
async fn replay(upstream: SocketAddr, request: &[u8]) -> u16 {
    let mut stream = connect(upstream).await.expect("the appliance serves");
    stream.write_all(request).await.expect("sent");
    stream.flush().await.expect("sent");
    let mut head = Vec::new();
    while !head.windows(2).any(|w| w == b"\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return 0,
        }
    }
    let line = String::from_utf8_lossy(&head).into_owned();
    line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// The recorded request with another text in its head.
fn altered(request: &[u8], from: &str, to: &str) -> Vec<u8> {
    let end = request.windows(4).position(|w| w == b"\r\n\r\n").expect("a head");
    let (head, body) = request.split_at(end);
    let head = String::from_utf8(head.to_vec()).expect("ASCII");
    assert!(head.contains(from), "{from} is not in the recorded head");
    [head.replacen(from, to, 1).into_bytes(), body.to_vec()].concat()
}

fn sent_to(record: &Record, path: &str) -> Exchange {
    let line = format!("POST {path} HTTP/1.1\r\n");
    let record = record.lock().expect("no panic");
    record.iter().rev().find(|e| e.request.starts_with(line.as_bytes())).expect("recorded").clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_09_a_relay_that_ends_tls_gains_nothing_from_what_it_sees() {
    let dir = tempfile::tempdir().expect("a folder");
    let appliance = Appliance::start(Options::for_checkout(dir.path().into()).expect("built")).expect("starts");
    let upstream = appliance.public_addr();
    let undisturbed = scenario::enrol_owner(&appliance).await.expect("enrols");
    let record = Record::default();
    let url = format!("https://localhost:{}", relay(upstream, Arc::clone(&record)).await.port());

    // A native client refuses before it says anything.
    let native = Channel::open(&url, Trust::DevelopmentAllowed, now_ms()).await;
    assert!(matches!(native, Err(Error::NotVerified(_))), "the relay's key is not in the evidence");

    // A page works through it and does not know.
    let page =
        Channel::open_like_a_page(&url, Trust::DevelopmentAllowed, now_ms()).await.expect("the evidence is true");
    let session = page.login(OWNER, PASSWORD, now_ms).await.expect("logs in");
    let secret = "Project Halcyon, the merger";
    let request = CreateWorkspace { name: secret.to_owned() };
    let made: Workspace = session.call("/api/v1/workspaces", &request).await.expect("made");
    assert_eq!(made.name, secret);
    let me: Me = session.read("/api/v1/me").await.expect("answered");
    assert!(me.workspaces.iter().any(|w| w.name == secret));

    let all: Vec<u8> = record
        .lock()
        .expect("no panic")
        .iter()
        .flat_map(|e| [e.request.clone(), e.response.clone()].concat())
        .collect();
    assert!(holds(&all, session.who.session.as_bytes()), "the session's name does pass");
    for plaintext in [secret, OWNER, PASSWORD, "start_login_request", "org_name"] {
        assert!(!holds(&all, plaintext.as_bytes()), "{plaintext} passed in clear");
    }

    let seen = sent_to(&record, "/api/v1/workspaces").request;
    assert_eq!(replay(upstream, &seen).await, 409, "repeated");
    let me_request = sent_to(&record, "/api/v1/me").request;
    for (from, to) in [
        ("POST /api/v1/me", "POST /api/v1/logout"),
        ("POST /api/v1/me ", "POST /api/v1/me?x=1 "),
        ("nonce=\"", "nonce=\"A"),
        ("created=", "created=1"),
        ("ehbp-encapsulated-key: ", "ehbp-encapsulated-key: 00"),
    ] {
        assert_eq!(replay(upstream, &altered(&me_request, from, to)).await, 401, "{from} became {to}");
    }
    // The name of the session as a bearer token, and no signature at all.
    let bare = format!(
        "POST /api/v1/me HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: 2\r\n\r\n{{}}",
        session.who.session
    );
    assert_eq!(replay(upstream, bare.as_bytes()).await, 401);
    // A login as it was seen cannot be had again: its id is used up, and the body was seen before.
    let finish = sent_to(&record, "/api/v1/auth/opaque/login/finish").request;
    assert_eq!(replay(upstream, &finish).await, 409);

    let list: Me = undisturbed.read("/api/v1/me").await.expect("the other session goes on");
    assert_eq!(list.workspaces.iter().filter(|w| w.name == secret).count(), 1, "nothing was done twice");
    session.read::<Me>("/api/v1/me").await.expect("and so does this one");
}
