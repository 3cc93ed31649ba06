//! DC-05, DC-10: an emulated SEV-SNP guest whose host gives no certificates becomes verifiable once it gathered them,
//! through the real relay, from a server that plays AMD; and nothing that such a server answers is believed.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use cloister_attestation::collateral::{Kind, Services, plan};
use cloister_attestation::document::{Collateral, Evidence, SnpCollateral, Tee};
use cloister_attestation::encoding::Base64;
use cloister_tests::appliance::{Appliance, Hardware, Options, free_port};
use cloister_tests::gathering::{log, says, until, with_network};
use cloister_tests::publisher::{Answer, Answers, Identity, Publisher};
use cloister_tests::tee::amd::{Amd, Line};
use cloister_tests::tools;
use cloister_tests::tsm::{Blobs, Emulator, Platform};

/// Accepts the synthetic guest, but only after revocation was checked.
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
require_crl = true
"#;

/// A guest whose host hands out no table.
struct Guest {
    dir: tempfile::TempDir,
    chip: Chip,
    emulator: Emulator,
    kds: SocketAddr,
    identity: Identity,
}

/// The chip that the guest runs on, which may become another one.
#[derive(Clone)]
struct Chip(Arc<Mutex<Arc<Amd>>>);

impl Chip {
    fn now(&self) -> Arc<Amd> {
        Arc::clone(&self.0.lock().unwrap())
    }
}

impl Platform for Chip {
    fn provider(&self) -> &'static str {
        "sev_guest"
    }

    fn evidence(&self, report_data: &[u8; 64]) -> Blobs {
        Blobs { outblob: self.now().report(report_data), auxblob: None }
    }
}

impl Guest {
    fn new() -> Self {
        let (dir, amd) = (tempfile::tempdir().unwrap(), Arc::new(Amd::new(Line::Genoa, 5).unwrap()));
        let chip = Chip(Arc::new(Mutex::new(Arc::clone(&amd))));
        fs::write(dir.path().join("ark.der"), &amd.ark).unwrap();
        fs::write(dir.path().join("policy.toml"), POLICY).unwrap();
        let identity = Identity::new().unwrap();
        fs::write(dir.path().join("kds.pem"), &identity.certificate_pem).unwrap();
        let emulator = Emulator::mount(Box::new(chip.clone())).unwrap();
        Self { dir, chip, emulator, kds: free_port().unwrap(), identity }
    }

