//! What goes into a TDX verification, and what comes out of it.

use super::collateral::Collateral;
use super::platform::Platform;
use super::report::TdReport;
use super::tcb::{QuotingEnclave, TcbVerdict};
use super::validity::Validity;
use crate::check::Check;

const INTEL_SGX_ROOT_CA: &[u8] = include_bytes!("../../roots/Intel_SGX_Root_CA.der");

/// A quote and what Intel says about its platform.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// The quote.
    pub quote: &'a [u8],
    /// The collateral; without it neither revocation nor TCB can be judged.
    pub collateral: Option<&'a Collateral>,
}

/// The root that evidence must chain to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    pub(super) root: Vec<u8>,
    pub(super) pinned: bool,
}

impl Roots {
    /// Intel SGX Root CA, compiled in (SHA-256 `44a0196b…`).
    #[must_use]
    pub fn pinned() -> Self {
        Self { root: INTEL_SGX_ROOT_CA.to_vec(), pinned: true }
    }

    /// Another root, for tests and `--insecure-trust-root`: whoever holds its key can make any evidence.
    #[must_use]
    pub const fn insecure_with_root(der: Vec<u8>) -> Self {
        Self { root: der, pinned: false }
    }

    /// Whether this is Intel's own root.
    #[must_use]
    pub const fn is_pinned(&self) -> bool {
        self.pinned
    }
}

/// TDX evidence that is true. Only [`verify`](super::verify) makes it.
#[derive(Debug, Clone)]
pub struct Verified {
    pub(super) version: u16,
    pub(super) user_data: [u8; 20],
    pub(super) report: TdReport,
    pub(super) platform: Platform,
    pub(super) quoting_enclave: QuotingEnclave,
    pub(super) tcb: Option<TcbVerdict>,
    pub(super) validity: Validity,
    pub(super) pinned: bool,
    pub(super) verified_at_ms: u64,
    pub(super) checks: Vec<Check>,
}

impl Verified {
    /// Version of the quote, 4 or 5.
    #[must_use]
    pub const fn version(&self) -> u16 {
        self.version
    }

    /// What the quoting enclave adds to the header.
    #[must_use]
    pub const fn user_data(&self) -> &[u8; 20] {
        &self.user_data
    }

    /// The report of the TD.
    #[must_use]
    pub const fn report(&self) -> &TdReport {
        &self.report
    }

    /// The platform, as Intel certified it.
    #[must_use]
    pub const fn platform(&self) -> &Platform {
        &self.platform
    }

    /// The enclave that made the quote.
    #[must_use]
    pub const fn quoting_enclave(&self) -> &QuotingEnclave {
        &self.quoting_enclave
    }

    /// What Intel says about the platform's patches; none without collateral, and then nothing is known.
    #[must_use]
    pub const fn tcb(&self) -> Option<&TcbVerdict> {
        self.tcb.as_ref()
    }

    /// The time for which everything that was used is valid.
    #[must_use]
    pub const fn validity(&self) -> Validity {
        self.validity
    }

    /// Until when the verdict holds, Unix milliseconds: the end of the shortest validity of what was used.
    #[must_use]
    pub const fn valid_until_ms(&self) -> u64 {
        self.validity.until.saturating_mul(1000)
    }

    /// Whether the chain ends in Intel's own root; one that the caller named protects nobody.
    #[must_use]
    pub const fn is_pinned(&self) -> bool {
        self.pinned
    }

    /// The time that was verified for, Unix milliseconds.
    #[must_use]
    pub const fn verified_at_ms(&self) -> u64 {
        self.verified_at_ms
    }

    /// Every check that was made.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }
}
