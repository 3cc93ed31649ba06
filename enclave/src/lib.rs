//! The service that runs inside the TEE: TLS ends here, and nowhere else is plaintext seen.
//!
//! This crate refuses to serve anything before it has attested itself, to store anything without a tenant scope, and
//! to log any content. Paths stand only in [`router`], statuses only in [`problem`], files of configuration are read
//! only in [`config`], and the time only in [`clock`].
//!
//! ```
//! use cloister_enclave::config::Config;
//!
//! // All mistakes are reported at once, by field name and never by value.
//! let mistakes = Config::parse("tee = 'moon'").expect_err("not a configuration");
//! assert!(mistakes.to_string().contains("listen"));
//! ```

pub mod access;
pub mod aci;
pub mod answers;
pub mod api;
pub mod app;
pub mod attest;
pub mod audit;
pub mod clock;
mod collections;
pub mod config;
pub mod documents;
pub mod egress;
pub mod ehbp;
mod fresh;
pub mod identity;
pub mod keys;
pub mod limiter;
pub mod memory;
pub mod middleware;
pub mod openapi;
pub mod page;
pub mod problem;
pub mod retrieval;
pub mod router;
pub mod serve;
pub mod store;
pub mod tenancy;
