//! From the raw file to the checked configuration: one pass, every mistake noted.

mod collateral;
mod root_key;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use cloister_models::{ModelDigest, Template};

use super::raw::{
    Field, RawAttestation, RawBackup, RawConfig, RawEgress, RawEnrolment, RawIdentity, RawLimits, RawLog, RawModel,
    RawModels, Unknown,
};
use super::{Attestation, Backup, Config, Limits, Listen, Log, LogFormat, Mistake, Model, Models, ProxyHeader, Tee};
use crate::identity::Settings;
use crate::tenancy::Name;

const TEE: &str = "must be \"auto\", \"sev-snp\", \"tdx\" or \"development\"";

/// The name that clients use: a DNS name or an IP address, with a port where it is not 443.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicHost {
    name: String,
    port: Option<u16>,
}

impl PublicHost {
    /// The name without the port.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn parse(text: &str) -> Option<Self> {
        let (name, port) = match text.rsplit_once(':') {
            None => (text, None),
            Some((name, port)) => (name, Some(port.parse::<u16>().ok().filter(|p| *p != 0)?)),
        };
        let labels_fit = name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        });
        (labels_fit && name.len() <= 253).then(|| Self { name: name.to_owned(), port })
    }
}

impl fmt::Display for PublicHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// Notes mistakes under a table's name and goes on.
#[derive(Default)]
struct Checker {
    mistakes: Vec<Mistake>,
}

impl Checker {
    fn note(&mut self, field: &str, wanted: &'static str) {
        self.mistakes.push(Mistake { field: field.to_owned(), wanted });
    }

    /// A field that must be there; `wanted` says what it is if it is absent or of another type.
    fn required<T>(&mut self, field: &str, value: Field<T>, wanted: &'static str) -> Option<T> {
        match value {
            Field::Value(value) => return Some(value),
            Field::Missing | Field::Wrong => self.note(field, wanted),
        }
        None
    }

    fn optional<T>(&mut self, field: &str, value: Field<T>, wanted: &'static str) -> Option<T> {
        match value {
            Field::Value(value) => return Some(value),
            Field::Missing => {}
            Field::Wrong => self.note(field, wanted),
        }
        None
    }

    /// A required text that `parse` understands.
    fn parsed<T>(
        &mut self,
        field: &str,
        value: Field<String>,
        wanted: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.required(field, value, wanted)?;
        let parsed = parse(&text);
        if parsed.is_none() {
            self.note(field, wanted);
        }
        parsed
    }

    /// The same where it may be absent. A mistake is noted and reads as absent.
    fn optional_parsed<T>(
        &mut self,
        field: &str,
        value: Field<String>,
        wanted: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.optional(field, value, wanted)?;
        let parsed = parse(&text);
        if parsed.is_none() {
            self.note(field, wanted);
        }
        parsed
    }

    fn path(&mut self, field: &str, value: Field<String>) -> Option<PathBuf> {
        self.parsed(field, value, "must be a path", |p| (!p.is_empty()).then(|| PathBuf::from(p)))
    }

    /// A required whole number between `min` and `max` inclusive.
    fn number<T: TryFrom<u64>>(&mut self, field: &str, value: Field<u64>, (min, max): (u64, u64)) -> Option<T> {
        const WANTED: &str = "must be a whole number inside its bounds (see the sample configuration)";
        let number = self.required(field, value, WANTED)?;
        let fitting = (min..=max).contains(&number).then(|| T::try_from(number).ok()).flatten();
        if fitting.is_none() {
            self.note(field, WANTED);
        }
        fitting
    }

    fn duration(&mut self, field: &str, value: Field<u64>) -> Option<Duration> {
        self.number(field, value, (1, 86_400_000)).map(Duration::from_millis)
    }

    /// Names that do not belong into `table` (with its dot). Their spelling is shown, their values are not.
    fn unknown(&mut self, table: &str, unknown: &Unknown) {
        for name in unknown.keys() {
            self.note(&format!("{table}{name}"), "is not a field of the configuration");
        }
    }
}

pub(super) fn check(raw: RawConfig) -> Result<Config, Vec<Mistake>> {
    let mut c = Checker::default();
    let config = fields(&mut c, raw);
    match config {
        Some(config) if c.mistakes.is_empty() => Ok(config),
        Some(_) | None => Err(c.mistakes),
    }
}

