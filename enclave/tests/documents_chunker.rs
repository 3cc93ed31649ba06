//! S4-30, S4-31: parents and children of any document keep all of it, in order, within their sizes.

use cloister_enclave::documents::chunker::{Parent, SIZES, Sizes, cut, embedding_text};
use cloister_protocol::parsed::{Block, ParsedDocument, Section};
use proptest::prelude::*;

/// Words of up to four letters per token, and two tokens around every text: the shape of the real tokenizer.
fn count(text: &str) -> usize {
    text.split_whitespace().map(|word| word.chars().count().div_ceil(4)).sum::<usize>() + 2
}

/// The path of a section and its blocks with their pages.
type Plain = (Vec<String>, Vec<(String, Option<u32>)>);

fn document(sections: Vec<Plain>) -> ParsedDocument {
    let sections = sections
        .into_iter()
        .map(|(path, blocks)| Section {
            path,
            blocks: blocks.into_iter().map(|(text, page)| Block { text, page }).collect(),
        })
        .collect();
    ParsedDocument { title: None, page_count: None, sections }
}

fn letters(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

fn check(document: &ParsedDocument, parents: &[Parent], sizes: &Sizes) {
    let before: String = document.sections.iter().flat_map(|s| &s.blocks).map(|b| letters(&b.text)).collect();
    let after: String = parents.iter().map(|parent| letters(&parent.text)).collect();
    assert_eq!(before, after, "nothing is lost and nothing is new");
    for parent in parents {
        assert!(document.sections.iter().any(|s| s.path == parent.path));
        let mut covered = 0;
        for child in &parent.children {
            let text = parent.text.get(child.range.clone()).expect("a substring");
            assert!(!text.is_empty() && text == text.trim());
            assert!(count(text) <= sizes.child_max || text.chars().count() == 1, "{} tokens", count(text));
            let gap = parent.text.get(covered..child.range.start.max(covered)).expect("in the text");
            assert!(gap.trim().is_empty(), "no text between children: {gap:?}");
            assert!(child.range.end > covered, "every child brings something new");
            covered = child.range.end;
        }
        assert!(parent.text.get(covered..).expect("in the text").trim().is_empty());
    }
}

#[test]
fn s4_31_children_are_whole_sentences_that_overlap_by_one() {
    let sentences: Vec<String> = (0..60)
        .map(|n| format!("This is statement number {n} of a long paragraph, and it has some more words in it."))
        .collect();
    let document = document(vec![(vec!["One".into()], vec![(sentences.join(" "), Some(3))])]);
    let parents = cut(&document, &count, &SIZES);
    check(&document, &parents, &SIZES);
    let parent = &parents[0];
    assert_eq!(parent.pages, Some((3, 3)));
    assert!(parent.children.len() > 4);
    for pair in parent.children.windows(2) {
        let (a, b) = (&parent.text[pair[0].range.clone()], &parent.text[pair[1].range.clone()]);
        assert!(a.starts_with("This is") && a.ends_with("in it."), "whole sentences");
        let last = a.rfind("This is").map(|at| &a[at..]).unwrap();
        assert!(b.starts_with(last), "the next child begins with the last sentence");
    }
}

#[test]
fn s4_30_parents_stay_in_their_section_and_are_about_equal() {
    let paragraph =
        |n: usize| (format!("Paragraph {n} says that {}", "something is so and not otherwise. ".repeat(10)), None);
    let long: Vec<_> = (0..40).map(paragraph).collect();
    let document = document(vec![
        (vec!["A".into()], vec![("Short section.".into(), None)]),
        (vec!["A".into(), "B".into()], long),
        (vec!["C".into()], vec![("Also short.".into(), None)]),
    ]);
    let parents = cut(&document, &count, &SIZES);
    check(&document, &parents, &SIZES);
    assert_eq!(parents[0].text, "Short section.");
    let of_b: Vec<usize> = parents.iter().filter(|p| p.path.len() == 2).map(|p| count(&p.text)).collect();
    assert!(of_b.len() >= 3 && of_b.iter().all(|n| (800..=1250).contains(n)), "{of_b:?}");
    assert_eq!(parents.last().unwrap().path, ["C"]);
}

#[test]
fn abbreviations_do_not_end_sentences() {
    let text = "Dr. Ada M. Keller keeps the register. See Sec. 4 for the rest of it.";
    let document = document(vec![(vec![], vec![(text.into(), None)])]);
    let small = Sizes { parent_max: 100, child_max: 14 };
    let parents = cut(&document, &count, &small);
    let children: Vec<&str> = parents[0].children.iter().map(|c| &parents[0].text[c.range.clone()]).collect();
    assert_eq!(children, ["Dr. Ada M. Keller keeps the register.", "See Sec. 4 for the rest of it."]);
}

#[test]
fn a_passage_is_embedded_under_its_title_and_section() {
    let path = vec!["Handbook".to_owned(), "Leave".to_owned(), "Carry-over".to_owned()];
    let embed = |max| embedding_text("Handbook", &path, "Ten days.", &count, max);
    assert_eq!(embed(100), "Handbook > Leave > Carry-over: Ten days.");
    assert_eq!(embed(13), "Handbook > Carry-over: Ten days.");
    assert_eq!(embed(9), "Carry-over: Ten days.");
    assert_eq!(embed(5), "Ten days.");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn s4_31_nothing_is_lost_and_limits_hold(
        sections in proptest::collection::vec(
            (
                proptest::collection::vec("[A-Z][a-z]{1,9}", 0..4),
                proptest::collection::vec(("([A-Za-zäß日本🦀]{1,40}([.!?,;:]? |\\. |\n)){1,80}x", proptest::option::of(1_u32..9)), 1..6),
            ),
            0..5,
        ),
        parent_max in 20_usize..200,
        child_max in 4_usize..60,
    ) {
        let document = document(sections);
        let sizes = Sizes { parent_max, child_max };
        let parents = cut(&document, &count, &sizes);
        check(&document, &parents, &sizes);
    }

    #[test]
    fn s4_31_any_tokenizer_and_any_text_terminate(text in "\\PC{0,300}", factor in 1_usize..50) {
        let strange = move |text: &str| text.len() * factor / 7 + 3;
        let document = document(vec![(vec![], vec![(text, None)])]);
        let parents = cut(&document, &strange, &Sizes { parent_max: 10, child_max: 4 });
        let before: String = document.sections.iter().flat_map(|s| &s.blocks).map(|b| letters(&b.text)).collect();
        prop_assert_eq!(before, parents.iter().map(|parent| letters(&parent.text)).collect::<String>());
    }
}
