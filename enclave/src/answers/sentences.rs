//! Cutting a passage into sentences without changing a byte, so that each can be quoted.

use unicode_segmentation::UnicodeSegmentation;

/// A piece below this many characters is too little to stand alone ("No. 7", "e.g.") and joins the next one.
const SHORTEST_CHARS: usize = 24;

/// The sentences of `text` in order, trimmed; each is a substring of it. Line ends always part sentences.
#[must_use]
pub fn sentences(text: &str) -> Vec<&str> {
    text.lines().flat_map(of_line).collect()
}

fn of_line(line: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut start = 0;
    for (offset, piece) in line.split_sentence_bound_indices() {
        let end = offset + piece.len();
        let Some(so_far) = line.get(start..end) else { continue };
        let trimmed = so_far.trim();
        if trimmed.chars().count() < SHORTEST_CHARS || ends_with_abbreviation(trimmed) {
            continue;
        }
        out.push(trimmed);
        start = end;
    }
    let rest = line.get(start..).unwrap_or("").trim();
    if !rest.is_empty() {
        out.push(rest);
    }
    out
}

/// UAX #29 ends a sentence after "Dr." when a capital follows; a reader would not.
fn ends_with_abbreviation(sentence: &str) -> bool {
    let last = sentence.rsplit(char::is_whitespace).next().unwrap_or("");
    let Some(word) = last.strip_suffix('.') else { return false };
    let word = word.trim_start_matches(['(', '[', '"']);
    ABBREVIATIONS.contains(&word) || (word.chars().count() == 1 && word.chars().all(char::is_uppercase))
}

const ABBREVIATIONS: &[&str] = &[
    "Art", "Co", "Corp", "Dr", "Fig", "Inc", "Jr", "Ltd", "Mr", "Mrs", "Ms", "No", "Nr", "Prof", "Sec", "Sr", "St",
    "approx", "cf", "e.g", "etc", "i.e", "vs",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_substrings_in_order() {
        let text = "Dr. Berger keeps the keys. Who else may open the safe?  Nobody at all, it says.\nSecond line here.";
        let found = sentences(text);
        assert_eq!(
            found,
            [
                "Dr. Berger keeps the keys.",
                "Who else may open the safe?",
                "Nobody at all, it says.",
                "Second line here."
            ]
        );
        assert!(found.iter().all(|s| text.contains(s)));
    }

    #[test]
    fn short_pieces_join_the_next() {
        assert_eq!(sentences("Yes. It can be returned within 14 days."), ["Yes. It can be returned within 14 days."]);
        assert_eq!(sentences(" \n "), Vec::<&str>::new());
    }
}
