//! May this principal do this action to this resource? Cedar policies decide; without a permission the answer is no.
//!
//! The policies are the commented files in `policies/access/`. They are checked strictly against their schema when the
//! [`Engine`] is built, so a typo in a policy stops the start and does not quietly deny or permit. This module decides
//! about facts that its caller vouches for: it looks nothing up and reads no clock.
//!
//! ```
//! use cloister_policies::access::{Action, Engine, Principal, Resource, Role};
//! let engine = Engine::shipped().expect("the shipped policies are valid");
//! let auditor = Principal::person("per_1", "org_1", Role::Auditor);
//! let organisation = Resource::Organisation { org: "org_1".into() };
//! assert!(engine.decide(&auditor, Action::ExportAudit, &organisation).is_allow());
//! assert!(!engine.decide(&auditor, Action::CreateEnrolment, &organisation).is_allow());
//! ```

use std::collections::{HashMap, HashSet};
use std::str::FromStr;

use cedar_policy::{
    Authorizer, Context, Decision as CedarDecision, Entities, Entity, EntityId, EntityTypeName, EntityUid, Policy,
    PolicyId, PolicySet, Request, RestrictedExpression, Schema, ValidationMode, Validator,
};

use crate::shipped;

/// Why the policies cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The schema is not Cedar.
    #[error("the access schema is malformed: {0}")]
    Schema(String),
    /// A policy file is not Cedar, or a policy in it has no `@id` or one that is taken.
    #[error("the access policy file {file} is malformed: {reason}")]
    Policy {
        /// Name of the file.
        file: String,
        /// What Cedar says.
        reason: String,
    },
    /// The policies do not fit the schema.
    #[error("the access policies do not fit their schema: {0}")]
    Validation(String),
    /// An action of [`Action::ALL`] is unknown to the schema.
    #[error("the access schema lacks the action {0}")]
    MissingAction(&'static str),
}

macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal on $shape:ident;)+) => {
        /// One thing that a request can want to do; each route names exactly one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Action { $($(#[$doc])* $variant,)+ }

        impl Action {
            /// Every action, in the order of this list.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name in the policies, in `permissions` of the API and in audit leaves.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The shape of the resources that the action applies to.
            #[must_use]
            pub const fn shape(self) -> Shape {
                match self { $(Self::$variant => Shape::$shape,)+ }
            }
        }
    };
}

/// The shape of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The organisation itself.
    Organisation,
    /// A workspace and what is shared in it.
    Workspace,
    /// What belongs to one person.
    Personal,
}

actions! {
    /// See one's own account.
    ReadAccount = "readAccount" on Personal;
    /// Log out.
    EndSession = "endSession" on Personal;
    /// Have one's own credential checked.
    VerifyCredential = "verifyCredential" on Personal;
    /// Invite a person.
    CreateEnrolment = "createEnrolment" on Organisation;
    /// Make a workspace.
    CreateWorkspace = "createWorkspace" on Organisation;
    /// Make an API key for a workspace.
    CreateApiKey = "createApiKey" on Workspace;
    /// List one's own API keys.
    ListApiKeys = "listApiKeys" on Personal;
    /// Revoke one's own API key.
    RevokeApiKey = "revokeApiKey" on Personal;
    /// List the workspaces.
    ListWorkspaces = "listWorkspaces" on Organisation;
    /// Make an assistant.
    CreateAssistant = "createAssistant" on Workspace;
    /// List the assistants.
    ListAssistants = "listAssistants" on Workspace;
    /// See one assistant.
    ReadAssistant = "readAssistant" on Workspace;
    /// Upload a document.
    UploadDocument = "uploadDocument" on Workspace;
    /// List the documents.
    ListDocuments = "listDocuments" on Workspace;
    /// See one document and how far it has come.
    ReadDocument = "readDocument" on Workspace;
    /// Delete a document.
    DeleteDocument = "deleteDocument" on Workspace;
    /// Begin a conversation.
    CreateConversation = "createConversation" on Workspace;
    /// List one's own conversations in a workspace.
    ListConversations = "listConversations" on Workspace;
    /// List the models that may be named in `/v1` requests.
    ListModels = "listModels" on Workspace;
    /// Have a chat completed (`/v1/chat/completions`).
    CompleteChat = "completeChat" on Workspace;
    /// Have texts embedded (`/v1/embeddings`).
    Embed = "embed" on Workspace;
    /// Read one's own conversation.
    ReadConversation = "readConversation" on Personal;
    /// Ask in one's own conversation.
    Ask = "ask" on Personal;
    /// Read the receipt of one's own answer.
    ReadReceipt = "readReceipt" on Personal;
    /// Keep a text in one's own memory.
    WriteMemory = "writeMemory" on Personal;
    /// Search one's own memory.
    SearchMemory = "searchMemory" on Personal;
    /// Export the audit log.
    ExportAudit = "exportAudit" on Organisation;
    /// Read the signed head of the audit log.
    ReadCheckpoint = "readCheckpoint" on Organisation;
}

