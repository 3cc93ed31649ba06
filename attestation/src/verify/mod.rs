//! Is this attestation document true? Design, section 3; attestation notes, section 3.4.
//!
//! [`verify`] is the only maker of [`VerifiedEvidence`]. It says nothing about whether the evidence is *wanted*: that a
//! development TEE is no protection, say, is for `cloister-policies` to judge.
//!
//! | step | check | what must hold |
//! |---|---|---|
//! | 1 | `doc.format` | the bytes are a document within bounds, with the members and collateral of its kind |
//! | 2 | `evidence.tee` | this build can verify the kind of evidence |
//! | 3 | `nonce.match` | the document carries the nonce that we sent |
//! | 4 | `dev.format`, `dev.signature` | `development`: layout and signature of its report |
//! | | `snp.*` | `sev-snp`: the checks of [`crate::snp`] |
//! | | `tdx.*` | `tdx`: the checks of [`crate::tdx`]; without collateral those of the TCB are not done |
//! | | `az.*` | `az-snp`, `az-tdx`: the checks of [`crate::azure`], with those of the hardware among them |
//! | 5 | `statement.report_data` | the report, or on Azure the TPM, speaks of this statement and this nonce |
//! | 6 | `statement.not_after` | the statement has not expired |
//! | 7 | `statement.keys` | it names at least one TLS and one HPKE key, and key ids are those of the keys |
//! | 8 | `channel.match` | the evidence is tied to the connection that we see |

mod error;
mod hardware;
mod plan;

pub use error::Error;
pub use hardware::Hardware;

use hardware::Voucher;

use crate::check::{Check, Checklist, Rejected};
use crate::document::{Collateral, Document, Tee};
use crate::encoding::{Digest, sha256};
use crate::statement::Statement;
use crate::{receipt, snp, tdx};

/// What the caller knows and the document must agree with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expectations {
    /// The nonce that was sent with the request; none for a saved document whose freshness cannot be told.
    pub nonce: Option<[u8; 32]>,
    /// SHA-256 of the TLS exporter value of the connection, for native clients.
    pub channel: Option<Digest>,
}

/// The roots that hardware evidence must chain to.
#[derive(Debug, Clone)]
pub struct Trust {
    /// AMD's.
    pub snp: snp::Roots,
    /// Intel's.
    pub tdx: tdx::Roots,
}

impl Trust {
    /// The roots of AMD and Intel, compiled in.
    #[must_use]
    pub fn pinned() -> Self {
        Self { snp: snp::Roots::pinned(), tdx: tdx::Roots::pinned() }
    }
}

/// Evidence that is true. Only [`verify`] makes it.
#[derive(Debug, Clone)]
pub struct VerifiedEvidence {
    statement: Statement,
    tee: Tee,
    hardware: Option<Hardware>,
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

    /// What the hardware says; none for the development TEE.
    #[must_use]
    pub const fn hardware(&self) -> Option<&Hardware> {
        self.hardware.as_ref()
    }

    /// Whether hardware protects the memory, by the word of AMD or Intel: under a root that the caller named it does not.
    #[must_use]
    pub fn is_hardware(&self) -> bool {
        self.tee.is_hardware() && self.hardware.as_ref().is_some_and(Hardware::is_pinned)
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
    pub fn valid_until_ms(&self) -> u64 {
        let hardware = self.hardware.as_ref().map_or(u64::MAX, Hardware::valid_until_ms);
        self.statement.not_after.min(hardware)
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
pub fn verify(
    document: &[u8],
    expected: &Expectations,
    trust: &Trust,
    now_ms: u64,
) -> Result<VerifiedEvidence, Rejected<Error>> {
    let mut before = Checklist::new(plan::BEFORE);
    let mut after = Checklist::new(plan::AFTER);
    let (document, collateral, tee) = match open(&mut before, document, expected) {
        Ok(opened) => opened,
        Err((tee, error)) => {
            let evidence = tee.map(plan::of_kind).unwrap_or_default();
            return Err(Rejected { checks: [before.into_checks(), evidence, after.into_checks()].concat(), error });
        }
    };
    let before = before.into_checks();
    let (mut voucher, evidence) = match hardware::verify(tee, &document, &collateral, trust, now_ms) {
        Ok(verified) => verified,
        Err(Rejected { checks, error }) => {
            return Err(Rejected { checks: [before, checks, after.into_checks()].concat(), error });
        }
    };
    if let Err(error) = check_statement(&mut after, &document, &mut voucher, expected, now_ms) {
        return Err(Rejected { checks: [before, evidence, after.into_checks()].concat(), error });
    }
    let evidence = voucher.hardware_checks().map_or(evidence, <[Check]>::to_vec);
    Ok(VerifiedEvidence {
        tee,
        hardware: voucher.into_hardware(),
        fresh: expected.nonce.is_some(),
        evidence_sha256: sha256(&document.evidence.report.0),
        statement: document.statement,
        verified_at_ms: now_ms,
        checks: [before, evidence, after.into_checks()].concat(),
    })
}

/// Reads the document; a refusal says of which kind it is, where that is known.
fn open(
    checks: &mut Checklist,
    bytes: &[u8],
    expected: &Expectations,
) -> Result<(Document, Collateral, Tee), (Option<Tee>, Error)> {
    let parsed = Document::parse(bytes).and_then(|document| {
        let collateral = document.read_collateral()?;
        Ok((document, collateral))
    });
    let passed = |_: &_| format!("{} bytes, well formed", bytes.len());
    let (document, collateral) =
        checks.step("doc.format", passed, parsed.map_err(Error::Document)).map_err(|error| (None, error))?;
    let tee = Tee::from_name(&document.evidence.tee).ok_or(Error::UnsupportedTee);
    let tee = checks.step("evidence.tee", |tee| format!("evidence of the kind {}", tee.name()), tee);
    let tee = tee.map_err(|error| (None, error))?;
    check_nonce(checks, &document, expected).map_err(|error| (Some(tee), error))?;
    Ok((document, collateral, tee))
}

fn check_statement(
    checks: &mut Checklist,
    document: &Document,
    voucher: &mut Voucher,
    expected: &Expectations,
    now_ms: u64,
) -> Result<(), Error> {
    let statement = &document.statement;
    let right = voucher.speaks_of(&statement.report_data(&document.effective_nonce()));
    let bound = right.then_some(()).ok_or(Error::ReportData);
    checks.step("statement.report_data", |()| "the report speaks of this statement and nonce".to_owned(), bound)?;
    if expected.nonce.is_some() {
        voucher.answers_our_nonce();
    }

    let not_after = statement.not_after;
    let valid = if now_ms <= not_after { Ok(not_after - now_ms) } else { Err(Error::Expired { not_after }) };
    checks.step("statement.not_after", |left| format!("valid for another {} s", left / 1000), valid)?;

    checks.step("statement.keys", |()| "keys are named and complete".to_owned(), check_keys(statement))?;
    check_channel(checks, statement, expected)
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
