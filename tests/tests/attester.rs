//! The product's attester against an emulated configfs-tsm: what it makes of good behaviour, and of every bad one.
//!
//! The code under test is the real one, with the real system calls; only the kernel behind the mount is ours.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use cloister_attestation::check::all_hold;
use cloister_attestation::document::Tee;
use cloister_attestation::snp::table::Table;
use cloister_attestation::snp::{self, Endorsements, Evidence, Roots};
use cloister_attestation::tdx::{self, Certificate, ChainError};
use cloister_enclave::attest::configfs::{Configfs, Error, MAX_BLOB_BYTES, Provider};
use cloister_enclave::attest::provider::{self, Interfaces};
use cloister_enclave::attest::{Attester as _, PlatformError, Report};
use cloister_tests::scenario::now_ms;
use cloister_tests::tee::amd::{Amd, Line};
use cloister_tests::tee::intel::Recipe;
use cloister_tests::tsm::{Blobs, Emulator, Fault, Platform, Step};
use rustix::io::Errno;

/// Longer than any number of retries that a test orders.
const PATIENT: Duration = Duration::from_secs(20);
/// Over before the faults are that never end.
const HASTY: Duration = Duration::from_millis(120);

const OURS: [u8; 64] = [0xC1; 64];
const THEIRS: [u8; 64] = [0xE1; 64];

/// RSA keys take a second to make: one company for all tests.
static GENOA: LazyLock<Arc<Amd>> = LazyLock::new(|| Arc::new(Amd::new(Line::Genoa, 5).unwrap()));

/// A kind of guest, and what the kernel does differently for it.
struct Guest {
    tee: Tee,
    platform: fn() -> Box<dyn Platform>,
    /// Where `report_data` stands in its evidence.
    report_data: usize,
    /// Whether the driver has certificates to hand out.
    has_table: bool,
    /// The driver of the other kind.
    other_provider: &'static str,
    /// What evidence of a wrong length is called: reports of AMD have one size, quotes tell their own.
    wrong_length: Error,
}

const SNP: Guest = Guest {
    tee: Tee::SevSnp,
    platform: || Box::new(Shared(Arc::clone(&GENOA))),
    report_data: 0x50,
    has_table: true,
    other_provider: "tdx_guest",
    wrong_length: Error::Size,
};

const TDX_V4: Guest = Guest {
    tee: Tee::Tdx,
    platform: || Box::new(Recipe::v4().published_before(now_ms()).platform()),
    report_data: 48 + 520,
    has_table: false,
    other_provider: "sev_guest",
    wrong_length: Error::Malformed,
};

/// With the type and the size of the body before it.
const TDX_V5: Guest = Guest {
    platform: || Box::new(Recipe::v5().published_before(now_ms()).platform()),
    report_data: 48 + 6 + 520,
    ..TDX_V4
};

const GUESTS: [Guest; 3] = [SNP, TDX_V4, TDX_V5];

impl Guest {
    fn mount(&self) -> Emulator {
        Emulator::mount((self.platform)()).unwrap()
    }

    /// Whether this can happen to it at all.
    fn knows(&self, fault: &Fault) -> bool {
        let of_the_table = match fault {
            Fault::Fails(step, _) | Fault::OtherWriter(step) => *step == Step::ReadAuxblob,
            Fault::Auxblob(_) => true,
            Fault::LostWrite | Fault::ReportOver(_) | Fault::Outblob(_) | Fault::Provider(_) => false,
        };
        self.has_table || !of_the_table
    }
}

struct Shared(Arc<Amd>);

impl Platform for Shared {
    fn provider(&self) -> &'static str {
        "sev_guest"
    }

    fn evidence(&self, report_data: &[u8; 64]) -> Blobs {
        self.0.evidence(report_data)
    }
}

fn report(emulator: &Emulator, deadline: Duration) -> Result<Report, PlatformError> {
    let report = Configfs::open_within(emulator.path(), None, deadline).map_err(PlatformError::Configfs)?.report(&OURS);
    assert_eq!(emulator.folders(), 0, "every folder is removed, whatever happened");
    report
}

