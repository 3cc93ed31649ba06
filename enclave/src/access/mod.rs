//! Who may do what.

pub mod scope;

pub use scope::TenantScope;
