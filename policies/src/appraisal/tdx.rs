//! Do we accept this TDX platform and this TD? Judgement over evidence that `cloister-attestation` found to be true.
//!
//! A key that the policy does not have is not checked, and its check says so; a key that cannot be checked (a TCB status
//! where no collateral was given) is a refusal. `Revoked` is refused before any policy is asked.
//!
//! | check | key | default of the field, attestation notes 2.2.5 |
//! |---|---|---|
//! | `policy.tdx.tcb_status` | `accept_tcb_status`, `out_of_date_grace_days` | `UpToDate` |
//! | `policy.tdx.advisories` | `reject_advisories`, `allow_advisories` | |
//! | `policy.tdx.evaluation_number` | `min_tcb_evaluation_data_number` | 18 since January 2026 |
//! | `policy.tdx.debug` | `allow_debug` | not allowed |
//! | `policy.tdx.reserved` | `td_attributes_reserved_must_be_zero` | required |
//! | `policy.tdx.sept_ve_disable` | `require_sept_ve_disable` | required |
//! | `policy.tdx.migratable` | `allow_migratable` | not allowed |
//! | `policy.tdx.service_td` | `allow_service_td` | not allowed |
//! | `policy.tdx.perfmon` | `allow_perfmon` | not allowed |
//! | `policy.tdx.td_attributes`, `.xfam` | `td_attributes`, `xfam` | exact; bits 0 and 1 of XFAM are always on |
//! | `policy.tdx.mr_seam`, `.mrtd`, `.rtmr0` to `.rtmr3` | the same | pinned |
//! | `policy.tdx.mr_config_id`, `.mr_owner`, `.mr_owner_config` | the same | pinned if used |
//! | `policy.tdx.report_data` | `report_data` | all 64 bytes |
//! | `policy.tdx.platform` | `ppids` | pinned where the place matters |
//! | `policy.tdx.smt`, `.dynamic_platform`, `.cached_keys` | `allow_…` | |

use cloister_attestation::check::{Check, Checklist, Planned, Rejected, Stage};
use cloister_attestation::encoding::Hex;
use cloister_attestation::tdx::{TcbStatus, TcbVerdict, Verified};
use serde::Deserialize;

pub use super::tdx_error::{Claim, PolicyError};

const SECONDS_PER_DAY: u64 = 86_400;
/// XFAM bits 0 and 1 (x87 and SSE), which every processor has.
const XFAM_FIXED: u64 = 3;

const PATCH: &str = "ask the operator to update the platform, or accept the status knowingly";
const RELAUNCH: &str = "ask the operator to launch the TD with other attributes";
const REVIEW: &str = "pin the values of the image that you reviewed, and run that image";
const PLATFORM: &str = "run the appliance on a platform that the policy lists";

pub(super) const PLAN: &[Planned] = &[
    Planned::optional("policy.tdx.tcb_status", Stage::Tcb, PATCH),
    Planned::optional("policy.tdx.advisories", Stage::Policy, PATCH),
    Planned::optional("policy.tdx.evaluation_number", Stage::Policy, "fetch newer collateral from Intel"),
    Planned::optional("policy.tdx.debug", Stage::Policy, RELAUNCH),
    Planned::optional("policy.tdx.reserved", Stage::Policy, RELAUNCH),
    Planned::optional("policy.tdx.sept_ve_disable", Stage::Policy, RELAUNCH),
    Planned::optional("policy.tdx.migratable", Stage::Policy, RELAUNCH),
    Planned::optional("policy.tdx.service_td", Stage::Policy, RELAUNCH),
    Planned::optional("policy.tdx.perfmon", Stage::Policy, RELAUNCH),
    Planned::optional("policy.tdx.td_attributes", Stage::Policy, RELAUNCH),
    Planned::required("policy.tdx.xfam", Stage::Policy, RELAUNCH),
    Planned::optional("policy.tdx.mr_seam", Stage::Policy, "pin the TDX modules that you accept"),
    Planned::optional("policy.tdx.mrtd", Stage::Policy, REVIEW),
    Planned::optional("policy.tdx.rtmr0", Stage::Policy, REVIEW),
    Planned::optional("policy.tdx.rtmr1", Stage::Policy, REVIEW),
    Planned::optional("policy.tdx.rtmr2", Stage::Policy, REVIEW),
    Planned::optional("policy.tdx.rtmr3", Stage::Policy, REVIEW),
    Planned::optional("policy.tdx.mr_config_id", Stage::Policy, REVIEW),
    Planned::optional("policy.tdx.mr_owner", Stage::Policy, REVIEW),
    Planned::optional("policy.tdx.mr_owner_config", Stage::Policy, REVIEW),
    Planned::optional("policy.tdx.report_data", Stage::Policy, "ask the appliance with a fresh nonce"),
    Planned::optional("policy.tdx.platform", Stage::Policy, PLATFORM),
    Planned::optional("policy.tdx.smt", Stage::Policy, PLATFORM),
    Planned::optional("policy.tdx.dynamic_platform", Stage::Policy, PLATFORM),
    Planned::optional("policy.tdx.cached_keys", Stage::Policy, PLATFORM),
];

