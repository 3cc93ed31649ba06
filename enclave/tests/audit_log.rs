//! The audit log: leaves, heads, proofs, persons.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests stop at the first surprise")]

mod opened;

use cloister_attestation::note::{Checkpoint, Vkey};
use cloister_attestation::tlog;
use cloister_enclave::audit::{Class, Event, Log, Outcome};
use cloister_enclave::clock::ManualClock;
use cloister_enclave::store::{Collection, Error, LeafPlace, Store};
use cloister_protocol::ids::PersonId;
use opened::{open, tenant};
use serde_json::Value;

const NOTES: Collection<String> = Collection::new("test-notes", 50, 1);
const PLACES: Collection<(String, u64)> = Collection::new("test-places", 51, 1);

fn person(number: u128) -> PersonId {
    PersonId::from_parts(1_790_000_000_000, number)
}

fn event(number: u64) -> Event {
    Event::new(Class::ApiCreate, "chat.answer").by(person(1)).detail("number", number)
}

fn log_one(store: &Store, number: u64) -> LeafPlace {
    let mut batch = tenant(store, 1).batch();
    batch.audit(event(number)).put(&NOTES, &number.to_string(), &String::new());
    batch.commit_blocking().unwrap().leaves.remove(0)
}

/// Everything that can be checked about a log from its leaves, key and checkpoint.
fn verify(log: &Log) -> Vec<Value> {
    let head = log.head().unwrap().unwrap();
    let vkey = Vkey::parse(&head.vkey).unwrap();
    let checkpoint = Checkpoint::open(head.checkpoint.as_bytes(), &[vkey]).unwrap();
    assert_eq!((checkpoint.origin, checkpoint.size), (head.origin.clone(), head.size));
    let leaves: Vec<_> = (0..head.size).map(|index| log.leaf(index).unwrap()).collect();
    let hashes: Vec<_> = leaves.iter().map(|leaf| tlog::leaf_hash(leaf)).collect();
    assert_eq!(tlog::root(&hashes), checkpoint.root);
    let id = head.origin.rsplit('/').next().unwrap().to_owned();
    assert_eq!(cloister_attestation::encoding::sha256(&leaves[0]).to_string()[..16], id);
    let mut last = 0;
    leaves
        .iter()
        .enumerate()
        .map(|(index, bytes)| {
            let leaf: Value = serde_json::from_slice(bytes).unwrap();
            assert_eq!(&serde_json_canonicalizer::to_vec(&leaf).unwrap(), bytes, "leaves are canonical");
            assert_eq!(leaf["seq"], index);
            assert!(leaf["time"].as_u64().unwrap() >= last);
            last = leaf["time"].as_u64().unwrap();
            leaf
        })
        .collect()
}

fn operations(leaves: &[Value]) -> Vec<&str> {
    leaves.iter().map(|leaf| leaf["ocsf"]["metadata"]["event_code"].as_str().unwrap()).collect()
}

#[test]
fn a_log_begins_with_genesis_and_each_boot_has_a_leaf() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    assert_eq!(tenant(&store, 1).audit_log().checkpoint().unwrap(), None);
    let place = log_one(&store, 1);
    assert_eq!(place.index, 2);
    let first = verify(&tenant(&store, 1).audit_log());
    assert_eq!(operations(&first), ["log.genesis", "log.boot", "chat.answer"]);
    let head = tenant(&store, 1).audit_log().head().unwrap().unwrap();
    assert_eq!(place.origin, head.origin);
    assert!(head.origin.starts_with(&format!("appliance.example/audit/{}/", opened::org(1))));
    store.close_blocking();
    drop(store);

    let store = open(dir.path());
    assert_eq!(tenant(&store, 1).audit_log().head().unwrap().unwrap(), head, "a boot alone writes nothing");
    log_one(&store, 2);
    let second = verify(&tenant(&store, 1).audit_log());
    assert_eq!(operations(&second)[2..], ["chat.answer", "log.boot", "chat.answer"]);
    let boot = &second[3];
    assert_eq!(boot["d"]["clean_shutdown"], true);
    assert_eq!(boot["d"]["boot_id"], store.boot_id());
    let checkpoint = cloister_attestation::encoding::sha256(head.checkpoint.as_bytes()).to_string();
    assert_eq!(boot["d"]["prev_checkpoint_sha256"], checkpoint);
    assert_ne!(boot["boot"], second[2]["boot"]);
    // Dropped without a close: the next boot says so.
    drop(store);
    let store = open(dir.path());
    log_one(&store, 3);
    assert_eq!(verify(&tenant(&store, 1).audit_log())[5]["d"]["clean_shutdown"], false);
}

