//! The client's half of EHBP (protocols, section 1): a body sealed to an attested key, and its answer opened. No I/O.
//!
//! Inside of the verified TLS connection it keeps bodies from whatever ends TLS in front of the appliance's own code. It
//! refuses an answer that was altered, reordered or cut inside a frame; that it is whole, the connection's end says.

use std::fmt;

use aes_gcm::aead::AeadInPlace as _;
use aes_gcm::{Aes256Gcm, KeyInit as _};
use hkdf::Hkdf;
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, Kem, OpModeS, Serializable as _, setup_sender};
use hyper::body::{Buf as _, Bytes};
use rand_core::OsRng;
use sha2::Sha256;
use tokio_util::bytes::{BufMut as _, BytesMut};
use zeroize::Zeroizing;

/// The request header that carries the encapsulated key.
pub(super) const ENCAPSULATED_KEY: &str = "ehbp-encapsulated-key";
/// The response header that carries the nonce.
pub(super) const RESPONSE_NONCE: &str = "ehbp-response-nonce";
/// The problem type of an answer to a request under a key that the appliance does not have any more (EHBP, 5.4.4).
pub(super) const KEY_CONFIG_PROBLEM: &str = "urn:ietf:params:ehbp:error:key-config";

const REQUEST_INFO: &[u8] = b"ehbp request";
const RESPONSE_EXPORT: &[u8] = b"ehbp response";
const LENGTH_BYTES: usize = 4;
const TAG_BYTES: usize = 16;
/// Plaintext of one frame of a request.
const FRAME_BYTES: usize = 16 * 1024;
/// The longest frame of a response that is waited for. Appliances send 16 KiB.
const MAX_RESPONSE_FRAME: usize = 1 << 20;

/// What is wrong with a key or an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    /// The attested key is not an X25519 key that can be encrypted to.
    #[error("the attested HPKE key is unusable")]
    Key,
    /// The header of the answer is not 64 lower-case hex digits.
    #[error("the answer's encryption nonce is malformed")]
    Nonce,
    /// A frame is longer than any appliance sends.
    #[error("a frame of the answer is too long")]
    TooLong,
    /// A frame does not open: it was altered, repeated or reordered.
    #[error("a frame of the answer does not open")]
    Undecryptable,
    /// The answer ends inside a frame.
    #[error("the answer was cut")]
    Cut,
}

/// A request as it goes out, and what its answer will be opened with.
pub(super) struct Sealed {
    /// The value of [`ENCAPSULATED_KEY`].
    pub(super) encapsulated_key: String,
    /// The frames.
    pub(super) body: Bytes,
    /// For the answer.
    pub(super) exchange: Exchange,
}

/// Seals a body to `key`, under an encapsulated key that is never used again.
pub(super) fn seal(key: &[u8; 32], plaintext: &[u8]) -> Result<Sealed, Error> {
    let key = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(key).map_err(|_| Error::Key)?;
    let (encapped, mut context) =
        setup_sender::<AesGcm256, HkdfSha256, X25519HkdfSha256, _>(&OpModeS::Base, &key, REQUEST_INFO, &mut OsRng)
            .map_err(|_| Error::Key)?;
    let frames = plaintext.len().div_ceil(FRAME_BYTES);
    let mut body = BytesMut::with_capacity(plaintext.len() + frames * (LENGTH_BYTES + TAG_BYTES));
    for chunk in plaintext.chunks(FRAME_BYTES) {
        let frame = context.seal(chunk, b"").map_err(|_| Error::Key)?;
        body.put_u32(u32::try_from(frame.len()).map_err(|_| Error::TooLong)?);
        body.put_slice(&frame);
    }
    let mut exported = Zeroizing::new([0; 32]);
    context.export(RESPONSE_EXPORT, exported.as_mut()).map_err(|_| Error::Key)?;
    let enc: [u8; 32] = encapped.to_bytes().into();
    Ok(Sealed { encapsulated_key: hex::encode(enc), body: body.freeze(), exchange: Exchange { exported, enc } })
}

/// What a request and its answer share.
pub(super) struct Exchange {
    exported: Zeroizing<[u8; 32]>,
    enc: [u8; 32],
}

impl Exchange {
    /// Opens the answer with this value of [`RESPONSE_NONCE`].
    pub(super) fn opener(&self, nonce_header: &[u8]) -> Result<Opener, Error> {
        let mut nonce = [0; 32];
        if nonce_header.iter().any(u8::is_ascii_uppercase) {
            return Err(Error::Nonce);
        }
        hex::decode_to_slice(nonce_header, &mut nonce).map_err(|_| Error::Nonce)?;
        let derived = Hkdf::<Sha256>::new(Some(&[self.enc, nonce].concat()), self.exported.as_ref());
        let (mut key, mut base) = (Zeroizing::new([0; 32]), [0; 12]);
        derived.expand(b"key", key.as_mut()).expect("32 bytes are less than 255 blocks");
        derived.expand(b"nonce", &mut base).expect("12 bytes are less than 255 blocks");
        let cipher = Aes256Gcm::new((&*key).into());
        Ok(Opener { cipher, base, sequence: 0, pending: BytesMut::new() })
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange(…)")
    }
}

/// Opens the frames of one answer as its bytes come in.
pub(super) struct Opener {
    cipher: Aes256Gcm,
    base: [u8; 12],
    sequence: u64,
    pending: BytesMut,
}

impl Opener {
    /// Takes more bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The plaintext of the next whole frame; `None` until more bytes are pushed.
    pub(super) fn next_frame(&mut self) -> Result<Option<Bytes>, Error> {
        while let Some(length) = self.pending.first_chunk::<LENGTH_BYTES>() {
            let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| Error::TooLong)?;
            if length > MAX_RESPONSE_FRAME {
                return Err(Error::TooLong);
            }
            if self.pending.len() < LENGTH_BYTES + length {
                return Ok(None);
            }
            self.pending.advance(LENGTH_BYTES);
            let frame = self.pending.split_to(length);
            // An empty frame means nothing, and does not count (protocols, section 1).
            if !frame.is_empty() {
                return self.open(frame).map(Some);
            }
        }
        Ok(None)
    }

    /// Says that the answer ends here.
    pub(super) fn finish(&self) -> Result<(), Error> {
        if self.pending.is_empty() { Ok(()) } else { Err(Error::Cut) }
    }

    fn open(&mut self, mut frame: BytesMut) -> Result<Bytes, Error> {
        let plaintext = frame.len().checked_sub(TAG_BYTES).ok_or(Error::Undecryptable)?;
        let tag = frame.split_off(plaintext);
        let nonce = self.next_nonce()?;
        let opened = self.cipher.decrypt_in_place_detached(&nonce.into(), b"", &mut frame, (&*tag).into());
        opened.map_err(|_| Error::Undecryptable)?;
        Ok(frame.freeze())
    }

    /// `base XOR (0^4 ‖ u64be(sequence))`.
    fn next_nonce(&mut self) -> Result<[u8; 12], Error> {
        let mut nonce = self.base;
        for (slot, byte) in nonce.iter_mut().skip(4).zip(self.sequence.to_be_bytes()) {
            *slot ^= byte;
        }
        self.sequence = self.sequence.checked_add(1).ok_or(Error::Undecryptable)?;
        Ok(nonce)
    }
}
