//! The writing half of the logs; it lives on the commit lane, which is the only writer.
//!
//! Leaves are encoded before anything of their batch is written ([`Logs::prepare`]), appended when nothing can go wrong
//! any more ([`Logs::apply`]), and the heads of all logs that grew are signed once per group ([`Logs::sign`]).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use cloister_attestation::note::{Checkpoint, vkey};
use ed25519_dalek::SigningKey;
use sha2::{Digest as _, Sha256};

use super::event::{Class, Event};
use super::leaf::{self, Context, OCSF_VERSION};
use super::person::{self, PersonKey};
use super::tree::{self, Edge};
use super::{HEADS, Head, Person, signer};
use crate::store::{Address, Draft, Error, LeafPlace, Shared, Stage, Target, Tenant};

/// Every log that was written since the start.
#[derive(Default)]
pub(crate) struct Logs {
    logs: HashMap<String, LogState>,
    persons: HashMap<(String, Person), Arc<PersonKey>>,
    /// Persons whose keys the group at hand destroys; the disk has them until the group is there.
    erased: HashSet<(String, Person)>,
}

struct LogState {
    tenant: Arc<Tenant>,
    key: SigningKey,
    edge: Edge,
    head: Head,
    /// Whether there is a leaf of this boot.
    in_this_boot: bool,
    dirty: bool,
}

/// The leaves of one batch, encoded but not yet in any log.
#[derive(Default)]
pub(crate) struct Prepared {
    /// Where the batch's own events stand.
    pub(crate) places: Vec<LeafPlace>,
    ends: BTreeMap<String, End>,
    records: Vec<(Target, Draft)>,
    persons: Vec<(Arc<Tenant>, Person, Arc<PersonKey>)>,
}

/// How a log will end with a batch's leaves.
struct End {
    tenant: Arc<Tenant>,
    origin: String,
    size: u64,
    time_ms: u64,
    leaves: Vec<Vec<u8>>,
}

impl Logs {
    /// Encodes the events of a batch; changes nothing that a later error would have to undo.
    pub(crate) fn prepare(&mut self, shared: &Shared, events: &[(Arc<Tenant>, Event)]) -> Result<Prepared, Error> {
        let mut prepared = Prepared::default();
        for (tenant, event) in events {
            let now_ms = shared.clock.now_ms();
            if !prepared.ends.contains_key(&tenant.id) {
                let log = self.load(shared, tenant)?;
                let end = log.end(shared, now_ms)?;
                prepared.ends.insert(tenant.id.clone(), end);
            }
            let person = match event.actor {
                Some(actor) => Some(self.person(shared, tenant, actor, &mut prepared)?),
                None if event.personal.is_empty() => None,
                None => return Err(Error::Audit(super::Error::PersonalWithoutActor)),
            };
            let end = prepared.ends.get_mut(&tenant.id).expect("it was just put there");
            let place = LeafPlace { origin: end.origin.clone(), index: end.size };
            end.add(shared, event, person.as_deref(), now_ms)?;
            prepared.places.push(place);
        }
        for end in prepared.ends.values() {
            let first = end.size - u64::try_from(end.leaves.len()).expect("a batch has few leaves");
            for (seq, leaf) in (first..).zip(&end.leaves) {
                let target = tree::leaf_target(shared, &end.tenant, seq)?;
                let draft = Draft::with_body(&target.key, leaf);
                prepared.records.push((target, draft));
            }
        }
        Ok(prepared)
    }

    fn load(&mut self, shared: &Shared, tenant: &Arc<Tenant>) -> Result<&mut LogState, Error> {
        if !self.logs.contains_key(&tenant.id) {
            let log = LogState::load(shared, tenant)?;
            self.logs.insert(tenant.id.clone(), log);
        }
        Ok(self.logs.get_mut(&tenant.id).expect("it was just put there"))
    }

