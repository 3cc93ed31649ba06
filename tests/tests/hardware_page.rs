//! What browsers make of the product on emulated hardware: the shipped page in a real Chromium, and the verifier package.

use std::fs;
use std::path::Path;
use std::process::Command;

use cloister_tests::appliance::{Appliance, Options, checkout};
use cloister_tests::scenario::now_ms;
use cloister_tests::tee::amd::{Amd, Line};
use cloister_tests::tee::intel::Recipe;
use cloister_tests::tsm::{Emulator, Platform};

/// Starts the product behind this platform and hands it to `tests/js/hardware.mjs`.
fn browsers(dir: &Path, platform: Box<dyn Platform>, root: &[u8], collateral: Option<String>) {
    let emulator = Emulator::mount(platform).expect("mounts");
    let root_file = dir.join("root.der");
    fs::write(&root_file, root).expect("writes the root");
    let hardware = Some(emulator.hardware("auto", &root_file));
    let options = Options { hardware, ..Options::for_checkout(dir.join("appliance")).expect("built") };
    let appliance = Appliance::start(options).expect("starts");

    let mut node = Command::new("node");
    node.current_dir(checkout()).args(["tests/js/hardware.mjs", "--url", &appliance.url(), "--root"]).arg(&root_file);
    if let Some(collateral) = collateral {
        let file = dir.join("collateral.json");
        fs::write(&file, collateral).expect("writes the collateral");
        node.arg("--collateral").arg(file);
    }
    let output = node.output().expect("node starts");
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(
        output.status.success() && out.contains("3 passed, 0 failed, 0 skipped"),
        "tests/js/hardware.mjs:\n{out}\n{err}"
    );
}

#[test]
fn s3_19_browsers_refuse_an_emulated_snp_guest_and_verify_it_under_its_root() {
    let dir = tempfile::tempdir().expect("a folder");
    let amd = Amd::new(Line::Genoa, 5).expect("keys");
    let root = amd.ark.clone();
    browsers(dir.path(), Box::new(amd), &root, None);
}

#[test]
fn s3_19_browsers_refuse_an_emulated_tdx_guest_and_verify_it_under_its_root_with_its_collateral() {
    let dir = tempfile::tempdir().expect("a folder");
    let intel = Recipe::v5().published_before(now_ms()).platform();
    let (root, collateral) = (intel.root.clone(), serde_json::to_string(&intel.collateral).expect("JSON"));
    browsers(dir.path(), Box::new(intel), &root, Some(collateral));
}
