//! A report that is true.

use super::chain::VerifiedVek;
use super::product::{Product, RawTcb, Tcb};
use super::report::Claims;
use super::roots::Trust;
use crate::check::Check;
use crate::encoding::Digest;

/// SEV-SNP evidence that is true. Only [`super::verify`] makes it; whether it is *wanted* is for `cloister-policies`.
#[derive(Debug, Clone)]
pub struct Verified {
    pub(super) claims: Claims,
    pub(super) vek: VerifiedVek,
    pub(super) report_sha256: Digest,
    pub(super) verified_at_ms: u64,
    pub(super) checks: Vec<Check>,
}

impl Verified {
    /// What the report says, now proven to be the firmware's word.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The key that signed it.
    #[must_use]
    pub const fn vek(&self) -> &VerifiedVek {
        &self.vek
    }

    /// The product line, from the chain and, where the report has it, from CPUID.
    #[must_use]
    pub const fn product(&self) -> Product {
        self.vek.product
    }

    /// The TCB that the signing key proves. Minimums are held against this one.
    #[must_use]
    pub const fn reported_tcb(&self) -> Tcb {
        self.tcb(self.claims.reported_tcb)
    }

    /// The firmware that runs.
    #[must_use]
    pub const fn current_tcb(&self) -> Tcb {
        self.tcb(self.claims.current_tcb)
    }

    /// The firmware below which there is no way back.
    #[must_use]
    pub const fn committed_tcb(&self) -> Tcb {
        self.tcb(self.claims.committed_tcb)
    }

    /// The firmware at launch.
    #[must_use]
    pub const fn launch_tcb(&self) -> Tcb {
        self.tcb(self.claims.launch_tcb)
    }

    /// Whether the chain ends in a root of AMD's own; one that the caller named protects nobody.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        self.vek.trust == Trust::Pinned
    }

    /// SHA-256 of the report.
    #[must_use]
    pub const fn report_sha256(&self) -> Digest {
        self.report_sha256
    }

    /// The time that was verified for, Unix milliseconds.
    #[must_use]
    pub const fn verified_at_ms(&self) -> u64 {
        self.verified_at_ms
    }

    /// Until when the verdict holds, Unix milliseconds: the end of the shortest validity of what was used. The report
    /// itself has no time; that it is fresh shows only in its `report_data`.
    #[must_use]
    pub const fn valid_until_ms(&self) -> u64 {
        self.vek.valid_until.saturating_mul(1000)
    }

    /// Every check that was made.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    const fn tcb(&self, raw: RawTcb) -> Tcb {
        Tcb::decode(self.vek.product, raw)
    }
}
