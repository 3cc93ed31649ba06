//! What a case expects, what was found, and how the two differ.

use std::collections::BTreeMap;
use std::fmt;

use cloister_attestation::Stage;
use cloister_attestation::tdx::TcbVerdict;
use serde::Deserialize;
use serde_json::{Value, json};

/// What a correct verifier says about a case.
#[derive(Debug, Deserialize)]
pub(super) struct Expect {
    verdict: Verdict,
    stage: Option<String>,
    #[serde(default)]
    reason: Vec<String>,
    tcb_status: Option<String>,
    advisories: Option<Vec<String>>,
    #[serde(default)]
    replayed: BTreeMap<String, String>,
    /// Known answer of a launch measurement.
    pub(super) launch_digest: Option<String>,
    /// Known answer of the hash over Azure's runtime data.
    pub(super) var_data_sha256: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Accept,
    Reject,
    /// Known answers only: there is nothing to accept.
    Info,
}

/// What was found.
pub(super) struct Found {
    refusal: Option<(Stage, &'static str)>,
    tcb: Option<(&'static str, Vec<String>)>,
    replayed: Vec<String>,
}

impl Found {
    /// Accepted.
    pub(super) const fn accepted() -> Self {
        Self { refusal: None, tcb: None, replayed: Vec::new() }
    }

    /// Refused at a stage for a reason.
    pub(super) const fn refused(stage: Stage, code: &'static str) -> Self {
        Self { refusal: Some((stage, code)), tcb: None, replayed: Vec::new() }
    }

    /// The same, with what Intel says about the platform.
    pub(super) fn with_tcb(mut self, tcb: Option<&TcbVerdict>) -> Self {
        self.tcb = tcb.map(|tcb| (tcb.status.name(), tcb.advisories.clone()));
        self
    }

    /// The same, with the registers that a log leads to.
    pub(super) fn with_registers(mut self, registers: &[[u8; 48]; 4]) -> Self {
        self.replayed = registers.iter().map(hex::encode).collect();
        self
    }

    /// Whether nothing was refused.
    pub(super) const fn is_accepted(&self) -> bool {
        self.refusal.is_none()
    }

    /// For the report.
    pub(super) fn to_json(&self) -> Value {
        json!({
            "verdict": if self.refusal.is_some() { "reject" } else { "accept" },
            "stage": self.refusal.map(|(stage, _)| stage.name()),
            "reason": self.refusal.map(|(_, code)| code),
            "tcb_status": self.tcb.as_ref().map(|(status, _)| *status),
            "advisories": self.tcb.as_ref().map(|(_, advisories)| advisories),
        })
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.refusal {
            None => f.write_str("accept"),
            Some((stage, code)) => write!(f, "reject at {} for {code}", stage.name()),
        }
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.verdict {
            Verdict::Accept => f.write_str("accept")?,
            Verdict::Info => f.write_str("nothing that contradicts the known answers")?,
            Verdict::Reject => f.write_str("reject")?,
        }
        if let Some(stage) = &self.stage {
            write!(f, " at {stage}")?;
        }
        if !self.reason.is_empty() {
            write!(f, " for {}", self.reason.join(" or "))?;
        }
        Ok(())
    }
}

impl Expect {
    /// Whether there must be something to compute: known answers may stand alone.
    pub(super) fn is_information(&self) -> bool {
        self.verdict == Verdict::Info
    }

    /// What is not as expected.
    pub(super) fn differences(&self, found: &Found) -> Option<String> {
        if !self.fits(found) {
            return Some(format!("expected {self}, found {found}"));
        }
        let mut wrong = Vec::new();
        if let Some((status, advisories)) = &found.tcb {
            if self.tcb_status.as_ref().is_some_and(|own| own != status) {
                wrong.push(format!("TCB status is {status}, not {}", self.tcb_status.as_deref().unwrap_or_default()));
            }
            let sorted = self.advisories.clone().map(|mut own| {
                own.sort_unstable();
                own
            });
            if let Some(own) = sorted.filter(|own| own != advisories) {
                wrong.push(format!("advisories are [{}], not [{}]", advisories.join(", "), own.join(", ")));
            }
        }
        for (register, value) in found.replayed.iter().enumerate() {
            let own = self.replayed.get(&format!("rtmr{register}"));
            if own.is_some_and(|own| own != value) {
                wrong.push(format!("the log leads to another RTMR{register}"));
            }
        }
        (!wrong.is_empty()).then(|| wrong.join("; "))
    }

    fn fits(&self, found: &Found) -> bool {
        match (self.verdict, found.refusal) {
            (Verdict::Accept | Verdict::Info, None) => self.stage.is_none() && self.reason.is_empty(),
            (Verdict::Reject, Some((stage, code))) => {
                self.stage.as_deref() == Some(stage.name()) && self.reason.iter().any(|reason| reason == code)
            }
            (Verdict::Accept | Verdict::Info, Some(_)) | (Verdict::Reject, None) => false,
        }
    }
}
