//! EHBP, the Encrypted HTTP Body Protocol 0.3.1: bodies encrypted to an attested key, whoever terminates TLS.
//!
//! A request body is a series of frames sealed under one HPKE context (RFC 9180, base mode); the response is sealed
//! under a key exported from the same context and a fresh nonce. [`Opener`] and [`Sealer`] are the protocol without
//! I/O; [`layer`] puts them around the routes. Hardened over the reference implementation: bounded frames, bounded
//! empty frames, no response key before the first frame is authentic, no second use of an encapsulated key, and one
//! answer for everything that does not decrypt.
//!
//! EHBP hides neither headers nor paths, and a body cut at a frame's end looks whole: what travels inside must know
//! its own end (JSON does, multipart does, event streams end with an event that says so).

mod body;
mod keys;
pub mod layer;
mod opener;
mod replay;
mod sealer;

pub use keys::{InvalidKey, KeyRing, PrivateKey};
pub use layer::Channel;
pub use opener::{FrameLimits, Opener};
pub use replay::ReplayCache;
pub use sealer::Sealer;

/// Request header: the HPKE encapsulated key, 64 lower-case hex characters.
pub const ENCAPSULATED_KEY: &str = "ehbp-encapsulated-key";

/// Response header: the nonce that the response key is derived with, 64 lower-case hex characters.
pub const RESPONSE_NONCE: &str = "ehbp-response-nonce";

/// Media type of the key configuration. Clients compare it byte by byte: it takes no parameter.
pub const KEYS_MEDIA_TYPE: &str = "application/ohttp-keys";

/// Bytes of the AES-256-GCM tag that each frame ends with.
pub const TAG_BYTES: usize = 16;

/// Why a request is refused. Nothing here says which cryptographic step failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The header is not 32 bytes of lower-case hex, or names no usable point.
    #[error("the encapsulated key is malformed")]
    EncapsulatedKey,
    /// A frame is shorter than its tag, or the body ends inside a frame.
    #[error("the body is not a series of whole frames")]
    Framing,
    /// The body holds no frame that proves that the sender knows the key.
    #[error("the body holds no authenticated frame")]
    NothingAuthenticated,
    /// More empty frames than anyone needs.
    #[error("too many empty frames")]
    EmptyFrames,
    /// A frame is longer than the limit.
    #[error("a frame is longer than {limit_bytes} bytes")]
    FrameTooLong {
        /// The limit.
        limit_bytes: usize,
    },
    /// A frame does not decrypt under any key of ours.
    #[error("the body does not decrypt")]
    Undecryptable,
    /// The encapsulated key was used before.
    #[error("the encapsulated key was used before")]
    Replayed,
    /// The operating system gives no random bytes.
    #[error("no random bytes")]
    Random,
}
