//! llama.cpp's process-wide state: started once, its log output discarded.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use llama_cpp_2::llama_backend::LlamaBackend;

/// The started backend.
///
/// This is the one global of the crate: llama.cpp itself keeps its backend in global variables, once per process.
/// llama.cpp's messages are thrown away rather than forwarded, because some of them quote what is being tokenised.
pub(crate) fn backend() -> &'static LlamaBackend {
    static BACKEND: OnceLock<LlamaBackend> = OnceLock::new();
    BACKEND.get_or_init(|| {
        let mut backend = LlamaBackend::init().expect("only this function starts the backend");
        backend.void_logs();
        backend
    })
}

/// Locks, also after another thread panicked while it held the lock: the state behind our locks is always whole,
/// because nothing that can panic runs in the middle of a change.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
