//! Is this attestation document true? Design, section 3; attestation notes, section 3.4.
//!
//! [`verify`] is the only maker of [`VerifiedEvidence`]. It says nothing about whether the evidence is *wanted*: that a
//! development TEE is no protection, say, is for `cloister-policies` to judge.
//!
//! | step | check | what must hold |
//! |---|---|---|
//! | 1 | `doc.format` | the bytes are a document within bounds |
//! | 2 | `evidence.tee` | this build can verify the kind of evidence |
//! | 3 | `nonce.match` | the document carries the nonce that we sent |
//! | 4 | `dev.format` | the report has the layout of the development TEE |
//! | 5 | `dev.signature` | its signature verifies |
//! | 6 | `statement.report_data` | the report speaks of this statement and this nonce |
//! | 7 | `statement.not_after` | the statement has not expired |
//! | 8 | `statement.keys` | it names at least one TLS and one HPKE key, and key ids are those of the keys |
//! | 9 | `channel.match` | the evidence is tied to the connection that we see |

use crate::check::{Check, Checklist, ExitClass, Planned, Rejected, Stage};
use crate::development::{self, Report};
use crate::document::{self, Document, Tee};
use crate::encoding::{Digest, sha256};
use crate::receipt;
use crate::statement::Statement;

const PLAN: &[Planned] = &[
    Planned::required(
        "doc.format",
        Stage::Format,
        "fetch the document again; if it stays malformed, this is no Cloister appliance",
    ),
    Planned::required("evidence.tee", Stage::Evidence, "use a verifier that knows this kind of evidence"),
    Planned::optional(
        "nonce.match",
        Stage::Evidence,
        "ask the appliance with a fresh nonce; an old answer may be a replay",
    ),
    Planned::required("dev.format", Stage::Evidence, "fetch the document again"),
    Planned::required("dev.signature", Stage::Evidence, "do not use this appliance: the report was altered"),
    Planned::required(
        "statement.report_data",
        Stage::Statement,
        "do not use this appliance: the statement was altered",
    ),
    Planned::required("statement.not_after", Stage::Statement, "fetch a new document, and check this machine's clock"),
    Planned::required("statement.keys", Stage::Statement, "report this to the operator of the appliance"),
    Planned::optional("channel.match", Stage::Channel, "ask for evidence over the connection that you want to use"),
];

/// What the caller knows and the document must agree with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expectations {
    /// The nonce that was sent with the request; none for a saved document whose freshness cannot be told.
    pub nonce: Option<[u8; 32]>,
    /// SHA-256 of the TLS exporter value of the connection, for native clients.
    pub channel: Option<Digest>,
}

/// Why a document is not true.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not a document.
    #[error("{0}")]
    Document(document::Error),
    /// Evidence of a kind that this build cannot verify.
    #[error("evidence of this kind cannot be verified by this build")]
    UnsupportedTee,
    /// The document has no nonce, or another one.
    #[error("document does not carry the nonce that was sent")]
    Nonce,
    /// The report is not that of a development TEE.
    #[error("{0}")]
    Development(development::Error),
    /// The report speaks of another statement or nonce.
    #[error("report does not speak of this statement and nonce")]
    ReportData,
    /// The statement has expired.
    #[error("statement expired at {not_after} (Unix milliseconds)")]
    Expired {
        /// When.
        not_after: u64,
    },
    /// The statement lacks a key, or names one wrongly.
    #[error("statement has no {0} key, or names one wrongly")]
    Keys(&'static str),
    /// The evidence is tied to another connection, or to none.
    #[error("evidence is not tied to this connection")]
    Channel,
}

impl Error {
    /// What kind of refusal it is.
    #[must_use]
    pub const fn class(&self) -> ExitClass {
        match self {
            Self::Document(_) => ExitClass::Malformed,
            Self::UnsupportedTee => ExitClass::Unsupported,
            Self::Nonce
            | Self::Development(_)
            | Self::ReportData
            | Self::Expired { .. }
            | Self::Keys(_)
            | Self::Channel => ExitClass::Rejected,
        }
    }
}

/// Evidence that is true. Only [`verify`] makes it.
#[derive(Debug, Clone)]
pub struct VerifiedEvidence {
    statement: Statement,
    tee: Tee,
    fresh: bool,
    evidence_sha256: Digest,
    verified_at_ms: u64,
    checks: Vec<Check>,
}

impl VerifiedEvidence {
    /// What the appliance says about itself.
    #[must_use]
    pub const fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The kind of evidence.
    #[must_use]
    pub const fn tee(&self) -> Tee {
        self.tee
    }

    /// Whether the document answers a nonce of ours.
    #[must_use]
    pub const fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// SHA-256 of the report.
    #[must_use]
    pub const fn evidence_sha256(&self) -> Digest {
        self.evidence_sha256
    }

