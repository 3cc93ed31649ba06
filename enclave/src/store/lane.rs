//! The commit lane: one thread through which every write goes.
//!
//! The lane takes whatever batches are waiting, checks their conditions one after the other, seals their records, and
//! brings them all to the disk with one atomic write and one sync; then it answers all of them. While it syncs, the next
//! group gathers, so a lone writer waits for nobody and many writers share a sync.
//!
//! The first fault of the disk stops the lane for good: after a failed sync nobody knows what the disk holds.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::Shared;
use super::batch::{Committed, Op, Target, Version, within_limit};
use super::blob;
use super::boot::{self, StateRecord};
use super::collection::{Meta, Name};
use super::error::Error;
use super::hierarchy::Tenant;
use super::record::{self, Draft};
use super::stage::{Stage, Write};
use crate::audit::lane::Logs;

/// Batches that may wait for the lane.
pub(crate) const QUEUE: usize = 1024;
/// Batches in one group.
const GROUP: usize = 256;

type Reply = oneshot::Sender<Result<Committed, Error>>;

/// A record by its name as it stands on the disk; nothing if there is none.
pub(crate) type Change = (Name, Option<sled::IVec>);

pub(crate) enum Request {
    Commit {
        ops: Vec<Op>,
        reply: Reply,
    },
    /// Notes from now on which records are written, for one backup at a time.
    Watch {
        reply: oneshot::Sender<Result<(), Error>>,
    },
    /// What was written since, as it stands now, and the epoch of now.
    Changes {
        reply: oneshot::Sender<Result<(u64, Vec<Change>), Error>>,
    },
    Close {
        reply: oneshot::Sender<()>,
    },
}

/// What a batch will write, once nothing can go wrong any more.
type Writes = Vec<(Target, Option<Draft>)>;

pub(crate) struct Lane {
    pub(crate) shared: Arc<Shared>,
    pub(crate) requests: mpsc::Receiver<Request>,
    pub(crate) logs: Logs,
    pub(crate) state: StateRecord,
    pub(crate) system: Arc<Tenant>,
    /// The names that were written since a backup began.
    pub(crate) watched: Option<HashSet<Name>>,
}

impl Lane {
    /// Serves requests until the store is closed or dropped.
    pub(crate) fn run(mut self) {
        let _watchdog = Watchdog(Arc::clone(&self.shared));
        while let Some(first) = self.requests.blocking_recv() {
            let mut waiting = Some(first);
            let mut group = Vec::new();
            let mut after = None;
            while let Some(request) = waiting.take() {
                if let Request::Commit { ops, reply } = request {
                    group.push((ops, reply));
                } else {
                    after = Some(request);
                }
                if group.len() < GROUP && after.is_none() {
                    waiting = self.requests.try_recv().ok();
                }
            }
            self.commit(group);
            // Whoever asked may have gone: what they asked for is done all the same.
            match after {
                None | Some(Request::Commit { .. }) => {}
                Some(Request::Watch { reply }) => drop(reply.send(self.watch())),
                Some(Request::Changes { reply }) => drop(reply.send(self.changes())),
                Some(Request::Close { reply }) => {
                    self.close();
                    // Requests still in the queue are dropped, which tells their callers so.
                    let _ = reply.send(());
                    return;
                }
            }
        }
    }

    fn watch(&mut self) -> Result<(), Error> {
        if self.watched.is_some() {
            return Err(Error::Conflict { collection: "a backup" });
        }
        self.watched = Some(HashSet::new());
        Ok(())
    }

    fn changes(&mut self) -> Result<(u64, Vec<Change>), Error> {
        if self.shared.has_stopped() {
            return Err(Error::Stopped);
        }
        let names = self.watched.take().ok_or(Error::Conflict { collection: "a backup" })?;
        let read = |name: Name| {
            let stored = self.shared.disk.database.get(name.as_bytes());
            stored.map(|stored| (name, stored)).map_err(|error| Error::database("writing a backup", error))
        };
        Ok((self.state.epoch, names.into_iter().map(read).collect::<Result<_, Error>>()?))
    }

