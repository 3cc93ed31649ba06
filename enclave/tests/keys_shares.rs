//! The recovery identity in shares: any few of them, of any number, and nothing else.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use cloister_enclave::keys::shares::{Error, Share, Split, combine};
use proptest::prelude::*;

fn read(split: &Split, numbers: &[usize]) -> Vec<Share> {
    numbers.iter().map(|number| Share::parse(&split.shares.get(*number).unwrap().to_text()).unwrap()).collect()
}

#[test]
fn dc_04_any_two_of_three_give_the_identity_whose_recipient_was_told() {
    let split = Split::new(2, 3).unwrap();
    for numbers in [&[0, 1][..], &[0, 2], &[1, 2], &[2, 0], &[0, 1, 2]] {
        let identity: age::x25519::Identity = combine(&read(&split, numbers)).unwrap().parse().unwrap();
        assert_eq!(identity.to_public().to_string(), split.recipient, "{numbers:?}");
    }
    for numbers in [&[][..], &[0], &[1], &[2]] {
        let refused = combine(&read(&split, numbers)).unwrap_err();
        assert_eq!(refused, Error::TooFew { have: numbers.len(), need: 2 });
    }
    assert_eq!(combine(&read(&split, &[1, 1])).unwrap_err(), Error::Twice);
    let other = Split::new(2, 3).unwrap();
    let mixed: Vec<Share> = read(&split, &[0]).into_iter().chain(read(&other, &[1])).collect();
    assert_eq!(combine(&mixed).unwrap_err(), Error::Mixed);
    assert!(!format!("{split:?}").contains("AGE-SECRET"), "nothing of it is printed");
}

/// Somebody who makes a share up, with a right check, gets no key and no other key.
#[test]
fn dc_04_a_forged_share_gives_nothing() {
    use sha2::Digest as _;
    let split = Split::new(2, 2).unwrap();
    let text = split.shares.first().unwrap().to_text();
    let body = text.rsplit_once('-').unwrap().0;
    let (head, bytes) = body.rsplit_once('-').unwrap();
    let last = if bytes.ends_with('0') { '1' } else { '0' };
    let forged = format!("{head}-{}{last}", bytes.get(..bytes.len() - 1).unwrap());
    let check = hex::encode(sha2::Sha256::digest(&forged).get(..4).unwrap());
    let forged = Share::parse(&format!("{forged}-{check}")).unwrap();
    let mut shares = read(&split, &[1]);
    shares.push(forged);
    assert_eq!(combine(&shares).unwrap_err(), Error::Forged);
}

#[test]
fn dc_04_numbers_that_make_no_sense_are_refused() {
    for (threshold, shares) in [(0, 3), (1, 3), (4, 3), (2, 1), (2, 17), (17, 17)] {
        assert_eq!(Split::new(threshold, shares).unwrap_err(), Error::Numbers, "{threshold} of {shares}");
    }
    assert_eq!(Split::new(16, 16).unwrap().shares.len(), 16);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn dc_04_every_slip_in_a_share_is_noticed(at in any::<prop::sample::Index>(), letter in "[0-9a-fA-Z-]") {
        let text = Split::new(2, 2).unwrap().shares.first().unwrap().to_text();
        let at = at.index(text.len());
        let mut slipped = text.to_string();
        slipped.replace_range(at..=at, &letter);
        prop_assert!(slipped == *text || Share::parse(&slipped).is_err());
    }

    #[test]
    fn no_text_panics(text in ".*", tail in "[0-9a-f-]{0,80}") {
        prop_assert!(Share::parse(&text).is_err());
        let text = ["CLOISTER-SHARE-1-", &tail].concat();
        prop_assert!(Share::parse(&text).is_err());
    }
}