#[test]
fn leaves_speak_ocsf() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut batch = tenant(&store, 1).batch();
    batch.audit(event(1));
    batch.audit(Event::new(Class::Logon, "auth.login").outcome(Outcome::Failure));
    batch.commit_blocking().unwrap();
    let leaves = verify(&tenant(&store, 1).audit_log());
    let ocsf = &leaves[2]["ocsf"];
    assert_eq!((&ocsf["class_uid"], &ocsf["type_uid"], &ocsf["status_id"]), (&6003.into(), &600_301.into(), &1.into()));
    assert_eq!(ocsf["api"]["operation"], "chat.answer");
    assert!(ocsf["actor"]["user"]["uid"].as_str().unwrap().starts_with("s_"));
    assert_eq!(leaves[2]["d"]["number"], 1);
    let login = &leaves[3]["ocsf"];
    assert_eq!(
        (&login["class_uid"], &login["category_uid"], &login["status_id"]),
        (&3002.into(), &3.into(), &2.into())
    );
    assert_eq!(leaves[2]["tenant"], opened::org(1).to_string());
}

#[test]
fn logs_of_tenants_are_apart_and_a_joined_batch_writes_both() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (mut one, mut two) = (tenant(&store, 1).batch(), tenant(&store, 2).batch());
    one.audit(event(1)).audit(event(2));
    two.audit(event(3));
    one.join(two);
    let places = one.commit_blocking().unwrap().leaves;
    assert_eq!(places.iter().map(|place| place.index).collect::<Vec<_>>(), [2, 3, 2]);
    assert_ne!(places[0].origin, places[2].origin);
    let (one, two) = (verify(&tenant(&store, 1).audit_log()), verify(&tenant(&store, 2).audit_log()));
    assert_eq!((one.len(), two.len()), (4, 3));
    // The same person has unlinkable pseudonyms in the two.
    assert_ne!(one[2]["ocsf"]["actor"], two[2]["ocsf"]["actor"]);
    assert_eq!(one[2]["ocsf"]["actor"], one[3]["ocsf"]["actor"]);
    assert_eq!(store.log_keys().len(), 2);
}

#[test]
fn a_batch_that_conflicts_leaves_no_leaf() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    log_one(&store, 1);
    let head = tenant(&store, 1).audit_log().head().unwrap();
    let mut batch = tenant(&store, 1).batch();
    batch.expect_absent(&NOTES, "1").audit(event(2));
    assert!(matches!(batch.commit_blocking(), Err(Error::Conflict { .. })));
    let mut batch = tenant(&store, 1).batch();
    batch.audit(event(2).detail("long", "x".repeat(70_000)));
    assert!(matches!(batch.commit_blocking(), Err(Error::Audit(_))));
    let mut batch = tenant(&store, 1).batch();
    batch.audit(Event::new(Class::Logon, "auth.login").personal("name", "nobody"));
    assert!(matches!(batch.commit_blocking(), Err(Error::Audit(_))));
    assert_eq!(tenant(&store, 1).audit_log().head().unwrap(), head);
    assert_eq!(log_one(&store, 3).index, 3);
    verify(&tenant(&store, 1).audit_log());
}

#[test]
fn a_record_can_hold_the_place_of_its_leaf() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut batch = tenant(&store, 1).batch();
    batch.audit(event(1));
    batch.put_with_leaves(&PLACES, "receipt", |leaves| (leaves[0].origin.clone(), leaves[0].index));
    let place = batch.commit_blocking().unwrap().leaves.remove(0);
    assert_eq!(tenant(&store, 1).get(&PLACES, "receipt").unwrap(), Some((place.origin, place.index)));
}

