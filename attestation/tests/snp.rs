//! SEV-SNP evidence that somebody touched: whatever byte is changed, it is refused, and nothing panics.
//!
//! The published cases themselves run in `policies/tests/snp_cases.rs`, where verdicts are made.

mod vectors;

use cloister_attestation::check::{ExitClass, Outcome, Stage};
use cloister_attestation::snp::{
    Cpuid, Endorsements, Error, Evidence, MAX_CERTIFICATE_BYTES, Product, RawTcb, Report, Role, Roots, Tcb, Verified,
    verify, verify_endorsement,
};
use cloister_attestation::{Rejected, check};
use proptest::prelude::*;
use vectors::{folder, read};

/// 2026-09-01.
const NOW_MS: u64 = 1_788_220_800_000;

struct Genuine {
    report: Vec<u8>,
    vek: Vec<u8>,
    ask: Vec<u8>,
    ark: Vec<u8>,
}

impl Genuine {
    fn load(case: &str) -> Self {
        let folder = folder("attestation/snp").join(case);
        let file = |name: &str| read(&folder.join(name));
        Self { report: file("report.bin"), vek: file("vek.der"), ask: file("ask.der"), ark: file("ark.der") }
    }

    fn genoa() -> Self {
        Self::load("snp-real-genoa-v5")
    }

    fn verify(&self) -> Result<Verified, Rejected<Error>> {
        let endorsements = Endorsements { vek: Some(&self.vek), ask: Some(&self.ask), ark: Some(&self.ark), crl: None };
        verify(&Evidence { report: &self.report, endorsements }, &Roots::pinned(), NOW_MS)
    }

    fn refusal(&self) -> Rejected<Error> {
        self.verify().expect_err("altered evidence")
    }
}

#[test]
fn snp_genuine_evidence_verifies_with_every_check_made() {
    let verified = Genuine::genoa().verify().unwrap();
    let open: Vec<&str> =
        verified.checks().iter().filter(|check| check.result != Outcome::Pass).map(|check| check.id).collect();
    assert_eq!(open, ["snp.crl"], "without a list, revocation is not done, and nothing else is missing");
    assert_eq!(verified.product(), Product::Genoa);
    assert_eq!(verified.valid_until_ms(), verified.vek().not_after() * 1000);
}

/// Each byte on its own, so that no check leans on another one.
#[test]
fn snp_every_byte_of_a_report_counts() {
    let genuine = Genuine::genoa();
    for offset in 0..genuine.report.len() {
        let mut report = genuine.report.clone();
        report[offset] ^= 1 << (offset % 8);
        let altered = Genuine { report, ..Genuine::genoa() };
        let error = altered.refusal().error;
        match offset {
            0..4 => assert!(matches!(error, Error::ReportVersion(_) | Error::ReportSignature), "{offset:#x}: {error}"),
            0x34..0x38 => assert!(matches!(error, Error::SignatureAlgo(_)), "{offset:#x}: {error}"),
            0x48 => assert!(matches!(error, Error::ReportSignature), "{offset:#x}: {error}"),
            0x330.. => assert_eq!(error, Error::UnsignedNonzero, "{offset:#x}"),
            _ => assert_eq!(error.code(), "REPORT_SIGNATURE", "{offset:#x}: {error}"),
        }
    }
}

#[test]
fn snp_every_byte_of_a_leaf_certificate_counts() {
    let genuine = Genuine::genoa();
    for offset in 0..genuine.vek.len() {
        let mut vek = genuine.vek.clone();
        vek[offset] ^= 0x10;
        let error = Genuine { vek, ..Genuine::genoa() }.refusal().error;
        assert_eq!(error.stage(), Stage::Chain, "{offset}: {error}");
        assert!(!matches!(error, Error::VekExtensionMissing(_)), "{offset}: extensions are read after the signature");
    }
}

#[test]
fn snp_every_byte_of_an_intermediate_counts() {
    let genuine = Genuine::genoa();
    for offset in (0..genuine.ask.len()).step_by(7) {
        let mut ask = genuine.ask.clone();
        ask[offset] ^= 0x04;
        let error = Genuine { ask, ..Genuine::genoa() }.refusal().error;
        assert!(matches!(error.code(), "ASK_SIGNATURE" | "CERT_SIG_ALG"), "{offset}: {error}");
    }
}

#[test]
fn snp_a_root_is_trusted_byte_for_byte() {
    let genuine = Genuine::genoa();
    for offset in (0..genuine.ark.len()).step_by(11) {
        let mut ark = genuine.ark.clone();
        ark[offset] ^= 0x20;
        let refused = Genuine { ark, ..Genuine::genoa() }.refusal();
        assert_eq!(refused.error, Error::RootUntrusted);
        let later = refused.checks.iter().skip_while(|check| check.id != "snp.chain.ark").skip(1);
        assert!(later.clone().all(|check| check.result == Outcome::NotDone), "what follows a failure is not done");
        assert!(!check::all_hold(&refused.checks));
    }
}

#[test]
fn snp_sizes_are_bounded_before_anything_is_read() {
    let large = vec![0x30; MAX_CERTIFICATE_BYTES + 1];
    let refused = Genuine { vek: large.clone(), ..Genuine::genoa() }.refusal();
    assert_eq!(refused.error, Error::Malformed { role: Role::Vek, what: "too large" });
    assert_eq!(refused.error.class(), ExitClass::Malformed);
    let refused = Genuine { ask: large, ..Genuine::genoa() }.refusal();
    assert_eq!(refused.error, Error::Malformed { role: Role::Ask, what: "too large" });
    for length in [0, 1, 1183, 1185, 4096] {
        assert_eq!(Report::parse(&vec![0; length]), Err(Error::ReportSize(length)));
    }
}

