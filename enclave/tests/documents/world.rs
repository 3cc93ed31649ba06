//! Documents in a temporary store, read by the real worker and embedded by arithmetic.

use std::collections::VecDeque;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloister_enclave::audit::{Class, Event};
use cloister_enclave::clock::SystemClock;
use cloister_enclave::documents::intake::Incoming;
use cloister_enclave::documents::{Change, Documents, EmbedError, Error, Model, Parts, Reader, ReaderLimits, Upload};
use cloister_enclave::store::{Store, TenantStore};
use cloister_protocol::api::{Document, DocumentState, Uploaded};
use cloister_protocol::ids::{DocumentId, PersonId, WorkspaceId};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::opened;

/// What the model answers next, in place of vectors; when empty, vectors.
type Answers = Arc<Mutex<VecDeque<Result<(), EmbedError>>>>;

pub(crate) struct World {
    pub(crate) documents: Documents,
    store: Store,
    changes: Arc<Mutex<Vec<(DocumentId, Change)>>>,
    embedded: Arc<AtomicUsize>,
    answers: Answers,
    tracker: TaskTracker,
    stopping: CancellationToken,
    dir: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_reader(&worker(), ReaderLimits::default())
    }

    pub(crate) fn with_reader(program: &Path, limits: ReaderLimits) -> Self {
        Self::open(TempDir::new().expect("a temporary directory"), program, limits)
    }

    fn open(dir: TempDir, program: &Path, limits: ReaderLimits) -> Self {
        let store = store(dir.path());
        let changes: Arc<Mutex<Vec<_>>> = Arc::default();
        let embedded: Arc<AtomicUsize> = Arc::default();
        let answers = Answers::default();
        let (tracker, stopping) = (TaskTracker::new(), CancellationToken::new());
        let told = Arc::clone(&changes);
        let parts = Parts {
            store: store.clone(),
            clock: Arc::new(SystemClock),
            reader: Reader::new(program.to_owned(), limits),
            model: model(Arc::clone(&embedded), Arc::clone(&answers)),
            notify: Arc::new(move |_, _, document, change| {
                told.lock().expect("not poisoned").push((document, change));
                Box::pin(async {})
            }),
            workers: 2,
            file_bytes: 1 << 20,
            tracker: tracker.clone(),
            stopping: stopping.clone(),
        };
        Self { documents: Documents::new(parts), store, changes, embedded, answers, tracker, stopping, dir }
    }

    /// Stops and starts; the new run has the real worker.
    pub(crate) async fn restart(self) -> Self {
        self.stopping.cancel();
        self.finish().await;
        let Self { documents, store, dir, .. } = self;
        store.close().await;
        drop((documents, store));
        Self::open(dir, &worker(), ReaderLimits::default())
    }

    /// Waits until no work is left.
    pub(crate) async fn finish(&self) {
        self.tracker.close();
        self.tracker.wait().await;
        self.tracker.reopen();
    }

    pub(crate) fn tenant(&self, org: u128) -> TenantStore {
        opened::tenant(&self.store, org)
    }

    pub(crate) fn changes(&self) -> Vec<(DocumentId, Change)> {
        self.changes.lock().expect("not poisoned").clone()
    }

    /// Texts embedded so far.
    pub(crate) fn embedded(&self) -> usize {
        self.embedded.load(Ordering::SeqCst)
    }

    pub(crate) fn model_answers(&self, answers: &[Result<(), EmbedError>]) {
        *self.answers.lock().expect("not poisoned") = answers.iter().copied().collect();
    }

    pub(crate) async fn upload(
        &self,
        org: u128,
        workspace: WorkspaceId,
        name: &str,
        bytes: &[u8],
    ) -> Result<Uploaded, Error> {
        let mut incoming = Incoming::new(self.documents.file_bytes());
        incoming.push(bytes)?;
        let upload = Upload {
            workspace,
            person: PersonId::from_parts(1, 1),
            file_name: name.to_owned(),
            title: None,
            author: None,
            file: incoming.finish()?,
        };
        let event = Event::new(Class::ApiCreate, "document.upload");
        self.documents.upload(&opened::scope(org), upload, event).await
    }

    /// The document once it is ready or failed.
    pub(crate) async fn settled(&self, org: u128, workspace: WorkspaceId, id: DocumentId) -> Document {
        tokio::time::timeout(Duration::from_secs(60), async {
            loop {
                let document = self.documents.get(&opened::scope(org), workspace, id).expect("it is there");
                if matches!(document.state, DocumentState::Ready | DocumentState::Error) {
                    return document;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .expect("documents settle")
    }
}

/// Opens the store, again if need be: between fork and exec, a child of another test still holds the lock of a store
/// that is closed already.
fn store(dir: &Path) -> Store {
    for _ in 0..200 {
        match opened::try_open(dir, opened::ROOT) {
            Err(cloister_enclave::store::Error::Io { .. }) => std::thread::sleep(Duration::from_millis(25)),
            opened => return opened.expect("the store opens"),
        }
    }
    opened::open(dir)
}

/// Vectors that depend on the text and on nothing else.
fn model(embedded: Arc<AtomicUsize>, answers: Answers) -> Model {
    let embed = move |texts: &[String]| {
        answers.lock().expect("not poisoned").pop_front().unwrap_or(Ok(()))?;
        embedded.fetch_add(texts.len(), Ordering::SeqCst);
        let vector = |text: &String| {
            let mut vector = vec![0.0_f32; 384];
            for (i, byte) in text.bytes().enumerate() {
                *vector.get_mut((usize::from(byte) * 31 + i) % 384).expect("in range") += 1.0;
            }
            let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
            vector.iter().map(|x| x / length).collect()
        };
        Ok(texts.iter().map(vector).collect())
    };
    let count = |text: &str| text.split_whitespace().map(|word| word.len().div_ceil(5)).sum::<usize>() + 2;
    Model { embed: Arc::new(embed), count: Arc::new(count), sha256: "ab".repeat(32) }
}

pub(crate) fn workspace(number: u128) -> WorkspaceId {
    WorkspaceId::from_parts(1, number)
}

pub(crate) fn demo(name: &str) -> Vec<u8> {
    let path = format!("{}/../deploy/demo/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).expect("a file of the demo set")
}

/// The real worker, of the same build as this test. (Cargo cannot be asked to build it from here: it holds its lock.)
fn worker() -> PathBuf {
    let test = std::env::current_exe().expect("this test is a file");
    let folder = test.ancestors().nth(2).expect("target/<profile>/deps/test");
    let worker = folder.join("cloister-docworker");
    assert!(worker.is_file(), "build it first: cargo build -p cloister-docworker");
    worker
}

/// A program that behaves as `body` says, in place of the worker. It is written by a process of its own, so that no
/// other thread's child can still hold it open for writing when it is started.
pub(crate) fn script(body: &str) -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("cloister-worker-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::SeqCst));
    let path = std::env::temp_dir().join(name);
    let command = format!("cat > '{0}' && chmod 700 '{0}'", path.display());
    let mut writer = Command::new("sh").args(["-c", &command]).stdin(Stdio::piped()).spawn().expect("a shell");
    let script = format!("#!/bin/sh\nPATH=/usr/bin:/bin\nrm -f '{}'\n{body}\n", path.display());
    writer.stdin.take().expect("piped").write_all(script.as_bytes()).expect("the shell reads");
    assert!(writer.wait().expect("the shell ends").success());
    path
}

/// A page that is a picture.
pub(crate) fn scanned_pdf() -> Vec<u8> {
    let objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</XObject<</Im0 5 0 R>>>>>>",
        "<</Length 30>>\nstream\nq 595 0 0 842 0 0 cm /Im0 Do Q\nendstream",
        "<</Type/XObject/Subtype/Image/Width 1/Height 1/ColorSpace/DeviceGray/BitsPerComponent 8/Length 1>>\nstream\n0\nendstream",
    ];
    let mut pdf = String::from("%PDF-1.4\n");
    let mut offsets = Vec::new();
    for (i, object) in objects.iter().enumerate() {
        offsets.push(pdf.len());
        pdf.push_str(&format!("{} 0 obj\n{object}\nendobj\n", i + 1));
    }
    let start = pdf.len();
    pdf.push_str("xref\n0 6\n0000000000 65535 f \n");
    for offset in offsets {
        pdf.push_str(&format!("{offset:010} 00000 n \n"));
    }
    pdf.push_str(&format!("trailer\n<</Root 1 0 R/Size 6>>\nstartxref\n{start}\n%%EOF\n"));
    pdf.into_bytes()
}
