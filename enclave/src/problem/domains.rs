//! What the errors of the domains come to. Exhaustive, without a `_` arm: a new error must find its row.

use super::Problem;
use crate::identity::guesses::TooMany;
use crate::identity::signature::Refused;
use crate::identity::{self, opaque};
use crate::{access, answers, attest, audit, documents, ehbp, limiter, memory, retrieval, store, tenancy};

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Conflict { .. } => Self::Conflict { detail: "something else changed at the same time" },
            store::Error::TooLarge { limit_bytes, .. } => Self::TooLarge { limit_bytes },
            // A fault ends the process; whoever starts it again decides when.
            store::Error::Io { .. } | store::Error::InUse | store::Error::Stopped | store::Error::Closed => {
                Self::Unavailable { retry_after_s: 5 }
            }
            store::Error::Integrity { .. }
            | store::Error::InvalidKey { .. }
            | store::Error::Encode { .. }
            | store::Error::Decode { .. }
            | store::Error::WrongRootKey
            | store::Error::Audit(_) => Self::Internal,
        }
    }
}

impl From<tenancy::Error> for Problem {
    fn from(error: tenancy::Error) -> Self {
        match error {
            tenancy::Error::Text { field } => Self::invalid(field),
            tenancy::Error::Unknown { .. } => Self::NotFound,
            tenancy::Error::Full { .. } => Self::Conflict { detail: "there are as many as there may be" },
            tenancy::Error::Store(error) => error.into(),
        }
    }
}

impl From<access::Error> for Problem {
    fn from(error: access::Error) -> Self {
        match error {
            // Whoever was removed from the organisation is nobody here.
            access::Error::NoRole => Self::Unauthenticated,
            access::Error::NotFound => Self::NotFound,
            access::Error::Forbidden => Self::Forbidden,
            access::Error::Tenancy(error) => error.into(),
        }
    }
}

impl From<identity::Error> for Problem {
    fn from(error: identity::Error) -> Self {
        match error {
            identity::Error::Login(_) => Self::invalid("login"),
            identity::Error::Opaque(opaque::Error::Malformed) => Self::invalid("an OPAQUE message"),
            identity::Error::Opaque(opaque::Error::Unproven)
            | identity::Error::LoginFailed
            | identity::Error::Unauthenticated => Self::Unauthenticated,
            identity::Error::Opaque(opaque::Error::Stored) => Self::Internal,
            identity::Error::UnknownEnrolment | identity::Error::UnknownApiKey => Self::NotFound,
            identity::Error::LoginTaken => Self::Conflict { detail: "this login name is taken" },
            identity::Error::Full { .. } => Self::Conflict { detail: "there are as many as there may be" },
            identity::Error::TooMany(TooMany { retry_after_ms }) => Self::TooManyRequests {
                retry_after_s: u32::try_from(retry_after_ms.div_ceil(1000)).unwrap_or(u32::MAX).max(1),
            },
            identity::Error::Signature(refused) => refused.into(),
            identity::Error::Tenancy(error) => error.into(),
            identity::Error::Store(error) => error.into(),
        }
    }
}

impl From<documents::Error> for Problem {
    fn from(error: documents::Error) -> Self {
        match error {
            documents::Error::TooLarge { limit_bytes } => Self::TooLarge { limit_bytes },
            documents::Error::NoBytes => Self::invalid("file"),
            documents::Error::UnsupportedFormat => Self::invalid("file: not a PDF, Markdown, HTML or text document"),
            documents::Error::Text { field } => Self::invalid(field),
            documents::Error::NotFound => Self::NotFound,
            documents::Error::Busy => Self::TooManyRequests { retry_after_s: 30 },
            documents::Error::Contended => Self::Conflict { detail: "the same file is being changed at the same time" },
            documents::Error::Unavailable => Self::Unavailable { retry_after_s: 5 },
            documents::Error::Store(error) => error.into(),
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            // One answer for everything: a forger learns nothing about what was wrong.
            Refused::Malformed
            | Refused::Plaintext
            | Refused::Method
            | Refused::Signature
            | Refused::Time
            | Refused::Digest => Self::Unauthenticated,
            Refused::Replayed => Self::Conflict { detail: "this signed request was received before" },
            Refused::Full => Self::TooManyRequests { retry_after_s: 10 },
        }
    }
}

