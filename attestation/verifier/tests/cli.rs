//! The binary as a user meets it: exit codes, text, JSON and `--help`.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

#[path = "../../tests/common/mod.rs"]
mod common;
mod server;

use std::path::Path;
use std::process::{Command, Output};

use cloister_attestation::development;
use cloister_attestation::document::{Document, Evidence, Tee};
use cloister_attestation::encoding::{Digest, Hex, sha256};
use cloister_attestation::receipt::Receipt;
use cloister_attestation::statement::{State, Statement};
use cloister_synthetic::appliance::Appliance;
use ed25519_dalek::SigningKey;
use serde_json::Value;
use server::{Answers, Server};
use tempfile::TempDir;

/// The time of the appliance's records.
const AT: &str = "2026-09-21T14:13:20Z";
const PIN: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const ALLOW: &str = "--insecure-allow-development-tee";

fn verify(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cloister-verify")).args(args).output().expect("the binary runs")
}

/// Runs with JSON output and returns the exit code and the report.
fn json(args: &[&str]) -> (i32, Value) {
    let output = verify(&[args, &["--json", "--at", AT]].concat());
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    (output.status.code().expect("an exit code"), report)
}

fn failed(report: &Value) -> Vec<&str> {
    let checks = report["checks"].as_array().expect("checks");
    checks.iter().filter(|check| check["result"] == "fail").map(|check| check["id"].as_str().unwrap()).collect()
}

fn result<'a>(report: &'a Value, id: &str) -> &'a str {
    let checks = report["checks"].as_array().expect("checks");
    checks.iter().find(|check| check["id"] == id).unwrap_or_else(|| panic!("{id}"))["result"].as_str().unwrap()
}

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.0.path().join(name), bytes).unwrap();
        self.path(name)
    }
}

/// Compares with the reviewed text; `CLOISTER_BLESS=1` writes it anew.
fn golden(name: &str, output: Output) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let text = String::from_utf8(output.stdout).unwrap();
    if std::env::var_os("CLOISTER_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap_or_default(), "{name}: bless with CLOISTER_BLESS=1");
}

#[test]
fn help_is_as_reviewed() {
    golden("help.txt", verify(&["--help"]));
    for command in ["appliance", "evidence", "proxy", "receipt", "audit", "inspect", "cases", "measure", "policy"] {
        golden(&format!("help-{command}.txt"), verify(&[command, "--help"]));
    }
    golden("help-collateral-fetch.txt", verify(&["collateral", "fetch", "--help"]));
    golden("help-measure-snp.txt", verify(&["measure", "snp", "--help"]));
    golden("help-policy-lint.txt", verify(&["policy", "lint", "--help"]));
}

#[test]
fn verdicts_read_as_reviewed() {
    let folder = Folder::new();
    let (_, [receipt, document, export, question, _]) = receipt_files(&folder);
    golden("appliance.txt", verify(&["appliance", "--document", &document, "--at", AT, ALLOW]));
    golden("appliance-refused.txt", verify(&["appliance", "--document", &document, "--at", AT]));
    let receipt = ["receipt", &receipt, "--document", &document, "--question", &question, "--at", AT, ALLOW];
    golden("receipt.txt", verify(&receipt));
    golden("audit.txt", verify(&["audit", &export, "--at", AT, ALLOW]));
}

