//! One answer from admission to record: the task that outlives its reader.

use std::sync::Arc;

use cloister_attestation::encoding::Hex;
use cloister_attestation::receipt;
use cloister_protocol::api::{AnswerDone, AnswerEvent, AnswerKind, Message, MessageRole};
use cloister_protocol::ids::{MessageId, ReceiptId};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_util::task::TaskTracker;

use super::admission::{Admission, Lane, Place};
use super::engine::{Draft, Engine};
use super::receipts::{self, Signer};
use super::records::{CONVERSATIONS, ConversationRecord, MESSAGES, RECEIPTS, ReceiptRecord, title_of};
use super::{Error, Question};
use crate::access::Authorized;
use crate::audit;
use crate::clock::Clock;
use crate::fresh;
use crate::problem::Problem;
use crate::store::TenantStore;

/// Events that may wait for a slow reader.
const EVENTS: usize = 64;

/// Answers questions and keeps the answers.
#[derive(Debug, Clone)]
pub struct Answers {
    /// Makes them.
    pub engine: Engine,
    /// Lets one in at a time.
    pub admission: Arc<Admission>,
    /// Signs their receipts.
    pub signer: Signer,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Runs them.
    pub tracker: TaskTracker,
}

/// A question on its way in.
#[derive(Debug)]
pub struct Ask {
    /// The permission to ask.
    pub by: Authorized,
    /// The records of the organisation.
    pub store: TenantStore,
    /// The question.
    pub question: Question,
    /// Where it is kept; a question of the OpenAI-compatible API is kept nowhere.
    pub conversation: Option<InConversation>,
    /// Whose turn it waits for, and how many are answered at a time there.
    pub lane: (Lane, usize),
}

/// The conversation that a question is part of.
#[derive(Debug, Clone)]
pub struct InConversation {
    /// The group of the record.
    pub group: String,
    /// The conversation before the question.
    pub record: ConversationRecord,
}

/// An answer that has begun.
struct Begun {
    ask: Ask,
    answer_id: MessageId,
    asked_ms: u64,
    place: Place,
}

impl Answers {
    /// Takes a question in: it is on the disk when this returns, and the events of its answer follow.
    ///
    /// # Errors
    /// [`Error::TooManyWaiting`], [`Error::Store`]; then nothing was kept.
    pub async fn ask(&self, ask: Ask) -> Result<Receiver<AnswerEvent>, Error> {
        let place = self.admission.enter(ask.lane.0, ask.lane.1).ok_or(Error::TooManyWaiting)?;
        let asked_ms = self.clock.now_ms();
        if let Some(conversation) = &ask.conversation {
            self.keep_question(&ask, conversation, asked_ms).await?;
        }
        // Ids sort by time: the answer's is of a later millisecond than its question's.
        let answer_id = fresh::id(MessageId::from_parts, asked_ms + 1);
        let (sender, receiver) = channel(EVENTS);
        let begun = Begun { ask, answer_id, asked_ms, place };
        let answers = self.clone();
        self.tracker.spawn(async move { answers.run(begun, sender).await });
        Ok(receiver)
    }

    async fn keep_question(&self, ask: &Ask, conversation: &InConversation, now_ms: u64) -> Result<(), Error> {
        let mut record = conversation.record.clone();
        record.updated_ms = now_ms;
        if record.title.is_empty() {
            record.title = title_of(&ask.question.text);
        }
        let message = Message {
            id: fresh::id(MessageId::from_parts, now_ms),
            role: MessageRole::User,
            text: ask.question.text.clone(),
            kind: None,
            citations: Vec::new(),
            receipt_id: None,
            created_ms: now_ms,
        };
        let event = ask
            .by
            .event(audit::Class::ApiCreate, "chat.question")
            .detail("conversation", record.id.to_string())
            .detail("message", message.id.to_string());
        let mut batch = ask.store.batch();
        batch
            .put_in(&CONVERSATIONS, &conversation.group, &record.id.to_string(), &record)
            .put_in(&MESSAGES, &record.id.to_string(), &message.id.to_string(), &message)
            .audit(event);
        batch.commit().await?;
        Ok(())
    }

