//! The client's half of EHBP: one HPKE context per request, length-prefixed frames both ways.

use aes_gcm::aead::{Aead as _, KeyInit as _};
use aes_gcm::{Aes256Gcm, Nonce};
use hkdf::Hkdf;
use hpke::aead::{AeadCtxS, AesGcm256};
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, OpModeS, Serializable as _};
use rand_core::OsRng;
use sha2::Sha256;

use super::Error;

const REQUEST_INFO: &[u8] = b"ehbp request";
const RESPONSE_INFO: &[u8] = b"ehbp response";
/// The most that a response frame may hold.
const FRAME_MAX: usize = 64 << 20;

/// Seals the frames of one request.
pub struct RequestSealer {
    context: AeadCtxS<AesGcm256, HkdfSha256, X25519HkdfSha256>,
    enc: [u8; 32],
}

impl std::fmt::Debug for RequestSealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestSealer").finish_non_exhaustive()
    }
}

impl RequestSealer {
    /// Begins a request to the holder of `public_key`.
    ///
    /// # Errors
    /// If the key is no X25519 key.
    pub fn new(public_key: &[u8; 32]) -> Result<Self, Error> {
        let key = <X25519HkdfSha256 as hpke::Kem>::PublicKey::from_bytes(public_key)
            .map_err(|_| Error::Protocol("not an X25519 key"))?;
        let (enc, context) = hpke::setup_sender::<AesGcm256, HkdfSha256, X25519HkdfSha256, _>(
            &OpModeS::Base,
            &key,
            REQUEST_INFO,
            &mut OsRng,
        )
        .map_err(|_| Error::Protocol("encapsulation"))?;
        Ok(Self { context, enc: enc.to_bytes().into() })
    }

    /// The `Ehbp-Encapsulated-Key` header.
    #[must_use]
    pub fn encapsulated_key(&self) -> String {
        hex::encode(self.enc)
    }

    /// One frame.
    ///
    /// # Errors
    /// If the context is used up.
    pub fn frame(&mut self, plaintext: &[u8]) -> Result<Vec<u8>, Error> {
        let sealed = self.context.seal(plaintext, &[]).map_err(|_| Error::Protocol("seal"))?;
        let length = u32::try_from(sealed.len()).map_err(|_| Error::Protocol("frame too large"))?;
        let mut out = length.to_be_bytes().to_vec();
        out.extend_from_slice(&sealed);
        Ok(out)
    }

    /// Opens the response that carries this nonce.
    ///
    /// # Errors
    /// If the nonce is not 32 bytes of hex.
    pub fn response(&self, nonce_hex: &str) -> Result<ResponseOpener, Error> {
        let nonce: [u8; 32] =
            hex::decode(nonce_hex).ok().and_then(|n| n.try_into().ok()).ok_or(Error::Protocol("response nonce"))?;
        let mut exported = [0; 32];
        self.context.export(RESPONSE_INFO, &mut exported).map_err(|_| Error::Protocol("export"))?;
        let salt = [self.enc, nonce].concat();
        let hkdf = Hkdf::<Sha256>::new(Some(&salt), &exported);
        let (mut key, mut base) = ([0; 32], [0; 12]);
        hkdf.expand(b"key", &mut key).map_err(|_| Error::Protocol("expand"))?;
        hkdf.expand(b"nonce", &mut base).map_err(|_| Error::Protocol("expand"))?;
        Ok(ResponseOpener { cipher: Aes256Gcm::new(&key.into()), base, sequence: 0, buffer: Vec::new() })
    }
}

/// Seals a whole body as frames of at most `frame_bytes` of plaintext.
///
/// # Errors
/// As [`RequestSealer::new`].
pub fn seal_request(public_key: &[u8; 32], body: &[u8], frame_bytes: usize) -> Result<(RequestSealer, Vec<u8>), Error> {
    let mut sealer = RequestSealer::new(public_key)?;
    let mut out = Vec::with_capacity(body.len() + 64);
    for part in body.chunks(frame_bytes.max(1)) {
        out.extend(sealer.frame(part)?);
    }
    Ok((sealer, out))
}

/// Opens the frames of one response as they arrive.
pub struct ResponseOpener {
    cipher: Aes256Gcm,
    base: [u8; 12],
    sequence: u64,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for ResponseOpener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseOpener").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

impl ResponseOpener {
    /// Takes bytes as they come; returns the plaintext of every frame that is complete now.
    ///
    /// # Errors
    /// A frame that does not open or is too large: the response was altered, repeated or reordered.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        self.buffer.extend_from_slice(bytes);
        let mut out = Vec::new();
        while let Some((head, rest)) = self.buffer.split_first_chunk::<4>() {
            let length = usize::try_from(u32::from_be_bytes(*head)).unwrap_or(usize::MAX);
            if length > FRAME_MAX {
                return Err(Error::Protocol("response frame too large"));
            }
            let Some(sealed) = rest.get(..length) else { break };
            if length > 0 {
                let nonce = self.nonce();
                let opened = self.cipher.decrypt(&nonce, sealed);
                out.extend(opened.map_err(|_| Error::Protocol("response frame does not open"))?);
                self.sequence += 1;
            }
            self.buffer.drain(..4 + length);
        }
        Ok(out)
    }

    /// Says that no more bytes come.
    ///
    /// # Errors
    /// If a frame was cut.
    pub const fn finish(&self) -> Result<(), Error> {
        if self.buffer.is_empty() { Ok(()) } else { Err(Error::Protocol("response cut inside a frame")) }
    }

    fn nonce(&self) -> Nonce<aes_gcm::aead::consts::U12> {
        let mut nonce = self.base;
        for (byte, counter) in nonce.iter_mut().skip(4).zip(self.sequence.to_be_bytes()) {
            *byte ^= counter;
        }
        nonce.into()
    }
}
