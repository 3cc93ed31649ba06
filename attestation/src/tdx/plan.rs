//! The checks of a TDX verification, in their order.

use crate::check::{Planned, Stage};

const REFETCH: &str = "ask the appliance for a new quote; if it stays so, do not use it";
const ALTERED: &str = "do not use this appliance: its evidence was altered or is not from an Intel platform";
const COLLATERAL: &str = "fetch collateral from Intel for this platform and try again, and check this machine's clock";
const PATCH: &str = "ask the operator to update firmware, TDX module and quoting enclave of the platform";

pub(crate) const PLAN: &[Planned] = &[
    Planned::required("tdx.quote.header", Stage::Parse, REFETCH),
    Planned::required("tdx.quote.body", Stage::Parse, REFETCH),
    Planned::required("tdx.quote.signature_data", Stage::Parse, REFETCH),
    Planned::required("tdx.chain.format", Stage::Chain, REFETCH),
    Planned::required("tdx.chain.root", Stage::Chain, ALTERED),
    Planned::required("tdx.chain.path", Stage::Chain, ALTERED),
    Planned::required("tdx.chain.validity", Stage::Chain, "check this machine's clock, then ask the operator"),
    Planned::required("tdx.chain.platform", Stage::Chain, ALTERED),
    Planned::required("tdx.signature.qe_report", Stage::Signature, ALTERED),
    Planned::required("tdx.signature.attestation_key", Stage::Signature, ALTERED),
    Planned::required("tdx.signature.quote", Stage::Signature, ALTERED),
    Planned::required("tdx.collateral.size", Stage::Collateral, COLLATERAL),
    Planned::required("tdx.collateral.root_crl", Stage::Collateral, COLLATERAL),
    Planned::required("tdx.collateral.root_crl.validity", Stage::Collateral, COLLATERAL),
    Planned::required("tdx.collateral.pck_crl", Stage::Collateral, COLLATERAL),
    Planned::required("tdx.collateral.pck_crl.validity", Stage::Collateral, COLLATERAL),
    Planned::required("tdx.collateral.pck_ca_revocation", Stage::Collateral, ALTERED),
    Planned::required("tdx.collateral.pck_revocation", Stage::Collateral, ALTERED),
    Planned::required("tdx.collateral.tcb_info.signer", Stage::Collateral, COLLATERAL),
    Planned::required("tdx.collateral.tcb_info.signature", Stage::Collateral, COLLATERAL),
    Planned::required("tdx.collateral.tcb_info", Stage::Collateral, COLLATERAL),
    Planned::required("tdx.collateral.tcb_info.validity", Stage::Collateral, COLLATERAL),
    Planned::required("tdx.collateral.qe_identity.signer", Stage::Collateral, COLLATERAL),
    Planned::required("tdx.collateral.qe_identity.signature", Stage::Collateral, COLLATERAL),
    Planned::required("tdx.collateral.qe_identity", Stage::Collateral, COLLATERAL),
    Planned::required("tdx.collateral.qe_identity.validity", Stage::Collateral, COLLATERAL),
    Planned::required("tdx.collateral.fmspc", Stage::Collateral, COLLATERAL),
    Planned::required("tdx.collateral.pce_id", Stage::Collateral, COLLATERAL),
    Planned::required("tdx.tcb.qe_identity", Stage::Tcb, ALTERED),
    Planned::required("tdx.tcb.qe_level", Stage::Tcb, PATCH),
    Planned::required("tdx.tcb.module_identity", Stage::Tcb, ALTERED),
    Planned::required("tdx.tcb.level", Stage::Tcb, PATCH),
    Planned::required("tdx.tcb.current_level", Stage::Tcb, PATCH),
    Planned::required("tdx.tcb.not_revoked", Stage::Tcb, "do not use this platform: its keys may be known to others"),
    Planned::required("tdx.tcb.second_opinion", Stage::Tcb, "report this to the makers of Cloister"),
    Planned::optional("tdx.tcb.second_opinion.status", Stage::Tcb, "nothing: the policy judges the attribute"),
    Planned::required("tdx.td_attributes", Stage::Policy, "run the TD without debugging and profiling"),
];

/// The checks that need collateral.
pub(super) fn needs_collateral(planned: &Planned) -> bool {
    matches!(planned.stage, Stage::Collateral | Stage::Tcb)
}
