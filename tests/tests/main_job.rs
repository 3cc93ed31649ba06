//! The main job through the public surface, and what the host sees of it: nothing.

#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

use cloister_protocol::api::{AnswerEvent, AnswerKind, DocumentState, UploadOutcome};
use cloister_tests::appliance::{Appliance, Options};
use cloister_tests::client::{Channel, Error, Trust, Upload};
use cloister_tests::{scenario, tools};

const DOCUMENT: &str = "# Travel\n\n## Trains\n\nEvery employee travels by train in second class. Journeys of more than \
    four hours may be booked in first class with the approval of the head of department, Ottilie Kranz.\n\n## Hotels\n\n\
    A hotel night may cost at most 140 euros, breakfast included. In Zurich and Geneva the limit is 210 euros.\n";
const QUESTION: &str = "How much may a hotel night cost in Zurich?";

/// Words that no log, metric or file outside the enclave may hold.
const SECRETS: [&str; 8] = [
    "Ottilie Kranz",
    "second class",
    "hotel night",
    "Zurich",
    "travel-rules.md",
    "Handbook",
    scenario::OWNER,
    scenario::PASSWORD,
];

fn holds(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

/// Every file below `dir`, with its bytes.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut out = Vec::new();
    for entry in fs::read_dir(dir).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            out.extend(files(&path));
        } else {
            out.push((path.display().to_string(), fs::read(&path).expect("readable")));
        }
    }
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_20_the_main_job_holds_and_the_host_sees_no_content() {
    let dir = tempfile::tempdir().expect("a folder");
    let appliance = Appliance::start(Options::for_checkout(dir.path().into()).expect("built")).expect("starts");
    let code = appliance.enrolment_code().expect("an enrolment link");
    let session = scenario::enrol_owner(&appliance).await.expect("enrols");
    let workspace = scenario::workspace(&session).await.expect("a workspace");
    let (_, conversation) = scenario::assistant(&session, workspace).await.expect("an assistant");
    let file = Upload { name: "travel-rules.md", title: None, bytes: DOCUMENT.as_bytes() };
    let document = scenario::upload_ready(&session, workspace, &file).await.expect("ready");
    assert_eq!(document.state, DocumentState::Ready);
    assert_eq!(document.title, "Travel");
    let again = session.upload(workspace, &file).await.expect("accepted");
    assert_eq!((again.outcome, again.document.id), (UploadOutcome::Existing, document.id), "S4-15, S4-16");

    let mut events = Vec::new();
    let (done, _) =
        session.ask(workspace, conversation.id, QUESTION, |e| events.push(e.clone())).await.expect("answers");
    assert!(matches!(events.first(), Some(AnswerEvent::Started { .. })));
    assert_eq!(done.message.kind, Some(AnswerKind::Quotation), "no chat model is configured, and the answer says so");
    let citation = done.message.citations.iter().find(|c| c.quote.contains("210 euros")).expect("the right passage");
    assert!(DOCUMENT.contains(citation.quote.trim()), "S4-36: the quote stands in the document");
    assert_eq!(citation.section.last().map(String::as_str), Some("Hotels"));
    assert_eq!(citation.document_sha256, document.sha256);

    let asked = session.ask(workspace, conversation.id, "Who painted the Mona Lisa?", |_| ()).await;
    let (refusal, _) = asked.expect("answers");
    assert_eq!(refusal.message.kind, Some(AnswerKind::Refusal), "S4-38: no evidence, no answer");
    assert!(refusal.message.citations.is_empty());

    let export = audit_export(&session).await;
    let (relay, enclave) = tokio::task::block_in_place(|| appliance.stop()).expect("stops");
    assert!(relay.success() && enclave.success(), "relay {relay}, enclave {enclave}");
    for (path, bytes) in files(dir.path()) {
        for secret in SECRETS.into_iter().chain([code.as_str()]) {
            assert!(!holds(&bytes, secret), "{path} holds {secret:?}");
        }
    }
    for secret in SECRETS {
        assert!(!holds(&export, secret), "the audit export holds {secret:?}");
    }
}

