//! What the host's certificate table gives for an SEV-SNP report.
//!
//! The table is input like any other: its leaf is worth something only if it verifies under the roots that this process
//! trusts, with the compiled-in intermediate, or the table's own where there is none.

use cloister_attestation::document::SnpCollateral;
use cloister_attestation::encoding::Base64;
use cloister_attestation::snp::table::Table;
use cloister_attestation::snp::{self, Endorsements, Product, Roots};

use crate::attest::Report;

/// A leaf that verifies, and perhaps its intermediate; and the product of its chain.
pub(super) fn leaf(report: &Report, roots: &Roots, now_ms: u64) -> Option<(SnpCollateral, Product)> {
    if report.certificates.is_empty() {
        return None;
    }
    let table = match Table::parse(&report.certificates) {
        Ok(table) => table,
        Err(error) => {
            tracing::warn!(%error, "the host's certificate table is of no use");
            return None;
        }
    };
    let signing_key = snp::Report::parse(&report.evidence.report.0).ok()?.claims_unverified().signing_key;
    let vek = table.leaf(signing_key)?;
    let product = |ask: Option<&[u8]>| {
        let endorsements = Endorsements { vek: Some(vek), ask, ark: None, crl: None };
        snp::verify_endorsement(&endorsements, roots, now_ms).ok().map(|(vek, _)| vek.product())
    };
    let carry = |der: &[u8]| Some(Base64(der.to_vec()));
    if let Some(product) = product(None) {
        return Some((SnpCollateral { vek: carry(vek), ..SnpCollateral::default() }, product));
    }
    let product = product(table.ask)?;
    let ask = table.ask.and_then(carry);
    Some((SnpCollateral { vek: carry(vek), ask, ..SnpCollateral::default() }, product))
}
