//! Runs the binary, and finds the shared vectors.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Runs `cloister-verify`.
pub(crate) fn verify(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cloister-verify")).args(args).output().expect("the binary runs")
}

/// Runs it with JSON output: the exit code and the report.
pub(crate) fn json(args: &[&str]) -> (i32, Value) {
    let output = verify(&[args, &["--json"]].concat());
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    (output.status.code().expect("an exit code"), report)
}

/// A folder of the shared vectors; a missing one is a failure, not a reason to pass.
pub(crate) fn vectors(folder: &str) -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors");
    let folder = std::env::var_os("CLOISTER_VECTORS").map_or_else(beside, PathBuf::from).join(folder);
    assert!(folder.is_dir(), "no test vectors in {}: set CLOISTER_VECTORS", folder.display());
    folder
}

/// A path as an argument.
pub(crate) fn arg(path: &Path) -> &str {
    path.to_str().expect("paths of tests are UTF-8")
}
