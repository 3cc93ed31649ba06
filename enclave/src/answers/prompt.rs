//! Writing the prompt: rules first, the last turns of the conversation, then the passages and the question.
//!
//! The rules are the same for every question to an assistant, so that a model runtime can keep their prefix. The
//! passages are untrusted: each stands between lines that hold a random word, which no document can contain.

use cloister_models::Role;
use cloister_policies::prompts::{ANSWER, QUESTION, REFUSAL};

use super::citations::TagFilter;
use super::passages::Source;

/// How much of the room for passages and turns the turns may take: one in this many parts.
const TURNS_SHARE: usize = 4;
/// The most characters of a title in a prompt.
const TITLE_CHARS: usize = 120;
/// The most characters of an assistant's purpose in a prompt.
const PURPOSE_CHARS: usize = 2_000;

/// Everything that goes into a prompt.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// The assistant's name.
    pub assistant: &'a str,
    /// What it is for.
    pub purpose: &'a str,
    /// Earlier turns, oldest first.
    pub turns: &'a [(Role, String)],
    /// Sources, best first.
    pub sources: &'a [Source],
    /// The question.
    pub question: &'a str,
    /// A word that no document can contain: random, made for this prompt.
    pub boundary: &'a str,
}

/// A prompt that fits.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    /// The messages, for the model's template.
    pub messages: Vec<(Role, String)>,
    /// The sources shown, in the order of their tags: `s1` is the first.
    pub sources: Vec<Source>,
}

/// Writes a prompt of at most `room` tokens, as `count` counts them; nothing if not even one passage fits.
///
/// Turns go first when room is short (oldest first), then the worst passages.
#[must_use]
pub fn write(parts: &Parts<'_>, room: usize, count: impl Fn(&str) -> usize) -> Option<Prompt> {
    let system = ANSWER.fill(&[
        ("assistant", &one_line(parts.assistant, TITLE_CHARS)),
        ("purpose", &one_line(parts.purpose, PURPOSE_CHARS)),
        ("refusal", REFUSAL.line()),
    ]);
    let empty = QUESTION.fill(&[("boundary", parts.boundary), ("passages", ""), ("question", parts.question)]);
    let mut left = room.checked_sub(count(&system) + count(&empty))?;
    let turns = latest(parts.turns, left / TURNS_SHARE, &count);
    left = left.saturating_sub(turns.iter().map(|(_, text)| count(text)).sum());
    let (mut sources, mut passages) = (Vec::new(), String::new());
    for source in parts.sources {
        let tag = sources.len() + 1;
        let Some(fitting) = fit(source, left, |s| count(&passage(tag, s, parts.boundary))) else { continue };
        let text = passage(tag, &fitting, parts.boundary);
        left = left.saturating_sub(count(&text));
        passages.push_str(&text);
        sources.push(fitting);
    }
    if sources.is_empty() {
        return None;
    }
    let question =
        QUESTION.fill(&[("boundary", parts.boundary), ("passages", &passages), ("question", parts.question)]);
    let mut messages = vec![(Role::System, system)];
    messages.extend(turns);
    messages.push((Role::User, question));
    Some(Prompt { messages, sources })
}

/// As much of a source as fits: passages are left out from the end farther from its best one.
fn fit(source: &Source, room: usize, count: impl Fn(&Source) -> usize) -> Option<Source> {
    let mut kept = source.clone();
    while !kept.passages.is_empty() {
        if count(&kept) <= room {
            return Some(kept);
        }
        let order = |a: &(usize, f32), b: &(usize, f32)| a.1.total_cmp(&b.1);
        let best = kept.passages.iter().map(|p| p.score).enumerate().max_by(order)?.0;
        if best * 2 >= kept.passages.len() && best > 0 {
            kept.passages.remove(0);
        } else {
            kept.passages.pop();
        }
    }
    None
}

