//! Backups: taken while others write, whole or refused, and restored as they were.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod opened;

use std::io::{self, Cursor, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use cloister_enclave::store::backup::{Malformed, Part, RestoreError, Summary, read, restore};
use cloister_enclave::store::{Collection, Error, Store};
use opened::{open, tenant};
use proptest::prelude::*;

const NOTES: Collection<u64> = Collection::new("test-notes", 50, 1);
const SLOTS: &[u8] = b"{\"slots\": \"any bytes will do\"}";

/// Writes the same number into two records, in one batch, and a blob now and then.
fn pair(store: &Store, who: u128, number: u64) {
    let mut batch = tenant(store, who).batch();
    batch.put(&NOTES, "left", &number).put(&NOTES, "right", &number).put(&NOTES, &number.to_string(), &number);
    if number > 10 {
        batch.delete(&NOTES, &(number - 10).to_string());
    }
    batch.put_blob(&NOTES, "blob", vec![u8::try_from(number % 251).unwrap(); 100_000]);
    batch.commit_blocking().unwrap();
}

fn restored(backup: &[u8]) -> Result<(tempfile::TempDir, Summary), RestoreError> {
    let dir = tempfile::tempdir().unwrap();
    let mut slots = None;
    let summary = restore(dir.path(), Cursor::new(backup), |bytes| {
        slots = Some(bytes.to_vec());
        Ok(())
    })?;
    assert_eq!(slots.as_deref(), Some(SLOTS), "the slots come along");
    Ok((dir, summary))
}

fn small_backup() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for (key, number) in [("a", 1), ("b", 2)] {
        let mut batch = tenant(&store, 1).batch();
        batch.put(&NOTES, key, &number);
        batch.commit_blocking().unwrap();
    }
    let mut backup = Vec::new();
    store.back_up(SLOTS, &mut backup).unwrap();
    backup
}

#[test]
fn dc_04_a_backup_taken_while_four_write_holds_the_state_of_one_moment() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let stop = AtomicBool::new(false);
    let backups = std::thread::scope(|scope| {
        for who in 1..=4 {
            let (store, stop) = (&store, &stop);
            scope.spawn(move || (1..).take_while(|_| !stop.load(Ordering::Relaxed)).for_each(|n| pair(store, who, n)));
        }
        let mut backups = Vec::new();
        for _ in 0..8 {
            let mut backup = Vec::new();
            let summary = store.back_up(SLOTS, &mut backup).unwrap();
            backups.push((summary, backup));
        }
        stop.store(true, Ordering::Relaxed);
        backups
    });
    for (summary, backup) in backups {
        // That it opens means that no record is missing, too many, or of another moment.
        let (dir, again) = restored(&backup).unwrap();
        assert_eq!(again, summary);
        let store = open(dir.path());
        assert_eq!(store.state().epoch, summary.epoch);
        for who in 1..=4 {
            let mine = tenant(&store, who);
            assert_eq!(mine.get(&NOTES, "left").unwrap(), mine.get(&NOTES, "right").unwrap());
            let number = mine.get(&NOTES, "left").unwrap();
            let blob = number.map(|number| vec![u8::try_from(number % 251).unwrap(); 100_000]);
            assert!(mine.get_blob(&NOTES, "blob").unwrap() == blob);
        }
    }
}

