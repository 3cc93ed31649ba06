//! Do we accept this appliance? Judgement over evidence that `cloister-attestation` found to be true.
//!
//! A policy is a small TOML file with tables for the hardware, the statement and reference values. One rule holds for
//! every key: one that is absent is not checked, and its check is reported as not done; a list that is there and empty
//! accepts nothing. The development TEE needs two agreements: a policy that lists it, and a caller who says so aloud.
//!
//! | check | what must hold |
//! |---|---|
//! | `policy.tee` | the policy lists the kind of evidence |
//! | `policy.hardware` | memory is protected by hardware, or the caller allowed what is not |
//! | `policy.fresh` | the document answers a nonce of ours |
//! | `policy.validity` | the statement does not claim to be valid for longer than the policy allows |
//! | `policy.commits` | the build's commit is one of the pinned ones |
//! | `policy.policies` | the digest over its policies and prompts is one of the pinned ones |
//! | `policy.egress` | the digest of its egress policy is one of the pinned ones |
//! | `policy.models` | every loaded model is one of the pinned ones |
//! | `policy.table` | the policy has a table for hardware of this kind: what is not judged is not accepted |
//! | `policy.image` | launch measurements are, as a set, those of one named entry that is valid now |
//! | `policy.snp.*`, `policy.tdx.*`, `policy.az.*` | the keys of [`snp`], [`tdx`], [`azure`] |

pub mod azure;
mod bare;
mod file;
pub mod lint;
mod machine;
pub mod snp;
mod snp_checks;
pub mod tdx;
mod tdx_error;
mod words;

use cloister_attestation::check::{Checklist, ExitClass, Outcome, Planned, all_hold};
use cloister_attestation::document::Tee;
use cloister_attestation::encoding::Digest;
use cloister_attestation::verify::Hardware;
use cloister_attestation::{Check, Stage, VerifiedEvidence};
use serde::Serialize;

pub use bare::{HardwareResult, appraise_hardware};
pub use file::{AppraisalPolicy, DEFAULT, DEVELOPMENT, Error, STRICT};

use file::{RawPolicy, Reference};

const PLAN: &[Planned] = &[
    Planned::required(
        "policy.tee",
        Stage::Policy,
        "run the appliance on hardware that the policy lists, or change the policy",
    ),
    Planned::required(
        "policy.hardware",
        Stage::Policy,
        "run the appliance in a confidential VM; to try it without one, allow the development TEE and trust it with nothing",
    ),
    Planned::optional("policy.fresh", Stage::Policy, "ask the appliance with a fresh nonce"),
    Planned::required("policy.validity", Stage::Policy, "let the appliance renew its statement more often"),
    Planned::optional("policy.commits", Stage::Policy, "pin the commit of the release that you reviewed"),
    Planned::optional("policy.policies", Stage::Policy, "pin the digest of the policies that you reviewed"),
    Planned::optional("policy.egress", Stage::Policy, "pin the digest of the egress policy that you reviewed"),
    Planned::optional("policy.models", Stage::Policy, "pin the digests of the models that you accept"),
];

/// Whether the caller said `--insecure-allow-development-tee`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DevelopmentTee {
    /// The safe answer.
    Refuse,
    /// Only for trying things out.
    Allow,
}

/// The judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// True, wanted, and protected by hardware.
    Accepted,
    /// True and wanted for development: NOT CONFIDENTIAL.
    AcceptedDevelopment,
    /// Not wanted.
    Rejected,
}

/// What came of an appraisal.
#[derive(Debug, Clone)]
pub struct AttestationResult {
    /// The judgement.
    pub verdict: Verdict,
    /// Every check: those of the verification, then those of the policy.
    pub checks: Vec<Check>,
    /// What was judged.
    pub evidence: VerifiedEvidence,
    /// The name of the reference entry that the launch measurements are those of.
    pub image: Option<String>,
    class: ExitClass,
}

impl AttestationResult {
    /// What kind of answer it is. A refusal for nothing but missing collateral is told apart: fetch it and try again.
    #[must_use]
    pub const fn exit_class(&self) -> ExitClass {
        self.class
    }
}

/// The ids of all checks that policies make.
pub fn check_ids() -> impl Iterator<Item = &'static str> {
    let plans = [PLAN, machine::PLAN, snp_checks::PLAN, tdx::PLAN, azure::PLAN];
    plans.into_iter().flatten().map(|planned| planned.id)
}

