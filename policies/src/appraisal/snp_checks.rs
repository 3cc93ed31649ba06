//! The checks of an SEV-SNP policy, one by one; [`super::snp`] says what each means.

use cloister_attestation::check::{Check, Checklist, Planned, Rejected, Stage};
use cloister_attestation::encoding::Hex;
use cloister_attestation::snp::{KeyOwner, Revocation, SigningKey, Verified};
use subtle::ConstantTimeEq as _;

use super::snp::{PolicyError, SnpPolicy, TwoPart};

const RELAUNCH: &str = "launch the guest anew with a stricter guest policy";
const UPDATE: &str = "ask the operator of the machine to update its firmware";
const ELSEWHERE: &str = "run the appliance on a machine that the policy accepts, or change the policy";
const IMAGE: &str = "run a release whose measurement you have pinned, or pin this one after review";

pub(super) const PLAN: &[Planned] = &[
    planned("policy.snp.debug", RELAUNCH),
    planned("policy.snp.migration", RELAUNCH),
    planned("policy.snp.vmpl", "ask for the report at a higher privilege, or trust the paravisor above the guest"),
    planned("policy.snp.smt", RELAUNCH),
    planned("policy.snp.single_socket", RELAUNCH),
    planned("policy.snp.ciphertext_hiding", RELAUNCH),
    planned("policy.snp.alias_check", UPDATE),
    planned("policy.snp.abi", RELAUNCH),
    planned("policy.snp.signing_key", ELSEWHERE),
    planned("policy.snp.product", ELSEWHERE),
    planned("policy.snp.report_version", UPDATE),
    planned("policy.snp.provisional", "ask the operator of the machine to commit its firmware"),
    planned("policy.snp.firmware", UPDATE),
    planned("policy.snp.reported_tcb", UPDATE),
    planned("policy.snp.committed_tcb", UPDATE),
    planned("policy.snp.launch_mitigations", "launch the guest anew on updated firmware"),
    planned("policy.snp.measurement", IMAGE),
    planned("policy.snp.id_key", IMAGE),
    planned("policy.snp.author_key", IMAGE),
    planned("policy.snp.chip", ELSEWHERE),
    planned("policy.snp.report_data", "ask for evidence with a fresh nonce over the connection that you use"),
    planned("policy.snp.host_data", "ask the operator of the machine how the guest was launched"),
    planned("policy.snp.crl", "supply AMD's current revocation list"),
];

const fn planned(id: &'static str, fix: &'static str) -> Planned {
    Planned::optional(id, Stage::Policy, fix)
}

/// Makes all checks.
pub(super) fn run(report: &Verified, policy: &SnpPolicy) -> Result<Vec<Check>, Rejected<PolicyError>> {
    let mut judge = Judge { list: Checklist::new(PLAN), first: None };
    guest(&mut judge, report, policy);
    platform(&mut judge, report, policy);
    firmware(&mut judge, report, policy);
    identity(&mut judge, report, policy);
    bindings(&mut judge, report, policy);
    let checks = judge.list.into_checks();
    match judge.first {
        None => Ok(checks),
        Some(error) => Err(Rejected { checks, error }),
    }
}

struct Judge {
    list: Checklist,
    first: Option<PolicyError>,
}

impl Judge {
    /// Records a check: none where the policy does not ask for it.
    fn rule(&mut self, id: &'static str, outcome: Option<Result<String, PolicyError>>) {
        match outcome {
            None => self.list.not_done(id, "the policy does not ask for it"),
            Some(Ok(reason)) => self.list.pass(id, reason),
            Some(Err(error)) => {
                self.list.fail(id, error.to_string());
                self.first.get_or_insert(error);
            }
        }
    }

    /// A looser setting of the guest, which the policy allows or not.
    fn allowance(&mut self, id: &'static str, allowed: Option<bool>, found: bool, error: PolicyError) {
        let outcome = allowed.map(|allowed| match (found, allowed) {
            (false, _) => Ok("off".to_owned()),
            (true, true) => Ok("on, which the policy allows".to_owned()),
            (true, false) => Err(error),
        });
        self.rule(id, outcome);
    }

