//! Evidence over real connections: what a native client asks for after the handshake.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod support;

use std::sync::Arc;

use cloister_attestation::encoding::{Hex, sha256};
use cloister_attestation::verify::{Expectations, Trust, verify};
use cloister_enclave::app::AppState;
use cloister_enclave::config::ProxyHeader;
use cloister_enclave::router::router;
use cloister_enclave::serve::Server;
use support::tls_client::{TlsStream, connect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const NONCE: [u8; 32] = [0x5a; 32];

async fn start(state: &AppState) -> std::net::SocketAddr {
    let server = Server::bind(state.config.listen).await.unwrap();
    let address = server.local_addr();
    let (tls, limits) = (Arc::clone(&state.tls), state.config.limits.clone());
    state.tracker.spawn(server.run(router(state), tls, limits, ProxyHeader::Refused, state.stopping.clone()));
    address
}

/// The status line and the body.
async fn get(stream: &mut TlsStream<TcpStream>, path: &str) -> (String, Vec<u8>) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let body = answer.split_off(end + 4);
    (String::from_utf8(answer).unwrap().lines().next().unwrap().to_owned(), body)
}

fn exporter(stream: &TlsStream<TcpStream>) -> Hex<32> {
    let value = stream.get_ref().1.export_keying_material([0; 32], b"EXPORTER-cloister-attestation", Some(&NONCE));
    sha256(&value.unwrap())
}

#[tokio::test]
async fn s0_14_a_bound_document_is_good_on_its_own_connection_only() {
    let dir = tempfile::tempdir().unwrap();
    let state = support::app(dir.path(), &[]).await;
    let address = start(&state).await;
    let path = format!("/.well-known/cloister/attestation?nonce={}&channel=tls-exporter", hex::encode(NONCE));
    let mut stream = connect(address).await.unwrap();
    let here = Expectations { nonce: Some(NONCE), channel: Some(exporter(&stream)) };
    let elsewhere = Expectations { nonce: Some(NONCE), channel: Some(exporter(&connect(address).await.unwrap())) };
    let (status, document) = get(&mut stream, &path).await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    let evidence = verify(&document, &here, &Trust::pinned(), support::NOW_MS).unwrap();
    // The key that the connection was made with is the attested one.
    let certificate = stream.get_ref().1.peer_certificates().unwrap().first().unwrap();
    let key = rustls::server::ParsedCertificate::try_from(certificate).unwrap().subject_public_key_info();
    assert_eq!(evidence.statement().tls_spki_sha256, [sha256(&key)]);
    assert!(verify(&document, &elsewhere, &Trust::pinned(), support::NOW_MS).is_err(), "relayed evidence is refused");
    state.stopping.cancel();
}

#[tokio::test]
async fn s0_14_a_binding_needs_a_nonce_and_a_known_name() {
    let dir = tempfile::tempdir().unwrap();
    let state = support::app(dir.path(), &[]).await;
    let address = start(&state).await;
    let nonce = hex::encode(NONCE);
    for query in ["channel=tls-exporter".to_owned(), format!("nonce={nonce}&channel=tls-unique")] {
        let mut stream = connect(address).await.unwrap();
        let (status, _) = get(&mut stream, &format!("/.well-known/cloister/attestation?{query}")).await;
        assert_eq!(status, "HTTP/1.1 400 Bad Request", "{query}");
    }
    state.stopping.cancel();
}

#[tokio::test]
async fn s0_14_no_connection_continues_another_one() {
    let dir = tempfile::tempdir().unwrap();
    let state = support::app(dir.path(), &[]).await;
    let address = start(&state).await;
    // A client that would resume if it could: it keeps what the server gives it.
    let config = support::tls_client::client(cloister_enclave::serve::tls::provider(), &[b"http/1.1"]);
    for _ in 0..2 {
        let tcp = TcpStream::connect(address).await.unwrap();
        let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
        let mut stream = tokio_rustls::TlsConnector::from(Arc::clone(&config)).connect(name, tcp).await.unwrap();
        let (status, _) = get(&mut stream, "/.well-known/hpke-keys").await;
        assert_eq!(status, "HTTP/1.1 200 OK");
        assert_ne!(stream.get_ref().1.handshake_kind(), Some(rustls::HandshakeKind::Resumed));
        assert_eq!(stream.get_ref().1.tls13_tickets_received(), 0);
    }
    state.stopping.cancel();
}
