//! Where log lines go and what they look like: standard error, one line each, ids and numbers only.

use cloister_enclave::config::{Log, LogFormat};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, filter, fmt, registry};

/// A panic says where it happened and not with what: its message may hold content.
pub(super) fn silence_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let (file, line) = panic.location().map_or(("unknown", 0), |at| (at.file(), at.line()));
        tracing::error!(file, line, "a bug: a thread panicked");
    }));
}

/// Starts the log. Only our own crates write: what libraries have to say may hold a peer's bytes.
pub(super) fn start(log: Log) {
    let ours = filter::filter_fn(|meta| meta.target().starts_with("cloister_"));
    let filter = filter::FilterExt::and(ours, LevelFilter::from_level(log.level));
    let lines = fmt::layer().with_writer(std::io::stderr);
    match log.format {
        LogFormat::Json => registry().with(lines.json().flatten_event(true).with_filter(filter)).init(),
        LogFormat::Text => registry().with(lines.with_ansi(false).with_filter(filter)).init(),
    }
}