#[test]
fn personal_details_are_sealed_until_the_person_is_erased() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mine = tenant(&store, 1);
    let mut batch = mine.batch();
    batch.audit(event(1).personal("name", "Ada Lovelace"));
    let index = batch.commit_blocking().unwrap().leaf_indexes()[0];
    let log = mine.audit_log();
    let bytes = log.leaf(index).unwrap();
    assert!(!String::from_utf8(bytes.clone()).unwrap().contains("Ada"));
    assert_eq!(log.personal(index, person(1)).unwrap().unwrap()["name"], "Ada Lovelace");
    assert_eq!(log.personal(index, person(2)).unwrap(), None);

    let mut batch = mine.batch();
    batch.erase_person(person(1));
    batch.audit(Event::new(Class::EntityDeleted, "subject.erase").by(person(2)));
    batch.commit_blocking().unwrap();
    assert_eq!(log.personal(index, person(1)).unwrap(), None);
    assert_eq!(log.leaf(index).unwrap(), bytes, "the log itself is as it was");
    let before = verify(&log);
    log_one(&store, 2);
    let after = verify(&log);
    let uid = |leaf: &Value| leaf["ocsf"]["actor"]["user"]["uid"].clone();
    assert_ne!(uid(before.get(usize::try_from(index).unwrap()).unwrap()), uid(after.last().unwrap()));
    drop((mine, log, store));
    let log = tenant(&open(dir.path()), 1).audit_log();
    assert_eq!(log.personal(index, person(1)).unwrap(), None);
}

/// What is submitted while the lane is held in the middle of one group makes up the next.
#[tokio::test]
async fn a_person_mentioned_again_in_the_group_that_erases_them_gets_a_new_key() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mine = tenant(&store, 1);
    let mention = |number| {
        let mut batch = mine.batch();
        batch.audit(event(number).personal("name", "Ada Lovelace"));
        batch
    };
    let before = mention(1).commit().await.unwrap().leaf_indexes()[0];
    let epoch = store.state().epoch;

    let (entered, has_entered) = std::sync::mpsc::channel();
    let (let_go, is_let_go) = std::sync::mpsc::channel();
    let mut holding = mine.batch();
    holding.put_with_leaves(&PLACES, "held", move |_| {
        entered.send(()).unwrap();
        is_let_go.recv().unwrap();
        (String::new(), 0)
    });
    let mut erasing = mine.batch();
    erasing.erase_person(person(1));
    let mut held = std::pin::pin!(holding.commit());
    assert!(futures::poll!(&mut held).is_pending());
    has_entered.recv().unwrap();
    let (mut erased, mut again) = (std::pin::pin!(erasing.commit()), std::pin::pin!(mention(2).commit()));
    assert!(futures::poll!(&mut erased).is_pending() && futures::poll!(&mut again).is_pending());
    let_go.send(()).unwrap();
    held.await.unwrap();
    erased.await.unwrap();
    let after = again.await.unwrap().leaf_indexes()[0];
    assert_eq!(store.state().epoch, epoch + 2, "the erasure and the mention were one group");

    let log = mine.audit_log();
    let uid = |index| {
        let leaf: Value = serde_json::from_slice(&log.leaf(index).unwrap()).unwrap();
        leaf["ocsf"]["actor"]["user"]["uid"].clone()
    };
    assert_ne!(uid(before), uid(after));
    assert_eq!(log.personal(before, person(1)).unwrap(), None);
    assert_eq!(log.personal(after, person(1)).unwrap().unwrap()["name"], "Ada Lovelace");
}

#[test]
fn a_log_longer_than_its_tiles_comes_back_and_proves() {
    let dir = tempfile::tempdir().unwrap();
    let mut sizes = vec![];
    for (round, count) in [250, 3, 1, 1, 300, 250].into_iter().enumerate() {
        let store = open(dir.path());
        let mine = tenant(&store, 1);
        for chunk in (0..count).collect::<Vec<u64>>().chunks(60) {
            let mut batch = mine.batch();
            for number in chunk {
                batch.audit(event(*number));
            }
            batch.commit_blocking().unwrap();
        }
        let log = mine.audit_log();
        let leaves = verify(&log);
        sizes.push(log.head().unwrap().unwrap());
        assert_eq!(leaves.len(), usize::try_from(sizes[round].size).unwrap());
    }
    let store = open(dir.path());
    let log = tenant(&store, 1).audit_log();
    for old in &sizes {
        let (proof, head) = log.prove_consistency(old.size).unwrap();
        tlog::verify_consistency(&proof, (old.size, &old.root.0), (head.size, &head.root.0)).unwrap();
    }
    for index in [0, 255, 256, 511, 700] {
        let (proof, head) = log.prove_inclusion(index).unwrap();
        let leaf = tlog::leaf_hash(&log.leaf(index).unwrap());
        tlog::verify_inclusion(&proof, index, head.size, &leaf, &head.root.0).unwrap();
    }
    assert!(matches!(log.leaf(5000), Err(Error::Integrity { .. })));
    assert!(matches!(log.prove_inclusion(5000), Err(Error::Integrity { .. })));
}

