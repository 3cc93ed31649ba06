//! The verifier beside the libraries that others verify with: wrong verdicts, time, memory.
//!
//! The cases are the published ones (`CLOISTER_VECTORS`), each as of its own time, under its own root and policy. The
//! peers are used as their documentation shows (`deploy/bench.d/attestation-peers`): what they leave to their caller,
//! they leave out here too.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use cloister_attestation::{snp, tdx};
use serde::{Deserialize, Serialize};

use super::peer::Peer;
use super::{Figure, Target, median};
use crate::appliance::binaries;

const ROUNDS: usize = 7;
/// Verifications in a round.
const REPEATS: u32 = 50;
const SNP_CASE: &str = "snp/snp-real-genoa-v5";
const TDX_CASE: &str = "tdx/tdx-real-v4-dcapqvl-uptodate";
/// Where a library leaves the decision to its caller: policies, and which TCB status is good enough.
const POLICY_STAGES: [&str; 2] = ["policy", "tcb"];
const RUSTCRYPTO: &str = "dcap-qvl-rustcrypto";
const RING: &str = "dcap-qvl-ring";

/// What the figures need.
#[derive(Debug)]
pub struct Setup<'a> {
    /// The folder of the attestation cases.
    pub cases: &'a Path,
    /// The program of the peers.
    pub peers: &'a Path,
    /// A folder for what is written.
    pub dir: &'a Path,
}

#[derive(Serialize)]
struct Question<'a> {
    case: &'a Path,
    peer: &'a str,
    rounds: u32,
}

#[derive(Deserialize)]
struct Answer {
    accepted: bool,
    milliseconds: f64,
}

/// What `cloister-verify cases` prints, as far as it is looked at.
#[derive(Deserialize)]
struct Verdicts {
    cases: Vec<Judged>,
}

#[derive(Deserialize)]
struct Judged {
    case: PathBuf,
    found: Option<Verdict>,
}

/// The label of a case.
#[derive(Deserialize)]
struct Label {
    verify_at: Option<u64>,
    expect: Verdict,
}

#[derive(Deserialize)]
struct Verdict {
    verdict: String,
    stage: Option<String>,
}

/// Wrong verdicts over all cases, milliseconds of one verification, and peak memory.
///
/// # Errors
/// If the cases, the peers or `cloister-verify` are not there.
pub fn run(setup: &Setup<'_>) -> anyhow::Result<Vec<Figure>> {
    let mut peers = Peer::start(&mut Command::new(setup.peers))?;
    let mut figures = Vec::new();
    let mut peak = 0;
    for (kind, name, peer, library) in
        [("snp", "SEV-SNP", "sev", "sev 8.0.0"), ("tdx", "TDX", RUSTCRYPTO, "dcap-qvl 0.7.1")]
    {
        let (ours, memory) = our_verdicts(&setup.cases.join(kind), setup.dir)?;
        peak = peak.max(memory);
        let (mut our_wrong, mut accepted, mut refused, mut unwanted) = (0, 0, 0, 0);
        for judged in &ours {
            let case = &setup.cases.join(kind).join(&judged.case);
            let expected = Label::read(case)?.expect;
            let right = expected.verdict == "accept";
            our_wrong += u32::from(judged.found.as_ref().is_none_or(|found| found.verdict != expected.verdict));
            let answer: Answer = peers.ask(&Question { case, peer, rounds: 1 })?;
            accepted += u32::from(answer.accepted && !right);
            unwanted += u32::from(
                answer.accepted
                    && !right
                    && expected.stage.is_some_and(|stage| POLICY_STAGES.contains(&stage.as_str())),
            );
            refused += u32::from(!answer.accepted && right);
        }
        eprintln!(
            "{library}: of {} cases {accepted} wrongly accepted, {unwanted} of these by a policy that it was not asked \
             about, {refused} wrongly refused",
            ours.len()
        );
        let what = format!("{name}: wrong verdicts of {}", ours.len());
        let (ours, theirs) = (f64::from(our_wrong), f64::from(accepted + refused));
        figures.push(Figure::ratio(&what, &format!("{library} alone"), "cases", ours, theirs, Target::AtMost(0.0)));
    }
    figures.extend(times(setup, &mut peers)?);
    let megabytes = f64::from(peak) * 1024.0 / 1e6;
    figures.push(Figure::absolute("cloister-verify cases: peak memory", "MB", megabytes, Target::AtMost(50.0)));
    Ok(figures)
}

