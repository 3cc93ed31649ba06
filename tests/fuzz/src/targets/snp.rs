//! SEV-SNP: report, certificates and revocation list, and the firmware image that a launch digest is computed from.

use cloister_attestation::snp::launch::{CpuSignature, DirectBoot, Firmware, Shape, Vmm, launch_digest};
use cloister_attestation::snp::table::Table;
use cloister_attestation::snp::{self, Endorsements, Evidence, MAX_CERTIFICATE_BYTES, Report, Roots};

use super::{no_failure, one_bit_off, one_failure};
use crate::parts::{milliseconds, optional, split};

/// Parts: time, a root to trust instead of AMD's, ARK, ASK, VEK, revocation list, report.
pub(crate) fn verify(data: &[u8]) {
    let [time, root, ark, ask, vek, crl, report] = split(data);
    let Ok(roots) = optional(root).map_or_else(|| Ok(Roots::pinned()), Roots::insecure_with_ark) else { return };
    let endorsements = Endorsements { vek: optional(vek), ask: optional(ask), ark: optional(ark), crl: optional(crl) };
    let evidence = Evidence { report, endorsements };
    let parsed = Report::parse(report);
    match snp::verify(&evidence, &roots, milliseconds(time)) {
        Ok(verified) => {
            no_failure(verified.checks());
            let claims = parsed.expect("what verifies can be parsed");
            assert_eq!(claims.claims_unverified(), verified.claims());
            let _ = verified.claims().observations();
            let other = one_bit_off(report).expect("a report is not empty");
            let other = Evidence { report: &other, endorsements };
            assert!(snp::verify(&other, &roots, milliseconds(time)).is_err(), "a report with another bit is accepted");
        }
        Err(rejected) => one_failure(&rejected.checks, Some(rejected.error.stage())),
    }
    if let Err(rejected) = snp::verify_endorsement(&endorsements, &roots, milliseconds(time)) {
        one_failure(&rejected.checks, Some(rejected.error.stage()));
    }
}

/// An OVMF image, and the digest over it for a few processors.
pub(crate) fn firmware(data: &[u8]) {
    let Ok(firmware) = Firmware::parse(data) else { return };
    let Some(cpu) = CpuSignature::from_qemu_model("EPYC-v4") else { return };
    let boot = DirectBoot::hash(b"kernel", b"initrd", "console=ttyS0");
    for boot in [None, Some(&boot)] {
        let shape = Shape { vcpus: 2, cpu, sev_features: 1, vmm: Vmm::Qemu };
        let digest = launch_digest(&firmware, boot, &shape);
        assert_eq!(digest, launch_digest(&firmware, boot, &shape), "the same launch has the same digest");
    }
}

/// The host's table of certificates: whatever it says, each is a part of the table.
pub(crate) fn table(data: &[u8]) {
    let Ok(table) = Table::parse(data) else { return };
    for certificate in [table.vcek, table.vlek, table.ask, table.ark].into_iter().flatten() {
        assert!((1..=MAX_CERTIFICATE_BYTES).contains(&certificate.len()));
        assert!(data.as_ptr_range().contains(&certificate.as_ptr()), "a certificate from outside the table");
    }
    assert_eq!([table.leaf(0), table.leaf(1), table.leaf(2)], [table.vcek, table.vlek, None]);
}
