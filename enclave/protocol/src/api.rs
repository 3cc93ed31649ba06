//! Requests and responses of the native API, `/api/v1`.
//!
//! Private reads are `POST` with a small JSON body, because a request without a body cannot be encrypted to the
//! enclave (EHBP). All times are Unix milliseconds. All ids are of [`crate::ids`].

use serde::{Deserialize, Serialize};

use crate::ids::{
    ApiKeyId, AssistantId, ChunkId, ConversationId, DocumentId, EnrolmentId, LoginId, MessageId, OrgId, PersonId,
    ReceiptId, WorkspaceId,
};
use crate::parsed::DocumentFormat;

/// The role of a person in an organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May do everything in the organisation, invitations included.
    Owner,
    /// May use and build assistants, upload documents and ask.
    Member,
    /// May export and verify the audit log; reads no content.
    Auditor,
}

/// An empty request body: `{}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Empty {}

macro_rules! wire {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident : $ty:ty,)* })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($(#[$fdoc])* pub $field: $ty,)* }
    )+};
}

wire! {
    // ---- OPAQUE (RFC 9807), contract: base64 URL-safe without padding ----
    /// Starts the registration of a password by an enrolment code.
    RegisterStart {
        /// The one-time code of the enrolment link.
        enrolment_code: String,
        /// The login name that the person chooses.
        login: String,
        /// OPAQUE `RegistrationRequest`, 32 bytes.
        registration_request: String,
    }
    /// The server's half of a registration.
    RegisterStarted {
        /// OPAQUE `RegistrationResponse`, 64 bytes.
        registration_response: String,
        /// The server's static public key; compare with `opaque_pk` of the attested statement.
        server_public_key: String,
    }
    /// Ends a registration. The enrolment code is used up by this call and not before.
    RegisterFinish {
        /// The same code as at the start.
        enrolment_code: String,
        /// The same login name as at the start.
        login: String,
        /// OPAQUE `RegistrationUpload`, 192 bytes.
        registration_record: String,
        /// The key-stretching function that the client used, and must use at each login.
        ksf: KsfId,
    }
    /// The person that now exists.
    Registered {
        /// The new person.
        person_id: PersonId,
        /// The organisation they are a member of.
        org_id: OrgId,
        /// Their role there.
        role: Role,
    }
    /// Asks which key-stretching function a login name uses; answered alike for unknown names.
    LoginParamsRequest {
        /// The login name.
        login: String,
    }
    /// The key-stretching function of a login name.
    LoginParams {
        /// Argon2id parameters by name.
        ksf: KsfId,
    }
    /// Starts a login.
    LoginStart {
        /// The login name.
        login: String,
        /// OPAQUE `KE1`, 96 bytes.
        start_login_request: String,
    }
    /// The server's half of a login; has the same shape for unknown names.
    LoginStarted {
        /// Names the login in progress, for 60 seconds and one use.
        login_id: LoginId,
        /// OPAQUE `KE2`, 320 bytes.
        login_response: String,
    }
    /// Ends a login.
    LoginFinish {
        /// From the start.
        login_id: LoginId,
        /// OPAQUE `KE3`, 64 bytes.
        finish_login_request: String,
    }
    /// A session. Requests in it are signed under a key that both sides derive from the OPAQUE session key.
    LoggedIn {
        /// 32 random bytes, base64url: names the session in `Signature-Input` as `keyid`; useless without the key.
        session: String,
        /// The person.
        person_id: PersonId,
        /// The active organisation.
        org_id: OrgId,
        /// Its name.
        org_name: String,
        /// The role there.
        role: Role,
        /// When the session ends even if used, Unix milliseconds.
        expires_ms: u64,
        /// How long it may be idle, milliseconds.
        idle_ms: u64,
    }

    // ---- who am I, invitations, API keys ----
    /// The caller.
    Me {
        /// The person.
        person_id: PersonId,
        /// Login name.
        login: String,
        /// The active organisation.
        org_id: OrgId,
        /// Its name.
        org_name: String,
        /// The role there.
        role: Role,
        /// Names of the actions that the role allows; the server decides each time all the same.
        permissions: Vec<String>,
        /// Workspaces of the organisation.
        workspaces: Vec<Workspace>,
    }
    /// Asks for an enrolment link for a new member.
    CreateEnrolment {
        /// The role that the person gets.
        role: Role,
    }
    /// A one-time enrolment code, shown once.
    Enrolment {
        /// Its id.
        id: EnrolmentId,
        /// The code: 128 random bits.
        code: String,
        /// The role that the person gets.
        role: Role,
        /// When it stops working.
        expires_ms: u64,
    }
    /// Asks for an API key.
    CreateApiKey {
        /// What it is for, in the owner's words.
        name: String,
        /// The workspace it may use.
        workspace_id: WorkspaceId,
    }
    /// An API key, its secret shown once.
    ApiKeyCreated {
        /// Its id.
        id: ApiKeyId,
        /// `clk_` and 32 random bytes in base64url: the bearer token.
        secret: String,
    }
    /// An API key without its secret.
    ApiKey {
        /// Its id.
        id: ApiKeyId,
        /// What it is for.
        name: String,
        /// The workspace it may use.
        workspace_id: WorkspaceId,
        /// When it was made.
        created_ms: u64,
        /// When it was last used, to the minute.
        last_used_ms: Option<u64>,
    }

    // ---- workspaces and assistants ----
    /// A workspace.
    Workspace {
        /// Its id.
        id: WorkspaceId,
        /// Its name.
        name: String,
        /// When it was made.
        created_ms: u64,
    }
    /// Asks for a workspace.
    CreateWorkspace {
        /// Its name.
        name: String,
    }
    /// Asks for an assistant.
    CreateAssistant {
        /// Its name.
        name: String,
        /// What it is for, in the owner's words; part of the prompt.
        purpose: String,
        /// The documents it may use; null means all of the workspace.
        document_ids: Option<Vec<DocumentId>>,
    }
    /// An assistant.
    Assistant {
        /// Its id.
        id: AssistantId,
        /// The workspace it belongs to.
        workspace_id: WorkspaceId,
        /// Its name.
        name: String,
        /// What it is for.
        purpose: String,
        /// The documents it may use; null means all of the workspace.
        document_ids: Option<Vec<DocumentId>>,
        /// When it was made.
        created_ms: u64,
    }

    // ---- documents ----
    /// A document and how far it has come.
    Document {
        /// Its id.
        id: DocumentId,
        /// The workspace it belongs to.
        workspace_id: WorkspaceId,
        /// The title shown in citations.
        title: String,
        /// The author, if given.
        author: Option<String>,
        /// The name of the uploaded file.
        file_name: String,
        /// What it was read as.
        format: DocumentFormat,
        /// Size of the file.
        size_bytes: u64,
        /// SHA-256 of the file, hex; with it a reader checks that a citation means their copy.
        sha256: String,
        /// How far it has come.
        state: DocumentState,
        /// Per cent of the work done.
        progress: u8,
        /// Pages, where the format has them.
        page_count: Option<u32>,
        /// Passages that can be cited.
        chunk_count: Option<u32>,
        /// Why it failed and what to do, in a sentence.
        problem: Option<String>,
        /// When it was uploaded.
        created_ms: u64,
        /// When it became ready.
        ready_ms: Option<u64>,
    }
    /// The outcome of an upload.
    Uploaded {
        /// The document.
        document: Document,
        /// Whether the same file was there already.
        outcome: UploadOutcome,
    }

    // ---- conversations and answers ----
    /// Asks for a conversation.
    CreateConversation {
        /// The assistant to talk to.
        assistant_id: AssistantId,
    }
    /// A conversation.
    Conversation {
        /// Its id.
        id: ConversationId,
        /// The assistant.
        assistant_id: AssistantId,
        /// The first question, shortened.
        title: String,
        /// When it began.
        created_ms: u64,
        /// When it was last used.
        updated_ms: u64,
    }
    /// A question.
    Ask {
        /// The question.
        text: String,
        /// Restricts the answer to these documents of the assistant; null means all of them.
        document_ids: Option<Vec<DocumentId>>,
    }
    /// One message of a conversation.
    Message {
        /// Its id.
        id: MessageId,
        /// Who said it.
        role: MessageRole,
        /// What was said. Citation tags stand in it as `[s1]`.
        text: String,
        /// How an answer came about; null for questions.
        kind: Option<AnswerKind>,
        /// What the tags in the text mean.
        citations: Vec<Citation>,
        /// The receipt of an answer.
        receipt_id: Option<ReceiptId>,
        /// When it was said.
        created_ms: u64,
    }
    /// Where a claim comes from. The quote is a substring of the passage, which is a part of the document.
    Citation {
        /// The tag in the text, without brackets: `s1`.
        tag: String,
        /// The document.
        document_id: DocumentId,
        /// Its title.
        document_title: String,
        /// SHA-256 of the document, hex.
        document_sha256: String,
        /// The passage.
        chunk_id: ChunkId,
        /// Section titles from the outermost in.
        section: Vec<String>,
        /// The page it starts on, where there are pages.
        page: Option<u32>,
        /// The words.
        quote: String,
        /// How well the passage matched, larger is better.
        score: f32,
    }
    /// The last event of an answer: it came whole.
    AnswerDone {
        /// The answer as it is stored.
        message: Message,
        /// Tokens of the prompt, by the model's tokenizer; 0 in quotation mode.
        prompt_tokens: u64,
        /// Tokens of the answer; 0 in quotation mode.
        completion_tokens: u64,
    }

    // ---- long-term memory ----
    /// Keeps a text in the caller's long-term memory.
    Remember {
        /// The text.
        text: String,
    }
    /// Searches the caller's long-term memory.
    Recall {
        /// What to look for.
        query: String,
        /// How many; 3 if absent.
        k: Option<u8>,
    }
    /// One remembered text.
    Recalled {
        /// The text.
        text: String,
        /// Cosine similarity.
        score: f32,
        /// When it was kept.
        created_ms: u64,
    }

    // ---- audit ----
    /// Asks for an export of the organisation's audit log.
    ExportAudit {
        /// An `age1…` recipient to encrypt the export to; null for a plain tar (the channel is encrypted all the same).
        recipient: Option<String>,
    }
    /// Asks for proof that the organisation's audit log still has the leaves that it had.
    ProveConsistency {
        /// How many leaves the remembered checkpoint has; 0 for whoever remembers none.
        size: u64,
    }
    /// The newest checkpoint, with the proof that it goes on from the remembered one.
    Consistency {
        /// The newest checkpoint: a C2SP signed note.
        checkpoint: String,
        /// The log's key, as a C2SP verifier key.
        vkey: String,
        /// RFC 6962, section 2.1.2: hashes as base64. Empty where there is nothing to prove, and null when the log is shorter than
        /// the remembered checkpoint: the state of the appliance went backwards.
        proof: Option<Vec<String>>,
    }
}

