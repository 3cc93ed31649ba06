//! The relay's configuration: one TOML file, unknown fields refused, every mistake reported at once.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;

use crate::endpoint::Endpoint;

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// From the public port to the enclave.
    pub inbound: Inbound,
    /// From the enclave to the outside; absent means that the enclave has no way out.
    pub egress: Option<Egress>,
    /// Loopback address of metrics and health.
    pub admin: SocketAddr,
}

/// The way in.
#[derive(Debug, Clone)]
pub struct Inbound {
    /// Public address.
    pub listen: SocketAddr,
    /// The enclave's TLS port.
    pub upstream: Endpoint,
    /// Whether each connection to the enclave begins with a PROXY protocol v2 header that names the client: a hint that
    /// the enclave must not trust.
    pub proxy_protocol: bool,
    /// Connections open at once, in total.
    pub max_connections: usize,
    /// Connections open at once from one source: an IPv4 address or an IPv6 /64.
    pub max_connections_per_source: usize,
    /// How long the enclave may take to accept a connection.
    pub connect_timeout: Duration,
    /// How long a client may take to send its first byte, and the enclave to send its first byte back.
    pub handshake_timeout: Duration,
    /// How long a connection may carry nothing in either direction.
    pub idle_timeout: Duration,
    /// How long open connections may go on after a stop signal.
    pub drain_timeout: Duration,
}

/// The way out.
#[derive(Debug, Clone)]
pub struct Egress {
    /// Where the enclave asks for a connection (SOCKS 5, RFC 1928, `CONNECT` without authentication).
    pub listen: Endpoint,
    /// The only destinations that are connected to, `(host, port)`, hosts in lower case.
    pub allow: BTreeSet<(String, u16)>,
    /// Connections open at once.
    pub max_connections: usize,
    /// How long a destination may take to accept.
    pub connect_timeout: Duration,
    /// How long a connection may carry nothing in either direction.
    pub idle_timeout: Duration,
}

