//! Judges evidence together with the connection that it came over: is whoever holds that connection the appliance?
//!
//! What each rule is there for (attestation notes, section 5.2):
//!
//! | attack | what refuses it |
//! |---|---|
//! | relay: true evidence of an honest appliance, passed on by somebody who ends TLS | `channel.match`, `tls.spki` |
//! | diversion: true evidence of a genuine appliance that is somebody else's | `tls.pin`, and the pins of the policy |
//! | replay: evidence from before | `nonce.match`, `statement.report_data` |
//! | reflection: evidence that another party made for this very connection, our own for example | `tls.spki` |
//!
//! The exporter value is the same at both ends of a connection, so that it says nothing about who is at which end: the key
//! of the *peer's* certificate has to be named by the evidence as well, whatever the binding.

use cloister_attestation::Expectations;
use cloister_attestation::check::{Checklist, ExitClass, Planned, Stage, all_hold};
use cloister_attestation::encoding::{Digest, Hex};
use cloister_attestation::statement::Statement;
use serde_json::json;

use crate::connection::Connection;
use crate::failure::Failure;
use crate::judge::{Judge, Origin};
use crate::report::Report;
use crate::seen::{self, Memory};

const SPKI: Planned = Planned::required(
    "tls.spki",
    Stage::Channel,
    "do not use this connection: somebody between you and the appliance ends TLS with a key of their own",
);
const PIN: Planned = Planned::optional(
    "tls.pin",
    Stage::Channel,
    "ask the operator for the appliance's key on another way and pin it with --pin: anybody can run a genuine appliance",
);
const HPKE: Planned = Planned::required(
    "hpke.key",
    Stage::Channel,
    "do not encrypt to this key: it is not the appliance's; somebody between you and the appliance replaced it",
);
const WITH_PUBLISHED_KEY: &[Planned] = &[SPKI, PIN, HPKE, seen::EPOCH];
const WITHOUT_PUBLISHED_KEY: &[Planned] = &[SPKI, PIN, seen::EPOCH];

/// What ties evidence to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Binding {
    /// The evidence names this very connection by its TLS exporter value, and its key.
    #[default]
    TlsExporter,
    /// WEAKER: the evidence names the key of the connection only; whoever stole that key can relay it.
    SpkiOnly,
}

impl Binding {
    /// Its name, as on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::TlsExporter => "tls-exporter",
            Self::SpkiOnly => "spki-only",
        }
    }
}

/// How a running appliance is told from an impostor.
#[derive(Debug, Clone, PartialEq, Eq, Default, clap::Args)]
pub(crate) struct ChannelArgs {
    /// What ties the evidence to the connection.
    #[arg(long, value_enum, default_value = "tls-exporter")]
    pub(crate) binding: Binding,
    /// The key of the appliance's TLS, 64 hex digits: SHA-256 of its `SubjectPublicKeyInfo`. May be given more than once.
    #[arg(long, value_name = "HEX")]
    pub(crate) pin: Vec<Hex<32>>,
}

/// What was seen of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    spki_sha256: Digest,
    channel: Option<Digest>,
}

impl Seen {
    /// Looks at a connection before anything is sent over it.
    pub(crate) fn of(connection: &Connection, nonce: &[u8; 32], binding: Binding) -> Self {
        let channel = match binding {
            Binding::TlsExporter => connection.channel(nonce),
            Binding::SpkiOnly => None,
        };
        Self { spki_sha256: connection.spki_sha256, channel }
    }
}

/// What came over the connection, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer<'a> {
    /// The document.
    pub(crate) document: &'a [u8],
    /// The nonce that it was asked with.
    pub(crate) nonce: [u8; 32],
    /// The connection.
    pub(crate) seen: Seen,
    /// The HPKE key that is published beside it; none if it was not asked for.
    pub(crate) published: Option<&'a Result<Hex<32>, &'static str>>,
    /// What was seen of appliances before; none if nothing is remembered.
    pub(crate) memory: Option<&'a Memory>,
    /// The time to judge for, Unix milliseconds.
    pub(crate) now_ms: u64,
}

