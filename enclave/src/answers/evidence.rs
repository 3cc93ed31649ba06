//! Do the passages that were found bear on the question? If not, the answer is a refusal, whatever a model would say.
//!
//! Two signals are weighed, because each fails alone. The cosine of question and sentence knows synonyms and is
//! fooled by topic; the share of the question's telling words that stand in the passage knows names and numbers and
//! is fooled by other words for the same thing.

use std::collections::HashSet;

use crate::retrieval::terms::terms;

/// From this cosine on, meaning alone is enough.
pub const STRONG_COSINE: f32 = 0.62;
/// Below this cosine nothing is enough.
pub const WEAK_COSINE: f32 = 0.30;
/// Between the two, `cosine + WORDS_WEIGHT · coverage` must reach this.
pub const BLEND: f32 = 0.62;
/// How much the share of words counts in the blend.
pub const WORDS_WEIGHT: f32 = 0.35;

/// The words of a question with how much each tells apart.
#[derive(Debug, Clone, Default)]
pub struct Weighted {
    words: Vec<(String, f32)>,
}

impl Weighted {
    /// Pairs words with their weights; both as the index gives them.
    #[must_use]
    pub fn new(words: Vec<String>, weights: Vec<f32>) -> Self {
        Self { words: words.into_iter().zip(weights).collect() }
    }

    /// The share, by weight, of the words that stand in `text`: 0 to 1.
    #[must_use]
    pub fn coverage(&self, text: &str) -> f32 {
        let present: HashSet<String> = terms(text).into_iter().collect();
        let total: f32 = self.words.iter().map(|(_, weight)| weight).sum();
        let covered: f32 = self.words.iter().filter(|(word, _)| present.contains(word)).map(|(_, weight)| weight).sum();
        if total > 0.0 { covered / total } else { 0.0 }
    }
}

/// What is known about how a text bears on a question.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bearing {
    /// Cosine of the vectors of question and text.
    pub cosine: f32,
    /// Share of the question's telling words in the text, 0 to 1.
    pub coverage: f32,
}

impl Bearing {
    /// One number to rank by.
    #[must_use]
    pub fn score(self) -> f32 {
        WORDS_WEIGHT.mul_add(self.coverage, self.cosine)
    }

    /// Whether the text is evidence for an answer.
    #[must_use]
    pub fn suffices(self) -> bool {
        self.cosine >= STRONG_COSINE || (self.cosine >= WEAK_COSINE && self.score() >= BLEND)
    }
}
