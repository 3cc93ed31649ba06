//! Evidence about this very process: the Attester of RFC 9334.
//!
//! Callers choose a nonce and never the bytes that the hardware signs. A fresh report is minted per nonce and is
//! rate-limited; the form without a nonce is cached, and says by its null nonce that it is not fresh.
//!
//! Before anything is served the process verifies a document of its own, under the roots that relying parties have. What
//! is missing from outside, the certificate of the chip's key, does not keep it from starting: the report then is known
//! to hold our bytes and to have the form of its kind, its signature is not checked, and the log says so. Relying parties
//! get a document without that certificate and refuse it until they have it from elsewhere. Anything else that does not
//! verify ends the start. Roots of the configuration (`attestation.insecure_trust_roots`) take the place of the
//! compiled-in ones for this check alone: they are for tests, real evidence does not verify under them, and nobody else
//! trusts them.

mod aci;
pub mod azure;
mod backoff;
pub mod collateral;
pub mod configfs;
mod development;
pub mod provider;
mod recent;
pub mod sev_guest;
mod tinfoil;

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use cloister_attestation::check::{ExitClass, Outcome};
use cloister_attestation::document::{Document, Evidence, Tee};
use cloister_attestation::statement::{NULL_NONCE, Statement};
use cloister_attestation::verify::{Expectations, Trust, verify};
use sha2::{Digest as _, Sha512};

use collateral::Shelf;
use recent::{Asked, Door, Recent};

pub use aci::Provenance;
pub use backoff::Backoff;
pub use development::DevelopmentAttester;
pub use tinfoil::TinfoilDocument;

/// What can make a report over 64 bytes: hardware, or the development TEE.
pub trait Attester: fmt::Debug + Send + Sync + 'static {
    /// The kind of evidence that it makes.
    fn tee(&self) -> Tee;

    /// A report over `report_data`. May block for as long as the hardware takes.
    ///
    /// # Errors
    /// [`PlatformError`] if the hardware or its driver refuses.
    fn report(&self, report_data: &[u8; 64]) -> Result<Report, PlatformError>;
}

/// What the hardware says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The evidence, in the TEE's own layout.
    pub evidence: Evidence,
    /// The host's certificate table, if it gave one. Nobody vouches for it.
    pub certificates: Vec<u8>,
}

/// Why a platform gives no report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// The kernel's vendor-neutral interface.
    #[error(transparent)]
    Configfs(configfs::Error),
    /// AMD's device.
    #[error(transparent)]
    SevGuest(sev_guest::Error),
    /// The virtual TPM of Azure's paravisor.
    #[error(transparent)]
    Azure(azure::Error),
}

/// Why there is no evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The TEE gives no report.
    #[error("the TEE gives no report")]
    Report(#[source] PlatformError),
    /// Too many wait for a report already.
    #[error("too many wait for a report")]
    Crowded,
    /// 32 zero bytes stand for "no nonce".
    #[error("a nonce of zeros is none")]
    ZeroNonce,
    /// The state that the statement tells of cannot be read.
    #[error("the state of the store cannot be read")]
    State,
    /// Our own document does not verify.
    #[error("the appliance's own evidence does not verify")]
    SelfCheck,
}

/// The one way to the platform: one report at a time, since drivers count messages and give up when the count is off, and
/// a bounded queue before it.
#[derive(Debug)]
struct Platform {
    attester: Box<dyn Attester>,
    turn: Mutex<()>,
    waiting: AtomicUsize,
}

impl Platform {
    fn report(&self, report_data: &[u8; 64]) -> Result<Report, Error> {
        let ahead = self.waiting.fetch_add(1, Ordering::SeqCst);
        let reported = if ahead >= MAX_WAITING {
            Err(Error::Crowded)
        } else {
            let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
            self.attester.report(report_data).map_err(Error::Report)
        };
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        if let Err(Error::Report(cause)) = reported {
            tracing::warn!(%cause, "the TEE gave no report");
        }
        reported
    }
}

/// Callers that wait for a report at once. Each holds a thread.
const MAX_WAITING: usize = 32;