    /// A person's key: known, being made by this batch, on the disk and not erased by this group, or new.
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
        let new = prepared.persons.iter().find(|(of, who, _)| of.id == tenant.id && *who == person);
        if let Some((_, _, key)) = new {
            return Ok(Arc::clone(key));
        }
        let kept = if self.erased.contains(&id) { None } else { PersonKey::load(shared, tenant, person)? };
        if let Some(key) = kept {
            let key = Arc::new(key);
            self.persons.insert(id, Arc::clone(&key));
            return Ok(key);
        }
        let key = Arc::new(PersonKey::random());
        prepared.records.push(key.record(shared, tenant, person)?);
        prepared.persons.push((Arc::clone(tenant), person, Arc::clone(&key)));
        Ok(key)
    }

    /// The record whose deletion erases a person.
    pub(crate) fn person_target(shared: &Shared, tenant: &Arc<Tenant>, who: Person) -> Result<Target, Error> {
        person::target(shared, tenant, who)
    }

    /// Forgets a person's key, after the deletion of its record was staged.
    pub(crate) fn forget_person(&mut self, tenant: &Tenant, person: Person) {
        let id = (tenant.id.clone(), person);
        self.persons.remove(&id);
        self.erased.insert(id);
    }

    /// Appends the leaves to their logs and stages their records.
    pub(crate) fn apply(&mut self, shared: &Shared, prepared: Prepared, stage: &mut Stage, version: u64) {
        for (target, draft) in prepared.records {
            stage.put(shared, &target, draft, version);
        }
        for (tenant, person, key) in prepared.persons {
            self.persons.insert((tenant.id.clone(), person), key);
        }
        for (tenant, end) in prepared.ends {
            let log = self.logs.get_mut(&tenant).expect("prepared leaves are of loaded logs");
            if log.edge.size() == 0 {
                let (target, draft) = signer::record(shared, &log.tenant, &log.key);
                stage.put(shared, &target, draft, version);
            }
            for tile in end.leaves.iter().flat_map(|leaf| log.edge.push(leaf)).collect::<Vec<_>>() {
                let (target, draft) = tile.record(shared, &log.tenant);
                stage.put(shared, &target, draft, version);
            }
            log.head.origin = end.origin;
            log.head.last_time_ms = end.time_ms;
            log.in_this_boot = true;
            log.dirty = true;
        }
    }

    /// Signs and stages the new heads of the logs that have grown.
    pub(crate) fn sign(&mut self, shared: &Shared, stage: &mut Stage, version: u64) -> Result<(), Error> {
        for log in self.logs.values_mut().filter(|log| log.dirty) {
            let checkpoint =
                Checkpoint { origin: log.head.origin.clone(), size: log.edge.size(), root: log.edge.root() };
            let signed = checkpoint.sign(&log.key).map_err(|_| Error::Audit(super::Error::PublicHost))?;
            log.head.size = checkpoint.size;
            log.head.root = checkpoint.root.into();
            log.head.vkey = vkey(&checkpoint.origin, log.key.verifying_key().as_bytes());
            log.head.checkpoint = signed;
            let target = head_target(shared, &log.tenant)?;
            let draft = Draft::of(target.meta, &target.key, &log.head)?;
            stage.put(shared, &target, draft, version);
        }
        Ok(())
    }

    /// Lets readers see the heads that are now on the disk.
    pub(crate) fn publish(&mut self, shared: &Shared, epoch: u64) {
        self.erased.clear();
        shared.set_epoch(epoch);
        let Ok(mut heads) = shared.heads.write() else { return };
        for (tenant, log) in self.logs.iter_mut().filter(|(_, log)| log.dirty) {
            heads.insert(tenant.clone(), log.head.clone());
            log.dirty = false;
        }
    }
}

impl LogState {
    fn load(shared: &Shared, tenant: &Arc<Tenant>) -> Result<Self, Error> {
        let tenant = Arc::clone(tenant);
        let key = signer::load(shared, &tenant)?;
        let Some(head) = read_head(shared, &tenant)? else {
            let key = key.unwrap_or_else(signer::random);
            let (edge, head) = (Edge::default(), Head::default());
            return Ok(Self { tenant, key, edge, head, in_this_boot: false, dirty: false });
        };
        let key = key.ok_or(Error::Integrity { what: "a log's key" })?;
        let edge = Edge::load(shared, &tenant, head.size, head.root.0)?;
        Ok(Self { tenant, key, edge, head, in_this_boot: false, dirty: false })
    }

    /// The end of the log as it stands, with the leaves of a first write and of the first write of a boot.
    fn end(&self, shared: &Shared, now_ms: u64) -> Result<End, Error> {
        let size = self.edge.size();
        let (tenant, origin) = (Arc::clone(&self.tenant), self.head.origin.clone());
        let mut end = End { tenant, origin, size, time_ms: self.head.last_time_ms, leaves: Vec::new() };
        if size == 0 {
            let genesis = Event::new(Class::EntityCreated, "log.genesis")
                .detail("measurement", shared.settings.measurement.as_str())
                .detail("public_key", hex::encode(self.key.verifying_key().as_bytes()))
                .detail("schema", format!("ocsf-{OCSF_VERSION}"))
                .detail("tenant", self.tenant.id.as_str());
            end.add(shared, &genesis, None, now_ms)?;
            let digest = Sha256::digest(end.leaves.first().expect("the genesis leaf was just added"));
            let log_id = hex::encode(digest.first_chunk::<8>().expect("32 bytes begin with 8"));
            end.origin = format!("{}/audit/{}/{log_id}", shared.settings.public_host, self.tenant.id);
        }
        if !self.in_this_boot {
            let previous = (size > 0).then(|| hex::encode(Sha256::digest(&self.head.checkpoint)));
            let boot = Event::new(Class::ApplicationStarted, "log.boot")
                .detail("boot_id", shared.boot.id.as_str())
                .detail("prev_checkpoint_sha256", previous)
                .detail("clean_shutdown", shared.boot.after_clean_stop);
            end.add(shared, &boot, None, now_ms)?;
        }
        Ok(end)
    }
}

impl End {
    fn add(&mut self, shared: &Shared, event: &Event, person: Option<&PersonKey>, now_ms: u64) -> Result<(), Error> {
        let personal = person.filter(|_| !event.personal.is_empty());
        let p = personal.map(|person| person.seal(&self.origin, self.size, &event.personal)).transpose();
        // The clock is the host's: time may stand still in the log, it never runs back.
        let time_ms = now_ms.max(self.time_ms);
        let context = Context {
            seq: self.size,
            time_ms,
            boot: &shared.boot.id,
            tenant: &self.tenant.id,
            product_version: &shared.settings.product_version,
            actor: person.map(|person| person.pseudonym.as_str()),
            p: p.map_err(Error::Audit)?,
        };
        self.leaves.push(leaf::encode(event, context).map_err(Error::Audit)?);
        self.time_ms = time_ms;
        self.size += 1;
        Ok(())
    }
}

fn head_target(shared: &Shared, tenant: &Arc<Tenant>) -> Result<Target, Error> {
    shared.target(tenant, HEADS.meta(), Address::Key { group: None, key: "head" })
}

/// The head of a log, if it has one.
pub(crate) fn read_head(shared: &Shared, tenant: &Arc<Tenant>) -> Result<Option<Head>, Error> {
    let Some(opened) = shared.read(&head_target(shared, tenant)?)? else { return Ok(None) };
    opened.decode(HEADS.meta()).map(Some)
}
