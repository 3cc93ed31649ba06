//! Puts true evidence before the policy that the user chose, and writes the outcome into the report.

use std::path::{Path, PathBuf};

use cloister_attestation::check::ExitClass;
use cloister_attestation::document::Tee;
use cloister_attestation::encoding::sha256;
use cloister_attestation::{Trust, VerifiedEvidence, snp, tdx};
use cloister_policies::appraisal::{self, AppraisalPolicy, DevelopmentTee, appraise};
use serde_json::json;

use crate::args::JudgeArgs;
use crate::failure::Failure;
use crate::input::{self, format_time};
use crate::report::Report;

const MAX_POLICY_BYTES: usize = 1 << 20;
const MAX_ROOT_BYTES: usize = 64 << 10;

/// Whether the document answers a nonce that we sent just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It does: freshness can be asked for.
    Live,
    /// It comes from a file.
    Saved,
}

/// The policy and the roots, chosen once, before anything is asked of anyone.
#[derive(Debug)]
pub(crate) struct Judge {
    own: Option<String>,
    development: DevelopmentTee,
    trust: Trust,
    test_roots: bool,
}

impl Judge {
    /// Reads the policy and the roots that the user named.
    pub(crate) fn new(args: &JudgeArgs) -> Result<Self, Failure> {
        let development = match args.insecure_allow_development_tee {
            true => DevelopmentTee::Allow,
            false => DevelopmentTee::Refuse,
        };
        let trust = read_roots(&args.insecure_trust_root)?;
        let own = args.policy.as_deref().map(read_policy).transpose()?;
        Ok(Self { own, development, trust, test_roots: !args.insecure_trust_root.is_empty() })
    }

    /// The roots that evidence must chain to.
    pub(crate) const fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Judges and reports, and says what kind of answer it is. A caller who allows the development TEE and names no
    /// policy means the development policy.
    pub(crate) fn appraise(
        &self,
        evidence: VerifiedEvidence,
        origin: Origin,
        report: &mut Report,
    ) -> Result<ExitClass, Failure> {
        let tee = evidence.tee();
        let text = match (&self.own, self.development, tee) {
            (Some(own), ..) => own,
            (None, DevelopmentTee::Allow, Tee::Development) => appraisal::DEVELOPMENT,
            (None, ..) => appraisal::DEFAULT,
        };
        let policy = AppraisalPolicy::from_toml(text).map_err(|error| Failure::Usage(error.to_string()))?;
        let policy = if origin == Origin::Live { policy } else { policy.for_saved_document() };
        report.tee = Some(tee);
        report.hardware = Some(evidence.is_hardware());
        report.valid_until = Some(format_time(evidence.valid_until_ms()));
        report.evidence_sha256 = Some(evidence.evidence_sha256().to_string());
        report.policy_sha256 = Some(sha256(text.as_bytes()).to_string());
        // Who named a test root has said so aloud for evidence that looks like hardware's, and for nothing else.
        let allowed = match tee.is_hardware() && self.test_roots {
            true => DevelopmentTee::Allow,
            false => self.development,
        };
        let result = appraise(evidence, &policy, allowed);
        let class = result.exit_class();
        report.claim("statement", json!(result.evidence.statement()));
        if let Some(image) = result.image {
            report.claim("image", json!(image));
        }
        report.incomplete = class == ExitClass::Collateral;
        report.checks.extend(result.checks);
        Ok(class)
    }
}

/// The text of a shipped policy by its name, or of a file.
pub(crate) fn policy_text(path: &Path) -> Result<String, Failure> {
    if let Some(text) = path.to_str().and_then(AppraisalPolicy::preset_text) {
        return Ok(text.to_owned());
    }
    String::from_utf8(input::read(path, MAX_POLICY_BYTES)?)
        .map_err(|_| Failure::Usage(format!("{}: not UTF-8", path.display())))
}

/// The text of a policy, which can be read as one.
fn read_policy(path: &Path) -> Result<String, Failure> {
    let text = policy_text(path)?;
    AppraisalPolicy::from_toml(&text).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
    Ok(text)
}

/// The roots of AMD and Intel, each replaced by a test root where the user named one.
fn read_roots(paths: &[PathBuf]) -> Result<Trust, Failure> {
    let mut trust = Trust::pinned();
    for path in paths {
        let der = input::read(path, MAX_ROOT_BYTES)?;
        match snp::Roots::insecure_with_ark(&der) {
            Ok(roots) => trust.snp = roots,
            Err(_) => trust.tdx = tdx::Roots::insecure_with_root(der),
        }
    }
    Ok(trust)
}
