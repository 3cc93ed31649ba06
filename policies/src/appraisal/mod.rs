//! Do we accept this appliance? Judgement over evidence that `cloister-attestation` found to be true.
//!
//! A policy is a small TOML file. What it pins must match; what it does not pin is reported as not done, never as
//! passed. The development TEE needs two agreements: a policy that lists it, and a caller who says so aloud.
//!
//! | check | what must hold |
//! |---|---|
//! | `policy.tee` | the policy lists the kind of evidence |
//! | `policy.hardware` | memory is protected by hardware, or the caller allowed the development TEE |
//! | `policy.fresh` | the document answers a nonce of ours |
//! | `policy.validity` | the statement does not claim to be valid for longer than the policy allows |
//! | `policy.commits` | the build's commit is one of the pinned ones |
//! | `policy.policies` | the digest over its policies and prompts is one of the pinned ones |
//! | `policy.egress` | the digest of its egress policy is one of the pinned ones |
//! | `policy.models` | every loaded model is one of the pinned ones |

pub mod azure;
pub mod snp;
mod snp_checks;
pub mod tdx;
mod tdx_error;

use cloister_attestation::check::{Checklist, ExitClass, Planned, all_hold};
use cloister_attestation::document::Tee;
use cloister_attestation::encoding::Digest;
use cloister_attestation::{Check, Stage, VerifiedEvidence};
use serde::{Deserialize, Serialize};

/// The policy for relying parties that say nothing else.
pub const DEFAULT: &str = include_str!("../../appraisal/default.toml");
/// The policy for trying the product without hardware.
pub const DEVELOPMENT: &str = include_str!("../../appraisal/development.toml");

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

/// Why a text is not an appraisal policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not TOML, or not of the right shape. The text of the parser, which names the line.
    #[error("appraisal policy is not well formed: {0}")]
    Toml(String),
    /// A version that this build does not know.
    #[error("appraisal policy version {0} is not supported")]
    Version(u64),
    /// A policy that accepts nothing, or development and hardware alike.
    #[error("appraisal policy must list either kinds of hardware or the development TEE")]
    Kinds,
}

/// What is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppraisalPolicy {
    raw: RawPolicy,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPolicy {
    v: u64,
    tee: Vec<Tee>,
    require_fresh: bool,
    max_validity_seconds: u64,
    reference: Reference,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reference {
    commits: Vec<String>,
    policies_sha256: Vec<Digest>,
    egress_sha256: Vec<Digest>,
    models_sha256: Vec<Digest>,
}

impl AppraisalPolicy {
    /// Reads a policy from TOML.
    ///
    /// # Errors
    ///
    /// One variant per way of not being one.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        let raw: RawPolicy = toml::from_str(text).map_err(|error| Error::Toml(error.message().to_owned()))?;
        if raw.v != 1 {
            return Err(Error::Version(raw.v));
        }
        let development = raw.tee.iter().filter(|tee| !tee.is_hardware()).count();
        if raw.tee.is_empty() || (development > 0 && development < raw.tee.len()) {
            return Err(Error::Kinds);
        }
        Ok(Self { raw })
    }

    /// [`DEFAULT`], read.
    ///
    /// # Panics
    ///
    /// Never: a test reads the file that is compiled in.
    #[must_use]
    pub fn shipped_default() -> Self {
        Self::from_toml(DEFAULT).expect("the shipped policy is read by a test")
    }

    /// [`DEVELOPMENT`], read.
    ///
    /// # Panics
    ///
    /// Never: a test reads the file that is compiled in.
    #[must_use]
    pub fn shipped_development() -> Self {
        Self::from_toml(DEVELOPMENT).expect("the shipped policy is read by a test")
    }

    /// The same policy for a saved document, whose freshness nobody can tell: it is then reported as not done.
    #[must_use]
    pub const fn for_saved_document(mut self) -> Self {
        self.raw.require_fresh = false;
        self
    }
}

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
}

