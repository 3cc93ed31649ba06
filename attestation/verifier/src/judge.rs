//! Puts true evidence before the policy that the user chose, and writes the outcome into the report.

use std::path::{Path, PathBuf};

use cloister_attestation::check::ExitClass;
use cloister_attestation::document::Tee;
use cloister_attestation::encoding::sha256;
use cloister_attestation::verify::{self, Hardware};
use cloister_attestation::{Expectations, Rejected, Trust, VerifiedEvidence, snp, tdx};
use cloister_policies::appraisal::{self, AppraisalPolicy, DevelopmentTee, appraise, appraise_hardware};
use serde_json::json;

use crate::args::{EndorsementArgs, JudgeArgs};
use crate::endorsements::Supplied;
use crate::failure::Failure;
use crate::input;
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
    supplied: Supplied,
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
        let test_roots = !args.insecure_trust_root.is_empty();
        Ok(Self { own, development, trust, test_roots, supplied: Supplied::default() })
    }

    /// The roots that evidence must chain to.
    pub(crate) const fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The same, with the certificates and lists that the user named.
    pub(crate) fn with_endorsements(self, args: &EndorsementArgs) -> Result<Self, Failure> {
        Ok(Self { supplied: Supplied::read(&args.endorsements)?, ..self })
    }

    /// The certificates and lists that the user named.
    pub(crate) const fn supplied(&self) -> &Supplied {
        &self.supplied
    }

    /// Verifies a document under the roots, with what the user supplied in the place of what it carries.
    pub(crate) fn verify(
        &self,
        document: &[u8],
        expected: &Expectations,
        now_ms: u64,
    ) -> Result<VerifiedEvidence, Rejected<verify::Error>> {
        let completed = self.supplied.complete(document);
        cloister_attestation::verify(completed.as_deref().unwrap_or(document), expected, &self.trust, now_ms)
    }

    /// Judges and reports, and says what kind of answer it is. A caller who allows the development TEE and names no
    /// policy means the development policy.
    pub(crate) fn appraise(
        &self,
        evidence: VerifiedEvidence,
        origin: Origin,
        report: &mut Report,
    ) -> Result<ExitClass, Failure> {
        let (policy, allowed) = self.terms(evidence.tee(), origin, report)?;
        report.hardware = Some(evidence.is_hardware());
        report.holds_until(evidence.valid_until_ms());
        report.evidence_sha256 = Some(evidence.evidence_sha256().to_string());
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

    /// The same for hardware evidence without a document around it.
    pub(crate) fn appraise_hardware(
        &self,
        hardware: &Hardware,
        origin: Origin,
        report: &mut Report,
    ) -> Result<ExitClass, Failure> {
        let (policy, allowed) = self.terms(hardware.tee(), origin, report)?;
        report.hardware = Some(hardware.is_pinned());
        report.holds_until(hardware.valid_until_ms());
        let result = appraise_hardware(hardware, origin == Origin::Live, &policy, allowed);
        if let Some(image) = result.image {
            report.claim("image", json!(image));
        }
        report.incomplete = result.class == ExitClass::Collateral;
        report.checks.extend(hardware.checks().iter().cloned());
        report.checks.extend(result.checks);
        Ok(result.class)
    }

    /// The policy for evidence of a kind, and whether what is not hardware is allowed.
    fn terms(
        &self,
        tee: Tee,
        origin: Origin,
        report: &mut Report,
    ) -> Result<(AppraisalPolicy, DevelopmentTee), Failure> {
        let text = match (&self.own, self.development, tee) {
            (Some(own), ..) => own,
            (None, DevelopmentTee::Allow, Tee::Development) => appraisal::DEVELOPMENT,
            (None, ..) => appraisal::DEFAULT,
        };
        let policy = AppraisalPolicy::from_toml(text).map_err(|error| Failure::Usage(error.to_string()))?;
        let policy = if origin == Origin::Live { policy } else { policy.for_saved_document() };
        report.tee = Some(tee);
        report.policy_sha256 = Some(sha256(text.as_bytes()).to_string());
        // Who named a test root has said so aloud for evidence that looks like hardware's, and for nothing else.
        let allowed = match tee.is_hardware() && self.test_roots {
            true => DevelopmentTee::Allow,
            false => self.development,
        };
        Ok((policy, allowed))
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
pub(crate) fn read_roots(paths: &[PathBuf]) -> Result<Trust, Failure> {
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
