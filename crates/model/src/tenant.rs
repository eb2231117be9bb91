//! Tenants.

use crate::TenantId;

/// A wall around files.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tenant {
    /// Its name for programs.
    pub id: TenantId,
    /// Its name for people.
    pub label: String,
    /// Counts changes.
    pub version: i64,
}
