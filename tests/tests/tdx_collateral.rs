//! DC-05, DC-10: an emulated TDX guest becomes verifiable once it gathered what Intel publishes about its platform, through the
//! real relay, from a server that plays Intel; and nothing that such a server answers is believed.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use cloister_attestation::collateral::{Kind, Services, plan};
use cloister_attestation::document::{Evidence, Tee};
use cloister_attestation::tdx::Collateral;
use cloister_tests::appliance::{Appliance, Options, free_port};
use cloister_tests::gathering::{log, says, until, with_network};
use cloister_tests::publisher::{Answer, Identity, Publisher, pcs};
use cloister_tests::scenario::now_ms;
use cloister_tests::tee::intel::{Intel, Recipe};
use cloister_tests::tools;
use cloister_tests::tsm::Emulator;

/// A guest on a platform of our own Intel.
struct Guest {
    dir: tempfile::TempDir,
    emulator: Emulator,
    collateral: Collateral,
    /// What the appliance has to ask for, path and query.
    questions: Vec<(Kind, String)>,
    pcs: SocketAddr,
    identity: Identity,
}

fn intel() -> Intel {
    Recipe::v4().published_before(now_ms()).platform()
}

impl Guest {
    fn new() -> Self {
        let (dir, intel) = (tempfile::tempdir().unwrap(), intel());
        fs::write(dir.path().join("root.der"), &intel.root).unwrap();
        let identity = Identity::new().unwrap();
        fs::write(dir.path().join("pcs.pem"), &identity.certificate_pem).unwrap();
        let services = Services { pcs: String::new(), root_crl: pcs::ROOT_CRL.to_owned(), ..Services::vendors() };
        let requests = plan(&Evidence::new(Tee::Tdx, intel.quote(&[0; 64])), None, &services).unwrap();
        let questions = requests.into_iter().map(|request| (request.kind, request.url)).collect();
        let collateral = intel.collateral.clone();
        let emulator = Emulator::mount(Box::new(intel)).unwrap();
        Self { dir, emulator, collateral, questions, pcs: free_port().unwrap(), identity }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn options(&self) -> Options {
        let hardware = Some(self.emulator.hardware("tdx", &self.file("root.der")));
        let options = Options { hardware, ..Options::for_checkout(self.file("appliance")).unwrap() };
        let services = [("pcs_url", ""), ("intel_root_crl_url", pcs::ROOT_CRL)];
        with_network(options, self.pcs, &self.file("pcs.pem"), &services)
    }

    /// Plays Intel, with `other` in the place of one answer.
    fn answers(&self, other: Option<(Kind, Answer)>) -> Box<dyn Fn(&str) -> Answer + Send> {
        let (collateral, questions) = (self.collateral.clone(), self.questions.clone());
        Box::new(move |path| {
            let kind = questions.iter().find(|(_, own)| own == path).map(|(kind, _)| *kind);
            match &other {
                Some((replaced, answer)) if Some(*replaced) == kind => answer.clone(),
                _ => pcs::answer(&collateral, path),
            }
        })
    }

    fn publish(&self) -> Publisher {
        Publisher::start(&self.identity, self.pcs, self.answers(None)).unwrap()
    }

    /// What the relying party's command line says, who was told of the root and knows nothing else.
    fn verdict(&self, appliance: &Appliance) -> (Option<i32>, String) {
        let root = self.file("root.der");
        let url = appliance.url();
        let output = tools::verify(&["appliance", &url, "--insecure-trust-root", root.to_str().unwrap()]).unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn accepted(&self, appliance: &Appliance) {
        let accepted = || Some(self.verdict(appliance)).filter(|(code, _)| *code == Some(0));
        let (_, said) = until(accepted, || format!("{}\n{}", self.verdict(appliance).1, log(appliance)));
        for id in ["tdx.tcb.level", "tdx.tcb.second_opinion", "policy.tdx.tcb_status", "channel.match"] {
            let passed = |line: &str| line.starts_with("PASS") && line.split_whitespace().nth(1) == Some(id);
            assert!(said.lines().any(passed), "{id}: {said}");
        }
    }

    /// Nobody has said whether Intel stands behind the platform, which is no forgery: exit code 40.
    fn incomplete(&self, appliance: &Appliance) {
        let (code, said) = self.verdict(appliance);
        assert_eq!(code, Some(40), "{said}");
    }
}

#[test]
fn dc_05_dc_10_a_tdx_guest_gathers_what_intel_publishes_and_keeps_it_sealed() {
    let guest = Guest::new();
    // Nobody is there yet: the start does not wait for anybody.
    let mut appliance = Appliance::start(guest.options()).unwrap();
    says(&appliance, "cannot reach the destination", 1);
    guest.incomplete(&appliance);

    let pcs = guest.publish();
    guest.accepted(&appliance);
    says(&appliance, "collateral gathered", 1);
    let asked: Vec<String> = guest.questions.iter().map(|(_, path)| path.clone()).collect();
    assert_eq!(pcs.asked(), asked, "each thing once, and nothing else");

    // It is there before the first document after a power cut, without any network.
    drop(pcs);
    appliance.kill_enclave().unwrap();
    appliance.restart_enclave().unwrap();
    guest.accepted(&appliance);
    assert_eq!(log(&appliance).matches("collateral gathered").count(), 1);
    appliance.stop().unwrap();
}

#[test]
fn dc_05_what_is_answered_wrongly_about_a_tdx_platform_is_refused_and_asked_for_again() {
    let guest = Guest::new();
    let path = |kind| &guest.questions.iter().find(|(own, _)| *own == kind).unwrap().1;
    let stranger = intel().collateral;
    let without_chain = Answer { header: None, ..pcs::answer(&guest.collateral, path(Kind::TcbInfo)) };
    let cases = [
        (Kind::TcbInfo, Answer::status("500 Internal Server Error"), "answered with status 500"),
        (Kind::QeIdentity, Answer::ok(b"<html>busy</html>".to_vec()), "qe-identity is malformed"),
        (Kind::TcbInfo, without_chain, "the header with the issuer's chain is missing"),
        (Kind::PckCrl, Answer::ok(vec![0x30; 10 * 1024 * 1024]), "pck-crl: the answer is too large"),
        (Kind::RootCrl, pcs::answer(&stranger, pcs::ROOT_CRL), "does not verify"),
        (Kind::TcbInfo, pcs::answer(&stranger, path(Kind::TcbInfo)), "does not verify"),
    ];
    let pcs = guest.publish();
    let mut appliance: Option<Appliance> = None;
    let mut refused = 0;
    for (kind, answer, reason) in cases {
        pcs.answer(guest.answers(Some((kind, answer))));
        // A start tries at once, and counts failures anew.
        let running = match appliance.take() {
            None => Appliance::start(guest.options()).unwrap(),
            Some(mut running) => {
                running.kill_enclave().unwrap();
                refused = log(&running).matches(reason).count();
                running.restart_enclave().unwrap();
                running
            }
        };
        says(&running, reason, refused + 1);
        guest.incomplete(&running);
        appliance = Some(running);
    }
    let appliance = appliance.unwrap();
    assert!(!log(&appliance).contains("collateral gathered"));
    // The same process tries again by itself, and then it is right.
    pcs.answer(guest.answers(None));
    guest.accepted(&appliance);
    appliance.stop().unwrap();
}
