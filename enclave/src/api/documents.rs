//! Documents of a workspace: upload, list, read, delete.

use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{Multipart, State};
use axum::http::StatusCode;
use cloister_protocol::api::{Document, Empty, List, Uploaded};
use cloister_protocol::ids::{DocumentId, WorkspaceId};

use super::id::Id;
use super::json::Json;
use crate::access::{Action, Authorized, Caller, Target};
use crate::audit::Class;
use crate::documents::intake::{File, Incoming};
use crate::documents::{Documents, Upload};
use crate::problem::Problem;

/// The longest text field of an upload, in bytes; what is in it is checked later.
const MAX_FIELD_BYTES: usize = 4096;

/// The fields of an upload, for the API document.
#[derive(Debug, utoipa::ToSchema)]
#[expect(dead_code, reason = "describes the form; the form itself is read field by field")]
pub struct UploadForm {
    /// A PDF, Markdown, HTML or UTF-8 text document, with its file name.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// The title shown in citations; by default the one that the document gives itself.
    title: Option<String>,
    /// The author.
    author: Option<String>,
}

/// Takes a document in. It is stored when this answers, and read afterwards.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{ws}/documents", tag = "documents",
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses((status = 202, body = Uploaded), (status = 400, description = "Not a form, or not a kind of document"),
        (status = 401, description = "No credentials"), (status = 403, description = "Not with this role"),
        (status = 404, description = "No such workspace"), (status = 413, description = "Larger than the limit"))
)]
pub async fn upload(
    State(documents): State<Documents>,
    caller: Caller,
    Id(workspace): Id<WorkspaceId>,
    form: Multipart,
) -> Result<(StatusCode, Json<Uploaded>), Problem> {
    let by = caller.authorize(Action::UploadDocument, Target::Workspace(workspace))?;
    receive(&documents, &by, workspace, form).await
}

/// Takes a document in for the workspace of the API key. Sessions say which workspace they mean.
#[utoipa::path(
    post, path = "/api/user/books/upload", tag = "documents",
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses((status = 202, body = Uploaded), (status = 400, description = "Not a form, or no API key"),
        (status = 401, description = "No credentials"), (status = 413, description = "Larger than the limit"))
)]
pub async fn upload_book(
    State(documents): State<Documents>,
    caller: Caller,
    form: Multipart,
) -> Result<(StatusCode, Json<Uploaded>), Problem> {
    let workspace = caller.api_key_workspace().ok_or_else(|| Problem::invalid("workspace"))?;
    let by = caller.authorize(Action::UploadDocument, Target::Workspace(workspace))?;
    receive(&documents, &by, workspace, form).await
}

/// Lists the documents of a workspace, newest first.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{ws}/documents/list", tag = "documents", request_body = Empty,
    responses((status = 200, body = List<Document>), (status = 401, description = "No credentials"),
        (status = 403, description = "Not with this role"), (status = 404, description = "No such workspace"))
)]
pub async fn list(
    State(documents): State<Documents>,
    caller: Caller,
    Id(workspace): Id<WorkspaceId>,
    Json(Empty {}): Json<Empty>,
) -> Result<Json<List<Document>>, Problem> {
    let by = caller.authorize(Action::ListDocuments, Target::Workspace(workspace))?;
    let listing = tokio::task::spawn_blocking(move || documents.list(by.scope(), workspace));
    let items = listing.await.map_err(|_| Problem::Internal)??;
    Ok(Json(List { items }))
}

/// Shows one document and how far it has come.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{ws}/documents/{id}/get", tag = "documents", request_body = Empty,
    responses((status = 200, body = Document), (status = 401, description = "No credentials"),
        (status = 403, description = "Not with this role"), (status = 404, description = "No such document"))
)]
pub async fn get(
    State(documents): State<Documents>,
    caller: Caller,
    Id((workspace, document)): Id<(WorkspaceId, DocumentId)>,
    Json(Empty {}): Json<Empty>,
) -> Result<Json<Document>, Problem> {
    let by = caller.authorize(Action::ReadDocument, Target::Workspace(workspace))?;
    Ok(Json(documents.get(by.scope(), workspace, document)?))
}

/// Deletes a document, its passages and, with its last copy, its file.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{ws}/documents/{id}/delete", tag = "documents", request_body = Empty,
    responses((status = 200, body = Empty), (status = 401, description = "No credentials"),
        (status = 403, description = "Not with this role"), (status = 404, description = "No such document"))
)]
pub async fn delete(
    State(documents): State<Documents>,
    caller: Caller,
    Id((workspace, document)): Id<(WorkspaceId, DocumentId)>,
    Json(Empty {}): Json<Empty>,
) -> Result<Json<Empty>, Problem> {
    let by = caller.authorize(Action::DeleteDocument, Target::Workspace(workspace))?;
    let event = by.event(Class::ApiDelete, "document.delete");
    documents.delete(by.scope(), workspace, document, event).await?;
    Ok(Json(Empty {}))
}

async fn receive(
    documents: &Documents,
    by: &Authorized,
    workspace: WorkspaceId,
    form: Multipart,
) -> Result<(StatusCode, Json<Uploaded>), Problem> {
    let form = Form::read(form, documents.file_bytes()).await?;
    let (file_name, file) = form.file.ok_or_else(|| Problem::invalid("file"))?;
    let upload = Upload { workspace, person: by.person(), file_name, title: form.title, author: form.author, file };
    let event = by.event(Class::ApiCreate, "document.upload");
    Ok((StatusCode::ACCEPTED, Json(documents.upload(by.scope(), upload, event).await?)))
}

/// The fields of an upload, each at most once and no others.
#[derive(Default)]
struct Form {
    file: Option<(String, File)>,
    title: Option<String>,
    author: Option<String>,
}

impl Form {
    async fn read(mut multipart: Multipart, file_bytes: usize) -> Result<Self, Problem> {
        let mut form = Self::default();
        while let Some(mut field) = multipart.next_field().await.map_err(|error| broken(&error, file_bytes))? {
            match field.name() {
                Some("file") if form.file.is_none() => {
                    let name = field.file_name().ok_or_else(|| Problem::invalid("file"))?.to_owned();
                    let mut incoming = Incoming::new(file_bytes);
                    while let Some(chunk) = field.chunk().await.map_err(|error| broken(&error, file_bytes))? {
                        incoming.push(&chunk)?;
                    }
                    form.file = Some((name, incoming.finish()?));
                }
                Some("title") if form.title.is_none() => form.title = Some(text("title", field).await?),
                Some("author") if form.author.is_none() => form.author = Some(text("author", field).await?),
                _ => return Err(Problem::invalid("form")),
            }
        }
        Ok(form)
    }
}

async fn text(name: &'static str, mut field: Field<'_>) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|error| broken(&error, MAX_FIELD_BYTES))? {
        if bytes.len() + chunk.len() > MAX_FIELD_BYTES {
            return Err(Problem::invalid(name));
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|_| Problem::invalid(name))
}

/// A body over the limit of the route ends as a broken form; the status tells the two apart.
fn broken(error: &MultipartError, limit_bytes: usize) -> Problem {
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::TooLarge { limit_bytes },
        _ => Problem::invalid("form"),
    }
}
