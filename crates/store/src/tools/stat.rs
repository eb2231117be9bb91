//! How much there is, and what was saved.

use cacheroach_model::Tenant;

use crate::inspect::Usage;
use crate::{Result, Store};

const PAGE: usize = 1000;

/// What a tenant has, and what of it was not stored twice.
#[derive(Clone, Debug)]
pub struct TenantUsage {
    /// Whose.
    pub tenant: Tenant,
    /// How much.
    pub usage: Usage,
}

impl Usage {
    /// The bytes that are kept of all versions, in rows and in the tier, as they take room.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        self.row_bytes + self.chunk_bytes
    }

    /// The bytes of versions that needed none of their own: equal contents and equal chunks are kept once.
    #[must_use]
    pub fn dedup_saved(&self) -> u64 {
        self.version_bytes.saturating_sub(self.stored_bytes())
    }

    /// Adds another one to it.
    pub fn add(&mut self, other: &Usage) {
        self.files += other.files;
        self.file_bytes += other.file_bytes;
        self.versions += other.versions;
        self.version_bytes += other.version_bytes;
        self.ropes += other.ropes;
        self.rope_bytes += other.rope_bytes;
        self.rows += other.rows;
        self.row_bytes += other.row_bytes;
        self.chunks += other.chunks;
        self.chunk_bytes += other.chunk_bytes;
    }
}

/// Tells each tenant's usage, by id.
///
/// # Errors
/// The store's; what `tell` answers.
pub async fn stat<E: From<crate::Error>>(
    store: &Store,
    mut tell: impl FnMut(TenantUsage) -> Result<(), E>,
) -> Result<(), E> {
    let mut after = None;
    loop {
        let page = store.metadata.list_tenants(after, PAGE).await?;
        let is_last = page.len() < PAGE;
        for tenant in page {
            after = Some(tenant.id);
            let usage = store.metadata.usage(tenant.id).await?;
            tell(TenantUsage { tenant, usage })?;
        }
        if is_last {
            return Ok(());
        }
    }
}
