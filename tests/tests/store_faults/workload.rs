//! What is written to the disks that fail, and what must be found on them afterwards.
//!
//! Three writers, two of them in one tenant, each wait for one batch before they send the next. So after any end a
//! writer's records are as they were after the last batch that was acknowledged, or after the one that followed it, whole:
//! there is no third possibility. Contents are made from seeds, so that a state is small.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use cloister_attestation::note::{Checkpoint, Vkey};
use cloister_attestation::tlog;
use cloister_enclave::access::scope::danger;
use cloister_enclave::audit::{self, Class, Event, Log};
use cloister_enclave::clock::SystemClock;
use cloister_enclave::keys::RootKey;
use cloister_enclave::store::{Batch, Collection, Error, Store, TenantStore};
use cloister_protocol::ids::{OrgId, PersonId};
use cloister_tests::disk::Chance;
use serde_json::{Value, json};

pub(crate) const WRITERS: u64 = 3;

const RECORDS: Collection<String> = Collection::new("faults-records", 50, 1);
const GROUPED: Collection<u64> = Collection::new_grouped("faults-grouped", 51, 1);
const BLOBS: Collection<()> = Collection::new("faults-blobs", 52, 1);
/// How many batches a writer has written: the one in its own tenant, and the one in the other.
const COUNTS: Collection<u64> = Collection::new("faults-counts", 53, 1);
const OPERATION: &str = "faults.write";

/// The seed and the length of a text or a blob.
type Made = (u64, usize);

/// What a writer has written.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct State {
    records: BTreeMap<String, Made>,
    grouped: BTreeMap<(String, String), u64>,
    blobs: BTreeMap<String, Made>,
    /// The person's details up to this batch are erased.
    erased: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Writer {
    pub(crate) number: u64,
    chance: Chance,
    /// The batches that were made.
    pub(crate) batches: u64,
    pub(crate) state: State,
}

pub(crate) fn open(dir: &Path) -> Result<Store, Error> {
    let settings = audit::Settings {
        public_host: "appliance.example".to_owned(),
        product_version: "0.1.0".to_owned(),
        measurement: String::new(),
    };
    Store::open(dir, &RootKey::insecure_from_bytes([7; 32]), Arc::new(SystemClock), settings)
}

fn tenant(store: &Store, number: u64) -> TenantStore {
    store.scope(&danger::unauthorized_org(OrgId::from_parts(1_790_000_000_000, u128::from(number))))
}

fn text((seed, len): Made) -> String {
    let mut chance = Chance::new(seed);
    let text: String = std::iter::repeat_with(|| format!("{:016x}", chance.number())).take(len.div_ceil(16)).collect();
    text.get(..len).unwrap_or_default().to_owned()
}

impl Writer {
    pub(crate) fn new(number: u64, seed: u64) -> Self {
        let chance = Chance::new(seed.wrapping_mul(WRITERS).wrapping_add(number));
        Self { number, chance, batches: 0, state: State::default() }
    }

    fn tenant(&self, store: &Store) -> TenantStore {
        tenant(store, self.number % 2)
    }

    fn other_tenant(&self, store: &Store) -> TenantStore {
        tenant(store, 2 + self.number % 2)
    }

    const fn person(&self) -> PersonId {
        PersonId::from_parts(1_790_000_000_000, 100 + self.number as u128)
    }

    fn key(&self, kind: char, keys: u64, chance: &mut Chance) -> String {
        format!("{}-{kind}-{}", self.number, chance.below(keys))
    }

    /// The next batch; the state is then that after it.
    pub(crate) fn next(&mut self, store: &Store) -> Batch {
        self.batches += 1;
        let mut chance = self.chance.clone();
        let mut batch = self.tenant(store).batch();
        for _ in 0..chance.between(1, 4) {
            self.add(&mut batch, &mut chance);
        }
        let count = self.number.to_string();
        batch.put(&COUNTS, &count, &self.batches);
        let event = Event::new(Class::DatastoreWrite, OPERATION).by(self.person());
        let event = event.detail("writer", self.number).detail("batch", self.batches);
        batch.audit(event.personal("batch", self.batches));
        if chance.once_in(12) {
            batch.erase_person(self.person());
            self.state.erased = self.batches;
        }
        let mut other = self.other_tenant(store).batch();
        other.put(&COUNTS, &count, &self.batches);
        batch.join(other);
        self.chance = chance;
        batch
    }