impl From<ehbp::Error> for Problem {
    fn from(error: ehbp::Error) -> Self {
        match error {
            ehbp::Error::EncapsulatedKey => Self::invalid(ehbp::ENCAPSULATED_KEY),
            ehbp::Error::Framing | ehbp::Error::NothingAuthenticated | ehbp::Error::EmptyFrames => {
                Self::invalid("body")
            }
            ehbp::Error::FrameTooLong { limit_bytes } => Self::TooLarge { limit_bytes },
            ehbp::Error::Undecryptable => Self::KeyConfig,
            ehbp::Error::Replayed => Self::Conflict { detail: "this encrypted body was received before" },
            ehbp::Error::Random => Self::Internal,
        }
    }
}

impl From<limiter::Exceeded> for Problem {
    fn from(exceeded: limiter::Exceeded) -> Self {
        Self::TooManyRequests { retry_after_s: exceeded.retry_after_s }
    }
}

impl From<attest::Error> for Problem {
    fn from(error: attest::Error) -> Self {
        match error {
            attest::Error::ZeroNonce => Self::invalid("nonce"),
            attest::Error::Report(_) | attest::Error::Crowded | attest::Error::State => {
                Self::Unavailable { retry_after_s: 5 }
            }
            attest::Error::SelfCheck => Self::Internal,
        }
    }
}

impl From<answers::Error> for Problem {
    fn from(error: answers::Error) -> Self {
        match error {
            answers::Error::Store(error) => error.into(),
            answers::Error::Model(error) => error.into(),
            answers::Error::Retrieval(error) => error.into(),
            answers::Error::TooManyWaiting => Self::TooManyRequests { retry_after_s: 5 },
            answers::Error::QuestionLength => Self::invalid("text"),
            answers::Error::QuestionTooLong => Self::invalid("text: does not fit the model's context"),
            answers::Error::NotFound => Self::NotFound,
            answers::Error::Full => Self::Conflict { detail: "there are as many as there may be" },
            answers::Error::Left | answers::Error::Interrupted => Self::Unavailable { retry_after_s: 5 },
        }
    }
}

impl From<retrieval::Error> for Problem {
    fn from(error: retrieval::Error) -> Self {
        match error {
            retrieval::Error::Dimension(_)
            | retrieval::Error::NotFinite
            | retrieval::Error::Full
            | retrieval::Error::Segment => Self::Internal,
        }
    }
}

impl From<memory::Error> for Problem {
    fn from(error: memory::Error) -> Self {
        match error {
            memory::Error::Length => Self::invalid("text"),
            memory::Error::Full => Self::Conflict { detail: "the memory is full" },
            memory::Error::Store(error) => error.into(),
            memory::Error::Model(error) => error.into(),
            memory::Error::Interrupted => Self::Unavailable { retry_after_s: 5 },
        }
    }
}

impl From<cloister_models::Error> for Problem {
    fn from(error: cloister_models::Error) -> Self {
        use cloister_models::Error;
        match error {
            Error::PromptTooLong { .. } => Self::invalid("text: does not fit the model's context"),
            Error::Busy { .. } => Self::TooManyRequests { retry_after_s: 5 },
            Error::Stopped => Self::Unavailable { retry_after_s: 5 },
            Error::Invalid(_)
            | Error::File { .. }
            | Error::WrongDigest { .. }
            | Error::UnknownModel(_)
            | Error::Convert(_)
            | Error::Unreachable { .. }
            | Error::NotAModel
            | Error::NoMemory
            | Error::Compute => Self::Internal,
        }
    }
}

impl From<audit::export::Error> for Problem {
    fn from(error: audit::export::Error) -> Self {
        match error {
            audit::export::Error::Store(error) => error.into(),
            audit::export::Error::Previous => Self::invalid("previous"),
            audit::export::Error::Build(_) | audit::export::Error::Encrypt => Self::Internal,
        }
    }
}