/// Judges true evidence by a policy.
#[must_use]
pub fn appraise(
    evidence: VerifiedEvidence,
    policy: &AppraisalPolicy,
    development: DevelopmentTee,
) -> AttestationResult {
    let raw = policy.raw();
    let mut list = Checklist::new(PLAN);
    check_kind(&mut list, evidence.tee(), evidence.is_hardware(), raw, development);
    check_fresh(&mut list, evidence.is_fresh(), raw);
    check_validity(&mut list, &evidence, raw);
    check_reference(&mut list, &evidence, &raw.reference);
    let machine = machine::judge(evidence.hardware(), raw);
    let checks = [evidence.checks(), &list.into_checks(), &machine.checks].concat();
    let (verdict, class) = conclude(&checks, evidence.is_hardware(), evidence.hardware());
    AttestationResult { verdict, checks, evidence, image: machine.image, class }
}

/// The verdict over all checks. A refusal is one for lack of collateral if everything that stands in the way would be
/// judged with it.
fn conclude(checks: &[Check], genuine: bool, hardware: Option<&Hardware>) -> (Verdict, ExitClass) {
    match (all_hold(checks), genuine) {
        (true, true) => return (Verdict::Accepted, ExitClass::Accepted),
        (true, false) => return (Verdict::AcceptedDevelopment, ExitClass::Accepted),
        (false, _) => {}
    }
    let awaited = |check: &Check| match check.result {
        Outcome::Fail => machine::awaits_collateral(check.id, hardware),
        Outcome::NotDone if check.required => matches!(check.stage, Stage::Collateral | Stage::Tcb),
        Outcome::NotDone | Outcome::Pass => true,
    };
    let class = if checks.iter().all(awaited) { ExitClass::Collateral } else { ExitClass::Rejected };
    (Verdict::Rejected, class)
}

fn check_kind(list: &mut Checklist, tee: Tee, genuine: bool, policy: &RawPolicy, development: DevelopmentTee) {
    if policy.tee.contains(&tee) {
        list.pass("policy.tee", format!("the policy accepts {}", tee.name()));
    } else {
        list.fail("policy.tee", format!("the policy does not accept {}", tee.name()));
    }
    match (genuine, development) {
        (false, DevelopmentTee::Allow) if tee.is_hardware() => {
            list.pass("policy.hardware", "TEST ROOT, NOT CONFIDENTIAL: not AMD's or Intel's, allowed by the caller");
        }
        (false, DevelopmentTee::Refuse) if tee.is_hardware() => {
            list.fail("policy.hardware", "test root: whoever holds its key can make any evidence");
        }
        (true, _) => list.pass("policy.hardware", "memory is protected by hardware"),
        (false, DevelopmentTee::Allow) => {
            list.pass("policy.hardware", "DEVELOPMENT, NOT CONFIDENTIAL: no hardware, allowed by the caller");
        }
        (false, DevelopmentTee::Refuse) => {
            list.fail("policy.hardware", "development TEE: whoever runs the machine can read everything");
        }
    }
}

fn check_fresh(list: &mut Checklist, fresh: bool, policy: &RawPolicy) {
    match (fresh, policy.require_fresh) {
        (true, _) => list.pass("policy.fresh", "this answers a nonce of ours"),
        (false, true) => list.fail("policy.fresh", "the policy wants an answer to a nonce of ours"),
        (false, false) => list.not_done("policy.fresh", "no nonce is known: it may be old"),
    }
}

fn check_validity(list: &mut Checklist, evidence: &VerifiedEvidence, policy: &RawPolicy) {
    let seconds = evidence.statement().not_after.saturating_sub(evidence.verified_at_ms()) / 1000;
    let limit = policy.max_validity_seconds;
    if seconds <= limit {
        list.pass("policy.validity", format!("valid for {seconds} s, the policy allows {limit} s"));
    } else {
        list.fail("policy.validity", format!("valid for {seconds} s, the policy allows {limit} s"));
    }
}

fn check_reference(list: &mut Checklist, evidence: &VerifiedEvidence, reference: &Reference) {
    let statement = evidence.statement();
    check_pinned(list, "policy.commits", reference.commits.as_deref(), std::slice::from_ref(&statement.build.commit));
    check_pinned(list, "policy.policies", reference.policies_sha256.as_deref(), &[statement.policies_sha256]);
    check_pinned(list, "policy.egress", reference.egress_sha256.as_deref(), &[statement.egress_sha256]);
    let models: Vec<Digest> = statement.models.iter().map(|model| model.sha256).collect();
    check_pinned(list, "policy.models", reference.models_sha256.as_deref(), &models);
}

fn check_pinned<T: PartialEq>(list: &mut Checklist, id: &'static str, pinned: Option<&[T]>, found: &[T]) {
    match pinned {
        None => list.not_done(id, "the policy pins no value"),
        Some([]) => list.fail(id, "the policy's list is empty, and an empty list accepts nothing"),
        Some(pinned) if found.iter().all(|value| pinned.contains(value)) => {
            list.pass(id, "what was found is pinned by the policy");
        }
        Some(_) => list.fail(id, "what was found is not pinned by the policy"),
    }
}
