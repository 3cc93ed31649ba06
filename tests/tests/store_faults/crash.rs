//! Power cuts and kills at many moments of a story.

use std::sync::LazyLock;

use anyhow::Context as _;
use cloister_tests::disk::{Chance, Cut, Disk, History, Op, Tree};

use crate::told::{Told, survives};
use crate::workload::{WRITERS, Writer, open};
use crate::{quick_or_long, scratch};

/// Opens of the store in the story; every other one ends without a close.
const SESSIONS: u64 = 4;
/// Batches of each writer in a session.
const BATCHES: u64 = 25;
const SEED: u64 = 1;

/// What was written to a disk, and when each batch was acknowledged.
struct Story {
    history: History,
    told: Vec<Told>,
}

/// One story is enough for all tests: they differ in when and how it ends.
static STORY: LazyLock<Story> = LazyLock::new(|| Story::record().expect("a story without faults"));

impl Story {
    fn record() -> anyhow::Result<Self> {
        let disk = Disk::mount(Tree::default())?;
        let dir = disk.path().join("store");
        let writers = (0..WRITERS).map(|number| Writer::new(number, SEED));
        let mut writers: Vec<_> = writers.map(|writer| (Told::new(&writer), writer)).collect();
        for session in 0..SESSIONS {
            let store = open(&dir)?;
            std::thread::scope(|threads| {
                for (told, writer) in &mut writers {
                    let (store, disk) = (&store, &disk);
                    threads.spawn(move || {
                        for _ in 0..BATCHES {
                            writer.next(store).commit_blocking().expect("a disk without faults");
                            told.add(writer, disk.moment());
                        }
                    });
                }
            });
            if session % 2 == 0 {
                store.close_blocking();
            }
        }
        Ok(Self { history: disk.history(), told: writers.into_iter().map(|(told, _)| told).collect() })
    }

    /// What is wrong with the store after an end at this moment; nothing, if all is well.
    fn end(&self, cut: Cut, moment: usize, chance: &mut Chance) -> Option<String> {
        let tree = cut.leaves(&self.history, moment, chance);
        let wrong = survives(&tree, &self.told, moment).err()?;
        Some(format!("{cut:?} at {moment} of {}: {wrong:#}", self.history.ops.len()))
    }
}

/// Tries every number on two threads; answers what was wrong with how many.
fn try_all(numbers: usize, attempt: impl Fn(usize) -> Vec<String> + Sync) -> Vec<String> {
    std::thread::scope(|threads| {
        let halves = [0, 1].map(|half| {
            let attempt = &attempt;
            threads.spawn(move || (half..numbers).step_by(2).flat_map(attempt).collect::<Vec<_>>())
        });
        halves.into_iter().flat_map(|half| half.join().expect("an attempt does not panic")).collect()
    })
}

fn report(what: &str, tried: usize, wrong: &[String]) {
    let closed = wrong.iter().filter(|wrong| wrong.contains("does not open")).count();
    let told = format!("{what}: {tried} moments, {} lost, {closed} closed", wrong.len() - closed);
    eprintln!("{told}");
    assert!(wrong.is_empty(), "{told}\n{}", wrong.get(..wrong.len().min(5)).unwrap_or_default().join("\n"));
}

fn moments(cut: Cut, seed: u64) {
    let count = quick_or_long(60, 1000);
    let wrong = try_all(count, |number| {
        let mut chance = Chance::new(seed + u64::try_from(number).expect("a small number"));
        let moment = chance.between(0, STORY.history.ops.len());
        STORY.end(cut, moment, &mut chance).into_iter().collect()
    });
    report(&format!("{cut:?}"), count, &wrong);
}

#[test]
fn dc_03_a_kill_in_the_middle_of_a_write_loses_nothing_acknowledged() {
    moments(Cut::Killed, 1 << 20);
}

#[test]
fn dc_03_a_power_cut_that_leaves_only_what_was_synced_loses_nothing_acknowledged() {
    moments(Cut::Unsynced, 2 << 20);
}

#[test]
fn dc_03_a_power_cut_that_reorders_writes_loses_nothing_acknowledged() {
    moments(Cut::Reordered, 3 << 20);
}