/// The plain export, which is also fetched encrypted to an officer and opened by Debian's `age`.
async fn audit_export(session: &cloister_tests::client::Session) -> Vec<u8> {
    let officer = tempfile::tempdir().expect("a folder");
    let identity = officer.path().join("officer.txt");
    let made = Command::new("age-keygen").arg("-o").arg(&identity).output().expect("Debian's age is installed");
    assert!(made.status.success());
    let text = fs::read_to_string(&identity).expect("an identity");
    let recipient = text.lines().find_map(|l| l.strip_prefix("# public key: ")).expect("a public key");
    let body = serde_json::json!({ "recipient": recipient });
    let sealed = session.fetch("/api/v1/audit/export", &body).await.expect("an export");
    let sealed_path = officer.path().join("audit.tar.age");
    fs::write(&sealed_path, &sealed).expect("write");
    let opened = Command::new("age").arg("-d").arg("-i").arg(&identity).arg(&sealed_path).output().expect("age runs");
    assert!(opened.status.success(), "age opens the export");
    let path = officer.path().join("audit.tar").display().to_string();
    fs::write(&path, &opened.stdout).expect("write");
    let verified = tools::verify(&["audit", &path, "--insecure-allow-development-tee"]).expect("runs");
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    check_by_third_party(Path::new(&path), &opened.stdout);
    session.fetch("/api/v1/audit/export", &serde_json::json!({ "recipient": null })).await.expect("an export")
}

/// Go's own note and log packages accept the export, and refuse it when a byte of a record or of the note is another.
fn check_by_third_party(path: &Path, export: &[u8]) {
    assert!(tools::third_party_accepts(path).expect("the checker runs"));
    for needle in ["\"seq\":0,", "\n\n\u{2014} "] {
        let at = export.windows(needle.len()).position(|w| w == needle.as_bytes()).expect("it is in the export");
        let mut altered = export.to_vec();
        // Inside the record, and inside the signature's base64.
        let at = at + if needle.starts_with('"') { 6 } else { needle.len() + 120 };
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        fs::write(path, altered).expect("write");
        assert!(!tools::third_party_accepts(path).expect("the checker runs"), "altered at {needle:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_04_sessions_and_documents_survive_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut appliance = Appliance::start(Options::for_checkout(dir.path().into()).expect("built")).expect("starts");
    let session = scenario::enrol_owner(&appliance).await.expect("enrols");
    let workspace = scenario::workspace(&session).await.expect("a workspace");
    let (_, conversation) = scenario::assistant(&session, workspace).await.expect("an assistant");
    let file = Upload { name: "travel-rules.md", title: None, bytes: DOCUMENT.as_bytes() };
    scenario::upload_ready(&session, workspace, &file).await.expect("ready");
    let before = session.channel().hpke_key().to_owned();
    appliance.kill_enclave().expect("killed");
    appliance.restart_enclave().expect("starts again");
    let (done, _) = session.ask(workspace, conversation.id, QUESTION, |_| ()).await.expect("the same session goes on");
    assert!(done.message.citations.iter().any(|c| c.quote.contains("210 euros")));
    let fresh = scenario::channel(&appliance).await.expect("verifies");
    assert_eq!(fresh.hpke_key(), &before, "keys are stable across restarts");
    assert!(appliance.enrolment_link().is_none(), "the first owner's link is used up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_19_a_client_that_wants_hardware_refuses_the_development_tee() {
    let dir = tempfile::tempdir().expect("a folder");
    let appliance = Appliance::start(Options::for_checkout(dir.path().into()).expect("built")).expect("starts");
    let refused = Channel::open(&appliance.url(), Trust::Hardware, scenario::now_ms()).await;
    assert!(matches!(refused, Err(Error::NotVerified(_))));
    let code = |args: &[&str]| tools::verify(args).expect("runs").status.code();
    assert_eq!(code(&["appliance", &appliance.url()]), Some(10));
    assert_eq!(code(&["appliance", &appliance.url(), "--insecure-allow-development-tee"]), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_05_a_wrong_password_and_an_unknown_name_fail_alike() {
    let dir = tempfile::tempdir().expect("a folder");
    let appliance = Appliance::start(Options::for_checkout(dir.path().into()).expect("built")).expect("starts");
    let session = scenario::enrol_owner(&appliance).await.expect("enrols");
    for (name, password) in [(scenario::OWNER, "wrong"), ("nobody@example.org", scenario::PASSWORD)] {
        let failed = session.channel().login(name, password, scenario::now_ms).await;
        assert!(matches!(failed, Err(Error::Login)), "{name}: {failed:?}");
    }
}
