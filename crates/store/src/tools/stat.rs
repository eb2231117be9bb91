//! How much there is, and what was saved.

use cacheroach_model::{Tenant, TenantId};

use crate::chunks::by_region::kept_length;
use crate::inspect::Usage;
use crate::regions::Placed;
use crate::{Result, Store};

const PAGE: usize = 1000;
const PLACES: usize = 10_000;

/// What a tenant has, and what of it was not stored twice.
#[derive(Clone, Debug)]
pub struct TenantUsage {
    /// Whose.
    pub tenant: Tenant,
    /// How much.
    pub usage: Usage,
    /// The bytes of chunks that needed no room because they were compressed.
    pub compression_saved: u64,
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

async fn compression_saved(store: &Store, tenant: TenantId) -> Result<u64> {
    let (mut after, mut saved) = (None, 0);
    loop {
        let page = store.metadata.list_places(tenant, after, PLACES).await?;
        let saves = |placed: &Placed| {
            let kept = placed.place.as_ref().map_or(placed.length, |place| kept_length(placed.length, place));
            u64::from(placed.length.saturating_sub(kept))
        };
        saved += page.iter().map(saves).sum::<u64>();
        match page.last().filter(|_| page.len() == PLACES) {
            Some(last) => after = Some(last.chunk),
            None => return Ok(saved),
        }
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
            let compression_saved = compression_saved(store, tenant.id).await?;
            tell(TenantUsage { tenant, usage, compression_saved })?;
        }
        if is_last {
            return Ok(());
        }
    }
}
