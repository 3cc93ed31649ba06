//! Wire types and ids that the enclave service, its document worker, the relay and every client agree on.
//!
//! Nothing here does I/O, reads a clock or holds a secret. Every type rejects what it does not know
//! (`deny_unknown_fields`) so that a typo in a client is an error and not a silently ignored wish.
//!
//! ```
//! use cloister_protocol::ids::{DocumentId, OrgId};
//! let id: OrgId = "org_01jd5h8zk3q9m4v7x2t6w0rbcn".parse().expect("well formed");
//! assert_eq!(id.to_string(), "org_01jd5h8zk3q9m4v7x2t6w0rbcn");
//! assert!("doc_not-a-ulid".parse::<DocumentId>().is_err());
//! ```

pub mod api;
pub mod ids;
pub mod parsed;
