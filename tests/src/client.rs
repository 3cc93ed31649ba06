//! A real client of the appliance: verifies first, logs in by OPAQUE, encrypts every body, signs every request.
//!
//! It stands for what a careful native client does. It shares the wire types with the product and the verifier with
//! relying parties, but no code with the server: EHBP, OPAQUE's client half and the request signature are its own, so
//! that a mistake on one side shows.

mod ehbp;
mod opaque;
mod session;
mod signature;
mod sse;
mod transport;

pub use opaque::{Opaque, Registration};
pub use session::{Session, Upload};
pub use signature::{RequestKey, SignatureInput, signature_base};
pub use sse::{Sse, SseParser};
pub use transport::{Channel, Reply, Trust, insecure_connector};

pub use ehbp::{RequestSealer, ResponseOpener, seal_request};

/// What can go wrong between the client and the appliance.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection could not be made or broke.
    #[error("connection: {0}")]
    Connection(String),
    /// The appliance is not what it should be; nothing was sent.
    #[error("not verified: {0}")]
    NotVerified(String),
    /// The answer is not what the protocol says, or was cut or altered on the way.
    #[error("protocol: {0}")]
    Protocol(&'static str),
    /// The appliance refused, with the status and the problem's slug.
    #[error("refused with {status}: {problem}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Slug of the problem document, or its raw text.
        problem: String,
    },
    /// Wrong password, unknown name, or a server that does not hold the record.
    #[error("login failed")]
    Login,
}
