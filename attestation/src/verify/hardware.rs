//! What a document's evidence says, once it was found to be true, whatever its kind.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{Error, Trust};
use crate::check::{Check, Checklist, Rejected};
use crate::document::{Collateral, Document, Evidence, Tee};
use crate::{azure, development, snp, tdx};

/// Hardware evidence that is true.
#[derive(Debug, Clone)]
pub enum Hardware {
    /// AMD SEV-SNP.
    Snp(Box<snp::Verified>),
    /// Intel TDX.
    Tdx(Box<tdx::Verified>),
    /// AMD SEV-SNP on Azure.
    AzSnp(Box<azure::Verified<snp::Verified>>),
    /// Intel TDX on Azure.
    AzTdx(Box<azure::Verified<tdx::Verified>>),
}

impl Hardware {
    /// The SEV-SNP report; on Azure that of the paravisor.
    #[must_use]
    pub fn snp(&self) -> Option<&snp::Verified> {
        match self {
            Self::Snp(report) => Some(report),
            Self::AzSnp(guest) => Some(guest.hardware()),
            Self::Tdx(_) | Self::AzTdx(_) => None,
        }
    }

    /// The TDX quote; on Azure that of the paravisor.
    #[must_use]
    pub fn tdx(&self) -> Option<&tdx::Verified> {
        match self {
            Self::Tdx(quote) => Some(quote),
            Self::AzTdx(guest) => Some(guest.hardware()),
            Self::Snp(_) | Self::AzSnp(_) => None,
        }
    }

    /// The kind of evidence.
    #[must_use]
    pub const fn tee(&self) -> Tee {
        match self {
            Self::Snp(_) => Tee::SevSnp,
            Self::Tdx(_) => Tee::Tdx,
            Self::AzSnp(_) => Tee::AzSnp,
            Self::AzTdx(_) => Tee::AzTdx,
        }
    }

    /// Every check that was made.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        match self {
            Self::Snp(report) => report.checks(),
            Self::Tdx(quote) => quote.checks(),
            Self::AzSnp(guest) => guest.checks(),
            Self::AzTdx(guest) => guest.checks(),
        }
    }

    /// The time that it was verified for, Unix milliseconds.
    #[must_use]
    pub fn verified_at_ms(&self) -> u64 {
        match self {
            Self::Snp(report) => report.verified_at_ms(),
            Self::Tdx(quote) => quote.verified_at_ms(),
            Self::AzSnp(guest) => guest.hardware().verified_at_ms(),
            Self::AzTdx(guest) => guest.hardware().verified_at_ms(),
        }
    }

    /// Until when the evidence holds, Unix milliseconds.
    #[must_use]
    pub fn valid_until_ms(&self) -> u64 {
        match self {
            Self::Snp(report) => report.valid_until_ms(),
            Self::Tdx(quote) => quote.valid_until_ms(),
            Self::AzSnp(guest) => guest.hardware().valid_until_ms(),
            Self::AzTdx(guest) => guest.hardware().valid_until_ms(),
        }
    }

    /// Whether it chains to a root of AMD's or Intel's own.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        match self {
            Self::Snp(report) => report.is_pinned(),
            Self::Tdx(quote) => quote.is_pinned(),
            Self::AzSnp(guest) => guest.hardware().is_pinned(),
            Self::AzTdx(guest) => guest.hardware().is_pinned(),
        }
    }
}

/// What vouches for the statement.
pub(super) enum Voucher {
    Development { report_data: [u8; 64] },
    Hardware(Hardware),
}

impl Voucher {
    /// Whether it speaks of these 64 bytes; a virtual TPM of Azure's speaks of their SHA-256.
    pub(super) fn speaks_of(&self, report_data: &[u8; 64]) -> bool {
        let through_tpm = |quote: &azure::Quote| Sha256::digest(report_data).as_slice().ct_eq(&quote.extra_data).into();
        let directly = |own: &[u8; 64]| own.ct_eq(report_data).into();
        match self {
            Self::Development { report_data } => directly(report_data),
            Self::Hardware(Hardware::Snp(report)) => directly(&report.claims().report_data),
            Self::Hardware(Hardware::Tdx(quote)) => directly(&quote.report().report_data),
            Self::Hardware(Hardware::AzSnp(guest)) => through_tpm(guest.quote()),
            Self::Hardware(Hardware::AzTdx(guest)) => through_tpm(guest.quote()),
        }
    }

    /// Notes that the statement, with our nonce, was found to be what it speaks of: a TPM's quote is fresh by that.
    pub(super) fn answers_our_nonce(&mut self) {
        match self {
            Self::Hardware(Hardware::AzSnp(guest)) => guest.answers_our_nonce(),
            Self::Hardware(Hardware::AzTdx(guest)) => guest.answers_our_nonce(),
            Self::Development { .. } | Self::Hardware(Hardware::Snp(_) | Hardware::Tdx(_)) => {}
        }
    }

