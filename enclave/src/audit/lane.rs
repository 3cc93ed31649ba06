//! The writing half of the logs; it lives on the commit lane, which is the only writer.

use std::collections::HashMap;
use std::sync::Arc;

use super::event::Event;
use super::leaf::{self, Context};
use super::person::{self, PersonKey};
use super::{HEADS, Head, LEAVES, Person};
use crate::store::{Address, Draft, Error, Shared, Stage, Target, Tenant, order_key};

/// Every log that was written since the start.
#[derive(Default)]
pub(crate) struct Logs {
    logs: HashMap<String, LogState>,
    persons: HashMap<(String, Person), Arc<PersonKey>>,
}

struct LogState {
    tenant: Arc<Tenant>,
    head: Head,
    dirty: bool,
}

/// The leaves of one batch, encoded but not yet in any log.
#[derive(Default)]
pub(crate) struct Prepared {
    /// Where the batch's own events stand.
    pub(crate) indexes: Vec<u64>,
    leaves: Vec<Leaf>,
    persons: Vec<(Arc<Tenant>, Person, Arc<PersonKey>, Target, Draft)>,
}

struct Leaf {
    tenant: String,
    target: Target,
    time_ms: u64,
    bytes: Vec<u8>,
}

impl Logs {
    /// Encodes the events of a batch; changes nothing that a later error would have to undo.
    pub(crate) fn prepare(&mut self, shared: &Shared, events: &[(Arc<Tenant>, Event)]) -> Result<Prepared, Error> {
        let mut prepared = Prepared::default();
        for (tenant, event) in events {
            let head = &self.load(shared, tenant)?.head;
            let (size, last_time_ms) = (head.size, head.last_time_ms);
            let before = prepared.leaves.iter().filter(|leaf| leaf.tenant == tenant.id).count();
            let seq = size + u64::try_from(before).expect("a batch has few events");
            let time_ms = shared.clock.now_ms().max(last_time_ms);
            let person = match event.actor {
                Some(actor) => Some(self.person(shared, tenant, actor, &mut prepared)?),
                None if event.personal.is_empty() => None,
                None => return Err(Error::Audit(super::Error::PersonalWithoutActor)),
            };
            let p = match &person {
                Some(person) if !event.personal.is_empty() => {
                    Some(person.seal("", seq, &event.personal).map_err(Error::Audit)?)
                }
                _ => None,
            };
            let context = Context {
                seq,
                time_ms,
                boot: &shared.boot.id,
                tenant: &tenant.id,
                product_version: &shared.settings.product_version,
                actor: person.as_ref().map(|person| person.pseudonym.as_str()),
                p,
            };
            let bytes = leaf::encode(event, context).map_err(Error::Audit)?;
            let target = shared.target(tenant, LEAVES.meta(), Address::Key { group: None, key: &order_key(seq) })?;
            prepared.indexes.push(seq);
            prepared.leaves.push(Leaf { tenant: tenant.id.clone(), target, time_ms, bytes });
        }
        Ok(prepared)
    }

    fn load(&mut self, shared: &Shared, tenant: &Arc<Tenant>) -> Result<&mut LogState, Error> {
        if !self.logs.contains_key(&tenant.id) {
            let found = shared.read(&head_target(shared, tenant)?)?;
            let head = match found {
                Some(found) => {
                    serde_json::from_slice(found.body()).map_err(|_| Error::Decode { collection: HEADS.name() })?
                }
                None => Head::default(),
            };
            self.logs.insert(tenant.id.clone(), LogState { tenant: Arc::clone(tenant), head, dirty: false });
        }
        Ok(self.logs.get_mut(&tenant.id).expect("it was just put there"))
    }

    /// A person's key: known, on the disk, being made by this batch, or new.
    fn person(
        &mut self,
        shared: &Shared,
        tenant: &Arc<Tenant>,
        person: Person,
        prepared: &mut Prepared,
    ) -> Result<Arc<PersonKey>, Error> {
        let id = (tenant.id.clone(), person);
        if let Some(key) = self.persons.get(&id) {
            return Ok(Arc::clone(key));
        }
        let new = prepared.persons.iter().find(|(of, who, ..)| of.id == tenant.id && *who == person);
        if let Some((_, _, key, ..)) = new {
            return Ok(Arc::clone(key));
        }
        if let Some(key) = PersonKey::load(shared, tenant, person)? {
            let key = Arc::new(key);
            self.persons.insert(id, Arc::clone(&key));
            return Ok(key);
        }
        let key = Arc::new(PersonKey::random());
        let (target, draft) = key.record(shared, tenant, person)?;
        prepared.persons.push((Arc::clone(tenant), person, Arc::clone(&key), target, draft));
        Ok(key)
    }

    /// The record whose deletion erases a person.
    pub(crate) fn person_target(shared: &Shared, tenant: &Arc<Tenant>, who: Person) -> Result<Target, Error> {
        person::target(shared, tenant, who)
    }

    /// Forgets a person's key, after the deletion of its record was staged.
    pub(crate) fn forget_person(&mut self, tenant: &Tenant, person: Person) {
        self.persons.remove(&(tenant.id.clone(), person));
    }

    /// Appends the leaves to their logs and stages their records.
    pub(crate) fn apply(&mut self, shared: &Shared, prepared: Prepared, stage: &mut Stage, version: u64) {
        for (tenant, person, key, target, draft) in prepared.persons {
            stage.put(shared, &target, draft, version);
            self.persons.insert((tenant.id.clone(), person), key);
        }
        for leaf in prepared.leaves {
            let log = self.logs.get_mut(&leaf.tenant).expect("prepared leaves are of loaded logs");
            stage.put(shared, &leaf.target, Draft::with_body(&leaf.target.key, &leaf.bytes), version);
            log.head.size += 1;
            log.head.last_time_ms = leaf.time_ms;
            log.dirty = true;
        }
    }

    /// Stages the new heads of the logs that have grown.
    pub(crate) fn sign(&mut self, shared: &Shared, stage: &mut Stage, version: u64) -> Result<(), Error> {
        for log in self.logs.values_mut().filter(|log| log.dirty) {
            log.head.boot.clone_from(&shared.boot.id);
            let target = head_target(shared, &log.tenant)?;
            let body = serde_json::to_vec(&log.head).map_err(|_| Error::Encode { collection: HEADS.name() })?;
            stage.put(shared, &target, Draft::with_body(&target.key, &body), version);
        }
        Ok(())
    }

    /// Lets readers see the heads that are now on the disk.
    pub(crate) fn publish(&mut self, shared: &Shared, epoch: u64) {
        shared.set_epoch(epoch);
        let Ok(mut heads) = shared.heads.write() else { return };
        for (tenant, log) in self.logs.iter_mut().filter(|(_, log)| log.dirty) {
            heads.insert(tenant.clone(), log.head.clone());
            log.dirty = false;
        }
    }
}

fn head_target(shared: &Shared, tenant: &Arc<Tenant>) -> Result<Target, Error> {
    shared.target(tenant, HEADS.meta(), Address::Key { group: None, key: "head" })
}
