//! Do the passages that were found bear on the question? If not, the answer is a refusal, whatever a model would say.
//!
//! Two signals are weighed, because each fails alone. The cosine of question and sentence knows synonyms and is
//! fooled by topic; the share of the question's telling words that stand in the passage knows names and numbers and
//! is fooled by other words for the same thing.

use std::collections::HashSet;

use crate::retrieval::terms::terms;

/// Below this cosine nothing is enough: the words are there and mean something else.
pub const LEAST_COSINE: f32 = 0.30;
/// `cosine + WORDS_WEIGHT · coverage` must reach this.
///
/// Measured with all-MiniLM-L6-v2 on the demo set and the text of the GPL, with 47 questions that they answer and 47
/// that they do not, half of those about other things of the same harbour (`enclave/tests/answers/`): at 0.70 with a
/// weight of 0.5, 45 are answered and 42 refused, among them all of other topics. At 0.64 it is 45 and 41, at 0.74 41
/// and 44.
pub const ENOUGH: f32 = 0.70;
/// How much the share of words counts beside the cosine.
pub const WORDS_WEIGHT: f32 = 0.5;

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
        let (mut covered, mut total) = (0.0, 0.0);
        for (word, weight) in &self.words {
            total += weight;
            covered += if present.contains(word) { *weight } else { 0.0 };
        }
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
        self.cosine >= LEAST_COSINE && self.score() >= ENOUGH
    }
}
