//! What the owner of the disk can do to records, and that each is noticed.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod opened;

use cloister_enclave::store::{Collection, Error, TenantStore};
use opened::{ROOT, disk, open, tenant, try_open};
use proptest::prelude::*;

const NOTES: Collection<String> = Collection::new("test-notes", 50, 1);
const OTHERS: Collection<String> = Collection::new("test-others", 51, 1);

fn put(store: &TenantStore, key: &str, value: &str) {
    let mut batch = store.batch();
    batch.put(&NOTES, key, &value.to_owned());
    batch.commit_blocking().unwrap();
}

/// Names on the disk that a write adds or changes, apart from the header's.
fn changed_by(dir: &std::path::Path, write: impl FnOnce(&TenantStore)) -> Vec<sled::IVec> {
    let snapshot = || -> std::collections::BTreeMap<sled::IVec, sled::IVec> {
        disk(dir).iter().map(|entry| entry.unwrap()).collect()
    };
    let before = snapshot();
    let store = open(dir);
    write(&tenant(&store, 1));
    store.close_blocking();
    drop(store);
    let after = snapshot();
    let changed = after.iter().filter(|(name, value)| before.get(*name) != Some(*value));
    // The header is there before and after.
    changed.filter(|(name, _)| !before.contains_key(*name)).map(|(name, _)| name.clone()).collect()
}

fn assert_integrity<T>(result: Result<T, Error>) {
    assert!(matches!(result.map(drop), Err(Error::Integrity { .. })));
}

/// A store with one tenant and the header, closed.
fn prepared() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&tenant(&store, 1), "first", "value");
    put(&tenant(&store, 2), "first", "value");
    store.close_blocking();
    dir
}

/// What a record's version, and the tag of its seal, take of its bytes.
const VERSION: usize = 8;
const TAG: usize = 16;

#[test]
fn dc_03_every_changed_byte_of_a_record_is_an_integrity_error() {
    let dir = prepared();
    let name = changed_by(dir.path(), |mine| put(mine, "a", "some text")).remove(0);
    let good = disk(dir.path()).get(&name).unwrap().unwrap().to_vec();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x20;
        write_raw(dir.path(), &name, Some(&bad));
        if at < VERSION || at >= good.len() - TAG {
            assert_integrity(try_open(dir.path(), ROOT));
            continue;
        }
        let store = open(dir.path());
        assert_integrity(tenant(&store, 1).get(&NOTES, "a"));
        assert_integrity(tenant(&store, 1).list(&NOTES));
        assert_eq!(tenant(&store, 1).get(&NOTES, "first").unwrap().as_deref(), Some("value"), "others stay readable");
    }
    for len in [0, 7, 8, 9, 13, 36, 37, 52, good.len() - 1] {
        write_raw(dir.path(), &name, Some(&good[..len]));
        assert_integrity(try_open(dir.path(), ROOT));
    }
    write_raw(dir.path(), &name, Some(&good));
    assert_eq!(tenant(&open(dir.path()), 1).get(&NOTES, "a").unwrap().as_deref(), Some("some text"));
}

#[test]
fn dc_04_a_record_added_taken_away_or_put_back_is_noticed_at_start() {
    let dir = prepared();
    let name = changed_by(dir.path(), |mine| put(mine, "a", "old")).remove(0);
    let old = disk(dir.path()).get(&name).unwrap().unwrap();
    let store = open(dir.path());
    put(&tenant(&store, 1), "a", "new");
    put(&tenant(&store, 1), "b", "deleted later");
    store.close_blocking();
    drop(store);
    let deleted = disk(dir.path()).iter().map(|entry| entry.unwrap()).collect::<Vec<_>>();
    let store = open(dir.path());
    let mut batch = tenant(&store, 1).batch();
    batch.delete(&NOTES, "b");
    batch.commit_blocking().unwrap();
    store.close_blocking();
    drop(store);
    let before = disk(dir.path()).iter().map(|entry| entry.unwrap()).collect::<Vec<_>>();
    let (deleted, bytes) = deleted.into_iter().find(|(name, _)| before.iter().all(|(there, _)| there != name)).unwrap();

    write_raw(dir.path(), &deleted, Some(&bytes));
    assert_integrity(try_open(dir.path(), ROOT));
    write_raw(dir.path(), &deleted, None);
    write_raw(dir.path(), &name, Some(&old));
    assert_integrity(try_open(dir.path(), ROOT));
    write_raw(dir.path(), &name, None);
    assert_integrity(try_open(dir.path(), ROOT));
    let new = before.into_iter().find(|(there, _)| *there == name).unwrap().1;
    write_raw(dir.path(), &name, Some(&new));
    assert_eq!(tenant(&open(dir.path()), 1).get(&NOTES, "a").unwrap().as_deref(), Some("new"));
}