    /// A safer setting, which the policy requires or not.
    fn requirement(&mut self, id: &'static str, required: Option<bool>, found: bool, error: PolicyError) {
        let outcome =
            required.filter(|required| *required).map(|_| if found { Ok("on".to_owned()) } else { Err(error) });
        self.rule(id, outcome);
    }

    /// A value that must be one of a list.
    fn listed<T: PartialEq>(&mut self, id: &'static str, list: Option<&[T]>, found: &T, error: PolicyError) {
        let outcome =
            list.map(|list| if list.contains(found) { Ok("one of the policy's".to_owned()) } else { Err(error) });
        self.rule(id, outcome);
    }
}

fn guest(judge: &mut Judge, report: &Verified, policy: &SnpPolicy) {
    let claims = report.claims();
    let demanded = claims.policy;
    judge.allowance("policy.snp.debug", policy.allow_debug, demanded.debug_allowed(), PolicyError::Debug);
    let migration = demanded.migration_agent_allowed();
    judge.allowance("policy.snp.migration", policy.allow_migrate_ma, migration, PolicyError::MigrationAgent);
    let found = claims.vmpl;
    let vmpl = policy.max_vmpl.map(|allowed| {
        if found <= allowed { Ok(format!("VMPL {found}")) } else { Err(PolicyError::Vmpl { found, allowed }) }
    });
    judge.rule("policy.snp.vmpl", vmpl);
    judge.allowance("policy.snp.smt", policy.allow_smt, demanded.smt_allowed(), PolicyError::Smt);
    let (socket, hiding) = (demanded.single_socket(), demanded.ciphertext_hiding());
    judge.requirement("policy.snp.single_socket", policy.require_single_socket, socket, PolicyError::SingleSocket);
    let required = policy.require_ciphertext_hiding;
    judge.requirement("policy.snp.ciphertext_hiding", required, hiding, PolicyError::CiphertextHiding);
    let (major, minor) = demanded.abi();
    let abi =
        at_least(policy.min_policy_abi, TwoPart { major, minor }, |found, wanted| PolicyError::Abi { found, wanted });
    judge.rule("policy.snp.abi", abi);
}

fn platform(judge: &mut Judge, report: &Verified, policy: &SnpPolicy) {
    let aliases = report.claims().platform_info.alias_check_complete();
    judge.requirement("policy.snp.alias_check", policy.require_alias_check, aliases, PolicyError::AliasCheck);
    judge.rule("policy.snp.signing_key", signing_key(report, policy));
    let product = report.product();
    judge.listed("policy.snp.product", policy.allowed_products.as_deref(), &product, PolicyError::Product(product));
    let found = report.claims().version;
    let version = policy.min_report_version.map(|wanted| {
        if found >= wanted { Ok(format!("version {found}")) } else { Err(PolicyError::ReportVersion { found, wanted }) }
    });
    judge.rule("policy.snp.report_version", version);
}

fn signing_key(report: &Verified, policy: &SnpPolicy) -> Option<Result<String, PolicyError>> {
    let (kind, owner) = (report.vek().kind(), report.vek().owner());
    let kinds = policy.allowed_signing_keys.as_ref();
    let providers = policy.allowed_csp_ids.as_ref();
    if kinds.is_some_and(|kinds| !kinds.contains(&kind)) {
        return Some(Err(PolicyError::SigningKey(kind)));
    }
    match (providers, owner) {
        (Some(providers), KeyOwner::Provider(provider)) if !providers.contains(provider) => {
            return Some(Err(PolicyError::Provider(provider.clone())));
        }
        _ => {}
    }
    let asked = kinds.is_some() || (providers.is_some() && kind == SigningKey::Vlek);
    asked.then(|| Ok(kind.common_name().to_owned()))
}