/// What is accepted of a TDX platform and a TD. Absent keys are not checked; an empty list accepts nothing.
///
/// There is no `Default`: a policy without keys accepts every true TD, debug ones included.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TdxPolicy {
    /// Accept a TD whose memory the host may read.
    pub allow_debug: Option<bool>,
    /// Refuse a TD into which the host can inject exceptions by taking pages away.
    pub require_sept_ve_disable: Option<bool>,
    /// Accept a TD that is bound to a service TD.
    pub allow_service_td: Option<bool>,
    /// Accept a TD that may be migrated.
    pub allow_migratable: Option<bool>,
    /// Accept a TD with performance counters.
    pub allow_perfmon: Option<bool>,
    /// Refuse attributes whose meaning is not known.
    pub td_attributes_reserved_must_be_zero: Option<bool>,
    /// The TCB statuses that are good enough.
    pub accept_tcb_status: Option<Vec<TcbStatus>>,
    /// For how many days after the date of its TCB level an out-of-date platform is still accepted.
    pub out_of_date_grace_days: Option<u32>,
    /// Security advisories that must not be open.
    pub reject_advisories: Option<Vec<String>>,
    /// The only security advisories that may be open.
    pub allow_advisories: Option<Vec<String>>,
    /// The lowest evaluation number of TCB info and QE identity: older ones hide later recoveries.
    pub min_tcb_evaluation_data_number: Option<u32>,
    /// Attributes of the TD, exactly.
    pub td_attributes: Option<Hex<8>>,
    /// Extended features of the TD, exactly.
    pub xfam: Option<Hex<8>>,
    /// Measurements of TDX modules.
    pub mr_seam: Option<Vec<Hex<48>>>,
    /// Measurements of the virtual firmware.
    pub mrtd: Option<Vec<Hex<48>>>,
    /// Runtime measurements of firmware configuration.
    pub rtmr0: Option<Vec<Hex<48>>>,
    /// Runtime measurements of loader and kernel.
    pub rtmr1: Option<Vec<Hex<48>>>,
    /// Runtime measurements of kernel command line and initrd.
    pub rtmr2: Option<Vec<Hex<48>>>,
    /// Runtime measurements of user space.
    pub rtmr3: Option<Vec<Hex<48>>>,
    /// Configuration id that the host set at creation.
    pub mr_config_id: Option<Hex<48>>,
    /// Owner that the host set at creation.
    pub mr_owner: Option<Hex<48>>,
    /// Owner's configuration that the host set at creation.
    pub mr_owner_config: Option<Hex<48>>,
    /// What the TD had signed.
    pub report_data: Option<Hex<64>>,
    /// Platforms, by their provisioning ids.
    pub ppids: Option<Vec<Hex<16>>>,
    /// Accept a platform with hyperthreading.
    pub allow_smt: Option<bool>,
    /// Accept a platform to which packages may be added.
    pub allow_dynamic_platform: Option<bool>,
    /// Accept a platform whose root keys Intel keeps.
    pub allow_cached_keys: Option<bool>,
}

/// The outcome of one check: none if the policy has no key for it.
type Outcome = Option<Result<(), PolicyError>>;

