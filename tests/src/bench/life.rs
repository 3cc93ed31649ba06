//! How the running product behaves as a whole: start, idle memory, the demo, and what the channel costs a stream.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;

use super::{Figure, Target, median};
use crate::appliance::{Appliance, Options};

const ROUNDS: usize = 5;

/// Start to ready with everything cached, and resident memory of the idle enclave.
///
/// # Errors
/// If the product does not start.
#[expect(clippy::cast_precision_loss, reason = "figures of a few digits")]
pub fn run(dir: &Path) -> anyhow::Result<Vec<Figure>> {
    let (mut start, mut memory) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        eprintln!("life: round {} of {ROUNDS}", round + 1);
        // The same folder each time: what counts is a second start.
        let begun = Instant::now();
        let appliance = Appliance::start(Options::for_checkout(dir.join("life"))?)?;
        start.push(begun.elapsed().as_secs_f64());
        memory.push(resident_kib(appliance.enclave_pid())? as f64 * 1024.0 / 1e6);
        appliance.stop()?;
    }
    Ok(vec![
        Figure::absolute("start to ready, everything cached", "s", median(start), Target::AtMost(3.0)),
        Figure::absolute("enclave: idle memory, embedder loaded", "MB", median(memory), Target::AtMost(200.0)),
    ])
}

fn resident_kib(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).context("VmRSS")?;
    Ok(line.split_whitespace().nth(1).context("a number")?.parse()?)
}
