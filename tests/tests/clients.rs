//! Clients that nobody here wrote, unmodified, against the real product: npm `ehbp`, `@serenity-kit/opaque` and
//! `openai`, PyPI `openai`, and the page in a real Chromium.

use std::path::PathBuf;
use std::process::Command;

use cloister_protocol::api::{ApiKeyCreated, CreateApiKey};
use cloister_tests::appliance::{Appliance, Options, checkout};
use cloister_tests::client::Upload;
use cloister_tests::{scenario, tools};

/// Runs a command and fails with everything that it printed.
fn must_succeed(mut command: Command, what: &str) {
    let output = command.output().unwrap_or_else(|e| panic!("{what} cannot be started: {e}"));
    let text = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what} failed:\n{text}");
}

/// What answers: a chat model, which with random weights writes nonsense, or the documents' own sentences.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Generated,
    Quotation,
}

fn javascript(only: &str, mode: Mode) {
    let dir = tempfile::tempdir().expect("a folder");
    let mut options = Options::for_checkout(dir.path().into()).expect("built");
    if mode == Mode::Generated {
        options.generator = Some(tools::tiny_chat_model(dir.path()).expect("a tiny model"));
    }
    let appliance = Appliance::start(options).expect("starts");
    let code = appliance.enrolment_code().expect("an enrolment link");
    let mut node = Command::new("node");
    node.current_dir(checkout()).args([
        "tests/js/run.mjs",
        "--url",
        &appliance.url(),
        "--enrolment-code",
        &code,
        "--only",
        only,
    ]);
    must_succeed(node, "tests/js/run.mjs");
}

#[test]
fn s1_05_unmodified_npm_clients_log_in_encrypt_and_chat() {
    javascript("interop", Mode::Generated);
}

#[test]
fn s2_63_the_page_does_the_main_job_in_chromium() {
    // In quotation mode every answer has sources that can be followed.
    javascript("browser", Mode::Quotation);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_unmodified_python_client_of_openai_works() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut options = Options::for_checkout(dir.path().into()).expect("built");
    options.generator = Some(tools::tiny_chat_model(dir.path()).expect("a tiny model"));
    let appliance = Appliance::start(options).expect("starts");
    let session = scenario::enrol_owner(&appliance).await.expect("enrols");
    let workspace = scenario::workspace(&session).await.expect("a workspace");
    let (assistant, _) = scenario::assistant(&session, workspace).await.expect("an assistant");
    let text = b"Leave. Every employee has 27 days of paid leave in each calendar year.";
    let file = Upload { name: "leave.txt", title: Some("Leave"), bytes: text };
    scenario::upload_ready(&session, workspace, &file).await.expect("ready");
    let create = CreateApiKey { name: "python".to_owned(), workspace_id: workspace };
    let key: ApiKeyCreated = session.call("/api/v1/api-keys", &create).await.expect("a key");
    #[expect(clippy::disallowed_methods, reason = "where deploy/test put the client")]
    let python =
        std::env::var("CLOISTER_PYTHON").map_or_else(|_| checkout().join("var/tools/python/bin/python"), PathBuf::from);
    let mut command = Command::new(python);
    command.arg(checkout().join("tests/python/openai_client.py")).args([
        &format!("{}/v1", appliance.url()),
        &key.secret,
        &assistant.id.to_string(),
    ]);
    must_succeed(command, "tests/python/openai_client.py");
}
