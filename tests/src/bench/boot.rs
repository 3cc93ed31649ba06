//! What a start costs: opening a store of many records and checking that they are the ones that were there last.
//!
//! Beside it bare sled is opened, and the same records are read. Each opening is a process of its own, so that memory can be
//! told.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use cloister_enclave::access::scope::danger;
use cloister_enclave::clock::SystemClock;
use cloister_enclave::keys::RootKey;
use cloister_enclave::store::{Collection, Store};
use cloister_protocol::ids::OrgId;
use serde::{Deserialize, Serialize};

use super::{Figure, Target, median, store};

const SIZES: [u32; 3] = [10_000, 100_000, 1_000_000];
const ROUNDS: usize = 3;
/// Records in one batch.
const BATCH: u32 = 1_000;
const VALUE_BYTES: usize = 100;
const RECORDS: Collection<String> = Collection::new("bench", 63, 1);

/// What one process found.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Opening {
    seconds: f64,
    memory_bytes: f64,
}

/// Which of the two is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// The store.
    Sealed,
    /// sled under it, alone.
    Bare,
}

/// Opens what [`run`] has left in `dir`; for a process of its own.
///
/// # Errors
/// If it does not open.
pub fn open(dir: &Path, kind: Kind) -> anyhow::Result<Opening> {
    let before = resident_bytes()?;
    let start = Instant::now();
    let opening = |start: Instant| -> anyhow::Result<Opening> {
        let seconds = start.elapsed().as_secs_f64();
        Ok(Opening { seconds, memory_bytes: resident_bytes()? - before })
    };
    match kind {
        Kind::Sealed => {
            let _store = sealed(dir)?;
            opening(start)
        }
        Kind::Bare => {
            let bare = store::bare_sled(&dir.join("records"))?;
            let records = bare.iter().filter(Result::is_ok).count();
            anyhow::ensure!(records > 0, "the store is there");
            opening(start)
        }
    }
}

/// Makes stores of several sizes in `dir` and has each opened, in turn by itself and by bare sled.
///
/// # Errors
/// If a store cannot be made or a process fails.
pub fn run(dir: &Path) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let mut smaller: Option<f64> = None;
    for records in SIZES {
        eprintln!("boot: a store of {records} records");
        let path = dir.join(records.to_string());
        fill(&path, records)?;
        let (mut ours, mut peer) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(spawn(&path, Kind::Sealed)?);
            peer.push(spawn(&path, Kind::Bare)?);
        }
        let seconds = |of: &[Opening]| median(of.iter().map(|opening| opening.seconds).collect());
        let memory = |of: &[Opening]| median(of.iter().map(|opening| opening.memory_bytes).collect());
        let taken = seconds(&ours);
        figures.push(Figure::absolute(&format!("boot: check of {records} records"), "s", taken, Target::AtMost(10.0)));
        if let Some(smaller) = smaller {
            let what = format!("boot: {records} records beside ten times a tenth");
            figures.push(Figure::ratio(&what, "the smaller store", "s", taken, smaller * 10.0, Target::AtMost(1.3)));
        }
        if records == SIZES[2] {
            let added = (memory(&ours) - memory(&peer)) / f64::from(records);
            let what = "boot: memory a record, beyond sled's own";
            figures.push(Figure::absolute(what, "B", added, Target::AtMost(120.0)));
        }
        smaller = Some(taken);
    }
    Ok(figures)
}

fn sealed(dir: &Path) -> anyhow::Result<Store> {
    let root = RootKey::insecure_from_bytes([7; 32]);
    Ok(Store::open(dir, &root, Arc::new(SystemClock), store::settings())?)
}

fn fill(dir: &Path, records: u32) -> anyhow::Result<()> {
    let store = sealed(dir)?;
    let tenant = store.scope(&danger::unauthorized_org(OrgId::from_parts(1, 1)));
    let value = "x".repeat(VALUE_BYTES);
    for first in (0..records).step_by(usize::try_from(BATCH)?) {
        let mut batch = tenant.batch();
        for number in first..first + BATCH {
            batch.put(&RECORDS, &number.to_string(), &value);
        }
        batch.commit_blocking()?;
    }
    store.close_blocking();
    Ok(())
}

fn spawn(dir: &Path, kind: Kind) -> anyhow::Result<Opening> {
    let kind = match kind {
        Kind::Sealed => "sealed",
        Kind::Bare => "bare",
    };
    let me: PathBuf = std::env::current_exe()?;
    let output = Command::new(me).args(["--open-kind", kind, "--open"]).arg(dir).output()?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("the opened store's figures")
}

fn resident_bytes() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes * 1024.0)
}
