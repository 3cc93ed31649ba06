//! What relay, TLS and EHBP leave of the speed at which an answer streams.
//!
//! The same store, assistant and chat model answer the same question twice: in the running product, through everything
//! a real client goes through, and in this process over plain HTTP, which the product itself never serves. The model has
//! random weights and the size of a small real one, and always speaks up to the limit of tokens.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use axum::Extension;
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use cloister_enclave::app::{App, AppState};
use cloister_enclave::clock::SystemClock;
use cloister_enclave::config::Config;
use cloister_enclave::router::router;
use cloister_enclave::serve::Peer;
use cloister_protocol::api::{ApiKeyCreated, CreateApiKey};
use http::{HeaderMap, HeaderValue, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Figure, Target, median};
use crate::appliance::{Appliance, Options};
use crate::client::{SseParser, Upload};
use crate::{scenario, tiny_model, tools};

const ROUNDS: usize = 5;
/// Answers of a round: the first fills the model's memory of the prompt, the rest count.
const ANSWERS: usize = 4;
const TOKENS: u32 = 192;
const PATH: &str = "/v1/chat/completions";

/// Tokens a second through everything over tokens a second without.
///
/// # Errors
/// If the product does not start, or an answer fails.
pub async fn run(dir: &Path) -> anyhow::Result<Vec<Figure>> {
    let mut options = Options::for_checkout(dir.join("streaming"))?;
    options.generator = Some(tools::chat_model(dir, tiny_model::SLOW)?);
    let (key, body) = prepare(options.clone()).await?;
    let (mut ours, mut plain) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        eprintln!("streaming: round {} of {ROUNDS}", round + 1);
        ours.push(through_everything(options.clone(), &key, &body).await?);
        plain.push(over_plain_http(&options.data.join("enclave.toml"), &key, &body).await?);
    }
    let peer = "plain HTTP";
    let (ours, plain) = (median(ours), median(plain));
    Ok(vec![Figure::ratio("streaming: relay, TLS, EHBP", peer, "tokens/s", ours, plain, Target::AtLeast(0.97))])
}

/// An owner, an assistant with one document, an API key; and the question.
async fn prepare(options: Options) -> anyhow::Result<(String, Vec<u8>)> {
    let appliance = Appliance::start(options)?;
    let session = scenario::enrol_owner(&appliance).await?;
    let workspace = scenario::workspace(&session).await?;
    let (assistant, _) = scenario::assistant(&session, workspace).await?;
    let text = b"Leave. Every employee has 27 days of paid leave in each calendar year.";
    let file = Upload { name: "leave.txt", title: Some("Leave"), bytes: text };
    scenario::upload_ready(&session, workspace, &file).await?;
    let create = CreateApiKey { name: "bench".to_owned(), workspace_id: workspace };
    let key: ApiKeyCreated = session.call("/api/v1/api-keys", &create).await?;
    appliance.stop()?;
    let question = json!({
        "model": assistant.id.to_string(),
        "messages": [{ "role": "user", "content": "How many days of paid leave has an employee?" }],
        "stream": true, "stream_options": { "include_usage": true }, "max_tokens": TOKENS, "temperature": 0,
    });
    Ok((key.secret, question.to_string().into_bytes()))
}

async fn through_everything(options: Options, key: &str, body: &[u8]) -> anyhow::Result<f64> {
    let appliance = Appliance::start(options)?;
    let channel = scenario::channel(&appliance).await?;
    let bearer: HeaderValue = format!("Bearer {key}").parse()?;
    let mut speeds = Vec::new();
    for _ in 0..ANSWERS {
        let begun = Instant::now();
        let authorise = |_: &[u8], _: &str, headers: &mut HeaderMap| {
            headers.insert("authorization", bearer.clone());
        };
        let mut reply = channel.sealed(PATH, "application/json", body, authorise).await?;
        let mut answer = Answer::default();
        while let Some(bytes) = reply.chunk().await? {
            answer.push(&bytes)?;
        }
        speeds.push(answer.tokens_per_second(reply.status, begun)?);
    }
    appliance.stop()?;
    Ok(median(speeds.split_off(1)))
}

async fn over_plain_http(config: &Path, key: &str, body: &[u8]) -> anyhow::Result<f64> {
    let config = Config::read(config)?;
    let app = AppState::new(App::build(config, Arc::new(SystemClock)).await?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let stop = CancellationToken::new();
    let service = router(&app).layer(Extension(Peer { hint: None, connection: 1 }));
    let tasks = TaskTracker::new();
    let serving = axum::serve(listener, service).with_graceful_shutdown(stop.clone().cancelled_owned());
    let serving = tasks.spawn(async move { serving.await });
    let mut speeds = Vec::new();
    for _ in 0..ANSWERS {
        let begun = Instant::now();
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tasks.spawn(async move { drop(connection.await) });
        let request = Request::post(PATH)
            .header("host", "localhost")
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {key}"))
            .body(Full::new(Bytes::copy_from_slice(body)))?;
        let (head, mut reply) = sender.send_request(request).await?.into_parts();
        let mut answer = Answer::default();
        while let Some(frame) = reply.frame().await {
            answer.push(frame?.data_ref().context("a data frame")?)?;
        }
        speeds.push(answer.tokens_per_second(head.status.as_u16(), begun)?);
    }
    stop.cancel();
    serving.await??;
    app.close().await;
    Ok(median(speeds.split_off(1)))
}

/// A streamed answer, of which only the count of tokens at its end matters.
#[derive(Default)]
struct Answer {
    parser: SseParser,
    tokens: Option<u64>,
    done: bool,
}

impl Answer {
    fn push(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        for event in self.parser.push(bytes) {
            if event.data == "[DONE]" {
                self.done = true;
                continue;
            }
            let chunk: Value = serde_json::from_str(&event.data)?;
            self.tokens = chunk.pointer("/usage/completion_tokens").and_then(Value::as_u64).or(self.tokens);
        }
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "a few hundred tokens")]
    fn tokens_per_second(&self, status: u16, begun: Instant) -> anyhow::Result<f64> {
        ensure!(status == 200 && self.done, "the answer failed or was cut (status {status})");
        let tokens = self.tokens.context("the answer says how many tokens it has")?;
        ensure!(tokens == u64::from(TOKENS), "the model speaks to the limit, not {tokens} tokens");
        Ok(tokens as f64 / begun.elapsed().as_secs_f64())
    }
}
