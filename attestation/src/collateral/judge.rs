//! Whether collateral is genuine and about this evidence, and until when.

use super::hardware_report;
use crate::check::{Check, Rejected};
use crate::document::{Collateral, Evidence, Tee};
use crate::verify::{Error, Trust};
use crate::{document, snp, tdx};

/// Verifies the hardware's report in evidence with its collateral, and gives the time until when that holds.
///
/// It is the end of the shortest validity of everything that was used: before then, other collateral is needed. It and
/// `now_ms` are Unix milliseconds.
///
/// Nothing is said about what the report speaks of, so this is no verification of a document, and no judgement.
///
/// # Errors
///
/// The first step that fails, together with all checks. Evidence without collateral is refused: what a TDX quote proves
/// without any is not the question here.
pub fn verify(
    evidence: &Evidence,
    collateral: &Collateral,
    trust: &Trust,
    now_ms: u64,
) -> Result<u64, Rejected<Error>> {
    let refused = |error| Rejected { checks: Vec::<Check>::new(), error };
    let tee = Tee::from_name(&evidence.tee).ok_or_else(|| refused(Error::UnsupportedTee))?;
    let foreign = || refused(Error::Document(document::Error::Collateral(tee.name())));
    let report =
        hardware_report(evidence).map_err(|_| refused(Error::Document(document::Error::MissingMember("report"))))?;
    match (tee, collateral) {
        (Tee::SevSnp | Tee::AzSnp, Collateral::Snp(collateral)) => {
            let evidence = snp::Evidence { report, endorsements: collateral.endorsements() };
            let verified = snp::verify(&evidence, &trust.snp, now_ms);
            verified.map(|report| report.valid_until_ms()).map_err(|rejected| rejected.map(Error::Snp))
        }
        (Tee::Tdx | Tee::AzTdx, Collateral::Tdx(collateral)) => {
            let evidence = tdx::Evidence { quote: report, collateral: Some(collateral) };
            let verified = tdx::verify(&evidence, &trust.tdx, now_ms);
            verified.map(|quote| quote.valid_until_ms()).map_err(|rejected| rejected.map(Error::Tdx))
        }
        (Tee::SevSnp | Tee::AzSnp | Tee::Tdx | Tee::AzTdx | Tee::Development, _) => Err(foreign()),
    }
}
