//! Documents over HTTP: the form, the states, the limits, and who may do what.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloister_enclave::access::{Action, Authorized, Target};
use cloister_enclave::app::AppState;
use cloister_enclave::identity::opaque::Suite;
use cloister_enclave::identity::{Authenticated, Credential};
use cloister_enclave::router::router;
use cloister_protocol::api::{CreateApiKey, KsfId, RegisterFinish, RegisterStart, Registered};
use cloister_protocol::ids::WorkspaceId;
use http_body_util::BodyExt;
use opaque_ke::{ClientRegistration, ClientRegistrationFinishParameters, RegistrationResponse};
use rand_core::OsRng;
use serde_json::Value;
use tower::ServiceExt;

/// An owner with an API key for the first workspace.
struct Owner {
    app: AppState,
    workspace: WorkspaceId,
    bearer: String,
    _dir: tempfile::TempDir,
}

impl Owner {
    async fn new(changes: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let worker = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("cloister-docworker");
        assert!(worker.is_file(), "build it first: cargo build -p cloister-docworker");
        let worker = format!("\"{}\"", worker.display());
        let changes = [changes, &[("\"target/release/cloister-docworker\"", worker.as_str())]].concat();
        let app = support::app(dir.path(), &changes).await;
        let owner = register(&app).await;
        let list = authorize(&app, &owner, Action::ListWorkspaces, Target::Organisation);
        let workspace = app.identity.tenancy().workspaces(&list).unwrap()[0].id;
        let by = authorize(&app, &owner, Action::CreateApiKey, Target::Workspace(workspace));
        let request = CreateApiKey { name: "uploads".to_owned(), workspace_id: workspace };
        let key = app.identity.create_api_key(&by, &request).await.unwrap();
        Self { app, workspace, bearer: format!("Bearer {}", key.secret), _dir: dir }
    }

    async fn post(&self, path: &str, content_type: &str, body: Vec<u8>) -> (StatusCode, Value) {
        let request = Request::post(path)
            .header(header::AUTHORIZATION, &self.bearer)
            .header(header::CONTENT_TYPE, content_type)
            .body(Body::from(body));
        let response = router(&self.app).oneshot(request.unwrap()).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn upload(&self, name: &str, bytes: &[u8]) -> (StatusCode, Value) {
        self.form(&[part("file", Some(name), bytes), part("title", None, b"A title of my own")].concat()).await
    }

    async fn form(&self, parts: &[u8]) -> (StatusCode, Value) {
        let path = format!("/api/v1/workspaces/{}/documents", self.workspace);
        self.post(&path, FORM, [parts, b"--b--\r\n"].concat()).await
    }

    async fn read(&self, tail: &str) -> (StatusCode, Value) {
        let path = format!("/api/v1/workspaces/{}/documents/{tail}", self.workspace);
        self.post(&path, "application/json", b"{}".to_vec()).await
    }
}

const FORM: &str = "multipart/form-data; boundary=b";

fn part(name: &str, file_name: Option<&str>, bytes: &[u8]) -> Vec<u8> {
    let file_name = file_name.map(|name| format!("; filename=\"{name}\"")).unwrap_or_default();
    let head = format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"{file_name}\r\n\r\n");
    [head.as_bytes(), bytes, b"\r\n"].concat()
}

fn authorize(app: &AppState, who: &Registered, action: Action, target: Target) -> Authorized {
    let credential = Credential::Session(cloister_enclave::identity::token::Token::<32>::generate().digest());
    let who = Authenticated { person: who.person_id, org: who.org_id, credential };
    app.access.caller(who).unwrap().authorize(action, target).unwrap()
}

