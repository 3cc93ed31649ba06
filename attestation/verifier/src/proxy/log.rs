//! What the proxy prints: one line when it begins on the standard output, then one per event on the standard error.
//!
//! Nothing of a request or an answer stands in a line: no header, no path beyond the names of the protocol, no key.

use std::io::{self, Write as _};
use std::net::SocketAddr;

use http::{Method, StatusCode};
use serde_json::json;
use tokio::time::Instant;

use super::upstream::Refusal;
use crate::input;
use crate::report::Report;
use crate::target::Target;

/// The paths of the protocol; whatever else a client asks for may say something.
const KNOWN_PATHS: [&str; 4] = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/models"];

/// Says where the port is and what was verified.
pub(super) fn started(listening: SocketAddr, target: &str, report: &Report, as_json: bool) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    if as_json {
        let base_url = format!("http://{listening}/v1");
        let line = json!({ "listening": listening, "base_url": base_url, "appliance": target, "report": report });
        writeln!(stdout, "{line}")?;
    } else {
        stdout.write_all(report.to_text().as_bytes())?;
        writeln!(stdout, "listening on http://{listening}/v1 for {target}; Ctrl-C stops")?;
    }
    stdout.flush()
}

/// The outcome of a verification.
pub(super) fn verification(target: &Target, outcome: Result<&Report, &Refusal>) {
    match outcome {
        Ok(report) => {
            let banner = report.banner().map(|banner| format!("{banner}, ")).unwrap_or_default();
            line(&format!("verified {target}: {banner}valid until {}", until(report)));
        }
        Err(Refusal::NotVerified(report)) => {
            let (id, reason) = report.decisive().map_or(("-", ""), |check| (check.id, check.reason.as_str()));
            line(&format!("REFUSED {target}: {id}: {reason}"));
        }
        Err(Refusal::Unreachable(reason)) => line(&format!("unreachable {target}: {reason}")),
    }
}

/// One request, when the head of its answer is there.
pub(super) fn request(method: &Method, path: &str, status: StatusCode, since: Instant) {
    let method = match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        _ => "other",
    };
    let path = KNOWN_PATHS.into_iter().find(|known| *known == path).unwrap_or("/v1/…");
    line(&format!("{method} {path} {} {} ms", status.as_u16(), since.elapsed().as_millis()));
}

/// Anything else.
pub(super) fn line(text: &str) {
    let time = input::now_ms().map_or_else(|_| "-".to_owned(), input::format_time);
    // Whoever closed the standard error does not want to know. Peers' words must not steer a terminal.
    drop(writeln!(io::stderr().lock(), "{time} {}", text.escape_debug()));
}

fn until(report: &Report) -> &str {
    report.valid_until.as_deref().unwrap_or("-")
}
