//! The texts that the appliance says to a model, and the fixed sentences that it says to people in place of one.
//!
//! They are files in `policies/prompts/`, compiled in and part of [`crate::digest`]; the digest of the one that an
//! answer was made with stands in its receipt, so that anybody can check it with `sha256sum`.

use sha2::{Digest, Sha256};

/// A shipped text with places to fill in, written `{{name}}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prompt {
    /// The text of the file.
    pub text: &'static str,
}

/// The system prompt of an answer: `{{assistant}}`, `{{purpose}}`, `{{refusal}}`.
pub const ANSWER: Prompt = Prompt { text: include_str!("../prompts/answer.txt") };
/// The last turn of an answer's prompt: `{{boundary}}`, `{{passages}}`, `{{question}}`.
pub const QUESTION: Prompt = Prompt { text: include_str!("../prompts/question.txt") };
/// What is said when the documents do not answer a question.
pub const REFUSAL: Prompt = Prompt { text: include_str!("../prompts/refusal.txt") };
/// What is said below a generated answer that names no passage and whose words are those of none.
pub const UNSUPPORTED: Prompt = Prompt { text: include_str!("../prompts/unsupported.txt") };
/// What is said above quotations when no generative model is configured.
pub const QUOTATION: Prompt = Prompt { text: include_str!("../prompts/quotation.txt") };

impl Prompt {
    /// The text without its last line end.
    #[must_use]
    pub fn line(&self) -> &'static str {
        self.text.trim_end()
    }

    /// SHA-256 of the file.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(self.text).into()
    }

    /// The text with each `{{name}}` replaced by its value, in one pass: what a value contains is never a place to fill.
    /// A name without a value is left as it stands.
    #[must_use]
    pub fn fill(&self, values: &[(&str, &str)]) -> String {
        let mut out = String::with_capacity(self.text.len());
        let mut rest = self.text;
        while let Some((before, after)) = rest.split_once("{{") {
            out.push_str(before);
            let filled = after.split_once("}}").and_then(|(name, tail)| {
                let value = values.iter().find(|(known, _)| *known == name)?.1;
                Some((value, tail))
            });
            match filled {
                Some((value, tail)) => {
                    out.push_str(value);
                    rest = tail;
                }
                None => {
                    out.push_str("{{");
                    rest = after;
                }
            }
        }
        out.push_str(rest);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_never_filled_in_again() {
        let prompt = Prompt { text: "a {{x}} b {{y}} c {{z}} {{" };
        assert_eq!(prompt.fill(&[("x", "{{y}}"), ("y", "{{x}}")]), "a {{y}} b {{x}} c {{z}} {{");
    }

    #[test]
    fn every_place_of_the_shipped_prompts_has_a_name() {
        let answer = ANSWER.fill(&[("assistant", "A"), ("purpose", "P"), ("refusal", REFUSAL.line())]);
        let question = QUESTION.fill(&[("boundary", "B"), ("passages", "T"), ("question", "Q")]);
        assert!(!answer.contains("{{") && !question.contains("{{"));
    }
}
