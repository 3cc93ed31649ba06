//! XAES-256-GCM against the vectors of its specification.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests stop at the first surprise")]

use aes_gcm::aead::AeadInPlace as _;
use aes_gcm::{Aes256Gcm, KeyInit as _};
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

/// XAES on the `aes-gcm` crate, with the derivation of the specification written out.
fn reference(key: &[u8; 32], nonce: &[u8; 24], aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    use aes::cipher::BlockEncrypt as _;
    let cipher = aes::Aes256::new(key.into());
    let encrypt = |block: [u8; 16]| {
        let mut block = block.into();
        cipher.encrypt_block(&mut block);
        <[u8; 16]>::from(block)
    };
    let mut k1 = encrypt([0; 16]);
    let carry = k1[0] >> 7;
    for at in 0..16 {
        k1[at] = (k1[at] << 1) | k1.get(at + 1).map_or(0, |next| next >> 7);
    }
    k1[15] ^= carry * 0x87;
    let mut subkey = Vec::new();
    for counter in [1, 2] {
        let mut block = [0, counter, b'X', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        block[4..].copy_from_slice(&nonce[..12]);
        for at in 0..16 {
            block[at] ^= k1[at];
        }
        subkey.extend(encrypt(block));
    }
    let mut sealed = plaintext.to_vec();
    let gcm = Aes256Gcm::new_from_slice(&subkey).unwrap();
    let tag = gcm.encrypt_in_place_detached(nonce[12..].into(), aad, &mut sealed).unwrap();
    sealed.extend(tag);
    sealed
}

proptest! {
    #[test]
    fn two_implementations_agree(key: [u8; 32], nonce: [u8; 24], aad: Vec<u8>, plaintext: Vec<u8>) {
        let mut sealed = plaintext.clone();
        let tag = Xaes::new(Secret::new(key)).seal_in_place(&nonce, &aad, &mut sealed);
        sealed.extend(tag);
        prop_assert_eq!(sealed, reference(&key, &nonce, &aad, &plaintext));
    }

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
