//! One module per resource: its requests, its responses and its handlers, which extract, call the domain and respond.

pub mod attestation;
pub mod health;
pub mod json;
pub mod sse;
