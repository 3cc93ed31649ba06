//! SNP launch digests against the known answers of the published set, and against a digest that AMD's firmware signed.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod vectors;

use std::path::Path;

use cloister_attestation::snp::launch::{
    CpuSignature, DirectBoot, Error, Firmware, Section, SectionKind, Shape, Vmm, launch_digest,
};
use proptest::prelude::*;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use vectors::{folder, read};

fn json(path: &Path) -> Value {
    serde_json::from_slice(&read(path)).unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    hex::decode(value.as_str().unwrap()).unwrap().try_into().unwrap()
}

fn shape(vcpus: u32, sev_features: u64, vmm: Vmm) -> Shape {
    Shape { vcpus, cpu: CpuSignature::from_qemu_model("EPYC-v4").unwrap(), sev_features, vmm }
}

#[test]
fn snp_launch_digest_equals_one_that_hardware_signed() {
    let case = folder("attestation/measurement/snp-launch-digest-real");
    let (input, expect) = (json(&case.join("input.json")), json(&case.join("case.json")));
    let section = |item: &Value| Section {
        gpa: number(&item["gpa"]),
        size_bytes: number(&item["size"]),
        kind: SectionKind::from_value(number(&item["section_type"]).try_into().unwrap()).unwrap(),
    };
    let firmware = Firmware {
        pages_digest: array(&input["ovmf_hash"]),
        sections: input["ovmf_sections"].as_array().unwrap().iter().map(section).collect(),
        hashes_gpa: Some(number(&input["sev_hashes_table_gpa"]).try_into().unwrap()),
        reset_eip: Some(number(&input["sev_es_reset_eip"]).try_into().unwrap()),
    };
    let cmdline = format!("{}\0", input["base_cmdline"].as_str().unwrap());
    let boot = DirectBoot {
        kernel_sha256: array(&input["kernel_hash"]),
        initrd_sha256: array(&input["initrd_hash"]),
        cmdline_sha256: Sha256::digest(cmdline).into(),
    };
    let shape = Shape {
        vcpus: number(&input["vcpus"]).try_into().unwrap(),
        cpu: CpuSignature::from_qemu_model(input["vcpu_type"].as_str().unwrap()).unwrap(),
        sev_features: number(&input["guest_features"]),
        vmm: Vmm::Qemu,
    };
    let digest = launch_digest(&firmware, Some(&boot), &shape).unwrap();
    assert_eq!(hex::encode(digest), expect["expect"]["launch_digest"].as_str().unwrap());

    let report = read(&folder("attestation/snp/snp-real-milan-v3-dstack").join("report.bin"));
    let report = cloister_attestation::snp::Report::parse(&report).unwrap();
    assert_eq!(digest, report.claims_unverified().measurement);

    let other = Shape { vcpus: shape.vcpus + 1, ..shape };
    assert_ne!(launch_digest(&firmware, Some(&boot), &other).unwrap(), digest);
    assert_ne!(launch_digest(&firmware, None, &shape).unwrap(), digest);
}

#[test]
fn snp_launch_digest_equals_the_answers_of_other_tools() {
    let suite = folder("attestation/measurement/snp-launch-digest-suite-qemu");
    let cases = json(&suite.join("cases.json"));
    let cases = cases.as_array().unwrap();
    assert!(cases.len() >= 6);
    for case in cases {
        assert_eq!((&case["mode"], &case["vmm"]), (&"snp".into(), &"QEMU".into()));
        let firmware = Firmware::parse(&read(&suite.join(case["ovmf"].as_str().unwrap()))).unwrap();
        let boot = case["kernel"].as_str().map(|_| DirectBoot::hash(b"", b"", case["append"].as_str().unwrap()));
        let features = case["guest_features"].as_str().unwrap().strip_prefix("0x").unwrap();
        let features = u64::from_str_radix(features, 16).unwrap();
        let shape = shape(number(&case["vcpus"]).try_into().unwrap(), features, Vmm::Qemu);
        let digest = launch_digest(&firmware, boot.as_ref(), &shape).unwrap();
        assert_eq!(hex::encode(digest), case["launch_digest"].as_str().unwrap(), "{}", case["name"]);
    }
}

/// From the tests of virtee/sev-snp-measure 8f2b337 (Apache-2.0), which uses the same firmware file.
#[test]
fn snp_launch_digest_knows_googles_registers() {
    let suite = folder("attestation/measurement/snp-launch-digest-suite-qemu");
    let firmware = Firmware::parse(&read(&suite.join("ovmf_AmdSev_suffix.bin"))).unwrap();
    let boot = DirectBoot::hash(b"", b"", "");
    let answers = [
        (1, "5da7106cf14cf46b1725ebab123eb9e53bd46a1e9f400cd0c08e7827b04b688ea8b4e403c8404efed4397ea5d5d0722e"),
        (4, "5c5debf100fc339f90276e761ee1f1658d08922c3b20e2a2e6c7a6c3370b2452a15a00eae11886a93d6fd1e7ab81e29d"),
    ];
    for (vcpus, answer) in answers {
        let digest = launch_digest(&firmware, Some(&boot), &shape(vcpus, 1, Vmm::Gce)).unwrap();
        assert_eq!(hex::encode(digest), answer);
    }
}

#[test]
fn what_cannot_be_measured_is_an_error() {
    let suite = folder("attestation/measurement/snp-launch-digest-suite-qemu");
    let image = read(&suite.join("ovmf_AmdSev_suffix.bin"));
    let firmware = Firmware::parse(&image).unwrap();
    let boot = DirectBoot::hash(b"", b"", "");
    let measure = |firmware: &Firmware, vcpus| launch_digest(firmware, Some(&boot), &shape(vcpus, 1, Vmm::Qemu));
    assert_eq!(measure(&firmware, 0), Err(Error::Vcpus(0)));
    assert_eq!(measure(&firmware, 4097), Err(Error::Vcpus(4097)));
    assert_eq!(measure(&Firmware { reset_eip: None, ..firmware.clone() }, 2), Err(Error::NoResetVector));
    assert_eq!(measure(&Firmware { hashes_gpa: None, ..firmware.clone() }, 1), Err(Error::NoHashesPage));
    assert_eq!(measure(&Firmware { sections: Vec::new(), ..firmware.clone() }, 1), Err(Error::NoHashesPage));
    let odd = Section { gpa: 0x1000, size_bytes: 4097, kind: SectionKind::Memory };
    assert_eq!(measure(&Firmware { sections: vec![odd], ..firmware }, 1), Err(Error::SectionSize(0x1000)));
    assert_eq!(Firmware::parse(&image[1..]), Err(Error::FirmwareSize(4095)));
    assert_eq!(Firmware::parse(&[]), Err(Error::FirmwareSize(0)));
    assert_eq!(Firmware::parse(&[0; 4096]), Err(Error::FirmwareTable("not there")));
}

proptest! {
    /// Whatever the table says, reading it ends without a panic.
    #[test]
    fn firmware_tables_of_any_content_are_read_or_refused(edits in prop::collection::vec((0..4096_usize, any::<u8>()), 1..12)) {
        let suite = folder("attestation/measurement/snp-launch-digest-suite-qemu");
        let mut image = read(&suite.join("ovmf_AmdSev_suffix.bin"));
        let from = image.len() - 1024;
        for (at, value) in edits {
            image[from + at % 1024] = value;
        }
        if let Ok(firmware) = Firmware::parse(&image) {
            prop_assert!(firmware.sections.len() * 12 < image.len());
        }
    }
}
