//! The main job, unattended, against a fresh appliance, as a careful client does it.
//!
//! verify → enrol → assistant → upload → ask → receipt → audit log → a question without an answer. Each step is timed,
//! each may fail, and the demo holds only if all did.

mod questions;
mod report;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use cloister_protocol::api::{AnswerEvent, AnswerKind, Citation, Conversation};
use cloister_protocol::ids::{DocumentId, ReceiptId, WorkspaceId};

use crate::appliance::{Appliance, Options, checkout};
use crate::client::{Channel, Session, Upload};
use crate::{scenario, tools};
use questions::{Question, Questions};
use report::Report;

/// Flag of every verification: this machine has no TEE, and the output says so.
const ALLOW: &str = "--insecure-allow-development-tee";

/// Starts a fresh appliance in a folder of its own below `options.data` and plays the demo against it.
///
/// # Errors
/// If the report cannot be written; a step that fails is in the report.
pub async fn run(mut options: Options, files: &[PathBuf], json: bool) -> anyhow::Result<ExitCode> {
    let data = options.data.join("demo");
    if data.exists() {
        fs::remove_dir_all(&data).context("clear the last demo's folder")?;
    }
    options.data.clone_from(&data);
    options.port = 0;
    let mut report = Report::new(json);
    let outcome = play(&mut report, options, files, &data).await;
    if let Err(e) = &outcome {
        report.say(&format!("\nfailed: {e:#}"));
    }
    report.finish(outcome.is_ok())?;
    Ok(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn play(report: &mut Report, options: Options, files: &[PathBuf], data: &Path) -> anyhow::Result<()> {
    let questions = if files.is_empty() { Questions::shipped()? } else { Questions::about(files)? };
    let appliance = report.step("start the appliance", async {
        let appliance = tokio::task::block_in_place(|| Appliance::start(options))?;
        Ok((appliance.url(), appliance))
    });
    let appliance = appliance.await?;
    report.step("verify it with cloister-verify", verify_appliance(&appliance, data)).await?;
    let channel = report.step("verify it in the client", verified_channel(&appliance)).await?;
    let session = report.step("enrol the owner by OPAQUE", enrol(&appliance, &channel)).await?;
    let (workspace, conversation) = report.step("create an assistant", create_assistant(&session)).await?;
    let mut uploaded = BTreeMap::new();
    for file in questions.files() {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let id = report.step(&format!("upload {name}"), upload(&session, workspace, file)).await?;
        uploaded.insert(name, id);
    }
    let mut last = None;
    for question in questions.answerable() {
        report.say(&format!("\n  Q: {}", question.text));
        let cited = question.file.as_ref().and_then(|file| uploaded.get(file)).copied();
        let asked = ask(&session, workspace, &conversation, question, cited, report.is_quiet());
        last = Some(report.step("ask", asked).await?);
    }
    let last = last.context("at least one question")?;
    let receipt = report.step("fetch and verify a receipt", check_receipt(&session, last, data)).await?;
    report.step("export and verify the audit log", check_audit(&session, data, &receipt)).await?;
    report.say(&format!("\n  Q: {}", questions.unanswerable()));
    let refused = refuse(&session, workspace, &conversation, questions.unanswerable(), report.is_quiet());
    report.step("ask what the documents do not answer", refused).await?;
    report
        .step("stop the appliance", async {
            let (relay, enclave) = tokio::task::block_in_place(|| appliance.stop())?;
            ensure!(relay.success() && enclave.success(), "relay {relay}, enclave {enclave}");
            Ok(("both exited with 0".to_owned(), ()))
        })
        .await
}

type Step<T> = anyhow::Result<(String, T)>;

async fn verify_appliance(appliance: &Appliance, data: &Path) -> Step<()> {
    let saved = data.join("attestation.json");
    let saved = saved.display().to_string();
    let output = tools::verify(&["appliance", &appliance.url(), ALLOW, "--save", &saved])?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let refused = tools::verify(&["appliance", &appliance.url()])?;
    ensure!(refused.status.code() == Some(10), "the development TEE must be refused without the flag");
    Ok(("accepted with the flag, refused without".to_owned(), ()))
}

async fn verified_channel(appliance: &Appliance) -> Step<Channel> {
    let channel = scenario::channel(appliance).await?;
    Ok((format!("EHBP key {}…", &hex::encode(channel.hpke_key())[..16]), channel))
}

async fn enrol(appliance: &Appliance, channel: &Channel) -> Step<Session> {
    let code = appliance.enrolment_code().context("a fresh appliance has an enrolment link")?;
    channel.register(&code, scenario::OWNER, scenario::PASSWORD).await?;
    let session = scenario::login(channel).await?;
    Ok((format!("owner of {}", session.who.org_name), session))
}

async fn create_assistant(session: &Session) -> Step<(WorkspaceId, Conversation)> {
    let workspace = scenario::workspace(session).await?;
    let (assistant, conversation) = scenario::assistant(session, workspace).await?;
    Ok((assistant.name, (workspace, conversation)))
}

async fn upload(session: &Session, workspace: WorkspaceId, file: &Path) -> Step<DocumentId> {
    let bytes = fs::read(file).with_context(|| format!("read {}", file.display()))?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let document =
        scenario::upload_ready(session, workspace, &Upload { name: &name, title: None, bytes: &bytes }).await?;
    let pages = document.page_count.map_or_else(String::new, |n| format!(", {n} pages"));
    Ok((format!("{} passages{pages}", document.chunk_count.unwrap_or_default()), document.id))
}

/// Asks and prints the answer as it streams.
async fn stream(
    session: &Session,
    workspace: WorkspaceId,
    conversation: &Conversation,
    question: &str,
    quiet: bool,
) -> anyhow::Result<(cloister_protocol::api::Message, Vec<Citation>)> {
    let mut begun = false;
    let (done, _) = session
        .ask(workspace, conversation.id, question, |event| {
            if let (AnswerEvent::Delta { text }, false) = (event, quiet) {
                report::stream(text, &mut begun);
            }
        })
        .await?;
    if !quiet {
        report::end_stream(&done.message.citations);
    }
    let citations = done.message.citations.clone();
    Ok((done.message, citations))
}

async fn ask(
    session: &Session,
    workspace: WorkspaceId,
    conversation: &Conversation,
    question: &Question,
    cited: Option<DocumentId>,
    quiet: bool,
) -> Step<ReceiptId> {
    let (message, citations) = stream(session, workspace, conversation, &question.text, quiet).await?;
    ensure!(message.kind != Some(AnswerKind::Refusal), "refused, though the documents answer it");
    ensure!(!citations.is_empty(), "the answer has no citation");
    for citation in &citations {
        ensure!(!citation.quote.is_empty() && !citation.document_title.is_empty(), "a citation is incomplete");
    }
    let of_file = |c: &&Citation| cited.is_none_or(|id| c.document_id == id);
    ensure!(citations.iter().any(|c| of_file(&c)), "the answer does not cite {:?}", question.file);
    if let Some(phrase) = &question.phrase {
        let wanted = squeeze(phrase);
        let quoted = citations.iter().filter(of_file).any(|c| squeeze(&c.quote).contains(&wanted));
        ensure!(quoted || squeeze(&message.text).contains(&wanted), "neither the answer nor a quote holds “{phrase}”");
    }
    let receipt = message.receipt_id.context("the answer has a receipt")?;
    Ok((format!("{} citations", citations.len()), receipt))
}

async fn refuse(
    session: &Session,
    workspace: WorkspaceId,
    conversation: &Conversation,
    question: &str,
    quiet: bool,
) -> Step<()> {
    let (message, citations) = stream(session, workspace, conversation, question, quiet).await?;
    ensure!(message.kind == Some(AnswerKind::Refusal), "answered, though the documents do not");
    ensure!(citations.is_empty(), "a refusal cites nothing");
    Ok(("refused honestly".to_owned(), ()))
}

async fn check_receipt(session: &Session, id: ReceiptId, data: &Path) -> Step<String> {
    let receipt = session.fetch(&format!("/api/v1/receipts/{id}"), &serde_json::json!({})).await?;
    let path = data.join("receipt.json").display().to_string();
    fs::write(&path, receipt)?;
    let document = data.join("attestation.json").display().to_string();
    let output = tools::verify(&["receipt", &path, "--document", &document, ALLOW])?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    Ok(("signature by an attested key".to_owned(), path))
}

async fn check_audit(session: &Session, data: &Path, receipt: &str) -> Step<()> {
    let export = session.fetch("/api/v1/audit/export", &serde_json::json!({ "recipient": null })).await?;
    let path = data.join("audit.tar").display().to_string();
    fs::write(&path, export)?;
    let output = tools::verify(&["audit", &path, ALLOW])?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let document = data.join("attestation.json").display().to_string();
    let output = tools::verify(&["receipt", receipt, "--document", &document, "--export", &path, ALLOW])?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    Ok(("log whole, receipt included".to_owned(), ()))
}

/// Lower case, single spaces: what a person means by "the same words".
fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// The folder of the demo set.
fn demo_set() -> PathBuf {
    checkout().join("deploy/demo")
}
