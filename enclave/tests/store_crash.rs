//! kill -9 at random moments: everything acknowledged is there, and the logs verify.
//!
//! The test starts this same binary again as a child that writes and prints what was acknowledged, and kills it. Failure
//! means: an acknowledged record, blob or leaf is missing or different; a batch is there in part; a log does not verify
//! or lost a leaf; the store does not open.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests stop at the first surprise")]

mod opened;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use cloister_attestation::note::{Checkpoint, Vkey};
use cloister_attestation::tlog;
use cloister_enclave::audit::{Class, Event, Log};
use cloister_enclave::store::{Collection, Store};
use opened::{open, tenant};

const ROUNDS: u64 = 24;
const CHILD_DIR: &str = "CLOISTER_TEST_CRASH_DIR";
const CHILD_ROUND: &str = "CLOISTER_TEST_CRASH_ROUND";

const LEFT: Collection<u64> = Collection::new("crash-left", 50, 1);
const RIGHT: Collection<u64> = Collection::new("crash-right", 51, 1);
const BLOBS: Collection<()> = Collection::new("crash-blobs", 52, 1);

fn blob(seed: u64) -> Vec<u8> {
    let size = usize::try_from(seed * 7919 % 150_000).unwrap();
    vec![u8::try_from(seed % 251).unwrap(); size]
}

/// One writer: two records and an event in each batch, now and then a blob or an overwrite.
fn write_for_ever(store: &Store, round: u64, writer: u64) {
    let mine = tenant(store, u128::from(writer % 2));
    for number in 0.. {
        let key = format!("{round}-{writer}-{}", number % 40);
        let value = round * 1_000_000 + number;
        let mut batch = mine.batch();
        batch.put(&LEFT, &key, &value).put(&RIGHT, &key, &value);
        batch.audit(Event::new(Class::DatastoreWrite, "crash.write").detail("value", value));
        if number % 8 == 0 {
            batch.put_blob(&BLOBS, &key, blob(value));
        }
        let leaf = batch.commit_blocking().unwrap().leaf_indexes()[0];
        let line = format!("ack {writer} {key} {value} {leaf} {}\n", number % 8 == 0);
        std::io::stdout().write_all(line.as_bytes()).unwrap();
    }
}

/// Does nothing unless it is the child.
#[test]
fn child_that_is_killed() {
    let (Some(dir), Some(round)) = (std::env::var_os(CHILD_DIR), std::env::var_os(CHILD_ROUND)) else { return };
    let round = round.to_str().unwrap().parse().unwrap();
    let store = open(Path::new(&dir));
    std::thread::scope(|threads| {
        for writer in 0..3 {
            let store = &store;
            threads.spawn(move || write_for_ever(store, round, writer));
        }
    });
}

#[derive(Default)]
struct Acknowledged {
    records: BTreeMap<(u128, String), u64>,
    blobs: BTreeMap<(u128, String), u64>,
    leaves: BTreeMap<(u128, u64), u64>,
}

impl Acknowledged {
    fn read(&mut self, line: &str) {
        let Some((_, ack)) = line.split_once("ack ") else { return };
        let parts: Vec<_> = ack.split(' ').collect();
        let [writer, key, value, leaf, with_blob] = parts[..] else { return };
        let (who, value) = (writer.parse::<u128>().unwrap() % 2, value.parse().unwrap());
        self.records.insert((who, key.to_owned()), value);
        self.leaves.insert((who, leaf.parse().unwrap()), value);
        if with_blob == "true" {
            self.blobs.insert((who, key.to_owned()), value);
        }
    }

    /// Everything acknowledged is there; a record may be newer, when the child was killed before it could say so.
    fn check(&self, store: &Store) {
        for ((who, key), value) in &self.records {
            let mine = tenant(store, *who);
            let found = mine.get(&LEFT, key).unwrap().unwrap();
            assert!(found >= *value, "{key}: {found} after {value} was acknowledged");
            assert_eq!(mine.get(&RIGHT, key).unwrap(), Some(found), "a batch is there in part");
        }
        for ((who, key), value) in &self.blobs {
            let found = tenant(store, *who).get_blob(&BLOBS, key).unwrap().unwrap();
            let newer = tenant(store, *who).get(&LEFT, key).unwrap().unwrap();
            assert!(found == blob(*value) || found == blob(newer), "blob {key} of {value}");
        }
        for who in 0..2 {
            let leaves = verified(&tenant(store, who).audit_log());
            for ((_, index), value) in self.leaves.range((who, 0)..=(who, u64::MAX)) {
                let leaf: serde_json::Value =
                    serde_json::from_slice(&leaves[usize::try_from(*index).unwrap()]).unwrap();
                assert_eq!((&leaf["seq"], &leaf["d"]["value"]), (&(*index).into(), &(*value).into()));
            }
        }
    }
}

/// The leaves of a log whose checkpoint verifies over them.
fn verified(log: &Log) -> Vec<Vec<u8>> {
    let Some(head) = log.head().unwrap() else { return Vec::new() };
    let vkey = Vkey::parse(&head.vkey).unwrap();
    let checkpoint = Checkpoint::open(head.checkpoint.as_bytes(), &[vkey]).unwrap();
    let leaves: Vec<_> = (0..head.size).map(|index| log.leaf(index).unwrap()).collect();
    let hashes: Vec<_> = leaves.iter().map(|leaf| tlog::leaf_hash(leaf)).collect();
    assert_eq!((checkpoint.size, checkpoint.root), (head.size, tlog::root(&hashes)));
    leaves
}

#[test]
fn dc_03_kill_9_loses_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = Acknowledged::default();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_is_killed", "--nocapture", "--test-threads=1"])
            .env(CHILD_DIR, dir.path())
            .env(CHILD_ROUND, round.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // The child writes on while we count, so the kill falls anywhere in a commit.
        let moment = (round * 37 + u64::from(std::process::id())) % 61;
        for line in lines.by_ref().take(usize::try_from(moment).unwrap() + 3) {
            acknowledged.read(&line.unwrap());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        lines.map_while(Result::ok).for_each(|line| acknowledged.read(&line));
        acknowledged.check(&open(dir.path()));
    }
    assert!(acknowledged.leaves.len() > 200, "{}", acknowledged.leaves.len());
}
