//! Every path of the service, and nowhere else.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};

use crate::api::openai::{chat, embeddings, models};
use crate::api::{
    aci, assistants, attestation, audit, auth, conversations, documents, enrolments, health, keys, me, memory, openapi,
    tinfoil, verify_txt, workspaces,
};
use crate::app::AppState;
use crate::middleware::{self, Class};
use crate::problem::{Problem, Shape};

/// The whole service: surfaces inside, layers around them.
pub fn router(state: &AppState) -> Router {
    let private = Router::new()
        .merge(middleware::private(state, Class::Ordinary, Shape::Problem, native().merge(aliases())))
        .merge(middleware::private(state, Class::Upload, Shape::Problem, uploads()))
        .merge(middleware::aci(state, middleware::private(state, Class::Answer, Shape::OpenAi, openai(state))))
        .merge(middleware::aci(state, middleware::private(state, Class::Ordinary, Shape::Aci, aci_receipts())))
        .merge(middleware::aci(state, middleware::shaped(Shape::Aci, aci_report())));
    let router = Router::new()
        .merge(health())
        .merge(middleware::cross_origin(evidence().merge(private).method_not_allowed_fallback(not_found)))
        .fallback(page)
        .method_not_allowed_fallback(not_found);
    middleware::outer(state, router).with_state(state.clone())
}

/// For whoever watches the process.
fn health() -> Router<AppState> {
    Router::new().route("/healthz", get(health::alive)).route("/readyz", get(health::ready))
}

/// Readable by anyone, without credentials and without encryption: nothing here is private.
fn evidence() -> Router<AppState> {
    Router::new()
        .route("/.well-known/cloister/attestation", get(attestation::document))
        .route("/.well-known/cloister/verify.txt", get(verify_txt::text))
        .route("/.well-known/hpke-keys", get(attestation::hpke_keys))
        .route("/.well-known/tinfoil-attestation", get(tinfoil::document))
        .route("/.well-known/tinfoil-certificate", get(tinfoil::certificate))
        .route("/api/v1/openapi.json", get(openapi::document))
}

/// The native API. Private reads are POST, so that EHBP can encrypt them.
fn native() -> Router<AppState> {
    Router::new()
        .merge(people())
        .route("/api/v1/workspaces", post(workspaces::create))
        .route("/api/v1/workspaces/list", post(workspaces::list))
        .route("/api/v1/workspaces/{ws}/assistants", post(assistants::create))
        .route("/api/v1/workspaces/{ws}/assistants/list", post(assistants::list))
        .route("/api/v1/workspaces/{ws}/assistants/{id}/get", post(assistants::get))
        .route("/api/v1/workspaces/{ws}/documents/list", post(documents::list))
        .route("/api/v1/workspaces/{ws}/documents/{id}/get", post(documents::get))
        .route("/api/v1/workspaces/{ws}/documents/{id}/delete", post(documents::delete))
        .merge(conversations())
        .route("/api/v1/memory", post(memory::remember))
        .route("/api/v1/memory/search", post(memory::search))
        .route("/api/v1/audit/export", post(audit::export))
        .route("/api/v1/audit/checkpoint", post(audit::checkpoint))
        .route("/api/v1/audit/consistency", post(audit::consistency))
        .route("/api/v1/{*unknown}", any(not_found))
}

/// Conversations, answers and their receipts.
fn conversations() -> Router<AppState> {
    Router::new()
        .route("/api/v1/workspaces/{ws}/conversations", post(conversations::create))
        .route("/api/v1/workspaces/{ws}/conversations/list", post(conversations::list))
        .route("/api/v1/workspaces/{ws}/conversations/{id}/get", post(conversations::get))
        .route("/api/v1/workspaces/{ws}/conversations/{id}/messages", post(conversations::ask))
        .route("/api/v1/receipts/{id}", post(conversations::receipt))
}

/// Registration, login, the caller's own account and credentials.
fn people() -> Router<AppState> {
    Router::new()
        .route("/api/v1/auth/opaque/register/start", post(auth::register_start))
        .route("/api/v1/auth/opaque/register/finish", post(auth::register_finish))
        .route("/api/v1/auth/opaque/login/params", post(auth::login_params))
        .route("/api/v1/auth/opaque/login/start", post(auth::login_start))
        .route("/api/v1/auth/opaque/login/finish", post(auth::login_finish))
        .route("/api/v1/logout", post(auth::logout))
        .route("/api/v1/me", post(me::me))
        .route("/api/v1/enrolments", post(enrolments::create))
        .route("/api/v1/api-keys", post(keys::create))
        .route("/api/v1/api-keys/list", post(keys::list))
        .route("/api/v1/api-keys/{id}/revoke", post(keys::revoke))
}

/// Routes that take a document.
fn uploads() -> Router<AppState> {
    Router::new()
        .route("/api/v1/workspaces/{ws}/documents", post(documents::upload))
        .route("/api/user/books/upload", post(documents::upload_book))
}

/// The surface for OpenAI clients.
fn openai(state: &AppState) -> Router<AppState> {
    let inference = Router::new()
        .route("/v1/chat/completions", post(chat::complete))
        .route("/v1/embeddings", post(embeddings::embed));
    Router::new()
        .merge(middleware::receipted(state, Shape::OpenAi, inference))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{model}", get(models::retrieve))
        .route("/v1/{*unknown}", any(not_found))
}

/// Evidence of the ACI door, readable by anyone.
fn aci_report() -> Router<AppState> {
    Router::new().route("/v1/aci/attestation", get(aci::report))
}

/// Receipts of the ACI door, for whoever made the request.
fn aci_receipts() -> Router<AppState> {
    Router::new().route("/v1/aci/receipts/{id}", get(aci::receipt))
}

/// Older paths, as thin aliases of the native API.
fn aliases() -> Router<AppState> {
    Router::new()
        .route("/memory", post(memory::remember))
        .route("/login", post(auth::legacy_login))
        .route("/dashboard/login/start", post(auth::login_start))
        .route("/dashboard/login/finish", post(auth::dashboard_login_finish))
        .route("/dashboard/logout", post(auth::logout))
        .route("/dashboard/verify", get(auth::dashboard_verify).post(auth::dashboard_verify))
}

async fn not_found() -> Problem {
    Problem::NotFound
}

/// Every other path is one of the page's files, or nothing.
async fn page(State(app): State<AppState>, request: Request) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let file = if is_read { app.page.get(request.uri().path()) } else { None };
    file.unwrap_or_else(|| Problem::NotFound.into_response())
}