#[test]
fn arguments_that_make_no_sense_exit_2() {
    let folder = Folder::new();
    let policy = folder.write("policy.toml", b"v = 9");
    let cases: [&[&str]; 14] = [
        &[],
        &["appliance"],
        &["appliance", "https://a", "--document", "b"],
        &["appliance", "http://appliance.example"],
        &["appliance", "https://appliance.example/path"],
        &["appliance", "https://appliance.example", "--nonce", "ABCD"],
        &["appliance", "https://appliance.example", "--at", "yesterday"],
        &["appliance", "https://appliance.example", "--policy", &policy],
        &["receipt", "r", "--identity", "i"],
        &["appliance", "--document", "d", "--binding", "spki-only"],
        &["appliance", "--document", "d", "--pin", PIN],
        &["proxy", "https://appliance.example", "--listen", "0.0.0.0:0"],
        &["proxy", "https://appliance.example", "--at", AT],
        &["proxy", "https://appliance.example", "--max-age", "1"],
    ];
    for args in cases {
        let output = verify(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn files_and_networks_that_fail_exit_1() {
    let folder = Folder::new();
    let missing = folder.path("missing");
    let large = folder.write("large", &vec![b' '; 600 * 1024]);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let closed = format!("https://{closed}");
    let no_tls = server::no_tls();
    for args in [
        &["appliance", "--document", &missing][..],
        &["appliance", "--document", &large],
        &["appliance", &closed],
        &["appliance", &no_tls],
        &["receipt", &missing],
        &["audit", &missing],
    ] {
        let (code, report) = json(args);
        assert_eq!((code, &report["exit_class"]), (1, &Value::from("internal")), "{args:?}");
    }
}

/// An appliance behind a real TLS listener, and what it answers.
fn live(change: impl FnOnce(&mut Answers, &mut Statement)) -> Server {
    let appliance = Appliance::new(3);
    let identity = server::identity();
    let mut statement = appliance.statement();
    statement.tls_spki_sha256 = vec![sha256(&identity.spki)];
    let mut answers = Answers { hpke_key: [1; 32], ..Answers::default() };
    change(&mut answers, &mut statement);
    let document = move |nonce: Option<[u8; 32]>, channel: Option<Digest>| {
        let statement = Statement { channel, ..statement.clone() };
        let data = statement.report_data(&nonce.unwrap_or_default());
        let report = development::sign(&data, &appliance.key);
        let evidence = Evidence::new(Tee::Development, report);
        serde_json::to_vec(&Document::new(nonce, statement, evidence, serde_json::Map::new())).unwrap()
    };
    Server::start(identity, answers, document)
}

#[test]
fn s3_19_a_running_appliance_is_verified() {
    let server = live(|_, _| ());
    let folder = Folder::new();
    let saved = folder.path("document.json");
    let (code, report) = json(&["appliance", &server.url, ALLOW, "--save", &saved]);
    assert_eq!((code, failed(&report)), (0, Vec::new()), "{report:#}");
    assert_eq!(report["verdict"], "accepted-development");
    assert_eq!((&report["tee"], &report["hardware"]), (&Value::from("development"), &Value::from(false)));
    assert_eq!(
        (&report["verify_at"], &report["valid_until"]),
        (&Value::from(AT), &Value::from("2026-09-21T15:13:20Z"))
    );
    for id in ["nonce.match", "statement.report_data", "channel.match", "tls.spki", "hpke.key", "policy.fresh"] {
        assert_eq!(result(&report, id), "pass", "{id}");
    }

    // The saved document says the same later, as far as it can, with the nonce or without.
    let nonce = report["claims"]["nonce"].as_str().unwrap().to_owned();
    let (code, again) = json(&["appliance", "--document", &saved, "--nonce", &nonce, ALLOW]);
    assert_eq!((code, result(&again, "nonce.match"), result(&again, "tls.spki")), (0, "pass", "not_done"));
    let (code, again) = json(&["appliance", "--document", &saved, ALLOW]);
    assert_eq!((code, result(&again, "policy.fresh")), (0, "not_done"));
    let (code, again) = json(&["appliance", "--document", &saved, "--nonce", &"7".repeat(64), ALLOW]);
    assert_eq!((code, failed(&again)), (10, vec!["nonce.match"]));
}

#[test]
fn dc_04_a_state_that_went_backwards_or_forked_is_refused_by_who_remembers() {
    let folder = Folder::new();
    let seen = folder.path("seen.json");
    let ask = |epoch: u64, head: u8| {
        let server = live(|_, statement| statement.state = State { epoch, audit_head: Hex([head; 32]) });
        let (code, report) = json(&["appliance", &server.url, ALLOW, "--remember", &seen]);
        (code, result(&report, "state.epoch").to_owned())
    };
    assert_eq!(ask(7, 1), (0, "not_done".to_owned()), "seen for the first time");
    assert_eq!(ask(7, 1), (0, "pass".to_owned()));
    assert_eq!(ask(9, 2), (0, "pass".to_owned()));
    let kept = std::fs::read(&seen).unwrap();
    assert_eq!(ask(8, 3), (10, "fail".to_owned()), "backwards");
    assert_eq!(ask(9, 3), (10, "fail".to_owned()), "a fork");
    assert_eq!(std::fs::read(&seen).unwrap(), kept, "what is refused is not remembered");
    assert_eq!(ask(9, 2), (0, "pass".to_owned()));

    std::fs::write(&seen, "{}x").unwrap();
    let server = live(|_, _| ());
    let (code, report) = json(&["appliance", &server.url, ALLOW, "--remember", &seen]);
    assert_eq!((code, &report["exit_class"]), (2, &Value::from("usage")));
}

#[test]
fn the_development_tee_is_refused_without_the_flag_and_named_with_it() {
    let server = live(|_, _| ());
    let (code, report) = json(&["appliance", &server.url]);
    assert_eq!((code, &report["verdict"]), (10, &Value::from("rejected")));
    assert_eq!(failed(&report), ["policy.tee", "policy.hardware"]);

    let output = verify(&["appliance", &server.url, ALLOW, "--at", AT]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("DEVELOPMENT, NOT CONFIDENTIAL\n"), "{text}");
    assert!(text.ends_with("DEVELOPMENT, NOT CONFIDENTIAL\n"), "{text}");
    assert!(text.contains("\nPASS  tls.spki "), "{text}");
    assert!(text.contains("\nSKIP  policy.commits "), "{text}");
    assert!(text.contains("\nACCEPTED FOR DEVELOPMENT ONLY: "), "{text}");
    assert!(!text.contains("\nACCEPTED:"), "{text}");
}

#[test]
fn somebody_in_between_is_noticed() {
    let other_tls = live(|_, statement| statement.tls_spki_sha256 = vec![Hex([9; 32])]);
    let (code, report) = json(&["appliance", &other_tls.url, ALLOW]);
    assert_eq!((code, failed(&report)), (10, vec!["tls.spki"]));

    let other_hpke = live(|answers, _| answers.hpke_key = [9; 32]);
    let (code, report) = json(&["appliance", &other_hpke.url, ALLOW]);
    assert_eq!((code, failed(&report)), (10, vec!["hpke.key"]));

    let bad_hpke = live(|answers, _| answers.hpke_suffix = vec![0, 8]);
    let (code, report) = json(&["appliance", &bad_hpke.url, ALLOW]);
    assert_eq!((code, failed(&report)), (10, vec!["hpke.key"]));

    let replay = live(|answers, _| answers.nonce = Some(None));
    let (code, report) = json(&["appliance", &replay.url, ALLOW]);
    assert_eq!((code, failed(&report)), (10, vec!["nonce.match"]));
}

#[test]
fn s0_14_evidence_has_to_name_the_connection_unless_told_otherwise() {
    for channel in [None, Some(Hex([9; 32]))] {
        let server = live(|answers, _| answers.channel = Some(channel));
        let (code, report) = json(&["appliance", &server.url, ALLOW]);
        assert_eq!((code, failed(&report)), (10, vec!["channel.match"]), "{report:#}");
        assert_eq!(report["error"], "evidence is not tied to this connection");
    }
    let server = live(|_, _| ());
    let (code, report) = json(&["appliance", &server.url, ALLOW, "--binding", "spki-only"]);
    assert_eq!((code, failed(&report), result(&report, "channel.match")), (0, vec![], "not_done"), "{report:#}");
    assert_eq!(report["claims"]["binding"], "spki-only");
    let output = verify(&["appliance", &server.url, ALLOW, "--at", AT, "--binding", "spki-only"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("\nWEAKER BINDING (spki-only): "), "{text}");
    let other_tls = live(|_, statement| statement.tls_spki_sha256 = vec![Hex([9; 32])]);
    let (code, report) = json(&["appliance", &other_tls.url, ALLOW, "--binding", "spki-only"]);
    assert_eq!((code, failed(&report)), (10, vec!["tls.spki"]));
}

#[test]
fn a_pin_tells_our_appliance_from_others() {
    let mut key = String::new();
    let server = live(|_, statement| key = statement.tls_spki_sha256[0].to_string());
    let (code, report) = json(&["appliance", &server.url, ALLOW]);
    assert_eq!((code, result(&report, "tls.pin")), (0, "not_done"));
    let (code, report) = json(&["appliance", &server.url, ALLOW, "--pin", PIN, "--pin", &key]);
    assert_eq!((code, result(&report, "tls.pin")), (0, "pass"), "{report:#}");
    let (code, report) = json(&["appliance", &server.url, ALLOW, "--pin", PIN]);
    assert_eq!((code, failed(&report)), (10, vec!["tls.pin"]));
}

#[test]
fn what_is_no_document_is_malformed_and_what_is_unknown_unsupported() {
    let html = live(|answers, _| answers.document = Some(b"<html>".to_vec()));
    let (code, report) = json(&["appliance", &html.url, ALLOW]);
    assert_eq!((code, &report["exit_class"]), (30, &Value::from("malformed")));

    let huge = live(|answers, _| answers.document = Some(vec![b' '; 600 * 1024]));
    assert_eq!(json(&["appliance", &huge.url, ALLOW]).0, 1, "not even read");
    let missing = live(|answers, _| answers.status = 404);
    assert_eq!(json(&["appliance", &missing.url, ALLOW]).0, 1, "not an appliance");

    let folder = Folder::new();
    let text = String::from_utf8(Appliance::new(1).document()).unwrap();
    let hardware = folder.write("snp.json", text.replace("\"development\"", "\"sev-snp\"").as_bytes());
    let (code, report) = json(&["appliance", "--document", &hardware]);
    assert_eq!((code, failed(&report)), (30, vec!["snp.report.size"]), "the report of another kind");
    let unknown = folder.write("cca.json", text.replace("\"development\"", "\"cca\"").as_bytes());
    let (code, report) = json(&["appliance", "--document", &unknown]);
    assert_eq!((code, &report["exit_class"]), (20, &Value::from("unsupported")));

    let document = folder.write("document.json", text.as_bytes());
    let output = verify(&["appliance", "--document", &document, ALLOW, "--at", "2027-01-01T00:00:00Z"]);
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(10));
    assert!(shown.contains("FAIL  statement.not_after"), "{shown}");
}

#[test]
fn a_policy_of_ones_own_is_obeyed() {
    let folder = Folder::new();
    let document = folder.write("document.json", &Appliance::new(1).document());
    let shipped = cloister_policies::appraisal::DEVELOPMENT;
    let pinned = format!("{shipped}\n[reference]\ncommits = [\"0123abcd\"]\n");
    let policy = folder.write("policy.toml", pinned.as_bytes());
    let (code, report) = json(&["appliance", "--document", &document, ALLOW, "--policy", &policy]);
    assert_eq!((code, failed(&report)), (10, vec!["policy.commits"]));
    // A policy that lists the development TEE is not yet a permission to accept it.
    let policy = folder.write("policy.toml", shipped.as_bytes());
    let (code, report) = json(&["appliance", "--document", &document, "--policy", &policy]);
    assert_eq!((code, failed(&report)), (10, vec!["policy.hardware"]));
}

/// A receipt and everything around it, in files.
fn receipt_files(folder: &Folder) -> (Receipt, [String; 5]) {
    let mut appliance = Appliance::new(20);
    let receipt = appliance.receipt(7);
    let files = [
        folder.write("receipt.json", &serde_json::to_vec(&receipt).unwrap()),
        folder.write("document.json", &appliance.document()),
        folder.write("export.tar", &appliance.export(None)),
        folder.write("question.txt", b"question"),
        folder.write("answer.txt", b"answer\n"),
    ];
    (receipt, files)
}

#[test]
fn s3_22_a_receipt_is_verified_offline() {
    let folder = Folder::new();
    let (_, [receipt, document, export, question, answer]) = receipt_files(&folder);
    let all = ["receipt", &receipt, "--export", &export, "--question", &question, "--answer", &answer, ALLOW];
    let (code, report) = json(&all);
    assert_eq!((code, failed(&report)), (0, Vec::new()), "{report:#}");
    for id in ["receipt.key", "receipt.signature", "receipt.question", "receipt.answer", "receipt.log", "log.root"] {
        assert_eq!(result(&report, id), "pass", "{id}");
    }
    let (code, report) = json(&[&all[..], &["--document", &document]].concat());
    assert_eq!((code, failed(&report)), (0, Vec::new()), "{report:#}");
    let (code, report) = json(&["receipt", &receipt, "--document", &document, ALLOW]);
    assert_eq!((code, result(&report, "receipt.log")), (0, "not_done"));
    let (code, report) = json(&["receipt", &receipt, "--document", &document]);
    assert_eq!((code, failed(&report)), (10, vec!["policy.tee", "policy.hardware"]), "no flag");

    let key = hex::encode(SigningKey::from_bytes(&[11; 32]).verifying_key().as_bytes());
    let (code, report) = json(&["receipt", &receipt, "--key", &key]);
    assert_eq!((code, &report["verdict"], &report["hardware"]), (0, &Value::from("accepted"), &Value::Null));
}

#[test]
fn a_receipt_that_is_not_true_is_refused() {
    let folder = Folder::new();
    let (mut changed, [receipt, document, export, _, answer]) = receipt_files(&folder);
    let (code, report) = json(&["receipt", &receipt]);
    assert_eq!((code, &report["exit_class"]), (40, &Value::from("collateral")), "nothing attests the key");
    assert_eq!(result(&report, "receipt.key"), "not_done");
    let (code, report) = json(&["receipt", &receipt, "--key", &"0".repeat(64)]);
    assert_eq!((code, failed(&report)), (10, vec!["receipt.key"]));
    let (code, report) = json(&["receipt", &receipt, "--document", &document, ALLOW, "--question", &answer]);
    assert_eq!((code, failed(&report)), (10, vec!["receipt.question"]));

    let elsewhere = folder.write("other.tar", &Appliance::new(20).export(None));
    let (code, report) = json(&["receipt", &receipt, "--export", &elsewhere, ALLOW]);
    assert_eq!((code, failed(&report)), (10, vec!["receipt.log"]));

    changed.body.answer_sha256 = sha256(b"another answer");
    let forged = folder.write("forged.json", &serde_json::to_vec(&changed).unwrap());
    let (code, report) = json(&["receipt", &forged, "--export", &export, ALLOW]);
    assert_eq!((code, failed(&report)), (10, vec!["receipt.signature", "receipt.log"]));
    let (code, _) = json(&["receipt", &folder.write("bad.json", b"{\"body\":1}")]);
    assert_eq!(code, 30);
}

#[test]
fn dc_12_an_export_is_verified_offline() {
    let folder = Folder::new();
    let appliance = Appliance::new(300);
    let export = folder.write("export.tar", &appliance.export(Some(100)));
    let previous = folder.write("previous.txt", appliance.checkpoint(100).as_bytes());
    let saved = folder.path("checkpoint.txt");
    let (code, report) = json(&["audit", &export, "--previous", &previous, "--save-checkpoint", &saved, ALLOW]);
    assert_eq!((code, failed(&report)), (0, Vec::new()), "{report:#}");
    assert_eq!(report["claims"]["log"]["size"], 300);
    assert_eq!(std::fs::read_to_string(&saved).unwrap(), appliance.checkpoint(300));

    let mut rolled_back = appliance.clone();
    rolled_back.leaves.truncate(200);
    let short = folder.write("short.tar", &rolled_back.export(None));
    let again = folder.path("again.txt");
    let (code, report) = json(&["audit", &short, "--previous", &saved, "--save-checkpoint", &again, ALLOW]);
    assert_eq!((code, failed(&report)), (10, vec!["log.previous"]));
    assert!(!Path::new(&again).exists(), "a refused checkpoint is not saved");

    let (code, report) = json(&["audit", &export]);
    assert_eq!((code, failed(&report)), (10, vec!["policy.tee", "policy.hardware"]), "no flag");
    let (code, _) = json(&["audit", &previous, ALLOW]);
    assert_eq!(code, 30, "not an export");
    let bare = common::forge(&appliance.export(None), |files| {
        files.remove("attest/0/document.json");
    });
    let (code, report) = json(&["audit", &folder.write("bare.tar", &bare), ALLOW]);
    assert_eq!((code, &report["exit_class"]), (40, &Value::from("collateral")));
}

#[test]
fn an_encrypted_export_is_decrypted_with_its_identity() {
    use age::secrecy::ExposeSecret as _;
    let folder = Folder::new();
    let (officer, stranger) = (age::x25519::Identity::generate(), age::x25519::Identity::generate());
    let mut encrypted = age::encrypt(&officer.to_public(), &Appliance::new(40).export(None)).unwrap();
    let export = folder.write("export.tar.age", &encrypted);
    let file = |name: &str, identity: &age::x25519::Identity| {
        folder.write(name, format!("# an officer\n{}\n", identity.to_string().expose_secret()).as_bytes())
    };
    let (officer, stranger) = (file("officer.key", &officer), file("stranger.key", &stranger));

    let (code, report) = json(&["audit", &export, "--identity", &officer, ALLOW]);
    assert_eq!((code, failed(&report), result(&report, "export.decrypt")), (0, Vec::new(), "pass"));
    let (code, report) = json(&["audit", &export, ALLOW]);
    assert_eq!((code, result(&report, "export.decrypt")), (40, "not_done"));
    let (code, report) = json(&["audit", &export, "--identity", &stranger, ALLOW]);
    assert_eq!((code, failed(&report)), (10, vec!["export.decrypt"]));
    assert_eq!(json(&["audit", &export, "--identity", &export, ALLOW]).0, 2, "not an identity");

    let last = encrypted.len() - 1;
    encrypted[last] ^= 1;
    let damaged = folder.write("damaged.tar.age", &encrypted);
    let (code, report) = json(&["audit", &damaged, "--identity", &officer, ALLOW]);
    assert_eq!((code, failed(&report)), (10, vec!["export.decrypt"]));
}