    fn add(&mut self, batch: &mut Batch, chance: &mut Chance) {
        let made = (chance.number(), chance.between(0, 3000));
        match chance.below(12) {
            0..4 => {
                let key = self.key('r', 8, chance);
                batch.put(&RECORDS, &key, &text(made));
                self.state.records.insert(key, made);
            }
            4 => {
                let (key, made) = (self.key('r', 8, chance), (made.0, 60_000 + made.1));
                batch.put(&RECORDS, &key, &text(made));
                self.state.records.insert(key, made);
            }
            5 => {
                let key = self.key('r', 8, chance);
                batch.delete(&RECORDS, &key);
                self.state.records.remove(&key);
            }
            6..8 => {
                let (group, key) = (self.key('g', 3, chance), self.key('k', 4, chance));
                batch.put_in(&GROUPED, &group, &key, &made.0);
                self.state.grouped.insert((group, key), made.0);
            }
            8 => {
                let (group, key) = (self.key('g', 3, chance), self.key('k', 4, chance));
                batch.delete_in(&GROUPED, &group, &key);
                self.state.grouped.remove(&(group, key));
            }
            9 | 10 => {
                let long = if chance.once_in(8) { 700 } else { 60 };
                let (key, made) = (self.key('b', 4, chance), (made.0, made.1 * long));
                batch.put_blob(&BLOBS, &key, text(made).into_bytes());
                self.state.blobs.insert(key, made);
            }
            _ => {
                let key = self.key('b', 4, chance);
                batch.delete_blob(&BLOBS, &key);
                self.state.blobs.remove(&key);
            }
        }
    }

    /// How many batches of this writer are in the store; the same in both tenants, or one is there in part.
    pub(crate) fn found(&self, store: &Store) -> anyhow::Result<u64> {
        let count = self.number.to_string();
        let found = self.tenant(store).get(&COUNTS, &count)?.unwrap_or_default();
        let in_other = self.other_tenant(store).get(&COUNTS, &count)?.unwrap_or_default();
        ensure!(found == in_other, "writer {}: batch {found}, and {in_other} in the other tenant", self.number);
        Ok(found)
    }

    /// The writer's records are those of this state, which is that after `batches` batches.
    pub(crate) fn check(&self, store: &Store, state: &State, batches: u64) -> anyhow::Result<()> {
        let mine = self.tenant(store);
        let prefix = format!("{}-", self.number);
        let records: BTreeMap<_, _> = mine.list(&RECORDS)?.into_iter().collect();
        let records: BTreeMap<_, _> = records.into_iter().filter(|(key, _)| key.starts_with(&prefix)).collect();
        let expected: BTreeMap<_, _> = state.records.iter().map(|(key, made)| (key.clone(), text(*made))).collect();
        ensure!(records == expected, "writer {}: records after batch {batches}", self.number);
        for group in 0..3 {
            let group = format!("{prefix}g-{group}");
            let found: BTreeMap<_, _> = mine.list_in(&GROUPED, &group)?.into_iter().collect();
            let expected = state.grouped.iter().filter(|((of, _), _)| *of == group);
            let expected: BTreeMap<_, _> = expected.map(|((_, key), value)| (key.clone(), *value)).collect();
            ensure!(found == expected, "writer {}: {group} after batch {batches}", self.number);
        }
        for blob in 0..4 {
            let key = format!("{prefix}b-{blob}");
            let expected = state.blobs.get(&key).map(|made| text(*made).into_bytes());
            ensure!(mine.get_blob(&BLOBS, &key)? == expected, "writer {}: {key} after batch {batches}", self.number);
        }
        self.check_leaves(&mine.audit_log(), state, batches)
    }

    /// The log has a leaf of each batch, once and in order, and tells of the person what was not erased.
    fn check_leaves(&self, log: &Log, state: &State, batches: u64) -> anyhow::Result<()> {
        let mut next = 1;
        for (index, leaf) in (0..).zip(verified(log)?) {
            let (operation, detail) = (leaf.pointer("/ocsf/metadata/event_code"), leaf.get("d"));
            let writer = detail.and_then(|detail| detail.get("writer"));
            if operation != Some(&json!(OPERATION)) || writer != Some(&json!(self.number)) {
                continue;
            }
            let batch = detail.and_then(|detail| detail.get("batch"));
            ensure!(batch == Some(&json!(next)), "writer {}: leaf {index} is not of batch {next}", self.number);
            let personal = log.personal(index, self.person())?.map(Value::Object);
            let expected = (next > state.erased).then(|| json!({ "batch": next }));
            ensure!(personal == expected, "writer {}: the person in leaf {index}", self.number);
            next += 1;
        }
        ensure!(next == batches + 1, "writer {}: {} leaves of {batches} batches", self.number, next - 1);
        Ok(())
    }
}

/// The leaves of a log whose checkpoint verifies over them.
fn verified(log: &Log) -> anyhow::Result<Vec<Value>> {
    let Some(head) = log.head()? else { return Ok(Vec::new()) };
    let checkpoint = Checkpoint::open(head.checkpoint.as_bytes(), &[Vkey::parse(&head.vkey)?])?;
    let leaves = (0..head.size).map(|index| log.leaf(index)).collect::<Result<Vec<_>, _>>()?;
    let hashes: Vec<_> = leaves.iter().map(|leaf| tlog::leaf_hash(leaf)).collect();
    ensure!(
        (checkpoint.size, checkpoint.root) == (head.size, tlog::root(&hashes)),
        "the checkpoint is of other leaves"
    );
    ensure!(BTreeSet::from_iter(&hashes).len() == hashes.len(), "a leaf is there twice");
    leaves.iter().map(|leaf| serde_json::from_slice(leaf).context("a leaf")).collect()
}
