//! Real sockets: TLS, HTTP framing, slow and silent clients, and the orderly end.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests stop at the first surprise")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use bytes::Bytes;
use cloister_enclave::config::{Limits, Listen, ProxyHeader};
use cloister_enclave::serve::{Drained, Peer, Server, proxy, tls};
use proptest::prelude::*;
use rustls::{ClientConfig, NamedGroup, ProtocolVersion};
use rustls_pki_types::PrivatePkcs8KeyDer;
use support::tls_client::client;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

struct Running {
    address: SocketAddr,
    stopping: CancellationToken,
    task: JoinHandle<Drained>,
}

impl Running {
    async fn stop(self) -> Drained {
        self.stopping.cancel();
        self.task.await.unwrap()
    }

    async fn connect(&self) -> TlsStream<TcpStream> {
        self.connect_with(client(tls::provider(), &[b"http/1.1"])).await.unwrap()
    }

    async fn connect_with(&self, config: Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        TlsConnector::from(config).connect("localhost".try_into().unwrap(), stream).await
    }

    /// Sends raw bytes and reads to the end of the connection.
    async fn exchange(&self, request: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request).await.unwrap();
        read_to_end(&mut stream).await
    }
}

async fn read_to_end(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut answer = Vec::new();
    // A connection that is cut without a TLS farewell is an error after the bytes that came.
    stream.read_to_end(&mut answer).await.ok();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Reads an HTTP/1.1 response with a Content-Length.
async fn read_response(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> String {
    let mut text = String::new();
    loop {
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).await.unwrap();
        assert_ne!(read, 0, "the connection ended after {text:?}");
        text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|l| l.strip_prefix("content-length: ")).map_or(0, |l| l.parse().unwrap());
            if body.len() >= length {
                return text;
            }
        }
    }
}

fn routes() -> Router {
    Router::new()
        .route("/hello", get(|| async { "hello" }))
        .route("/echo", post(|body: Bytes| async move { body }))
        .route("/peer", get(|axum::Extension(peer): axum::Extension<Peer>| async move { format!("{:?}", peer.hint) }))
        .route("/large", get(|| async { vec![b'x'; 64 << 20] }))
        .route(
            "/endless",
            get(|| async {
                let beats = futures::stream::unfold((), |()| async {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    Some((Ok::<_, std::io::Error>(Bytes::from_static(b"data: beat\n\n")), ()))
                });
                axum::body::Body::from_stream(beats)
            }),
        )
}

async fn start(change: impl FnOnce(&mut Limits), proxy_header: ProxyHeader) -> Running {
    let dir = tempfile::tempdir().unwrap();
    let mut limits = support::config(dir.path(), &[]).limits;
    change(&mut limits);
    let key = rcgen::KeyPair::generate().unwrap().serialize_der();
    let tls = tls::server_config(&PrivatePkcs8KeyDer::from(key), "localhost", &[]).unwrap().config;
    let server = Server::bind(Listen::Tcp("127.0.0.1:0".parse().unwrap())).await.unwrap();
    let (address, stopping) = (server.local_addr(), CancellationToken::new());
    #[expect(clippy::disallowed_methods, reason = "a test has no App to track its tasks")]
    let task = tokio::spawn(server.run(routes(), tls, limits, proxy_header, stopping.clone()));
    Running { address, stopping, task }
}

async fn usual() -> Running {
    start(|_| {}, ProxyHeader::Refused).await
}

const HELLO: &[u8] = b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n";
const HELLO_CLOSE: &[u8] = b"GET /hello HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn s0_02_post_quantum_hybrid_is_preferred() {
    let running = usual().await;
    let stream = running.connect().await;
    let session = stream.get_ref().1;
    assert_eq!(session.negotiated_key_exchange_group().unwrap().name(), NamedGroup::X25519MLKEM768);
    assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_3));
}

#[tokio::test]
async fn s0_02_clients_without_it_get_x25519() {
    let running = usual().await;
    let stream = running.connect_with(client(rustls::crypto::ring::default_provider(), &[b"h2"])).await.unwrap();
    assert_eq!(stream.get_ref().1.negotiated_key_exchange_group().unwrap().name(), NamedGroup::X25519);
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
}

