//! What a verifier reports: every check by a stable id, whether it passed, failed or was not done, and why.
//!
//! A report always lists all checks that its procedure consists of. What a failure kept from being looked at is *not
//! done*, and not done is never a pass.

use serde::Serialize;

/// The part of the trust path that a check belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Is the input well formed?
    Format,
    /// Is the connection the one that the evidence speaks of?
    Channel,
    /// Is the hardware's (or the development TEE's) evidence true?
    Evidence,
    /// Has the hardware's evidence the layout that its vendor documents?
    Parse,
    /// Does its signing key chain to a compiled-in root of the vendor?
    Chain,
    /// Did that key sign it?
    Signature,
    /// Are the vendor's statements about the platform (revocation, TCB) genuine, current and about this platform?
    Collateral,
    /// Is the platform's firmware one that the vendor still stands behind?
    Tcb,
    /// Does what was signed speak of the data that came with it?
    Binding,
    /// Does the statement of the appliance hold?
    Statement,
    /// Is the transparency log whole and unforked?
    Log,
    /// Do the records of the log make sense?
    Records,
    /// Is the receipt true?
    Receipt,
    /// Is what is true also what we want?
    Policy,
}

impl Stage {
    /// Its name, as in the JSON of a verdict.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Channel => "channel",
            Self::Evidence => "evidence",
            Self::Parse => "parse",
            Self::Chain => "chain",
            Self::Signature => "signature",
            Self::Collateral => "collateral",
            Self::Tcb => "tcb",
            Self::Binding => "binding",
            Self::Statement => "statement",
            Self::Log => "log",
            Self::Records => "records",
            Self::Receipt => "receipt",
            Self::Policy => "policy",
        }
    }
}

/// The outcome of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Looked at and right.
    Pass,
    /// Looked at and wrong.
    Fail,
    /// Not looked at. Never a pass.
    NotDone,
}

/// One line of a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Stable name, listed in the documentation, for example `nonce.match`.
    pub id: &'static str,
    /// Where in the trust path it stands.
    pub stage: Stage,
    /// How it came out.
    pub result: Outcome,
    /// Whether acceptance needs this check to pass.
    pub required: bool,
    /// What was found, in a sentence.
    pub reason: String,
    /// What to do about it; null where there is nothing to do.
    pub fix: Option<&'static str>,
}

/// A check as a procedure announces it, before it is made.
#[derive(Debug, Clone, Copy)]
pub struct Planned {
    /// Stable name.
    pub id: &'static str,
    /// Where in the trust path it stands.
    pub stage: Stage,
    /// Whether acceptance needs it to pass.
    pub required: bool,
    /// What to do when it does not pass.
    pub fix: &'static str,
}

impl Planned {
    /// A check that must pass.
    #[must_use]
    pub const fn required(id: &'static str, stage: Stage, fix: &'static str) -> Self {
        Self { id, stage, required: true, fix }
    }

    /// A check that says more when it is made but may be left out.
    #[must_use]
    pub const fn optional(id: &'static str, stage: Stage, fix: &'static str) -> Self {
        Self { id, stage, required: false, fix }
    }
}

/// Collects the outcomes of a procedure against its plan.
#[derive(Debug, Clone)]
pub struct Checklist {
    checks: Vec<Check>,
}

impl Checklist {
    /// Starts with every planned check not done.
    #[must_use]
    pub fn new(plan: &[Planned]) -> Self {
        let not_reached = |planned: &Planned| Check {
            id: planned.id,
            stage: planned.stage,
            result: Outcome::NotDone,
            required: planned.required,
            reason: "not reached: an earlier check failed".to_owned(),
            fix: Some(planned.fix),
        };
        Self { checks: plan.iter().map(not_reached).collect() }
    }

    /// Records that a check passed.
    pub fn pass(&mut self, id: &'static str, reason: impl Into<String>) {
        self.set(id, Outcome::Pass, reason.into());
    }

    /// Records that a check failed.
    pub fn fail(&mut self, id: &'static str, reason: impl Into<String>) {
        self.set(id, Outcome::Fail, reason.into());
    }

    /// Records why a check was not made.
    pub fn not_done(&mut self, id: &'static str, reason: impl Into<String>) {
        self.set(id, Outcome::NotDone, reason.into());
    }

    /// Records the outcome of a fallible step and hands it on.
    ///
    /// # Errors
    ///
    /// The step's own error, after it was recorded as the check's failure.
    pub fn step<T, E: std::fmt::Display>(
        &mut self,
        id: &'static str,
        passed: impl FnOnce(&T) -> String,
        step: Result<T, E>,
    ) -> Result<T, E> {
        match &step {
            Ok(value) => self.pass(id, passed(value)),
            Err(error) => self.fail(id, error.to_string()),
        }
        step
    }

    /// The checks in the order of the plan.
    #[must_use]
    pub fn into_checks(self) -> Vec<Check> {
        self.checks
    }

    fn set(&mut self, id: &'static str, result: Outcome, reason: String) {
        let check = self.checks.iter_mut().find(|check| check.id == id).expect("only planned checks are made");
        check.result = result;
        check.reason = reason;
        if result == Outcome::Pass {
            check.fix = None;
        }
    }
}

/// True if every required check passed and none failed.
#[must_use]
pub fn all_hold(checks: &[Check]) -> bool {
    checks.iter().all(|check| match check.result {
        Outcome::Pass => true,
        Outcome::Fail => false,
        Outcome::NotDone => !check.required,
    })
}

/// A refusal: everything that was looked at, and the one thing that ended it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected<E> {
    /// Every check of the procedure.
    pub checks: Vec<Check>,
    /// Why it was refused.
    pub error: E,
}

impl<E> Rejected<E> {
    /// The same refusal, with its reason as a part of another kind of reasons.
    #[must_use]
    pub fn map<F>(self, error: impl FnOnce(E) -> F) -> Rejected<F> {
        Rejected { checks: self.checks, error: error(self.error) }
    }
}

/// What kind of answer a verdict is; the exit codes of `cloister-verify`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitClass {
    /// True, and wanted.
    Accepted,
    /// Not true, or not wanted.
    Rejected,
    /// A kind of evidence that this build cannot judge.
    Unsupported,
    /// Not even well formed.
    Malformed,
    /// Something needed for judging is missing or has expired; fetch it and try again.
    Collateral,
}

impl ExitClass {
    /// The process exit code: 0, 10, 20, 30 or 40.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Accepted => 0,
            Self::Rejected => 10,
            Self::Unsupported => 20,
            Self::Malformed => 30,
            Self::Collateral => 40,
        }
    }
}
