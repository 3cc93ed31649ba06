//! A server that plays AMD or Intel: HTTPS under a certificate of its own, with the answers that a test wants.
//!
//! One request a connection, one connection after the other, on a thread. Dropping it closes the port.

pub mod pcs;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// What is answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// For example `200 OK`.
    pub status: &'static str,
    /// A header line, or none.
    pub header: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Status 200 with this body.
    #[must_use]
    pub const fn ok(body: Vec<u8>) -> Self {
        Self { status: "200 OK", header: None, body }
    }

    /// Another status, without a body.
    #[must_use]
    pub const fn status(status: &'static str) -> Self {
        Self { status, header: None, body: Vec::new() }
    }
}

/// Answers by path and query.
pub type Answers = Box<dyn Fn(&str) -> Answer + Send>;

/// The server's name on the network: a key, and a certificate for `localhost`.
pub struct Identity {
    config: Arc<ServerConfig>,
    /// The certificate, PEM, for those who shall trust it.
    pub certificate_pem: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(localhost)")
    }
}

impl Identity {
    /// A new one.
    ///
    /// # Errors
    /// If keys cannot be made.
    pub fn new() -> anyhow::Result<Self> {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()])?.self_signed(&key)?;
        let certificate_pem = certificate.pem();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.into()], key)?;
        Ok(Self { config: Arc::new(config), certificate_pem })
    }
}

/// A running server.
pub struct Publisher {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    answers: Mutex<Answers>,
    asked: Mutex<Vec<String>>,
    stop: AtomicBool,
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Publisher {
    /// Serves at `address`.
    ///
    /// # Errors
    /// If the port is taken.
    pub fn start(identity: &Identity, address: SocketAddr, answers: Answers) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).context("the publisher's port")?;
        let shared = Shared { answers: Mutex::new(answers), asked: Mutex::default(), stop: AtomicBool::new(false) };
        let (shared, config) = (Arc::new(shared), Arc::clone(&identity.config));
        let own = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                if own.stop.load(Ordering::SeqCst) {
                    return;
                }
                // A client that hangs up, say over a body too large for it, is what some tests want.
                own.serve(connection, &config).ok();
            }
        });
        Ok(Self { address, shared, thread: Some(thread) })
    }

    /// Answers otherwise from now on.
    pub fn answer(&self, answers: Answers) {
        *self.shared.answers.lock().unwrap_or_else(PoisonError::into_inner) = answers;
    }

    /// What was asked for so far, path and query.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes the thread, which then lets go of the port.
        TcpStream::connect(self.address).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl Shared {
    fn serve(&self, connection: TcpStream, config: &Arc<ServerConfig>) -> anyhow::Result<()> {
        connection.set_read_timeout(Some(Duration::from_secs(10)))?;
        connection.set_write_timeout(Some(Duration::from_secs(10)))?;
        let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(config))?, connection);
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") && head.len() < 16 * 1024 {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.extend(byte);
        }
        let head = String::from_utf8(head)?;
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
        let answer = self.answers.lock().unwrap_or_else(PoisonError::into_inner)(&path);
        let header = answer.header.map(|line| format!("{line}\r\n")).unwrap_or_default();
        write!(stream, "HTTP/1.1 {}\r\nContent-Length: {}\r\n{header}\r\n", answer.status, answer.body.len())?;
        stream.write_all(&answer.body)?;
        stream.conn.send_close_notify();
        stream.flush()?;
        Ok(())
    }
}
