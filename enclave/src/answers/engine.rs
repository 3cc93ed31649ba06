//! From a question to an answer: find, weigh the evidence, then generate, quote or refuse.
//!
//! An answer runs as a task of its own and reports by events. When the reader leaves, the generation is dropped and
//! what was written so far is kept as a stopped answer. Nothing is final before its record is on the disk: generated
//! text streams, but `done` comes after the commit; quotations and refusals are not shown at all before it.

use std::sync::Arc;
use std::time::Duration;

use cloister_models::Generator;
use cloister_models::generator::{FinishReason, GenerateRequest, Generation, Piece, Prompt as ModelPrompt};
use cloister_policies::prompts;
use cloister_protocol::api::{AnswerEvent, AnswerKind, Citation};
use futures::StreamExt;
use tokio::sync::mpsc::Sender;

use super::passages::Source;
use super::question::{Question, Sampling};
use super::search::{Found, search};
use super::writer::Writer;
use super::{Error, prompt, quotation};
use crate::app::LoadedModels;
use crate::retrieval::library::Library;
use crate::store::TenantStore;

/// How long a question waits for a free place at the model before it fails.
const BUSY_DEADLINE: Duration = Duration::from_secs(120);
/// How long to wait between two tries to get one.
const BUSY_PAUSE: Duration = Duration::from_millis(200);

/// How answers are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The most tokens of an answer.
    pub answer_tokens: usize,
    /// The most tokens of rules, passages, turns and question together.
    pub prompt_tokens: usize,
}

impl Default for Settings {
    /// Small enough that a processor without accelerator begins to answer within seconds.
    fn default() -> Self {
        Self { answer_tokens: 512, prompt_tokens: 2_000 }
    }
}

/// Makes answers.
#[derive(Debug, Clone)]
pub struct Engine {
    /// One finds meaning; the other, if there is one, writes. Without it answers are quotations.
    pub models: LoadedModels,
    /// The indexes.
    pub library: Arc<Library>,
    /// How.
    pub settings: Settings,
}

/// An answer before it is recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// How it came about.
    pub kind: AnswerKind,
    /// Its text.
    pub text: String,
    /// What its tags mean.
    pub citations: Vec<Citation>,
    /// What was found and put before the model, or searched for quotations.
    pub sources: Vec<Source>,
    /// SHA-256 of the prompt file it was made with.
    pub prompt_sha256: [u8; 32],
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    pub completion_tokens: u64,
    /// Whether it was cut by the limit of tokens.
    pub cut: bool,
    /// Whether its text was sent as events already.
    pub streamed: bool,
}

impl Draft {
    fn fixed(
        kind: AnswerKind,
        text: String,
        citations: Vec<Citation>,
        sources: Vec<Source>,
        from: prompts::Prompt,
    ) -> Self {
        let prompt_sha256 = from.sha256();
        let (prompt_tokens, completion_tokens) = (0, 0);
        Self {
            kind,
            text,
            citations,
            sources,
            prompt_sha256,
            prompt_tokens,
            completion_tokens,
            cut: false,
            streamed: false,
        }
    }

    fn refusal(sources: Vec<Source>) -> Self {
        Self::fixed(AnswerKind::Refusal, prompts::REFUSAL.line().to_owned(), Vec::new(), sources, prompts::REFUSAL)
    }
}

impl Engine {
    /// Answers a question; events are sent while text is generated.
    ///
    /// # Errors
    /// [`Error`], when nothing could be answered at all. A reader who leaves is no error: the draft is then stopped.
    pub async fn answer(
        &self,
        store: &TenantStore,
        question: &Question,
        events: &Sender<AnswerEvent>,
    ) -> Result<Draft, Error> {
        let found = search(self, store, question).await?;
        if !found.suffices() {
            return Ok(Draft::refusal(retrieved(found.sources)));
        }
        match &self.models.generator {
            None => Ok(quote(found)),
            Some(generator) => self.generate(generator, question, found, events).await,
        }
    }

    /// The most tokens that an answer gets.
    #[must_use]
    pub fn answer_tokens(&self, sampling: &Sampling) -> usize {
        let most = self.settings.answer_tokens;
        sampling.max_tokens.unwrap_or(most).min(most)
    }

    async fn generate(
        &self,
        generator: &Arc<Generator>,
        question: &Question,
        found: Found,
        events: &Sender<AnswerEvent>,
    ) -> Result<Draft, Error> {
        let answer_tokens = self.answer_tokens(&question.sampling);
        let room = self.settings.prompt_tokens.min(generator.context_tokens().saturating_sub(answer_tokens));
        let prompt = self.prompt(generator, question, &found, room).await?;
        let Some(prompt) = prompt else { return Err(Error::QuestionTooLong) };
        let request = GenerateRequest {
            prompt: ModelPrompt::Chat(prompt.messages),
            max_tokens: answer_tokens,
            temperature: question.sampling.temperature,
            top_p: question.sampling.top_p,
            seed: question.sampling.seed,
            stop: question.sampling.stop.clone(),
            fairness_key: question.org.to_bytes(),
            prefix_key: question.prefix_key,
        };
        let mut generation = submit(generator, &request, events).await?;
        let mut writer = Writer::new(&prompt.sources);
        let ended = write(&mut generation, &mut writer, events).await?;
        drop(generation);
        let kind = match ended {
            Ended::Left { .. } => AnswerKind::Stopped,
            Ended::Whole { .. } if writer.is_refusal() => AnswerKind::Refusal,
            Ended::Whole { .. } => AnswerKind::Generated,
        };
        let (prompt_tokens, completion_tokens, cut) = ended.counts();
        let written = writer.written();
        let empty = written.text.trim().is_empty() && kind == AnswerKind::Refusal;
        Ok(Draft {
            kind,
            text: if empty { prompts::REFUSAL.line().to_owned() } else { written.text },
            citations: written.citations,
            sources: prompt.sources,
            prompt_sha256: prompts::ANSWER.sha256(),
            prompt_tokens,
            completion_tokens,
            cut,
            streamed: !empty,
        })
    }

