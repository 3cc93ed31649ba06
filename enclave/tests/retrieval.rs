//! Retrieval through its public surface: filters, tombstones, segments, sealed segments.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a test fails by panicking, and its numbers are small"
)]

use std::collections::{BTreeSet, HashSet};
use std::sync::OnceLock;

use cloister_enclave::retrieval::vector::DIM;
use cloister_enclave::retrieval::{Error, Filter, Hit, Index, Limits, Passage, Query};
use cloister_protocol::ids::{ChunkId, DocumentId};
use proptest::prelude::*;

const MODEL: [u8; 32] = [7; 32];

/// A passage that the test made: its chunk, text and vector.
type Made = (ChunkId, String, Vec<f32>);

fn document(n: u64) -> DocumentId {
    DocumentId::from_parts(n, 0)
}

/// Small deterministic random numbers in -1..1.
fn noise(seed: u64) -> impl Iterator<Item = f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::from_fn(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Some((state >> 40) as f32 / (1u64 << 23) as f32 - 1.0)
    })
}

/// A vector near one of a few centres, as the vectors of real texts are.
fn vector(seed: u64) -> Vec<f32> {
    let centre = noise(seed % 17 + 1_000_000);
    centre.zip(noise(seed)).map(|(c, n)| c + 0.7 * n).take(DIM).collect()
}

fn made(doc: u64, rows: u64) -> Vec<Made> {
    const WORDS: [&str; 8] = ["warranty", "invoice", "holiday", "safety", "engine", "salary", "delivery", "garden"];
    let text = |seed: u64| format!("{} {} number {seed}", WORDS[(seed % 8) as usize], WORDS[(seed / 3 % 8) as usize]);
    (0..rows).map(|i| (ChunkId::from_parts(doc, u128::from(i)), text(doc * 31 + i), vector(doc * 1009 + i))).collect()
}

fn add(index: &Index, doc: u64, made: &[Made]) {
    let passages: Vec<Passage<'_>> =
        made.iter().map(|(chunk, text, vector)| Passage { chunk: *chunk, parent: 0, text, vector }).collect();
    index.add_document(document(doc), &passages).unwrap();
}

fn search(index: &Index, text: &str, seed: u64, filter: &Filter, k: usize) -> Vec<Hit> {
    let query = Query { text, vector: &vector(seed), filter, k, per_document: 3 };
    index.search(&query).unwrap()
}

fn chunks(hits: &[Hit]) -> Vec<ChunkId> {
    hits.iter().map(|hit| hit.chunk).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A search under a filter gives exactly what an index of only the allowed documents would give: nothing of another
    /// document, nothing less, and no trace of other documents in the order.
    #[test]
    fn s4_34_filter_is_as_if_nothing_else_existed(
        sizes in prop::collection::vec(1u64..9, 2..12),
        allowed_bits in any::<u16>(),
        removed_bits in any::<u16>(),
        seed in 0u64..5000,
        k in 1usize..12,
    ) {
        let (all, only) = (Index::default(), Index::default());
        let mut allowed = HashSet::new();
        for (n, rows) in (0u64..).zip(&sizes) {
            let made = made(n, *rows);
            add(&all, n, &made);
            if allowed_bits >> n & 1 == 1 {
                allowed.insert(document(n));
                if removed_bits >> n & 1 == 0 {
                    add(&only, n, &made);
                }
            }
        }
        for n in (0..sizes.len() as u64).filter(|n| removed_bits >> n & 1 == 1) {
            prop_assert!(all.remove_document(document(n)));
        }
        let hits = search(&all, "engine warranty of the garden", seed, &Filter::Documents(allowed.clone()), k);
        prop_assert!(hits.iter().all(|hit| allowed.contains(&hit.document)));
        let expected = search(&only, "engine warranty of the garden", seed, &Filter::All, k);
        prop_assert_eq!(chunks(&hits), chunks(&expected));
        prop_assert_eq!(hits.iter().map(|h| h.score).collect::<Vec<_>>(), expected.iter().map(|h| h.score).collect::<Vec<_>>());
    }
}

/// dify #33762: more than 100 documents in the filter gave an empty result.
#[test]
fn s4_34_a_filter_of_many_documents_finds() {
    let index = Index::default();
    for n in 0..400 {
        add(&index, n, &made(n, 2));
    }
    let filter = Filter::Documents((0..300).map(document).collect());
    let hits = search(&index, "salary", 5, &filter, 10);
    assert_eq!(hits.len(), 10);
    assert!(hits.iter().all(|hit| hit.document < document(300)));
    assert!(search(&index, "salary", 5, &Filter::Documents(HashSet::new()), 10).is_empty());
    let unknown = Filter::Documents([document(9999)].into());
    assert!(search(&index, "salary", 5, &unknown, 10).is_empty());
}