    fn close(&mut self) {
        self.state.clean = true;
        let mut stage = Stage::default();
        if !self.shared.has_stopped() && self.write_out(&mut stage).is_err() {
            tracing::error!("the store could not be closed cleanly");
        }
    }

    fn commit(&mut self, group: Vec<(Vec<Op>, Reply)>) {
        let mut stage = Stage::default();
        let mut done = Vec::with_capacity(group.len());
        for (ops, reply) in group {
            let staged = if self.shared.has_stopped() { Err(Error::Stopped) } else { self.stage(&mut stage, ops) };
            match staged {
                Ok(committed) => done.push((committed, reply)),
                // Whoever asked may have gone.
                Err(error) => drop(reply.send(Err(error))),
            }
        }
        if done.is_empty() {
            return;
        }
        let written = self.write_out(&mut stage);
        for (committed, reply) in done {
            let answer = if written.is_ok() { Ok(committed) } else { Err(Error::Stopped) };
            drop(reply.send(answer));
        }
    }

    /// Checks a batch and seals it into the group; an error leaves the group as it was.
    fn stage(&mut self, stage: &mut Stage, ops: Vec<Op>) -> Result<Committed, Error> {
        let mut writes = Writes::new();
        let mut late = Vec::new();
        let mut events = Vec::new();
        let mut erased = Vec::new();
        for op in ops {
            match op {
                Op::Expect(target, expected) => {
                    let found = stage.version(&self.shared, &target.name)?;
                    if found != expected.map(|Version(version)| version) {
                        return Err(Error::Conflict { collection: target.meta.name });
                    }
                }
                Op::Put(target, draft) => writes.push((target, Some(draft))),
                Op::PutLate(target, make) => late.push((target, make)),
                Op::Delete(target) => writes.push((target, None)),
                Op::PutBlob { tenant, meta, key, bytes } => {
                    let chunks = blob::chunks(&self.shared, &tenant, meta, &key, &bytes)?;
                    let from = u32::try_from(chunks.len()).expect("blobs have at most some thousand chunks");
                    writes.extend(chunks.into_iter().map(|(target, draft)| (target, Some(draft))));
                    self.cut_blob(stage, &mut writes, &tenant, meta, &key, from)?;
                }
                Op::DeleteBlob { tenant, meta, key } => {
                    self.cut_blob(stage, &mut writes, &tenant, meta, &key, 0)?;
                }
                Op::Audit { tenant, event } => events.push((tenant, event)),
                Op::ErasePerson { tenant, person } => {
                    let target = Logs::person_target(&self.shared, &tenant, person)?;
                    erased.push((tenant, person, target.name));
                }
            }
        }
        let prepared = self.logs.prepare(&self.shared, &events)?;
        for (target, make) in late {
            let draft = make(&target, &prepared.places)?;
            within_limit(target.meta, &draft)?;
            writes.push((target, Some(draft)));
        }

        // From here on nothing fails.
        self.state.revision += 1;
        let version = self.state.revision;
        for (target, draft) in writes {
            match draft {
                Some(draft) => stage.put(&self.shared, &target, draft, version),
                None => stage.write(target.name, version, None),
            }
        }
        let leaves = prepared.places.clone();
        self.logs.apply(&self.shared, prepared, stage, version);
        // After the batch's own events, lest one of them brings the key back.
        for (tenant, person, name) in erased {
            stage.write(name, version, None);
            self.logs.forget_person(&tenant, person);
        }
        Ok(Committed { version: Version(version), leaves })
    }

