//! `POST /v1/embeddings`.

use std::sync::Arc;

use axum::extract::{Extension, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{authorize, constraints};
use crate::access::{Action, Caller};
use crate::aci::Receipting;
use crate::api::json::Json;
use crate::app::AppState;
use crate::problem::Problem;

/// Texts of one request.
const MOST_TEXTS: usize = 2_048;

/// Turns texts into vectors.
#[utoipa::path(
    post, path = "/v1/embeddings", tag = "openai",
    request_body(content = Object, description = "As the OpenAI API; `model` is the embedding model of `/v1/models`"),
    responses((status = 200, description = "A list of embeddings"),
        (status = 400, description = "A parameter is wrong or not supported; the message names it"),
        (status = 401, description = "No credentials"), (status = 404, description = "No such model"))
)]
pub async fn embed(
    State(app): State<AppState>,
    Extension(receipting): Extension<Receipting>,
    caller: Caller,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Problem> {
    let by = authorize(&app, &caller, Action::Embed)?;
    receipting.asked(&app.store, &by, body.get("model").and_then(Value::as_str));
    let request = EmbedRequest::parse(body, app.models.embedder.dim())?;
    if request.model != app.models.embedder_id {
        return Err(Problem::NotFound);
    }
    let embedder = Arc::clone(&app.models.embedder);
    let embedding = tokio::task::spawn_blocking(move || {
        let vectors = embedder.embed(&request.texts)?;
        let tokens: usize = request.texts.iter().map(|text| embedder.count_tokens(text)).sum();
        Ok::<_, cloister_models::Error>((vectors, tokens, request.base64))
    });
    let (vectors, tokens, base64) = embedding.await.map_err(|_| Problem::Internal)??;
    let data: Vec<Value> = vectors.iter().enumerate().map(|(index, vector)| item(index, vector, base64)).collect();
    let usage = json!({ "prompt_tokens": tokens, "total_tokens": tokens });
    Ok(Json(json!({ "object": "list", "data": data, "model": app.models.embedder_id, "usage": usage })))
}

#[derive(Debug)]
struct EmbedRequest {
    model: String,
    texts: Vec<String>,
    base64: bool,
}

impl EmbedRequest {
    fn parse(body: Value, dim: usize) -> Result<Self, Problem> {
        let Value::Object(mut body) = body else { return Err(Problem::invalid("body: not an object")) };
        constraints::take(&mut body)?;
        let Some(Value::String(model)) = body.remove("model") else { return Err(Problem::invalid("model")) };
        let texts = match body.remove("input") {
            Some(Value::String(text)) => vec![text],
            Some(Value::Array(texts)) => texts
                .into_iter()
                .map(|text| match text {
                    Value::String(text) => Ok(text),
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                        Err(Problem::invalid("input: only texts are supported, no token numbers"))
                    }
                })
                .collect::<Result<_, _>>()?,
            _ => return Err(Problem::invalid("input")),
        };
        if texts.is_empty() || texts.len() > MOST_TEXTS || texts.iter().any(String::is_empty) {
            return Err(Problem::invalid("input: 1 to 2048 texts, none empty"));
        }
        let base64 = match body.remove("encoding_format") {
            None | Some(Value::Null) => false,
            Some(format) if format == "float" => false,
            Some(format) if format == "base64" => true,
            Some(_) => return Err(Problem::invalid("encoding_format")),
        };
        match body.remove("dimensions") {
            None | Some(Value::Null) => {}
            Some(wanted) if wanted == dim => {}
            Some(_) => return Err(Problem::invalid("dimensions: not supported")),
        }
        body.remove("user");
        if body.values().any(|value| !value.is_null()) {
            return Err(Problem::invalid("a parameter that is not supported"));
        }
        Ok(Self { model, texts, base64 })
    }
}

fn item(index: usize, vector: &[f32], base64: bool) -> Value {
    let embedding = if base64 {
        let bytes: Vec<u8> = vector.iter().flat_map(|component| component.to_le_bytes()).collect();
        Value::String(STANDARD.encode(bytes))
    } else {
        json!(vector)
    };
    json!({ "object": "embedding", "index": index, "embedding": embedding })
}
