//! Whom this process may talk to: the destinations that the configuration names, and their digest in the statement.
//!
//! The enclave opens no connection of its own; the relay's egress listener is the only way out, and it enforces the
//! same list on its side.

mod relay;

pub use relay::{Egress, Error};

use sha2::{Digest, Sha256};

/// The allowed destinations, `host:port`, sorted and without doubles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressPolicy(Vec<String>);

impl EgressPolicy {
    /// Takes the list of the configuration, which is checked there.
    #[must_use]
    pub fn new(mut allow: Vec<String>) -> Self {
        allow.sort();
        allow.dedup();
        Self(allow)
    }

    /// The destinations.
    #[must_use]
    pub fn destinations(&self) -> &[String] {
        &self.0
    }

    /// Whether a connection to `destination` (`host:port`) is allowed.
    #[must_use]
    pub fn allows(&self, destination: &str) -> bool {
        self.0.binary_search_by(|allowed| allowed.as_str().cmp(destination)).is_ok()
    }

    /// SHA-256 of the RFC 8785 form of `{"allow": […], "v": 1}`: `egress_sha256` of the statement.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let policy = serde_json::json!({ "allow": self.0, "v": 1 });
        let canonical = serde_json_canonicalizer::to_vec(&policy).expect("a list of texts has a canonical form");
        Sha256::digest(canonical).into()
    }
}
