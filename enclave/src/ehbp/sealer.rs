//! The sending half: plaintext in, frames of an encrypted response body out. No I/O.

use std::fmt;

use aes_gcm::aead::AeadInPlace;
use aes_gcm::{Aes256Gcm, KeyInit};
use bytes::{BufMut, Bytes, BytesMut};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::TAG_BYTES;

/// The longest ciphertext of one response frame, tag included.
const MAX_FRAME_BYTES: usize = 16 * 1024;
const MAX_PLAINTEXT_BYTES: usize = MAX_FRAME_BYTES - TAG_BYTES;
const NONCE_BYTES: usize = 12;

/// Seals one response.
pub struct Sealer {
    cipher: Aes256Gcm,
    base: [u8; NONCE_BYTES],
    sequence: u64,
    nonce: [u8; 32],
}

impl Sealer {
    /// From the secret exported by the request's context, the request's encapsulated key and a fresh nonce.
    #[must_use]
    pub fn new(exported: &[u8; 32], enc: &[u8; 32], nonce: [u8; 32]) -> Self {
        let mut salt = [0; 64];
        for (slot, byte) in salt.iter_mut().zip(enc.iter().chain(&nonce)) {
            *slot = *byte;
        }
        let prk = Hkdf::<Sha256>::new(Some(&salt), exported);
        let mut key = Zeroizing::new([0; 32]);
        let mut base = [0; NONCE_BYTES];
        prk.expand(b"key", key.as_mut()).expect("32 bytes are less than 255 blocks");
        prk.expand(b"nonce", &mut base).expect("12 bytes are less than 255 blocks");
        Self { cipher: Aes256Gcm::new((&*key).into()), base, sequence: 0, nonce }
    }

    /// The value of the [`super::RESPONSE_NONCE`] header.
    #[must_use]
    pub fn nonce_header(&self) -> String {
        hex::encode(self.nonce)
    }

    /// Seals `plaintext` into one frame, or into as many as the frame limit asks for. Nothing becomes no frame.
    #[must_use]
    pub fn seal(&mut self, plaintext: &[u8]) -> Bytes {
        let frames = plaintext.len().div_ceil(MAX_PLAINTEXT_BYTES);
        let mut out = BytesMut::with_capacity(plaintext.len() + frames * (4 + TAG_BYTES));
        for chunk in plaintext.chunks(MAX_PLAINTEXT_BYTES) {
            let length = u32::try_from(chunk.len() + TAG_BYTES).expect("at most MAX_FRAME_BYTES");
            out.put_u32(length);
            let mut frame = out.split_off(out.len());
            frame.put_slice(chunk);
            let nonce = self.next_nonce();
            let tag = self
                .cipher
                .encrypt_in_place_detached(&nonce.into(), b"", &mut frame)
                .expect("a frame is far below the 64 GiB of AES-GCM");
            frame.put_slice(&tag);
            out.unsplit(frame);
        }
        out.freeze()
    }

    /// `base XOR (0^4 ‖ u64be(sequence))`.
    fn next_nonce(&mut self) -> [u8; NONCE_BYTES] {
        let mut nonce = self.base;
        for (slot, byte) in nonce.iter_mut().skip(4).zip(self.sequence.to_be_bytes()) {
            *slot ^= byte;
        }
        self.sequence = self.sequence.checked_add(1).expect("no response has 2^64 frames");
        nonce
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}