impl AttestationResult {
    /// What kind of answer it is.
    #[must_use]
    pub const fn exit_class(&self) -> ExitClass {
        match self.verdict {
            Verdict::Accepted | Verdict::AcceptedDevelopment => ExitClass::Accepted,
            Verdict::Rejected => ExitClass::Rejected,
        }
    }
}

/// Judges true evidence by a policy.
#[must_use]
pub fn appraise(
    evidence: VerifiedEvidence,
    policy: &AppraisalPolicy,
    development: DevelopmentTee,
) -> AttestationResult {
    let mut list = Checklist::new(PLAN);
    check_kind(&mut list, &evidence, &policy.raw, development);
    check_time(&mut list, &evidence, &policy.raw);
    check_reference(&mut list, &evidence, &policy.raw.reference);
    let checks = [evidence.checks(), &list.into_checks()].concat();
    let verdict = match (all_hold(&checks), evidence.is_hardware()) {
        (false, _) => Verdict::Rejected,
        (true, true) => Verdict::Accepted,
        (true, false) => Verdict::AcceptedDevelopment,
    };
    AttestationResult { verdict, checks, evidence }
}

fn check_kind(list: &mut Checklist, evidence: &VerifiedEvidence, policy: &RawPolicy, development: DevelopmentTee) {
    let tee = evidence.tee();
    if policy.tee.contains(&tee) {
        list.pass("policy.tee", format!("the policy accepts {}", tee.name()));
    } else {
        list.fail("policy.tee", format!("the policy does not accept {}", tee.name()));
    }
    match (evidence.is_hardware(), development) {
        (true, _) => list.pass("policy.hardware", "memory is protected by hardware"),
        (false, DevelopmentTee::Allow) => {
            list.pass("policy.hardware", "DEVELOPMENT, NOT CONFIDENTIAL: no hardware, allowed by the caller");
        }
        (false, DevelopmentTee::Refuse) => {
            list.fail("policy.hardware", "development TEE: whoever runs the machine can read everything");
        }
    }
}

fn check_time(list: &mut Checklist, evidence: &VerifiedEvidence, policy: &RawPolicy) {
    match (evidence.is_fresh(), policy.require_fresh) {
        (true, _) => list.pass("policy.fresh", "the document answers a nonce of ours"),
        (false, true) => list.fail("policy.fresh", "the policy wants an answer to a nonce of ours"),
        (false, false) => list.not_done("policy.fresh", "a saved document: it may be old"),
    }
    let seconds = evidence.valid_until_ms().saturating_sub(evidence.verified_at_ms()) / 1000;
    let limit = policy.max_validity_seconds;
    if seconds <= limit {
        list.pass("policy.validity", format!("valid for {seconds} s, the policy allows {limit} s"));
    } else {
        list.fail("policy.validity", format!("valid for {seconds} s, the policy allows {limit} s"));
    }
}

fn check_reference(list: &mut Checklist, evidence: &VerifiedEvidence, reference: &Reference) {
    let statement = evidence.statement();
    check_pinned(list, "policy.commits", &reference.commits, std::slice::from_ref(&statement.build.commit));
    check_pinned(list, "policy.policies", &reference.policies_sha256, &[statement.policies_sha256]);
    check_pinned(list, "policy.egress", &reference.egress_sha256, &[statement.egress_sha256]);
    let models: Vec<Digest> = statement.models.iter().map(|model| model.sha256).collect();
    check_pinned(list, "policy.models", &reference.models_sha256, &models);
}

fn check_pinned<T: PartialEq>(list: &mut Checklist, id: &'static str, pinned: &[T], found: &[T]) {
    if pinned.is_empty() {
        list.not_done(id, "the policy pins no value");
    } else if found.iter().all(|value| pinned.contains(value)) {
        list.pass(id, "what was found is pinned by the policy");
    } else {
        list.fail(id, "what was found is not pinned by the policy");
    }
}