/// What true evidence says; whether to use it, the report says.
#[derive(Debug)]
pub(crate) struct Established {
    /// What the appliance says about itself.
    pub(crate) statement: Statement,
    /// Until when the evidence is good, Unix milliseconds.
    pub(crate) valid_until_ms: u64,
}

/// The report, and what was established if the evidence is true.
pub(crate) fn judge(
    judge: &Judge,
    terms: &ChannelArgs,
    answer: &Answer<'_>,
) -> Result<(Report, Option<Established>), Failure> {
    let mut report = Report::new(answer.now_ms);
    report.claim("nonce", json!(hex::encode(answer.nonce)));
    report.claim("binding", json!(terms.binding.name()));
    let plan = if answer.published.is_some() { WITH_PUBLISHED_KEY } else { WITHOUT_PUBLISHED_KEY };
    let mut channel = Checklist::new(plan);
    let expected = Expectations { nonce: Some(answer.nonce), channel: answer.seen.channel };
    let evidence = match judge.verify(answer.document, &expected, answer.now_ms) {
        Ok(evidence) => evidence,
        Err(rejected) => {
            let checks = [rejected.checks, channel.into_checks()].concat();
            return Ok((report.refuse(rejected.error.class(), &rejected.error, checks), None));
        }
    };
    let (statement, valid_until_ms) = (evidence.statement().clone(), evidence.valid_until_ms());
    check_key(&mut channel, answer.seen.spki_sha256, &statement);
    check_pin(&mut channel, answer.seen.spki_sha256, &terms.pin);
    if let Some(published) = answer.published {
        check_published(&mut channel, published, &statement);
    }
    match answer.memory {
        Some(memory) => memory.check(&mut channel, &statement),
        None => channel.not_done("state.epoch", "nothing is remembered from before (--remember FILE)"),
    }
    let class = judge.appraise(evidence, Origin::Live, &mut report)?;
    if terms.binding == Binding::TlsExporter {
        // Fail closed: without an exporter value the check is not done, and not done is then a refusal.
        report.checks.iter_mut().filter(|check| check.id == "channel.match").for_each(|check| check.required = true);
    }
    let channel = channel.into_checks();
    let class = if all_hold(&channel) { class } else { ExitClass::Rejected };
    report.checks.extend(channel);
    Ok((report.conclude(class), Some(Established { statement, valid_until_ms })))
}

fn check_key(checks: &mut Checklist, spki_sha256: Digest, statement: &Statement) {
    if statement.tls_spki_sha256.contains(&spki_sha256) {
        checks.pass("tls.spki", "the key of this TLS connection is one that the evidence names");
    } else {
        checks.fail("tls.spki", "the key of this TLS connection is not one that the evidence names");
    }
}

/// Only a key that the peer has proved to hold is compared: what a statement says of other keys, code that nobody
/// reviewed could have made up.
fn check_pin(checks: &mut Checklist, spki_sha256: Digest, pins: &[Digest]) {
    if pins.is_empty() {
        checks.not_done("tls.pin", "no key is pinned: every appliance that the policy accepts is accepted");
    } else if pins.contains(&spki_sha256) {
        checks.pass("tls.pin", "the key of this TLS connection is one that you pinned");
    } else {
        checks.fail("tls.pin", "the key of this TLS connection is not one that you pinned");
    }
}

fn check_published(checks: &mut Checklist, published: &Result<Hex<32>, &'static str>, statement: &Statement) {
    match published {
        Ok(key) if statement.hpke_keys.contains(key) => {
            checks.pass("hpke.key", "the published HPKE key is one that the evidence names");
        }
        Ok(_) => checks.fail("hpke.key", "the published HPKE key is not one that the evidence names"),
        Err(reason) => checks.fail("hpke.key", *reason),
    }
}