    /// Deletes the chunks of a blob from number `from` on.
    fn cut_blob(
        &self,
        stage: &Stage,
        writes: &mut Writes,
        tenant: &Arc<Tenant>,
        meta: Meta,
        key: &str,
        from: u32,
    ) -> Result<(), Error> {
        for index in from.. {
            let target = blob::chunk_target(&self.shared, tenant, meta, key, index)?;
            // What the batch itself did to the chunk comes before what was there.
            let own = writes.iter().rev().find(|(written, _)| written.name == target.name);
            let there = match own {
                Some((_, draft)) => draft.is_some(),
                None => stage.version(&self.shared, &target.name)?.is_some(),
            };
            if !there {
                break;
            }
            writes.push((target, None));
        }
        Ok(())
    }

    /// Adds the log heads and the header to the group and brings it to the disk. An error has stopped the store.
    fn write_out(&mut self, stage: &mut Stage) -> Result<(), Error> {
        self.state.epoch += 1;
        let written = self.seal_heads(stage).and_then(|()| self.apply(stage));
        match written.and_then(|()| self.shared.disk.sync("making a commit durable")) {
            Ok(()) => {
                stage.new_tenants.iter().for_each(|tenant| tenant.set_durable());
                self.logs.publish(&self.shared, self.state.epoch);
                Ok(())
            }
            Err(error) => {
                self.shared.stop(&error);
                Err(error)
            }
        }
    }

    fn seal_heads(&mut self, stage: &mut Stage) -> Result<(), Error> {
        self.logs.sign(&self.shared, stage, self.state.revision)?;
        self.count_in(stage)?;
        let header = boot::header_target(&self.shared, &self.system)?;
        let draft = Draft::of(header.meta, &header.key, &self.state)?;
        stage.put(&self.shared, &header, draft, self.state.revision);
        Ok(())
    }

    /// Brings the set hash to what the group will leave on the disk. The header is not in it, being where it stands.
    fn count_in(&mut self, stage: &mut Stage) -> Result<(), Error> {
        stage.announce(&self.shared, &self.system, self.state.revision);
        let (shared, set) = (&self.shared, &mut self.state.set);
        for (name, write) in &stage.writes {
            if let Some(version) = shared.version(name)? {
                let old = shared.disk.database.get(name.as_bytes());
                let old = old.map_err(|error| Error::database("reading what a commit replaces", error))?;
                let old = old.filter(|old| record::claimed_version(old) == Some(version));
                let old = old.ok_or(Error::Integrity { what: "a record that a commit replaces" })?;
                set.remove(shared.roots.set.element(name.as_bytes(), &old));
            }
            if let Some(stored) = &write.stored {
                set.add(shared.roots.set.element(name.as_bytes(), stored));
            }
        }
        Ok(())
    }

    fn apply(&mut self, stage: &mut Stage) -> Result<(), Error> {
        let mut batch = sled::Batch::default();
        let mut after = Vec::with_capacity(stage.writes.len());
        for (name, Write { version, stored }) in stage.writes.drain() {
            after.push((name, version, stored.is_some()));
            match stored {
                Some(stored) => batch.insert(name.as_bytes(), stored),
                None => batch.remove(name.as_bytes()),
            }
        }
        // Readers wait here, for as long as a write to memory takes, and then see the whole group.
        let mut versions = self.shared.versions.write().map_err(|_| Error::Stopped)?;
        let applied = self.shared.disk.database.apply_batch(batch);
        applied.map_err(|error| Error::database("writing a commit", error))?;
        if let Some(watched) = &mut self.watched {
            watched.extend(after.iter().map(|(name, ..)| *name));
        }
        for (name, version, there) in after {
            self.shared.recent.drop(&name.tail());
            if there { versions.insert(&name, version) } else { versions.remove(&name, version) }
        }
        Ok(())
    }
}

/// Stops the store if its lane ever dies of a bug, so that nobody waits for it.
struct Watchdog(Arc<Shared>);

impl Drop for Watchdog {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop(&Error::Closed);
        }
    }
}