/// The last turns that fit, in order. Tags are taken out: they meant the passages of their own time.
fn latest(turns: &[(Role, String)], room: usize, count: impl Fn(&str) -> usize) -> Vec<(Role, String)> {
    let mut left = room;
    let mut kept = Vec::new();
    for (role, text) in turns.iter().rev() {
        let text = without_tags(text);
        let Some(rest) = left.checked_sub(count(&text)) else { break };
        left = rest;
        kept.push((*role, text));
    }
    kept.reverse();
    kept
}

fn without_tags(text: &str) -> String {
    let mut filter = TagFilter::new(0);
    let mut out = filter.push(text);
    out.push_str(&filter.finish());
    out
}

fn passage(tag: usize, source: &Source, boundary: &str) -> String {
    let place = std::iter::once(&source.title)
        .chain(&source.section)
        .map(|t| one_line(t, TITLE_CHARS))
        .collect::<Vec<_>>()
        .join(", ");
    format!("{boundary} [s{tag}] from [{place}]:\n{}\n{boundary}\n\n", source.text())
}

/// At most `most` characters of a text, as one line without control characters.
fn one_line(text: &str, most: usize) -> String {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect();
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::passages::Passage;
    use cloister_protocol::ids::{ChunkId, DocumentId};

    fn source(n: u64, texts: &[(&str, f32)]) -> Source {
        let mut section_text = String::new();
        let mut passages = Vec::new();
        for (i, (text, score)) in (0..).zip(texts) {
            let start = section_text.len();
            section_text.push_str(text);
            passages.push(Passage {
                chunk: ChunkId::from_parts(n, i),
                text: (*text).to_owned(),
                range: start..section_text.len(),
                sha256: String::new(),
                page: None,
                score: *score,
            });
            section_text.push('\n');
        }
        Source {
            document: DocumentId::from_parts(n, 0),
            title: format!("Title {n}\nwith a line end"),
            sha256: String::new(),
            section: vec!["Ch. 3".into()],
            section_text: section_text.into(),
            passages,
        }
    }

    fn words(text: &str) -> usize {
        text.split_whitespace().count()
    }

    fn parts<'a>(sources: &'a [Source], turns: &'a [(Role, String)]) -> Parts<'a> {
        Parts {
            assistant: "Anna",
            purpose: "helps",
            turns,
            sources,
            question: "Why {{passages}}?",
            boundary: "b0undary",
        }
    }

    #[test]
    fn passages_stand_between_boundaries_and_questions_are_not_templates() {
        let sources = [source(1, &[("One.", 1.0), ("Two.", 0.0)])];
        let prompt = write(&parts(&sources, &[]), 1000, words).unwrap();
        let last = &prompt.messages.last().unwrap().1;
        assert!(
            last.contains("b0undary [s1] from [Title 1 with a line end, Ch. 3]:\nOne.\nTwo.\nb0undary\n"),
            "{last}"
        );
        assert!(last.ends_with("Question: Why {{passages}}?\n"));
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_the_best_passage_stays() {
        let long = "word ".repeat(60);
        let sources = [source(1, &[(&long, 0.0), ("The best one.", 1.0), (&long, 0.0)]), source(2, &[(&long, 1.0)])];
        let fixed = words(&write(&parts(&sources, &[]), 100_000, words).unwrap().messages[0].1) + 30;
        let prompt = write(&parts(&sources, &[]), fixed + 25, words).unwrap();
        assert_eq!(prompt.sources.len(), 1);
        assert_eq!(prompt.sources[0].text(), "The best one.");
        assert_eq!(write(&parts(&sources, &[]), 20, words), None);
    }

    #[test]
    fn turns_lose_their_tags_and_the_oldest_go_first() {
        let sources = [source(1, &[("One.", 1.0)])];
        let turns =
            [(Role::User, "old ".repeat(900)), (Role::Assistant, "It is so [s1].".into()), (Role::User, "Ok".into())];
        let prompt = write(&parts(&sources, &turns), 1000, words).unwrap();
        let turns: Vec<&str> = prompt.messages[1..3].iter().map(|m| m.1.as_str()).collect();
        assert_eq!(turns, ["It is so .", "Ok"]);
        assert_eq!(prompt.messages.len(), 4);
    }
}
