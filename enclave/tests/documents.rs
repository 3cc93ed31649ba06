//! Documents through the real worker and the real store: states, copies, faults and restarts.

#[path = "opened/mod.rs"]
mod opened;
#[path = "documents/world.rs"]
mod world;

use std::time::Duration;

use cloister_enclave::audit::{Class, Event};
use cloister_enclave::documents::records::{self, COPIES, FILES, PARENTS};
use cloister_enclave::documents::{Change, EmbedError, Error, ReaderLimits};
use cloister_protocol::api::{DocumentState, UploadOutcome};
use cloister_protocol::ids::WorkspaceId;
use cloister_protocol::parsed::DocumentFormat;

use world::{World, demo, script, workspace};

fn event() -> Event {
    Event::new(Class::ApiCreate, "document.upload")
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_18_a_document_goes_from_uploaded_to_ready_with_passages_and_records() {
    let world = World::new();
    let bytes = demo("continuity-plan.pdf");
    let uploaded = world.upload(1, workspace(1), "continuity-plan.pdf", &bytes).await.unwrap();
    assert_eq!(uploaded.outcome, UploadOutcome::New);
    assert_eq!(uploaded.document.format, DocumentFormat::Pdf);
    assert_ne!(uploaded.document.state, DocumentState::Ready, "reading comes after the answer");
    let ready = world.settled(1, workspace(1), uploaded.document.id).await;
    assert_eq!(ready.state, DocumentState::Ready, "{:?}", ready.problem);
    assert_eq!((ready.progress, ready.page_count), (100, Some(4)));
    assert_eq!(ready.title, "Emergency and Continuity Plan");
    assert_eq!(ready.sha256, uploaded.document.sha256);
    assert_eq!(world.changes(), [(ready.id, Change::Ready)], "the index knew before anybody heard of it");

    let store = world.tenant(1);
    let chunks = records::chunks(&store, ready.id).unwrap();
    assert_eq!(u32::try_from(chunks.len()).ok(), ready.chunk_count);
    for chunk in &chunks {
        let parent = records::parent(&store, ready.id, chunk.parent).unwrap().unwrap();
        let (start, end) = (chunk.start as usize, chunk.end as usize);
        assert_eq!(parent.text.get(start..end), Some(chunk.text.as_str()));
        assert_eq!(parent.path, chunk.path);
        assert_eq!(chunk.embedding.0.len(), 384);
        assert!(chunk.page.is_some());
    }
    assert!(chunks.windows(2).all(|pair| pair[0].id < pair[1].id), "ids grow in reading order");
    let generator = chunks.iter().find(|chunk| chunk.text.contains("thirty-six hours")).unwrap();
    assert_eq!((generator.path.last().unwrap().as_str(), generator.page), ("6 Power failure", Some(2)));
    assert_eq!(records::chunk(&store, ready.id, generator.id).unwrap().as_ref(), Some(generator));
    assert_eq!(records::ready_documents(&store, workspace(1)).unwrap().len(), 1);

    let log = store.audit_log();
    let leaves = (0..log.head().unwrap().unwrap().size).map(|n| String::from_utf8(log.leaf(n).unwrap()).unwrap());
    let leaves: Vec<String> = leaves.collect();
    for operation in ["document.upload", "document.ready"] {
        let leaf = leaves.iter().find(|leaf| leaf.contains(operation)).unwrap();
        assert!(leaf.contains(&ready.id.to_string()) && leaf.contains(&ready.sha256));
        assert!(!leaf.contains("continuity") && !leaf.contains("Emergency"), "ids, sizes and digests only");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_format_of_the_demo_becomes_ready() {
    let world = World::new();
    let gpl = std::fs::read("/usr/share/common-licenses/GPL-3").unwrap();
    let files = [
        ("staff-handbook.md", demo("staff-handbook.md"), DocumentFormat::Markdown, "Staff Handbook"),
        ("berth-tariff.html", demo("berth-tariff.html"), DocumentFormat::Html, "Berth Tariff and Conditions 2026"),
        ("GPL-3", gpl, DocumentFormat::Text, "GNU GENERAL PUBLIC LICENSE"),
    ];
    for (name, bytes, format, title) in files {
        let uploaded = world.upload(1, workspace(1), name, &bytes).await.unwrap();
        let ready = world.settled(1, workspace(1), uploaded.document.id).await;
        assert_eq!((ready.state, ready.format, ready.title.as_str()), (DocumentState::Ready, format, title));
        assert!(ready.chunk_count.is_some_and(|count| count > 5));
    }
    assert_eq!(world.documents.list(&opened::scope(1), workspace(1)).unwrap().len(), 3);
    assert!(world.documents.list(&opened::scope(1), workspace(2)).unwrap().is_empty());
    assert!(world.documents.list(&opened::scope(2), workspace(1)).unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_15_the_same_file_is_processed_once_per_organisation_and_never_shared_beyond() {
    let world = World::new();
    let bytes = demo("staff-handbook.md");
    let first = world.upload(1, workspace(1), "handbook.md", &bytes).await.unwrap();
    let first = world.settled(1, workspace(1), first.document.id).await;
    let embedded = world.embedded();

    let again = world.upload(1, workspace(1), "another name.md", &bytes).await.unwrap();
    assert_eq!((again.outcome, again.document.id), (UploadOutcome::Existing, first.id));

    let granted = world.upload(1, workspace(2), "handbook.md", &bytes).await.unwrap();
    assert_eq!(granted.outcome, UploadOutcome::AccessGranted);
    let granted = world.settled(1, workspace(2), granted.document.id).await;
    assert_eq!((granted.state, granted.chunk_count), (DocumentState::Ready, first.chunk_count));
    assert_eq!(world.embedded(), embedded, "nothing was processed again");
    let ids = |id| records::chunks(&world.tenant(1), id).unwrap().into_iter().map(|chunk| chunk.id);
    assert!(ids(granted.id).all(|id| !ids(first.id).any(|other| other == id)), "passages have ids of their own");

    let other = world.upload(2, workspace(1), "handbook.md", &bytes).await.unwrap();
    assert_eq!(other.outcome, UploadOutcome::New, "another organisation learns nothing");
    assert_eq!(world.settled(2, workspace(1), other.document.id).await.state, DocumentState::Ready);
    assert!(world.embedded() > embedded);
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_15_simultaneous_uploads_of_one_file_make_one_document() {
    let world = World::new();
    let bytes = demo("berth-tariff.html");
    let uploads = (0..6).map(|_| world.upload(1, workspace(1), "tariff.html", &bytes));
    let outcomes = futures::future::join_all(uploads).await;
    let ids: std::collections::HashSet<_> = outcomes.iter().map(|o| o.as_ref().unwrap().document.id).collect();
    assert_eq!(ids.len(), 1);
    let new = outcomes.iter().filter(|o| o.as_ref().unwrap().outcome == UploadOutcome::New).count();
    assert_eq!(new, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_without_text_says_what_to_do_and_may_be_tried_again() {
    let world = World::new();
    let cases: [(&str, &[u8], &str); 4] = [
        ("scan.pdf", &world::scanned_pdf(), "run OCR first"),
        ("broken.pdf", b"%PDF-1.7 nothing of the kind", "damaged"),
        ("latin.txt", b"caf\xE9", "UTF-8"),
        ("empty.html", b"<script>1</script>", "no text"),
    ];
    for (name, bytes, hint) in cases {
        let uploaded = world.upload(1, workspace(1), name, bytes).await.unwrap();
        let failed = world.settled(1, workspace(1), uploaded.document.id).await;
        assert_eq!(failed.state, DocumentState::Error, "{name}");
        let problem = failed.problem.unwrap();
        assert!(problem.contains(hint) && problem.ends_with('.'), "{name}: {problem}");
        let again = world.upload(1, workspace(1), name, bytes).await.unwrap();
        assert_eq!((again.outcome, again.document.id), (UploadOutcome::New, failed.id), "tried again");
        assert_eq!(world.settled(1, workspace(1), failed.id).await.state, DocumentState::Error);
    }
    assert!(world.changes().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_can_never_be_read_are_refused_before_they_are_stored() {
    let world = World::new();
    let refused = |name, bytes| world.upload(1, workspace(1), name, bytes);
    assert!(matches!(refused("report.docx", b"PK\x03\x04").await, Err(Error::UnsupportedFormat)));
    assert!(matches!(refused("picture", b"\x89PNG\r\n\x1a\n\0\0").await, Err(Error::UnsupportedFormat)));
    assert!(matches!(refused("fake.pdf", b"just words").await, Err(Error::UnsupportedFormat)));
    assert!(matches!(refused("a\nb.txt", b"words").await, Err(Error::Text { field: "file" })));
    assert!(matches!(refused("", b"words").await, Err(Error::Text { field: "file" })));
    assert!(world.documents.list(&opened::scope(1), workspace(1)).unwrap().is_empty());
    let uploaded = refused("C:\\fake\\path\\notes.txt", b"Some words.").await.unwrap();
    assert_eq!(uploaded.document.file_name, "notes.txt");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stop_interrupts_is_taken_up_after_the_next_start() {
    let world = World::with_reader(&script("exec sleep 1000"), ReaderLimits::default());
    let bytes = demo("staff-handbook.md");
    let uploaded = world.upload(1, workspace(1), "handbook.md", &bytes).await.unwrap();
    let id = uploaded.document.id;
    let world = world.restart().await;
    assert_eq!(world.documents.resume().unwrap(), 1);
    assert_eq!(world.settled(1, workspace(1), id).await.state, DocumentState::Ready);
    let world = world.restart().await;
    assert_eq!(world.documents.resume().unwrap(), 0, "nothing is left to do");
    assert_eq!(world.documents.get(&opened::scope(1), workspace(1), id).unwrap().state, DocumentState::Ready);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_document_is_gone_and_so_is_its_file_with_the_last_copy() {
    let world = World::new();
    let bytes = demo("staff-handbook.md");
    let mut ids = Vec::new();
    for n in 1..=2 {
        let uploaded = world.upload(1, workspace(n), "handbook.md", &bytes).await.unwrap();
        ids.push(world.settled(1, workspace(n), uploaded.document.id).await);
    }
    let (scope, store) = (opened::scope(1), world.tenant(1));
    let sha256 = ids[0].sha256.clone();
    let delete = |n: usize, workspace: WorkspaceId| world.documents.delete(&scope, workspace, ids[n].id, event());
    assert!(matches!(delete(0, workspace(2)).await, Err(Error::NotFound)), "not in that workspace");
    delete(0, workspace(1)).await.unwrap();
    assert!(matches!(world.documents.get(&scope, workspace(1), ids[0].id), Err(Error::NotFound)));
    assert!(records::chunks(&store, ids[0].id).unwrap().is_empty());
    assert!(store.list_in(&PARENTS, &ids[0].id.to_string()).unwrap().is_empty());
    assert!(!records::chunks(&store, ids[1].id).unwrap().is_empty(), "the other copy stays");
    assert!(store.get_blob(&FILES, &sha256).unwrap().is_some());
    delete(1, workspace(2)).await.unwrap();
    assert!(store.get_blob(&FILES, &sha256).unwrap().is_none());
    assert!(store.get(&COPIES, &sha256).unwrap().is_none());
    assert!(matches!(delete(1, workspace(2)).await, Err(Error::NotFound)));
    assert_eq!(world.changes().iter().filter(|(_, change)| *change == Change::Removed).count(), 2);
    let again = world.upload(1, workspace(1), "handbook.md", &bytes).await.unwrap();
    assert_eq!(again.outcome, UploadOutcome::New);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_can_be_deleted_while_it_is_read() {
    let world = World::with_reader(&script("exec sleep 1000"), ReaderLimits::default());
    let uploaded = world.upload(1, workspace(1), "a.txt", b"words").await.unwrap();
    world.documents.delete(&opened::scope(1), workspace(1), uploaded.document.id, event()).await.unwrap();
    world.finish().await;
    assert!(world.changes().iter().all(|(_, change)| *change == Change::Removed));
    assert_eq!(world.documents.resume().unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_becomes_of_the_worker_the_document_comes_to_an_end() {
    let short = ReaderLimits { wall: Duration::from_millis(700), text_chars: 1000, reply_bytes: 4096 };
    let too_long = "words ".repeat(400);
    let reply = format!(
        r#"{{"parsed":{{"title":null,"page_count":null,"sections":[{{"path":[],"blocks":[{{"text":"{too_long}","page":null}}]}}]}}}}"#
    );
    let cases = [
        ("exec sleep 1000", "longer than allowed"),
        ("kill -9 $$", "stopped before"),
        ("exit 0", "stopped before"),
        ("exit 65", "stopped before"),
        ("exit 71", "--self-test-sandbox"),
        ("exit 70", "more memory"),
        ("kill -ABRT $$", "more memory"),
        ("kill -XCPU $$", "longer than allowed"),
        ("cat > /dev/null; echo '{\"parsed\":{}}'", "stopped before"),
        ("cat > /dev/null; exec yes", "stopped before"),
        ("cat > /dev/null; echo '{\"failed\":\"too_large\"}'", "split it"),
        (&format!("cat > /dev/null; echo '{reply}'"), "stopped before"),
    ];
    for (body, hint) in cases {
        let world = World::with_reader(&script(body), short);
        let uploaded = world.upload(1, workspace(1), "a.txt", "some words. ".repeat(50_000).as_bytes()).await.unwrap();
        let failed = world.settled(1, workspace(1), uploaded.document.id).await;
        assert_eq!(failed.state, DocumentState::Error, "{body}");
        assert!(failed.problem.as_ref().unwrap().contains(hint), "{body}: {:?}", failed.problem);
    }
    let world = World::with_reader(std::path::Path::new("/no/such/worker"), short);
    let uploaded = world.upload(1, workspace(1), "a.txt", b"words").await.unwrap();
    let failed = world.settled(1, workspace(1), uploaded.document.id).await;
    assert!(failed.problem.unwrap().contains("operator"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_model_is_waited_for_and_a_broken_one_is_a_problem() {
    let world = World::new();
    world.model_answers(&[Err(EmbedError::Busy), Err(EmbedError::Busy)]);
    let uploaded = world.upload(1, workspace(1), "a.txt", b"Some words.").await.unwrap();
    assert_eq!(world.settled(1, workspace(1), uploaded.document.id).await.state, DocumentState::Ready);
    world.model_answers(&[Err(EmbedError::Failed)]);
    let uploaded = world.upload(1, workspace(1), "b.txt", b"Other words.").await.unwrap();
    let failed = world.settled(1, workspace(1), uploaded.document.id).await;
    assert_eq!(failed.state, DocumentState::Error);
    world.model_answers(&[Ok(())]);
    let uploaded = world.upload(1, workspace(1), "b.txt", b"Other words.").await.unwrap();
    assert_eq!(world.settled(1, workspace(1), uploaded.document.id).await.state, DocumentState::Ready);
}
