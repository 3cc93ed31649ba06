//! kill -9 of the enclave at random moments: what was acknowledged is there, and the log verifies.
//!
//! A story of uploads and questions runs against the real product while the enclave is killed fifty times, each time
//! after a random few milliseconds of work. The story notes every acknowledgement; after each restart it looks for all
//! of them.

#![expect(clippy::disallowed_methods, reason = "tests have no App whose tracker could spawn")]
#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloister_protocol::api::{Conversation, List, Message, MessageRole};
use cloister_protocol::ids::{DocumentId, MessageId, WorkspaceId};
use cloister_tests::appliance::{Appliance, Options};
use cloister_tests::client::{Session, Upload};
use cloister_tests::scenario;

const KILLS: u32 = 50;

/// What the appliance has acknowledged so far.
#[derive(Default)]
struct Acknowledged {
    documents: Vec<DocumentId>,
    answers: Vec<(MessageId, String)>,
    receipts: Vec<String>,
}

/// Uploads and asks in turn until told to stop or the connection breaks.
async fn work(
    session: Session,
    workspace: WorkspaceId,
    conversation: Conversation,
    round: u32,
    stop: Arc<AtomicBool>,
    log: Arc<Mutex<Acknowledged>>,
) {
    for step in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let text =
            format!("Note {round}-{step}. The password of room {round}{step} is kept by the caretaker of wing {step}.");
        let name = format!("note-{round}-{step}.txt");
        let file = Upload { name: &name, title: None, bytes: text.as_bytes() };
        let Ok(uploaded) = session.upload(workspace, &file).await else { return };
        log.lock().expect("no panics").documents.push(uploaded.document.id);
        let asked = session.ask(workspace, conversation.id, "Who keeps the password of the room?", |_| ()).await;
        let Ok((done, _)) = asked else { return };
        let mut log = log.lock().expect("no panics");
        log.receipts.extend(done.message.receipt_id.map(|id| id.to_string()));
        log.answers.push((done.message.id, done.message.text));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_kills_lose_nothing_acknowledged_and_the_log_verifies() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut appliance = Appliance::start(Options::for_checkout(dir.path().into()).expect("built")).expect("starts");
    let session = scenario::enrol_owner(&appliance).await.expect("enrols");
    let workspace = scenario::workspace(&session).await.expect("a workspace");
    let (_, conversation) = scenario::assistant(&session, workspace).await.expect("an assistant");
    let log = Arc::new(Mutex::new(Acknowledged::default()));
    for round in 0..KILLS {
        let stop = Arc::new(AtomicBool::new(false));
        let story = tokio::spawn(work(
            session.clone(),
            workspace,
            conversation.clone(),
            round,
            Arc::clone(&stop),
            Arc::clone(&log),
        ));
        let mut random = [0; 2];
        getrandom::fill(&mut random).expect("randomness");
        // The kill has to fall at a random moment of the work: this is the one wait whose length means something.
        tokio::time::sleep(Duration::from_millis(u64::from(u16::from_le_bytes(random) % 400))).await;
        appliance.kill_enclave().expect("kill -9");
        stop.store(true, Ordering::Relaxed);
        story.await.expect("the story itself does not panic");
        appliance.restart_enclave().expect("starts again after kill -9");
        // Sessions survive: the same one goes on, on a connection of its own.
        check_all(&session, workspace, &conversation, &log).await;
    }
    let documents = log.lock().expect("no panics").documents.len();
    assert!(documents > 0, "something was acknowledged in {KILLS} rounds");
    // Unfinished documents were taken up again.
    for document in scenario::documents(&session, workspace).await.expect("documents") {
        scenario::wait_ready(&session, workspace, document, |_| ()).await.expect("every document becomes ready");
    }
    verify_export(&session, dir.path()).await;
}

async fn check_all(session: &Session, workspace: WorkspaceId, conversation: &Conversation, log: &Mutex<Acknowledged>) {
    let documents = scenario::documents(session, workspace).await.expect("the list");
    let path = format!("/api/v1/workspaces/{workspace}/conversations/{}/get", conversation.id);
    let messages: List<Message> = session.read(&path).await.expect("the conversation");
    let (wanted_documents, wanted_answers, wanted_receipts) = {
        let log = log.lock().expect("no panics");
        (log.documents.clone(), log.answers.clone(), log.receipts.clone())
    };
    for id in wanted_documents {
        assert!(documents.iter().any(|d| d.id == id), "acknowledged document {id} is lost");
    }
    for (id, text) in wanted_answers {
        let found = messages.items.iter().find(|m| m.id == id).unwrap_or_else(|| panic!("answer {id} is lost"));
        assert_eq!(found.role, MessageRole::Assistant);
        assert_eq!(found.text, text);
    }
    if let Some(id) = wanted_receipts.last() {
        let receipt: serde_json::Value = session.read(&format!("/api/v1/receipts/{id}")).await.expect("the receipt");
        assert_eq!(receipt["body"]["receipt_id"], serde_json::json!(id));
    }
}

async fn verify_export(session: &Session, dir: &std::path::Path) {
    let export =
        session.fetch("/api/v1/audit/export", &serde_json::json!({ "recipient": null })).await.expect("the export");
    let path = dir.join("audit.tar");
    std::fs::write(&path, export).expect("write");
    let output =
        cloister_tests::tools::verify(&["audit", &path.display().to_string(), "--insecure-allow-development-tee"])
            .expect("cloister-verify runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(cloister_tests::tools::third_party_accepts(&path).expect("the checker runs"), "a third party agrees");
}