/// What a person is in an organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// May do everything in the organisation.
    Owner,
    /// Works with content.
    Member,
    /// Reads the audit log and no content.
    Auditor,
}

impl Role {
    /// Every role.
    pub const ALL: &'static [Self] = &[Self::Owner, Self::Member, Self::Auditor];

    /// The name in the policies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Member => "member",
            Self::Auditor => "auditor",
        }
    }
}

/// Who asks. The caller has authenticated it and looked its role up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    person: String,
    org: String,
    role: Role,
    api_key: Option<ApiKey>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct ApiKey {
    id: String,
    workspace: String,
}

impl Principal {
    /// Somebody in a session.
    #[must_use]
    pub fn person(person: impl Into<String>, org: impl Into<String>, role: Role) -> Self {
        Self { person: person.into(), org: org.into(), role, api_key: None }
    }

    /// The same person, acting through an API key for one workspace.
    #[must_use]
    pub fn through_api_key(self, key: impl Into<String>, workspace: impl Into<String>) -> Self {
        Self { api_key: Some(ApiKey { id: key.into(), workspace: workspace.into() }), ..self }
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// The organisation itself.
    Organisation {
        /// Its id.
        org: String,
    },
    /// A workspace and what is shared in it.
    Workspace {
        /// The organisation it belongs to.
        org: String,
        /// Its id.
        workspace: String,
    },
    /// What belongs to one person.
    Personal {
        /// The organisation it belongs to.
        org: String,
        /// The workspace it belongs to, where it belongs to one.
        workspace: Option<String>,
        /// The person.
        owner: String,
    },
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a decision that nobody looks at protects nothing"]
pub enum Decision {
    /// Yes, because of these policies.
    Allow {
        /// The ids of the policies that permit it, sorted.
        policies: Vec<String>,
    },
    /// No.
    Deny,
}

impl Decision {
    /// Whether the answer is yes.
    #[must_use]
    pub const fn is_allow(&self) -> bool {
        matches!(self, Self::Allow { .. })
    }
}

/// The loaded policies.
#[derive(Debug)]
pub struct Engine {
    schema: Schema,
    policies: PolicySet,
    /// Actions and their groups: the part of every question that never changes.
    actions: Entities,
    authorizer: Authorizer,
}

impl Engine {
    /// The policies that this build ships; their digest is part of the attested statement.
    ///
    /// # Errors
    /// As [`Engine::load`]; a test makes sure that it does not happen.
    pub fn shipped() -> Result<Self, Error> {
        Self::load(shipped::ACCESS_SCHEMA, shipped::ACCESS_POLICIES)
    }

    /// Parses a schema and policies, each a file name and its text, and checks them strictly against each other.
    ///
    /// # Errors
    /// Anything that is not Cedar, does not fit the schema, or lacks an action of [`Action::ALL`].
    pub fn load(schema: &str, policies: &[(&str, &str)]) -> Result<Self, Error> {
        let (schema, _warnings) = Schema::from_cedarschema_str(schema).map_err(|e| Error::Schema(e.to_string()))?;
        let mut set = PolicySet::new();
        for (file, text) in policies {
            add_file(&mut set, text).map_err(|reason| Error::Policy { file: (*file).to_owned(), reason })?;
        }
        let checked = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
        if !checked.validation_passed_without_warnings() {
            return Err(Error::Validation(checked.to_string()));
        }
        let known: HashSet<String> = schema.actions().map(|uid| uid.id().unescaped().to_owned()).collect();
        if let Some(missing) = Action::ALL.iter().find(|a| !known.contains(a.name())) {
            return Err(Error::MissingAction(missing.name()));
        }
        let actions = schema.action_entities().map_err(|e| Error::Schema(e.to_string()))?;
        Ok(Self { schema, policies: set, actions, authorizer: Authorizer::new() })
    }

    /// Decides. A question that the schema does not know, such as an action on the wrong shape of resource, is denied.
    pub fn decide(&self, principal: &Principal, action: Action, resource: &Resource) -> Decision {
        self.ask(principal, action, resource).unwrap_or(Decision::Deny)
    }

    fn ask(&self, principal: &Principal, action: Action, resource: &Resource) -> Option<Decision> {
        let (who, mut entities) = principal_entities(principal)?;
        let (what, more) = resource_entities(resource)?;
        entities.extend(more);
        let request =
            Request::new(who, uid("Action", action.name()), what, Context::empty(), Some(&self.schema)).ok()?;
        let entities = self.actions.clone().add_entities(distinct(entities), None).ok()?;
        let response = self.authorizer.is_authorized(&request, &self.policies, &entities);
        // A policy that could not be evaluated might have been a `forbid`: its error denies.
        if response.diagnostics().errors().next().is_some() || response.decision() == CedarDecision::Deny {
            return None;
        }
        let mut policies: Vec<String> = response.diagnostics().reason().map(ToString::to_string).collect();
        policies.sort_unstable();
        Some(Decision::Allow { policies })
    }
}

/// Adds the policies of a file under their `@id`s, which audit leaves and reviews refer to.
fn add_file(set: &mut PolicySet, text: &str) -> Result<(), String> {
    let parsed = PolicySet::from_str(text).map_err(|e| e.to_string())?;
    if parsed.templates().next().is_some() {
        return Err("templates are not used here".to_owned());
    }
    let mut policies: Vec<&Policy> = parsed.policies().collect();
    policies.sort_unstable_by_key(|p| p.id().to_string());
    for policy in policies {
        let id = policy.annotation("id").ok_or("a policy has no @id")?;
        set.add(policy.new_id(PolicyId::new(id))).map_err(|e| e.to_string())?;
    }
    Ok(())
}

fn principal_entities(principal: &Principal) -> Option<(EntityUid, Vec<Entity>)> {
    let role = uid("Role", principal.role.name());
    let org = uid("Organisation", &principal.org);
    let person = uid("Person", &principal.person);
    let attrs = HashMap::from([("org".to_owned(), RestrictedExpression::new_entity_uid(org.clone()))]);
    let mut entities = vec![
        Entity::with_uid(role.clone()),
        Entity::with_uid(org.clone()),
        Entity::new(person.clone(), attrs.clone(), HashSet::from([role.clone()])).ok()?,
    ];
    let Some(key) = &principal.api_key else {
        return Some((person, entities));
    };
    let workspace = uid("Workspace", &key.workspace);
    let mut attrs = attrs;
    attrs.insert("person".to_owned(), RestrictedExpression::new_entity_uid(person));
    attrs.insert("workspace".to_owned(), RestrictedExpression::new_entity_uid(workspace.clone()));
    let key = uid("ApiKey", &key.id);
    entities.push(Entity::new(key.clone(), attrs, HashSet::from([role])).ok()?);
    entities.push(Entity::new_no_attrs(workspace, HashSet::from([org])));
    Some((key, entities))
}

fn resource_entities(resource: &Resource) -> Option<(EntityUid, Vec<Entity>)> {
    match resource {
        Resource::Organisation { org } => {
            let org = uid("Organisation", org);
            Some((org.clone(), vec![Entity::with_uid(org)]))
        }
        Resource::Workspace { org, workspace } => {
            let org = uid("Organisation", org);
            let workspace = uid("Workspace", workspace);
            let entity = Entity::new_no_attrs(workspace.clone(), HashSet::from([org.clone()]));
            Some((workspace, vec![Entity::with_uid(org), entity]))
        }
        Resource::Personal { org, workspace, owner } => {
            let org = uid("Organisation", org);
            let mut entities = vec![Entity::with_uid(org.clone())];
            let mut parents = HashSet::from([org.clone()]);
            if let Some(workspace) = workspace {
                let workspace = uid("Workspace", workspace);
                entities.push(Entity::new_no_attrs(workspace.clone(), HashSet::from([org])));
                parents.insert(workspace);
            }
            let owner_uid = RestrictedExpression::new_entity_uid(uid("Person", owner));
            let thing = uid("Personal", owner);
            entities.push(Entity::new(thing.clone(), HashMap::from([("owner".to_owned(), owner_uid)]), parents).ok()?);
            Some((thing, entities))
        }
    }
}

/// Cedar refuses an entity that is given twice. The organisation and an API key's workspace come once with the
/// principal and once with the resource; the principal's come first and are the authenticated ones, so they stay.
fn distinct(entities: Vec<Entity>) -> Vec<Entity> {
    let mut seen = HashSet::new();
    entities.into_iter().filter(|e| seen.insert(e.uid())).collect()
}

fn uid(kind: &'static str, id: &str) -> EntityUid {
    let kind = EntityTypeName::from_str(&format!("Cloister::{kind}")).expect("a constant type name");
    EntityUid::from_type_name_and_id(kind, EntityId::new(id))
}
