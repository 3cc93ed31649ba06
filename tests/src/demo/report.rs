//! What the demo prints: each step as it ends, the answers as they stream, a table at the end; or one JSON object.

use std::future::Future;
use std::io::Write as _;
use std::time::Instant;

use cloister_protocol::api::Citation;
use serde::Serialize;

/// The steps so far.
#[derive(Debug)]
pub(super) struct Report {
    json: bool,
    begun: Instant,
    steps: Vec<Step>,
}

#[derive(Debug, Serialize)]
struct Step {
    step: String,
    held: bool,
    seconds: f64,
    detail: String,
}

impl Report {
    pub(super) fn new(json: bool) -> Self {
        Self { json, begun: Instant::now(), steps: Vec::new() }
    }

    /// Whether only JSON may be printed.
    pub(super) const fn is_quiet(&self) -> bool {
        self.json
    }

    pub(super) fn say(&self, text: &str) {
        if !self.json {
            let _ = writeln!(std::io::stdout(), "{text}");
        }
    }

    /// Runs and times a step, and notes whether it held.
    pub(super) async fn step<T>(
        &mut self,
        name: &str,
        work: impl Future<Output = anyhow::Result<(String, T)>>,
    ) -> anyhow::Result<T> {
        let begun = Instant::now();
        let outcome = work.await;
        let seconds = begun.elapsed().as_secs_f64();
        let (held, detail) = match &outcome {
            Ok((detail, _)) => (true, detail.clone()),
            Err(e) => (false, format!("{e:#}")),
        };
        let mark = if held { "ok  " } else { "FAIL" };
        self.say(&format!("{mark} {name} ({seconds:.2} s): {}", detail.lines().next().unwrap_or_default()));
        self.steps.push(Step { step: name.to_owned(), held, seconds, detail });
        outcome.map(|(_, value)| value)
    }

    /// The table, or the JSON object.
    pub(super) fn finish(&self, held: bool) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        let seconds = self.begun.elapsed().as_secs_f64();
        if self.json {
            let object = serde_json::json!({ "held": held, "seconds": seconds, "steps": self.steps });
            serde_json::to_writer_pretty(&mut out, &object)?;
            return Ok(writeln!(out)?);
        }
        writeln!(out, "\nDEVELOPMENT TEE: what was verified here is the mechanism, not confidentiality.\n")?;
        writeln!(out, "{:<44} {:>9}  held", "step", "seconds")?;
        for step in &self.steps {
            let held = if step.held { "yes" } else { "NO" };
            writeln!(out, "{:<44} {:>9.2}  {held}", step.step, step.seconds)?;
        }
        Ok(writeln!(out, "{:<44} {seconds:>9.2}  {}", "all", if held { "yes" } else { "NO" })?)
    }
}

/// A piece of an answer as it arrives.
pub(super) fn stream(text: &str, begun: &mut bool) {
    let mut out = std::io::stdout().lock();
    if !*begun {
        *begun = true;
        let _ = write!(out, "  A: ");
    }
    let _ = write!(out, "{}", text.replace('\n', "\n     "));
    let _ = out.flush();
}

/// The end of an answer, with its sources.
pub(super) fn end_stream(citations: &[Citation]) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out);
    for citation in citations {
        let page = citation.page.map_or_else(String::new, |p| format!(", page {p}"));
        let section = citation.section.join(" › ");
        let quote: String = citation.quote.chars().take(100).collect();
        let _ = writeln!(out, "     [{}] {} · {section}{page}: “{quote}…”", citation.tag, citation.document_title);
    }
}