fn firmware(judge: &mut Judge, report: &Verified, policy: &SnpPolicy) {
    let claims = report.claims();
    let provisional = claims.committed_tcb != claims.current_tcb;
    let allowed = policy.allow_provisional_firmware;
    judge.allowance("policy.snp.provisional", allowed, provisional, PolicyError::ProvisionalFirmware);
    let running = TwoPart { major: claims.current_version.major, minor: claims.current_version.minor };
    let version = at_least(policy.min_firmware, running, |found, wanted| PolicyError::Firmware { found, wanted });
    judge.rule("policy.snp.firmware", version);
    judge.rule("policy.snp.reported_tcb", reported_tcb(report, policy));
    let found = report.committed_tcb();
    let committed = policy.min_committed_tcb.map(|wanted| {
        if found.at_least(&wanted) { Ok(found.to_string()) } else { Err(PolicyError::CommittedTcb { found, wanted }) }
    });
    judge.rule("policy.snp.committed_tcb", committed);
    let mitigations = policy.required_launch_mitigations.map(|mask| {
        let met = claims.launch_mitigations.is_some_and(|vector| vector & mask.0 == mask.0);
        if met { Ok(format!("all of {:#x}", mask.0)) } else { Err(PolicyError::LaunchMitigations) }
    });
    judge.rule("policy.snp.launch_mitigations", mitigations);
}

/// The minimum for all products and the one for this product must both be met.
fn reported_tcb(report: &Verified, policy: &SnpPolicy) -> Option<Result<String, PolicyError>> {
    let found = report.reported_tcb();
    let meets = |wanted| {
        if found.at_least(&wanted) { Ok(found.to_string()) } else { Err(PolicyError::ReportedTcb { found, wanted }) }
    };
    let product = report.product();
    let own = policy.min_reported_tcb_by_product.as_ref();
    let own = own.map(|table| table.get(&product).copied().ok_or(PolicyError::NoTcbMinimum(product)).and_then(meets));
    match (policy.min_reported_tcb.map(meets), own) {
        (Some(Err(error)), _) => Some(Err(error)),
        (general, own) => own.or(general),
    }
}

fn identity(judge: &mut Judge, report: &Verified, policy: &SnpPolicy) {
    let claims = report.claims();
    let measurement = Hex(claims.measurement);
    judge.listed("policy.snp.measurement", policy.measurements.as_deref(), &measurement, PolicyError::Measurement);
    let id_key = Hex(claims.id_key_digest);
    judge.listed("policy.snp.id_key", policy.id_key_digests.as_deref(), &id_key, PolicyError::IdKey);
    // Without the flag the digest means nothing, whatever it is.
    let author = claims.author_key_enabled.then_some(Hex(claims.author_key_digest));
    let listed = policy.author_key_digests.as_ref().map(|keys| match author {
        Some(author) if keys.contains(&author) => Ok("one of the policy's".to_owned()),
        _ => Err(PolicyError::AuthorKey),
    });
    judge.rule("policy.snp.author_key", listed);

    let chip = Hex(claims.chip_id);
    let denied = policy.denied_chip_ids.as_ref().is_some_and(|chips| chips.contains(&chip));
    let unlisted = policy.chip_ids.as_ref().is_some_and(|chips| !chips.contains(&chip));
    let asked = policy.chip_ids.is_some() || policy.denied_chip_ids.is_some();
    let accepted = if denied || unlisted { Err(PolicyError::Chip) } else { Ok("accepted by the policy".to_owned()) };
    judge.rule("policy.snp.chip", asked.then_some(accepted));
}

fn bindings(judge: &mut Judge, report: &Verified, policy: &SnpPolicy) {
    let claims = report.claims();
    let data = policy.report_data.map(|wanted| {
        let same: bool = wanted.0.ct_eq(&claims.report_data).into();
        if same { Ok("as expected".to_owned()) } else { Err(PolicyError::ReportData) }
    });
    judge.rule("policy.snp.report_data", data);
    let host = policy.host_data.map(|wanted| {
        if wanted.0 == claims.host_data { Ok("as expected".to_owned()) } else { Err(PolicyError::HostData) }
    });
    judge.rule("policy.snp.host_data", host);
    let listed = report.vek().revocation() == Revocation::Checked;
    judge.requirement("policy.snp.crl", policy.require_crl, listed, PolicyError::Revocation);
}

fn at_least(
    wanted: Option<TwoPart>,
    found: TwoPart,
    error: impl FnOnce(TwoPart, TwoPart) -> PolicyError,
) -> Option<Result<String, PolicyError>> {
    wanted.map(|wanted| if found >= wanted { Ok(found.to_string()) } else { Err(error(found, wanted)) })
}
