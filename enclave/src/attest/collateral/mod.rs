//! What travels beside evidence, so that relying parties need fetch nothing.
//!
//! It comes from the host's certificate table, from a folder that the operator fills, or from AMD and Intel by way of the
//! relay. Nobody vouches for any of them: collateral is used only if it verifies under the roots that this process trusts,
//! for its own evidence, now. Gathering happens in the background and never while a request waits; what was gathered is
//! kept sealed, so that a restart needs no network.
//!
//! | part | what it does |
//! |---|---|
//! | [`Shelf`] | where it lies for those who mint, who verify what they carry |
//! | [`Keeper`] | gathers, keeps and renews |
//! | [`Fetcher`] | one GET through the relay |
//! | `host`, `folder`, `record`, `schedule` | the table, the folder, the sealed record, when to do it again |

mod fetch;
mod folder;
mod host;
mod keeper;
mod record;
mod schedule;

pub use fetch::{FetchError, Fetcher};
pub use keeper::{Keeper, Sources};
pub(crate) use record::COLLECTIONS;

use std::sync::{Arc, PoisonError, RwLock};

use cloister_attestation::collateral;
use cloister_attestation::document::{Collateral, SnpCollateral, Tee};
use cloister_attestation::verify::Trust;
use cloister_attestation::{snp, verify};
use serde_json::{Map, Value};
use tokio::sync::Notify;

use super::Report;

/// Collateral of this machine's evidence, and how long it is good for. Times are Unix milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gathered {
    collateral: Collateral,
    gathered_ms: u64,
    valid_until_ms: u64,
}

/// Where what was gathered lies for those who mint documents.
#[derive(Debug, Default)]
pub struct Shelf {
    gathered: RwLock<Option<Arc<Gathered>>>,
    /// Told when what lies here is of no use for the evidence of this moment: firmware was updated under the guest, say.
    stale: Notify,
}

impl Shelf {
    fn get(&self) -> Option<Arc<Gathered>> {
        self.gathered.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, gathered: Gathered) {
        *self.gathered.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(gathered));
    }

    /// What a document with this report carries, in the document's shape; empty if nothing is there that is worth
    /// anything.
    pub(super) fn carried(&self, report: &Report, trust: &Trust, now_ms: u64) -> Map<String, Value> {
        if Tee::from_name(&report.evidence.tee) == Some(Tee::Development) {
            return Map::new();
        }
        let kept = self.get();
        let gathered = kept.as_ref().and_then(|gathered| usable(report, &gathered.collateral, trust, now_ms));
        if kept.is_some() && gathered.is_none() {
            self.stale.notify_one();
        }
        gathered.or_else(|| from_host(report, trust, now_ms)).map(|found| found.to_members()).unwrap_or_default()
    }
}

/// The collateral, if it verifies. A chip's certificate outlives the revocation list that was gathered with it: then it
/// goes without, and relying parties are told that revocation was not checked.
fn usable(report: &Report, collateral: &Collateral, trust: &Trust, now_ms: u64) -> Option<Collateral> {
    let refused = match collateral::verify(&report.evidence, collateral, trust, now_ms) {
        Ok(_) => return Some(collateral.clone()),
        Err(refused) => refused.error,
    };
    match (refused, collateral) {
        (verify::Error::Snp(snp::Error::CrlExpired { .. }), Collateral::Snp(own)) => {
            let without = Collateral::Snp(SnpCollateral { crl: None, ..own.clone() });
            collateral::verify(&report.evidence, &without, trust, now_ms).ok().map(|_| without)
        }
        _ => None,
    }
}

fn from_host(report: &Report, trust: &Trust, now_ms: u64) -> Option<Collateral> {
    host::leaf(report, &trust.snp, now_ms).map(|(leaf, _)| Collateral::Snp(leaf))
}
