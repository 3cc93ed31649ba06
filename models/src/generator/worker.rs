//! The runtime thread of the generator: continuous batching.
//!
//! Each step: free the slots of callers that went away, start waiting requests in free slots, compute one batch (one
//! token of every running answer, then tokens of new prompts), draw the next tokens.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::vocab::LlamaVocab;

use super::GeneratorConfig;
use super::admission::{Admission, Job};
use super::slot::Slot;
use crate::{Error, runtime};

/// Most tokens of a step.
const BATCH_TOKENS: usize = 512;
/// Most prompt tokens of a step while answers are running: they wait for the step, so it has to stay short.
const PROMPT_TOKENS_BESIDE_ANSWERS: usize = 64;

/// Starts the thread and waits until it has its working memory.
pub(super) fn start(
    model: Arc<LlamaModel>,
    admission: Arc<Admission>,
    config: &GeneratorConfig,
) -> Result<JoinHandle<()>, Error> {
    let parameters = parameters(config)?;
    let parallel = i32::try_from(config.parallel).map_err(|_| Error::NoMemory)?;
    let (ready, is_ready) = sync_channel(1);
    let thread = std::thread::Builder::new()
        .name("generator".to_owned())
        .spawn(move || match model.new_context(runtime::backend(), parameters) {
            Ok(context) => {
                // The starter waits for this message, so it cannot be gone.
                let _sent = ready.send(Ok(()));
                let mut worker = Worker {
                    context,
                    vocabulary: model.vocab(),
                    batch: LlamaBatch::new(BATCH_TOKENS, 1),
                    slots: (0..parallel).map(Slot::new).collect(),
                    step: 0,
                };
                while worker.step(&admission) {}
            }
            Err(_) => {
                let _sent = ready.send(Err(Error::NoMemory));
            }
        })
        .map_err(|_| Error::NoMemory)?;
    is_ready.recv().map_err(|_| Error::NoMemory)??;
    Ok(thread)
}

fn parameters(config: &GeneratorConfig) -> Result<LlamaContextParams, Error> {
    let batch = u32::try_from(BATCH_TOKENS).expect("a few hundred");
    let parallel = u32::try_from(config.parallel).map_err(|_| Error::NoMemory)?;
    let threads = i32::try_from(config.threads).map_err(|_| Error::NoMemory)?;
    let context = u32::try_from(config.n_ctx_per_seq * config.parallel).map_err(|_| Error::NoMemory)?;
    Ok(LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(context))
        .with_n_batch(batch)
        .with_n_ubatch(batch)
        .with_n_seq_max(parallel)
        // Every sequence has memory of its own: no token of one can be attended to from another.
        .with_kv_unified(false)
        .with_n_threads(threads)
        .with_n_threads_batch(threads)
        .with_no_perf(true))
}

struct Worker<'model> {
    context: LlamaContext<'model>,
    vocabulary: LlamaVocab<'model>,
    batch: LlamaBatch<'static>,
    slots: Vec<Slot>,
    step: u64,
}

/// A slot's share of a batch.
struct Share {
    slot: usize,
    tokens: usize,
    /// Index in the batch of its last token.
    last: i32,
}

impl Worker<'_> {
    /// One step. False when the generator is being dropped.
    fn step(&mut self, admission: &Admission) -> bool {
        self.step += 1;
        for slot in &mut self.slots {
            slot.drop_if_cancelled(&mut self.context);
        }
        let free = self.slots.iter().filter(|slot| slot.is_free()).count();
        let running = self.slots.iter().filter_map(Slot::fairness_key).collect();
        let Some(news) = admission.take(free, running) else {
            return false;
        };
        for prefix_key in &news.forget {
            for slot in &mut self.slots {
                slot.forget_prefix(&mut self.context, prefix_key);
            }
        }
        for job in news.jobs {
            self.start(job);
        }
        let shares = self.fill_batch();
        if !shares.is_empty() {
            self.compute(&shares);
        }
        true
    }

    /// Starts a job in the free slot that remembers most of its prompt; else in one that remembers nothing; else in
    /// the one that was not used for longest.
    fn start(&mut self, job: Job) {
        let best = |slot: &&mut Slot| (std::cmp::Reverse(slot.reusable(&job)), slot.remembers(), slot.last_start);
        let free = self.slots.iter_mut().filter(|slot| slot.is_free());
        if let Some(slot) = free.min_by_key(best) {
            slot.start(&mut self.context, job);
            slot.last_start = self.step;
        }
    }

    /// Puts together the next batch: first the running answers, one token each; then prompts.
    fn fill_batch(&mut self) -> Vec<Share> {
        self.batch.clear();
        let mut shares = Vec::new();
        let (answers, prompts): (Vec<_>, Vec<_>) =
            (0..).zip(&self.slots).filter(|(_, slot)| !slot.is_free()).partition(|(_, slot)| slot.is_generating());
        let mut room = BATCH_TOKENS - answers.len();
        if !answers.is_empty() {
            room = room.min(PROMPT_TOKENS_BESIDE_ANSWERS);
        }
        for (index, slot) in answers.into_iter().chain(prompts) {
            let whole = slot.todo().len();
            let tokens = if slot.is_generating() { whole } else { whole.min(room) };
            if tokens == 0 {
                continue;
            }
            for (offset, token) in (0..).zip(slot.todo().iter().take(tokens)) {
                let is_last = offset + 1 == len(whole);
                let added = self.batch.add(*token, slot.position() + offset, &[slot.sequence()], is_last);
                added.expect("the batch has room for its shares");
            }
            if !slot.is_generating() {
                room -= tokens;
            }
            shares.push(Share { slot: index, tokens, last: self.batch.n_tokens() - 1 });
        }
        shares
    }

    fn compute(&mut self, shares: &[Share]) {
        let computed = self.context.decode(&mut self.batch).is_ok();
        for share in shares {
            let Some(slot) = self.slots.get_mut(share.slot) else {
                continue;
            };
            if !computed {
                slot.fail(&mut self.context);
            } else if slot.computed(share.tokens) {
                slot.draw(&mut self.context, &self.vocabulary, share.last);
            }
        }
    }
}

fn len(length: usize) -> i32 {
    i32::try_from(length).expect("below the context size")
}