/// Registers the first owner, as a client does.
async fn register(app: &AppState) -> Registered {
    let code = app.identity.first_owner_code().await.unwrap().unwrap().code;
    let started = ClientRegistration::<Suite>::start(&mut OsRng, b"a password").unwrap();
    let request = RegisterStart {
        enrolment_code: code.clone(),
        login: "ada".to_owned(),
        registration_request: URL_SAFE_NO_PAD.encode(started.message.serialize()),
    };
    let answer = app.identity.start_registration(&request).unwrap();
    let response = URL_SAFE_NO_PAD.decode(answer.registration_response).unwrap();
    let response = RegistrationResponse::deserialize(&response).unwrap();
    let parameters = ClientRegistrationFinishParameters::default();
    let finished = started.state.finish(&mut OsRng, b"a password", response, parameters).unwrap();
    let registration_record = URL_SAFE_NO_PAD.encode(finished.message.serialize());
    let ksf = KsfId::MemoryConstrained;
    let finish = RegisterFinish { enrolment_code: code, login: "ada".to_owned(), registration_record, ksf };
    app.identity.finish_registration(&finish).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_13_a_document_is_uploaded_listed_read_and_deleted() {
    let owner = Owner::new(&[]).await;
    let handbook = include_bytes!("../../deploy/demo/staff-handbook.md");
    let (status, uploaded) = owner.upload("staff-handbook.md", handbook).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{uploaded}");
    assert_eq!(uploaded["outcome"], "new");
    assert_eq!(uploaded["document"]["title"], "A title of my own");
    let id = uploaded["document"]["id"].as_str().unwrap().to_owned();
    let document = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            let (status, document) = owner.read(&format!("{id}/get")).await;
            assert_eq!(status, StatusCode::OK, "{document}");
            if document["state"] == "ready" || document["state"] == "error" {
                return document;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let document = document.await.unwrap();
    assert_eq!(document["state"], "ready", "{document}");
    assert!(document["chunk_count"].as_u64().unwrap() > 5);
    let (status, again) = owner.upload("again.md", handbook).await;
    assert_eq!((status, &again["outcome"]), (StatusCode::ACCEPTED, &Value::from("existing")));
    let (_, list) = owner.read("list").await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(list["items"][0], document);
    assert_eq!(owner.read(&format!("{id}/delete")).await.0, StatusCode::OK);
    assert_eq!(owner.read(&format!("{id}/get")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(owner.read(&format!("{id}/delete")).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_13_the_older_path_uploads_into_the_workspace_of_the_key() {
    let owner = Owner::new(&[]).await;
    let body = [part("file", Some("a.txt"), b"Some words."), b"--b--\r\n".to_vec()].concat();
    let (status, uploaded) = owner.post("/api/user/books/upload", FORM, body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{uploaded}");
    assert_eq!(uploaded["document"]["workspace_id"], owner.workspace.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_are_refused_for_what_is_wrong_with_them() {
    let owner = Owner::new(&[("upload_bytes = 67108864", "upload_bytes = 4194304")]).await;
    let refused = [
        (part("title", None, b"no file"), "file"),
        (part("file", Some("x.docx"), b"PK\x03\x04"), "file: not a PDF, Markdown, HTML or text document"),
        (part("file", Some("x.txt"), b""), "file"),
        (part("file", None, b"no name"), "file"),
        ([part("file", Some("x.txt"), b"a"), part("file", Some("y.txt"), b"b")].concat(), "form"),
        ([part("file", Some("x.txt"), b"a"), part("colour", None, b"red")].concat(), "form"),
        ([part("file", Some("x.txt"), b"a"), part("title", None, &[b'a'; 5000])].concat(), "title"),
        ([part("file", Some("x.txt"), b"a"), part("title", None, b"\xff")].concat(), "title"),
        (b"no form at all".to_vec(), "file"),
        (part("file", Some("x.txt"), b"broken off").get(..60).unwrap().to_vec(), "form"),
    ];
    for (parts, detail) in refused {
        let (status, problem) = owner.form(&parts).await;
        assert_eq!((status, &problem["detail"]), (StatusCode::BAD_REQUEST, &Value::from(detail)), "{problem}");
    }
    let (status, problem) = owner.upload("large.txt", &vec![b'a'; 5 << 20]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{problem}");
    let (status, _) = owner.upload("just-right.txt", &"words and words. ".repeat(180_000).into_bytes()).await;
    assert_eq!(status, StatusCode::ACCEPTED, "3 MB are under the limit, and over that of the framework");
    let (_, list) = owner.read("list").await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "nothing refused was stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_and_foreign_workspaces_and_documents_look_the_same() {
    let owner = Owner::new(&[]).await;
    let foreign = WorkspaceId::from_parts(1, 1);
    let form = [part("file", Some("a.txt"), b"words"), b"--b--\r\n".to_vec()].concat();
    for workspace in [foreign.to_string(), "ws_nonsense".to_owned(), "doc".to_owned()] {
        let path = format!("/api/v1/workspaces/{workspace}/documents");
        assert_eq!(owner.post(&path, FORM, form.clone()).await.0, StatusCode::NOT_FOUND, "{workspace}");
        let list = owner.post(&format!("{path}/list"), "application/json", b"{}".to_vec()).await;
        assert_eq!(list.0, StatusCode::NOT_FOUND, "{workspace}");
    }
    for document in ["doc_01jd5h8zk3q9m4v7x2t6w0rbcn", "nonsense"] {
        assert_eq!(owner.read(&format!("{document}/get")).await.0, StatusCode::NOT_FOUND);
    }
    let stranger = Owner { bearer: "Bearer clk_wrong".to_owned(), ..owner };
    assert_eq!(stranger.upload("a.txt", b"words").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(stranger.read("list").await.0, StatusCode::UNAUTHORIZED);
}
