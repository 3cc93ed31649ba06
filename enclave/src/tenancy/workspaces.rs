//! Workspaces of an organisation.

use cloister_protocol::api::{CreateWorkspace, Workspace};
use cloister_protocol::ids::{OrgId, WorkspaceId};
use serde::{Deserialize, Serialize};

use super::{Error, Name, Tenancy};
use crate::access::{Authorized, TenantScope};
use crate::audit::{Class, Event};
use crate::fresh;
use crate::store::{Batch, Collection};

pub(super) const WORKSPACES: Collection<WorkspaceRecord> = Collection::new("workspaces", 7, 1);
/// Workspaces of one organisation.
const MOST_WORKSPACES: usize = 1000;
/// The operation of the audit event.
pub(super) const CREATE: &str = "workspace.create";

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct WorkspaceRecord {
    name: String,
    created_ms: u64,
}

pub(super) fn put(batch: &mut Batch, id: WorkspaceId, name: Name, now_ms: u64) {
    batch.put(&WORKSPACES, &id.to_string(), &WorkspaceRecord { name: name.into(), created_ms: now_ms });
}

pub(super) fn created(event: Event, id: WorkspaceId) -> Event {
    event.detail("workspace", id.to_string())
}

impl Tenancy {
    /// Makes a workspace.
    ///
    /// # Errors
    /// [`Error::Text`], [`Error::Full`], [`Error::Store`].
    pub async fn create_workspace(&self, by: &Authorized, request: &CreateWorkspace) -> Result<Workspace, Error> {
        let name: Name = request.name.parse()?;
        let tenant = self.store.scope(by.scope());
        if tenant.list(&WORKSPACES)?.len() >= MOST_WORKSPACES {
            return Err(Error::Full { what: "workspaces" });
        }
        let now_ms = self.clock.now_ms();
        let id = fresh::id(WorkspaceId::from_parts, now_ms);
        let mut batch = tenant.batch();
        put(&mut batch, id, name.clone(), now_ms);
        batch.audit(created(by.event(Class::EntityCreated, CREATE), id));
        batch.commit().await?;
        Ok(Workspace { id, name: name.into(), created_ms: now_ms })
    }

    /// The workspaces, newest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn workspaces(&self, by: &Authorized) -> Result<Vec<Workspace>, Error> {
        let records = self.store.scope(by.scope()).list(&WORKSPACES)?;
        let workspace = |(id, record): (String, WorkspaceRecord)| {
            let WorkspaceRecord { name, created_ms } = record;
            Some(Workspace { id: id.parse().ok()?, name, created_ms })
        };
        Ok(records.into_iter().rev().filter_map(workspace).collect())
    }

    /// Whether the organisation has this workspace. For `authorize` alone: everybody else has a scope already.
    pub(crate) fn has_workspace(&self, org: OrgId, workspace: WorkspaceId) -> Result<bool, Error> {
        Ok(self.store.scope(&TenantScope::org(org)).get(&WORKSPACES, &workspace.to_string())?.is_some())
    }
}