/// Judges true evidence by a policy. Every check is made; the first in the order of the plan that fails is the reason.
///
/// # Errors
///
/// That reason, with all checks.
pub fn check(evidence: &Verified, policy: &TdxPolicy) -> Result<Vec<Check>, Rejected<PolicyError>> {
    let mut list = Checklist::new(PLAN);
    let mut refusal = None;
    let outcomes =
        tcb(evidence, policy).into_iter().chain(attributes(evidence, policy)).chain(references(evidence, policy));
    for (id, outcome) in outcomes.chain(platform(evidence, policy)) {
        match outcome {
            None => list.not_done(id, "the policy says nothing about it"),
            Some(Ok(())) => list.pass(id, "as the policy wants it"),
            Some(Err(error)) => {
                list.fail(id, error.to_string());
                refusal.get_or_insert(error);
            }
        }
    }
    let checks = list.into_checks();
    match refusal {
        None => Ok(checks),
        Some(error) => Err(Rejected { checks, error }),
    }
}

fn tcb(evidence: &Verified, policy: &TdxPolicy) -> [(&'static str, Outcome); 3] {
    let verdict = evidence.tcb().ok_or(PolicyError::NoCollateral);
    let judge = |wanted: bool, judge: &dyn Fn(&TcbVerdict) -> Result<(), PolicyError>| {
        wanted.then(|| verdict.clone().and_then(judge))
    };
    let now_s = evidence.verified_at_ms() / 1000;
    let accepted = policy.accept_tcb_status.as_deref();
    let lists = (policy.reject_advisories.as_deref(), policy.allow_advisories.as_deref());
    [
        ("policy.tdx.tcb_status", judge(accepted.is_some(), &|verdict| check_status(verdict, policy, now_s))),
        (
            "policy.tdx.advisories",
            judge(lists.0.is_some() || lists.1.is_some(), &|verdict| {
                let refused = |id: &&String| {
                    lists.0.is_some_and(|list| list.contains(id)) || lists.1.is_some_and(|list| !list.contains(id))
                };
                let refused = verdict.advisories.iter().find(refused);
                refused.map_or(Ok(()), |id| Err(PolicyError::Advisory(id.clone())))
            }),
        ),
        (
            "policy.tdx.evaluation_number",
            policy.min_tcb_evaluation_data_number.map(|wanted| {
                let found = verdict.clone()?.evaluation_number;
                if found >= wanted { Ok(()) } else { Err(PolicyError::EvaluationNumber { found, wanted }) }
            }),
        ),
    ]
}

fn check_status(verdict: &TcbVerdict, policy: &TdxPolicy, now_s: u64) -> Result<(), PolicyError> {
    let accepted = policy.accept_tcb_status.as_deref().unwrap_or_default();
    let grace_s = policy.out_of_date_grace_days.map_or(0, |days| u64::from(days) * SECONDS_PER_DAY);
    let dated = verdict.date_s.min(verdict.qe_date_s);
    let in_grace = grace_s > 0 && now_s <= dated.saturating_add(grace_s);
    let good = |status: TcbStatus| {
        accepted.contains(&status)
            || in_grace && status == TcbStatus::OutOfDate && accepted.contains(&TcbStatus::UpToDate)
            || in_grace
                && status == TcbStatus::OutOfDateConfigurationNeeded
                && accepted.contains(&TcbStatus::ConfigurationNeeded)
    };
    // Intel's rule looks at what runs now only where the launch was out of date. A module that is older now than at
    // launch should not exist; if one is shown, it is judged as what it is.
    let now = verdict.current.filter(|status| status.is_out_of_date());
    match [Some(verdict.status), now].into_iter().flatten().find(|status| !good(*status)) {
        Some(status) => Err(PolicyError::TcbStatus(status)),
        None => Ok(()),
    }
}

fn attributes(evidence: &Verified, policy: &TdxPolicy) -> [(&'static str, Outcome); 8] {
    let report = evidence.report();
    let attributes = report.td_attributes;
    let service = report.has_service_td() || attributes.service_td();
    let reserved = policy.td_attributes_reserved_must_be_zero.map(|zero| !zero);
    let sept_ve = policy.require_sept_ve_disable.map(|required| !required);
    let possible = u64::from_le_bytes(report.xfam) & XFAM_FIXED == XFAM_FIXED;
    let pinned = policy.xfam.is_none_or(|xfam| xfam.0 == report.xfam);
    let exact = policy.td_attributes.map(|pinned| pinned.0 == attributes.0);
    [
        ("policy.tdx.debug", allow(policy.allow_debug, attributes.debug(), Claim::Debug)),
        ("policy.tdx.reserved", allow(reserved, attributes.reserved(), Claim::Reserved)),
        ("policy.tdx.sept_ve_disable", allow(sept_ve, !attributes.sept_ve_disable(), Claim::SeptVeDisable)),
        ("policy.tdx.migratable", allow(policy.allow_migratable, attributes.migratable(), Claim::Migratable)),
        ("policy.tdx.service_td", allow(policy.allow_service_td, service, Claim::ServiceTd)),
        ("policy.tdx.perfmon", allow(policy.allow_perfmon, attributes.perfmon(), Claim::Perfmon)),
        ("policy.tdx.td_attributes", exact.map(|same| holds(same, Claim::TdAttributes))),
        ("policy.tdx.xfam", Some(holds(possible && pinned, Claim::Xfam))),
    ]
}

fn references(evidence: &Verified, policy: &TdxPolicy) -> [(&'static str, Outcome); 10] {
    let report = evidence.report();
    let [rtmr0, rtmr1, rtmr2, rtmr3] = &report.rtmr;
    let one = |pinned: Option<Hex<48>>, found: &[u8; 48], claim| pinned.map(|pinned| holds(pinned.0 == *found, claim));
    let report_data = policy.report_data.map(|pinned| holds(pinned.0 == report.report_data, Claim::ReportData));
    [
        ("policy.tdx.mr_seam", any(policy.mr_seam.as_deref(), &report.mr_seam, Claim::MrSeam)),
        ("policy.tdx.mrtd", any(policy.mrtd.as_deref(), &report.mr_td, Claim::MrTd)),
        ("policy.tdx.rtmr0", any(policy.rtmr0.as_deref(), rtmr0, Claim::Rtmr(0))),
        ("policy.tdx.rtmr1", any(policy.rtmr1.as_deref(), rtmr1, Claim::Rtmr(1))),
        ("policy.tdx.rtmr2", any(policy.rtmr2.as_deref(), rtmr2, Claim::Rtmr(2))),
        ("policy.tdx.rtmr3", any(policy.rtmr3.as_deref(), rtmr3, Claim::Rtmr(3))),
        ("policy.tdx.mr_config_id", one(policy.mr_config_id, &report.mr_config_id, Claim::MrConfigId)),
        ("policy.tdx.mr_owner", one(policy.mr_owner, &report.mr_owner, Claim::MrOwner)),
        ("policy.tdx.mr_owner_config", one(policy.mr_owner_config, &report.mr_owner_config, Claim::MrOwnerConfig)),
        ("policy.tdx.report_data", report_data),
    ]
}

fn platform(evidence: &Verified, policy: &TdxPolicy) -> [(&'static str, Outcome); 4] {
    let platform = evidence.platform();
    // Certificates of the processor CA do not tell; what is not told is not known to be absent.
    let flag = |allowed, told: Option<bool>, claim| allow(allowed, told.unwrap_or(true), claim);
    [
        ("policy.tdx.platform", any(policy.ppids.as_deref(), &platform.ppid, Claim::Platform)),
        ("policy.tdx.smt", flag(policy.allow_smt, platform.smt, Claim::Smt)),
        (
            "policy.tdx.dynamic_platform",
            flag(policy.allow_dynamic_platform, platform.dynamic_platform, Claim::DynamicPlatform),
        ),
        ("policy.tdx.cached_keys", flag(policy.allow_cached_keys, platform.cached_keys, Claim::CachedKeys)),
    ]
}

fn allow(allowed: Option<bool>, present: bool, claim: Claim) -> Outcome {
    allowed.map(|allowed| holds(allowed || !present, claim))
}

fn any<const N: usize>(pinned: Option<&[Hex<N>]>, found: &[u8; N], claim: Claim) -> Outcome {
    pinned.map(|pinned| holds(pinned.iter().any(|value| value.0 == *found), claim))
}

fn holds(condition: bool, claim: Claim) -> Result<(), PolicyError> {
    if condition { Ok(()) } else { Err(PolicyError::Claim(claim)) }
}
