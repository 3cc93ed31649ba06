//! `cloister-verify policy`: what does an appraisal policy mean, and does it mean what its author wanted?
//!
//! It looks at the policy alone and judges no evidence.

use cloister_attestation::ExitClass;
use cloister_policies::appraisal::AppraisalPolicy;
use cloister_policies::appraisal::lint::{Level, explain, lint};
use serde_json::{Value, json};

use crate::args::{PolicyArgs, PolicyQuestion};
use crate::failure::Failure;
use crate::judge;
use crate::report::Output;

/// Runs the command.
pub(crate) fn run(args: &PolicyArgs, now_ms: u64) -> Result<Output, Failure> {
    match &args.question {
        PolicyQuestion::Lint(args) => judge::policy_text(&args.policy).map(|text| findings(&text, now_ms)),
        PolicyQuestion::Explain(args) => judge::policy_text(&args.policy).map(|text| meaning(&text)),
    }
}

fn findings(text: &str, now_ms: u64) -> Output {
    let findings = lint(text, now_ms);
    let word = |level| match level {
        Level::Error => "error",
        Level::Warning => "warning",
    };
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let (errors, warnings) = (count(Level::Error), count(Level::Warning));
    let lines = findings.iter().map(|finding| {
        let (level, key, message) = (word(finding.level), finding.key, &finding.message);
        format!("{level:<8} {key:<36} {message}\n")
    });
    let text = lines.collect::<String>() + &format!("{errors} errors, {warnings} warnings\n");
    let json: Vec<Value> = findings
        .iter()
        .map(|finding| json!({ "level": word(finding.level), "key": finding.key, "message": finding.message }))
        .collect();
    let class = if errors == 0 { ExitClass::Accepted } else { ExitClass::Rejected };
    Output { text, json: json!({ "findings": json }), code: class.code() }
}

fn meaning(text: &str) -> Output {
    let policy = match AppraisalPolicy::from_toml(text) {
        Ok(policy) => policy,
        Err(error) => {
            let error = error.to_string();
            let json = json!({ "exit_class": ExitClass::Malformed, "error": error });
            return Output { text: format!("{error}\n"), json, code: ExitClass::Malformed.code() };
        }
    };
    let sentences = explain(&policy);
    let text = sentences.iter().map(|(key, sentence)| format!("{key:<40} {sentence}\n")).collect();
    let json: Vec<Value> = sentences.iter().map(|(key, sentence)| json!({ "key": key, "meaning": sentence })).collect();
    Output { text, json: json!({ "policy": json }), code: ExitClass::Accepted.code() }
}