fn small() -> Limits {
    Limits { exact_rows: 50, buffer_rows: 300 }
}

/// The bytes of a graph of 300 rows; building one takes seconds in a development build, so it is built once.
fn graph() -> &'static [u8] {
    static GRAPH: OnceLock<Vec<u8>> = OnceLock::new();
    GRAPH.get_or_init(|| {
        let index = Index::with_limits(small());
        for n in 0..30 {
            add(&index, n, &made(n, 10));
        }
        assert!(index.merge());
        assert_eq!(index.shape(), (vec![300], 0));
        sealed(&index).remove(0)
    })
}

/// An index with a graph of 300 rows and a buffer of 40.
fn segmented() -> Index {
    let index = Index::with_limits(small());
    for n in 0..34 {
        add(&index, n, &made(n, 10));
    }
    assert!(index.restore_segment(graph(), MODEL).unwrap().is_some());
    assert_eq!(index.shape(), (vec![300], 40));
    assert!(!index.merge(), "the buffer is not full");
    index
}

#[test]
fn s0_17_what_every_search_may_compare_whole_becomes_no_graph() {
    let index = Index::with_limits(Limits { exact_rows: 50, buffer_rows: 20 });
    for n in 0..5 {
        add(&index, n, &made(n, 10));
    }
    assert!(!index.wants_merge());
    assert!(!index.merge());
    add(&index, 5, &made(5, 10));
    assert!(index.wants_merge(), "one document more is too much for comparing all");
}

fn sealed(index: &Index) -> Vec<Vec<u8>> {
    index.segment_ids().into_iter().map(|id| index.segment_bytes(id, MODEL).unwrap().unwrap()).collect()
}

fn exact(limit_docs: u64) -> Index {
    let index = Index::default();
    for n in 0..limit_docs {
        add(&index, n, &made(n, 10));
    }
    index
}

fn recall(found: &Index, exact: &Index, filter: &Filter) -> f64 {
    let mut hits = 0;
    for seed in 0..50 {
        let truth: BTreeSet<ChunkId> = chunks(&exact.nearest(&vector(seed), filter, 10).unwrap()).into_iter().collect();
        let got = found.nearest(&vector(seed), filter, 10).unwrap();
        assert_eq!(got.len(), truth.len(), "never fewer than an exact search");
        hits += got.iter().filter(|hit| truth.contains(&hit.chunk)).count();
    }
    f64::from(hits as u32) / 500.0
}

#[test]
fn segments_find_what_an_exact_scan_finds() {
    let (index, exact) = (segmented(), exact(34));
    assert!(recall(&index, &exact, &Filter::All) >= 0.99);
    // Half of the documents: too few of what the graph finds is allowed, so it is left aside.
    let filter = Filter::Documents((0..34).step_by(2).map(document).collect());
    assert!(recall(&index, &exact, &filter) >= 0.99);
}

#[test]
fn removed_documents_are_gone_from_graph_words_and_sealed_segments() {
    let index = segmented();
    for n in 0..5 {
        assert!(index.remove_document(document(n)));
        assert!(!index.remove_document(document(n)));
    }
    let blobs = sealed(&index);
    let back = Index::with_limits(small());
    for n in 5..34 {
        add(&back, n, &made(n, 10));
    }
    assert!(back.restore_segment(&blobs[0], MODEL).unwrap().is_some());
    assert_eq!(back.shape(), (vec![250], 40), "dead rows stay dead");
    for index in [&index, &back] {
        for seed in 0..50 {
            let hits = search(index, "warranty engine", seed, &Filter::All, 20);
            assert_eq!(hits.len(), 20);
            assert!(hits.iter().all(|hit| hit.document >= document(5)));
        }
    }
}

#[test]
fn a_sealed_segment_answers_as_before() {
    let index = segmented();
    let blobs = sealed(&index);
    let back = Index::with_limits(small());
    // After a restart documents come in another order.
    for n in (0..34).rev() {
        add(&back, n, &made(n, 10));
    }
    assert!(back.restore_segment(&blobs[0], MODEL).unwrap().is_some());
    assert_eq!(back.shape(), (vec![300], 40));
    assert_eq!(back.restore_segment(&blobs[0], MODEL).unwrap(), None, "twice is not more");
    for seed in 0..50 {
        let (a, b) = (index.nearest(&vector(seed), &Filter::All, 10), back.nearest(&vector(seed), &Filter::All, 10));
        assert_eq!(chunks(&a.unwrap()), chunks(&b.unwrap()));
    }
}

