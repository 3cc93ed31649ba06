//! A peer: one long-lived process that answers each line of JSON with a line of JSON.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::Context as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::appliance::checkout;

/// The process; it ends with this value.
pub(super) struct Peer {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts a script of `deploy/bench.d` in Python.
    pub(super) fn python<A: AsRef<OsStr>>(python: &Path, script: &str, args: &[A]) -> anyhow::Result<Self> {
        Self::start(Command::new(python).arg(checkout().join("deploy/bench.d").join(script)).args(args))
    }

    /// Starts a program.
    pub(super) fn start(command: &mut Command) -> anyhow::Result<Self> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start the peer {}", command.get_program().display()))?;
        let input = process.stdin.take().context("its input")?;
        let output = BufReader::new(process.stdout.take().context("its output")?);
        Ok(Self { process, input, output })
    }

    /// Asks for something.
    pub(super) fn ask<T: DeserializeOwned>(&mut self, question: &impl Serialize) -> anyhow::Result<T> {
        writeln!(self.input, "{}", serde_json::to_string(question)?)?;
        self.input.flush()?;
        let mut answer = String::new();
        self.output.read_line(&mut answer)?;
        serde_json::from_str(&answer).context("the peer gave up; what it printed above says why")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended already.
        let _killed = self.process.kill();
        let _ended = self.process.wait();
    }
}