#[test]
fn snp_trailing_bytes_are_refused_everywhere() {
    let append = |bytes: &[u8]| [bytes, &[0]].concat();
    let genuine = Genuine::genoa();
    let cases = [
        (Genuine { report: append(&genuine.report), ..Genuine::genoa() }, "REPORT_SIZE"),
        (Genuine { vek: append(&genuine.vek), ..Genuine::genoa() }, "VEK_MALFORMED"),
        (Genuine { ask: append(&genuine.ask), ..Genuine::genoa() }, "ASK_SIGNATURE"),
        (Genuine { ark: append(&genuine.ark), ..Genuine::genoa() }, "ROOT_UNTRUSTED"),
    ];
    for (altered, code) in cases {
        assert_eq!(altered.refusal().error.code(), code);
    }
}

#[test]
fn snp_the_chain_of_another_product_endorses_nothing() {
    let (genoa, milan) = (Genuine::genoa(), Genuine::load("snp-real-milan-v3-azure"));
    let mixed = Genuine { report: genoa.report, ..milan };
    assert_eq!(mixed.refusal().error, Error::ReportSignature);
}

#[test]
fn snp_a_leaf_needs_its_own_time() {
    let genuine = Genuine::genoa();
    let endorsements = Endorsements { vek: Some(&genuine.vek), ..Endorsements::default() };
    let at = |now_ms| verify_endorsement(&endorsements, &Roots::pinned(), now_ms).map(|(vek, _)| vek);
    let not_after = at(NOW_MS).unwrap().not_after();
    assert!(at(not_after * 1000 + 999).is_ok(), "the last second is part of it");
    let expired = at((not_after + 1) * 1000).unwrap_err().error;
    assert_eq!((expired.code(), expired.class()), ("VEK_EXPIRED", ExitClass::Collateral));
    assert_eq!(at(0).unwrap_err().error.code(), "VEK_NOT_YET_VALID");
}

#[test]
fn snp_processors_are_told_apart_by_family_and_model() {
    let product = |family, model| Product::from_cpuid(Cpuid { family, model, stepping: 0 });
    assert_eq!(product(0x19, 0x01), Some(Product::Milan));
    assert_eq!(product(0x19, 0x11), Some(Product::Genoa));
    assert_eq!(product(0x19, 0xA0), Some(Product::Genoa), "Zen 4c: Bergamo");
    assert_eq!(product(0x19, 0x20), None, "a desktop processor");
    assert_eq!(product(0x1A, 0x11), Some(Product::Turin));
    assert_eq!(product(0x1A, 0x50), None, "Venice has no root yet");
    assert_eq!(product(0x17, 0x31), None, "Rome has no SNP");
}

#[test]
fn snp_tcb_versions_compare_by_component() {
    let milan = Tcb::decode(Product::Milan, RawTcb([4, 0, 0, 0, 0, 0, 0x18, 0xDB]));
    assert_eq!((milan.bootloader, milan.snp, milan.microcode, milan.fmc), (4, 0x18, 0xDB, None));
    let turin = Tcb::decode(Product::Turin, RawTcb([1, 2, 3, 4, 0, 0, 0, 0x51]));
    assert_eq!((turin.fmc, turin.bootloader, turin.tee, turin.snp, turin.microcode), (Some(1), 2, 3, 4, 0x51));
    // Higher as an integer and lower in one component: not at least as new.
    let other = Tcb { bootloader: 3, microcode: 0xFF, ..milan };
    assert!(!other.at_least(&milan) && !milan.at_least(&other));
    assert!(!milan.at_least(&Tcb { fmc: Some(0), ..milan }), "a TCB without an FMC meets no minimum of one");
}

proptest! {
    #[test]
    fn snp_reports_of_any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
        let _ = Report::parse(&bytes);
    }

    #[test]
    fn snp_certificates_of_any_bytes_are_refused(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..16),
    ) {
        let genuine = Genuine::genoa();
        let mut vek = genuine.vek.clone();
        for (at, value) in edits {
            vek[at.index(genuine.vek.len())] = value;
        }
        prop_assume!(vek != genuine.vek);
        let verdict = Genuine { vek, ..genuine }.verify();
        prop_assert!(verdict.is_err());
    }

    #[test]
    fn snp_revocation_lists_of_any_bytes_are_refused(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..16),
    ) {
        let genuine = Genuine::load("snp-real-genoa-v3-azure");
        let genuine_list = read(&folder("attestation/roots").join("crl-ARK-Genoa-20241023.der"));
        let mut list = genuine_list.clone();
        for (at, value) in edits {
            list[at.index(genuine_list.len())] = value;
        }
        prop_assume!(list != genuine_list);
        let endorsements = Endorsements { vek: Some(&genuine.vek), crl: Some(&list), ..Endorsements::default() };
        // 2025-06-01, when the genuine list is current.
        let verdict = verify_endorsement(&endorsements, &Roots::pinned(), 1_748_736_000_000);
        let code = verdict.expect_err("an altered list").error.code();
        prop_assert!(matches!(code, "CRL_SIGNATURE" | "CRL_ISSUER" | "CERT_SIG_ALG"), "{}", code);
    }
}
