//! Models of the appliance: which ones exist, how their bytes are checked, and how they run.
//!
//! * [`catalogue`] names every model the product knows, with the SHA-256 of its file; nothing else is ever loaded.
//! * [`digest`] hashes files; [`convert`] turns the published embedding model into a GGUF file, byte for byte the same
//!   on every machine; [`fetch`] downloads chat models.
//! * [`Embedder`] turns texts into unit vectors, [`Generator`] answers prompts. Both run llama.cpp on own threads
//!   behind bounded, fair queues.
//!
//! What this crate refuses to do: load a file whose digest was not asked for, map a file that someone else can change,
//! take a chat template from a model file, share attention state between conversations, and log any text.
//!
//! ```no_run
//! use cloister_models::{Embedder, catalogue::Catalogue};
//!
//! # fn main() -> Result<(), cloister_models::Error> {
//! let catalogue = Catalogue::built_in();
//! let entry = catalogue.embedder();
//! let embedder = Embedder::load("var/models/all-minilm-l6-v2-q8_0.gguf".as_ref(), &entry.sha256, 2)?;
//! let vectors = embedder.embed(&["The cat sits outside".to_owned()])?;
//! assert_eq!(vectors[0].len(), embedder.dim());
//! # Ok(())
//! # }
//! ```

pub mod catalogue;
pub mod convert;
pub mod digest;
pub mod embedder;
mod error;
pub mod fetch;
pub mod generator;
pub mod gguf;
mod load;
mod runtime;
pub mod template;

pub use catalogue::Catalogue;
pub use digest::ModelDigest;
pub use embedder::Embedder;
pub use error::Error;
pub use generator::{Finish, FinishReason, GenerateRequest, Generation, Generator, GeneratorConfig, Piece, Prompt};
pub use template::{Role, Template};