/// Two machines that go on from one disk give the same versions to different records; each of them opens under the keys
/// that both have.
#[test]
fn dc_04_a_record_of_a_fork_with_the_same_version_is_noticed_at_start() {
    let (dir, fork) = (prepared(), tempfile::tempdir().unwrap());
    copy(dir.path(), fork.path());
    let name = changed_by(dir.path(), |mine| put(mine, "a", "of the one")).remove(0);
    changed_by(fork.path(), |mine| put(mine, "a", "of the other"));
    let ours = disk(dir.path()).get(&name).unwrap().unwrap();
    let theirs = disk(fork.path()).get(&name).unwrap().unwrap();
    assert_eq!(ours[..VERSION], theirs[..VERSION], "else the version alone would tell");
    write_raw(dir.path(), &name, Some(&theirs));
    assert_integrity(try_open(dir.path(), ROOT));
    write_raw(dir.path(), &name, Some(&ours));
    assert_eq!(tenant(&open(dir.path()), 1).get(&NOTES, "a").unwrap().as_deref(), Some("of the one"));
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn write_raw(dir: &std::path::Path, name: &[u8], value: Option<&[u8]>) {
    let disk = disk(dir);
    match value {
        Some(value) => drop(disk.insert(name, value).unwrap()),
        None => drop(disk.remove(name).unwrap()),
    }
    disk.flush().unwrap();
}

#[test]
fn a_record_moved_to_another_name_collection_or_tenant_does_not_open() {
    let dir = prepared();
    let record = |key: &str| changed_by(dir.path(), |mine| put(mine, key, "text of one")).remove(0);
    let (a, b) = (record("a"), record("b"));
    let other_collection = changed_by(dir.path(), |mine| {
        let mut batch = mine.batch();
        batch.put(&OTHERS, "a", &"text of another collection".to_owned());
        batch.commit_blocking().unwrap();
    })
    .remove(0);
    let store = open(dir.path());
    put(&tenant(&store, 2), "a", "text of two");
    store.close_blocking();
    drop(store);
    let values: Vec<_> = disk(dir.path()).iter().map(|entry| entry.unwrap()).collect();
    let original = disk(dir.path()).get(&a).unwrap().unwrap();
    for (name, value) in &values {
        if *name == a {
            continue;
        }
        write_raw(dir.path(), &a, Some(value));
        assert_integrity(try_open(dir.path(), ROOT));
        // With the version and the tag of the record that was there, only the seal can tell.
        let body = value.get(VERSION..value.len() - TAG).unwrap();
        let disguised = [&original[..VERSION], body, &original[original.len() - TAG..]].concat();
        write_raw(dir.path(), &a, Some(&disguised));
        let store = open(dir.path());
        assert_integrity(tenant(&store, 1).get(&NOTES, "a"));
        assert_eq!(tenant(&store, 1).get(&NOTES, "b").unwrap().as_deref(), Some("text of one"));
        assert_eq!(tenant(&store, 2).get(&NOTES, "a").unwrap().as_deref(), Some("text of two"));
    }
    write_raw(dir.path(), &a, Some(&original));
    for name in [&b, &other_collection] {
        let good = disk(dir.path()).get(name).unwrap().unwrap();
        write_raw(dir.path(), name, Some(&original));
        assert_integrity(try_open(dir.path(), ROOT));
        write_raw(dir.path(), name, Some(&good));
    }
    drop(open(dir.path()));
}

#[test]
fn an_old_record_under_the_number_of_the_new_one_is_noticed() {
    let dir = prepared();
    let name = changed_by(dir.path(), |mine| put(mine, "a", "old")).remove(0);
    let old = disk(dir.path()).get(&name).unwrap().unwrap();
    let store = open(dir.path());
    put(&tenant(&store, 1), "a", "new");
    store.close_blocking();
    drop(store);
    let new = disk(dir.path()).get(&name).unwrap().unwrap();
    let mixed = [&new[..VERSION], &old[VERSION..]].concat();
    write_raw(dir.path(), &name, Some(&mixed));
    assert_integrity(try_open(dir.path(), ROOT));
    let body = &old[VERSION..old.len() - TAG];
    let mixed = [&new[..VERSION], body, &new[new.len() - TAG..]].concat();
    write_raw(dir.path(), &name, Some(&mixed));
    assert_integrity(tenant(&open(dir.path()), 1).get(&NOTES, "a"));
}

#[test]
fn chunks_of_two_blobs_do_not_mix() {
    let dir = prepared();
    let blob = |byte: u8| {
        move |mine: &TenantStore| {
            let mut batch = mine.batch();
            batch.put_blob(&NOTES, "blob", vec![byte; 150_000]);
            batch.commit_blocking().unwrap();
        }
    };
    let names = changed_by(dir.path(), blob(1));
    assert_eq!(names.len(), 3);
    let old: Vec<_> = names.iter().map(|name| disk(dir.path()).get(name).unwrap().unwrap()).collect();
    changed_by(dir.path(), blob(2));
    for (name, chunk) in names.iter().zip(&old) {
        let new = disk(dir.path()).get(name).unwrap().unwrap();
        for bad in [Some(&chunk[..]), None] {
            write_raw(dir.path(), name, bad);
            assert_integrity(try_open(dir.path(), ROOT));
        }
        write_raw(dir.path(), name, Some(&new));
    }
    assert!(tenant(&open(dir.path()), 1).get_blob(&NOTES, "blob").unwrap() == Some(vec![2; 150_000]));
}

#[test]
fn a_damaged_key_of_one_tenant_leaves_the_others_alone() {
    let dir = prepared();
    // A tenant's key appears with its first record: two names, of which one is no record.
    let store = open(dir.path());
    put(&tenant(&store, 3), "first", "value");
    store.close_blocking();
    drop(store);
    let names: Vec<_> = disk(dir.path()).iter().keys().map(|name| name.unwrap()).collect();
    let mut damaged = 0;
    for name in names {
        let good = disk(dir.path()).get(&name).unwrap().unwrap();
        let mut bad = good.to_vec();
        // The last byte before the tag, so that only the seal tells.
        let at = bad.len() - TAG - 1;
        bad[at] ^= 1;
        write_raw(dir.path(), &name, Some(&bad));
        match try_open(dir.path(), ROOT) {
            // The header, or the system's own key.
            Err(error) => assert!(matches!(error, Error::Integrity { .. }), "{error:?}"),
            Ok(store) => {
                let broken = (1..=3).filter(|number| tenant(&store, *number).get(&NOTES, "first").is_err()).count();
                assert_eq!(broken, 1);
                damaged += 1;
            }
        }
        write_raw(dir.path(), &name, Some(&good));
    }
    assert_eq!(damaged, 6, "a key and a record of each tenant");
}

#[test]
fn strange_names_are_refused_at_start() {
    let dir = prepared();
    write_raw(dir.path(), b"short", Some(b"x"));
    assert_integrity(try_open(dir.path(), ROOT));
    write_raw(dir.path(), b"short", None);
    for length in [24, 32, 100] {
        let name = vec![b'x'; length];
        write_raw(dir.path(), &name, Some(&[0; 64]));
        assert_integrity(try_open(dir.path(), ROOT));
        write_raw(dir.path(), &name, None);
    }
    assert_eq!(tenant(&open(dir.path()), 1).get(&NOTES, "first").unwrap().as_deref(), Some("value"));
}

#[test]
fn no_product_code_takes_a_scope_without_authorization() {
    let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("access/scope.rs") && path.extension().is_some_and(|kind| kind == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                assert!(!text.contains("danger::unauthorized"), "{}", path.display());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn a_scope_never_sees_another_tenant(writes in prop::collection::vec((0..4_u128, "[a-c]{1,2}", "[a-z]{0,8}"), 1..30)) {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        for (who, key, value) in &writes {
            put(&tenant(&store, *who), key, &format!("{who}:{value}"));
        }
        for who in 0..5_u128 {
            let mine = tenant(&store, who);
            let last: std::collections::BTreeMap<_, _> = writes
                .iter()
                .filter(|(of, ..)| *of == who)
                .map(|(_, key, value)| (key.clone(), format!("{who}:{value}")))
                .collect();
            prop_assert_eq!(mine.list(&NOTES).unwrap(), last.clone().into_iter().collect::<Vec<_>>());
            for (_, key, _) in &writes {
                prop_assert_eq!(mine.get(&NOTES, key).unwrap(), last.get(key).cloned());
            }
        }
    }

    #[test]
    fn no_bytes_in_place_of_a_record_panic(bytes: Vec<u8>, version: bool) {
        let dir = prepared();
        let names: Vec<_> = disk(dir.path()).iter().map(|entry| entry.unwrap()).collect();
        for (name, good) in names {
            let bad = if version { [&good[..8], &bytes].concat() } else { bytes.clone() };
            write_raw(dir.path(), &name, Some(&bad));
            if let Ok(store) = try_open(dir.path(), ROOT) {
                for number in 1..=2 {
                    let _ = tenant(&store, number).get(&NOTES, "first");
                    let _ = tenant(&store, number).list(&NOTES);
                }
            }
            write_raw(dir.path(), &name, Some(&good));
        }
    }
}
