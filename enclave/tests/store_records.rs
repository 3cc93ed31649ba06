//! Records, blobs, batches and conditions, through the public surface.

mod opened;

use cloister_enclave::store::{Collection, Error, MAX_KEY_BYTES, Store, order_key};
use opened::{open, tenant, try_open};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Note {
    text: String,
    number: u64,
}

const NOTES: Collection<Note> = Collection::new("test-notes", 50, 1);
const OTHERS: Collection<Note> = Collection::new("test-others", 51, 1);
const GROUPED: Collection<Note> = Collection::new_grouped("test-grouped", 52, 1);
const ORDERED: Collection<u64> = Collection::new_ordered("test-ordered", 53, 1);

fn note(number: u64) -> Note {
    Note { text: format!("note {number} with some words"), number }
}

#[test]
fn dc_03_records_survive_a_reopen() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut batch = tenant(&store, 1).batch();
    batch.put(&NOTES, "a", &note(1)).put(&NOTES, "b", &note(2)).put(&OTHERS, "a", &note(3));
    batch.commit_blocking().unwrap();
    let check = |store: &Store| {
        let mine = tenant(store, 1);
        assert_eq!(mine.get(&NOTES, "a").unwrap(), Some(note(1)));
        assert_eq!(mine.get(&NOTES, "c").unwrap(), None);
        assert_eq!(mine.list(&NOTES).unwrap(), [("a".to_owned(), note(1)), ("b".to_owned(), note(2))]);
        assert_eq!(mine.list(&OTHERS).unwrap(), [("a".to_owned(), note(3))]);
    };
    check(&store);
    drop(store);
    check(&open(dir.path()));
}

#[test]
fn groups_are_listed_by_themselves_and_keys_may_repeat() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mine = tenant(&store, 1);
    let mut batch = mine.batch();
    for (group, key) in [("g", "x"), ("g", "y"), ("h", "x")] {
        batch.put_in(&GROUPED, group, key, &note(key.len() as u64));
    }
    batch.commit_blocking().unwrap();
    let keys = |group| mine.list_in(&GROUPED, group).unwrap().into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(keys("g"), ["x", "y"]);
    assert_eq!(keys("h"), ["x"]);
    assert_eq!(mine.list(&GROUPED).unwrap().len(), 3);
    let mut batch = mine.batch();
    batch.delete_in(&GROUPED, "g", "x");
    batch.commit_blocking().unwrap();
    assert_eq!(keys("g"), ["y"]);
    assert!(mine.get_in(&GROUPED, "h", "x").unwrap().is_some());
    assert!(matches!(mine.get(&GROUPED, "x"), Err(Error::InvalidKey { .. })));
    assert!(matches!(mine.list_in(&NOTES, "g"), Err(Error::InvalidKey { .. })));
}

#[test]
fn ordered_collections_take_their_numbers_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mine = tenant(&store, 1);
    let mut batch = mine.batch();
    let numbers = [5, 7, 256, 300, i64::MAX as u64];
    for number in numbers {
        batch.put(&ORDERED, &order_key(number), &number);
    }
    batch.commit_blocking().unwrap();
    let listed: Vec<u64> = mine.list(&ORDERED).unwrap().into_iter().map(|(_, number)| number).collect();
    assert_eq!(listed, numbers);
    for key in ["7", &order_key(1 << 63)] {
        assert!(matches!(mine.get(&ORDERED, key), Err(Error::InvalidKey { .. })), "{key}");
    }
}

#[test]
fn a_batch_is_written_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mine = tenant(&store, 1);
    let big = Note { text: "x".repeat(70_000), number: 0 };
    let mut batch = mine.batch();
    batch.put(&NOTES, "small", &note(1)).put(&NOTES, "big", &big);
    let refused = batch.commit_blocking().unwrap_err();
    assert!(matches!(refused, Error::TooLarge { size_bytes, limit_bytes: 65_536, .. } if size_bytes > 70_000));
    assert_eq!(mine.list(&NOTES).unwrap(), []);
    for key in ["", &"k".repeat(MAX_KEY_BYTES + 1)] {
        let mut batch = mine.batch();
        batch.put(&NOTES, key, &note(1));
        assert!(matches!(batch.commit_blocking(), Err(Error::InvalidKey { .. })));
    }
}

#[test]
fn conditions_hold_or_the_batch_conflicts() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mine = tenant(&store, 1);
    let mut first = mine.batch();
    first.expect_absent(&NOTES, "a").put(&NOTES, "a", &note(1));
    let first = first.commit_blocking().unwrap();
    let mut again = mine.batch();
    again.expect_absent(&NOTES, "a").put(&NOTES, "a", &note(2)).put(&NOTES, "b", &note(2));
    assert!(matches!(again.commit_blocking(), Err(Error::Conflict { collection: "test-notes" })));
    assert_eq!(mine.list(&NOTES).unwrap().len(), 1);

    let (_, version) = mine.get_versioned(&NOTES, "a").unwrap().unwrap();
    assert_eq!(version, first.version);
    let mut second = mine.batch();
    second.expect_version(&NOTES, "a", version).put(&NOTES, "a", &note(3));
    second.commit_blocking().unwrap();
    let mut stale = mine.batch();
    stale.expect_version(&NOTES, "a", version).delete(&NOTES, "a");
    assert!(matches!(stale.commit_blocking(), Err(Error::Conflict { .. })));

    // A version is never given twice, even if the record was gone in between.
    let mut gone = mine.batch();
    gone.delete(&NOTES, "a");
    gone.commit_blocking().unwrap();
    let mut back = mine.batch();
    back.put(&NOTES, "a", &note(1));
    assert!(back.commit_blocking().unwrap().version > version);
}

