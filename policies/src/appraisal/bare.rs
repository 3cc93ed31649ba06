//! Hardware evidence by itself, without a statement of the appliance: what a policy says about the machine alone.
//!
//! The same keys judge it as in a document; what a policy says about the statement (commits, models, digests) is about
//! nothing here and is left out of the list, so that nobody takes it for judged.

use cloister_attestation::check::{Check, Checklist, ExitClass, Planned, Stage};
use cloister_attestation::verify::Hardware;

use super::{AppraisalPolicy, DevelopmentTee, Verdict, check_fresh, check_kind, conclude, machine};

const PLAN: &[Planned] = &[
    Planned::required(
        "policy.tee",
        Stage::Policy,
        "run the guest on hardware that the policy lists, or change the policy",
    ),
    Planned::required("policy.hardware", Stage::Policy, "verify evidence of real hardware, without a test root"),
    Planned::optional("policy.fresh", Stage::Policy, "ask for evidence over a nonce of your own, and give it here"),
];

/// What came of the appraisal of a machine.
#[derive(Debug, Clone)]
pub struct HardwareResult {
    /// The judgement.
    pub verdict: Verdict,
    /// Every check of the policy; those of the verification are with the evidence.
    pub checks: Vec<Check>,
    /// The name of the reference entry that the launch measurements are those of.
    pub image: Option<String>,
    /// What kind of answer it is.
    pub class: ExitClass,
}

/// Judges true hardware evidence by a policy. `fresh` says whether it was found to answer a nonce of the caller's.
#[must_use]
pub fn appraise_hardware(
    hardware: &Hardware,
    fresh: bool,
    policy: &AppraisalPolicy,
    development: DevelopmentTee,
) -> HardwareResult {
    let raw = policy.raw();
    let genuine = hardware.is_pinned();
    let mut list = Checklist::new(PLAN);
    check_kind(&mut list, hardware.tee(), genuine, raw, development);
    check_fresh(&mut list, fresh, raw);
    let machine = machine::judge(Some(hardware), raw);
    let checks = [list.into_checks(), machine.checks].concat();
    let (verdict, class) = conclude(&[hardware.checks(), &checks].concat(), genuine, Some(hardware));
    HardwareResult { verdict, checks, image: machine.image, class }
}
