//! A small HTTPS server with a key of its own, in the place of an appliance.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use cloister_attestation::encoding::{Digest, sha256};
use rcgen::{CertifiedKey, PublicKeyData as _};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// What the server answers where it differs from an honest appliance.
#[derive(Clone)]
pub(crate) struct Answers {
    /// The HPKE key that it publishes.
    pub(crate) hpke_key: [u8; 32],
    /// What comes after it.
    pub(crate) hpke_suffix: Vec<u8>,
    /// The nonce that the document is made for, if not the one that is asked for.
    pub(crate) nonce: Option<Option<[u8; 32]>>,
    /// What the document says of the connection: the truth, or this.
    pub(crate) channel: Option<Option<Digest>>,
    /// Other bytes in the place of the document.
    pub(crate) document: Option<Vec<u8>>,
    /// The status of every answer.
    pub(crate) status: u16,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            hpke_key: [0; 32],
            hpke_suffix: vec![0, 4, 0, 1, 0, 2],
            nonce: None,
            channel: None,
            document: None,
            status: 200,
        }
    }
}

/// A TLS key and its certificate.
pub(crate) struct Identity {
    /// DER of the public key.
    pub(crate) spki: Vec<u8>,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

/// Makes a self-signed certificate.
pub(crate) fn identity() -> Identity {
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    Identity { spki: signing_key.subject_public_key_info(), certificate: cert.der().clone(), key }
}

/// A running server; its thread ends with the test.
pub(crate) struct Server {
    pub(crate) url: String,
}

impl Server {
    /// Serves documents made for the nonce of each request, and for its connection if it asks for that.
    pub(crate) fn start(
        identity: Identity,
        answers: Answers,
        document: impl Fn(Option<[u8; 32]>, Option<Digest>) -> Vec<u8> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![identity.certificate], identity.key)
            .unwrap();
        let config = Arc::new(config);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                serve(StreamOwned::new(connection, stream.unwrap()), &answers, &document);
            }
        });
        Self { url }
    }
}

fn serve(
    mut stream: StreamOwned<ServerConnection, TcpStream>,
    answers: &Answers,
    document: &impl Fn(Option<[u8; 32]>, Option<Digest>) -> Vec<u8>,
) {
    while let Some(path) = read_path(&mut stream) {
        let body = if path == "/.well-known/hpke-keys" {
            [&[0, 0, 0x20], answers.hpke_key.as_slice(), &answers.hpke_suffix].concat()
        } else {
            let asked =
                path.strip_prefix("/.well-known/cloister/attestation?nonce=").expect("the path of the document");
            let (asked, bound) = match asked.strip_suffix("&channel=tls-exporter") {
                Some(nonce) => (nonce, true),
                None => (asked, false),
            };
            let asked: [u8; 32] = hex::decode(asked).unwrap().try_into().unwrap();
            let label = b"EXPORTER-cloister-attestation";
            let value = stream.conn.export_keying_material([0; 32], label, Some(&asked)).unwrap();
            let channel = answers.channel.unwrap_or_else(|| bound.then(|| sha256(&value)));
            answers.document.clone().unwrap_or_else(|| document(answers.nonce.unwrap_or(Some(asked)), channel))
        };
        let head = format!("HTTP/1.1 {} -\r\ncontent-length: {}\r\n\r\n", answers.status, body.len());
        let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        if sent.and_then(|()| stream.flush()).is_err() {
            return;
        }
    }
}

/// Reads a request without a body up to its blank line.
fn read_path(stream: &mut impl std::io::Read) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    String::from_utf8(head).unwrap().split(' ').nth(1).map(ToOwned::to_owned)
}

/// The address of something that speaks no TLS.
pub(crate) fn no_tls() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    url
}
