//! XAES-256-GCM against the vectors of its specification.

use cloister_enclave::keys::secret::Secret;
use cloister_enclave::store::xaes::{Unauthentic, Xaes};
use proptest::prelude::*;

const NONCE: &[u8; 24] = b"ABCDEFGHIJKLMNOPQRSTUVWX";

fn sealed(key: u8, aad: &[u8]) -> String {
    let mut buffer = b"XAES-256-GCM".to_vec();
    let tag = Xaes::new(Secret::new([key; 32])).seal_in_place(NONCE, aad, &mut buffer);
    hex::encode([buffer.as_slice(), &tag].concat())
}

#[test]
fn dc_04_xaes_gives_the_published_vectors() {
    assert_eq!(sealed(1, b""), "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271");
    assert_eq!(sealed(3, b"c2sp.org/XAES-256-GCM"), "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d");
}

#[test]
fn wrapping_commits_to_the_key() {
    let (one, other) = (Xaes::new(Secret::new([1; 32])), Xaes::new(Secret::new([2; 32])));
    let wrapped = one.wrap_committing(b"slot", b"root key");
    assert_eq!(one.unwrap_committing(b"slot", &wrapped).expect("its own key opens it"), b"root key");
    assert_eq!(other.unwrap_committing(b"slot", &wrapped), Err(Unauthentic));
    assert_eq!(one.unwrap_committing(b"other slot", &wrapped), Err(Unauthentic));
}

proptest! {
    #[test]
    fn any_change_is_noticed(plaintext: Vec<u8>, aad: Vec<u8>, at: prop::sample::Index, flip in 1..=255_u8) {
        let key = Xaes::new(Secret::new([9; 32]));
        let mut wrapped = key.wrap(&aad, &plaintext);
        prop_assert_eq!(key.unwrap(&aad, &wrapped).expect("unchanged"), plaintext);
        let at = at.index(wrapped.len());
        wrapped[at] ^= flip;
        prop_assert_eq!(key.unwrap(&aad, &wrapped), Err(Unauthentic));
        wrapped.truncate(at);
        prop_assert_eq!(key.unwrap(&aad, &wrapped), Err(Unauthentic));
    }
}