/// Every moment of the first start and the first commits, where the store and all names are made.
#[test]
fn dc_03_a_cut_while_the_store_is_made_leaves_a_whole_one_or_none() {
    let first = STORY.told.iter().filter_map(Told::first).min().expect("an acknowledged batch");
    let ends = first + 8;
    let wrong = try_all(ends * 5, |number| {
        // Reordering has many outcomes.
        let cuts = [Cut::Killed, Cut::Unsynced, Cut::Reordered, Cut::Reordered, Cut::Reordered];
        let mut chance = Chance::new((5 << 20) + u64::try_from(number).expect("a small number"));
        let cut = cuts.into_iter().cycle().nth(number).expect("a cycle");
        STORY.end(cut, number / 5, &mut chance).into_iter().collect()
    });
    report("a first start", ends * 5, &wrong);
}

/// The store comes back after one cut, writes a little, and there is another.
fn second_cuts(first: usize, count: usize) -> anyhow::Result<Vec<String>> {
    let mut chance = Chance::new((4 << 20) + u64::try_from(first).context("a small number")?);
    let cut = Cut::ALL.into_iter().cycle().nth(first).context("a cycle")?;
    let moment = chance.between(0, STORY.history.ops.len());
    let disk = Disk::mount(cut.leaves(&STORY.history, moment, &mut chance))?;
    let store = open(&disk.path().join("store")).with_context(|| format!("{cut:?} at {moment}: does not open"))?;
    let mut told = STORY.told.iter().map(|told| told.found(&store)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut writer = Writer::new(WRITERS, SEED);
    let mut after = Told::new(&writer);
    for _ in 0..3 {
        writer.next(&store).commit_blocking()?;
        after.add(&writer, disk.moment());
    }
    told.push(after);
    drop(store);
    let story = Story { history: disk.history(), told };
    let ends = (0..count).filter_map(|number| {
        let second = Cut::ALL.into_iter().cycle().nth(first / 3 + number)?;
        let moment = chance.between(0, story.history.ops.len());
        story.end(second, moment, &mut chance)
    });
    Ok(ends.map(|wrong| format!("after {cut:?} at {moment}: {wrong}")).collect())
}

#[test]
fn dc_03_a_cut_during_the_recovery_from_a_cut_loses_nothing_acknowledged() {
    let (first, second) = quick_or_long((6, 8), (20, 25));
    let wrong = try_all(first, |number| second_cuts(number, second).unwrap_or_else(|error| vec![format!("{error:#}")]));
    report("cuts after cuts", first * second, &wrong);
}

/// What the model is about really happens in the story: commits, files of more than one segment, and whole segments
/// cleared at once. Nothing but what the store is known to make has a name.
#[test]
fn the_story_has_what_the_cuts_are_about() {
    let ops = &STORY.history.ops;
    let count = |wanted: fn(&Op) -> bool| ops.iter().filter(|op| wanted(op)).count();
    let syncs = count(|op| matches!(op, Op::SyncFile { .. }));
    let written = ops.iter().map(|op| if let Op::Write { bytes, .. } = op { bytes.len() } else { 0 }).sum::<usize>();
    let batches = usize::try_from(SESSIONS * BATCHES).expect("a small number");
    assert!(syncs >= batches, "{syncs} syncs");
    assert!(written > 3 * (8 << 20), "{written} bytes");
    assert!(count(|op| matches!(op, Op::WriteZeros { len, .. } if *len > 1 << 20)) > 0);
    eprintln!("{} operations, {syncs} syncs, {written} bytes", ops.len());
    let full = STORY.told.iter().map(Told::batches).min();
    assert_eq!(full, Some(batches));
    let last = Cut::Killed.leaves(&STORY.history, ops.len(), &mut Chance::new(0));
    let folder = scratch().expect("a folder");
    last.lay_down(folder.path()).expect("room for an image");
    let blobs = std::fs::read_dir(folder.path().join("store/records/blobs")).expect("sled's folder of blobs");
    assert_eq!(blobs.count(), 0, "sled wrote an item to a file of its own, which nobody syncs");
}

/// The check is not blind: an older state, and an empty disk, are told from the right one.
#[test]
fn a_disk_that_lost_something_is_found_out() {
    let end = STORY.history.ops.len();
    let half = Cut::Killed.leaves(&STORY.history, end / 2, &mut Chance::new(0));
    assert!(survives(&half, &STORY.told, end).is_err());
    assert!(survives(&Tree::default(), &STORY.told, end).is_err());
    assert!(survives(&half, &STORY.told, end / 2).is_ok());
}
