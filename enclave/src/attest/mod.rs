//! Evidence about this very process: the Attester of RFC 9334.
//!
//! Callers choose a nonce and never the bytes that the hardware signs. A fresh report is minted per nonce and is
//! rate-limited; the form without a nonce is cached, and says by its null nonce that it is not fresh.

mod aci;
mod recent;
mod tinfoil;

use std::fmt;

use bytes::Bytes;
use cloister_attestation::development;
use cloister_attestation::document::{Document, Evidence, Tee};
use cloister_attestation::statement::{NULL_NONCE, Statement};
use cloister_attestation::verify::{Expectations, Trust, verify};
use ed25519_dalek::SigningKey;
use rand_core::OsRng;

use recent::{Asked, Door, Recent};

pub use aci::Provenance;
pub use tinfoil::TinfoilDocument;

/// What can make a report over 64 bytes: hardware, or the development TEE.
pub trait Attester: fmt::Debug + Send + Sync + 'static {
    /// The kind of evidence that it makes.
    fn tee(&self) -> Tee;

    /// A report over `report_data`, in the TEE's own layout.
    ///
    /// # Errors
    /// [`Error::Report`] if the hardware or its driver refuses.
    fn report(&self, report_data: &[u8; 64]) -> Result<Vec<u8>, Error>;
}

/// Why there is no evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The TEE gives no report.
    #[error("the TEE gives no report")]
    Report,
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

/// Evidence without hardware: a key made at start that chains to nothing. Proves nothing, and says so in its type.
pub struct DevelopmentAttester(SigningKey);

impl DevelopmentAttester {
    /// Makes the key.
    #[must_use]
    pub fn new() -> Self {
        Self(SigningKey::generate(&mut OsRng))
    }
}

impl Default for DevelopmentAttester {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for DevelopmentAttester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DevelopmentAttester(…)")
    }
}

impl Attester for DevelopmentAttester {
    fn tee(&self) -> Tee {
        Tee::Development
    }

    fn report(&self, report_data: &[u8; 64]) -> Result<Vec<u8>, Error> {
        Ok(development::sign(report_data, &self.0))
    }
}

/// How long a statement is valid.
const VALID_MS: u64 = 24 * 60 * 60 * 1000;

/// Mints what every door serves: one report per door and nonce, for as long as [`Recent`] remembers.
#[derive(Debug)]
pub struct Attestation {
    attester: Box<dyn Attester>,
    recent: Recent,
}

impl Attestation {
    /// Mints with `attester`.
    #[must_use]
    pub fn new(attester: Box<dyn Attester>) -> Self {
        Self { attester, recent: Recent::default() }
    }

    /// The kind of evidence that is minted.
    #[must_use]
    pub fn tee(&self) -> Tee {
        self.attester.tee()
    }

    /// The document for `nonce`, as JSON. Sets the statement's `not_after`. May block for as long as the hardware takes.
    ///
    /// # Errors
    /// [`Error::ZeroNonce`] or [`Error::Report`].
    pub fn document(&self, nonce: Option<[u8; 32]>, mut statement: Statement, now_ms: u64) -> Result<Bytes, Error> {
        statement.not_after = now_ms.saturating_add(VALID_MS);
        if nonce == Some(NULL_NONCE) {
            return Err(Error::ZeroNonce);
        }
        let about = statement.channel.map_or(NULL_NONCE, |channel| channel.0);
        self.recent.share(Asked { door: Door::Cloister, nonce, about }, now_ms, || self.mint(nonce, statement))
    }

    fn mint(&self, nonce: Option<[u8; 32]>, statement: Statement) -> Result<Bytes, Error> {
        let report = self.attester.report(&statement.report_data(&nonce.unwrap_or(NULL_NONCE)))?;
        let evidence = Evidence::new(self.attester.tee(), report);
        let document = Document::new(nonce, statement, evidence, serde_json::Map::new());
        serde_json::to_vec(&document).map(Bytes::from).map_err(|_| Error::SelfCheck)
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
        verify(&bytes, &expected, &Trust::pinned(), now_ms).map(drop).map_err(|_| Error::SelfCheck)
    }
}