#[test]
fn dc_04_every_cut_and_every_flipped_byte_is_refused_and_leaves_nothing() {
    let backup = small_backup();
    restored(&backup).unwrap();
    for length in 0..backup.len() {
        let dir = tempfile::tempdir().unwrap();
        let cut = restore(dir.path(), Cursor::new(&backup[..length]), |_| panic!("nothing is installed"));
        assert!(matches!(cut, Err(RestoreError::Malformed(Malformed::Truncated))), "{length}: {cut:?}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
    for at in 0..backup.len() {
        let mut bad = backup.clone();
        bad[at] ^= 0x10;
        let dir = tempfile::tempdir().unwrap();
        let flipped = restore(dir.path(), Cursor::new(&bad), |_| panic!("nothing is installed"));
        assert!(matches!(flipped, Err(RestoreError::Malformed(_))), "{at}: {flipped:?}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
    let longer = [&backup[..], b"x"].concat();
    assert!(matches!(read(&longer[..], |_| Ok(())), Err(Malformed::Frame)));
}

/// Whoever makes a backup up, with a right digest over wrong records, is refused by the store itself.
#[test]
fn dc_04_a_forged_backup_does_not_open() {
    use sha2::Digest as _;
    let backup = small_backup();
    let mut records = Vec::new();
    read(&backup[..], |part| {
        if let Part::Record { name, stored } = part {
            records.push((name, stored.unwrap()));
        }
        Ok(())
    })
    .unwrap();
    for left_out in 0..records.len() {
        let mut forged = b"cloister-backup/v1\n".to_vec();
        forged.extend(u32::try_from(SLOTS.len()).unwrap().to_be_bytes());
        forged.extend(SLOTS);
        for (_, (name, stored)) in records.iter().enumerate().filter(|(index, _)| *index != left_out) {
            forged.extend([1, u8::try_from(name.len()).unwrap()]);
            forged.extend(name);
            forged.extend(u32::try_from(stored.len()).unwrap().to_be_bytes());
            forged.extend(stored);
        }
        forged.push(0);
        forged.extend(2_u64.to_be_bytes());
        let digest = sha2::Sha256::digest(&forged);
        forged.extend(digest);
        let (dir, _) = restored(&forged).unwrap();
        let opened = opened::try_open(dir.path(), opened::ROOT);
        assert!(matches!(opened, Err(Error::Integrity { .. } | Error::WrongRootKey)), "{left_out}: {opened:?}");
    }
}

#[test]
fn one_backup_is_written_at_a_time_and_a_failing_file_does_not_stop_the_store() {
    struct Full(Option<Store>);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // While the first is being written, a second one is refused.
            if bytes.len() > 64
                && let Some(store) = self.0.take()
            {
                let second = store.back_up(SLOTS, io::sink());
                assert!(matches!(second, Err(Error::Conflict { .. })), "{second:?}");
                return Err(io::ErrorKind::StorageFull.into());
            }
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    pair(&store, 1, 1);
    let failed = store.back_up(SLOTS, Full(Some(store.clone())));
    assert!(
        matches!(&failed, Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::StorageFull),
        "{failed:?}"
    );
    assert!(!store.has_stopped());
    pair(&store, 1, 2);
    let mut backup = Vec::new();
    store.back_up(SLOTS, &mut backup).unwrap();
    restored(&backup).unwrap();
}

#[test]
fn what_a_cut_off_restore_has_left_is_taken_away_by_the_next_one() {
    let backup = small_backup();
    let dir = tempfile::tempdir().unwrap();
    let failed = restore(dir.path(), Cursor::new(&backup), |_| Err(io::ErrorKind::StorageFull.into()));
    assert!(matches!(failed, Err(RestoreError::Io(_))), "{failed:?}");
    assert!(!dir.path().join("records").exists());
    // A power cut leaves records without slots.
    std::fs::create_dir_all(dir.path().join("records")).unwrap();
    std::fs::write(dir.path().join("records/db"), "half of something").unwrap();
    restore(dir.path(), Cursor::new(&backup), |_| Ok(())).unwrap();
    assert_eq!(tenant(&open(dir.path()), 1).get(&NOTES, "b").unwrap(), Some(2));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]
    #[test]
    fn no_bytes_after_the_magic_panic(bytes: Vec<u8>) {
        let backup = [&b"cloister-backup/v1\n"[..], &bytes].concat();
        prop_assert!(read(&backup[..], |_| Ok(())).is_err());
        prop_assert!(read(&bytes[..], |_| Ok(())).is_err());
    }
}
