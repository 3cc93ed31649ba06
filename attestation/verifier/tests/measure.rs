//! `cloister-verify measure` against known answers.

mod tool;

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;
use tool::{arg, vectors, verify};

#[test]
fn launch_digests_are_those_of_other_tools() {
    let suite = vectors("attestation/measurement/snp-launch-digest-suite-qemu");
    let launches: Value = serde_json::from_slice(&fs::read(suite.join("cases.json")).unwrap()).unwrap();
    let mut compared = 0;
    for launch in launches.as_array().unwrap() {
        let text = |key: &str| launch[key].as_str();
        let (ovmf, vcpus) = (suite.join(text("ovmf").unwrap()), launch["vcpus"].to_string());
        let features = text("guest_features").unwrap();
        let mut args = vec!["measure", "snp", "--ovmf", arg(&ovmf), "--vcpus", &vcpus, "--vcpu-type", "EPYC-v4"];
        args.extend(["--guest-features", features]);
        if let (Some(kernel), Some(initrd), Some(append)) = (text("kernel"), text("initrd"), text("append")) {
            args.extend(["--kernel", kernel, "--initrd", initrd, "--append", append]);
        }
        let (code, report) = tool::json(&args);
        assert_eq!((code, &report["launch_digest"]), (0, &launch["launch_digest"]), "{}", launch["name"]);
        // EPYC-v4 is family 23, model 1, stepping 2.
        let by_signature: Vec<&str> =
            args.iter().map(|part| if *part == "--vcpu-type" { "--vcpu-sig" } else { *part }).collect();
        let by_signature: Vec<&str> =
            by_signature.into_iter().map(|part| if part == "EPYC-v4" { "0x00800f12" } else { part }).collect();
        assert_eq!(tool::json(&by_signature), (0, report));
        compared += 1;
    }
    assert!(compared >= 6);
}

#[test]
fn id_authentication_gives_the_digests_of_its_keys() {
    let measurement = vectors("attestation/measurement");
    let ovmf = measurement.join("snp-launch-digest-suite-qemu/ovmf_AmdSev_suffix.bin");
    let page = measurement.join("snp-id-block/test_auth_block.bin");
    let measure = |page: &str| {
        tool::json(&[
            "measure",
            "snp",
            "--ovmf",
            arg(&ovmf),
            "--vcpus",
            "1",
            "--vcpu-type",
            "EPYC-v4",
            "--id-auth",
            page,
        ])
    };
    let (code, report) = measure(arg(&page));
    // SHA-384 over 0x404 bytes at 0x240 and at 0x880, computed with another tool.
    let id_key = "59fb2c686dfa4fef49f38339aa775c90051c28d57383ddc3baf3b5eb4b1496df3b0dbbdcbae5fe27677a644820773fe2";
    let author = "eed81169fb0cb5e0ec34794f128fd4e0c4a46f67c65a1adfa81fcb24bcc088c272369b7ffc3eb2b6af6a4284a1b36c5f";
    assert_eq!((code, &report["id_key_digest"], &report["author_key_digest"]), (0, &json!(id_key), &json!(author)));

    // Key, signature on it, and curve of the author.
    for (offset, part) in [(0x250, "did not sign"), (0x690, "did not sign"), (0x880, "author key is not of ECDSA")] {
        let folder = TempDir::new().unwrap();
        let mut bytes = fs::read(&page).unwrap();
        bytes[offset] ^= 1;
        let altered = folder.path().join("auth.bin");
        fs::write(&altered, bytes).unwrap();
        let (code, report) = measure(arg(&altered));
        assert_eq!(code, 30);
        assert!(report["error"].as_str().unwrap().contains(part), "{offset:#x}: {report}");
    }
}

#[test]
fn what_cannot_be_measured_is_said() {
    let ovmf = vectors("attestation/measurement").join("snp-launch-digest-suite-qemu/ovmf_AmdSev_suffix.bin");
    let with = |more: &[&str]| {
        let output = verify(&[&["measure", "snp", "--ovmf", arg(&ovmf)], more].concat());
        output.status.code().unwrap()
    };
    assert_eq!(with(&["--vcpus", "1", "--vcpu-type", "EPYC-v4"]), 0);
    assert_eq!(with(&["--vcpus", "0", "--vcpu-type", "EPYC-v4"]), 2, "no vCPU");
    assert_eq!(with(&["--vcpus", "1"]), 2, "no processor");
    assert_eq!(with(&["--vcpus", "1", "--vcpu-type", "EPYC-Naples"]), 2, "unknown processor");
    assert_eq!(
        with(&["--vcpus", "1", "--vcpu-type", "EPYC-v4", "--append", "quiet"]),
        2,
        "a command line without a kernel"
    );
    assert_eq!(with(&["--vcpus", "1", "--vcpu-type", "EPYC-v4", "--vmm", "ec2"]), 2, "unknown VMM");
    assert_eq!(with(&["--vcpus", "1", "--vcpu-type", "EPYC-v4", "--kernel", "missing"]), 1);
    let not_ovmf = vectors("attestation/measurement").join("snp-launch-digest-real/input.json");
    let args = ["measure", "snp", "--ovmf", arg(&not_ovmf), "--vcpus", "1", "--vcpu-type", "EPYC-v4"];
    assert_eq!(verify(&args).status.code(), Some(30));
}
