//! Choosing what makes evidence, and the roots that the start holds it against.

use std::path::Path;
use std::sync::Arc;

use cloister_attestation::document::Tee;
use cloister_attestation::verify::Trust;
use cloister_attestation::{snp, tdx};

use super::StartError;
use crate::attest::collateral::{Fetcher, Keeper, Sources};
use crate::attest::provider::{self, Interfaces};
use crate::attest::{Attestation, DevelopmentAttester};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::egress::{Egress, EgressPolicy};
use crate::store::Store;

/// Certificates above this are none.
const MAX_ROOT_BYTES: u64 = 16 * 1024;

/// What the configuration asks for, if the machine has it. Blocks in a thread of its own.
pub(super) async fn attestation(config: &Config) -> Result<Attestation, StartError> {
    let Some(hardware) = config.attestation.clone() else {
        return Ok(Attestation::new(Box::new(DevelopmentAttester::new()), Trust::pinned()));
    };
    let wanted = match config.tee {
        config::Tee::Development => Some(Tee::Development),
        config::Tee::Auto => None,
        config::Tee::SevSnp => Some(Tee::SevSnp),
        config::Tee::Tdx => Some(Tee::Tdx),
    };
    let found = tokio::task::spawn_blocking(move || {
        let interfaces = Interfaces { tsm_report: hardware.tsm_report, privilege_level: hardware.privilege_level };
        let trust = trust(&hardware.insecure_trust_roots)?;
        Ok(Attestation::new(provider::find(wanted, &interfaces)?, trust))
    });
    found.await.map_err(|_| StartError::Interrupted)?
}

/// What gathers collateral for evidence, where the configuration wants that.
pub(super) fn keeper(
    config: &Config,
    attestation: &Arc<Attestation>,
    store: &Store,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Keeper>, StartError> {
    let Some(config::Collateral { folder, network }) = config.attestation.as_ref().map(|table| &table.collateral)
    else {
        return Ok(None);
    };
    let network = match (network, config.egress_relay) {
        (Some(network), Some(relay)) => {
            let egress = Egress::new(relay, EgressPolicy::new(config.egress_allow.clone()));
            let fetcher = Fetcher::new(egress, network.authorities.as_deref(), Arc::clone(clock))?;
            Some((network.services.clone(), fetcher))
        }
        (Some(_), None) | (None, _) => None,
    };
    if folder.is_none() && network.is_none() {
        return Ok(None);
    }
    let sources = Sources { folder: folder.clone(), network };
    Ok(Some(Keeper::new(Arc::clone(attestation), store.clone(), Arc::clone(clock), sources)))
}

/// The compiled-in roots, or those of the configuration in their place: a root named as AMD names them is AMD's, any
/// other Intel's.
fn trust(insecure: &[std::path::PathBuf]) -> Result<Trust, StartError> {
    let mut trust = Trust::pinned();
    for path in insecure {
        let der = read(path)?;
        match snp::Roots::insecure_with_ark(&der) {
            Ok(roots) => trust.snp = roots,
            Err(_) => trust.tdx = tdx::Roots::insecure_with_root(der),
        }
    }
    if !insecure.is_empty() {
        tracing::warn!("TEST ROOTS ARE TRUSTED: evidence under them protects nobody, and relying parties refuse it");
    }
    Ok(trust)
}

fn read(path: &Path) -> Result<Vec<u8>, StartError> {
    use std::io::Read as _;
    let mut der = Vec::new();
    let file = std::fs::File::open(path).map_err(|_| StartError::TrustRoot)?;
    file.take(MAX_ROOT_BYTES + 1).read_to_end(&mut der).map_err(|_| StartError::TrustRoot)?;
    let fits = !der.is_empty() && der.len() as u64 <= MAX_ROOT_BYTES;
    fits.then_some(der).ok_or(StartError::TrustRoot)
}