/// `None` means that at least one mistake was noted. Every field is looked at before the first `?`.
fn fields(c: &mut Checker, raw: RawConfig) -> Option<Config> {
    let tee = c.parsed("tee", raw.tee, TEE, |t| match t {
        "auto" => Some(Tee::Auto),
        "sev-snp" => Some(Tee::SevSnp),
        "tdx" => Some(Tee::Tdx),
        "development" => Some(Tee::Development),
        _ => None,
    });
    let attestation = attestation(c, tee, raw.attestation);
    let protects = attestation.as_ref().is_some_and(|table| table.insecure_trust_roots.is_empty());
    let public_host = c.parsed(
        "public_host",
        raw.public_host,
        "must be a lower-case host name or IPv4 address, with :port where that is not 443",
        PublicHost::parse,
    );
    let listen = c.parsed("listen", raw.listen, "must be an address with a port", |a| a.parse().ok().map(Listen::Tcp));
    let proxy_header = c.parsed("proxy_header", raw.proxy_header, "must be \"required\" or \"refused\"", |p| match p {
        "required" => Some(ProxyHeader::Required),
        "refused" => Some(ProxyHeader::Refused),
        _ => None,
    });
    let data_dir = c.path("data_dir", raw.data_dir);
    let web_dir = c.path("web_dir", raw.web_dir);
    let docworker = c.path("docworker", raw.docworker);
    let root_key =
        c.required("root_key", raw.root_key, "must be a table").and_then(|t| root_key::root_key(c, tee, protects, t));
    let backup = c.optional("backup", raw.backup, "must be a table").map(|t| backup(c, t));
    let models = c.required("models", raw.models, "must be a table").and_then(|t| models(c, t));
    let enrolment_link_file = c.required("enrolment", raw.enrolment, "must be a table").and_then(|t| enrolment(c, t));
    let identity = c.required("identity", raw.identity, "must be a table").and_then(|t| identity(c, t));
    let egress = c.required("egress", raw.egress, "must be a table").and_then(|t| egress(c, t));
    if let (Some(tee), Some(table), Some((allow, relay))) = (tee, &attestation, &egress) {
        collateral::check_egress(c, tee, &table.collateral, allow, *relay);
    }
    let limits = c.required("limits", raw.limits, "must be a table").and_then(|t| limits(c, t));
    let log = c.required("log", raw.log, "must be a table").and_then(|t| log(c, t));
    c.unknown("", &raw.unknown);
    let (root_key, recovery_recipient) = root_key?;
    let (egress_allow, egress_relay) = egress?;
    Some(Config {
        tee: tee?,
        attestation,
        public_host: public_host?,
        listen: listen?,
        proxy_header: proxy_header?,
        data_dir: data_dir?,
        web_dir: web_dir?,
        docworker: docworker?,
        root_key,
        recovery_recipient,
        backup: backup.flatten(),
        models: models?,
        enrolment_link_file: enrolment_link_file?,
        identity: identity?,
        egress_allow,
        egress_relay,
        limits: limits?,
        log: log?,
    })
}

/// The table is there on hardware and nowhere else. A mistake is noted and reads as absent.
fn attestation(c: &mut Checker, tee: Option<Tee>, raw: Field<RawAttestation>) -> Option<Attestation> {
    const TABLE: &str = "must be a table, on hardware; the development TEE has none";
    const LEVEL: &str = "must be a whole number from 0 to 3";
    const ROOTS: &str = "must be a list of paths";
    if tee.is_none() || tee == Some(Tee::Development) {
        if c.optional("attestation", raw, TABLE).is_some() && tee.is_some() {
            c.note("attestation", TABLE);
        }
        return None;
    }
    let mut raw = c.required("attestation", raw, TABLE)?;
    let collateral = collateral::collateral(c, &mut raw);
    let tsm_report = c.path("attestation.tsm_report", raw.tsm_report);
    let level = c.optional("attestation.privilege_level", raw.privilege_level, LEVEL);
    let privilege_level = level.and_then(|level| u8::try_from(level).ok().filter(|level| *level <= 3));
    if privilege_level.is_none() && level.is_some() {
        c.note("attestation.privilege_level", LEVEL);
    }
    let roots = c.optional("attestation.insecure_trust_roots", raw.insecure_trust_roots, ROOTS).unwrap_or_default();
    if roots.iter().any(String::is_empty) {
        c.note("attestation.insecure_trust_roots", ROOTS);
    }
    c.unknown("attestation.", &raw.unknown);
    let insecure_trust_roots = roots.into_iter().map(PathBuf::from).collect();
    Some(Attestation { tsm_report: tsm_report?, privilege_level, insecure_trust_roots, collateral: collateral? })
}