/// With this fault once, every kind of guest makes its report all the same.
fn survives(fault: &Fault) {
    for guest in GUESTS.iter().filter(|guest| guest.knows(fault)) {
        let (emulator, what) = (guest.mount(), format!("{}: {fault:?}", guest.tee.name()));
        let configfs = Configfs::open_within(emulator.path(), None, PATIENT).unwrap();
        let before = emulator.folders_made();
        emulator.once(fault.clone());
        let evidence = configfs.report(&OURS).unwrap().evidence;
        let found = evidence.report.0.get(guest.report_data..guest.report_data + 64);
        assert_eq!((evidence.tee.as_str(), found), (guest.tee.name(), Some(OURS.as_slice())), "{what}");
        let made = if matches!(fault, Fault::Fails(Step::Mkdir, _)) { 1 } else { 2 };
        assert_eq!(emulator.folders_made(), before + made, "{what}: the second try has a folder of its own");
        assert_eq!(emulator.folders(), 0, "{what}");
    }
}

/// With this fault at every occasion, it is this error for every kind of guest, and the folders are gone.
fn fails(fault: &Fault, error: Error) {
    for guest in GUESTS.iter().filter(|guest| guest.knows(fault)) {
        fails_for(guest, fault, error);
    }
}

fn fails_for(guest: &Guest, fault: &Fault, error: Error) {
    let (emulator, what) = (guest.mount(), format!("{}: {fault:?}", guest.tee.name()));
    let configfs = Configfs::open_within(emulator.path(), None, HASTY).unwrap();
    emulator.always(fault.clone());
    assert_eq!(configfs.report(&OURS), Err(PlatformError::Configfs(error)), "{what}");
    assert_eq!(emulator.folders(), 0, "{what}");
    emulator.behave();
    configfs.report(&OURS).unwrap_or_else(|_| panic!("{what} leaves nothing behind"));
}

#[test]
fn a_report_and_its_table_verify_under_the_roots_they_were_made_under_and_no_other() {
    for (line, version) in [(Line::Genoa, 5), (Line::Genoa, 3), (Line::Turin, 5), (Line::Milan, 3), (Line::Milan, 2)] {
        let amd = GENOA.another(line, version).unwrap();
        let (ark, crl) = (amd.ark.clone(), amd.crl.clone());
        let emulator = Emulator::mount(Box::new(amd)).unwrap();
        let report = report(&emulator, PATIENT).unwrap();
        let table = Table::parse(&report.certificates).unwrap();
        let endorsements = Endorsements { vek: table.leaf(0), ask: table.ask, ark: table.ark, crl: Some(&crl) };
        let evidence = Evidence { report: &report.evidence.report.0, endorsements };
        let verified = snp::verify(&evidence, &Roots::insecure_with_ark(&ark).unwrap(), now_ms()).unwrap();
        assert_eq!((verified.claims().report_data, verified.claims().version), (OURS, version));
        let refused = snp::verify(&evidence, &Roots::pinned(), now_ms()).unwrap_err();
        assert_eq!(refused.error, snp::Error::RootUntrusted);
    }
}

#[test]
fn dc_05_a_quote_of_tdx_verifies_with_its_collateral_under_the_root_it_was_made_under_and_no_other() {
    for (recipe, version) in [(Recipe::v4(), 4), (Recipe::v5(), 5), (Recipe::v5_extended(), 5)] {
        let intel = recipe.published_before(now_ms()).platform();
        let (root, collateral) = (tdx::Roots::insecure_with_root(intel.root.clone()), intel.collateral.clone());
        let emulator = Emulator::mount(Box::new(intel)).unwrap();
        let report = report(&emulator, PATIENT).unwrap();
        assert_eq!((report.evidence.tee.as_str(), report.certificates.as_slice()), ("tdx", [].as_slice()));
        let evidence = tdx::Evidence { quote: &report.evidence.report.0, collateral: Some(&collateral) };
        let verified = tdx::verify(&evidence, &root, now_ms()).unwrap();
        assert!(all_hold(verified.checks()) && !verified.is_pinned());
        assert_eq!((verified.report().report_data, verified.version()), (OURS, version));
        let refused = tdx::verify(&evidence, &tdx::Roots::pinned(), now_ms()).unwrap_err();
        assert_eq!(refused.error, tdx::Error::Chain(Certificate::Pck, ChainError::RootUntrusted));
        // The platform keeps its keys: the next quote is of the same one, and over other bytes.
        let configfs = Configfs::open_within(emulator.path(), None, PATIENT).unwrap();
        let quote = configfs.report(&THEIRS).unwrap().evidence.report.0;
        let evidence = tdx::Evidence { quote: &quote, ..evidence };
        assert_eq!(tdx::verify(&evidence, &root, now_ms()).unwrap().report().report_data, THEIRS);
    }
}

