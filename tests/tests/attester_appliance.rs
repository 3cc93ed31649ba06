//! The whole product on an emulated SEV-SNP guest: real processes, the real attester, evidence under roots of our own.
//!
//! Whoever is told of the root can verify it, and sees that it is no hardware; whoever is not refuses it; and the
//! product does not start on evidence that it would not itself believe.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use std::fs;
use std::path::Path;

use cloister_attestation::check::Outcome;
use cloister_attestation::document::Tee;
use cloister_attestation::verify::{Error, Expectations, Trust, verify};
use cloister_attestation::{snp, tdx};
use cloister_tests::appliance::{Appliance, Hardware, Options};
use cloister_tests::scenario::now_ms;
use cloister_tests::tee::amd::{Amd, Line};
use cloister_tests::tools;
use cloister_tests::tsm::{Emulator, Fault, Step};
use rustix::io::Errno;

/// What a synthetic guest is judged by: its own firmware is of no known version.
const POLICY: &str = r#"
v = 1
tee = ["sev-snp"]
require_fresh = true
max_validity_seconds = 172800
[snp]
allow_debug = false
allow_migrate_ma = false
max_vmpl = 0
allowed_products = ["Genoa"]
"#;

fn options(dir: &Path, tee: &'static str, emulator: &Emulator, root: &[u8]) -> Options {
    let ark = dir.join("ark.der");
    fs::write(&ark, root).unwrap();
    Options { hardware: Some(emulator.hardware(tee, &ark)), ..Options::for_checkout(dir.join("appliance")).unwrap() }
}

/// Starts, and says why it does not.
fn refusal(dir: &Path, tee: &'static str, emulator: &Emulator, root: &[u8]) -> String {
    let error = Appliance::start(options(dir, tee, emulator, root)).expect_err("must not start");
    format!("{error:#}")
}

#[test]
fn an_emulated_snp_guest_serves_evidence_that_only_those_believe_who_were_told_its_root() {
    let dir = tempfile::tempdir().unwrap();
    let amd = Amd::new(Line::Genoa, 5).unwrap();
    let (ark, table_ask) = (amd.ark.clone(), amd.ask.clone());
    let emulator = Emulator::mount(Box::new(amd)).unwrap();
    let appliance = Appliance::start(options(dir.path(), "auto", &emulator, &ark)).unwrap();

    // From outside, by the product's own verifier, which knows AMD's roots only.
    let (saved, nonce) = (dir.path().join("document.json"), [0x5A; 32]);
    let (url, hex) = (appliance.url(), hex::encode(nonce));
    let output = tools::verify(&["appliance", &url, "--nonce", &hex, "--save", saved.to_str().unwrap()]).unwrap();
    assert_eq!(output.status.code(), Some(10), "rejected: {}", String::from_utf8_lossy(&output.stdout));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.lines().any(|line| line.contains("snp.chain.ark") && line.contains("FAIL")), "{said}");

    // Whoever names the root is answered by every check, over the connection itself, and told what it is worth.
    let policy = dir.path().join("policy.toml");
    fs::write(&policy, POLICY).unwrap();
    let (root, policy) = (dir.path().join("ark.der"), policy.to_str().unwrap().to_owned());
    let named = ["appliance", &url, "--insecure-trust-root", root.to_str().unwrap(), "--policy", &policy];
    let output = tools::verify(&named).unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.starts_with("TEST ROOT, NOT CONFIDENTIAL\n"), "{said}");
    for passed in ["snp.report.signature", "statement.report_data", "channel.match", "policy.snp.debug"] {
        assert!(said.lines().any(|line| line.starts_with("PASS") && line.contains(passed)), "{passed}: {said}");
    }
    let output = tools::verify(&[&named[..], &["--json"]].concat()).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["verdict"], &report["hardware"]), (&"accepted-development".into(), &false.into()));
    // No software is pinned by what accepts nothing yet.
    let output = tools::verify(&[&named[..4], &["--policy", "strict"]].concat()).unwrap();
    assert_eq!(output.status.code(), Some(10));
    assert!(String::from_utf8_lossy(&output.stdout).contains("FAIL  policy.image"));

    // The same document under the synthetic root.
    let document = fs::read(&saved).unwrap();
    let expected = Expectations { nonce: Some(nonce), channel: None };
    let told = Trust { snp: snp::Roots::insecure_with_ark(&ark).unwrap(), tdx: tdx::Roots::pinned() };
    let verified = verify(&document, &expected, &told, now_ms()).unwrap();
    assert_eq!((verified.tee(), verified.is_hardware(), verified.is_fresh()), (Tee::SevSnp, false, true));
    let collateral: serde_json::Value = serde_json::from_slice(&document).unwrap();
    assert_eq!(collateral.pointer("/collateral/ark"), None, "the root is the relying party's own");
    assert!(collateral.pointer("/collateral/ask").is_some() && !table_ask.is_empty());

    let untold = verify(&document, &expected, &Trust::pinned(), now_ms()).unwrap_err();
    assert_eq!(untold.error, Error::Snp(snp::Error::RootUntrusted));
    let failed: Vec<_> = untold.checks.iter().filter(|check| check.result == Outcome::Fail).collect();
    assert_eq!(failed.iter().map(|check| check.id).collect::<Vec<_>>(), ["snp.chain.ark"]);

    assert_eq!(emulator.most_folders(), 1, "reports are made one at a time");
    assert_eq!(emulator.folders(), 0);
    let log = fs::read_to_string(appliance.data().join("enclave.log")).unwrap();
    assert!(log.contains("TEST ROOTS ARE TRUSTED"), "the log warns");

    // A host that stops handing out the table costs the document its certificate and nothing else.
    emulator.always(Fault::Auxblob(None));
    tools::verify(&["appliance", &url, "--nonce", &hex, "--save", saved.to_str().unwrap()]).unwrap();
    let without = verify(&fs::read(&saved).unwrap(), &expected, &told, now_ms()).unwrap_err();
    assert_eq!(without.error, Error::Snp(snp::Error::NoEndorsementKey));
    appliance.stop().unwrap();
}

#[test]
fn the_product_does_not_start_on_evidence_that_it_would_not_believe() {
    let dir = tempfile::tempdir().unwrap();
    let amd = Amd::new(Line::Genoa, 5).unwrap();
    let other = amd.another(Line::Genoa, 5).unwrap();
    let ark = amd.ark.clone();
    let emulator = Emulator::mount(Box::new(amd)).unwrap();

    let stranger = refusal(dir.path(), "tdx", &emulator, &ark);
    assert!(stranger.contains("another tee than this machine has"), "{stranger}");
    emulator.always(Fault::Outblob(other.report(&[7; 64])));
    let replayed = refusal(dir.path(), "sev-snp", &emulator, &ark);
    assert!(replayed.contains("over other bytes than ours"), "{replayed}");
    emulator.behave();
    emulator.always(Fault::Fails(Step::Mkdir, Errno::NXIO));
    let nothing = refusal(dir.path(), "auto", &emulator, &ark);
    assert!(nothing.contains("no TEE was found") && nothing.contains("development"), "{nothing}");
}

#[test]
fn a_development_slot_is_refused_where_hardware_protects() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = Hardware { tee: "sev-snp", tsm_report: dir.path().to_owned(), trust_roots: Vec::new() };
    let options = Options { hardware: Some(nowhere), ..Options::for_checkout(dir.path().join("appliance")).unwrap() };
    let error = format!("{:#}", Appliance::start(options).expect_err("must not start"));
    assert!(error.contains("root_key.slot"), "{error}");
}