#[tokio::test]
async fn s0_02_a_flipped_key_share_fails_closed() {
    use cloister_enclave::serve::kx::X25519_MLKEM768;
    let client = X25519_MLKEM768.start().unwrap();
    let mut share = client.pub_key().to_vec();
    assert_eq!(share.len(), 1184 + 32);
    let server = X25519_MLKEM768.start_and_complete(&share).unwrap();
    assert_eq!(server.pub_key.len(), 1088 + 32);
    assert_eq!(client.complete(&server.pub_key).unwrap().secret_bytes(), server.secret.secret_bytes());
    assert_eq!(server.secret.secret_bytes().len(), 64);
    for length in [0, 31, 1184, 1215, 1217] {
        share.resize(length, 0);
        assert!(X25519_MLKEM768.start_and_complete(&share).is_err(), "{length}");
    }
    // Coefficients of 4095 are not below q = 3329: the modulus check of FIPS 203, 7.2.
    let unreduced = [vec![0xff; 1184], vec![9; 32]].concat();
    assert!(X25519_MLKEM768.start_and_complete(&unreduced).is_err());
    let client = X25519_MLKEM768.start().unwrap();
    let mut answer = X25519_MLKEM768.start_and_complete(client.pub_key()).unwrap();
    answer.pub_key[100] ^= 1;
    let implicit_rejection = client.complete(&answer.pub_key).unwrap();
    assert_ne!(implicit_rejection.secret_bytes(), answer.secret.secret_bytes());
}

#[tokio::test]
async fn s0_02_tls_1_2_is_refused_by_an_independent_client() {
    let running = usual().await;
    let attempt = |version: &'static str| {
        let address = running.address.to_string();
        tokio::process::Command::new("openssl")
            .args(["s_client", "-connect", &address, version])
            .stdin(std::process::Stdio::null())
            .output()
    };
    let old = attempt("-tls1_2").await.unwrap();
    assert!(String::from_utf8_lossy(&old.stderr).contains("alert protocol version"), "{old:?}");
    let new = attempt("-tls1_3").await.unwrap();
    assert!(String::from_utf8_lossy(&new.stdout).contains("New, TLSv1.3"), "{new:?}");
    assert!(String::from_utf8_lossy(&new.stdout).contains("Early data was not sent"));
}

#[tokio::test]
async fn garbage_instead_of_tls_ends_the_connection_and_nothing_else() {
    let running = usual().await;
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 2000], &[0xff; 20_000], &[0x16, 3, 1, 0xff, 0xff]] {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(garbage).await.ok();
        stream.shutdown().await.ok();
        read_to_end(&mut stream).await;
    }
    assert!(running.exchange(HELLO_CLOSE).await.ends_with("hello"));
}

