//! Nothing acknowledged is ever lost: the store on a disk that loses power and on one that fails.
//!
//! `workload` says what is written, `told` what must then be found, `crash` ends it at many moments in every way that the
//! disk model of `cloister_tests::disk` knows, `errors` lets single operations fail, `in_use` opens a store twice.
//!
//! Failure means: a store does not open after a power cut; something acknowledged is missing or different; a batch is
//! there in part; an audit log does not verify or lacks a leaf; an erased person can be read again; an error of the disk is
//! a panic, or is not told, or makes the store hang.
//!
//! `CLOISTER_LONG=1` (`deploy/test --long`) tries 1,000 moments of each kind of cut, and every operation.

mod crash;
mod errors;
mod in_use;
mod told;
mod workload;

/// One number for a quick run, another for a long one.
fn quick_or_long<T>(quick: T, long: T) -> T {
    if std::env::var_os("CLOISTER_LONG").is_some_and(|set| set == "1") { long } else { quick }
}

/// A folder for a disk's image: in memory where that is possible, since nothing there has to last.
fn scratch() -> std::io::Result<tempfile::TempDir> {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())
}
