//! The receipt of an answer: what was asked, found and said, in digests, signed and in the log.

use std::sync::Arc;

use cloister_attestation::encoding::{Hex, sha256};
use cloister_attestation::receipt::{self, Chunk, Document, Kind, LogRef, Model, Receipt, ReceiptBody};
use cloister_protocol::api::AnswerKind;
use cloister_protocol::ids::ReceiptId;
use ed25519_dalek::SigningKey;

use super::engine::Draft;
use super::passages::Source;
use super::question::Question;

/// Signs receipts.
#[derive(Clone)]
pub struct Signer {
    key: Arc<SigningKey>,
}

impl Signer {
    /// A signer with the appliance's receipt key, which stands in the attested statement.
    #[must_use]
    pub fn new(key: SigningKey) -> Self {
        Self { key: Arc::new(key) }
    }

    /// Signs a body whose digest is at `index` of the log of this origin.
    #[must_use]
    pub fn sign(&self, body: ReceiptBody, origin: String, index: u64) -> Receipt {
        Receipt::sign(body, LogRef { origin, index }, &self.key)
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer(..)")
    }
}

/// The body of an answer's receipt.
#[must_use]
pub fn body(id: ReceiptId, question: &Question, draft: &Draft, model: Option<Model>, time_ms: u64) -> ReceiptBody {
    let by_model = matches!(draft.kind, AnswerKind::Generated | AnswerKind::Stopped) || draft.streamed;
    ReceiptBody {
        v: receipt::VERSION,
        receipt_id: id.to_string(),
        org: question.org.to_string(),
        time_ms,
        question_sha256: sha256(question.text.as_bytes()),
        answer_sha256: sha256(draft.text.as_bytes()),
        kind: kind(draft.kind),
        model: model.filter(|_| by_model),
        prompt_sha256: Hex(draft.prompt_sha256),
        documents: documents(&draft.sources),
        policies_sha256: Hex(cloister_policies::digest()),
    }
}

const fn kind(kind: AnswerKind) -> Kind {
    match kind {
        AnswerKind::Generated => Kind::Generated,
        AnswerKind::Quotation => Kind::Quotation,
        AnswerKind::Refusal => Kind::Refusal,
        AnswerKind::Stopped => Kind::Stopped,
    }
}

/// The documents of the sources, each once, with the passages that were used of it.
fn documents(sources: &[Source]) -> Vec<Document> {
    let mut documents: Vec<Document> = Vec::new();
    for source in sources {
        let chunk = |p: &super::passages::Passage| {
            Some(Chunk { chunk_id: p.chunk.to_string(), sha256: p.sha256.parse().ok()? })
        };
        let chunks: Vec<Chunk> = source.passages.iter().filter_map(chunk).collect();
        let id = source.document.to_string();
        let Ok(sha256) = source.sha256.parse() else { continue };
        match documents.iter_mut().find(|d| d.document_id == id) {
            Some(document) => document.chunks.extend(chunks),
            None => documents.push(Document { document_id: id, sha256, chunks }),
        }
    }
    documents
}
