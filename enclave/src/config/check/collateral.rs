//! Where collateral comes from, and that the way to it is open.

use std::net::SocketAddr;
use std::path::PathBuf;

use cloister_attestation::collateral::{Services, Update};
use http::Uri;

use super::{Checker, PublicHost};
use crate::config::raw::RawAttestation;
use crate::config::{Collateral, CollateralNetwork, Tee};

const SOURCE: &str = "must be \"none\" or \"egress\"";
const ADDRESS: &str = "must be an https address in lower case, where attestation.collateral = \"egress\"";
const UPDATE: &str = "must be \"standard\" or \"early\", where attestation.collateral = \"egress\"";
const AUTHORITIES: &str = "must be a path, where attestation.collateral = \"egress\"";

/// Takes its fields out of the table. A mistake is noted.
pub(super) fn collateral(c: &mut Checker, raw: &mut RawAttestation) -> Option<Collateral> {
    let path = |path: &str| (!path.is_empty()).then(|| PathBuf::from(path));
    let source = std::mem::take(&mut raw.collateral);
    let asks = c.optional_parsed("attestation.collateral", source, SOURCE, |source| match source {
        "none" => Some(false),
        "egress" => Some(true),
        _ => None,
    });
    let asks = asks.unwrap_or(false);
    let folder = std::mem::take(&mut raw.collateral_dir);
    let folder = c.optional_parsed("attestation.collateral_dir", folder, "must be a path", path);

    let used = |text: &str| asks.then(|| text.to_owned());
    let address = |text: &str| used(text).filter(|text| destination(text).is_some());
    let base = |text: &str| address(text).filter(|text| !text.contains('?'));
    let vendors = Services::vendors();
    let kds = c.optional_parsed("attestation.kds_url", std::mem::take(&mut raw.kds_url), ADDRESS, base);
    let pcs = c.optional_parsed("attestation.pcs_url", std::mem::take(&mut raw.pcs_url), ADDRESS, base);
    let root_crl = std::mem::take(&mut raw.intel_root_crl_url);
    let root_crl = c.optional_parsed("attestation.intel_root_crl_url", root_crl, ADDRESS, address);
    let update = c.optional_parsed("attestation.pcs_update", std::mem::take(&mut raw.pcs_update), UPDATE, |update| {
        [Update::Standard, Update::Early].into_iter().find(|known| asks && known.name() == update)
    });
    let authorities = std::mem::take(&mut raw.collateral_ca);
    let authorities =
        c.optional_parsed("attestation.collateral_ca", authorities, AUTHORITIES, |file| path(&used(file)?));
    let services = Services {
        kds: kds.unwrap_or(vendors.kds),
        pcs: pcs.unwrap_or(vendors.pcs),
        root_crl: root_crl.unwrap_or(vendors.root_crl),
        update: update.unwrap_or(vendors.update),
    };
    Some(Collateral { folder, network: asks.then_some(CollateralNetwork { services, authorities }) })
}

/// That the egress policy names whom collateral is asked of, and the relay can be asked for the way.
pub(super) fn check_egress(
    c: &mut Checker,
    tee: Tee,
    collateral: &Collateral,
    allow: &[String],
    relay: Option<SocketAddr>,
) {
    const RELAY: &str = "is needed where attestation.collateral = \"egress\": the relay's egress.listen";
    const KDS: &str = "must name \"kdsintf.amd.com:443\" where attestation.collateral = \"egress\" asks AMD for \
                       certificates (or the host and port of attestation.kds_url), and so must the relay's egress.allow";
    const PCS: &str = "must name \"api.trustedservices.intel.com:443\" where attestation.collateral = \"egress\" asks \
                       Intel for TCB data (or the host and port of attestation.pcs_url), and so must the relay's egress.allow";
    const ROOT_CRL: &str = "must name \"certificates.trustedservices.intel.com:443\" where attestation.collateral = \
                            \"egress\" asks Intel for a revocation list (or the host and port of \
                            attestation.intel_root_crl_url), and so must the relay's egress.allow";
    let Some(CollateralNetwork { services, .. }) = &collateral.network else { return };
    if relay.is_none() {
        c.note("egress.relay", RELAY);
    }
    let (amd, intel) = match tee {
        Tee::Development => (false, false),
        Tee::Auto => (true, true),
        Tee::SevSnp => (true, false),
        Tee::Tdx => (false, true),
    };
    let needed = [(amd, &services.kds, KDS), (intel, &services.pcs, PCS), (intel, &services.root_crl, ROOT_CRL)];
    for (_, _, wanted) in needed.into_iter().filter(|(asked, address, _)| {
        *asked && destination(address).is_none_or(|destination| !allow.contains(&destination))
    }) {
        c.note("egress.allow", wanted);
    }
}

/// `host:port` of an https address without user name and fragment.
fn destination(address: &str) -> Option<String> {
    let uri: Uri = address.parse().ok().filter(|_| !address.contains(['#', '@']))?;
    let host = uri.host().filter(|_| uri.scheme_str() == Some("https"))?;
    let destination = format!("{host}:{}", uri.port_u16().unwrap_or(443));
    PublicHost::parse(&destination).map(|_| destination)
}
