//! Chunks that were found damaged when somebody offered them: the bytes that are asked for then heal them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use cacheroach_model::{Hash, TenantId};
use cacheroach_store::Store;

use super::Hashed;
use crate::Result;

/// More are forgotten: they stay damaged until `store verify` finds them.
const MOST: usize = 1_024;

/// Lives of chunks whose bytes could not be read. Nothing is changed before true bytes are at hand: what seems damaged may
/// only be away.
#[derive(Default)]
pub(crate) struct Spoilt(Mutex<HashMap<(TenantId, Hash), i64>>);

impl Spoilt {
    pub(super) fn note(&self, tenant: TenantId, chunk: Hash, generation: i64) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() < MOST {
            noted.insert((tenant, chunk), generation);
        }
    }

    fn take(&self, tenant: TenantId, chunk: Hash) -> Option<i64> {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.is_empty() { None } else { noted.remove(&(tenant, chunk)) }
    }

    /// Sees to it that the bytes which came are written where those that were there are damaged.
    pub(crate) async fn give_way(&self, store: &Store, tenant: TenantId, chunks: &[Hashed]) -> Result<()> {
        for Hashed { hash: chunk, .. } in chunks {
            if let Some(generation) = self.take(tenant, *chunk) {
                store.metadata.mark_damaged(tenant, *chunk, generation).await?;
            }
        }
        Ok(())
    }
}