#[test]
fn a_host_that_cannot_name_a_log_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let root = cloister_enclave::keys::RootKey::insecure_from_bytes(opened::ROOT);
    for host in ["", "two words", "a+b", "host/path"] {
        let settings = cloister_enclave::audit::Settings { public_host: host.to_owned(), ..opened::settings() };
        let clock = std::sync::Arc::new(cloister_enclave::clock::SystemClock);
        let refused = Store::open(dir.path(), &root, clock, settings);
        assert!(matches!(refused, Err(Error::Audit(_))), "{host:?}");
    }
}

#[tokio::test]
async fn s1_92_a_silent_log_gets_a_heartbeat_every_hour_and_a_busy_one_none() {
    const HOUR_MS: u64 = 3_600_000;
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(1_790_000_000_000);
    let store = opened::open_at(dir.path(), clock.clone());
    let write = |number| {
        let mut batch = tenant(&store, number).batch();
        batch.audit(event(1));
        batch.commit()
    };
    assert_eq!(store.beat().await.unwrap(), 0, "without a log nothing is silent");
    write(1).await.unwrap();
    write(2).await.unwrap();
    clock.advance_ms(HOUR_MS - 1);
    assert_eq!(store.beat().await.unwrap(), 0);
    write(2).await.unwrap();
    clock.advance_ms(1);
    assert_eq!(store.beat().await.unwrap(), 1);
    assert_eq!(store.beat().await.unwrap(), 0, "one an hour");
    let leaves = verify(&tenant(&store, 1).audit_log());
    assert_eq!(operations(&leaves), ["log.genesis", "log.boot", "chat.answer", "log.heartbeat"]);
    assert_eq!(leaves[3]["time"].as_u64().unwrap() - leaves[2]["time"].as_u64().unwrap(), HOUR_MS);
    assert_eq!(verify(&tenant(&store, 2).audit_log()).len(), 4);
    clock.advance_ms(HOUR_MS);
    assert_eq!(store.beat().await.unwrap(), 2);
}

#[test]
fn dc_04_proofs_are_made_from_tiles_around_every_boundary() {
    const SIZE: u64 = 600;
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    // The first batch of a log adds two leaves of its own.
    let mut batch = tenant(&store, 1).batch();
    for number in 2..SIZE {
        batch.audit(event(number));
    }
    batch.commit_blocking().unwrap();
    let log = tenant(&store, 1).audit_log();
    let hashes: Vec<_> = (0..SIZE).map(|index| tlog::leaf_hash(&log.leaf(index).unwrap())).collect();
    for index in [0, 1, 127, 128, 254, 255, 256, 257, 511, 512, 513, 598, 599] {
        let (proof, head) = log.prove_inclusion(index).unwrap();
        let leaf = hashes[usize::try_from(index).unwrap()];
        assert_eq!(head.size, SIZE);
        tlog::verify_inclusion(&proof, index, SIZE, &leaf, &head.root.0).unwrap();
    }
    for size in [0, 1, 2, 3, 128, 255, 256, 257, 511, 512, 513, 599, 600] {
        let (proof, head) = log.prove_consistency(size).unwrap();
        let old = tlog::root(&hashes[..usize::try_from(size).unwrap()]);
        tlog::verify_consistency(&proof, (size, &old), (head.size, &head.root.0)).unwrap();
    }
    for beyond in [SIZE, SIZE + 1, u64::MAX] {
        assert!(matches!(log.prove_inclusion(beyond), Err(Error::Integrity { .. })), "{beyond}");
    }
    assert!(matches!(log.prove_consistency(SIZE + 1), Err(Error::Integrity { .. })));
}
