//! The whole product on an emulated TDX guest: real processes, the real attester, quotes under a root of our own.
//!
//! A quote alone says who signed it and not whether Intel still stands behind the platform: that is in the collateral,
//! which no TDX host hands to its guest. Without it the verdict is *incomplete*; with it every check is made.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cloister_attestation::check::{Check, Outcome};
use cloister_attestation::document::{Document, Tee};
use cloister_attestation::snp;
use cloister_attestation::tdx::{self, Certificate, ChainError, Collateral, CollateralError, Item, TcbStatus};
use cloister_attestation::verify::{Error, Expectations, Trust, verify};
use cloister_synthetic::document;
use cloister_tests::appliance::{Appliance, Options};
use cloister_tests::scenario::now_ms;
use cloister_tests::tee::intel::{Intel, Recipe};
use cloister_tests::tools;
use cloister_tests::tsm::{Emulator, Fault};
use x509_cert::der::DateTime;

const NONCE: [u8; 32] = [0x5A; 32];
const EXPECTED: Expectations = Expectations { nonce: Some(NONCE), channel: None };

/// An emulated guest, and what Intel would say about its platform.
struct Guest {
    emulator: Emulator,
    collateral: Collateral,
    /// The root, DER, in a file.
    root: PathBuf,
    trust: Trust,
}

impl Guest {
    fn mount(dir: &Path, intel: Intel) -> Self {
        let root = dir.join("root.der");
        fs::write(&root, &intel.root).unwrap();
        let trust = Trust { snp: snp::Roots::pinned(), tdx: tdx::Roots::insecure_with_root(intel.root.clone()) };
        let collateral = intel.collateral.clone();
        Self { emulator: Emulator::mount(Box::new(intel)).unwrap(), collateral, root, trust }
    }

    fn options(&self, dir: &Path, tee: &'static str, root: &Path) -> Options {
        let hardware = Some(self.emulator.hardware(tee, root));
        Options { hardware, ..Options::for_checkout(dir.join("appliance")).unwrap() }
    }
}

fn intel(recipe: Recipe) -> Intel {
    recipe.published_before(now_ms()).platform()
}

fn ids(checks: &[Check], result: Outcome) -> Vec<&str> {
    checks.iter().filter(|check| check.result == result).map(|check| check.id).collect()
}

