//! The one file of configuration: TOML as written → checked [`Config`].
//!
//! Whatever matters for security has no default: a configuration says what it means. Every mistake is reported in one
//! go, by the name of its field and what is wanted there, and never with the value that stood there. No environment
//! variable is read, and no secret stands in the file: secrets are made inside and sealed.

mod check;
mod raw;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cloister_attestation::collateral::Services;
use cloister_models::{ModelDigest, Template};

pub use check::PublicHost;

use crate::identity::Settings;

/// Why there is no configuration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("the configuration file cannot be read: {0}")]
    Unreadable(std::io::ErrorKind),
    /// The file is not TOML.
    #[error("the configuration file is not TOML: see line {line}")]
    Syntax {
        /// The line, counted from 1.
        line: usize,
    },
    /// The file is TOML and says the wrong things.
    #[error("{0}")]
    Mistakes(Mistakes),
}

/// All mistakes of one configuration file, in the order of its fields.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// Each mistake.
    #[must_use]
    pub fn as_slice(&self) -> &[Mistake] {
        &self.0
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, mistake) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "\n" };
            write!(f, "{separator}{mistake}")?;
        }
        Ok(())
    }
}

/// One mistake: where it is and what is wanted there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Dotted name of the field, such as `limits.drain_ms`.
    pub field: String,
    /// What is wanted there.
    pub wanted: &'static str,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.wanted)
    }
}

/// The kind of TEE that this process runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tee {
    /// None: evidence of its own type, which verifiers refuse unless told otherwise.
    Development,
    /// Whatever hardware this machine has; never none.
    Auto,
    /// AMD SEV-SNP.
    SevSnp,
    /// Intel TDX.
    Tdx,
}

/// How evidence is had from hardware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    /// Where the kernel makes reports: `/sys/kernel/config/tsm/report`.
    pub tsm_report: PathBuf,
    /// The privilege level (VMPL) to ask reports for; without it the driver's own.
    pub privilege_level: Option<u8>,
    /// Certificates (DER) that self-attestation trusts in the place of AMD's and Intel's: for tests with synthetic
    /// evidence. Real evidence does not verify under them, and relying parties refuse what does.
    pub insecure_trust_roots: Vec<PathBuf>,
    /// Where collateral comes from, besides the host's certificate table.
    pub collateral: Collateral,
}

/// Where certificates, revocation lists and what else verifies evidence come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collateral {
    /// A folder that the operator fills.
    pub folder: Option<PathBuf>,
    /// AMD and Intel, or mirrors of theirs; none where nobody is to be asked.
    pub network: Option<CollateralNetwork>,
}

/// Whom to ask for collateral, through the relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollateralNetwork {
    /// Where they are.
    pub services: Services,
    /// The authorities (PEM) whose certificates servers must have, in the place of the public ones.
    pub authorities: Option<PathBuf>,
}

/// Where the service listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// A TCP address; port 0 lets the system choose.
    Tcp(SocketAddr),
}

/// Whether each connection begins with a PROXY protocol v2 header from the relay.
///
/// What the header says is a hint of the untrusted host: it is used for rate limits and for nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyHeader {
    /// Every connection must begin with one.
    Required,
    /// No connection begins with one: the first byte belongs to TLS.
    Refused,
}

/// Where the root key of the sealed store comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootKeySlot {
    /// A file beside the data, which protects nothing; refused on a real TEE.
    Development {
        /// The file; made at the first start, mode 0600.
        file: PathBuf,
    },
    /// The key that AMD's secure processor derives for this guest. There is a recovery recipient beside it.
    Snp,
}

/// Backups that the running service writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Where to.
    pub folder: PathBuf,
    /// How often.
    pub every_hours: u32,
    /// How many are kept.
    pub keep: usize,
}

/// A model file. It belongs to the host and is believed only by its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// Name in the catalogue, or one of the operator's choosing.
    pub id: String,
    /// The file.
    pub path: PathBuf,
    /// Digest of a model of the operator's own; without it the id is that of a catalogue entry.
    pub sha256: Option<ModelDigest>,
    /// How a conversation is written for a chat model of the operator's own.
    pub template: Option<Template>,
}