#[tokio::test]
async fn a_client_that_does_not_shake_hands_is_dropped() {
    let running = start(|limits| limits.handshake = Duration::from_millis(100), ProxyHeader::Refused).await;
    let mut silent = TcpStream::connect(running.address).await.unwrap();
    assert_eq!(silent.read(&mut [0; 1]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_head_that_trickles_in_is_dropped() {
    let running = start(|limits| limits.header_read = Duration::from_millis(200), ProxyHeader::Refused).await;
    let mut stream = running.connect().await;
    let mut answer = Vec::new();
    for byte in HELLO.iter().cycle() {
        let sent = stream.write_all(&[*byte]).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut buffer = [0; 256];
        match tokio::time::timeout(Duration::from_millis(1), stream.read(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => break,
            Ok(Ok(read)) => answer.extend_from_slice(&buffer[..read]),
            Err(_) if sent.is_err() => break,
            Err(_) => assert!(answer.is_empty()),
        }
    }
    assert!(!String::from_utf8_lossy(&answer).contains("hello"));
}

#[tokio::test]
async fn an_idle_connection_is_closed_for_http2_too() {
    let running = start(
        |limits| {
            limits.idle = Duration::from_millis(100);
            limits.write_stall = Duration::from_millis(100);
        },
        ProxyHeader::Refused,
    )
    .await;
    for alpn in [&b"h2"[..], b"http/1.1"] {
        let mut stream = running.connect_with(client(tls::provider(), &[alpn])).await.unwrap();
        tokio::time::timeout(Duration::from_secs(5), read_to_end(&mut stream)).await.expect("closed by the server");
    }
}

#[tokio::test]
async fn a_client_that_stops_reading_is_cut() {
    let running = start(|limits| limits.write_stall = Duration::from_millis(200), ProxyHeader::Refused).await;
    let mut stream = running.connect().await;
    stream.write_all(b"GET /endless HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut large = running.connect().await;
    large.write_all(b"GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    // The one that reads goes on, the one that does not is over: when stopping, only the first is left to cut.
    let mut buffer = [0; 4096];
    let started = std::time::Instant::now();
    while started.elapsed() < Duration::from_secs(1) {
        assert_ne!(stream.read(&mut buffer).await.unwrap(), 0);
    }
    let rest = read_to_end(&mut large).await;
    assert!(rest.len() < 64 << 20, "the whole answer came");
}

#[tokio::test]
async fn a_thousand_idle_connections_do_not_keep_another_from_being_served() {
    let running = usual().await;
    let mut idle = Vec::new();
    for _ in 0..1000 {
        idle.push(TcpStream::connect(running.address).await.unwrap());
    }
    for _ in 0..20 {
        idle.push(running.connect().await.into_inner().0);
    }
    let answer = tokio::time::timeout(Duration::from_secs(5), running.exchange(HELLO_CLOSE)).await.unwrap();
    assert!(answer.ends_with("hello"));
}

#[tokio::test]
async fn heads_over_the_limits_are_refused() {
    let running = usual().await;
    let many = format!("GET /hello HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(200));
    let long = format!("GET /hello HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "y".repeat(40_000));
    for request in [many, long] {
        let answer = running.exchange(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
}

#[tokio::test]
async fn http_smuggling_shapes_are_refused() {
    let running = usual().await;
    let shapes: [&[u8]; 8] = [
        b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: +5\r\n\r\nhello",
        b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 5, 6\r\n\r\nhello",
        b"POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n",
        b"POST /echo HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /hello HTTP/1.1\r\nhost: a\r\n folded: x\r\n\r\n",
        b"GET /hello HTTP/1.1\r\nhost: a\r\nx: a\0b\r\n\r\n",
    ];
    for shape in shapes {
        let answer = running.exchange(shape).await;
        assert!(
            answer.starts_with("HTTP/1.1 400") || answer.is_empty(),
            "{:?}: {answer}",
            String::from_utf8_lossy(shape)
        );
    }
    // RFC 9112, 6.1: with both, the length is void, and the connection is not used for a second request.
    let both = b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /hello HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let answer = running.exchange(both).await;
    assert!(answer.matches("HTTP/1.1").count() <= 2 && !answer.contains("0\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn chunks_that_lie_end_the_request() {
    let running = usual().await;
    for chunks in ["zz\r\nhello\r\n0\r\n\r\n", "5\r\nhelloX\r\n0\r\n\r\n", "fffffffffffffffff\r\n"] {
        let request = format!("POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{chunks}");
        let answer = running.exchange(request.as_bytes()).await;
        assert!(!answer.starts_with("HTTP/1.1 200"), "{chunks:?}: {answer}");
    }
}

#[tokio::test]
async fn the_proxy_header_is_a_hint_and_must_be_whole() {
    let running = start(|limits| limits.handshake = Duration::from_millis(500), ProxyHeader::Required).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend([192, 0, 2, 7, 127, 0, 0, 1, 1, 2, 3, 4]);
    stream.write_all(&header).await.unwrap();
    let config = client(tls::provider(), &[b"http/1.1"]);
    let mut stream = TlsConnector::from(config).connect("localhost".try_into().unwrap(), stream).await.unwrap();
    stream.write_all(b"GET /peer HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(read_to_end(&mut stream).await.ends_with("Some(192.0.2.7)"));
    assert!(running.connect_with(client(tls::provider(), &[])).await.is_err(), "TLS without the header");
    let mut cut = TcpStream::connect(running.address).await.unwrap();
    cut.write_all(&header[..20]).await.unwrap();
    assert_eq!(cut.read(&mut [0; 1]).await.unwrap_or(0), 0);
}

proptest! {
    #[test]
    fn no_proxy_header_makes_it_panic(mut head in any::<[u8; 16]>(), is_signed: bool, payload in proptest::collection::vec(any::<u8>(), 0..600)) {
        if is_signed {
            head[..12].copy_from_slice(b"\r\n\r\n\0\r\nQUIT\n");
        }
        if let Ok(head) = proxy::Head::parse(&head) {
            prop_assert!(head.payload_bytes() <= 536);
            let _ = head.source(&payload);
        }
    }
}

#[tokio::test]
async fn stopping_finishes_what_is_under_way_and_closes_what_is_idle() {
    let running = usual().await;
    let mut idle = running.connect().await;
    idle.write_all(HELLO).await.unwrap();
    read_response(&mut idle).await;
    let mut busy = running.connect().await;
    let head = b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n";
    busy.write_all(head).await.unwrap();
    // The interim response proves that the handler is reading the body.
    let mut interim = [0; 25];
    busy.read_exact(&mut interim).await.unwrap();
    assert!(interim.starts_with(b"HTTP/1.1 100"));
    let address = running.address;
    running.stopping.cancel();
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap_or(0), 0, "the idle connection is closed");
    busy.write_all(b"hello").await.unwrap();
    assert!(read_to_end(&mut busy).await.ends_with("hello"));
    assert_eq!(running.task.await.unwrap(), Drained::Cleanly);
    assert!(TcpStream::connect(address).await.is_err(), "nothing listens any more");
}

#[tokio::test]
async fn stopping_cuts_what_does_not_end_at_the_deadline() {
    let running = start(|limits| limits.drain = Duration::from_millis(100), ProxyHeader::Refused).await;
    let mut stream = running.connect().await;
    stream.write_all(b"GET /endless HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    stream.read_exact(&mut [0; 100]).await.unwrap();
    assert_eq!(running.stop().await, Drained::Cut);
}
