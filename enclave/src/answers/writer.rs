//! What a model writes, on its way to the reader: tags checked, citations found, the text kept.

use std::collections::BTreeSet;

use cloister_policies::prompts::{REFUSAL, UNSUPPORTED};
use cloister_protocol::api::{AnswerEvent, Citation};

use super::citations::TagFilter;
use super::evidence::Weighted;
use super::passages::Source;
use crate::retrieval::terms::query_terms;

/// The share of an untagged answer's words that a source must hold to be named as where it comes from.
const SUPPORT: f32 = 0.6;
/// How far back from a tag the claim is looked for that it belongs to, in characters.
const CLAIM_CHARS: usize = 400;

/// Collects an answer and says what to show of each piece.
#[derive(Debug)]
pub struct Writer<'a> {
    sources: &'a [Source],
    filter: TagFilter,
    text: String,
    cited: BTreeSet<u32>,
    citations: Vec<Citation>,
}

/// An answer that was written to its end, or as far as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// The text that was shown.
    pub text: String,
    /// What its tags mean.
    pub citations: Vec<Citation>,
}

impl<'a> Writer<'a> {
    /// A writer for an answer from these sources, tagged `s1` and on in their order.
    #[must_use]
    pub fn new(sources: &'a [Source]) -> Self {
        let known = u32::try_from(sources.len()).unwrap_or(u32::MAX);
        let (text, cited, citations) = (String::new(), BTreeSet::new(), Vec::new());
        Self { sources, filter: TagFilter::new(known), text, cited, citations }
    }

    /// Takes a piece of the model's text and returns the events to show it by. A citation comes before its first tag.
    pub fn push(&mut self, piece: &str) -> Vec<AnswerEvent> {
        let shown = self.filter.push(piece);
        self.show(shown)
    }

    /// Ends the answer: text held back is shown, and an answer without tags gets the one that its words come from, or
    /// a sentence that says there is none.
    pub fn finish(&mut self) -> Vec<AnswerEvent> {
        let held = self.filter.finish();
        let mut events = self.show(held);
        if self.cited.is_empty() && !self.text.trim().is_empty() && !self.is_refusal() {
            let end = self.supported_by().map_or_else(|| format!("\n\n{}", UNSUPPORTED.line()), |n| format!(" [s{n}]"));
            events.extend(self.push(&end));
        }
        events
    }

    /// Whether the model said that the documents do not answer the question.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        let told =
            |text: &str| text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
        let (said, refusal) = (told(&self.text), told(REFUSAL.line()));
        said.is_empty() || said.starts_with(&refusal)
    }

    /// The answer as it stands.
    #[must_use]
    pub fn written(self) -> Written {
        Written { text: self.text, citations: self.citations }
    }

    fn show(&mut self, shown: String) -> Vec<AnswerEvent> {
        if shown.is_empty() {
            return Vec::new();
        }
        let from = self.text.len();
        self.text.push_str(&shown);
        let mut events = Vec::new();
        let new: Vec<u32> = self.filter.used().difference(&self.cited).copied().collect();
        for tag in new {
            self.cited.insert(tag);
            let at = self
                .text
                .get(from..)
                .and_then(|t| t.find(&format!("[s{tag}]")))
                .map_or(self.text.len(), |at| from + at);
            let claim = claim_before(self.text.get(..at).unwrap_or(""));
            let source = usize::try_from(tag).ok().and_then(|n| self.sources.get(n.checked_sub(1)?));
            if let Some(citation) = source.and_then(|source| source.cite_for(tag, claim)) {
                events.push(AnswerEvent::Citation(citation.clone()));
                self.citations.push(citation);
            }
        }
        events.push(AnswerEvent::Delta { text: shown });
        events
    }

    /// The source that holds most of the answer's words, if it holds enough of them.
    fn supported_by(&self) -> Option<usize> {
        let words = query_terms(&self.text);
        let weights = vec![1.0; words.len()];
        let answer = Weighted::new(words, weights);
        let covered = self.sources.iter().map(|source| answer.coverage(source.text())).enumerate();
        let (at, share) = covered.max_by(|a, b| a.1.total_cmp(&b.1))?;
        (share >= SUPPORT).then_some(at + 1)
    }
}

/// The sentence that ends where a tag stands.
fn claim_before(text: &str) -> &str {
    let text = text.trim_end().trim_end_matches(['.', '!', '?', ' ']);
    let start = text.char_indices().rev().nth(CLAIM_CHARS).map_or(0, |(at, _)| at);
    let tail = text.get(start..).unwrap_or(text);
    let cut = tail.rfind(['.', '!', '?', ']', '\n']).map_or(0, |at| at + 1);
    tail.get(cut..).unwrap_or(tail)
}
