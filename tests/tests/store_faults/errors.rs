//! Single operations of the disk that fail, and a disk that is full.
//!
//! The store runs in a process of its own, as the product does: after a fault it has nothing to do but to end. What the
//! disk then holds is looked at, and what it would hold had the power gone with the fault.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use cloister_enclave::store::Error;
use cloister_tests::disk::{Chance, Cut, Disk, Fault, Kind, Lasts, Tree};
use rustix::io::Errno;

use crate::quick_or_long;
use crate::told::{Told, survives};
use crate::workload::{Writer, open};

const CHILD_DIR: &str = "CLOISTER_TEST_ERRORS_DIR";
/// Batches that are on the disk before it fails.
const BEFORE: u64 = 20;
/// Batches that are sent to the failing disk.
const SENT: u64 = 25;
const SEED: u64 = 5;
/// A child that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// Does nothing unless it is the child: goes on writing until the store stops.
#[test]
fn child_on_a_failing_disk() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let store = match open(Path::new(&dir)) {
        Ok(store) => store,
        Err(error @ Error::Io { .. }) => return println!("\nclosed {error:?}"),
        Err(error) => panic!("an error of the disk is told as {error:?}"),
    };
    let mut writer = Writer::new(0, SEED);
    for _ in 0..BEFORE {
        drop(writer.next(&store));
    }
    for _ in 0..SENT {
        match writer.next(&store).commit_blocking() {
            Ok(_) => println!("\nacknowledged {}", writer.batches),
            Err(Error::Stopped) => break,
            Err(error) => panic!("an error of the disk is told as {error:?}"),
        }
    }
    if store.has_stopped() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        println!("\nstopped {}", runtime.block_on(store.fault()));
        assert!(matches!(writer.next(&store).commit_blocking(), Err(Error::Stopped)), "a stopped store stays stopped");
    }
    store.close_blocking();
}

/// A disk with a store that was killed, and what its writer is told there and afterwards.
struct Before {
    disk: Tree,
    told: Told,
}

impl Before {
    fn new() -> anyhow::Result<Self> {
        let disk = Disk::mount(Tree::default())?;
        let store = open(&disk.path().join("store"))?;
        let mut writer = Writer::new(0, SEED);
        let mut told = Told::new(&writer);
        let mut killed_at = 0;
        for number in 1..=BEFORE + SENT {
            writer.next(&store).commit_blocking()?;
            told.add(&writer, usize::try_from(number)?);
            if number == BEFORE {
                killed_at = disk.moment();
            }
        }
        Ok(Self { disk: Cut::Killed.leaves(&disk.history(), killed_at, &mut Chance::new(0)), told })
    }

    /// Lets one operation fail; answers whether there was such an operation.
    fn with(&self, fault: Fault) -> anyhow::Result<bool> {
        let disk = Disk::mount(self.disk.clone())?;
        disk.fail(fault);
        let (status, output) = finish(start(&disk.path().join("store"))?)?;
        ensure!(status.success(), "the store panics: {output}");
        let told = |what: &str| output.lines().filter_map(|line| line.strip_prefix(what)).next_back();
        let acknowledged = match told("acknowledged ") {
            Some(number) => number.parse()?,
            None => usize::try_from(BEFORE)?,
        };
        let all = acknowledged == usize::try_from(BEFORE + SENT)?;
        let stopped = told("stopped ").or_else(|| told("closed "));
        ensure!(all || stopped.is_some(), "the store told nothing: {output}");
        ensure!(stopped.is_none_or(|cause| disk.has_failed() && !cause.is_empty()), "{stopped:?} without a fault");
        let history = disk.history();
        for cut in Cut::ALL {
            let left = cut.leaves(&history, history.ops.len(), &mut Chance::new(fault.nth));
            survives(&left, std::slice::from_ref(&self.told), acknowledged)
                .with_context(|| format!("{cut:?} after {stopped:?}, {acknowledged} acknowledged"))?;
        }
        Ok(disk.has_failed())
    }
}

fn start(dir: &Path) -> anyhow::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--exact", "errors::child_on_a_failing_disk", "--nocapture", "--test-threads=1"]);
    Ok(command.env(CHILD_DIR, dir).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
}

fn finish(mut child: Child) -> anyhow::Result<(ExitStatus, String)> {
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > deadline {
            child.kill()?;
            bail!("the store hangs");
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let mut output = String::new();
    child.stdout.take().context("a pipe")?.read_to_string(&mut output)?;
    child.stderr.take().context("a pipe")?.read_to_string(&mut output)?;
    Ok((status, output))
}

/// Lets operations of these kinds fail, one in each run, until there are no more to fail.
fn fail_each(kinds: &[Kind], error: Errno, lasts: Lasts) {
    let before = Before::new().expect("a store without faults");
    let (mut faults, mut wrong) = (0, Vec::new());
    for kind in kinds {
        let mut nth = 1;
        loop {
            let fault = Fault { kind: *kind, nth, error, lasts };
            match before.with(fault) {
                Ok(true) => faults += 1,
                Ok(false) => break,
                Err(error) => wrong.push(format!("{fault:?}: {error:#}")),
            }
            nth += quick_or_long(1 + nth, 1);
        }
    }
    let told = format!("{error:?} {lasts:?}: {faults} faults, {} wrong", wrong.len());
    eprintln!("{told}");
    assert!(faults > 0 && wrong.is_empty(), "{told}\n{}", wrong.join("\n"));
}

#[test]
fn dc_03_an_operation_that_fails_once_stops_the_store_and_loses_nothing_acknowledged() {
    fail_each(&Kind::ALL, Errno::IO, Lasts::Once);
}

#[test]
fn dc_03_a_disk_that_fails_for_good_stops_the_store_and_loses_nothing_acknowledged() {
    fail_each(&[Kind::Write, Kind::Sync], Errno::IO, Lasts::ForEver);
}

#[test]
fn dc_03_a_full_disk_stops_the_store_and_loses_nothing_acknowledged() {
    fail_each(&[Kind::Write, Kind::Create], Errno::NOSPC, Lasts::ForEver);
}
