//! S3-19, DC-05: `cloister-verify collateral fetch` asks a server that plays AMD and Intel with what both really
//! published, and keeps only what the genuine evidence verifies with.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicU32, Ordering};

use cloister_tests::appliance::free_port;
use cloister_tests::publisher::{Answer, Answers, Identity, Publisher, pcs};
use cloister_tests::tools;
use serde_json::Value;

/// Of the genuine reports the one whose certificate was valid while AMD's list in the vectors was current.
const GENOA: &str = "snp/snp-real-genoa-v3-azure";
const TDX: (&str, &str) = ("tdx/tdx-real-v4-dstack-2025", "2026-03-05T13:50:07Z");

fn vectors(path: &str) -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    let folder = std::env::var_os("CLOISTER_VECTORS").map_or_else(beside, PathBuf::from);
    assert!(folder.is_dir(), "no test vectors in {}: set CLOISTER_VECTORS", folder.display());
    folder.join("attestation").join(path)
}

fn read(path: &str) -> Vec<u8> {
    fs::read(vectors(path)).unwrap()
}

/// AMD, as it answered for the chip of the Genoa report.
fn amd(path: &str) -> Answer {
    match path {
        path if path.starts_with("/vcek/v1/Genoa/cert_chain") => {
            Answer::ok([read("roots/SEV-Genoa.pem"), read("roots/ARK-Genoa.pem")].concat())
        }
        path if path.starts_with("/vcek/v1/Genoa/crl") => Answer::ok(read("roots/crl-ARK-Genoa-20241023.der")),
        path if path.starts_with("/vcek/v1/Genoa/") => Answer::ok(read("snp/snp-real-genoa-v3-azure/vek.der")),
        _ => Answer::status("404 Not Found"),
    }
}

/// Intel, as it answered for the platform of the quote.
fn intel(path: &str) -> Answer {
    let collateral = read("tdx/tdx-real-v4-dstack-2025/collateral.json");
    pcs::answer(&serde_json::from_slice(&collateral).unwrap(), path)
}

struct World {
    dir: tempfile::TempDir,
    address: SocketAddr,
    publisher: Publisher,
}

