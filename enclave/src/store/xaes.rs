//! XAES-256-GCM of C2SP (<https://c2sp.org/XAES-256-GCM>), version 1.0.1.
//!
//! The derivation is on the `aes` crate; AES-256-GCM itself is ring's, which seals a record of 1 KiB six times as fast as
//! `aes-gcm`. The tests hold the two against each other.
//!
//! A nonce of 24 bytes is long enough to be drawn at random for every record: 2^80 records under one key keep the risk
//! of a repeat below 2^-32. It is not key-committing; whoever needs that says so with [`Xaes::commitment`].

use aes::Aes256;
use aes::cipher::KeyInit;
use aes::cipher::{Block, BlockEncrypt};
use hmac::{Hmac, Mac};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, Tag, UnboundKey};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::keys::secret::Secret;

/// Bytes of a nonce.
pub const NONCE_LEN: usize = 24;
/// Bytes of an authentication tag.
pub const TAG_LEN: usize = 16;
/// Bytes of a key commitment.
pub const COMMITMENT_LEN: usize = 16;

/// The ciphertext, its nonce, its associated data and the key do not belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sealed bytes do not authenticate")]
pub struct Unauthentic;

/// A key, with the part of the derivation that does not depend on the nonce already done.
pub struct Xaes {
    key: Secret<32>,
    cipher: Aes256,
    /// The CMAC subkey K1.
    k1: [u8; 16],
}

impl std::fmt::Debug for Xaes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Xaes(…)")
    }
}

impl Drop for Xaes {
    fn drop(&mut self) {
        self.k1.zeroize();
    }
}

impl Xaes {
    /// Prepares a key.
    #[must_use]
    pub fn new(key: Secret<32>) -> Self {
        let cipher = Aes256::new(key.expose_secret().into());
        let mut l = Block::<Aes256>::default();
        cipher.encrypt_block(&mut l);
        let l = u128::from_be_bytes(l.into());
        // Multiplication by x in GF(2^128), without a branch on the secret (SP 800-38B, 6.1).
        let k1 = (l << 1) ^ ((l >> 127) * 0x87);
        Self { key, cipher, k1: k1.to_be_bytes() }
    }

    /// The AES-256-GCM key for the nonces that start with `prefix`: CMAC of the two blocks `00 0i 58 00 ‖ prefix`.
    fn subkey(&self, prefix: &[u8; 12]) -> LessSafeKey {
        let mut key = [0; 32];
        for (half, counter) in key.chunks_exact_mut(16).zip(1..) {
            let mut block = [0; 16];
            block[..4].copy_from_slice(&[0, counter, b'X', 0]);
            block[4..].copy_from_slice(prefix);
            for (byte, mask) in block.iter_mut().zip(self.k1) {
                *byte ^= mask;
            }
            let mut block = block.into();
            self.cipher.encrypt_block(&mut block);
            half.copy_from_slice(&block);
        }
        let cipher = UnboundKey::new(&AES_256_GCM, &key).expect("the key has 32 bytes");
        key.zeroize();
        LessSafeKey::new(cipher)
    }

    /// Encrypts `buffer` in place under a nonce that must be fresh and random; answers the tag.
    ///
    /// # Panics
    /// Never for a buffer below the 64 GiB limit of GCM.
    #[must_use]
    pub fn seal_in_place(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], buffer: &mut [u8]) -> [u8; TAG_LEN] {
        let (prefix, rest) = split_nonce(nonce);
        let nonce = Nonce::assume_unique_for_key(*rest);
        let tag = self.subkey(prefix).seal_in_place_separate_tag(nonce, Aad::from(aad), buffer);
        let tag = tag.expect("the buffer is below the limit of GCM");
        tag.as_ref().try_into().expect("a tag has 16 bytes")
    }

    /// Decrypts `buffer` in place.
    ///
    /// # Errors
    /// [`Unauthentic`] when anything differs from what was sealed; the buffer's bytes are then of no use.
    pub fn open_in_place(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        buffer: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), Unauthentic> {
        let (prefix, rest) = split_nonce(nonce);
        let nonce = Nonce::assume_unique_for_key(*rest);
        let key = self.subkey(prefix);
        let opened = key.open_in_place_separate_tag(nonce, Aad::from(aad), Tag::from(*tag), buffer, 0..);
        opened.map(drop).map_err(|_| Unauthentic)
    }

    /// Seals a short value as `nonce24 ‖ ciphertext ‖ tag16` under a fresh nonce.
    #[must_use]
    pub fn wrap(&self, aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let nonce = crate::keys::secret::random::<NONCE_LEN>();
        let mut out = Vec::with_capacity(NONCE_LEN + plaintext.len() + TAG_LEN);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(plaintext);
        let tag = self.seal_in_place(&nonce, aad, out.split_at_mut(NONCE_LEN).1);
        out.extend_from_slice(&tag);
        out
    }

    /// Opens what [`Self::wrap`] made.
    ///
    /// # Errors
    /// [`Unauthentic`], also when it is too short.
    pub fn unwrap(&self, aad: &[u8], wrapped: &[u8]) -> Result<Vec<u8>, Unauthentic> {
        let (nonce, rest) = wrapped.split_first_chunk::<NONCE_LEN>().ok_or(Unauthentic)?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or(Unauthentic)?;
        let mut plaintext = ciphertext.to_vec();
        self.open_in_place(nonce, aad, &mut plaintext, tag)?;
        Ok(plaintext)
    }

    /// HMAC-SHA256(K, "commit") cut to 16 bytes: put before a ciphertext, it commits to the key (protocols, section 9).
    #[must_use]
    pub fn commitment(&self) -> [u8; COMMITMENT_LEN] {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(self.key.expose_secret()).expect("HMAC takes any key");
        mac.update(b"commit");
        let full: [u8; 32] = mac.finalize().into_bytes().into();
        *full.first_chunk().expect("32 bytes begin with 16")
    }

    /// Like [`Self::wrap`], with the key commitment in front.
    #[must_use]
    pub fn wrap_committing(&self, aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let mut out = self.commitment().to_vec();
        out.extend_from_slice(&self.wrap(aad, plaintext));
        out
    }

    /// Opens what [`Self::wrap_committing`] made.
    ///
    /// # Errors
    /// [`Unauthentic`], also when the commitment is to another key.
    pub fn unwrap_committing(&self, aad: &[u8], wrapped: &[u8]) -> Result<Vec<u8>, Unauthentic> {
        let (commitment, rest) = wrapped.split_first_chunk::<COMMITMENT_LEN>().ok_or(Unauthentic)?;
        if !bool::from(commitment.ct_eq(&self.commitment())) {
            return Err(Unauthentic);
        }
        self.unwrap(aad, rest)
    }
}

fn split_nonce(nonce: &[u8; NONCE_LEN]) -> (&[u8; 12], &[u8; 12]) {
    let (prefix, rest) = nonce.split_first_chunk::<12>().expect("24 bytes begin with 12");
    (prefix, rest.first_chunk().expect("12 bytes are left"))
}