#[test]
fn a_segment_of_another_model_or_damaged_is_refused() {
    let index = segmented();
    let blob = sealed(&index).remove(0);
    let fresh = || Index::with_limits(small());
    assert_eq!(fresh().restore_segment(&blob, [8; 32]), Err(Error::Segment));
    for cut in [0, 1, 40, blob.len() / 2, blob.len() - 1] {
        assert_eq!(fresh().restore_segment(&blob[..cut], MODEL), Err(Error::Segment));
    }
}

#[test]
fn many_deletions_are_compacted_and_nothing_else_changes() {
    let (index, reference) = (Index::with_limits(Limits { exact_rows: 50, buffer_rows: 100_000 }), Index::default());
    for n in 0..150 {
        add(&index, n, &made(n, 10));
    }
    for n in 0..140 {
        index.remove_document(document(n));
    }
    for n in 140..150 {
        add(&reference, n, &made(n, 10));
    }
    assert!(index.shape().1 < 500, "dead rows are dropped: {:?}", index.shape());
    for seed in 0..20 {
        let found = search(&index, "delivery garden", seed, &Filter::All, 10);
        assert_eq!(chunks(&found), chunks(&search(&reference, "delivery garden", seed, &Filter::All, 10)));
    }
}

#[test]
fn replacing_a_document_leaves_nothing_of_the_old_one() {
    let index = Index::default();
    add(&index, 1, &made(1, 5));
    let newer = vec![(ChunkId::from_parts(77, 0), "entirely different".to_owned(), vector(3))];
    add(&index, 1, &newer);
    assert_eq!(chunks(&search(&index, "warranty different", 1, &Filter::All, 10)), [newer[0].0]);
    assert_eq!(index.documents(), 1);
}

#[test]
fn bad_vectors_change_nothing() {
    let index = Index::default();
    let chunk = ChunkId::from_parts(1, 1);
    let good = vector(1);
    let mut nan = vector(1);
    nan[7] = f32::NAN;
    for (bad, error) in [(vec![1.0; DIM + 1], Error::Dimension(DIM + 1)), (nan, Error::NotFinite)] {
        let passages = [
            Passage { chunk, parent: 0, text: "a", vector: &good },
            Passage { chunk, parent: 0, text: "b", vector: &bad },
        ];
        assert_eq!(index.add_document(document(1), &passages), Err(error));
        assert_eq!(index.documents(), 0);
        let query = Query { text: "a", vector: &bad, filter: &Filter::All, k: 3, per_document: 3 };
        assert_eq!(index.search(&query), Err(error));
    }
}

#[test]
fn an_exact_word_beats_a_near_meaning_and_one_document_does_not_fill_the_list() {
    let index = Index::default();
    let texts = ["the error code is E4711", "errors in general", "codes of all kinds"];
    for (n, text) in (0u64..).zip(texts) {
        add(&index, n, &[(ChunkId::from_parts(n, 0), text.to_owned(), vector(100 + n))]);
    }
    add(&index, 9, &made(9, 20));
    let hits = search(&index, "What does E4711 mean?", 101, &Filter::All, 3);
    assert!(hits.iter().take(2).any(|hit| hit.document == document(0)));
    let of_nine =
        search(&index, "number", 9 * 1009, &Filter::All, 6).iter().filter(|h| h.document == document(9)).count();
    assert_eq!(of_nine, 3, "the cap holds while others have something to say");
    let alone = Filter::Documents([document(9)].into());
    assert_eq!(search(&index, "number", 1, &alone, 6).len(), 6, "and costs nothing where one document is all there is");
}

/// More equal vectors than a graph node has neighbours: a footer that stands in every document.
#[test]
fn equal_vectors_do_not_hide_the_others() {
    let index = Index::with_limits(Limits { exact_rows: 10, buffer_rows: 300 });
    for n in 0..30 {
        let mut rows = made(n, 10);
        for row in rows.iter_mut().take(6) {
            row.2 = vector(424_242);
        }
        add(&index, n, &rows);
    }
    assert!(index.merge());
    let target = made(29, 10).remove(9);
    let hits = index.nearest(&target.2, &Filter::All, 1).unwrap();
    assert_eq!(hits[0].chunk, target.0);
    assert_eq!(index.nearest(&vector(424_242), &Filter::All, 200).unwrap().len(), 200);
}
