//! A logged-in person: every call encrypted, every call signed.

use cloister_protocol::api::{
    AnswerDone, AnswerEvent, Ask, Empty, LoggedIn, LoginFinish, LoginParams, LoginParamsRequest, LoginStart,
    LoginStarted, RegisterFinish, RegisterStart, RegisterStarted, Registered,
};
use cloister_protocol::api::{Citation, KsfId, Uploaded};
use cloister_protocol::ids::{ConversationId, WorkspaceId};
use http::HeaderMap;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Error;
use super::opaque::{Opaque, Registration};
use super::signature::{RequestKey, SignatureInput, fresh_nonce, signature_base};
use super::sse::SseParser;
use super::transport::{Channel, Reply, insert};

/// A file to upload.
#[derive(Debug, Clone)]
pub struct Upload<'a> {
    /// File name; its ending is a hint for the format.
    pub name: &'a str,
    /// Title for citations, if not the document's own.
    pub title: Option<&'a str>,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// A person's session on a verified channel.
#[derive(Debug, Clone)]
pub struct Session {
    channel: Channel,
    key: RequestKey,
    clock: fn() -> u64,
    /// What the login said.
    pub who: LoggedIn,
}

impl Channel {
    /// Sends JSON without credentials, encrypted.
    ///
    /// # Errors
    /// As [`Reply::success`].
    pub async fn call<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Error> {
        let body = serde_json::to_vec(body).map_err(|_| Error::Protocol("encode"))?;
        let reply = self.sealed(path, "application/json", &body, |_, _, _| ()).await?;
        decode(&reply.success().await?)
    }

    /// Sets a password by an enrolment code.
    ///
    /// # Errors
    /// [`Error::NotVerified`] if the server's OPAQUE key is not the attested one; [`Error::Refused`] otherwise.
    pub async fn register(&self, enrolment_code: &str, login: &str, password: &str) -> Result<Registered, Error> {
        let (state, registration_request) = Registration::start(password)?;
        let start =
            RegisterStart { enrolment_code: enrolment_code.to_owned(), login: login.to_owned(), registration_request };
        let started: RegisterStarted = self.call("/api/v1/auth/opaque/register/start", &start).await?;
        let (registration_record, server_key) = state.finish(&started.registration_response)?;
        self.check_opaque_key(&server_key)?;
        let finish = RegisterFinish {
            enrolment_code: enrolment_code.to_owned(),
            login: login.to_owned(),
            registration_record,
            ksf: KsfId::MemoryConstrained,
        };
        self.call("/api/v1/auth/opaque/register/finish", &finish).await
    }

    /// Logs in.
    ///
    /// # Errors
    /// [`Error::Login`] for a wrong password or an unknown name.
    pub async fn login(&self, login: &str, password: &str, clock: fn() -> u64) -> Result<Session, Error> {
        let ask = LoginParamsRequest { login: login.to_owned() };
        let LoginParams { ksf } = self.call("/api/v1/auth/opaque/login/params", &ask).await?;
        let (state, start_login_request) = Opaque::start_login(password)?;
        let start = LoginStart { login: login.to_owned(), start_login_request };
        let started: LoginStarted = self.call("/api/v1/auth/opaque/login/start", &start).await?;
        let (finish_login_request, key, server_key) = state.finish_login(&started.login_response, ksf)?;
        self.check_opaque_key(&server_key)?;
        let finish = LoginFinish { login_id: started.login_id, finish_login_request };
        let who = self.call("/api/v1/auth/opaque/login/finish", &finish).await?;
        Ok(Session { channel: self.clone(), key, clock, who })
    }

    fn check_opaque_key(&self, key: &[u8]) -> Result<(), Error> {
        if key == self.opaque_key() {
            return Ok(());
        }
        Err(Error::NotVerified("the OPAQUE key is not in the statement".into()))
    }
}

