//! What a writer was told, and what a disk must therefore hold.

use anyhow::{Context as _, ensure};
use cloister_enclave::store::Store;
use cloister_tests::disk::Tree;

use crate::scratch;
use crate::workload::{State, Writer, open};

/// The batches of one writer, in order, each with the moment at which it was acknowledged.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    writer: Writer,
    batches: Vec<(State, usize)>,
}

impl Told {
    pub(crate) fn new(writer: &Writer) -> Self {
        Self { writer: writer.clone(), batches: Vec::new() }
    }

    /// The writer's newest batch was acknowledged.
    pub(crate) fn add(&mut self, writer: &Writer, moment: usize) {
        self.batches.push((writer.state.clone(), moment));
    }

    /// When the first batch was acknowledged.
    pub(crate) fn first(&self) -> Option<usize> {
        self.batches.first().map(|(_, moment)| *moment)
    }

    pub(crate) const fn batches(&self) -> usize {
        self.batches.len()
    }

    /// What is in this store, as if it had been acknowledged before everything else.
    pub(crate) fn found(&self, store: &Store) -> anyhow::Result<Self> {
        let found = usize::try_from(self.writer.found(store)?)?;
        let states = self.batches.iter().take(found).map(|(state, _)| (state.clone(), 0));
        Ok(Self { writer: self.writer.clone(), batches: states.collect() })
    }

    fn check(&self, store: &Store, moment: usize) -> anyhow::Result<()> {
        let acknowledged = self.batches.partition_point(|(_, at)| *at <= moment);
        let sent = self.batches().min(acknowledged + 1);
        let found = usize::try_from(self.writer.found(store)?)?;
        let number = self.writer.number;
        ensure!(found >= acknowledged, "writer {number}: {found} batches of {acknowledged} acknowledged");
        ensure!(found <= sent, "writer {number}: {found} batches of {sent} sent");
        let nothing = State::default();
        let state = found.checked_sub(1).and_then(|last| self.batches.get(last)).map_or(&nothing, |(state, _)| state);
        self.writer.check(store, state, u64::try_from(found)?)
    }
}

/// A store on what a disk holds opens, and has everything that was acknowledged up to this moment.
pub(crate) fn survives(tree: &Tree, told: &[Told], moment: usize) -> anyhow::Result<()> {
    let folder = scratch()?;
    tree.lay_down(folder.path())?;
    let store = open(&folder.path().join("store")).context("does not open")?;
    told.iter().try_for_each(|told| told.check(&store, moment))
}
