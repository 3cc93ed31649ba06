//! A real application with the real embedding model, the real document worker, and people with API keys.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloister_enclave::access::{Action, Authorized, Target};
use cloister_enclave::app::{App, AppState, LoadedModels, unseal};
use cloister_enclave::clock::{Clock, SystemClock};
use cloister_enclave::identity::opaque::Suite;
use cloister_enclave::identity::{Authenticated, Credential};
use cloister_enclave::router::router;
use cloister_models::{Catalogue, Embedder, Generator, GeneratorConfig, ModelDigest, Template};
use cloister_protocol::api::{
    AnswerDone, CreateApiKey, CreateEnrolment, KsfId, RegisterFinish, RegisterStart, Registered, Role,
};
use cloister_protocol::ids::WorkspaceId;
use http_body_util::BodyExt;
use opaque_ke::{ClientRegistration, ClientRegistrationFinishParameters, RegistrationResponse};
use rand_core::OsRng;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use super::support;

/// Whether the world has a language model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writes {
    /// Answers are quotations.
    Nothing,
    /// A tiny model with random weights: real tokens, no sense.
    Nonsense,
}

pub(crate) struct World {
    pub(crate) app: AppState,
    pub(crate) owner: Registered,
    pub(crate) workspace: WorkspaceId,
    pub(crate) bearer: String,
    writes: Writes,
    dir: TempDir,
}

/// The folder of models, where `deploy/test` puts them.
fn model(name: &str) -> PathBuf {
    let folder = std::env::var_os("CLOISTER_MODELS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../var/models")), PathBuf::from);
    let path = folder.join(name);
    assert!(path.is_file(), "{} is missing: deploy/run makes it, or set CLOISTER_MODELS", path.display());
    path
}

fn models(dir: &std::path::Path, writes: Writes) -> LoadedModels {
    let entry = Catalogue::built_in().embedder().clone();
    let embedder = Embedder::load(&model("all-minilm-l6-v2-q8_0.gguf"), &entry.sha256, 2).unwrap();
    let generator = (writes == Writes::Nonsense).then(|| Arc::new(nonsense(dir)));
    let generator_id = generator.as_ref().map(|_| "nonsense".to_owned());
    LoadedModels { embedder: Arc::new(embedder), embedder_id: entry.id, generator, generator_id }
}

fn nonsense(dir: &std::path::Path) -> Generator {
    let bytes = super::tiny_model::bytes(super::tiny_model::TINY);
    let path = dir.join("nonsense.gguf");
    std::fs::write(&path, &bytes).unwrap();
    let config = GeneratorConfig {
        threads: 2,
        parallel: 2,
        n_ctx_per_seq: 8192,
        template: Template::Plain,
        max_waiting: 8,
        max_waiting_per_key: 4,
    };
    Generator::load(&path, &ModelDigest::of(&bytes), config).unwrap()
}

async fn open(dir: &TempDir, writes: Writes) -> AppState {
    let worker = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("cloister-docworker");
    assert!(worker.is_file(), "build it first: cargo build -p cloister-docworker");
    let worker = format!("\"{}\"", worker.display());
    let config = support::config(dir.path(), &[("\"target/release/cloister-docworker\"", worker.as_str())]);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = unseal(&config, &clock).unwrap();
    AppState::new(App::assemble(config, clock, store, models(dir.path(), writes)).await.unwrap())
}

