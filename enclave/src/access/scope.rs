//! Whose records a piece of code may touch.
//!
//! A [`TenantScope`] is the proof that somebody was authorized: the store cannot be read or written without one, and
//! nothing outside this crate can make one. Inside the crate only `authorize` and start-up do.

use cloister_protocol::ids::OrgId;

/// The right to use the records of one tenant. It has no public constructor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantScope(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Org(OrgId),
    System,
}

impl TenantScope {
    /// The scope of an organisation, for whoever has just authorized the caller there.
    pub(crate) const fn org(org: OrgId) -> Self {
        Self(Kind::Org(org))
    }

    /// The scope of the appliance itself: accounts, sessions, keys, and its own audit log.
    pub(crate) const fn system() -> Self {
        Self(Kind::System)
    }

    /// The organisation, unless this is the appliance's own scope.
    #[must_use]
    pub const fn org_id(&self) -> Option<OrgId> {
        match self.0 {
            Kind::Org(org) => Some(org),
            Kind::System => None,
        }
    }

    /// The name of the tenant as it stands in associated data and in log origins.
    pub(crate) fn tenant(&self) -> String {
        match self.0 {
            Kind::Org(org) => org.to_string(),
            Kind::System => "system".to_owned(),
        }
    }
}

/// Scopes that nobody authorized, for tests and benches of the store. No product code may call these.
pub mod danger {
    use super::TenantScope;
    use cloister_protocol::ids::OrgId;

    /// The scope of an organisation without any authorization.
    #[must_use]
    pub const fn unauthorized_org(org: OrgId) -> TenantScope {
        TenantScope::org(org)
    }

    /// The scope of the appliance itself without any authorization.
    #[must_use]
    pub const fn unauthorized_system() -> TenantScope {
        TenantScope::system()
    }
}
