//! The `OpenAPI` document of the service, generated from the handlers and committed as `enclave/openapi.json`.

use utoipa::OpenApi;

use crate::api::{
    aci, assistants, attestation, audit, auth, conversations, documents, enrolments, health, keys, me, memory, openai,
    openapi, tinfoil, verify_txt, workspaces,
};

/// Everything that the service answers.
#[derive(Debug, OpenApi)]
#[openapi(
    info(
        title = "Cloister",
        description = "The confidential service of a Cloister appliance. Errors are RFC 9457 problem documents, in OpenAI's shape under `/v1`."
    ),
    paths(
        aci::receipt,
        aci::report,
        assistants::create,
        assistants::get,
        assistants::list,
        attestation::document,
        attestation::hpke_keys,
        audit::checkpoint,
        audit::consistency,
        audit::export,
        auth::login_finish,
        auth::login_params,
        auth::login_start,
        auth::logout,
        auth::register_finish,
        auth::register_start,
        conversations::ask,
        conversations::create,
        conversations::get,
        conversations::list,
        conversations::receipt,
        documents::delete,
        documents::get,
        documents::list,
        documents::upload,
        documents::upload_book,
        enrolments::create,
        health::alive,
        health::ready,
        keys::create,
        keys::list,
        keys::revoke,
        me::me,
        memory::remember,
        memory::search,
        openai::chat::complete,
        openai::embeddings::embed,
        openai::models::list,
        openai::models::retrieve,
        openapi::document,
        tinfoil::certificate,
        tinfoil::document,
        verify_txt::text,
        workspaces::create,
        workspaces::list,
    )
)]
struct Document;

/// The document as JSON, with a newline at its end.
///
/// # Panics
/// If it cannot be written as JSON, which a test would see.
#[must_use]
pub fn document() -> String {
    let mut text = Document::openapi().to_pretty_json().expect("an OpenAPI document is JSON");
    text.push('\n');
    text
}
