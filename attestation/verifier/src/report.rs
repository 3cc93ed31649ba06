//! The verdict as text and as JSON: two views on the same structure. The only place that prints.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use cloister_attestation::document::Tee;
use cloister_attestation::{Check, ExitClass, Outcome};
use cloister_policies::appraisal::Verdict;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::args::Form;
use crate::ear;
use crate::failure::Failure;
use crate::input::format_time;
use crate::jws::Signer;
use crate::live::Binding;

/// What is shown whenever the evidence is that of a development TEE.
const BANNER: &str = "DEVELOPMENT, NOT CONFIDENTIAL";
/// What is shown whenever the evidence chains to a root that the user named.
const TEST_ROOT_BANNER: &str = "TEST ROOT, NOT CONFIDENTIAL";

/// What is shown when the user chose the weaker binding.
const SPKI_ONLY: &str = "\
WEAKER BINDING (spki-only): the evidence names the key of this connection, not the connection. Whoever stole that key can
pass on the evidence of the appliance and read everything. Leave --binding out if the appliance can do better.
";

/// Everything that was found out.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    /// The judgement.
    pub(crate) verdict: Verdict,
    /// What kind of answer it is.
    pub(crate) exit_class: ExitClass,
    /// The kind of evidence, if there was true evidence.
    pub(crate) tee: Option<Tee>,
    /// Whether memory is protected by hardware, if there was true evidence.
    pub(crate) hardware: Option<bool>,
    /// The time that was judged for.
    pub(crate) verify_at: String,
    /// Until when the verdict holds.
    pub(crate) valid_until: Option<String>,
    /// SHA-256 of the hardware's report.
    pub(crate) evidence_sha256: Option<String>,
    /// SHA-256 of the policy that judged.
    pub(crate) policy_sha256: Option<String>,
    /// Why it was not accepted: the first thing that ended it.
    pub(crate) error: Option<String>,
    /// Every check.
    pub(crate) checks: Vec<Check>,
    /// What was established, by name; trustworthy only if accepted.
    pub(crate) claims: Map<String, Value>,
    /// The same time, Unix milliseconds.
    #[serde(skip)]
    pub(crate) verify_at_ms: u64,
    /// The end of the verdict, Unix milliseconds.
    #[serde(skip)]
    pub(crate) valid_until_ms: Option<u64>,
    /// Whether the policy refused for lack of collateral only.
    #[serde(skip)]
    pub(crate) incomplete: bool,
}

impl Report {
    /// A report about nothing yet.
    pub(crate) fn new(verify_at_ms: u64) -> Self {
        Self {
            verdict: Verdict::Rejected,
            exit_class: ExitClass::Rejected,
            tee: None,
            hardware: None,
            verify_at: format_time(verify_at_ms),
            valid_until: None,
            evidence_sha256: None,
            policy_sha256: None,
            error: None,
            checks: Vec::new(),
            claims: Map::new(),
            verify_at_ms,
            valid_until_ms: None,
            incomplete: false,
        }
    }

    /// Says until when the verdict holds.
    pub(crate) fn holds_until(&mut self, unix_ms: u64) {
        self.valid_until = Some(format_time(unix_ms));
        self.valid_until_ms = Some(unix_ms);
    }

    /// Adds something that was established.
    pub(crate) fn claim(&mut self, name: &str, value: Value) {
        self.claims.insert(name.to_owned(), value);
    }

    /// Adds the checks of a step that was refused.
    pub(crate) fn refuse(mut self, class: ExitClass, error: &impl ToString, checks: Vec<Check>) -> Self {
        self.verdict = Verdict::Rejected;
        self.exit_class = class;
        self.error = Some(error.to_string());
        self.checks.extend(checks);
        self
    }

    /// Judges by the checks: what fails or is missing among the required ones makes a refusal of this class.
    pub(crate) fn conclude(mut self, missing: ExitClass) -> Self {
        let (failed, undone) = (self.failed(), self.undone());
        // What the policy refuses for lack of collateral only is refused as incomplete, unless anything else failed.
        let of_policy = |check: &Check| check.result != Outcome::Fail || check.id.starts_with("policy.");
        let incomplete = self.incomplete && self.checks.iter().all(of_policy);
        let refused = if incomplete { ExitClass::Collateral } else { ExitClass::Rejected };
        (self.verdict, self.exit_class, self.error) = match (failed, undone) {
            (Some(check), _) => (Verdict::Rejected, refused, Some(check.reason.clone())),
            (None, Some(check)) => (Verdict::Rejected, missing, Some(check.reason.clone())),
            (None, None) if self.hardware == Some(false) => (Verdict::AcceptedDevelopment, ExitClass::Accepted, None),
            (None, None) => (Verdict::Accepted, ExitClass::Accepted, None),
        };
        self
    }

