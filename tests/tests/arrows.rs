//! The invariants of ARCHITECTURE.md that a test can see: which crate may use which, and what stands in one file only.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Allowed arrows: a crate and what of ours it may use, development dependencies apart.
const ARROWS: [(&str, &[&str]); 11] = [
    ("cloister-attestation", &[]),
    ("cloister-models", &[]),
    ("cloister-protocol", &[]),
    ("cloister-policies", &["cloister-attestation", "cloister-models"]),
    ("cloister-enclave", &["cloister-policies", "cloister-attestation", "cloister-models", "cloister-protocol"]),
    ("cloister-docworker", &["cloister-protocol"]),
    ("cloister-host", &["cloister-protocol"]),
    ("cloister-verify", &["cloister-attestation", "cloister-policies", "cloister-protocol"]),
    ("cloister-synthetic", &["cloister-attestation"]),
    (
        "cloister-fuzz",
        &[
            "cloister-attestation",
            "cloister-docworker",
            "cloister-enclave",
            "cloister-host",
            "cloister-policies",
            "cloister-protocol",
            "cloister-synthetic",
        ],
    ),
    (
        "cloister-tests",
        &[
            "cloister-attestation",
            "cloister-docworker",
            "cloister-enclave",
            "cloister-host",
            "cloister-models",
            "cloister-policies",
            "cloister-protocol",
            "cloister-synthetic",
            "cloister-verify",
        ],
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the root").to_owned()
}

#[test]
fn dc_01_crates_use_only_what_the_design_allows() {
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().expect("metadata");
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        ARROWS.iter().map(|(from, to)| (*from, to.iter().copied().collect())).collect();
    let ours: BTreeSet<&str> = metadata.packages.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(ours, allowed.keys().copied().collect(), "a crate came or went: say so in the design first");
    for package in &metadata.packages {
        let used =
            package.dependencies.iter().filter(|d| d.kind != DependencyKind::Development).map(|d| d.name.as_str());
        for used in used.filter(|name| ours.contains(name)) {
            let from = package.name.as_str();
            assert!(allowed[from].contains(used), "{from} may not use {used}");
        }
    }
}

#[test]
fn dc_01_the_top_level_holds_the_design_s_folders_and_housekeeping() {
    let folders = ["attestation", "deploy", "enclave", "host", "models", "policies", "tests"];
    let tracked = std::process::Command::new("git").args(["ls-files"]).current_dir(root()).output().expect("git");
    let tracked = String::from_utf8(tracked.stdout).expect("UTF-8");
    let found: BTreeSet<&str> = tracked.lines().filter_map(|l| l.split_once('/')).map(|(top, _)| top).collect();
    let found: BTreeSet<&str> = found.into_iter().filter(|f| !f.starts_with('.')).collect();
    assert_eq!(found, folders.into_iter().collect());
}

/// Source files of a folder, tests left out.
fn sources(folder: &str) -> Vec<(String, String)> {
    fn walk(dir: &Path, out: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(dir).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).expect("UTF-8 source");
                out.push((path.strip_prefix(root()).expect("below the root").display().to_string(), text));
            }
        }
    }
    let mut out = Vec::new();
    walk(&root().join(folder), &mut out);
    assert!(!out.is_empty(), "{folder} has sources");
    out
}

/// Asserts that `needle` stands in no source of `folder` but the named files.
fn only_in(folder: &str, needle: &str, files: &[&str]) {
    for (path, text) in sources(folder) {
        let code = text.lines().filter(|l| !l.trim_start().starts_with("//"));
        let here = code.filter(|l| l.contains(needle)).count();
        assert!(here == 0 || files.contains(&path.as_str()), "{needle:?} stands in {path}; only {files:?} may have it");
    }
}

#[test]
fn invariant_4_attestation_does_no_io_and_reads_no_clock() {
    for needle in ["std::fs", "std::net", "std::env", "SystemTime", "Instant::now", "tokio", "std::process"] {
        only_in("attestation/src", needle, &[]);
    }
}

#[test]
fn invariant_5_no_product_code_takes_a_scope_that_nobody_authorized() {
    only_in("enclave/src", "danger::", &[]);
}

#[test]
fn invariant_6_time_environment_paths_and_statuses_have_one_home() {
    only_in("enclave/src", "SystemTime::now", &["enclave/src/clock.rs"]);
    only_in("enclave/src", "std::env::var", &["enclave/src/config.rs"]);
    only_in("enclave/src", ".route(", &["enclave/src/router.rs"]);
    only_in("policies/src", "SystemTime::now", &[]);
    only_in("models/src", "SystemTime::now", &[]);
}

#[test]
fn invariant_10_unsafe_is_forbidden_everywhere() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("the workspace manifest");
    assert!(manifest.contains("unsafe_code = \"forbid\""));
    for package in [
        "attestation",
        "attestation/verifier",
        "enclave",
        "enclave/docworker",
        "enclave/protocol",
        "host",
        "models",
        "policies",
        "tests",
        "tests/synthetic",
        "tests/fuzz",
    ] {
        let manifest = fs::read_to_string(root().join(package).join("Cargo.toml")).expect("a manifest");
        assert!(manifest.contains("[lints]\nworkspace = true"), "{package} does not take the workspace's lints");
    }
}