/// The models to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Models {
    /// Turns text into vectors; always needed.
    pub embedder: Model,
    /// Writes answers; without it answers are verbatim quotations.
    pub generator: Option<Model>,
    /// Threads that each model computes with.
    pub threads: u32,
    /// Conversations that the generator serves at once.
    pub parallel: u32,
}

/// What is bounded, and how. Sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Open connections.
    pub connections: usize,
    /// Requests being answered at once.
    pub concurrent_requests: usize,
    /// All header fields of a request together.
    pub header_bytes: usize,
    /// Number of header fields of a request.
    pub headers: usize,
    /// A request body other than an upload.
    pub json_bytes: usize,
    /// A document upload, with its multipart frame.
    pub upload_bytes: usize,
    /// From the accepted connection to the end of the TLS handshake, the PROXY header included.
    pub handshake: Duration,
    /// From the first byte of a request head to its last.
    pub header_read: Duration,
    /// From a request head to the response head.
    pub request: Duration,
    /// The same for uploads.
    pub upload: Duration,
    /// The same for answers that are not streamed, which a model on processors alone takes minutes for.
    pub answer: Duration,
    /// Without a request on a connection.
    pub idle: Duration,
    /// Without progress while the peer does not read.
    pub write_stall: Duration,
    /// From the signal to stop until connections are cut.
    pub drain: Duration,
    /// Sustained requests of one caller in a minute.
    pub requests_per_minute: u32,
    /// Requests of one caller at once on top of that.
    pub request_burst: u32,
    /// Reports minted for fresh nonces in a minute, all callers together.
    pub attestations_per_minute: u32,
}

/// How much is logged: ids, routes, statuses and durations, and never content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// The least important level that is written.
    pub level: tracing::Level,
    /// One line per event, as JSON or for people.
    pub format: LogFormat,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// JSON objects.
    Json,
    /// Plain text.
    Text,
}

/// The checked configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The kind of TEE.
    pub tee: Tee,
    /// How evidence is had, on hardware; none on the development TEE.
    pub attestation: Option<Attestation>,
    /// The name that clients use: in the certificate, in links and in log origins.
    pub public_host: PublicHost,
    /// Where to listen.
    pub listen: Listen,
    /// Whether the relay says who is calling.
    pub proxy_header: ProxyHeader,
    /// Sealed data.
    pub data_dir: PathBuf,
    /// The built page.
    pub web_dir: PathBuf,
    /// The program that reads documents in a sandbox.
    pub docworker: PathBuf,
    /// Where the root key comes from.
    pub root_key: RootKeySlot,
    /// An `age1…` recipient of the owner that can open the store if the TEE is lost.
    pub recovery_recipient: Option<String>,
    /// Backups; none where there is no table.
    pub backup: Option<Backup>,
    /// The models.
    pub models: Models,
    /// Where the first owner's one-time enrolment link is written, mode 0600. Whoever runs the first start holds it.
    pub enrolment_link_file: PathBuf,
    /// Life times of sessions and enrolment codes, and what the first organisation is called.
    pub identity: Settings,
    /// Destinations that the relay may connect to for the enclave, `host:port`, sorted; part of the statement.
    pub egress_allow: Vec<String>,
    /// The relay's egress listener, where something uses the way out.
    pub egress_relay: Option<SocketAddr>,
    /// Bounds.
    pub limits: Limits,
    /// Logging.
    pub log: Log,
}

impl Config {
    /// Whether the appliance runs on hardware that protects it, as far as the configuration knows: neither the development
    /// TEE nor roots that nobody trusts.
    #[must_use]
    pub fn is_for_hardware(&self) -> bool {
        self.attestation.as_ref().is_some_and(|attestation| attestation.insecure_trust_roots.is_empty())
    }

    /// Reads and checks the file at `path`. Relative paths inside it are relative to the working directory.
    ///
    /// # Errors
    /// [`Error`], with every mistake of the file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::Unreadable(e.kind()))?;
        Self::parse(&text)
    }

    /// Checks the text of a configuration file.
    ///
    /// # Errors
    /// [`Error`], with every mistake of the text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let raw = toml::from_str(text)
            .map_err(|e| Error::Syntax { line: line_of(text, e.span().map_or(0, |span| span.start)) })?;
        check::check(raw).map_err(|mistakes| Error::Mistakes(Mistakes(mistakes)))
    }
}

/// The line that byte `offset` of `text` is on, counted from 1.
fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1
}
