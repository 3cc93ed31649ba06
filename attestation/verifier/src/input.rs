//! The only place that reads and writes files, and reads the clock and randomness, each within bounds.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use x509_cert::der::DateTime;

use crate::failure::Failure;

/// Reads a file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
    let failed = |source| Failure::File { path: path.display().to_string(), source };
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(bound).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > limit {
        return Err(Failure::TooLarge { path: path.display().to_string(), limit });
    }
    Ok(bytes)
}

/// Writes a file.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, bytes).map_err(|source| Failure::File { path: path.display().to_string(), source })
}

/// Writes a file in the place of another in one step: whoever reads it sees one or the other.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    let part = Path::new(&name);
    write(part, bytes)?;
    std::fs::rename(part, path).map_err(|source| Failure::File { path: path.display().to_string(), source })
}

/// Tells a person who waits what is being done.
pub(crate) fn progress(text: &str) {
    // Nobody may be there to read it.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// The time, Unix milliseconds.
#[expect(clippy::disallowed_methods, reason = "the clock of the relying party's machine; read once, here")]
pub(crate) fn now_ms() -> Result<u64, Failure> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.ok()
        .and_then(|now| u64::try_from(now.as_millis()).ok())
        .ok_or(Failure::Machine("the clock of this machine is set before 1970"))
}

/// 32 random bytes.
pub(crate) fn random_nonce() -> Result<[u8; 32], Failure> {
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).map_err(|_| Failure::Machine("this machine gives no random bytes"))?;
    Ok(nonce)
}

/// Reads `2026-05-01T12:00:00Z` as Unix milliseconds.
pub(crate) fn parse_time(text: &str) -> Result<u64, String> {
    let wrong = || "not a time of the form 2026-05-01T12:00:00Z".to_owned();
    let time: DateTime = text.parse().map_err(|_| wrong())?;
    u64::try_from(time.unix_duration().as_millis()).map_err(|_| wrong())
}

/// Writes Unix milliseconds as `2026-05-01T12:00:00Z`, rounded down.
pub(crate) fn format_time(unix_ms: u64) -> String {
    DateTime::from_unix_duration(Duration::from_millis(unix_ms))
        .map_or_else(|_| format!("{unix_ms} ms after 1970"), |time| time.to_string())
}