    async fn run(self, begun: Begun, events: Sender<AnswerEvent>) {
        match self.answer(begun, &events).await {
            Ok(()) | Err(Error::Left) => {}
            Err(error) => {
                let problem = Problem::from(error);
                // Whoever has left does not need to be told.
                let _told = events.send(AnswerEvent::Failed { problem: problem.slug().to_owned() }).await;
            }
        }
    }

    async fn answer(&self, begun: Begun, events: &Sender<AnswerEvent>) -> Result<(), Error> {
        let left = |_| Error::Left;
        events.send(AnswerEvent::Started { message_id: begun.answer_id }).await.map_err(left)?;
        let turn = begun.place.turn(|ahead| {
            // A reader with no room for the news has worse worries.
            let _told = events.try_send(AnswerEvent::Queued { ahead });
        });
        tokio::select! {
            () = turn => {}
            () = events.closed() => return Err(Error::Left),
        }
        let draft = self.engine.answer(&begun.ask.store, &begun.ask.question, events).await?;
        let streamed = draft.streamed;
        let (prompt_tokens, completion_tokens) = (draft.prompt_tokens, draft.completion_tokens);
        let message = self.record(&begun, draft).await?;
        if !streamed {
            for citation in &message.citations {
                events.send(AnswerEvent::Citation(citation.clone())).await.map_err(left)?;
            }
            events.send(AnswerEvent::Delta { text: message.text.clone() }).await.map_err(left)?;
        }
        let done = AnswerDone { message, prompt_tokens, completion_tokens };
        events.send(AnswerEvent::Done(Box::new(done))).await.map_err(left)
    }

    /// Writes message, receipt and audit leaf in one batch; returns when they are on the disk.
    async fn record(&self, begun: &Begun, draft: Draft) -> Result<Message, Error> {
        let Begun { ask, answer_id, .. } = begun;
        let now_ms = self.clock.now_ms().max(begun.asked_ms + 1);
        let receipt_id = fresh::id(ReceiptId::from_parts, now_ms);
        let models = &self.engine.models;
        let model = models.generator.as_ref().zip(models.generator_id.clone());
        let model = model.map(|(generator, id)| receipt::Model { id, sha256: Hex(*generator.digest().as_bytes()) });
        let body = receipts::body(receipt_id, &ask.question, &draft, model, now_ms);
        let event = event(begun, &draft, &body);
        let message = Message {
            id: *answer_id,
            role: MessageRole::Assistant,
            text: draft.text,
            kind: Some(draft.kind),
            citations: draft.citations,
            receipt_id: Some(receipt_id),
            created_ms: now_ms,
        };
        let mut batch = ask.store.batch();
        if let Some(conversation) = &ask.conversation {
            batch.put_in(&MESSAGES, &conversation.record.id.to_string(), &message.id.to_string(), &message);
        }
        let (signer, person_id) = (self.signer.clone(), ask.by.person());
        batch.put_with_leaves(&RECEIPTS, &receipt_id.to_string(), move |leaves| {
            let leaf = leaves.first().expect("the batch has one event");
            ReceiptRecord { person_id, receipt: signer.sign(body, leaf.origin.clone(), leaf.index) }
        });
        batch.audit(event);
        batch.commit().await?;
        Ok(message)
    }
}

/// What the log says of an answer: ids, digests and counts.
fn event(begun: &Begun, draft: &Draft, body: &receipt::ReceiptBody) -> audit::Event {
    let kind = serde_json::to_value(draft.kind).unwrap_or_default();
    let documents: Vec<String> = body.documents.iter().map(|d| d.document_id.clone()).collect();
    let ask = &begun.ask;
    let mut event = ask
        .by
        .event(audit::Class::ApiCreate, "chat.answer")
        .detail("kind", kind)
        .detail("message", begun.answer_id.to_string())
        .detail("receipt", body.receipt_id.clone())
        .detail("receipt_sha256", receipt::digest(body).to_string())
        .detail("documents", documents)
        .detail("prompt_tokens", draft.prompt_tokens)
        .detail("completion_tokens", draft.completion_tokens);
    if let Some(conversation) = &ask.conversation {
        event = event.detail("conversation", conversation.record.id.to_string());
    }
    if let Some(model) = &body.model {
        event = event.detail("model", model.id.clone()).detail("model_sha256", model.sha256.to_string());
    }
    event.outcome(if draft.kind == AnswerKind::Stopped { audit::Outcome::Failure } else { audit::Outcome::Success })
}