    /// The checks that were made of hardware.
    pub(super) fn hardware_checks(&self) -> Option<&[Check]> {
        match self {
            Self::Development { .. } => None,
            Self::Hardware(hardware) => Some(hardware.checks()),
        }
    }

    pub(super) fn into_hardware(self) -> Option<Hardware> {
        match self {
            Self::Development { .. } => None,
            Self::Hardware(hardware) => Some(hardware),
        }
    }
}

/// Verifies the evidence of a document by the procedure of its kind, and gives the checks that were made.
pub(super) fn verify(
    tee: Tee,
    document: &Document,
    collateral: &Collateral,
    trust: &Trust,
    now_ms: u64,
) -> Result<(Voucher, Vec<Check>), Rejected<Error>> {
    let report = document.evidence.report.0.as_slice();
    let voucher = match tee {
        Tee::Development => return verify_development(report),
        Tee::SevSnp => {
            let evidence = snp::Evidence { report, endorsements: endorsements(collateral) };
            let report = snp::verify(&evidence, &trust.snp, now_ms).map_err(|rejected| rejected.map(Error::Snp))?;
            Hardware::Snp(Box::new(report))
        }
        Tee::Tdx => {
            let evidence = tdx::Evidence { quote: report, collateral: published(collateral) };
            let quote = tdx::verify(&evidence, &trust.tdx, now_ms).map_err(|rejected| rejected.map(Error::Tdx))?;
            Hardware::Tdx(Box::new(quote))
        }
        Tee::AzSnp => {
            let guest = azure_evidence(&document.evidence, tee)?;
            let guest = azure::verify_snp(&guest, &endorsements(collateral), &trust.snp, now_ms);
            Hardware::AzSnp(Box::new(guest.map_err(|rejected| rejected.map(Error::Azure))?))
        }
        Tee::AzTdx => {
            let guest = azure_evidence(&document.evidence, tee)?;
            let quote = document.evidence.quote.as_ref().ok_or_else(|| lacks("quote", tee))?;
            let quote = tdx::Evidence { quote: &quote.0, collateral: published(collateral) };
            let guest = azure::verify_tdx(&guest, &quote, &trust.tdx, now_ms);
            Hardware::AzTdx(Box::new(guest.map_err(|rejected| rejected.map(Error::Azure))?))
        }
    };
    let voucher = Voucher::Hardware(voucher);
    let checks = voucher.hardware_checks().unwrap_or_default().to_vec();
    Ok((voucher, checks))
}

fn verify_development(report: &[u8]) -> Result<(Voucher, Vec<Check>), Rejected<Error>> {
    let mut checks = Checklist::new(super::plan::DEVELOPMENT);
    let report = development::Report::parse(report).map_err(Error::Development);
    let report = checks.step("dev.format", |_| "a development report".to_owned(), report).and_then(|report| {
        let signed = report.verify().map_err(Error::Development);
        let passed = |(): &()| "signed by the key in the report, which chains to nothing".to_owned();
        checks.step("dev.signature", passed, signed)?;
        Ok(report)
    });
    let checks = checks.into_checks();
    match report {
        Ok(report) => Ok((Voucher::Development { report_data: report.report_data }, checks)),
        Err(error) => Err(Rejected { checks, error }),
    }
}

/// The nonce is judged with the statement, which it is hashed with: the TPM cannot be told it alone.
fn azure_evidence(evidence: &Evidence, tee: Tee) -> Result<azure::Evidence<'_>, Rejected<Error>> {
    let quote = evidence.tpm_quote.as_ref().ok_or_else(|| lacks("tpm_quote", tee))?;
    Ok(azure::Evidence { hcl_report: &evidence.report.0, quote, nonce: None })
}

/// Documents are parsed with the members of their kind; this is for one that was put together otherwise.
fn lacks(member: &'static str, tee: Tee) -> Rejected<Error> {
    let error = Error::Document(crate::document::Error::MissingMember(member));
    Rejected { checks: super::plan::of_kind(tee), error }
}

fn endorsements(collateral: &Collateral) -> snp::Endorsements<'_> {
    match collateral {
        Collateral::Snp(collateral) => collateral.endorsements(),
        Collateral::None | Collateral::Tdx(_) => snp::Endorsements::default(),
    }
}

fn published(collateral: &Collateral) -> Option<&tdx::Collateral> {
    match collateral {
        Collateral::Tdx(collateral) => Some(collateral),
        Collateral::None | Collateral::Snp(_) => None,
    }
}