/// What a report that is for ourselves only speaks of: a domain of its own, so that it is evidence of nothing.
const SAMPLE: &[u8] = b"cloister/collateral/v1";

/// How long a statement is valid.
const VALID_MS: u64 = 24 * 60 * 60 * 1000;

/// Mints what every door serves: one report per door and nonce, for as long as `Recent` remembers.
#[derive(Debug)]
pub struct Attestation {
    platform: Platform,
    trust: Trust,
    shelf: Shelf,
    recent: Recent,
}

impl Attestation {
    /// Mints with `attester`, whose evidence must be true under `trust`.
    #[must_use]
    pub fn new(attester: Box<dyn Attester>, trust: Trust) -> Self {
        let platform = Platform { attester, turn: Mutex::new(()), waiting: AtomicUsize::new(0) };
        Self { platform, trust, shelf: Shelf::default(), recent: Recent::default() }
    }

    /// The kind of evidence that is minted.
    #[must_use]
    pub fn tee(&self) -> Tee {
        self.platform.attester.tee()
    }

    /// The document for `nonce`, as JSON. Sets the statement's `not_after`. May block for as long as the hardware takes.
    ///
    /// # Errors
    /// [`Error::ZeroNonce`], [`Error::Report`] or [`Error::Crowded`].
    pub fn document(&self, nonce: Option<[u8; 32]>, mut statement: Statement, now_ms: u64) -> Result<Bytes, Error> {
        statement.not_after = now_ms.saturating_add(VALID_MS);
        if nonce == Some(NULL_NONCE) {
            return Err(Error::ZeroNonce);
        }
        let about = statement.channel.map_or(NULL_NONCE, |channel| channel.0);
        let asked = Asked { door: Door::Cloister, nonce, about };
        self.recent.share(asked, now_ms, || self.mint(nonce, &statement, now_ms))
    }

    fn mint(&self, nonce: Option<[u8; 32]>, statement: &Statement, now_ms: u64) -> Result<Bytes, Error> {
        let report = self.platform.report(&statement.report_data(&nonce.unwrap_or(NULL_NONCE)))?;
        let collateral = self.shelf.carried(&report, &self.trust, now_ms);
        let document = Document::new(nonce, statement.clone(), report.evidence, collateral);
        serde_json::to_vec(&document).map(Bytes::from).map_err(|_| Error::SelfCheck)
    }

    /// The roots that evidence must be true under.
    pub(crate) const fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Where collateral lies for documents.
    pub(crate) const fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// A report to tell by what collateral is needed. It speaks of no statement and never leaves the process. May block.
    pub(crate) fn sample(&self) -> Result<Report, Error> {
        self.platform.report(&Sha512::digest(SAMPLE).into())
    }

    /// Mints a document for a random nonce and verifies it as a relying party would. Nothing is served before.
    ///
    /// # Errors
    /// [`Error`]; the process must not serve then.
    pub fn self_attest(&self, statement: Statement, now_ms: u64) -> Result<(), Error> {
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).map_err(|_| Error::SelfCheck)?;
        let bytes = self.document(Some(nonce), statement, now_ms)?;
        let expected = Expectations { nonce: Some(nonce), channel: None };
        match verify(&bytes, &expected, &self.trust, now_ms) {
            Ok(verified) => {
                let skipped = verified.checks().iter().filter(|check| check.result == Outcome::NotDone);
                let skipped: Vec<_> = skipped.map(|check| check.id).collect();
                tracing::info!(
                    tee = verified.tee().name(),
                    hardware = verified.is_hardware(),
                    ?skipped,
                    "self-attested"
                );
                Ok(())
            }
            Err(rejected) if rejected.error.class() == ExitClass::Collateral => {
                let failed = rejected.checks.iter().find(|check| check.result == Outcome::Fail).map(|check| check.id);
                tracing::warn!(
                    ?failed,
                    "self-attested as far as possible: the signature of our report was not checked"
                );
                Ok(())
            }
            Err(rejected) => {
                let failed = rejected.checks.iter().find(|check| check.result == Outcome::Fail).map(|check| check.id);
                tracing::error!(?failed, "our own evidence does not verify");
                Err(Error::SelfCheck)
            }
        }
    }
}
