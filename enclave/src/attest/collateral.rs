//! What travels beside evidence, so that relying parties need fetch nothing.
//!
//! The host's certificate table is input like any other: its leaf is carried only if it verifies under the roots that
//! this process trusts, with the compiled-in intermediate, or the table's own where there is none. What does not verify is
//! left out, and the document goes without.

use cloister_attestation::document::SnpCollateral;
use cloister_attestation::encoding::Base64;
use cloister_attestation::snp::table::Table;
use cloister_attestation::snp::{self, Endorsements, Roots};
use serde_json::{Map, Value};

use super::Report;

/// The collateral of an SEV-SNP report that the host's table gives, in the shape of the document; empty if it gives none
/// that is worth anything.
#[must_use]
pub fn from_host(report: &Report, roots: &Roots, now_ms: u64) -> Map<String, Value> {
    let found = leaf(report, roots, now_ms).and_then(|collateral| serde_json::to_value(collateral).ok());
    match found {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

fn leaf(report: &Report, roots: &Roots, now_ms: u64) -> Option<SnpCollateral> {
    let table = match Table::parse(&report.certificates) {
        Ok(table) => table,
        Err(error) => {
            tracing::warn!(%error, "the host's certificate table is of no use");
            return None;
        }
    };
    let signing_key = snp::Report::parse(&report.evidence.report.0).ok()?.claims_unverified().signing_key;
    let vek = table.leaf(signing_key)?;
    let holds = |ask: Option<&[u8]>| {
        let endorsements = Endorsements { vek: Some(vek), ask, ark: None, crl: None };
        snp::verify_endorsement(&endorsements, roots, now_ms).is_ok()
    };
    let carry = |der: &[u8]| Some(Base64(der.to_vec()));
    if holds(None) {
        return Some(SnpCollateral { vek: carry(vek), ..SnpCollateral::default() });
    }
    let ask = table.ask.filter(|ask| holds(Some(ask)))?;
    Some(SnpCollateral { vek: carry(vek), ask: carry(ask), ..SnpCollateral::default() })
}
