//! A runtime thread of the embedder: takes a batch, computes it, sends the vectors back.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::{LlamaContextParams, LlamaPoolingType};
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;

use super::MAX_TOKENS;
use super::queue::{Queue, Reply, Text};
use crate::{Error, runtime};

/// Tokens per batch. llama.cpp lets every token of a batch attend to every other and masks foreign texts away, so
/// the cost of attention grows with the square of this; it has to hold one text of full length.
const BATCH_TOKENS: usize = MAX_TOKENS;
/// Texts per batch.
const BATCH_TEXTS: usize = 32;

/// Starts a thread and waits until it has its working memory.
pub(super) fn start(model: Arc<LlamaModel>, queue: Arc<Queue>) -> Result<JoinHandle<()>, Error> {
    let (ready, is_ready) = sync_channel(1);
    let thread = std::thread::Builder::new()
        .name("embedder".to_owned())
        .spawn(move || match model.new_context(runtime::backend(), parameters()) {
            Ok(mut context) => {
                // The starter waits for this message, so it cannot be gone.
                let _sent = ready.send(Ok(()));
                run(&mut context, &queue);
            }
            Err(_) => {
                let _sent = ready.send(Err(Error::NoMemory));
            }
        })
        .map_err(|_| Error::NoMemory)?;
    is_ready.recv().map_err(|_| Error::NoMemory)??;
    Ok(thread)
}

fn parameters() -> LlamaContextParams {
    let tokens = u32::try_from(BATCH_TOKENS).expect("a few hundred");
    LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(tokens))
        .with_n_batch(tokens)
        .with_n_ubatch(tokens)
        .with_n_seq_max(u32::try_from(BATCH_TEXTS).expect("a few dozen"))
        .with_n_threads(1)
        .with_n_threads_batch(1)
        .with_embeddings(true)
        .with_pooling_type(LlamaPoolingType::Mean)
        .with_no_perf(true)
}

fn run(context: &mut LlamaContext<'_>, queue: &Queue) {
    let mut batch = LlamaBatch::new(BATCH_TOKENS, 1);
    while let Some(texts) = queue.take(BATCH_TOKENS, BATCH_TEXTS) {
        let computed = compute(context, &mut batch, &texts);
        for (sequence, (text, reply)) in (0..).zip(&texts) {
            let vector = match computed {
                Ok(()) => vector(context, sequence),
                Err(_) => Err(Error::Compute),
            };
            // A caller that has gone away does not want its vector.
            let _sent = reply.send((text.index, vector));
        }
    }
}

fn compute(context: &mut LlamaContext<'_>, batch: &mut LlamaBatch<'_>, texts: &[(Text, Reply)]) -> Result<(), Error> {
    batch.clear();
    for (sequence, (text, _)) in (0..).zip(texts) {
        batch.add_sequence(&text.tokens, sequence, true).map_err(|_| Error::Compute)?;
    }
    context.encode(batch).map_err(|_| Error::Compute)
}

/// The pooled vector of a sequence, scaled to length 1.
fn vector(context: &LlamaContext<'_>, sequence: i32) -> Result<Vec<f32>, Error> {
    let pooled = context.embeddings_seq_ith(sequence).map_err(|_| Error::Compute)?;
    let length = pooled.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    if !length.is_finite() || length == 0.0 {
        return Err(Error::Compute);
    }
    #[expect(clippy::cast_possible_truncation, reason = "the scale of a unit vector needs no more than f32")]
    let scale = (1.0 / length) as f32;
    Ok(pooled.iter().map(|x| x * scale).collect())
}
