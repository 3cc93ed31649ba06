//! A disk that refuses writes: the store stops cleanly, and what was acknowledged before stays. What cuts leave behind is
//! in nobody's way. (`tests/tests/store_faults` goes through every kind of cut and fault.)
//!
//! The child runs under a file size limit (the signal that goes with it ignored, so that writes fail with an error), which
//! stands in for a full disk.

mod opened;

use std::path::Path;
use std::process::Command;

use cloister_enclave::store::{Collection, Error};
use opened::{open, tenant};

const NOTES: Collection<String> = Collection::new("test-notes", 50, 1);
const CHILD_DIR: &str = "CLOISTER_TEST_FAULT_DIR";

/// Does nothing unless it is the child.
#[tokio::test]
async fn child_under_a_limit() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let dir = Path::new(&dir);
    let store = open(dir);
    let mine = tenant(&store, 1);
    let mut last = None;
    for number in 0..10_000 {
        match mine.put(&NOTES, &format!("{number:05}"), &"x".repeat(30_000)).await {
            Ok(_) => last = Some(number),
            Err(error) => {
                assert!(matches!(error, Error::Stopped), "{error:?}");
                break;
            }
        }
    }
    // The fault is announced, and nothing more is accepted.
    let cause = store.fault().await;
    assert!(store.has_stopped() && cause.contains("storage fault"), "{cause}");
    assert!(!cause.contains("xxx"), "no content in a cause");
    assert!(matches!(mine.put(&NOTES, "later", &String::new()).await, Err(Error::Stopped)));
    store.close().await;
    std::fs::write(dir.with_extension("last"), last.map_or_else(|| "none".to_owned(), |n: u32| n.to_string())).unwrap();
}

#[test]
fn a_refused_write_stops_the_store_and_loses_nothing_acknowledged() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("store");
    let last_file = dir.with_extension("last");
    let child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 65536; exec \"$0\" --exact child_under_a_limit --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .env(CHILD_DIR, &dir)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&child.stderr).into_owned() + &String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{told}");
    let last: u32 = std::fs::read_to_string(last_file).unwrap().parse().expect("some writes came first");

    let store = open(&dir);
    let mine = tenant(&store, 1);
    for number in 0..=last {
        let found = mine.get(&NOTES, &format!("{number:05}")).unwrap();
        assert_eq!(found.map(|text| text.len()), Some(30_000), "{number}");
    }
    let mut batch = mine.batch();
    batch.put(&NOTES, "after", &"the disk has room again".to_owned());
    batch.commit_blocking().unwrap();
}

#[test]
fn a_directory_that_cannot_be_written_is_an_error() {
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    assert!(matches!(opened::try_open(&file, opened::ROOT), Err(Error::Io { .. })));
    let dir = parent.path().join("dir");
    let first = open(&dir);
    let second = opened::try_open(&dir, opened::ROOT);
    assert!(matches!(second, Err(Error::InUse)), "only one process opens a store: {second:?}");
    drop(first);
}

#[test]
fn dc_03_what_a_cut_left_unfinished_is_removed() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("store");
    // A first start that was cut off while it made the store.
    let aside = dir.join("records.new");
    std::fs::create_dir_all(aside.join("blobs")).unwrap();
    std::fs::write(aside.join("conf"), "segment_size: 81").unwrap();
    let store = open(&dir);
    let mut batch = tenant(&store, 1).batch();
    batch.put(&NOTES, "a", &"text".to_owned());
    batch.commit_blocking().unwrap();
    drop(store);
    assert!(!aside.exists());
    // A later one that was cut off while sled wrote where its log ends.
    let cut_off = dir.join("records/snap.7FFFFFFFFFFFFFFF.generating");
    std::fs::write(&cut_off, "the first bytes of a snapshot").unwrap();
    let store = open(&dir);
    assert_eq!(tenant(&store, 1).get(&NOTES, "a").unwrap().as_deref(), Some("text"));
    assert!(!cut_off.exists());
}

#[test]
fn dc_03_the_largest_records_stay_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mine = tenant(&store, 1);
    for number in 0..80 {
        let mut batch = mine.batch();
        batch.put(&NOTES, &number.to_string(), &"x".repeat(65_000));
        batch.commit_blocking().unwrap();
    }
    let blobs = std::fs::read_dir(dir.path().join("records/blobs")).unwrap();
    assert_eq!(blobs.count(), 0, "sled wrote a page to a file of its own, which nobody syncs");
}