    /// Writes the prompt off the async threads: it is tokenised piece by piece to find what fits.
    async fn prompt(
        &self,
        generator: &Arc<Generator>,
        question: &Question,
        found: &Found,
        room: usize,
    ) -> Result<Option<prompt::Prompt>, Error> {
        let (generator, question, sources) = (Arc::clone(generator), question.clone(), found.sources.clone());
        let mut random = [0_u8; 8];
        getrandom::fill(&mut random).map_err(|_| Error::Interrupted)?;
        let boundary = hex::encode(random);
        let writing = tokio::task::spawn_blocking(move || {
            let parts = prompt::Parts {
                assistant: &question.assistant_name,
                purpose: &question.assistant_purpose,
                turns: &question.turns,
                sources: &sources,
                question: &question.text,
                boundary: &boundary,
            };
            prompt::write(&parts, room.saturating_sub(TEMPLATE_TOKENS), |text| generator.count_tokens(text))
        });
        writing.await.map_err(|_| Error::Interrupted)
    }
}

fn quote(found: Found) -> Draft {
    let quotation = quotation::quote(&quotation::candidates(&found.sources), &found.sentences);
    let sources = retrieved(found.sources);
    match quotation {
        None => Draft::refusal(sources),
        Some(q) => Draft::fixed(AnswerKind::Quotation, q.text, q.citations, sources, prompts::QUOTATION),
    }
}

/// The sources with only the passages that were found themselves, not their neighbours.
fn retrieved(mut sources: Vec<Source>) -> Vec<Source> {
    for source in &mut sources {
        source.passages.retain(|passage| passage.score > 0.0);
    }
    sources
}

/// Tokens kept free for the markers of the chat template.
const TEMPLATE_TOKENS: usize = 64;

/// Gets a place at the model; while it is full, the reader is told so.
async fn submit(
    generator: &Generator,
    request: &GenerateRequest,
    events: &Sender<AnswerEvent>,
) -> Result<Generation, Error> {
    let deadline = tokio::time::Instant::now() + BUSY_DEADLINE;
    loop {
        match generator.submit(request) {
            Ok(generation) => return Ok(generation),
            Err(cloister_models::Error::Busy { ahead }) if tokio::time::Instant::now() < deadline => {
                let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
                events.send(AnswerEvent::Queued { ahead }).await.map_err(|_| Error::Left)?;
                tokio::select! {
                    () = tokio::time::sleep(BUSY_PAUSE) => {}
                    () = events.closed() => return Err(Error::Left),
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

enum Ended {
    Whole { prompt_tokens: usize, generated_tokens: usize, cut: bool },
    Left { pieces: usize },
}

impl Ended {
    fn counts(&self) -> (u64, u64, bool) {
        let wide = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        match *self {
            Self::Whole { prompt_tokens, generated_tokens, cut } => (wide(prompt_tokens), wide(generated_tokens), cut),
            // How many tokens a dropped generation made is not known; pieces are a lower bound.
            Self::Left { pieces } => (0, wide(pieces), false),
        }
    }
}

/// Follows a generation to its end, or until nobody reads any more.
async fn write(
    generation: &mut Generation,
    writer: &mut Writer<'_>,
    events: &Sender<AnswerEvent>,
) -> Result<Ended, Error> {
    let mut pieces = 0;
    loop {
        let piece = tokio::select! {
            biased;
            () = events.closed() => return Ok(Ended::Left { pieces }),
            piece = generation.next() => piece,
        };
        let (shown, finish) = match piece {
            Some(Ok(Piece::Text(text))) => (writer.push(&text), None),
            Some(Ok(Piece::End(finish))) => (writer.finish(), Some(finish)),
            Some(Err(error)) => return Err(error.into()),
            None => return Err(Error::Interrupted),
        };
        pieces += 1;
        for event in shown {
            if events.send_timeout(event, STALL).await.is_err() {
                return Ok(Ended::Left { pieces });
            }
        }
        if let Some(finish) = finish {
            return Ok(Ended::Whole {
                prompt_tokens: finish.prompt_tokens,
                generated_tokens: finish.generated_tokens,
                cut: finish.reason == FinishReason::Length,
            });
        }
    }
}

/// A reader who takes nothing for this long has left.
const STALL: Duration = Duration::from_secs(30);
