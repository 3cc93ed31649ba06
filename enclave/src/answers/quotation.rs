//! Answers without a language model: the sentences that bear on the question, word for word, each with its source.

use cloister_policies::prompts::QUOTATION;
use cloister_protocol::api::Citation;

use super::citations::has_tag_shape;
use super::evidence::{Bearing, Weighted};
use super::passages::{Passage, Source};
use super::sentences::sentences;

/// The most quotations in an answer.
pub const MOST_QUOTES: usize = 3;
/// A quotation must score at least this share of the best one.
const NEAR_BEST: f32 = 0.82;
/// The longest sentence that is quoted whole, in characters; what is longer is a table or a list run together.
const LONGEST_CHARS: usize = 900;
/// A line of at most this many words may be a caption.
const CAPTION_WORDS: usize = 6;
/// The most sentences that are weighed.
pub const MOST_CANDIDATES: usize = 48;

/// A sentence that could be quoted.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Where it stands.
    pub source: &'a Source,
    /// The passage in the source.
    pub passage: &'a Passage,
    /// The sentence, a substring of the passage.
    pub sentence: &'a str,
}

impl Candidate<'_> {
    /// The sentence behind the title of its section, which says what a row of a table or an "it" is about.
    #[must_use]
    pub fn in_context(&self) -> String {
        let title = self.source.section.last().unwrap_or(&self.source.title);
        format!("{title}: {}", self.sentence)
    }

    /// How the sentence bears on a question, given the cosine of both.
    ///
    /// The words around the sentence count by half: "it" in a sentence is often named in the one before or above.
    #[must_use]
    pub fn bearing(&self, question: &Weighted, cosine: f32) -> Bearing {
        let around = format!("{}\n{}", self.source.heading(), self.passage.text);
        Bearing { cosine, coverage: f32::midpoint(question.coverage(self.sentence), question.coverage(&around)) }
    }
}

/// The sentences of the passages that were found, best passage first.
///
/// Sentences that contain something like a citation tag are left out: quoted, they would cite what they do not mean.
#[must_use]
pub fn candidates(sources: &[Source]) -> Vec<Candidate<'_>> {
    let mut passages: Vec<(&Source, &Passage)> =
        sources.iter().flat_map(|s| s.passages.iter().map(move |p| (s, p))).filter(|(_, p)| p.score > 0.0).collect();
    passages.sort_by(|a, b| b.1.score.total_cmp(&a.1.score));
    let all = passages.into_iter().flat_map(|(source, passage)| {
        sentences(&passage.text).into_iter().map(move |sentence| Candidate { source, passage, sentence })
    });
    let quotable = |c: &Candidate<'_>| {
        says_something(c.sentence) && !has_tag_shape(c.sentence) && c.sentence.chars().count() <= LONGEST_CHARS
    };
    all.filter(quotable).take(MOST_CANDIDATES).collect()
}

/// Whether a line is more than a caption: it ends as a sentence does, or is long, or has a number.
fn says_something(line: &str) -> bool {
    line.ends_with(['.', '!', '?', ':', ';', '"', ')'])
        || line.split_whitespace().count() > CAPTION_WORDS
        || line.contains(|c: char| c.is_ascii_digit())
}

/// A quotation answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Quotation {
    /// The text, with the notice that it is quotation and a tag behind each quote.
    pub text: String,
    /// What the tags mean.
    pub citations: Vec<Citation>,
}

/// Writes the answer from candidates and how each bears on the question, in the same order; the caller has found that
/// there is evidence. Nothing if there is no candidate.
#[must_use]
pub fn quote(candidates: &[Candidate<'_>], bearings: &[Bearing]) -> Option<Quotation> {
    let mut ranked: Vec<(&Bearing, &Candidate<'_>)> = bearings.iter().zip(candidates).collect();
    ranked.sort_by(|a, b| b.0.score().total_cmp(&a.0.score()));
    let least = ranked.first()?.0.score() * NEAR_BEST;
    let mut text = format!("{}\n", QUOTATION.line());
    let mut citations: Vec<Citation> = Vec::new();
    for (bearing, candidate) in ranked {
        let said = citations.iter().any(|c| c.quote == candidate.sentence);
        if said || bearing.score() < least || citations.len() >= MOST_QUOTES {
            continue;
        }
        let tag = u32::try_from(citations.len() + 1).unwrap_or(u32::MAX);
        let Some(mut citation) = candidate.source.cite(tag, candidate.passage, candidate.sentence) else { continue };
        citation.score = bearing.score();
        text.push_str(&format!("\n> {} [s{tag}]\n", candidate.sentence));
        citations.push(citation);
    }
    (!citations.is_empty()).then_some(Quotation { text, citations })
}