/// A mistake is noted and reads as absent.
fn backup(c: &mut Checker, raw: RawBackup) -> Option<Backup> {
    let folder = c.path("backup.folder", raw.folder);
    let every_hours = c.number("backup.every_hours", raw.every_hours, (1, 8_760));
    let keep = c.number("backup.keep", raw.keep, (1, 10_000));
    c.unknown("backup.", &raw.unknown);
    Some(Backup { folder: folder?, every_hours: every_hours?, keep: keep? })
}

fn models(c: &mut Checker, raw: RawModels) -> Option<Models> {
    let embedder = c
        .required("models.embedder", raw.embedder, "must be a table with id and path")
        .and_then(|t| model(c, "models.embedder", t));
    let generator = c
        .optional("models.generator", raw.generator, "must be a table with id and path")
        .map(|t| model(c, "models.generator", t));
    let threads = c.number("models.threads", raw.threads, (1, 1024));
    let parallel = c.number("models.parallel", raw.parallel, (1, 256));
    c.unknown("models.", &raw.unknown);
    let generator = match generator {
        None => None,
        Some(checked) => Some(checked?),
    };
    Some(Models { embedder: embedder?, generator, threads: threads?, parallel: parallel? })
}

fn model(c: &mut Checker, table: &str, raw: RawModel) -> Option<Model> {
    let id = c.parsed(&format!("{table}.id"), raw.id, "must be the name of a catalogue entry", |id| {
        (!id.is_empty()).then(|| id.to_owned())
    });
    let path = c.path(&format!("{table}.path"), raw.path);
    let sha256 = c.optional_parsed(&format!("{table}.sha256"), raw.sha256, "must be 64 lower-case hex digits", |s| {
        s.parse::<ModelDigest>().ok()
    });
    const TEMPLATE: &str = "must be \"plain\" or \"chatml\"";
    let template = c.optional_parsed(&format!("{table}.template"), raw.template, TEMPLATE, |t| match t {
        "plain" => Some(Template::Plain),
        "chatml" => Some(Template::Chatml),
        _ => None,
    });
    c.unknown(&format!("{table}."), &raw.unknown);
    Some(Model { id: id?, path: path?, sha256, template })
}

fn enrolment(c: &mut Checker, raw: RawEnrolment) -> Option<PathBuf> {
    let file = c.path("enrolment.link_file", raw.link_file);
    c.unknown("enrolment.", &raw.unknown);
    file
}

fn identity(c: &mut Checker, raw: RawIdentity) -> Option<Settings> {
    const NAME: &str = "must be a name of at most 200 bytes on one line";
    const UP_TO_A_WEEK: (u64, u64) = (60_000, 7 * 86_400_000);
    let name = |text: &str| text.parse::<Name>().ok().map(String::from);
    let organisation = c.parsed("identity.organisation", raw.organisation, NAME, name);
    let workspace = c.parsed("identity.workspace", raw.workspace, NAME, name);
    let session_absolute_ms = c.number("identity.session_absolute_ms", raw.session_absolute_ms, UP_TO_A_WEEK);
    let session_idle_ms = c.number("identity.session_idle_ms", raw.session_idle_ms, UP_TO_A_WEEK);
    let owner_enrolment_ms = c.number("identity.owner_enrolment_ms", raw.owner_enrolment_ms, UP_TO_A_WEEK);
    let member_enrolment_ms = c.number("identity.member_enrolment_ms", raw.member_enrolment_ms, UP_TO_A_WEEK);
    let legacy_login = c.optional("identity.legacy_login", raw.legacy_login, "must be true or false");
    c.unknown("identity.", &raw.unknown);
    Some(Settings {
        session_absolute_ms: session_absolute_ms?,
        session_idle_ms: session_idle_ms?,
        owner_enrolment_ms: owner_enrolment_ms?,
        member_enrolment_ms: member_enrolment_ms?,
        legacy_login: legacy_login.unwrap_or(false),
        organisation_name: organisation?,
        workspace_name: workspace?,
    })
}

