//! `SQLCipher` as a peer: Debian's command line in one long-lived process, fed by files of statements.
//!
//! It reads statements as text, which the store does not have to. To be fair to it, the key is a raw one (no key derivation),
//! values are read without being printed, and only the time between two marks counts.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use anyhow::Context as _;

const MARK: &str = "cloister-bench-mark";

/// An open database with one table.
pub(super) struct SqlCipher {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    script: PathBuf,
}

impl SqlCipher {
    /// Makes a database in `dir`, with write-ahead log and an fsync for each commit.
    pub(super) fn open(dir: &Path) -> anyhow::Result<Self> {
        let mut process = Command::new("sqlcipher")
            .arg(dir.join("peer.sqlcipher"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start sqlcipher: deploy/bench installs it")?;
        let input = process.stdin.take().context("its input")?;
        let output = BufReader::new(process.stdout.take().context("its output")?);
        let mut peer = Self { process, input, output, script: dir.join("statements.sql") };
        let key = "ab".repeat(32);
        let mut setup = format!("PRAGMA key = \"x'{key}'\";\n");
        setup += "PRAGMA journal_mode = WAL;\nPRAGMA synchronous = FULL;\n";
        setup += "CREATE TABLE records (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;\n";
        peer.time(&setup)?;
        Ok(peer)
    }

    /// Seconds for inserts, each a transaction of its own.
    pub(super) fn puts(&mut self, keys: impl Iterator<Item = String>, value: &str) -> anyhow::Result<f64> {
        self.time(&inserts(keys, value))
    }

    /// Seconds for inserts in one transaction.
    pub(super) fn batch(&mut self, keys: impl Iterator<Item = String>, value: &str) -> anyhow::Result<f64> {
        self.time(&format!("BEGIN;\n{}COMMIT;\n", inserts(keys, value)))
    }

    /// Seconds for reads by key.
    pub(super) fn gets(&mut self, keys: impl Iterator<Item = String>) -> anyhow::Result<f64> {
        let mut sql = String::new();
        for key in keys {
            writeln!(sql, "SELECT length(value) FROM records WHERE key = '{key}';")?;
        }
        self.time(&sql)
    }

    /// Seconds for reading everything.
    pub(super) fn scan(&mut self) -> anyhow::Result<f64> {
        self.time("SELECT sum(length(value)) FROM records;\n")
    }

    fn time(&mut self, sql: &str) -> anyhow::Result<f64> {
        fs::write(&self.script, sql)?;
        let start = Instant::now();
        writeln!(self.input, ".read {}\nSELECT '{MARK}';", self.script.display())?;
        self.input.flush()?;
        let mut line = String::new();
        while line.trim_end() != MARK {
            line.clear();
            anyhow::ensure!(self.output.read_line(&mut line)? > 0, "sqlcipher ended");
        }
        Ok(start.elapsed().as_secs_f64())
    }
}

fn inserts(keys: impl Iterator<Item = String>, value: &str) -> String {
    let mut sql = String::new();
    for key in keys {
        let _ = writeln!(sql, "INSERT INTO records VALUES ('{key}', '{value}');");
    }
    sql
}

impl Drop for SqlCipher {
    fn drop(&mut self) {
        // It may have ended already.
        let _killed = self.process.kill();
        let _ended = self.process.wait();
    }
}
