//! Puts true evidence before the policy that the user chose, and writes the outcome into the report.

use cloister_attestation::document::Tee;
use cloister_attestation::encoding::sha256;
use cloister_attestation::{Trust, VerifiedEvidence};
use cloister_policies::appraisal::{self, AppraisalPolicy, DevelopmentTee, appraise};
use serde_json::json;

use crate::args::JudgeArgs;
use crate::failure::Failure;
use crate::input::{self, format_time};
use crate::report::Report;

const MAX_POLICY_BYTES: usize = 1 << 20;

/// Whether the document answers a nonce that we sent just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It does: freshness can be asked for.
    Live,
    /// It comes from a file.
    Saved,
}

/// The policy, chosen once, before anything is asked of anyone.
#[derive(Debug)]
pub(crate) struct Judge {
    own: Option<String>,
    development: DevelopmentTee,
    trust: Trust,
}

impl Judge {
    /// Reads the policy that the user named.
    pub(crate) fn new(args: &JudgeArgs) -> Result<Self, Failure> {
        let development = match args.insecure_allow_development_tee {
            true => DevelopmentTee::Allow,
            false => DevelopmentTee::Refuse,
        };
        let trust = Trust::pinned();
        let Some(path) = &args.policy else { return Ok(Self { own: None, development, trust }) };
        let name = path.display();
        let text = String::from_utf8(input::read(path, MAX_POLICY_BYTES)?)
            .map_err(|_| Failure::Usage(format!("{name}: not UTF-8")))?;
        AppraisalPolicy::from_toml(&text).map_err(|error| Failure::Usage(format!("{name}: {error}")))?;
        Ok(Self { own: Some(text), development, trust })
    }

    /// The roots that evidence must chain to.
    pub(crate) const fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Judges and reports. A caller who allows the development TEE and names no policy means the development policy.
    pub(crate) fn appraise(
        &self,
        evidence: VerifiedEvidence,
        origin: Origin,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let text = match (&self.own, self.development, evidence.tee()) {
            (Some(own), ..) => own,
            (None, DevelopmentTee::Allow, Tee::Development) => appraisal::DEVELOPMENT,
            (None, ..) => appraisal::DEFAULT,
        };
        let policy = AppraisalPolicy::from_toml(text).map_err(|error| Failure::Usage(error.to_string()))?;
        let policy = if origin == Origin::Live { policy } else { policy.for_saved_document() };
        report.tee = Some(evidence.tee());
        report.hardware = Some(evidence.is_hardware());
        report.valid_until = Some(format_time(evidence.valid_until_ms()));
        report.evidence_sha256 = Some(evidence.evidence_sha256().to_string());
        report.policy_sha256 = Some(sha256(text.as_bytes()).to_string());
        let result = appraise(evidence, &policy, self.development);
        report.claim("statement", json!(result.evidence.statement()));
        report.checks.extend(result.checks);
        Ok(())
    }
}