#[test]
fn a_host_without_a_table_is_no_failure() {
    let emulator = SNP.mount();
    emulator.once(Fault::Auxblob(None));
    assert_eq!(report(&emulator, PATIENT).unwrap().certificates, Vec::<u8>::new());
    // Nor is one that hands out nonsense: the table is looked at by those who need it.
    emulator.once(Fault::Auxblob(Some(vec![7; 100])));
    assert_eq!(report(&emulator, PATIENT).unwrap().certificates, vec![7; 100]);
}

#[test]
fn busy_and_interrupted_are_tried_again() {
    for step in [Step::Mkdir, Step::ReadGeneration, Step::ReadProvider, Step::ReadOutblob, Step::ReadAuxblob] {
        for errno in [Errno::BUSY, Errno::INTR, Errno::AGAIN] {
            survives(&Fault::Fails(step, errno));
        }
    }
}

#[test]
fn many_failures_in_a_row_are_outlasted() {
    for guest in GUESTS {
        let emulator = guest.mount();
        emulator.times(Fault::Fails(Step::ReadOutblob, Errno::BUSY), 6);
        report(&emulator, PATIENT).unwrap();
        assert_eq!(emulator.folders_made(), 1 + 7);
        assert_eq!(emulator.most_folders(), 1, "one folder at a time");
    }
}

#[test]
fn a_report_that_others_had_a_hand_in_is_thrown_away() {
    for step in [Step::ReadGeneration, Step::WriteInblob, Step::ReadProvider, Step::ReadOutblob, Step::ReadAuxblob] {
        survives(&Fault::OtherWriter(step));
    }
    // A write that the kernel lost shows by the generation alone.
    survives(&Fault::LostWrite);
    survives(&Fault::Fails(Step::WriteInblob, Errno::BUSY));
}

#[test]
fn what_never_ends_is_given_up_at_the_deadline_by_its_name() {
    fails(&Fault::Fails(Step::Mkdir, Errno::BUSY), Error::Busy);
    fails(&Fault::Fails(Step::ReadOutblob, Errno::INTR), Error::Busy);
    fails(&Fault::Fails(Step::ReadOutblob, Errno::AGAIN), Error::Busy);
    fails(&Fault::OtherWriter(Step::ReadOutblob), Error::Interfered);
    fails(&Fault::LostWrite, Error::Interfered);
}

#[test]
fn each_final_refusal_has_its_own_name() {
    fails(&Fault::Fails(Step::ReadOutblob, Errno::FBIG), Error::TooLarge);
    fails(&Fault::Fails(Step::ReadAuxblob, Errno::FBIG), Error::TooLarge);
    fails(&Fault::Outblob(vec![0; MAX_BLOB_BYTES + 1]), Error::TooLarge);
    fails(&Fault::Auxblob(Some(vec![0; MAX_BLOB_BYTES + 1])), Error::TooLarge);
    fails(&Fault::Fails(Step::Mkdir, Errno::NXIO), Error::NoProvider);
    fails(&Fault::Fails(Step::ReadProvider, Errno::NXIO), Error::NoProvider);
    fails(&Fault::Fails(Step::ReadOutblob, Errno::NXIO), Error::NoProvider);
    fails(&Fault::Fails(Step::Mkdir, Errno::NOENT), Error::Absent);
    fails(&Fault::Fails(Step::Mkdir, Errno::PERM), Error::Denied);
    fails(&Fault::Fails(Step::ReadOutblob, Errno::TIMEDOUT), Error::TimedOut);
    fails(&Fault::Fails(Step::ReadOutblob, Errno::IO), Error::Io(std::io::Error::from(Errno::IO).kind()));
    for guest in &GUESTS {
        fails_for(guest, &Fault::Provider(guest.other_provider), Error::ProviderChanged);
    }
    fails(&Fault::Provider("arm_cca_guest"), Error::UnknownProvider);
}

