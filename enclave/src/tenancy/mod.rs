//! Organisations, their members, workspaces and assistants.
//!
//! Everything an organisation has is kept in its own scope, under its own key. Only the list of organisations belongs to
//! the appliance.

mod assistants;
mod text;
mod workspaces;

use std::sync::Arc;

use cloister_protocol::api::Role;
use cloister_protocol::ids::{OrgId, PersonId, WorkspaceId};
use serde::{Deserialize, Serialize};

pub use text::{Name, Purpose};

use crate::access::TenantScope;
use crate::audit::{Class, Event};
use crate::clock::Clock;
use crate::store::{self, Batch, Collection, Listing, Store};

/// Organisations, in the appliance's own scope.
const ORGANISATIONS: Collection<OrganisationRecord> = Collection::new("organisations", 2, 1);
/// Members of an organisation, by person.
const MEMBERSHIPS: Collection<MembershipRecord> = Collection::new("memberships", 3, 1);

/// The collections of this module.
pub(crate) const COLLECTIONS: Listing =
    &[ORGANISATIONS.meta(), MEMBERSHIPS.meta(), workspaces::WORKSPACES.meta(), assistants::ASSISTANTS.meta()];

#[derive(Clone, Serialize, Deserialize)]
struct OrganisationRecord {
    name: String,
    created_ms: u64,
}

#[derive(Clone, Serialize, Deserialize)]
struct MembershipRecord {
    role: Role,
    created_ms: u64,
}

/// Why an organisation cannot be changed as asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A text is empty, too long, or holds control characters.
    #[error("{field} is empty, too long, or holds control characters")]
    Text {
        /// The field.
        field: &'static str,
    },
    /// There is no such thing in this organisation.
    #[error("no such {what}")]
    Unknown {
        /// What was looked for.
        what: &'static str,
    },
    /// There are as many as there may be.
    #[error("there are too many {what}")]
    Full {
        /// Of what.
        what: &'static str,
    },
    /// The store does not answer, or does not hold what it should.
    #[error("storage of organisations")]
    Store(#[from] store::Error),
}

/// The organisations of this appliance.
#[derive(Debug, Clone)]
pub struct Tenancy {
    store: Store,
    clock: Arc<dyn Clock>,
}

impl Tenancy {
    /// Keeps them in `store`.
    #[must_use]
    pub const fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Whether there is an organisation yet.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn is_founded(&self) -> Result<bool, Error> {
        Ok(!self.store.scope(&TenantScope::system()).list(&ORGANISATIONS)?.is_empty())
    }

    /// The name of an organisation.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn organisation_name(&self, org: OrgId) -> Result<Option<String>, Error> {
        let record = self.store.scope(&TenantScope::system()).get(&ORGANISATIONS, &org.to_string())?;
        Ok(record.map(|record| record.name))
    }

    /// The role of a person in an organisation, as it is now (S0-05).
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn role(&self, org: OrgId, person: PersonId) -> Result<Option<Role>, Error> {
        let record = self.store.scope(&TenantScope::org(org)).get(&MEMBERSHIPS, &person.to_string())?;
        Ok(record.map(|record| record.role))
    }

    /// The batch that makes an organisation with one workspace.
    ///
    /// # Errors
    /// [`Error::Text`] for names that cannot be used.
    pub(crate) fn found(
        &self,
        org: OrgId,
        workspace: WorkspaceId,
        (name, workspace_name): (&str, &str),
        by: PersonId,
        now_ms: u64,
    ) -> Result<Batch, Error> {
        let name = String::from(name.parse::<Name>()?);
        let workspace_name: Name = workspace_name.parse()?;
        let mut batch = self.store.scope(&TenantScope::system()).batch();
        batch.expect_absent(&ORGANISATIONS, &org.to_string()).put(
            &ORGANISATIONS,
            &org.to_string(),
            &OrganisationRecord { name, created_ms: now_ms },
        );
        let mut tenant = self.store.scope(&TenantScope::org(org)).batch();
        tenant.audit(
            Event::new(Class::EntityCreated, "organisation.create").by(by).detail("organisation", org.to_string()),
        );
        workspaces::put(&mut tenant, workspace, workspace_name, now_ms);
        tenant.audit(workspaces::created(Event::new(Class::EntityCreated, workspaces::CREATE).by(by), workspace));
        batch.join(tenant);
        Ok(batch)
    }

    /// The batch that makes a person a member, with its event.
    pub(crate) fn admit(&self, org: OrgId, person: PersonId, role: Role, now_ms: u64, event: Event) -> Batch {
        let mut batch = self.store.scope(&TenantScope::org(org)).batch();
        batch.put(&MEMBERSHIPS, &person.to_string(), &MembershipRecord { role, created_ms: now_ms }).audit(event);
        batch
    }
}
