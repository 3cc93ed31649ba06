//! The first steps that every story begins with: an owner, an assistant, documents that are ready.

use std::time::Duration;

use anyhow::{Context as _, bail};
use cloister_protocol::api::{
    Assistant, Conversation, CreateAssistant, CreateConversation, Document, DocumentState, List, Me,
};
use cloister_protocol::ids::WorkspaceId;

use crate::appliance::Appliance;
use crate::client::{Channel, Session, Trust, Upload};

/// How long a document may take to become ready.
const READY_TIMEOUT: Duration = Duration::from_secs(120);

/// The owner's login name in every story.
pub const OWNER: &str = "owner@example.org";
/// The owner's password in every story.
pub const PASSWORD: &str = "correct horse battery staple";

/// Unix milliseconds, for the clients in tests.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "a client of its own, outside the product")]
pub fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A verified channel to the appliance.
///
/// # Errors
/// If it does not verify.
pub async fn channel(appliance: &Appliance) -> anyhow::Result<Channel> {
    Ok(Channel::open(&appliance.url(), Trust::DevelopmentAllowed, now_ms()).await?)
}

/// Enrols the first owner by the one-time code and logs in.
///
/// # Errors
/// If there is no code, or a step is refused.
pub async fn enrol_owner(appliance: &Appliance) -> anyhow::Result<Session> {
    let channel = channel(appliance).await?;
    let code = appliance.enrolment_code().context("a fresh appliance has an enrolment link")?;
    channel.register(&code, OWNER, PASSWORD).await?;
    login(&channel).await
}

/// Logs the owner in.
///
/// # Errors
/// If the login is refused.
pub async fn login(channel: &Channel) -> anyhow::Result<Session> {
    Ok(channel.login(OWNER, PASSWORD, now_ms).await?)
}

/// The default workspace.
///
/// # Errors
/// If there is none.
pub async fn workspace(session: &Session) -> anyhow::Result<WorkspaceId> {
    let me: Me = session.read("/api/v1/me").await?;
    Ok(me.workspaces.first().context("a workspace")?.id)
}

/// Makes an assistant over all documents, and a conversation with it.
///
/// # Errors
/// If a step is refused.
pub async fn assistant(session: &Session, workspace: WorkspaceId) -> anyhow::Result<(Assistant, Conversation)> {
    let create = CreateAssistant {
        name: "Handbook".to_owned(),
        purpose: "Answers questions about our documents.".to_owned(),
        document_ids: None,
    };
    let assistant: Assistant = session.call(&format!("/api/v1/workspaces/{workspace}/assistants"), &create).await?;
    let create = CreateConversation { assistant_id: assistant.id };
    let conversation = session.call(&format!("/api/v1/workspaces/{workspace}/conversations"), &create).await?;
    Ok((assistant, conversation))
}

/// Uploads a file and waits until it is ready.
///
/// # Errors
/// If it is refused, fails (with its reason) or takes too long.
pub async fn upload_ready(session: &Session, workspace: WorkspaceId, file: &Upload<'_>) -> anyhow::Result<Document> {
    let uploaded = session.upload(workspace, file).await?;
    wait_ready(session, workspace, uploaded.document, |_| ()).await
}

/// Waits until a document is ready; `progress` sees every state on the way.
///
/// # Errors
/// If it fails (with its reason) or takes too long.
pub async fn wait_ready(
    session: &Session,
    workspace: WorkspaceId,
    mut document: Document,
    mut progress: impl FnMut(&Document),
) -> anyhow::Result<Document> {
    let path = format!("/api/v1/workspaces/{workspace}/documents/{}/get", document.id);
    let deadline = tokio::time::Instant::now() + READY_TIMEOUT;
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    loop {
        progress(&document);
        match document.state {
            DocumentState::Ready => return Ok(document),
            DocumentState::Error => bail!("{}: {}", document.file_name, document.problem.unwrap_or_default()),
            DocumentState::Uploaded | DocumentState::Processing => (),
        }
        if tokio::time::Instant::now() > deadline {
            bail!("{} is not ready after {} s", document.file_name, READY_TIMEOUT.as_secs());
        }
        ticks.tick().await;
        document = session.read(&path).await?;
    }
}

/// The documents of a workspace.
///
/// # Errors
/// If the list is refused.
pub async fn documents(session: &Session, workspace: WorkspaceId) -> anyhow::Result<Vec<Document>> {
    let list: List<Document> = session.read(&format!("/api/v1/workspaces/{workspace}/documents/list")).await?;
    Ok(list.items)
}