/// Everything that is wrong with a configuration file, a line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(pub Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    inbound: RawInbound,
    egress: Option<RawEgress>,
    admin: RawAdmin,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawInbound {
    listen: String,
    upstream: String,
    #[serde(default)]
    proxy_protocol: bool,
    #[serde(default = "defaults::max_connections")]
    max_connections: usize,
    #[serde(default = "defaults::max_connections_per_source")]
    max_connections_per_source: usize,
    #[serde(default = "defaults::connect_timeout_ms")]
    connect_timeout_ms: u64,
    #[serde(default = "defaults::handshake_timeout_ms")]
    handshake_timeout_ms: u64,
    #[serde(default = "defaults::idle_timeout_ms")]
    idle_timeout_ms: u64,
    #[serde(default = "defaults::drain_timeout_ms")]
    drain_timeout_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEgress {
    listen: String,
    allow: Vec<String>,
    #[serde(default = "defaults::egress_max_connections")]
    max_connections: usize,
    #[serde(default = "defaults::connect_timeout_ms")]
    connect_timeout_ms: u64,
    #[serde(default = "defaults::idle_timeout_ms")]
    idle_timeout_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAdmin {
    listen: String,
}

/// None of these weakens what the relay protects: it protects nothing but the machine's own resources.
mod defaults {
    pub(super) const fn max_connections() -> usize {
        4_096
    }
    pub(super) const fn max_connections_per_source() -> usize {
        256
    }
    pub(super) const fn egress_max_connections() -> usize {
        64
    }
    pub(super) const fn connect_timeout_ms() -> u64 {
        5_000
    }
    pub(super) const fn handshake_timeout_ms() -> u64 {
        10_000
    }
    pub(super) const fn idle_timeout_ms() -> u64 {
        300_000
    }
    pub(super) const fn drain_timeout_ms() -> u64 {
        30_000
    }
}

impl Config {
    /// Reads and checks a configuration.
    ///
    /// # Errors
    /// Every mistake found, each naming its field and never quoting its value.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let raw: RawConfig = toml::from_str(text).map_err(|e| ConfigError(vec![e.message().to_owned()]))?;
        let mut mistakes = Mistakes::default();
        let inbound = mistakes.inbound(&raw.inbound);
        let egress = raw.egress.as_ref().map(|e| mistakes.egress(e));
        let admin = mistakes.addr("admin.listen", &raw.admin.listen);
        if admin.is_some_and(|a| !a.ip().is_loopback()) {
            mistakes.push("admin.listen: must be a loopback address; metrics are not for the network");
        }
        match (inbound, egress, admin) {
            (Some(inbound), None, Some(admin)) if mistakes.0.is_empty() => Ok(Self { inbound, egress: None, admin }),
            (Some(inbound), Some(Some(egress)), Some(admin)) if mistakes.0.is_empty() => {
                Ok(Self { inbound, egress: Some(egress), admin })
            }
            _ => Err(ConfigError(mistakes.0)),
        }
    }
}

#[derive(Default)]
struct Mistakes(Vec<String>);

impl Mistakes {
    fn push(&mut self, text: &str) {
        self.0.push(text.to_owned());
    }

    fn inbound(&mut self, raw: &RawInbound) -> Option<Inbound> {
        let listen = self.addr("inbound.listen", &raw.listen);
        let upstream = self.endpoint("inbound.upstream", &raw.upstream);
        let max_connections = self.count("inbound.max_connections", raw.max_connections);
        let max_connections_per_source =
            self.count("inbound.max_connections_per_source", raw.max_connections_per_source);
        let connect_timeout = self.timeout("inbound.connect_timeout_ms", raw.connect_timeout_ms);
        let handshake_timeout = self.timeout("inbound.handshake_timeout_ms", raw.handshake_timeout_ms);
        let idle_timeout = self.timeout("inbound.idle_timeout_ms", raw.idle_timeout_ms);
        Some(Inbound {
            listen: listen?,
            upstream: upstream?,
            proxy_protocol: raw.proxy_protocol,
            max_connections: max_connections?,
            max_connections_per_source: max_connections_per_source?,
            connect_timeout: connect_timeout?,
            handshake_timeout: handshake_timeout?,
            idle_timeout: idle_timeout?,
            drain_timeout: Duration::from_millis(raw.drain_timeout_ms),
        })
    }

    fn egress(&mut self, raw: &RawEgress) -> Option<Egress> {
        let listen = self.endpoint("egress.listen", &raw.listen);
        if let Some(Endpoint::Tcp(addr)) = listen
            && !addr.ip().is_loopback()
        {
            self.push("egress.listen: must be a loopback or vsock address; it is the enclave's way out, not a proxy");
        }
        let mut allow = BTreeSet::new();
        for (i, entry) in raw.allow.iter().enumerate() {
            match parse_destination(entry) {
                Some(destination) => drop(allow.insert(destination)),
                None => self.push(&format!("egress.allow[{i}]: expected HOST:PORT with an exact host name")),
            }
        }
        let max_connections = self.count("egress.max_connections", raw.max_connections);
        let connect_timeout = self.timeout("egress.connect_timeout_ms", raw.connect_timeout_ms);
        let idle_timeout = self.timeout("egress.idle_timeout_ms", raw.idle_timeout_ms);
        Some(Egress {
            listen: listen?,
            allow,
            max_connections: max_connections?,
            connect_timeout: connect_timeout?,
            idle_timeout: idle_timeout?,
        })
    }

    fn addr(&mut self, field: &str, value: &str) -> Option<SocketAddr> {
        let parsed = value.parse().ok();
        if parsed.is_none() {
            self.push(&format!("{field}: expected IP:PORT"));
        }
        parsed
    }

    fn endpoint(&mut self, field: &str, value: &str) -> Option<Endpoint> {
        match value.parse() {
            Ok(endpoint) => Some(endpoint),
            Err(e) => {
                self.push(&format!("{field}: {e}"));
                None
            }
        }
    }

    fn count(&mut self, field: &str, value: usize) -> Option<usize> {
        if value == 0 {
            self.push(&format!("{field}: must be at least 1"));
            return None;
        }
        Some(value)
    }

    fn timeout(&mut self, field: &str, value_ms: u64) -> Option<Duration> {
        if !(10..=86_400_000).contains(&value_ms) {
            self.push(&format!("{field}: must be between 10 ms and a day"));
            return None;
        }
        Some(Duration::from_millis(value_ms))
    }
}

/// `HOST:PORT` with a plain host name or IP address: no wildcards, because each destination is a decision.
fn parse_destination(entry: &str) -> Option<(String, u16)> {
    let (host, port) = entry.rsplit_once(':')?;
    let port: u16 = port.parse().ok().filter(|p| *p != 0)?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let plain =
        !host.is_empty() && host.len() <= 253 && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:".contains(&b));
    plain.then_some((host, port))
}
