//! May this caller do this? The one question that every request asks, and the only way to a tenant scope.

use std::sync::Arc;

use cloister_policies::access::{Action, Decision, Engine, Principal, Resource, Role as PolicyRole, Shape};
use cloister_protocol::api::Role;
use cloister_protocol::ids::{OrgId, PersonId, WorkspaceId};

use super::TenantScope;
use crate::audit::{Class, Event};
use crate::identity::{Authenticated, Credential};
use crate::tenancy::{self, Tenancy};

/// Why the answer is no.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller is no member of the organisation any more.
    #[error("the caller has no role here")]
    NoRole,
    /// There is no such thing in the caller's organisation; whether there is elsewhere is nobody's business.
    #[error("no such thing here")]
    NotFound,
    /// The policies do not permit it.
    #[error("the policies do not permit it")]
    Forbidden,
    /// Organisations cannot be read.
    #[error("storage while authorizing")]
    Tenancy(#[from] tenancy::Error),
}

/// What a request wants to touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The caller's organisation.
    Organisation,
    /// A workspace of the caller's organisation, with what is shared in it.
    Workspace(WorkspaceId),
    /// What belongs to the caller alone, outside any workspace.
    Own,
    /// What belongs to the caller alone, inside a workspace of the caller's organisation.
    OwnIn(WorkspaceId),
}

impl Target {
    const fn workspace(self) -> Option<WorkspaceId> {
        match self {
            Self::Workspace(workspace) | Self::OwnIn(workspace) => Some(workspace),
            Self::Organisation | Self::Own => None,
        }
    }
}

/// Decides, by the policies of this build and the memberships of the moment.
#[derive(Debug)]
pub struct Access {
    engine: Engine,
    tenancy: Tenancy,
}

impl Access {
    /// Decides by `engine`.
    #[must_use]
    pub const fn new(engine: Engine, tenancy: Tenancy) -> Self {
        Self { engine, tenancy }
    }

    /// Gives the caller its present role.
    ///
    /// # Errors
    /// [`Error::NoRole`], [`Error::Tenancy`].
    pub fn caller(self: &Arc<Self>, who: Authenticated) -> Result<Caller, Error> {
        let role = self.tenancy.role(who.org, who.person)?.ok_or(Error::NoRole)?;
        Ok(Caller { access: Arc::clone(self), who, role })
    }
}

/// Somebody who has proven who they are and has a role.
#[derive(Debug, Clone)]
pub struct Caller {
    access: Arc<Access>,
    who: Authenticated,
    role: Role,
}

impl Caller {
    /// The person.
    #[must_use]
    pub const fn person(&self) -> PersonId {
        self.who.person
    }

    /// The organisation that the credential leads into.
    #[must_use]
    pub const fn org(&self) -> OrgId {
        self.who.org
    }

    /// The role there, as it is now.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The workspace of an API key, which is the only one it may use.
    #[must_use]
    pub const fn api_key_workspace(&self) -> Option<WorkspaceId> {
        match self.who.credential {
            Credential::ApiKey(_, workspace) => Some(workspace),
            Credential::Session(_) => None,
        }
    }

    /// Asks the policies. A workspace that the organisation does not have is not found, whoever asks, so that unknown and
    /// foreign ids look the same.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`], [`Error::Tenancy`].
    pub fn authorize(&self, action: Action, target: Target) -> Result<Authorized, Error> {
        if let Some(workspace) = target.workspace()
            && !self.access.tenancy.has_workspace(self.who.org, workspace)?
        {
            return Err(Error::NotFound);
        }
        match self.access.engine.decide(&self.principal(), action, &self.resource(target)) {
            Decision::Allow { policies } => Ok(Authorized {
                scope: TenantScope::org(self.who.org),
                who: self.who,
                role: self.role,
                workspace: target.workspace(),
                action,
                policies,
            }),
            Decision::Deny => Err(Error::Forbidden),
        }
    }

    /// Names of the actions that the role permits on the caller's own things. A courtesy to pages; it opens nothing.
    #[must_use]
    pub fn permissions(&self) -> Vec<String> {
        let workspace = self.api_key_workspace().unwrap_or_else(|| WorkspaceId::from_parts(0, 0));
        let target = |action: Action| match action.shape() {
            Shape::Organisation => Target::Organisation,
            Shape::Workspace => Target::Workspace(workspace),
            Shape::Personal => Target::OwnIn(workspace),
        };
        let permitted = |action: &&Action| {
            self.access.engine.decide(&self.principal(), **action, &self.resource(target(**action))).is_allow()
        };
        Action::ALL.iter().filter(permitted).map(|action| action.name().to_owned()).collect()
    }

    fn principal(&self) -> Principal {
        let role = match self.role {
            Role::Owner => PolicyRole::Owner,
            Role::Member => PolicyRole::Member,
            Role::Auditor => PolicyRole::Auditor,
        };
        let person = Principal::person(self.who.person.to_string(), self.who.org.to_string(), role);
        match self.who.credential {
            Credential::Session(_) => person,
            Credential::ApiKey(key, workspace) => person.through_api_key(key.to_string(), workspace.to_string()),
        }
    }

    fn resource(&self, target: Target) -> Resource {
        let org = self.who.org.to_string();
        let owner = || self.who.person.to_string();
        match target {
            Target::Organisation => Resource::Organisation { org },
            Target::Workspace(workspace) => Resource::Workspace { org, workspace: workspace.to_string() },
            Target::Own => Resource::Personal { org, workspace: None, owner: owner() },
            Target::OwnIn(workspace) => {
                Resource::Personal { org, workspace: Some(workspace.to_string()), owner: owner() }
            }
        }
    }
}

/// Permission for one action: who, what, why, and the scope to do it in. Only [`Caller::authorize`] makes one.
#[derive(Debug, Clone)]
pub struct Authorized {
    scope: TenantScope,
    who: Authenticated,
    role: Role,
    workspace: Option<WorkspaceId>,
    action: Action,
    policies: Vec<String>,
}

impl Authorized {
    /// The scope of the caller's organisation, for the store.
    #[must_use]
    pub const fn scope(&self) -> &TenantScope {
        &self.scope
    }

    /// The person.
    #[must_use]
    pub const fn person(&self) -> PersonId {
        self.who.person
    }

    /// The organisation.
    #[must_use]
    pub const fn org(&self) -> OrgId {
        self.who.org
    }

    /// The person's role.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The credential of the request.
    #[must_use]
    pub const fn credential(&self) -> Credential {
        self.who.credential
    }

    /// The workspace that the permission is for.
    #[must_use]
    pub const fn workspace(&self) -> Option<WorkspaceId> {
        self.workspace
    }

    /// The action.
    #[must_use]
    pub const fn action(&self) -> Action {
        self.action
    }

    /// The policies that permit it.
    #[must_use]
    pub fn policies(&self) -> &[String] {
        &self.policies
    }

    /// Things that one person owns are not found by anybody else. To be asked after loading such a thing by its id.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn owns(&self, owner: PersonId) -> Result<(), Error> {
        if owner == self.who.person { Ok(()) } else { Err(Error::NotFound) }
    }

    /// An audit event by this caller, which says by which policies and through which API key it was permitted.
    #[must_use]
    pub fn event(&self, class: Class, operation: &'static str) -> Event {
        let event = Event::new(class, operation).by(self.who.person).detail("policy", self.policies.join(","));
        match self.who.credential {
            Credential::Session(_) => event,
            Credential::ApiKey(key, _) => event.detail("api_key", key.to_string()),
        }
    }
}