/// Runs `cloister-verify`; its exit code and its words.
fn told(args: &[&str]) -> (Option<i32>, String) {
    let output = tools::verify(args).unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// That a check came out so, in the words of the command line.
fn says(said: &str, outcome: &str, id: &str) {
    let line = |line: &str| line.starts_with(outcome) && line.split_whitespace().nth(1) == Some(id);
    assert!(said.lines().any(line), "{outcome} {id}: {said}");
}

#[test]
fn s3_19_an_emulated_tdx_guest_is_verified_as_far_as_its_collateral_goes() {
    for (recipe, version) in [(Recipe::v4(), 4), (Recipe::v5(), 5)] {
        let dir = tempfile::tempdir().unwrap();
        let guest = Guest::mount(dir.path(), intel(recipe));
        let appliance = Appliance::start(guest.options(dir.path(), "auto", &guest.root)).unwrap();
        let log = fs::read_to_string(appliance.data().join("enclave.log")).unwrap();
        assert!(log.contains("self-attested") && log.contains("TEST ROOTS ARE TRUSTED"), "{log}");
        let (url, root) = (appliance.url(), guest.root.to_str().unwrap());

        // Who knows Intel's root only refuses at the root, before anything else is believed.
        let (code, said) = told(&["appliance", &url]);
        assert_eq!(code, Some(10), "{said}");
        says(&said, "FAIL", "tdx.chain.root");

        // Who names the root: everything that can be checked holds, and what is missing is said by its own exit code.
        let (code, said) = told(&["appliance", &url, "--insecure-trust-root", root]);
        assert_eq!(code, Some(40), "{said}");
        for id in ["tdx.signature.quote", "tdx.td_attributes", "statement.report_data", "channel.match", "tls.spki"] {
            says(&said, "PASS", id);
        }
        for id in ["tdx.collateral.size", "tdx.tcb.level"] {
            says(&said, "SKIP", id);
        }
        says(&said, "FAIL", "policy.tdx.tcb_status");

        // Whoever has what Intel publishes from elsewhere gives it, and then every check is made, the channel's too.
        let supplied = dir.path().join("collateral.json");
        fs::write(&supplied, serde_json::to_vec(&guest.collateral).unwrap()).unwrap();
        let with = |path: &Path| {
            let path = path.to_str().unwrap();
            told(&["appliance", &url, "--insecure-trust-root", root, "--endorsements", path])
        };
        let (code, said) = with(&supplied);
        assert_eq!(code, Some(0), "{said}");
        for id in ["tdx.tcb.level", "tdx.tcb.second_opinion", "policy.tdx.tcb_status", "channel.match"] {
            says(&said, "PASS", id);
        }
        let foreign = dir.path().join("foreign.json");
        fs::write(&foreign, serde_json::to_vec(&intel(Recipe::v4()).collateral).unwrap()).unwrap();
        let (code, said) = with(&foreign);
        assert_eq!(code, Some(10), "{said}");
        says(&said, "FAIL", "tdx.collateral.root_crl");

        let saved = dir.path().join("document.json");
        let nonce = hex::encode(NONCE);
        told(&["appliance", &url, "--nonce", &nonce, "--save", saved.to_str().unwrap()]);
        let served = fs::read(&saved).unwrap();
        let without = verify(&served, &EXPECTED, &guest.trust, now_ms()).unwrap();
        let not_done = ids(without.checks(), Outcome::NotDone);
        assert!(not_done.contains(&"tdx.tcb.level") && ids(without.checks(), Outcome::Fail).is_empty());
        assert!(without.hardware().and_then(|hardware| hardware.tdx()).unwrap().tcb().is_none());

        with_collateral(dir.path(), &guest, &served, version);
        assert_eq!((guest.emulator.folders(), guest.emulator.most_folders()), (0, 1), "one quote at a time");
        appliance.stop().unwrap();
    }
}

/// The very document that was served, with what Intel publishes put into it.
fn with_collateral(dir: &Path, guest: &Guest, served: &[u8], version: u16) {
    let completed = |collateral: &Collateral| {
        let mut document = Document::parse(served).unwrap();
        assert!(document.collateral.is_empty(), "this build gathers none by itself");
        document.collateral = document::members(collateral);
        serde_json::to_vec(&document).unwrap()
    };
    let whole = completed(&guest.collateral);
    let verified = verify(&whole, &EXPECTED, &guest.trust, now_ms()).unwrap();
    assert_eq!(ids(verified.checks(), Outcome::NotDone), ["channel.match"], "a saved document has no connection");
    assert!(ids(verified.checks(), Outcome::Fail).is_empty());
    assert_eq!((verified.tee(), verified.is_hardware(), verified.is_fresh()), (Tee::Tdx, false, true));
    let quote = verified.hardware().and_then(|hardware| hardware.tdx()).unwrap();
    assert_eq!((quote.version(), quote.tcb().unwrap().status), (version, TcbStatus::UpToDate));

    let untold = verify(&whole, &EXPECTED, &Trust::pinned(), now_ms()).unwrap_err();
    assert_eq!(untold.error, Error::Tdx(tdx::Error::Chain(Certificate::Pck, ChainError::RootUntrusted)));
    assert_eq!(ids(&untold.checks, Outcome::Fail), ["tdx.chain.root"]);
    let foreign = completed(&intel(Recipe::v4()).collateral);
    let foreign = verify(&foreign, &EXPECTED, &guest.trust, now_ms()).unwrap_err();
    let signature = CollateralError::Signature(Item::RootCrl);
    assert_eq!(foreign.error, Error::Tdx(tdx::Error::Collateral(signature)));

    // The same by the command line, under the policy of those who say nothing else.
    let (file, root) = (dir.join("whole.json"), guest.root.to_str().unwrap());
    fs::write(&file, &whole).unwrap();
    let nonce = hex::encode(NONCE);
    let saved = ["appliance", "--document", file.to_str().unwrap(), "--nonce", &nonce, "--insecure-trust-root", root];
    let (code, said) = told(&saved);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("TEST ROOT, NOT CONFIDENTIAL\n"), "{said}");
    for id in ["tdx.tcb.level", "tdx.tcb.second_opinion", "policy.tdx.tcb_status", "policy.tdx.evaluation_number"] {
        says(&said, "PASS", id);
    }
    let in_forty_days = Duration::from_millis(now_ms()) + 40 * Duration::from_secs(86_400);
    let in_forty_days = DateTime::from_unix_duration(in_forty_days).unwrap().to_string();
    let (code, said) = told(&[&saved[..], &["--at", &in_forty_days]].concat());
    assert_eq!(code, Some(40), "collateral runs out after thirty: {said}");
    says(&said, "FAIL", "tdx.collateral.root_crl.validity");
}

#[test]
fn dc_05_the_product_does_not_start_on_a_quote_that_it_would_not_believe() {
    let dir = tempfile::tempdir().unwrap();
    let guest = Guest::mount(dir.path(), intel(Recipe::v4()));
    let refusal = |tee: &'static str, root: &Path| {
        let error = Appliance::start(guest.options(dir.path(), tee, root)).expect_err("must not start");
        format!("{error:#}")
    };
    let stranger = refusal("sev-snp", &guest.root);
    assert!(stranger.contains("another tee than this machine has"), "{stranger}");

    let foreign = dir.path().join("foreign.der");
    fs::write(&foreign, intel(Recipe::v4()).root).unwrap();
    let untrusted = refusal("tdx", &foreign);
    assert!(untrusted.contains("tdx.chain.root") && untrusted.contains("does not verify"), "{untrusted}");

    guest.emulator.always(Fault::Outblob(intel(Recipe::v4()).quote(&[7; 64])));
    let replayed = refusal("tdx", &guest.root);
    assert!(replayed.contains("over other bytes than ours"), "{replayed}");
}
