//! libFuzzer around one target, which the environment names: `deploy/fuzz` builds and runs this.

#![no_main]

use std::sync::LazyLock;

use cloister_fuzz::{Target, find, targets};

#[expect(clippy::disallowed_methods, reason = "the arguments are libFuzzer's own")]
static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("CLOISTER_FUZZ_TARGET").unwrap_or_default();
    let known: Vec<&str> = targets().map(|target| target.name).collect();
    find(&name).unwrap_or_else(|| panic!("CLOISTER_FUZZ_TARGET must be one of {}", known.join(", ")))
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET.run(data));
