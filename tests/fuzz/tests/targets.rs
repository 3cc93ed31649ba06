//! Every fuzz target over its corpus, over damaged copies of it, and over every input that ever found something.
//!
//! The same on every run. It keeps the targets from rotting; finding new things is `deploy/fuzz`'s business.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cloister_fuzz::{corpus, find, targets};

/// Damaged copies of each seed.
const COPIES: u64 = 100;
/// Seeds of one target that are damaged: the first ones, and all are run as they are.
const DAMAGED: usize = 60;

fn vectors() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors");
    std::env::var_os("CLOISTER_VECTORS").map_or_else(beside, PathBuf::from)
}

/// A sequence of numbers that looks random and is not (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound.max(1) as u64).expect("below a usize")
    }
}

/// A bit, a byte, a cut, a repetition or a length field: what goes wrong with bytes on the way.
fn damage(data: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut data = data.to_vec();
    for _ in 0..=numbers.below(3) {
        let at = numbers.below(data.len());
        match numbers.below(6) {
            0 | 1 => data.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << numbers.below(8)),
            2 => data.iter_mut().skip(at).take(4).for_each(|byte| *byte = 0xff),
            3 => data.truncate(at),
            4 => data.extend_from_within(at..),
            _ => drop(data.splice(at..(at + numbers.below(9)).min(data.len()), [])),
        }
    }
    data
}

/// One test, because the limit on allocations is that of the whole process.
#[test]
fn every_target_holds_on_its_corpus_and_on_damaged_copies() {
    let seeds = corpus::seeds(&vectors()).expect("the published cases");
    let with_seeds: BTreeSet<&str> = seeds.iter().map(|seed| seed.target).collect();
    let all: BTreeSet<&str> = targets().map(|target| target.name).collect();
    assert_eq!(with_seeds, all, "every target has a seed, and every seed a target");
    let mut runs = 0;
    for target in targets() {
        let mut numbers = Numbers(1);
        for (at, seed) in seeds.iter().filter(|seed| seed.target == target.name).enumerate() {
            target.run(&seed.data);
            let copies = if at < DAMAGED { COPIES } else { 1 };
            (0..copies).for_each(|_| target.run(&damage(&seed.data, &mut numbers)));
            runs += 1 + copies;
        }
        target.run(&[]);
    }
    assert!(runs > 20_000, "only {runs} runs");
    regressions();
}

/// `regressions/<target>/<what it was>`: inputs that once did not hold.
fn regressions() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    for of_target in std::fs::read_dir(folder).expect("the folder").flatten().map(|entry| entry.path()) {
        let name = of_target.file_name().and_then(|name| name.to_str()).expect("a target's name");
        if name == ".gitkeep" {
            continue;
        }
        let target = find(name).unwrap_or_else(|| panic!("regressions/{name} is of no target"));
        for input in std::fs::read_dir(&of_target).expect("a folder").flatten() {
            target.run(&std::fs::read(input.path()).expect("an input"));
        }
    }
}
