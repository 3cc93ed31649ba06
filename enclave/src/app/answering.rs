//! Putting together what finds, answers and remembers.

use std::sync::Arc;

use tokio_util::task::TaskTracker;

use super::LoadedModels;
use crate::answers::admission::Admission;
use crate::answers::receipts::Signer;
use crate::answers::{Answers, Engine, Settings};
use crate::clock::Clock;
use crate::keys::Keyset;
use crate::memory::Memory;
use crate::retrieval::Limits;
use crate::retrieval::library::Library;

/// The parts of the service that answer.
#[derive(Debug)]
pub struct Answering {
    /// The indexes of all workspaces.
    pub library: Arc<Library>,
    /// Answers questions.
    pub answers: Arc<Answers>,
    /// What people asked to keep.
    pub memory: Arc<Memory>,
}

impl Answering {
    /// Over these models; background work runs on `tracker`.
    pub(super) fn new(models: &LoadedModels, keyset: &Keyset, clock: &Arc<dyn Clock>, tracker: &TaskTracker) -> Self {
        let digest = *models.embedder.digest().as_bytes();
        let library = Arc::new(Library::new(digest, Limits::default(), tracker.clone()));
        let answers = Answers {
            engine: Engine { models: models.clone(), library: Arc::clone(&library), settings: Settings::default() },
            admission: Arc::new(Admission::default()),
            signer: Signer::new(keyset.receipt().clone()),
            clock: Arc::clone(clock),
            tracker: tracker.clone(),
        };
        let memory = Memory::new(Arc::clone(&models.embedder), Arc::clone(clock));
        Self { library, answers: Arc::new(answers), memory: Arc::new(memory) }
    }
}
