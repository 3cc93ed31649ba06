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
/// A line with as many words says something even without a full stop, as items of lists do.
const WORDS_OF_A_STATEMENT: usize = 7;
/// The most sentences that are weighed.
pub const MOST_CANDIDATES: usize = 64;

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
    /// What is embedded: the sentence under its section, because a row of a table or an item of a list rarely repeats
    /// what it is about.
    #[must_use]
    pub fn embedded(&self) -> String {
        self.source
            .section
            .last()
            .map_or_else(|| self.sentence.to_owned(), |section| format!("{section}: {}", self.sentence))
    }

    fn around(&self) -> String {
        format!("{}\n{}", self.source.heading(), self.passage.text)
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
    let quotable = |c: &Candidate<'_>| !has_tag_shape(c.sentence) && c.sentence.chars().count() <= LONGEST_CHARS;
    all.filter(quotable).filter(|c| says_something(c.sentence)).take(MOST_CANDIDATES).collect()
}

/// Whether a line is a statement and not a caption: it ends like a sentence, holds a number, or is long.
fn says_something(line: &str) -> bool {
    line.ends_with(['.', '!', '?', ';', ':', '”', '"', ')'])
        || line.chars().any(char::is_numeric)
        || line.split_whitespace().count() >= WORDS_OF_A_STATEMENT
}

/// A quotation answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Quotation {
    /// The text, with the notice that it is quotation and a tag behind each quote.
    pub text: String,
    /// What the tags mean.
    pub citations: Vec<Citation>,
}

/// Writes the answer from candidates and the cosine of each with the question, in the same order. Nothing if none of
/// them is evidence.
#[must_use]
pub fn quote(question: &Weighted, candidates: &[Candidate<'_>], cosines: &[f32]) -> Option<Quotation> {
    let bearing = |(candidate, cosine): (&Candidate<'_>, &f32)| Bearing {
        cosine: *cosine,
        // The words around the sentence count by half: "it" in a sentence is often named in the one before or above.
        coverage: f32::midpoint(question.coverage(candidate.sentence), question.coverage(&candidate.around())),
    };
    let mut ranked: Vec<(Bearing, &Candidate<'_>)> =
        candidates.iter().zip(cosines).map(|pair| (bearing(pair), pair.0)).filter(|(b, _)| b.suffices()).collect();
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