/// What `cloister-verify cases` says of each case in a folder, and its peak memory in KiB.
fn our_verdicts(cases: &Path, dir: &Path) -> anyhow::Result<(Vec<Judged>, u32)> {
    let output = dir.join("verdicts.json");
    let mut command = Command::new(binaries()?.join("cloister-verify"));
    command.args(["cases", "--json"]).arg(cases).stdout(Stdio::from(File::create(&output)?));
    let peak = peak_kib(&mut command.spawn()?)?;
    let verdicts: Verdicts = serde_json::from_slice(&fs::read(&output)?).context("what cloister-verify says")?;
    ensure!(!verdicts.cases.is_empty(), "no cases in {}", cases.display());
    Ok((verdicts.cases, peak))
}

/// The high-water mark of a process, looked at until it ends.
fn peak_kib(process: &mut Child) -> anyhow::Result<u32> {
    let status = format!("/proc/{}/status", process.id());
    let mut peak = 0;
    while process.try_wait()?.is_none() {
        let now = fs::read_to_string(&status).unwrap_or_default();
        let line = now.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        peak = kib.map_or(peak, |kib: u32| kib.max(peak));
        std::thread::sleep(Duration::from_micros(200));
    }
    ensure!(peak > 0, "the process ended before its memory could be read");
    Ok(peak)
}

impl Label {
    fn read(case: &Path) -> anyhow::Result<Self> {
        let label = fs::read(case.join("case.json")).with_context(|| case.display().to_string())?;
        Ok(serde_json::from_slice(&label)?)
    }
}

/// Reading the files of a case, parsing and verifying: the same work for both.
fn times(setup: &Setup<'_>, peers: &mut Peer) -> anyhow::Result<[Figure; 3]> {
    let (snp_case, tdx_case) = (setup.cases.join(SNP_CASE), setup.cases.join(TDX_CASE));
    let (mut snp, mut tdx, mut rustcrypto, mut ring) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        snp.push(milliseconds(|| verify_snp(&snp_case))?);
        tdx.push(milliseconds(|| verify_tdx(&tdx_case))?);
        for (peer, times) in [(RUSTCRYPTO, &mut rustcrypto), (RING, &mut ring)] {
            let answer: Answer = peers.ask(&Question { case: &tdx_case, peer, rounds: REPEATS })?;
            ensure!(answer.accepted, "{peer} refuses {TDX_CASE}");
            times.push(answer.milliseconds);
        }
    }
    let (tdx, rustcrypto, ring) = (median(tdx), median(rustcrypto), median(ring));
    let ratio = |against: &str, theirs| {
        Figure::ratio("TDX: one quote with collateral", against, "ms", tdx, theirs, Target::AtMost(1.2))
    };
    Ok([
        Figure::absolute("SEV-SNP: one report with chain", "ms", median(snp), Target::AtMost(5.0)),
        ratio("dcap-qvl, rustcrypto", rustcrypto),
        ratio("dcap-qvl, ring", ring),
    ])
}

fn milliseconds(verify: impl Fn() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let begun = Instant::now();
    (0..REPEATS).try_for_each(|_| verify())?;
    Ok(begun.elapsed().as_secs_f64() * 1000.0 / f64::from(REPEATS))
}

fn verify_at_ms(case: &Path) -> anyhow::Result<u64> {
    Ok(Label::read(case)?.verify_at.context("a time to verify for")? * 1000)
}

fn verify_snp(case: &Path) -> anyhow::Result<()> {
    let (report, vek, ask, ark) = (
        fs::read(case.join("report.bin"))?,
        fs::read(case.join("vek.der"))?,
        fs::read(case.join("ask.der"))?,
        fs::read(case.join("ark.der"))?,
    );
    let endorsements = snp::Endorsements { vek: Some(&vek), ask: Some(&ask), ark: Some(&ark), crl: None };
    let evidence = snp::Evidence { report: &report, endorsements };
    let verified = snp::verify(&evidence, &snp::Roots::pinned(), verify_at_ms(case)?);
    verified.map(|_| ()).map_err(|rejected| rejected.error.into())
}

fn verify_tdx(case: &Path) -> anyhow::Result<()> {
    let collateral = tdx::Collateral::from_json(&fs::read(case.join("collateral.json"))?)?;
    let quote = fs::read(case.join("quote.bin"))?;
    let evidence = tdx::Evidence { quote: &quote, collateral: Some(&collateral) };
    let verified = tdx::verify(&evidence, &tdx::Roots::pinned(), verify_at_ms(case)?);
    verified.map(|_| ()).map_err(|rejected| rejected.error.into())
}