#[test]
fn joined_batches_of_two_tenants_take_effect_together() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (one, two) = (tenant(&store, 1), tenant(&store, 2));
    let join = |expect_two_absent: bool| {
        let (mut first, mut second) = (one.batch(), two.batch());
        first.put(&NOTES, "a", &note(1));
        second.put(&NOTES, "a", &note(2));
        if expect_two_absent {
            second.expect_absent(&NOTES, "b");
        }
        first.join(second);
        first.commit_blocking()
    };
    let mut blocker = two.batch();
    blocker.put(&NOTES, "b", &note(9));
    blocker.commit_blocking().unwrap();
    assert!(matches!(join(true), Err(Error::Conflict { .. })));
    assert_eq!((one.get(&NOTES, "a").unwrap(), two.get(&NOTES, "a").unwrap()), (None, None));
    join(false).unwrap();
    assert_eq!((one.get(&NOTES, "a").unwrap(), two.get(&NOTES, "a").unwrap()), (Some(note(1)), Some(note(2))));
}

#[test]
fn blobs_of_every_size_around_the_chunk_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mine = tenant(&store, 1);
    let chunk = 62 * 1024;
    for size in [0, 1, chunk - 1, chunk, chunk + 1, 3 * chunk, 5_000_000] {
        let bytes: Vec<u8> = (0..size).map(|i| u8::try_from(i % 251).unwrap()).collect();
        let mut batch = mine.batch();
        batch.put_blob(&NOTES, "blob", bytes.clone());
        batch.commit_blocking().unwrap();
        assert!(mine.get_blob(&NOTES, "blob").unwrap().as_ref() == Some(&bytes), "{size} bytes");
        assert_eq!(mine.list(&NOTES).unwrap(), [], "a blob is no record");
    }
    // Shrinking it and deleting it leaves nothing behind.
    let mut batch = mine.batch();
    batch.put_blob(&NOTES, "blob", vec![1; 10]);
    batch.commit_blocking().unwrap();
    let mut batch = mine.batch();
    batch.delete_blob(&NOTES, "blob");
    batch.commit_blocking().unwrap();
    assert_eq!(mine.get_blob(&NOTES, "blob").unwrap(), None);
    store.close_blocking();
    drop((mine, store));
    // What is left: the tenants' keys and the header.
    assert_eq!(opened::disk(dir.path()).len(), 3);
}

#[test]
fn a_blob_written_and_deleted_in_one_batch_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mine = tenant(&store, 1);
    let mut batch = mine.batch();
    batch.put_blob(&NOTES, "gone", vec![1; 200_000]).delete_blob(&NOTES, "gone");
    batch.put_blob(&NOTES, "short", vec![1; 200_000]).put_blob(&NOTES, "short", vec![2; 10]);
    batch.commit_blocking().unwrap();
    assert_eq!(mine.get_blob(&NOTES, "gone").unwrap(), None);
    assert_eq!(mine.get_blob(&NOTES, "short").unwrap(), Some(vec![2; 10]));
    store.close_blocking();
    drop((mine, store));
    // Besides it: the two tenants' keys and the header.
    assert_eq!(opened::disk(dir.path()).len(), 4);
}

#[test]
fn many_writers_at_once_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    std::thread::scope(|threads| {
        for writer in 0..8_u64 {
            let mine = tenant(&store, u128::from(writer % 3));
            threads.spawn(move || {
                for number in 0..50 {
                    let mut batch = mine.batch();
                    batch.put(&NOTES, &format!("{writer}-{number}"), &note(number));
                    batch.commit_blocking().unwrap();
                    assert_eq!(mine.get(&NOTES, &format!("{writer}-{number}")).unwrap(), Some(note(number)));
                    mine.list(&NOTES).unwrap();
                }
            });
        }
    });
    drop(store);
    let store = open(dir.path());
    let count: usize = (0..3).map(|number| tenant(&store, number).list(&NOTES).unwrap().len()).sum();
    assert_eq!(count, 400);
    assert!(store.state().epoch <= 400, "writers share groups");
}

#[test]
fn only_one_of_many_conditional_writers_wins() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let wins = std::thread::scope(|threads| {
        let writers: Vec<_> = (0..8)
            .map(|number| {
                let mine = tenant(&store, 1);
                threads.spawn(move || {
                    let mut batch = mine.batch();
                    batch.expect_absent(&NOTES, "code").put(&NOTES, "code", &note(number));
                    batch.commit_blocking().is_ok()
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).filter(|won| *won).count()
    });
    assert_eq!(wins, 1);
}

#[tokio::test]
async fn commits_are_awaited_and_a_closed_store_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mine = tenant(&store, 1);
    mine.put(&NOTES, "a", &note(1)).await.unwrap();
    store.close().await;
    store.close().await;
    assert!(matches!(mine.put(&NOTES, "a", &note(2)).await, Err(Error::Closed)));
    assert_eq!(mine.get(&NOTES, "a").unwrap(), Some(note(1)));
    assert!(!store.has_stopped());
}

#[test]
fn another_root_key_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut batch = tenant(&store, 1).batch();
    batch.put(&NOTES, "a", &note(1));
    batch.commit_blocking().unwrap();
    drop(store);
    assert!(matches!(try_open(dir.path(), [8; 32]), Err(Error::WrongRootKey)));
    assert!(try_open(dir.path(), opened::ROOT).is_ok());
}
