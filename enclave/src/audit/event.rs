//! What happened, in the vocabulary of OCSF 1.9 (<https://schema.ocsf.io>).
//!
//! An event names who did what to which ids, with which outcome. It never holds content: no text of a prompt, answer or
//! document, no secret, no token. Personal details go into [`Event::personal`] and are sealed under the person's key.

use cloister_protocol::ids::PersonId;
use serde_json::{Map, Value};

/// The kind of an event: an OCSF class together with one of its activities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Authentication (3002), logon.
    Logon,
    /// Authentication (3002), logoff.
    Logoff,
    /// Account change (3001), create.
    AccountCreated,
    /// Account change (3001), password change.
    PasswordChanged,
    /// Entity management (3004), create: organisations, workspaces, assistants.
    EntityCreated,
    /// Entity management (3004), update.
    EntityUpdated,
    /// Entity management (3004), delete.
    EntityDeleted,
    /// User access management (3005), assign privileges: roles, API keys, enrolments.
    AccessAssigned,
    /// User access management (3005), revoke privileges.
    AccessRevoked,
    /// Application lifecycle (6002), start.
    ApplicationStarted,
    /// Application lifecycle (6002), stop.
    ApplicationStopped,
    /// Application lifecycle (6002), update.
    ApplicationUpdated,
    /// Application lifecycle (6002), other: signs of life, notes about the log itself.
    ApplicationOther,
    /// API activity (6003), create: questions, uploads.
    ApiCreate,
    /// API activity (6003), read.
    ApiRead,
    /// API activity (6003), update.
    ApiUpdate,
    /// API activity (6003), delete.
    ApiDelete,
    /// Datastore activity (6005), query.
    DatastoreQuery,
    /// Datastore activity (6005), write.
    DatastoreWrite,
    /// Datastore activity (6005), delete.
    DatastoreDelete,
}

impl Class {
    /// The numbers `(class_uid, activity_id)`.
    #[must_use]
    pub const fn ocsf(self) -> (u32, u32) {
        match self {
            Self::AccountCreated => (3001, 1),
            Self::PasswordChanged => (3001, 3),
            Self::Logon => (3002, 1),
            Self::Logoff => (3002, 2),
            Self::EntityCreated => (3004, 1),
            Self::EntityUpdated => (3004, 3),
            Self::EntityDeleted => (3004, 4),
            Self::AccessAssigned => (3005, 1),
            Self::AccessRevoked => (3005, 2),
            Self::ApplicationStarted => (6002, 3),
            Self::ApplicationStopped => (6002, 4),
            Self::ApplicationUpdated => (6002, 8),
            Self::ApplicationOther => (6002, 99),
            Self::ApiCreate => (6003, 1),
            Self::ApiRead => (6003, 2),
            Self::ApiUpdate => (6003, 3),
            Self::ApiDelete => (6003, 4),
            Self::DatastoreQuery => (6005, 4),
            Self::DatastoreWrite => (6005, 5),
            Self::DatastoreDelete => (6005, 7),
        }
    }
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was refused, or it failed.
    Failure,
}

/// One event, before it becomes a leaf.
#[derive(Debug, Clone)]
pub struct Event {
    /// The kind.
    pub class: Class,
    /// What was done, as a dotted name: `chat.answer`, `document.upload`.
    pub operation: &'static str,
    /// Who did it. The log shows a pseudonym that dies with the person's key.
    pub actor: Option<PersonId>,
    /// How it ended.
    pub outcome: Outcome,
    /// Ids, digests and counts. No content, no personal data.
    pub d: Map<String, Value>,
    /// Personal details of `actor`, sealed under that person's key; without an actor they are refused.
    pub personal: Map<String, Value>,
}

impl Event {
    /// A successful event without an actor and without details.
    #[must_use]
    pub fn new(class: Class, operation: &'static str) -> Self {
        let outcome = Outcome::Success;
        Self { class, operation, actor: None, outcome, d: Map::new(), personal: Map::new() }
    }

    /// Says who did it.
    #[must_use]
    pub const fn by(mut self, actor: PersonId) -> Self {
        self.actor = Some(actor);
        self
    }

    /// Says how it ended.
    #[must_use]
    pub const fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// Adds an id, a digest or a count.
    #[must_use]
    pub fn detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.d.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a personal detail of the actor.
    #[must_use]
    pub fn personal(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.personal.insert(name.to_owned(), value.into());
        self
    }
}