    fn amd(&self) -> Arc<Amd> {
        self.chip.now()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn options(&self) -> Options {
        let trust_roots = vec![self.file("ark.der")];
        let hardware = Hardware { tee: "sev-snp", tsm_report: self.emulator.path().to_owned(), trust_roots };
        Options { hardware: Some(hardware), ..Options::for_checkout(self.file("appliance")).unwrap() }
    }

    /// With a way out to the server that plays AMD.
    fn options_with_network(&self) -> Options {
        with_network(self.options(), self.kds, &self.file("kds.pem"), &[("kds_url", "")])
    }

    /// What the appliance has to ask for, path and query.
    fn questions(&self) -> Vec<(Kind, String)> {
        let services = Services { kds: String::new(), ..Services::vendors() };
        let evidence = Evidence::new(Tee::SevSnp, self.amd().report(&[0; 64]));
        let requests = plan(&evidence, None, &services).unwrap();
        requests.into_iter().map(|request| (request.kind, request.url)).collect()
    }

    /// AMD's answers, with `other` in the place of one.
    fn answers(&self, other: Option<&(Kind, Answer)>) -> Answers {
        let right = |kind| match kind {
            Kind::Vcek => Some(self.amd().vcek.clone()),
            Kind::AmdChain => Some(self.amd().chain_pem().into_bytes()),
            Kind::AmdCrl => Some(self.amd().crl.clone()),
            Kind::TcbInfo | Kind::QeIdentity | Kind::PckCrl | Kind::RootCrl => None,
        };
        let pages: Vec<(String, Answer)> = self
            .questions()
            .into_iter()
            .map(|(kind, path)| match other {
                Some((replaced, answer)) if *replaced == kind => (path, answer.clone()),
                _ => (path, Answer::ok(right(kind).unwrap())),
            })
            .collect();
        Box::new(move |path| {
            let page = pages.iter().find(|(own, _)| own == path);
            page.map_or_else(|| Answer::status("404 Not Found"), |(_, answer)| answer.clone())
        })
    }

    fn publish(&self) -> Publisher {
        Publisher::start(&self.identity, self.kds, self.answers(None)).unwrap()
    }

    /// What the relying party's command line says, who was told of the root.
    fn verdict(&self, appliance: &Appliance) -> (Option<i32>, String) {
        let (root, policy) = (self.file("ark.der"), self.file("policy.toml"));
        let [root, policy] = [&root, &policy].map(|path| path.to_str().unwrap());
        let url = appliance.url();
        let output = tools::verify(&["appliance", &url, "--insecure-trust-root", root, "--policy", policy]).unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn accepted(&self, appliance: &Appliance) {
        let accepted = || Some(self.verdict(appliance)).filter(|(code, _)| *code == Some(0));
        let (_, said) = until(accepted, || format!("{}\n{}", self.verdict(appliance).1, log(appliance)));
        assert!(said.lines().any(|line| line.starts_with("PASS") && line.contains("snp.crl")), "{said}");
    }

    /// The document lacks the certificate, which is no forgery but something to be fetched: exit code 40.
    fn incomplete(&self, appliance: &Appliance) {
        let (code, said) = self.verdict(appliance);
        assert_eq!(code, Some(40), "{said}");
    }
}

#[test]
fn dc_05_dc_10_s3_22_a_guest_whose_host_gives_no_certificate_becomes_verifiable_and_stays_so() {
    let guest = Guest::new();
    // Nobody is there yet: the start does not wait for anybody.
    let mut appliance = Appliance::start(guest.options_with_network()).unwrap();
    says(&appliance, "cannot reach the destination", 1);
    guest.incomplete(&appliance);
    assert!(log(&appliance).contains("self-attested as far as possible"));

    let kds = guest.publish();
    guest.accepted(&appliance);
    says(&appliance, "collateral gathered", 1);
    let asked: Vec<String> = guest.questions().into_iter().map(|(_, path)| path).collect();
    assert_eq!(kds.asked(), asked, "each thing once, and nothing else");

    // What was gathered is sealed, and is there before the first document after a power cut, without any network.
    drop(kds);
    appliance.kill_enclave().unwrap();
    appliance.restart_enclave().unwrap();
    guest.accepted(&appliance);
    let log = log(&appliance);
    let last_start = log.rsplit("self-attested").next().unwrap_or_default();
    assert!(!last_start.contains("as far as possible"), "this time it checked the signature of its own report");
    assert_eq!(log.matches("collateral gathered").count(), 1);
    // Which chip it is stands nowhere in the log, and nowhere in clear on the disk.
    let chip = asked.first().and_then(|path| path.split(['/', '?']).nth(4)).unwrap().to_owned();
    assert_eq!(chip.len(), 128);
    assert!(!log.contains(&chip));
    let chip = hex::decode(chip).unwrap();
    for entry in fs::read_dir(appliance.data().join("store/records")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = fs::read(&path).unwrap();
            assert!(!bytes.windows(chip.len()).any(|window| window == chip), "{}", path.display());
        }
    }
    appliance.stop().unwrap();
}

#[test]
fn dc_05_another_chip_under_the_guest_is_noticed_and_its_certificate_gathered() {
    let guest = Guest::new();
    let kds = guest.publish();
    let appliance = Appliance::start(guest.options_with_network()).unwrap();
    guest.accepted(&appliance);
    let other = Arc::new(guest.amd().another(Line::Genoa, 5).unwrap());
    *guest.chip.0.lock().unwrap() = other;
    kds.answer(guest.answers(None));
    // The old chip's certificate is not carried for a moment longer.
    guest.incomplete(&appliance);
    guest.accepted(&appliance);
    says(&appliance, "collateral gathered", 2);
    appliance.stop().unwrap();
}

#[test]
fn dc_05_what_is_answered_wrongly_is_refused_and_asked_for_again() {
    let guest = Guest::new();
    let stranger = guest.amd().another(Line::Genoa, 5).unwrap();
    let header = |status, line: &str| Answer { header: Some(line.to_owned()), ..Answer::status(status) };
    let elsewhere = format!("Location: https://localhost:{}/vcek", guest.kds.port());
    let long = Answer::ok(vec![0x30; 10 * 1024 * 1024]);
    let cases = [
        (Kind::Vcek, Answer::status("500 Internal Server Error"), "answered with status 500"),
        (Kind::AmdChain, header("429 Too Many Requests", "Retry-After: 7"), "\"again_in_s\":7"),
        (Kind::AmdCrl, long, "amd-crl: the answer is too large"),
        (Kind::Vcek, header("302 Found", &elsewhere), "answered with status 302"),
        (Kind::Vcek, Answer::ok(b"<html>busy</html>".to_vec()), "VEK is not a well-formed certificate"),
        (Kind::Vcek, Answer::ok(stranger.vcek.clone()), "does not verify: signature on the report is wrong"),
        (Kind::AmdChain, Answer::ok(b"-----BEGIN".to_vec()), "amd-chain is malformed"),
        (
            Kind::AmdCrl,
            Answer::ok(guest.amd().expired_crl().unwrap()),
            "does not verify: revocation list is valid from",
        ),
    ];
    let kds = guest.publish();
    let mut appliance: Option<Appliance> = None;
    for (kind, answer, reason) in cases {
        kds.answer(guest.answers(Some(&(kind, answer))));
        // A start tries at once, and counts failures anew.
        let running = match appliance.take() {
            None => Appliance::start(guest.options_with_network()).unwrap(),
            Some(mut running) => {
                running.kill_enclave().unwrap();
                running.restart_enclave().unwrap();
                running
            }
        };
        says(&running, reason, 1);
        guest.incomplete(&running);
        appliance = Some(running);
    }
    let appliance = appliance.unwrap();
    assert!(!kds.asked().contains(&"/vcek".to_owned()), "a redirection is not followed");
    assert!(!log(&appliance).contains("collateral gathered"));
    // The same process tries again by itself, and then it is right.
    kds.answer(guest.answers(None));
    guest.accepted(&appliance);
    appliance.stop().unwrap();
}

#[test]
fn dc_05_the_server_must_have_a_certificate_that_is_trusted_and_the_relay_must_allow_it() {
    let guest = Guest::new();
    let kds = guest.publish();
    let strangers = guest.file("strangers.pem");
    fs::write(&strangers, Identity::new().unwrap().certificate_pem).unwrap();
    let mut options = guest.options_with_network();
    options.settings.push((["attestation", "collateral_ca"], strangers.display().to_string().into()));
    let appliance = Appliance::start(options).unwrap();
    says(&appliance, "no TLS 1.3 connection to a server with a trusted certificate", 1);
    assert!(kds.asked().is_empty(), "nothing was said to it");
    appliance.stop().unwrap();

    let mut options = guest.options_with_network();
    options.relay_settings.push((["egress", "allow"], toml::Value::Array(Vec::new())));
    let appliance = Appliance::start(options).unwrap();
    says(&appliance, "the relay does not allow the destination", 1);
    appliance.stop().unwrap();
}

#[test]
fn dc_05_dc_10_a_folder_that_the_operator_filled_needs_no_network() {
    let guest = Guest::new();
    let folder = guest.file("collateral");
    fs::create_dir(&folder).unwrap();
    let write = |name: &str, amd: &Amd, with_list: bool| {
        let [vek, ask, crl] = [&amd.vcek, &amd.ask, &amd.crl].map(|der| Some(Base64(der.clone())));
        let crl = crl.filter(|_| with_list);
        let collateral = Collateral::Snp(SnpCollateral { vek, ask, ark: None, crl });
        fs::write(folder.join(name), serde_json::to_vec(&collateral.to_members()).unwrap()).unwrap();
    };
    // A folder of many machines, and of things that are not collateral.
    write("a-stranger.json", &guest.amd().another(Line::Genoa, 5).unwrap(), true);
    fs::write(folder.join("b-broken.json"), "{").unwrap();
    fs::write(folder.join("readme.txt"), "who fills this folder").unwrap();
    let with_folder = |options: Options| {
        let folder = toml::Value::from(folder.display().to_string());
        Options { settings: vec![(["attestation", "collateral_dir"], folder)], ..options }
    };
    let appliance = Appliance::start(with_folder(guest.options())).unwrap();
    says(&appliance, "holds nothing for this machine", 1);
    guest.incomplete(&appliance);
    // It is looked into again and again.
    write("d-own.json", &guest.amd(), true);
    write("e-own-without-list.json", &guest.amd(), false);
    guest.accepted(&appliance);
    appliance.stop().unwrap();
    // And before the first document.
    let fresh = Options { data: guest.file("second"), ..with_folder(guest.options()) };
    let appliance = Appliance::start(fresh).unwrap();
    guest.accepted(&appliance);
    assert!(!log(&appliance).contains("as far as possible"));
    appliance.stop().unwrap();
}

#[test]
fn dc_04_a_guest_without_its_device_says_that_it_derives_no_key() {
    if Path::new("/dev/sev-guest").exists() {
        return;
    }
    let guest = Guest::new();
    let mut config: toml::Table = {
        // Written by a start that succeeds, so that everything else in it is right.
        let appliance = Appliance::start(guest.options()).unwrap();
        let text = fs::read_to_string(appliance.data().join("enclave.toml")).unwrap();
        appliance.stop().unwrap();
        toml::from_str(&text).unwrap()
    };
    let recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    let mut root_key = toml::Table::new();
    root_key.insert("slot".to_owned(), "snp".into());
    root_key.insert("recovery_recipient".to_owned(), recipient.into());
    config.insert("root_key".to_owned(), root_key.into());
    config.insert("data_dir".to_owned(), guest.file("fresh").display().to_string().into());
    let file = guest.file("snp.toml");
    fs::write(&file, toml::to_string(&config).unwrap()).unwrap();
    let program = tools::binaries().unwrap().join("cloister-enclave");
    let output = std::process::Command::new(program).arg("run").arg("--config").arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("no derived key: /dev/sev-guest cannot be opened"), "{said}");
    assert!(!guest.file("fresh").join("key-slots.json").exists(), "nothing was made");
}
