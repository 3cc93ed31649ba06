//! One module per resource: its requests, its responses and its handlers, which extract, call the domain and respond.

pub mod aci;
pub mod assistants;
pub mod attestation;
pub mod audit;
pub mod auth;
pub mod conversations;
pub mod documents;
pub mod enrolments;
pub mod health;
pub mod id;
pub mod json;
pub mod keys;
pub mod me;
pub mod memory;
pub mod openai;
pub mod openapi;
pub mod tinfoil;
pub mod verify_txt;
pub mod workspaces;