/// What is allowed, and where the relay listens for it.
fn egress(c: &mut Checker, raw: RawEgress) -> Option<(Vec<String>, Option<SocketAddr>)> {
    const WANTED: &str = "must be a list of \"host:port\", empty to allow nothing";
    const RELAY: &str = "must be the address and port of the relay's egress listener";
    let allow = c.required("egress.allow", raw.allow, WANTED);
    let relay = c.optional_parsed("egress.relay", raw.relay, RELAY, |relay| relay.parse().ok());
    c.unknown("egress.", &raw.unknown);
    let mut allow = allow?;
    if !allow.iter().all(|to| PublicHost::parse(to).is_some_and(|host| host.port.is_some())) {
        c.note("egress.allow", WANTED);
    }
    allow.sort();
    allow.dedup();
    Some((allow, relay))
}

fn limits(c: &mut Checker, raw: RawLimits) -> Option<Limits> {
    const MIB: u64 = 1024 * 1024;
    let connections = c.number("limits.connections", raw.connections, (1, 1_000_000));
    let concurrent_requests = c.number("limits.concurrent_requests", raw.concurrent_requests, (1, 100_000));
    let header_bytes = c.number("limits.header_bytes", raw.header_bytes, (8192, MIB));
    let headers = c.number("limits.headers", raw.headers, (16, 1000));
    let json_bytes = c.number("limits.json_bytes", raw.json_bytes, (1024, 64 * MIB));
    let upload_bytes = c.number("limits.upload_bytes", raw.upload_bytes, (1024, 1024 * MIB));
    let handshake = c.duration("limits.handshake_ms", raw.handshake_ms);
    let header_read = c.duration("limits.header_read_ms", raw.header_read_ms);
    let request = c.duration("limits.request_ms", raw.request_ms);
    let upload = c.duration("limits.upload_ms", raw.upload_ms);
    let answer = c.duration("limits.answer_ms", raw.answer_ms);
    let idle = c.duration("limits.idle_ms", raw.idle_ms);
    let write_stall = c.duration("limits.write_stall_ms", raw.write_stall_ms);
    let drain = c.duration("limits.drain_ms", raw.drain_ms);
    let requests_per_minute = c.number("limits.requests_per_minute", raw.requests_per_minute, (1, 1_000_000));
    let request_burst = c.number("limits.request_burst", raw.request_burst, (1, 1_000_000));
    let attestations = c.number("limits.attestations_per_minute", raw.attestations_per_minute, (1, 1_000_000));
    c.unknown("limits.", &raw.unknown);
    Some(Limits {
        connections: connections?,
        concurrent_requests: concurrent_requests?,
        header_bytes: header_bytes?,
        headers: headers?,
        json_bytes: json_bytes?,
        upload_bytes: upload_bytes?,
        handshake: handshake?,
        header_read: header_read?,
        request: request?,
        upload: upload?,
        answer: answer?,
        idle: idle?,
        write_stall: write_stall?,
        drain: drain?,
        requests_per_minute: requests_per_minute?,
        request_burst: request_burst?,
        attestations_per_minute: attestations?,
    })
}

fn log(c: &mut Checker, raw: RawLog) -> Option<Log> {
    const LEVEL: &str = "must be \"error\", \"warn\", \"info\" or \"debug\"";
    let level = c.parsed("log.level", raw.level, LEVEL, |l| match l {
        "error" => Some(tracing::Level::ERROR),
        "warn" => Some(tracing::Level::WARN),
        "info" => Some(tracing::Level::INFO),
        "debug" => Some(tracing::Level::DEBUG),
        _ => None,
    });
    let format = c.parsed("log.format", raw.format, "must be \"json\" or \"text\"", |f| match f {
        "json" => Some(LogFormat::Json),
        "text" => Some(LogFormat::Text),
        _ => None,
    });
    c.unknown("log.", &raw.unknown);
    Some(Log { level: level?, format: format? })
}