#[test]
fn a_report_of_another_form_or_over_other_bytes_is_not_used() {
    fails(&Fault::ReportOver(THEIRS), Error::OtherReportData);
    for guest in &GUESTS {
        let good = (guest.platform)().evidence(&OURS).outblob;
        let of_length = |bytes: &[u8]| fails_for(guest, &Fault::Outblob(bytes.to_vec()), guest.wrong_length);
        of_length(good.split_at(good.len() - 1).0);
        of_length(&[good.as_slice(), &[1]].concat());
        of_length(&[]);
        let mut future = good;
        // The version stands first: four bytes with AMD, two with Intel and then the kind of key.
        future.splice(..2, 6u16.to_le_bytes());
        fails_for(guest, &Fault::Outblob(future), Error::Malformed);
    }
    // Evidence of the other kind is none, however true it is.
    fails_for(&SNP, &Fault::Outblob((TDX_V4.platform)().evidence(&OURS).outblob), Error::Size);
    fails_for(&TDX_V4, &Fault::Outblob(GENOA.report(&OURS)), Error::Malformed);
}

#[test]
fn the_privilege_level_is_written_and_counted() {
    let emulator = SNP.mount();
    let configfs = Configfs::open_within(emulator.path(), Some(2), PATIENT).unwrap();
    configfs.report(&OURS).unwrap();
    assert_eq!(emulator.privilege_level(), Some(2));
    emulator.once(Fault::Fails(Step::WritePrivlevel, Errno::BUSY));
    configfs.report(&OURS).unwrap();
}

#[test]
fn detection_names_what_it_finds_and_falls_back_to_nothing() {
    let interfaces = |path: &std::path::Path| Interfaces { tsm_report: path.to_owned(), privilege_level: None };
    let emulator = SNP.mount();
    let found = provider::find(None, &interfaces(emulator.path())).unwrap();
    assert_eq!(found.tee(), Tee::SevSnp);
    assert_eq!(Configfs::open(emulator.path(), None).unwrap().provider(), Provider::SevGuest);
    assert_eq!(provider::find(Some(Tee::Tdx), &interfaces(emulator.path())).unwrap_err(), provider::Error::Other);
    let intel = TDX_V5.mount();
    let found = provider::find(None, &interfaces(intel.path())).unwrap();
    assert_eq!(found.tee(), Tee::Tdx);
    assert_eq!(Configfs::open(intel.path(), None).unwrap().provider(), Provider::TdxGuest);
    assert_eq!(provider::find(Some(Tee::SevSnp), &interfaces(intel.path())).unwrap_err(), provider::Error::Other);

    // Neither an unknown provider nor a busy one is a reason to look further.
    emulator.once(Fault::Provider("arm_cca_guest"));
    let unknown = provider::find(None, &interfaces(emulator.path())).unwrap_err();
    assert_eq!(unknown, provider::Error::Configfs(Error::UnknownProvider));
    emulator.once(Fault::Fails(Step::Mkdir, Errno::PERM));
    let denied = provider::find(None, &interfaces(emulator.path())).unwrap_err();
    assert_eq!(denied, provider::Error::Configfs(Error::Denied));

    // This machine has no TEE of its own; the error says so and what to do.
    let nowhere = tempfile::tempdir().unwrap();
    let nothing = provider::find(None, &interfaces(&nowhere.path().join("report"))).unwrap_err();
    assert_eq!(nothing, provider::Error::Nothing);
    assert!(nothing.to_string().contains("tee = \"development\""), "{nothing}");
    emulator.once(Fault::Fails(Step::Mkdir, Errno::NXIO));
    assert_eq!(provider::find(None, &interfaces(emulator.path())).unwrap_err(), provider::Error::Nothing);

    let development = provider::find(Some(Tee::Development), &interfaces(nowhere.path())).unwrap();
    assert_eq!(development.tee(), Tee::Development, "by explicit choice alone");
}
