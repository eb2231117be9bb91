//! Tenants as they are kept.

use async_trait::async_trait;
use cacheroach_model::{Tenant, TenantId};

use crate::Result;

/// Keeps tenants.
#[async_trait]
pub trait Tenants {
    /// Creates the tenant if its version is 0, else changes it from that version. An empty label keeps the old one.
    /// Answers the tenant as it is then, its version one higher.
    ///
    /// # Errors
    /// [`Error::Skew`](crate::Error::Skew) when the current version is another one.
    async fn ensure_tenant(&self, tenant: &Tenant) -> Result<Tenant>;

    /// Deletes the tenant in that version, with its files, uploads and hosts; sessions on it end.
    ///
    /// # Errors
    /// [`Error::Skew`](crate::Error::Skew) when it is in another version, or not there.
    async fn delete_tenant(&self, tenant: TenantId, version: i64) -> Result<()>;

    /// One tenant.
    ///
    /// # Errors
    /// The store's.
    async fn find_tenant(&self, tenant: TenantId) -> Result<Option<Tenant>>;

    /// Tenants by id, after one.
    ///
    /// # Errors
    /// The store's.
    async fn list_tenants(&self, after: Option<TenantId>, limit: usize) -> Result<Vec<Tenant>>;
}