    /// What has to be said wherever this is shown.
    pub(crate) fn banner(&self) -> Option<&'static str> {
        match (self.hardware, self.tee) {
            (Some(false), Some(tee)) if tee.is_hardware() => Some(TEST_ROOT_BANNER),
            (Some(false), _) => Some(BANNER),
            (Some(true) | None, _) => None,
        }
    }

    /// The check that keeps this from being accepted.
    pub(crate) fn decisive(&self) -> Option<&Check> {
        self.failed().or_else(|| self.undone())
    }

    fn failed(&self) -> Option<&Check> {
        self.checks.iter().find(|check| check.result == Outcome::Fail)
    }

    fn undone(&self) -> Option<&Check> {
        self.checks.iter().find(|check| check.required && check.result == Outcome::NotDone)
    }

    fn count(&self, outcome: Outcome) -> usize {
        self.checks.iter().filter(|check| check.result == outcome).count()
    }

    /// The report as a person reads it.
    pub(crate) fn to_text(&self) -> String {
        let banner = self.banner().map(|banner| format!("{banner}\n")).unwrap_or_default();
        let mut text = banner.clone();
        for check in &self.checks {
            let result = match check.result {
                Outcome::Pass => "PASS",
                Outcome::Fail => "FAIL",
                Outcome::NotDone => "SKIP",
            };
            let _ = writeln!(text, "{result}  {:<22} {}", check.id, check.reason);
            if let Some(fix) = check.fix {
                let _ = writeln!(text, "{:<28} → {fix}", "");
            }
        }
        let verdict = match (self.verdict, self.exit_class) {
            (Verdict::Accepted, _) => "ACCEPTED",
            (Verdict::AcceptedDevelopment, _) => "ACCEPTED FOR DEVELOPMENT ONLY",
            (Verdict::Rejected, ExitClass::Accepted | ExitClass::Rejected) => "REJECTED",
            (Verdict::Rejected, ExitClass::Unsupported) => "REJECTED, UNSUPPORTED",
            (Verdict::Rejected, ExitClass::Malformed) => "REJECTED, MALFORMED",
            (Verdict::Rejected, ExitClass::Collateral) => "REJECTED, INCOMPLETE",
        };
        let (passed, failed) = (self.count(Outcome::Pass), self.count(Outcome::Fail));
        let _ = write!(text, "{verdict}: {passed} passed, {failed} failed, {} skipped", self.count(Outcome::NotDone));
        if let (Some(until), None) = (&self.valid_until, &self.error) {
            let _ = write!(text, "; valid until {until}");
        }
        if let Some(error) = &self.error {
            let _ = write!(text, "; {error}");
        }
        text.push('\n');
        text + &self.summary() + &banner
    }

    /// What was established, in a line or two; nothing unless accepted.
    fn summary(&self) -> String {
        if self.verdict == Verdict::Rejected {
            return String::new();
        }
        // These texts are the appliance's: nothing in them may steer a terminal.
        let text = |value: Option<&Value>| match value {
            Some(Value::String(text)) => text.escape_debug().to_string(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        let mut summary = String::new();
        if self.claims.get("binding").is_some_and(|binding| binding == Binding::SpkiOnly.name()) {
            summary.push_str(SPKI_ONLY);
        }
        if let Some(statement) = self.claims.get("statement") {
            let of = |pointer| text(statement.pointer(pointer));
            let _ = writeln!(summary, "appliance: version {}, commit {}", of("/build/version"), of("/build/commit"));
            for model in statement.get("models").and_then(Value::as_array).into_iter().flatten() {
                let of = |field| text(model.get(field));
                let _ = writeln!(summary, "model:     {} {} sha256:{}", of("role"), of("id"), of("sha256"));
            }
        }
        if let Some(log) = self.claims.get("log") {
            let of = |field| text(log.get(field));
            let (size, origin, at) = (of("size"), of("origin"), of("exported_at"));
            let _ = writeln!(summary, "log:       {size} records of {origin}, exported at {at}");
        }
        if let Some(receipt) = self.claims.get("receipt") {
            let documents = receipt.get("documents").and_then(Value::as_array).map_or(0, Vec::len);
            let (id, kind) = (text(receipt.get("receipt_id")), text(receipt.get("kind")));
            let _ = writeln!(summary, "receipt:   {id}, answer of the kind {kind} from {documents} documents");
        }
        summary
    }
}

/// A text of somebody else's without what could steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    // Bidirectional overrides are no control characters and reorder what is shown all the same.
    let steers = |c: char| {
        c.is_control() || matches!(c, '\u{200E}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if steers(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}

/// What a command has to say: the same thing as text and as JSON, and the code to exit with.
#[derive(Debug)]
pub(crate) struct Output {
    /// For people; ends with a line break.
    pub(crate) text: String,
    /// For programs.
    pub(crate) json: Value,
    /// The process exit code.
    pub(crate) code: u8,
}

impl From<Report> for Output {
    fn from(report: Report) -> Self {
        Self { text: report.to_text(), json: json!(report), code: report.exit_class.code() }
    }
}

impl Output {
    /// The verdict in the form that was asked for.
    pub(crate) fn of_report(report: Report, form: &Form, signer: Option<&Signer>) -> Result<Self, Failure> {
        if !form.ear && !form.cmw {
            return Ok(Self::from(report));
        }
        let claims = ear::claims(&report);
        let token = signer.map(|signer| signer.sign(&claims)).transpose()?;
        let json = match (form.cmw, &token) {
            (true, Some(token)) => ear::record(ear::TOKEN, token),
            (true, None) => ear::record(ear::CLAIMS, &claims.to_string()),
            (false, Some(token)) => json!(token),
            (false, None) => claims,
        };
        let text = match (form.cmw, &token) {
            (false, Some(token)) => format!("{token}\n"),
            _ => format!("{json:#}\n"),
        };
        Ok(Self { text, json, code: report.exit_class.code() })
    }
}

/// Prints what came of a run, and says with which code to exit.
pub(crate) fn print(result: Result<&Output, &Failure>, as_json: bool) -> io::Result<ExitCode> {
    let mut stdout = io::stdout().lock();
    match result {
        Ok(output) => {
            if as_json {
                writeln!(stdout, "{:#}", output.json)?;
            } else {
                stdout.write_all(output.text.as_bytes())?;
            }
            Ok(ExitCode::from(output.code))
        }
        Err(failure) => {
            if as_json {
                let error = json!({ "verdict": null, "exit_class": failure.class(), "error": failure.to_string() });
                writeln!(stdout, "{error:#}")?;
            } else {
                writeln!(io::stderr().lock(), "cloister-verify: {failure}")?;
            }
            Ok(ExitCode::from(failure.code()))
        }
    }
}
