//! The receiving half: bytes of an encrypted request body in, plaintext frames out. No I/O.

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};
use hpke::aead::{AeadCtxR, AesGcm256};
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, setup_receiver};
use zeroize::Zeroizing;

use super::{Error, KeyRing, Sealer, TAG_BYTES};

const REQUEST_INFO: &[u8] = b"ehbp request";
const RESPONSE_EXPORT: &[u8] = b"ehbp response";
const LENGTH_BYTES: usize = 4;

type Context = AeadCtxR<AesGcm256, HkdfSha256, X25519HkdfSha256>;

/// What a sender may make us hold and skip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameLimits {
    /// Plaintext bytes of one frame.
    pub frame_bytes: usize,
    /// Frames of length zero in one body.
    pub empty_frames: u32,
}

/// Which key the sender used is known once the first frame opens.
enum Keys {
    Untried(Vec<Context>),
    Known(Box<Context>),
}

/// One encrypted request body, from its first byte to its last. After an error it opens nothing more.
pub struct Opener {
    enc: [u8; 32],
    keys: Keys,
    limits: FrameLimits,
    pending: BytesMut,
    empty_frames: u32,
}

impl Opener {
    /// Starts with the value of the [`super::ENCAPSULATED_KEY`] header.
    ///
    /// # Errors
    /// [`Error::EncapsulatedKey`] for anything but 64 lower-case hex digits that name a usable point.
    pub fn new(keys: &KeyRing, header: &[u8], limits: FrameLimits) -> Result<Self, Error> {
        let mut enc = [0; 32];
        if header.iter().any(u8::is_ascii_uppercase) {
            return Err(Error::EncapsulatedKey);
        }
        hex::decode_to_slice(header, &mut enc).map_err(|_| Error::EncapsulatedKey)?;
        let point = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(&enc).map_err(|_| Error::EncapsulatedKey)?;
        let contexts = keys
            .keys()
            .map(|key| setup_receiver(&OpModeR::Base, key.secret(), &point, REQUEST_INFO))
            .collect::<Result<Vec<Context>, _>>()
            .map_err(|_| Error::EncapsulatedKey)?;
        Ok(Self { enc, keys: Keys::Untried(contexts), limits, pending: BytesMut::new(), empty_frames: 0 })
    }

    /// The encapsulated key, which may be used once.
    #[must_use]
    pub const fn enc(&self) -> &[u8; 32] {
        &self.enc
    }

    /// Whether a frame was opened, so that the sender is known to hold the other half of the key.
    #[must_use]
    pub const fn is_authenticated(&self) -> bool {
        matches!(self.keys, Keys::Known(_))
    }

    /// Takes more bytes of the body.
    pub fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The plaintext of the next whole frame, or `None` until more bytes are pushed.
    ///
    /// # Errors
    /// [`Error`]; the body is then worthless.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, Error> {
        while let Some(length) = self.pending.first_chunk::<LENGTH_BYTES>() {
            let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| Error::Framing)?;
            if length == 0 {
                self.skip_empty_frame()?;
                continue;
            }
            if length < TAG_BYTES {
                return Err(Error::Framing);
            }
            if length - TAG_BYTES > self.limits.frame_bytes {
                return Err(Error::FrameTooLong { limit_bytes: self.limits.frame_bytes });
            }
            let Some(ciphertext) = self.pending.get(LENGTH_BYTES..LENGTH_BYTES + length) else { return Ok(None) };
            let plaintext = self.keys.open(ciphertext)?;
            self.pending.advance(LENGTH_BYTES + length);
            return Ok(Some(plaintext.into()));
        }
        Ok(None)
    }

    /// Called at the end of the body.
    ///
    /// # Errors
    /// [`Error::Framing`] if it ends inside a frame, [`Error::NothingAuthenticated`] if no frame was opened.
    pub fn finish(&self) -> Result<(), Error> {
        if !self.pending.is_empty() {
            return Err(Error::Framing);
        }
        if self.is_authenticated() { Ok(()) } else { Err(Error::NothingAuthenticated) }
    }

    /// The sending half of the same exchange.
    ///
    /// # Errors
    /// [`Error::NothingAuthenticated`] before the first frame was opened: whoever chose the encapsulated key could
    /// otherwise have a response sealed under a key of theirs.
    pub fn sealer(&self, nonce: [u8; 32]) -> Result<Sealer, Error> {
        let Keys::Known(context) = &self.keys else { return Err(Error::NothingAuthenticated) };
        let mut exported = Zeroizing::new([0; 32]);
        context.export(RESPONSE_EXPORT, exported.as_mut()).map_err(|_| Error::Undecryptable)?;
        Ok(Sealer::new(&exported, &self.enc, nonce))
    }

    fn skip_empty_frame(&mut self) -> Result<(), Error> {
        self.empty_frames += 1;
        if self.empty_frames > self.limits.empty_frames {
            return Err(Error::EmptyFrames);
        }
        self.pending.advance(LENGTH_BYTES);
        Ok(())
    }
}

impl Keys {
    /// Opens the next frame. The first one decides which key it is; a failed try leaves no trace.
    fn open(&mut self, ciphertext: &[u8]) -> Result<Vec<u8>, Error> {
        match self {
            Self::Known(context) => context.open(ciphertext, b"").map_err(|_| Error::Undecryptable),
            Self::Untried(contexts) => {
                for mut context in std::mem::take(contexts) {
                    if let Ok(plaintext) = context.open(ciphertext, b"") {
                        *self = Self::Known(Box::new(context));
                        return Ok(plaintext);
                    }
                }
                Err(Error::Undecryptable)
            }
        }
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener").field("authenticated", &self.is_authenticated()).finish_non_exhaustive()
    }
}
