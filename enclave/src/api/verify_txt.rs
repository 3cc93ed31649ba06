//! `verify.txt`: for a person who wants to know how to check this appliance, and what it says of itself now.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use cloister_attestation::aci::spelled;
use cloister_attestation::document::Tee;

use crate::app::AppState;
use crate::problem::Problem;

/// How to verify this appliance, as plain text.
#[utoipa::path(
    get, path = "/.well-known/cloister/verify.txt", tag = "attestation",
    responses((status = 200, description = "Text for a person", content_type = "text/plain"))
)]
pub async fn text(State(app): State<AppState>) -> Result<Response, Problem> {
    let written = tokio::task::spawn_blocking(move || write(&app)).await;
    let text = written.map_err(|_| Problem::Internal)?.map_err(|_| Problem::Internal)?;
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    Ok((headers, text).into_response())
}

fn write(app: &AppState) -> Result<String, std::fmt::Error> {
    let (statement, host) = (app.statement_now(), &app.config.public_host);
    let mut out = String::new();
    out.push_str(
        "This is a Cloister appliance. What you send it is to be read by its measured software only, and not by\n\
         whoever runs the machine. Do not take this text's word for it: whoever answered you could have written it.\n\n",
    );
    if app.tee() == Tee::Development {
        out.push_str(
            "DEVELOPMENT, NOT CONFIDENTIAL. This process runs without a TEE: its evidence is signed by a key of its own\n\
             and proves nothing. Verifiers refuse it unless told --insecure-allow-development-tee. Send nothing private.\n\n",
        );
    }
    writeln!(out, "Verify it, from your own machine:\n\n    cloister-verify appliance https://{host}\n")?;
    writeln!(out, "What it says of itself right now (the command above checks it against the hardware's evidence):\n")?;
    writeln!(out, "    tee                {}", app.tee().name())?;
    writeln!(out, "    version            {}", statement.build.version)?;
    writeln!(out, "    commit             {}", statement.build.commit)?;
    writeln!(out, "    statement          sha256 {}", statement.digest())?;
    for spki in &statement.tls_spki_sha256 {
        writeln!(out, "    TLS key            SPKI sha256 {spki}")?;
    }
    for key in &statement.hpke_keys {
        writeln!(out, "    HPKE key           X25519 {key}")?;
    }
    for key in &statement.receipt_keys {
        writeln!(out, "    receipt key        Ed25519 {}", key.public_key)?;
    }
    for model in &statement.models {
        writeln!(out, "    model              {} ({}) sha256 {}", model.id, model.role, model.sha256)?;
    }
    writeln!(out, "    policies           sha256 {}", statement.policies_sha256)?;
    writeln!(out, "    ACI keyset         {}", spelled(&app.aci_keyset(app.clock.now_ms()).digest()))?;
    writeln!(
        out,
        "\nThe statement's digest moves with the state of the store; the others change with an update or a new key.\n"
    )?;
    writeln!(out, "Where the evidence is:\n")?;
    writeln!(
        out,
        "    https://{host}/.well-known/cloister/attestation?nonce=<64 hex digits>   the document that the command reads"
    )?;
    writeln!(
        out,
        "    https://{host}/.well-known/hpke-keys                                    the key of EHBP clients"
    )?;
    writeln!(out, "    https://{host}/v1/aci/attestation?nonce=<64 hex digits>                 ACI, aci/1")?;
    writeln!(
        out,
        "    https://{host}/v1/aci/receipts/<X-Receipt-Id>                           ACI receipts, with the API key that asked"
    )?;
    writeln!(
        out,
        "    https://{host}/.well-known/tinfoil-attestation                          Tinfoil, version 2, without a nonce"
    )?;
    Ok(out)
}
