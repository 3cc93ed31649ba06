//! A place in the model's memory: one llama.cpp sequence, what it remembers, and the answer it is working on.

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::vocab::LlamaVocab;

use super::admission::Job;
use super::stream::{Finish, FinishReason, Sink};
use super::text::Assembler;
use crate::Error;

/// One sequence.
#[derive(Debug)]
pub(super) struct Slot {
    sequence: i32,
    /// Tokens whose attention state is in memory.
    remembered: Vec<LlamaToken>,
    /// Whose they are; none if nobody may reuse them.
    prefix_key: Option<[u8; 16]>,
    /// Step at which an answer was last started here.
    pub(super) last_start: u64,
    work: Option<Work>,
}

/// An answer in the making.
#[derive(Debug)]
struct Work {
    /// Tokens that are known but not computed yet: the rest of the prompt, or the token drawn last.
    todo: Vec<LlamaToken>,
    prompt_tokens: usize,
    reused_tokens: usize,
    generated_tokens: usize,
    max_tokens: usize,
    sampler: LlamaSampler,
    text: Assembler,
    fairness_key: [u8; 16],
    sink: Sink,
}

impl Slot {
    pub(super) fn new(sequence: i32) -> Self {
        Self { sequence, remembered: Vec::new(), prefix_key: None, last_start: 0, work: None }
    }

    pub(super) fn sequence(&self) -> i32 {
        self.sequence
    }

    pub(super) fn is_free(&self) -> bool {
        self.work.is_none()
    }

    pub(super) fn fairness_key(&self) -> Option<[u8; 16]> {
        self.work.as_ref().map(|work| work.fairness_key)
    }

    /// How many tokens of a prompt are remembered here and may be reused for it. At least one token of the prompt is
    /// left to compute, because only computed tokens have an outcome.
    pub(super) fn reusable(&self, job: &Job) -> usize {
        if self.prefix_key.is_none() || self.prefix_key != job.prefix_key {
            return 0;
        }
        let pairs = self.remembered.iter().zip(&job.tokens);
        let common = pairs.take_while(|(ours, theirs)| ours == theirs).count();
        common.min(job.tokens.len().saturating_sub(1))
    }

    /// Whether this free slot remembers something for later.
    pub(super) fn remembers(&self) -> bool {
        !self.remembered.is_empty()
    }

    /// Begins an answer. What is remembered of anybody else, and what differs, is removed first.
    pub(super) fn start(&mut self, context: &mut LlamaContext<'_>, job: Job) {
        let mut reused = self.reusable(&job);
        let from = u32::try_from(reused).expect("below the context size");
        let cut = reused > 0 && context.kv_cache_seq_rm(self.sequence, Some(from), None).is_ok();
        if cut {
            self.remembered.truncate(reused);
        } else {
            reused = 0;
            self.forget(context);
        }
        self.prefix_key = job.prefix_key;
        self.work = Some(Work {
            prompt_tokens: job.tokens.len(),
            todo: job.tokens.get(reused..).unwrap_or_default().to_vec(),
            reused_tokens: reused,
            generated_tokens: 0,
            max_tokens: job.max_tokens,
            sampler: sampler(job.temperature, job.top_p, job.seed),
            text: Assembler::new(job.stop),
            fairness_key: job.fairness_key,
            sink: job.sink,
        });
    }

    /// Frees the slot if its caller has gone away.
    pub(super) fn drop_if_cancelled(&mut self, context: &mut LlamaContext<'_>) {
        if self.work.as_ref().is_some_and(|work| work.sink.is_cancelled()) {
            self.release(context);
        }
    }

    /// Forgets what a prefix key left here, unless an answer is using it.
    pub(super) fn forget_prefix(&mut self, context: &mut LlamaContext<'_>, prefix_key: &[u8; 16]) {
        if self.prefix_key.as_ref() == Some(prefix_key) {
            self.prefix_key = None;
            if self.is_free() {
                self.forget(context);
            }
        }
    }

    /// Whether the next token to compute was drawn by the model (else: tokens of the prompt are left).
    pub(super) fn is_generating(&self) -> bool {
        self.work.as_ref().is_some_and(|work| work.generated_tokens > 0)
    }

    /// Tokens that are to be computed next.
    pub(super) fn todo(&self) -> &[LlamaToken] {
        self.work.as_ref().map_or(&[], |work| &work.todo)
    }

    /// Position of the next token.
    pub(super) fn position(&self) -> i32 {
        i32::try_from(self.remembered.len()).expect("below the context size")
    }

    /// Notes that the first `count` tokens of [`Self::todo`] were computed. True if none is left, so that the outcome
    /// of the last one is known.
    pub(super) fn computed(&mut self, count: usize) -> bool {
        let Some(work) = &mut self.work else {
            return false;
        };
        self.remembered.extend(work.todo.drain(..count.min(work.todo.len())));
        work.todo.is_empty()
    }

    /// Draws the next token from the outcome at `index` of the last batch, and passes its text on.
    pub(super) fn draw(&mut self, context: &mut LlamaContext<'_>, vocabulary: &LlamaVocab<'_>, index: i32) {
        let Some(work) = &mut self.work else {
            return;
        };
        let token = work.sampler.sample(context, index);
        work.generated_tokens += 1;
        let mut reason = None;
        if vocabulary.is_eog(token) {
            reason = Some(FinishReason::Stop);
        } else {
            let output = work.text.push(&vocabulary.token_to_piece(token, false, None));
            work.sink.text(&output.text);
            if output.stopped {
                reason = Some(FinishReason::Stop);
            } else if work.generated_tokens >= work.max_tokens {
                reason = Some(FinishReason::Length);
            }
        }
        match reason {
            None => work.todo.push(token),
            Some(reason) => {
                work.sink.text(&work.text.finish());
                work.sink.end(Ok(Finish {
                    reason,
                    prompt_tokens: work.prompt_tokens,
                    reused_tokens: work.reused_tokens,
                    generated_tokens: work.generated_tokens,
                }));
                self.release(context);
            }
        }
    }

    /// Ends the answer, if there is one, because the model could not compute.
    pub(super) fn fail(&mut self, context: &mut LlamaContext<'_>) {
        if let Some(work) = self.work.take() {
            work.sink.end(Err(Error::Compute));
        }
        self.forget(context);
    }

    /// Frees the slot; what it remembers stays only if a prefix key owns it.
    fn release(&mut self, context: &mut LlamaContext<'_>) {
        self.work = None;
        if self.prefix_key.is_none() {
            self.forget(context);
        }
    }

    fn forget(&mut self, context: &mut LlamaContext<'_>) {
        self.remembered.clear();
        self.prefix_key = None;
        context.kv_cache_seq_rm(self.sequence, None, None).expect("llama.cpp never refuses to remove a whole sequence");
    }
}

fn sampler(temperature: f32, top_p: f32, seed: u32) -> LlamaSampler {
    if temperature == 0.0 {
        return LlamaSampler::greedy();
    }
    let chain = [
        LlamaSampler::top_k(40),
        LlamaSampler::top_p(top_p, 1),
        LlamaSampler::temp(temperature),
        LlamaSampler::dist(seed),
    ];
    LlamaSampler::chain(chain, true)
}
