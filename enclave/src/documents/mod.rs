//! Documents: from an upload to passages that can be found, cited and quoted.
//!
//! ```text
//! upload ─ intake (name, format, digest) ─ one batch: record, file, queue entry, audit ─ 202
//!    background: reader (sandboxed process) ─ reply check ─ chunker ─ embedder ─ one batch: passages, state, audit ─ index
//! ```
//!
//! A document is stored before its upload is acknowledged, and its queue entry is deleted in the same batch that makes it
//! ready or failed: whatever ends the process in between, the document is processed again after the next start. The same
//! file is kept once per organisation, and processed once. Nothing here logs names, titles or texts.

pub mod chunker;
mod error;
pub mod intake;
mod pipeline;
mod problem;
mod queue;
mod reader;
pub mod records;
mod reply;
mod service;
mod upload;

pub use error::Error;
pub use pipeline::{EmbedError, Model};
pub use problem::DocumentProblem;
pub use reader::{Reader, ReaderLimits};
pub(crate) use records::COLLECTIONS;
pub use service::{Change, Documents, Notify, Parts};
pub use upload::Upload;