impl World {
    fn new(answers: Answers) -> Self {
        let (dir, identity) = (tempfile::tempdir().unwrap(), Identity::new().unwrap());
        let address = free_port().unwrap();
        let publisher = Publisher::start(&identity, address, answers).unwrap();
        fs::write(dir.path().join("ca.pem"), &identity.certificate_pem).unwrap();
        Self { dir, address, publisher }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn fetch(&self, evidence: &str, at: &str, more: &[&str]) -> Output {
        let base = format!("https://localhost:{}", self.address.port());
        let root_crl = format!("{base}/root.der");
        let (out, ca) = (self.path("collateral.json"), self.path("ca.pem"));
        let evidence = vectors(evidence);
        let args = ["collateral", "fetch", evidence.to_str().unwrap(), "--out", &out, "--at", at, "--json"];
        let places = ["--kds", &base, "--pcs", &base, "--root-crl", &root_crl, "--ca", &ca];
        tools::verify(&[&args[..], &places, more].concat()).unwrap()
    }

    fn kept(&self) -> bool {
        Path::new(&self.path("collateral.json")).exists()
    }

    /// Verifies the evidence with what was kept.
    fn evidence(&self, evidence: &str, at: &str) -> Value {
        let (evidence, collateral) = (vectors(evidence), self.path("collateral.json"));
        let evidence = evidence.to_str().unwrap();
        let output =
            tools::verify(&["evidence", evidence, "--endorsements", &collateral, "--at", at, "--json"]).unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

#[test]
fn s3_19_what_intel_publishes_is_fetched_and_the_quote_accepted_with_it() {
    let world = World::new(Box::new(intel));
    let quote = format!("{}/quote.bin", TDX.0);
    let output = world.fetch(&quote, TDX.1, &[]);
    assert_eq!(code(&output), 0, "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["asked"].as_array().unwrap().len(), 4);
    assert!(report["valid_until"].as_str().unwrap().starts_with("2026-03-20"), "{report}");
    let verdict = world.evidence(&quote, TDX.1);
    assert_eq!((&verdict["verdict"], &verdict["claims"]["tcb"]["status"]), (&"accepted".into(), &"UpToDate".into()));
}

#[test]
fn s3_19_what_amd_publishes_is_asked_for_by_chip_and_kept_only_if_it_is_current() {
    let world = World::new(Box::new(amd));
    let report = format!("{GENOA}/report.bin");
    // AMD's list ended in November 2025: what is over is not kept.
    let output = world.fetch(&report, "2026-09-01T00:00:00Z", &[]);
    assert_eq!((code(&output), world.kept()), (10, false), "{output:?}");
    let case: Value = serde_json::from_slice(&read(&format!("{GENOA}/case.json"))).unwrap();
    let chip = case["expect"]["claims"]["chip_id"].as_str().unwrap();
    let asked = world.publisher.asked();
    assert!(asked.iter().any(|path| path.starts_with(&format!("/vcek/v1/Genoa/{chip}?"))), "{asked:?}");
    // While the list was current it is kept, and the report is genuine with it.
    let output = world.fetch(&report, "2025-06-01T00:00:00Z", &[]);
    assert_eq!((code(&output), world.kept()), (0, true), "{output:?}");
    let verdict = world.evidence(&report, "2025-06-01T00:00:00Z");
    let checks = verdict["checks"].as_array().unwrap();
    let wrong: Vec<_> = checks.iter().filter(|check| check["result"] == "fail").map(|check| &check["id"]).collect();
    assert!(wrong.iter().all(|id| id.as_str().unwrap().starts_with("policy.")), "{verdict:#}");
    assert!(checks.iter().any(|check| check["id"] == "snp.crl" && check["result"] == "pass"), "{verdict:#}");
}

#[test]
fn s3_19_a_server_that_fails_is_asked_again_and_one_that_lies_changes_nothing() {
    let quote = format!("{}/quote.bin", TDX.0);
    let failures = AtomicU32::new(2);
    let busy = move |path: &str| {
        let left = failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_ok() { Answer::status("503 Service Unavailable") } else { intel(path) }
    };
    let world = World::new(Box::new(busy));
    let output = world.fetch(&quote, TDX.1, &[]);
    assert_eq!(code(&output), 0, "{output:?}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("again in 1 s"));
    let kept = fs::read(world.path("collateral.json")).unwrap();

    let elsewhere = Answer { header: Some("Location: /other".to_owned()), ..Answer::status("302 Found") };
    let rows = [
        ("not there", Answer::status("404 Not Found"), 1),
        ("elsewhere", elsewhere, 1),
        ("too large", Answer::ok(vec![b' '; 200_000]), 1),
        ("something else", Answer::ok(b"hello".to_vec()), 10),
    ];
    for (name, answer, expected) in rows {
        world.publisher.answer(Box::new(move |_| answer.clone()));
        let output = world.fetch(&quote, TDX.1, &["--retries", "0"]);
        assert_eq!(code(&output), expected, "{name}: {output:?}");
        assert_eq!(fs::read(world.path("collateral.json")).unwrap(), kept, "{name}: what was there stays");
    }
    drop(world.publisher);
}

#[test]
fn s3_19_a_server_that_nobody_vouches_for_is_not_asked() {
    let world = World::new(Box::new(intel));
    let base = format!("https://localhost:{}", world.address.port());
    let quote = vectors(&format!("{}/quote.bin", TDX.0));
    let out = world.path("collateral.json");
    let args = ["collateral", "fetch", quote.to_str().unwrap(), "--out", &out, "--pcs", &base, "--root-crl", &base];
    let output = tools::verify(&[&args[..], &["--retries", "0"]].concat()).unwrap();
    assert_eq!((code(&output), world.kept(), world.publisher.asked().len()), (1, false, 0), "{output:?}");
}