/// A list of things.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct List<T> {
    /// The things, newest first where they have a time.
    pub items: Vec<T>,
}

/// Argon2id parameters by name, as the npm client `@serenity-kit/opaque` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KsfId {
    /// t = 3, m = 64 MiB, p = 4: the default, fit for phones.
    MemoryConstrained,
    /// t = 1, m = 2 GiB, p = 4.
    RfcRecommended,
}

/// How far a document has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DocumentState {
    /// Stored durably, waiting for a worker.
    Uploaded,
    /// Being read, cut and embedded.
    Processing,
    /// Can be asked about.
    Ready,
    /// Could not be read; `problem` says why and what to do.
    Error,
}

/// What an upload came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UploadOutcome {
    /// A new document.
    New,
    /// This workspace has the same file already; nothing was processed again.
    Existing,
    /// Another workspace of the organisation has the same file; its text was shared with this one.
    AccessGranted,
}

/// Who said a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageRole {
    /// The person.
    User,
    /// The assistant.
    Assistant,
}

/// How an answer came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnswerKind {
    /// Written by the generative model from the cited passages.
    Generated,
    /// Verbatim quotations: no generative model is configured.
    Quotation,
    /// The documents do not answer the question.
    Refusal,
    /// The client left or pressed stop before the end.
    Stopped,
}

/// One server-sent event of an answer: `event:` is the variant's name, `data:` its JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", tag = "event", content = "data")]
pub enum AnswerEvent {
    /// The question is stored; the answer will have this id.
    Started {
        /// Id of the answer to come.
        message_id: MessageId,
    },
    /// Waiting for a free slot, with the number of requests ahead.
    Queued {
        /// Requests ahead of this one.
        ahead: u32,
    },
    /// Some more text.
    Delta {
        /// The text.
        text: String,
    },
    /// What a tag in the text means; sent before or with the first use of the tag.
    Citation(Citation),
    /// The answer is whole, stored and in the log. A stream without it was cut off.
    Done(Box<AnswerDone>),
    /// The answer failed; nothing follows.
    Failed {
        /// The slug of a problem document.
        problem: String,
    },
}
