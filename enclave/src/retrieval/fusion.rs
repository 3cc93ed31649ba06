//! Reciprocal rank fusion, and the cap that keeps one long document from filling the whole list.

use std::collections::HashMap;
use std::hash::Hash;

/// The constant of Cormack, Clarke and Büttcher 2009: how much less the first ranks count than their share.
pub const RRF_K: f32 = 60.0;

/// Fuses rankings, best first, into one: each list gives an item `1 / (60 + rank)`, ranks counted from 1.
///
/// Equal sums keep the order of first appearance, so the result depends on nothing but the rankings.
pub fn fuse<T: Copy + Eq + Hash>(rankings: &[&[T]]) -> Vec<(T, f32)> {
    let mut order: Vec<(T, f32)> = Vec::new();
    let mut place: HashMap<T, usize> = HashMap::new();
    for ranking in rankings {
        let mut rank = 0.0_f32;
        for &item in *ranking {
            rank += 1.0;
            let at = *place.entry(item).or_insert_with(|| {
                order.push((item, 0.0));
                order.len() - 1
            });
            if let Some(entry) = order.get_mut(at) {
                entry.1 += 1.0 / (RRF_K + rank);
            }
        }
    }
    order.sort_by(|a, b| b.1.total_cmp(&a.1));
    order
}

/// The first `k` items with at most `cap` of each group; places that stay empty go to what the cap held back.
///
/// So a question to a single document still gets `k` passages.
pub fn capped<T: Copy, G: Eq + Hash>(ranked: &[T], k: usize, cap: usize, group: impl Fn(&T) -> G) -> Vec<T> {
    let mut counts: HashMap<G, usize> = HashMap::new();
    let (mut kept, mut held) = (Vec::with_capacity(k), Vec::new());
    for item in ranked {
        let count = counts.entry(group(item)).or_insert(0);
        *count += 1;
        if *count > cap {
            held.push(*item);
        } else if kept.len() < k {
            kept.push(*item);
        }
    }
    let missing = k.saturating_sub(kept.len());
    kept.extend(held.into_iter().take(missing));
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_of_both_lists_wins() {
        let fused = fuse(&[&[1, 2, 3], &[9, 2, 8]]);
        assert_eq!(fused[0].0, 2);
        assert!((fused[0].1 - 2.0 / 62.0).abs() < 1e-6);
        assert_eq!(fused[1].0, 1, "equal sums keep the order of appearance");
    }

    #[test]
    fn the_cap_never_costs_results() {
        let ranked = [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("a", 4)];
        assert_eq!(capped(&ranked, 3, 2, |r| r.0), [("a", 1), ("a", 2), ("b", 1)]);
        assert_eq!(capped(&ranked, 5, 1, |r| r.0).len(), 5);
    }
}
