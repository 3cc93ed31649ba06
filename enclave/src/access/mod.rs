//! Who may do what: the one way from a caller to a tenant scope.
//!
//! [`Caller::authorize`] asks the Cedar policies of `policies/access/` and, if they permit it, hands out an
//! [`Authorized`] with the scope that the store wants. Deny by default; unknown and foreign ids look the same.

mod authorize;
mod caller;
pub mod scope;

pub use authorize::{Access, Authorized, Caller, Error, Target};
pub use cloister_policies::access::Action;
pub use scope::TenantScope;
