//! Random batches against a model, with reopens in between.

mod opened;

use std::collections::BTreeMap;

use cloister_enclave::store::{Collection, Error, Version};
use opened::{open, tenant};
use proptest::prelude::*;

const FLAT: Collection<u32> = Collection::new("model-flat", 50, 1);
const GROUPED: Collection<u32> = Collection::new_grouped("model-grouped", 51, 1);

#[derive(Debug, Clone)]
enum Op {
    Put(String, u32),
    Delete(String),
    PutIn(String, String, u32),
    DeleteIn(String, String),
    Blob(String, usize),
    DeleteBlob(String),
    ExpectAbsent(String),
    ExpectCurrent(String),
    ExpectStale(String),
}

#[derive(Debug, Clone)]
enum Step {
    Batch(Vec<Op>),
    Reopen,
}

fn key() -> impl Strategy<Value = String> {
    "[a-d]"
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (key(), any::<u32>()).prop_map(|(key, value)| Op::Put(key, value)),
        2 => key().prop_map(Op::Delete),
        3 => (key(), key(), any::<u32>()).prop_map(|(group, key, value)| Op::PutIn(group, key, value)),
        1 => (key(), key()).prop_map(|(group, key)| Op::DeleteIn(group, key)),
        1 => (key(), prop_oneof![0..10_usize, 63_000..64_000_usize, 120_000..130_000_usize])
            .prop_map(|(key, size)| Op::Blob(key, size)),
        1 => key().prop_map(Op::DeleteBlob),
        1 => key().prop_map(Op::ExpectAbsent),
        2 => key().prop_map(Op::ExpectCurrent),
        1 => key().prop_map(Op::ExpectStale),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![6 => prop::collection::vec(op(), 1..8).prop_map(Step::Batch), 1 => Just(Step::Reopen)]
}

#[derive(Debug, Clone, Default)]
struct Model {
    flat: BTreeMap<String, (u32, Option<Version>)>,
    grouped: BTreeMap<(String, String), u32>,
    blobs: BTreeMap<String, Vec<u8>>,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn dc_03_the_store_does_what_a_map_does(steps in prop::collection::vec(step(), 1..25)) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path());
        let mut model = Model::default();
        let mut first_version = None;
        for step in steps {
            let Step::Batch(ops) = step else {
                drop(store);
                store = open(dir.path());
                continue;
            };
            let mine = tenant(&store, 1);
            let mut batch = mine.batch();
            let (mut next, mut holds) = (model.clone(), true);
            for op in ops {
                match op {
                    Op::Put(key, value) => {
                        batch.put(&FLAT, &key, &value);
                        next.flat.insert(key, (value, None));
                    }
                    Op::Delete(key) => {
                        batch.delete(&FLAT, &key);
                        next.flat.remove(&key);
                    }
                    Op::PutIn(group, key, value) => {
                        batch.put_in(&GROUPED, &group, &key, &value);
                        next.grouped.insert((group, key), value);
                    }
                    Op::DeleteIn(group, key) => {
                        batch.delete_in(&GROUPED, &group, &key);
                        next.grouped.remove(&(group, key));
                    }
                    Op::Blob(key, size) => {
                        let bytes = vec![u8::try_from(size % 256).unwrap(); size];
                        batch.put_blob(&FLAT, &key, bytes.clone());
                        next.blobs.insert(key, bytes);
                    }
                    Op::DeleteBlob(key) => {
                        batch.delete_blob(&FLAT, &key);
                        next.blobs.remove(&key);
                    }
                    // Conditions are about the state before the batch.
                    Op::ExpectAbsent(key) => {
                        batch.expect_absent(&FLAT, &key);
                        holds &= !model.flat.contains_key(&key);
                    }
                    Op::ExpectCurrent(key) => match model.flat.get(&key) {
                        Some((_, version)) => drop(batch.expect_version(&FLAT, &key, version.unwrap())),
                        None => drop(batch.expect_absent(&FLAT, &key)),
                    },
                    Op::ExpectStale(key) => {
                        let Some(first) = first_version else { continue };
                        batch.expect_version(&FLAT, &key, first);
                        holds &= model.flat.get(&key).is_some_and(|(_, version)| *version == Some(first));
                    }
                }
            }
            match batch.commit_blocking() {
                Ok(committed) => {
                    prop_assert!(holds);
                    first_version.get_or_insert(committed.version);
                    for (_, version) in next.flat.values_mut() {
                        version.get_or_insert(committed.version);
                    }
                    model = next;
                }
                Err(error) => {
                    prop_assert!(!holds && matches!(error, Error::Conflict { .. }), "{:?}", error);
                }
            }
            let flat: Vec<_> = model.flat.iter().map(|(key, (value, _))| (key.clone(), *value)).collect();
            prop_assert_eq!(mine.list(&FLAT).unwrap(), flat);
            for group in ["a", "b", "c", "d"] {
                let of_group = model.grouped.iter().filter(|((of, _), _)| of == group);
                let of_group: Vec<_> = of_group.map(|((_, key), value)| (key.clone(), *value)).collect();
                prop_assert_eq!(mine.list_in(&GROUPED, group).unwrap(), of_group);
                prop_assert_eq!(mine.get(&FLAT, group).unwrap(), model.flat.get(group).map(|(value, _)| *value));
                prop_assert!(mine.get_blob(&FLAT, group).unwrap().as_ref() == model.blobs.get(group));
            }
        }
    }
}