    /// The time that was verified for, Unix milliseconds.
    #[must_use]
    pub const fn verified_at_ms(&self) -> u64 {
        self.verified_at_ms
    }

    /// Until when the verdict holds: the end of the shortest validity of everything that was used, Unix milliseconds.
    #[must_use]
    pub const fn valid_until_ms(&self) -> u64 {
        self.statement.not_after
    }

    /// Every check that was made.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }
}

/// Verifies a document as of `now_ms` (Unix milliseconds).
///
/// # Errors
///
/// The first step that fails, together with all checks: those after it are reported as not done.
pub fn verify(document: &[u8], expected: &Expectations, now_ms: u64) -> Result<VerifiedEvidence, Rejected<Error>> {
    let mut checks = Checklist::new(PLAN);
    match steps(&mut checks, document, expected, now_ms) {
        Ok((document, tee)) => Ok(VerifiedEvidence {
            tee,
            fresh: expected.nonce.is_some(),
            evidence_sha256: sha256(&document.evidence.report.0),
            statement: document.statement,
            verified_at_ms: now_ms,
            checks: checks.into_checks(),
        }),
        Err(error) => Err(Rejected { checks: checks.into_checks(), error }),
    }
}

fn steps(checks: &mut Checklist, bytes: &[u8], expected: &Expectations, now_ms: u64) -> Result<(Document, Tee), Error> {
    let parsed = Document::parse(bytes).map_err(Error::Document);
    let document = checks.step("doc.format", |_| format!("{} bytes, well formed", bytes.len()), parsed)?;

    let tee = match Tee::from_name(&document.evidence.tee) {
        Some(Tee::Development) => Ok(Tee::Development),
        Some(Tee::SevSnp | Tee::Tdx) | None => Err(Error::UnsupportedTee),
    };
    let tee = checks.step("evidence.tee", |tee| format!("evidence of the kind {}", tee.name()), tee)?;

    check_nonce(checks, &document, expected)?;

    let report = Report::parse(&document.evidence.report.0).map_err(Error::Development);
    let report = checks.step("dev.format", |_| "a development report".to_owned(), report)?;
    let signed = report.verify().map_err(Error::Development);
    checks.step("dev.signature", |()| "signed by the key in the report, which chains to nothing".to_owned(), signed)?;

    let right = document.statement.report_data(&document.effective_nonce()) == report.report_data;
    let bound = right.then_some(()).ok_or(Error::ReportData);
    checks.step("statement.report_data", |()| "the report speaks of this statement and nonce".to_owned(), bound)?;

    let not_after = document.statement.not_after;
    let valid = if now_ms <= not_after { Ok(not_after - now_ms) } else { Err(Error::Expired { not_after }) };
    checks.step("statement.not_after", |left| format!("valid for another {} s", left / 1000), valid)?;

    checks.step("statement.keys", |()| "keys are named and complete".to_owned(), check_keys(&document.statement))?;
    check_channel(checks, &document.statement, expected)?;
    Ok((document, tee))
}

fn check_nonce(checks: &mut Checklist, document: &Document, expected: &Expectations) -> Result<(), Error> {
    let Some(nonce) = expected.nonce else {
        checks.not_done("nonce.match", "no nonce is known, so this document may be old");
        return Ok(());
    };
    let same = document.nonce.is_some_and(|own| own.0 == nonce);
    let fresh = same.then_some(()).ok_or(Error::Nonce);
    checks.step("nonce.match", |()| "the document answers the nonce that was sent".to_owned(), fresh)
}

fn check_keys(statement: &Statement) -> Result<(), Error> {
    if statement.tls_spki_sha256.is_empty() {
        return Err(Error::Keys("TLS"));
    }
    if statement.hpke_keys.is_empty() {
        return Err(Error::Keys("HPKE"));
    }
    let named = |key: &crate::statement::ReceiptKey| receipt::key_id(&key.public_key.0) == key.key_id;
    if statement.receipt_keys.iter().all(named) { Ok(()) } else { Err(Error::Keys("receipt")) }
}

fn check_channel(checks: &mut Checklist, statement: &Statement, expected: &Expectations) -> Result<(), Error> {
    match (expected.channel, statement.channel) {
        (None, None) => checks.not_done("channel.match", "the evidence is not tied to one connection"),
        (None, Some(_)) => {
            checks.not_done("channel.match", "the evidence is tied to a connection that was not looked at");
        }
        (Some(ours), theirs) => {
            let tied = (theirs == Some(ours)).then_some(()).ok_or(Error::Channel);
            checks.step("channel.match", |()| "the evidence is tied to this connection".to_owned(), tied)?;
        }
    }
    Ok(())
}