impl World {
    pub(crate) async fn new(writes: Writes) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let app = open(&dir, writes).await;
        let code = app.identity.first_owner_code().await.unwrap().unwrap().code;
        let owner = register(&app, code, "ada").await;
        let list = authorize(&app, &owner, Action::ListWorkspaces, Target::Organisation);
        let workspace = app.identity.tenancy().workspaces(&list).unwrap()[0].id;
        let bearer = bearer(&app, &owner, workspace).await;
        Self { app, owner, workspace, bearer, writes, dir }
    }

    /// Stops cleanly and starts again.
    pub(crate) async fn restart(self) -> Self {
        let Self { app, owner, workspace, bearer, writes, dir } = self;
        app.close().await;
        drop(app);
        Self { app: open(&dir, writes).await, owner, workspace, bearer, writes, dir }
    }

    /// Another person of the organisation, with a bearer of their own.
    pub(crate) async fn colleague(&self) -> (Registered, String) {
        let by = authorize(&self.app, &self.owner, Action::CreateEnrolment, Target::Organisation);
        let request = CreateEnrolment { role: Role::Member };
        let code = self.app.identity.create_enrolment(&by, &request).await.unwrap().code;
        let person = register(&self.app, code, "grace").await;
        let bearer = bearer(&self.app, &person, self.workspace).await;
        (person, bearer)
    }

    pub(crate) fn authorize(&self, who: &Registered, action: Action, target: Target) -> Authorized {
        authorize(&self.app, who, action, target)
    }

    pub(crate) async fn respond(&self, bearer: &str, path: &str, kind: &str, body: Vec<u8>) -> Response {
        let path = path.replace("{ws}", &self.workspace.to_string());
        let request = Request::post(path).header(header::AUTHORIZATION, bearer).header(header::CONTENT_TYPE, kind);
        router(&self.app).oneshot(request.body(Body::from(body)).unwrap()).await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let bearer = self.bearer.clone();
        self.post_as(&bearer, path, body).await
    }

    pub(crate) async fn post_as(&self, bearer: &str, path: &str, body: Value) -> (StatusCode, Value) {
        let response = self.respond(bearer, path, "application/json", body.to_string().into_bytes()).await;
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into_owned().into()))
    }

    /// Uploads a document and waits until it can be asked about.
    pub(crate) async fn upload(&self, name: &str, bytes: &[u8]) -> Value {
        let head = format!("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
        let body = [head.as_bytes(), bytes, b"\r\n--b--\r\n"].concat();
        let form = "multipart/form-data; boundary=b";
        let response = self.respond(&self.bearer, "/api/v1/workspaces/{ws}/documents", form, body).await;
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let uploaded: Value = serde_json::from_slice(&body).unwrap();
        let path = format!("/api/v1/workspaces/{{ws}}/documents/{}/get", uploaded["document"]["id"].as_str().unwrap());
        tokio::time::timeout(Duration::from_secs(300), async {
            loop {
                let (_, document) = self.post(&path, json!({})).await;
                assert_ne!(document["state"], "error", "{document}");
                if document["state"] == "ready" {
                    return document;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await
        .unwrap()
    }

    pub(crate) async fn demo(&self, name: &str) -> Value {
        let path = format!("{}/../deploy/demo/{name}", env!("CARGO_MANIFEST_DIR"));
        self.upload(name, &std::fs::read(path).unwrap()).await
    }

    pub(crate) async fn assistant(&self, documents: Value) -> String {
        let request = json!({ "name": "Harbour", "purpose": "Answers staff.", "document_ids": documents });
        let (status, made) = self.post("/api/v1/workspaces/{ws}/assistants", request).await;
        assert_eq!(status, StatusCode::OK, "{made}");
        made["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn conversation(&self, assistant: &str) -> String {
        let (status, made) =
            self.post("/api/v1/workspaces/{ws}/conversations", json!({ "assistant_id": assistant })).await;
        assert_eq!(status, StatusCode::OK, "{made}");
        made["id"].as_str().unwrap().to_owned()
    }

    /// Asks and returns the events: name and data.
    pub(crate) async fn ask(&self, conversation: &str, body: Value) -> Vec<(String, Value)> {
        let path = format!("/api/v1/workspaces/{{ws}}/conversations/{conversation}/messages");
        let response = self.respond(&self.bearer, &path, "application/json", body.to_string().into_bytes()).await;
        assert_eq!(response.status(), StatusCode::OK);
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(bytes.len() % 256, 0, "events are padded");
        events(std::str::from_utf8(&bytes).unwrap())
    }

    /// Asks and returns the answer as it is stored.
    pub(crate) async fn answer(&self, conversation: &str, question: &str) -> AnswerDone {
        done(&self.ask(conversation, json!({ "text": question, "document_ids": null })).await)
    }
}

/// The last event, which must be `done`.
pub(crate) fn done(events: &[(String, Value)]) -> AnswerDone {
    let (name, data) = events.last().unwrap();
    assert_eq!(name, "done", "{events:?}");
    serde_json::from_value(data.clone()).unwrap()
}

/// Server-sent events as a client reads them.
pub(crate) fn events(text: &str) -> Vec<(String, Value)> {
    let event = |block: &str| {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
        let data = field("data: ")?;
        let data = serde_json::from_str(&data).unwrap_or(Value::String(data));
        Some((field("event: ").unwrap_or_default(), data))
    };
    text.split("\n\n").filter_map(event).collect()
}

fn authorize(app: &AppState, who: &Registered, action: Action, target: Target) -> Authorized {
    let credential = Credential::Session(cloister_enclave::identity::token::Token::<32>::generate().digest());
    let who = Authenticated { person: who.person_id, org: who.org_id, credential };
    app.access.caller(who).unwrap().authorize(action, target).unwrap()
}

async fn bearer(app: &AppState, who: &Registered, workspace: WorkspaceId) -> String {
    let by = authorize(app, who, Action::CreateApiKey, Target::Workspace(workspace));
    let request = CreateApiKey { name: "tests".to_owned(), workspace_id: workspace };
    format!("Bearer {}", app.identity.create_api_key(&by, &request).await.unwrap().secret)
}

async fn register(app: &AppState, code: String, login: &str) -> Registered {
    let started = ClientRegistration::<Suite>::start(&mut OsRng, b"a password").unwrap();
    let request = RegisterStart {
        enrolment_code: code.clone(),
        login: login.to_owned(),
        registration_request: URL_SAFE_NO_PAD.encode(started.message.serialize()),
    };
    let answer = app.identity.start_registration(&request).unwrap();
    let response = URL_SAFE_NO_PAD.decode(answer.registration_response).unwrap();
    let response = RegistrationResponse::deserialize(&response).unwrap();
    let parameters = ClientRegistrationFinishParameters::default();
    let finished = started.state.finish(&mut OsRng, b"a password", response, parameters).unwrap();
    let registration_record = URL_SAFE_NO_PAD.encode(finished.message.serialize());
    let ksf = KsfId::MemoryConstrained;
    let finish = RegisterFinish { enrolment_code: code, login: login.to_owned(), registration_record, ksf };
    app.identity.finish_registration(&finish).await.unwrap()
}
