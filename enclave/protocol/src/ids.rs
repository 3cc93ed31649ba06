//! The append-only registry of every id that crosses a wire.
//!
//! An id is a short prefix and a ULID in lower-case Crockford base32 (`doc_01jd5h8z…`), so that a person reading a
//! log knows what it names and the compiler refuses one where another belongs. Ids are not secrets and carry none.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

/// Why a string is not an id of the wanted kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a {kind} id")]
pub struct InvalidId {
    /// The prefix that was expected.
    pub kind: &'static str,
}

macro_rules! id_registry {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schema(value_type = String)]
        pub struct $name(u128);

        impl $name {
            /// What every id of this kind starts with, the underscore not included.
            pub const PREFIX: &'static str = $prefix;

            /// Makes an id from the time it is made at (Unix milliseconds) and 80 random bits.
            #[must_use]
            pub const fn from_parts(unix_ms: u64, random: u128) -> Self {
                Self(Ulid::from_parts(unix_ms, random).0)
            }

            /// The 16 bytes of the ULID, big-endian.
            #[must_use]
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0.to_be_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}_{}", $prefix, Ulid(self.0).to_string().to_ascii_lowercase())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(s: &str) -> Result<Self, InvalidId> {
                parse_body(s, $prefix).map(Self).ok_or(InvalidId { kind: $prefix })
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(s: String) -> Result<Self, InvalidId> {
                s.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    )+};
}

id_registry! {
    /// An organisation: the tenant.
    OrgId = "org";
    /// A workspace inside an organisation.
    WorkspaceId = "ws";
    /// A person, whatever their credentials.
    PersonId = "per";
    /// An assistant in a workspace.
    AssistantId = "ast";
    /// A document in a workspace.
    DocumentId = "doc";
    /// One passage (child chunk) of a document version.
    ChunkId = "chk";
    /// A conversation with an assistant.
    ConversationId = "cnv";
    /// One message of a conversation.
    MessageId = "msg";
    /// A receipt for one answer.
    ReceiptId = "rcp";
    /// The public name of an API key; the secret half is separate.
    ApiKeyId = "key";
    /// An invitation to set a credential.
    EnrolmentId = "enr";
    /// One login in progress, between its two messages.
    LoginId = "lgn";
    /// One note of a person's long-term memory.
    MemoryId = "mem";
}

/// Only the canonical spelling is accepted: exactly one prefix, 26 lower-case characters that encode 128 bits.
fn parse_body(s: &str, prefix: &str) -> Option<u128> {
    let body = s.strip_prefix(prefix)?.strip_prefix('_')?;
    if body.len() != 26 || body.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    let ulid = Ulid::from_string(body).ok()?;
    (ulid.to_string().to_ascii_lowercase() == body).then_some(ulid.0)
}

/// The id of one HTTP request: a random (version 4) UUID, shown to the caller as `urn:uuid:…`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId([u8; 16]);

impl RequestId {
    /// Stamps the version and variant bits of RFC 9562 onto 16 random bytes.
    #[must_use]
    pub const fn from_random(mut bytes: [u8; 16]) -> Self {
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(bytes)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
