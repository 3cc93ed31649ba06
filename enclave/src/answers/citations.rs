//! Citation tags: opaque numbers that only the server can turn into documents.
//!
//! A model is shown passages as `[s1]`, `[s2]`, … and repeats those tags. [`TagFilter`] lets through only the tags
//! that were shown, in one spelling, even when a tag arrives in several pieces; everything that merely looks like a
//! tag is dropped. Nobody is ever shown `[7]` when there are four sources.

use std::collections::BTreeSet;

/// The longest bracket that can still be a list of tags, in bytes; a longer one is ordinary text.
const MAX_BRACKET: usize = 40;

/// Filters the tags of a text that arrives in pieces.
#[derive(Debug)]
pub struct TagFilter {
    /// Tags run from `s1` to this number.
    known: u32,
    /// An open bracket and what followed it, until it is known what it is.
    held: String,
    used: BTreeSet<u32>,
}

impl TagFilter {
    /// A filter that knows `s1` to `s<known>`.
    #[must_use]
    pub const fn new(known: u32) -> Self {
        Self { known, held: String::new(), used: BTreeSet::new() }
    }

    /// Takes the next piece and returns what can be shown so far.
    pub fn push(&mut self, piece: &str) -> String {
        let mut out = String::with_capacity(piece.len());
        for c in piece.chars() {
            if self.held.is_empty() && c != '[' {
                out.push(c);
                continue;
            }
            if c == '[' || c == '\n' || self.held.len() >= MAX_BRACKET {
                out.push_str(&self.release());
            }
            if c == '\n' || (self.held.is_empty() && c != '[') {
                out.push(c);
                continue;
            }
            self.held.push(c);
            if c == ']' {
                out.push_str(&self.close());
            }
        }
        out
    }

    /// Ends the text: an unfinished tag is dropped, an unfinished bracket of another kind is text.
    pub fn finish(&mut self) -> String {
        self.release()
    }

    /// Numbers of the tags that were let through.
    #[must_use]
    pub const fn used(&self) -> &BTreeSet<u32> {
        &self.used
    }

    fn close(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        let inside = held.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or("");
        let Some(numbers) = tag_numbers(inside) else { return held };
        let mut out = String::new();
        for number in numbers.into_iter().filter(|n| (1..=self.known).contains(n)) {
            self.used.insert(number);
            out.push_str(&format!("[s{number}]"));
        }
        out
    }

    fn release(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        let inside = held.strip_prefix('[').unwrap_or("");
        let unfinished = inside.trim_end_matches([',', ' ', ';']);
        if !held.is_empty() && (unfinished.eq_ignore_ascii_case("s") || tag_numbers(unfinished).is_some()) {
            return String::new();
        }
        held
    }
}

/// Whether `text` holds anything that a reader would take for a tag.
#[must_use]
pub fn has_tag_shape(text: &str) -> bool {
    let inside = |rest: &str| rest.split_once(']').is_some_and(|(inside, _)| tag_numbers(inside).is_some());
    text.match_indices('[').any(|(at, _)| text.get(at + 1..).is_some_and(inside))
}

/// The numbers of `s1`, `S1`, `s1, s2` or `s1; s2`; nothing for anything else.
fn tag_numbers(inside: &str) -> Option<Vec<u32>> {
    let number = |part: &str| {
        let digits = part.trim().strip_prefix(['s', 'S'])?;
        let canonical = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        // A number too large for the type is certainly not known; zero never is.
        canonical.then(|| digits.parse().unwrap_or(0))
    };
    inside.split([',', ';']).map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(known: u32, text: &str) -> String {
        let mut filter = TagFilter::new(known);
        let mut out = filter.push(text);
        out.push_str(&filter.finish());
        out
    }

    #[test]
    fn unknown_tags_are_dropped_and_others_spelled_alike() {
        assert_eq!(whole(2, "A [s1]. B [S2]. C [s3]. D [s1, s9]. E [s1;s2]"), "A [s1]. B [s2]. C . D [s1]. E [s1][s2]");
        assert_eq!(whole(2, "[s0][s00001][s99999999999]"), "[s1]");
    }

    #[test]
    fn other_brackets_are_text() {
        for text in [
            "see [annex 1] and [sic]",
            "a[0] [",
            "[[s]",
            "[summary]",
            "[\ns1]",
            "[this is no tag but a very long bracket indeed]",
        ] {
            assert_eq!(whole(3, text), if text == "[[s]" { "[[s]" } else { text }, "{text}");
        }
    }

    #[test]
    fn an_unfinished_tag_at_the_end_is_dropped() {
        assert_eq!(whole(3, "yes [s"), "yes ");
        assert_eq!(whole(3, "yes [s2"), "yes ");
        assert_eq!(whole(3, "yes [s1, "), "yes ");
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(text in r"(\[|\]|s|S|[0-9]|,| |é|\n|a){0,40}", cuts in prop::collection::vec(0usize..40, 0..6)) {
            let mut filter = TagFilter::new(3);
            let mut out = String::new();
            let chars: Vec<char> = text.chars().collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(chars.len())).collect();
            cuts.sort_unstable();
            cuts.push(chars.len());
            let mut from = 0;
            for to in cuts {
                let piece: String = chars[from..to].iter().collect();
                out.push_str(&filter.push(&piece));
                from = to;
            }
            out.push_str(&filter.finish());
            prop_assert_eq!(&out, &whole(3, &text));
            for unknown in ["[s0]", "[s4]", "[s12]", "[S1]"] {
                prop_assert!(!out.contains(unknown), "{} holds {}", out, unknown);
            }
        }
    }
}