impl Session {
    /// The channel below.
    #[must_use]
    pub const fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Sends a signed, encrypted `POST`.
    ///
    /// # Errors
    /// As [`Channel::sealed`].
    pub async fn post(&self, path: &str, content_type: &str, body: &[u8]) -> Result<Reply, Error> {
        let created = (self.clock)() / 1_000;
        let nonce = fresh_nonce();
        let (path_only, query) = path.split_once('?').unwrap_or((path, ""));
        let sign = |sealed: &[u8], encapsulated_key: &str, headers: &mut HeaderMap| {
            let (base, digest, input) = signature_base(&SignatureInput {
                method: "POST",
                path: path_only,
                query,
                body: sealed,
                encapsulated_key,
                created,
                nonce: &nonce,
                session: &self.who.session,
            });
            let signature = self.key.sign(&base);
            for (name, value) in [("content-digest", &digest), ("signature-input", &input), ("signature", &signature)] {
                insert(headers, name, value).expect("ASCII without line ends");
            }
        };
        self.channel.sealed(path, content_type, body, sign).await
    }

    /// Sends JSON and reads JSON.
    ///
    /// # Errors
    /// As [`Reply::success`].
    pub async fn call<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Error> {
        decode(&self.fetch(path, body).await?)
    }

    /// Sends JSON and reads bytes.
    ///
    /// # Errors
    /// As [`Reply::success`].
    pub async fn fetch(&self, path: &str, body: &impl Serialize) -> Result<Vec<u8>, Error> {
        let body = serde_json::to_vec(body).map_err(|_| Error::Protocol("encode"))?;
        self.post(path, "application/json", &body).await?.success().await
    }

    /// Reads what `path` names.
    ///
    /// # Errors
    /// As [`Reply::success`].
    pub async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.call(path, &Empty {}).await
    }

    /// Uploads a file as `multipart/form-data`.
    ///
    /// # Errors
    /// As [`Reply::success`].
    pub async fn upload(&self, workspace: WorkspaceId, file: &Upload<'_>) -> Result<Uploaded, Error> {
        let boundary = format!("cloister-{}", fresh_nonce());
        let mut body = Vec::with_capacity(file.bytes.len() + 512);
        if let Some(title) = file.title {
            let part = format!("--{boundary}\r\ncontent-disposition: form-data; name=\"title\"\r\n\r\n{title}\r\n");
            body.extend_from_slice(part.as_bytes());
        }
        let head = format!(
            "--{boundary}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{}\"\r\n\
             content-type: application/octet-stream\r\n\r\n",
            file.name
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(file.bytes);
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        let content_type = format!("multipart/form-data; boundary={boundary}");
        let path = format!("/api/v1/workspaces/{workspace}/documents");
        decode(&self.post(&path, &content_type, &body).await?.success().await?)
    }

    /// Asks a question; `each` sees every piece of text and every citation as it arrives.
    ///
    /// # Errors
    /// [`Error::Protocol`] if the stream ends without its end marker.
    pub async fn ask(
        &self,
        workspace: WorkspaceId,
        conversation: ConversationId,
        question: &str,
        mut each: impl FnMut(&AnswerEvent),
    ) -> Result<(AnswerDone, Vec<Citation>), Error> {
        let path = format!("/api/v1/workspaces/{workspace}/conversations/{conversation}/messages");
        let body = serde_json::to_vec(&Ask { text: question.to_owned(), document_ids: None })
            .map_err(|_| Error::Protocol("encode"))?;
        let mut reply = self.post(&path, "application/json", &body).await?;
        if reply.status != 200 {
            reply.success().await?;
            return Err(Error::Protocol("a success without a stream"));
        }
        let mut parser = SseParser::default();
        let mut citations = Vec::new();
        while let Some(chunk) = reply.chunk().await? {
            for event in parser.push(&chunk) {
                let event = parse_event(&event.event, &event.data)?;
                each(&event);
                match event {
                    AnswerEvent::Citation(citation) => citations.push(citation),
                    AnswerEvent::Done(done) => return Ok((*done, citations)),
                    AnswerEvent::Failed { problem } => return Err(Error::Refused { status: 200, problem }),
                    AnswerEvent::Started { .. } | AnswerEvent::Queued { .. } | AnswerEvent::Delta { .. } => (),
                }
            }
        }
        Err(Error::Protocol("the answer was cut off: no end marker"))
    }
}

fn parse_event(event: &str, data: &str) -> Result<AnswerEvent, Error> {
    let data: serde_json::Value = serde_json::from_str(data).map_err(|_| Error::Protocol("event data"))?;
    serde_json::from_value(serde_json::json!({ "event": event, "data": data })).map_err(|_| Error::Protocol("event"))
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|_| Error::Protocol("unexpected answer"))
}
