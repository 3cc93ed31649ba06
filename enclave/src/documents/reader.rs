//! Runs the document worker: one sandboxed process per document, bounded in time and in what it may answer.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use cloister_protocol::parsed::{DocumentFormat, ParsedDocument, WorkerRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::{DocumentProblem, reply};

/// Exit codes of `cloister-docworker`.
const REPLIED: i32 = 0;
const NO_MEMORY: i32 = 70;
const NO_SANDBOX: i32 = 71;
/// Signals by which the kernel ends a process that went over a limit; the numbers are the same on all architectures
/// that the worker supports.
const SIGABRT: i32 = 6;
const SIGXCPU: i32 = 24;

/// What a worker may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReaderLimits {
    /// From start to end of the process.
    pub wall: Duration,
    /// Characters of text in the answer.
    pub text_chars: u64,
    /// Bytes of the answer.
    pub reply_bytes: u64,
}

impl Default for ReaderLimits {
    /// 30 seconds; 4 million characters, which is a book of 1,500 pages; and those as JSON.
    fn default() -> Self {
        Self { wall: Duration::from_secs(30), text_chars: 4_000_000, reply_bytes: 48 << 20 }
    }
}

/// Starts workers.
#[derive(Debug, Clone)]
pub struct Reader {
    program: PathBuf,
    limits: ReaderLimits,
}

impl Reader {
    /// Reads with the worker at `program`.
    #[must_use]
    pub const fn new(program: PathBuf, limits: ReaderLimits) -> Self {
        Self { program, limits }
    }

    /// Reads one document. If the future is dropped, the worker is killed.
    ///
    /// # Errors
    /// Why there is no text.
    pub async fn read(&self, format: DocumentFormat, bytes: &[u8]) -> Result<ParsedDocument, DocumentProblem> {
        let mut child = self.start()?;
        let answer = tokio::time::timeout(self.limits.wall, self.converse(&mut child, format, bytes)).await;
        let Ok(answer) = answer else { return Err(DocumentProblem::TooSlow) };
        let (status, output) = answer.map_err(|_| DocumentProblem::ReaderFailed)?;
        match (status.code(), status.signal()) {
            (Some(REPLIED), _) => reply::check(&output, self.limits.text_chars),
            (Some(NO_MEMORY), _) | (_, Some(SIGABRT)) => Err(DocumentProblem::TooMuchMemory),
            (Some(NO_SANDBOX), _) => {
                tracing::error!("the document worker has no sandbox on this machine and refuses to read");
                Err(DocumentProblem::ReaderUnavailable)
            }
            (_, Some(SIGXCPU)) => Err(DocumentProblem::TooSlow),
            _ => {
                tracing::warn!(
                    code = status.code(),
                    signal = status.signal(),
                    "the document worker ended without a reply"
                );
                Err(DocumentProblem::ReaderFailed)
            }
        }
    }

    /// No environment, no arguments, three pipes; standard error is dropped, because a captured worker could speak there.
    fn start(&self) -> Result<Child, DocumentProblem> {
        let started = Command::new(&self.program)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        started.map_err(|error| {
            tracing::error!(error = %error.kind(), "the document worker cannot be started");
            DocumentProblem::ReaderUnavailable
        })
    }

    /// Writes the document and reads the answer at the same time, so that neither side can block the other.
    async fn converse(
        &self,
        child: &mut Child,
        format: DocumentFormat,
        bytes: &[u8],
    ) -> std::io::Result<(ExitStatus, Vec<u8>)> {
        let size_bytes = u64::try_from(bytes.len()).map_err(std::io::Error::other)?;
        let request = WorkerRequest { format, size_bytes, max_text_chars: self.limits.text_chars };
        let mut line = serde_json::to_vec(&request)?;
        line.push(b'\n');
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(std::io::ErrorKind::BrokenPipe.into());
        };
        let write = async move {
            // A worker that ends early closes its end; how it ended says why.
            if input.write_all(&line).await.is_ok() {
                let _: std::io::Result<()> = input.write_all(bytes).await;
            }
        };
        let read = async {
            let mut answer = Vec::new();
            let read = output.take(self.limits.reply_bytes.saturating_add(1)).read_to_end(&mut answer).await?;
            if u64::try_from(read).map_or(true, |read| read > self.limits.reply_bytes) {
                return Err(std::io::Error::from(std::io::ErrorKind::FileTooLarge));
            }
            Ok(answer)
        };
        let ((), answer) = tokio::join!(write, read);
        let answer = answer?;
        Ok((child.wait().await?, answer))
    }
}
