//! Looking into a PostgreSQL store as tables is not offered yet: each call says so, and nothing is touched.
//! TODO(5): the walks, restoring and putting right, as in `sqlite/inspect.rs`.

use async_trait::async_trait;
use cacheroach_model::{Hash, Path, RopeId, TenantId, Version};

use super::Postgres;
use crate::inspect::{Identity, Inspect, Key, Row, Table, Touched, Usage, Walk};
use crate::{Error, Result};

pub(crate) fn not_yet() -> Error {
    Error::Failed("stat, verify, copy, dump and load don't work on PostgreSQL yet".into())
}

#[async_trait]
impl Walk for Postgres {
    async fn list_rows(&self, _: &'static Table, _: Option<&Key>, _: usize) -> Result<Vec<Row>> {
        Err(not_yet())
    }
}

#[async_trait]
impl Inspect for Postgres {
    async fn snapshot(&self) -> Result<Box<dyn Walk>> {
        Err(not_yet())
    }

    async fn find_row(&self, _: &'static Table, _: &Key) -> Result<Option<Row>> {
        Err(not_yet())
    }

    async fn restore_rows(&self, _: Vec<Row>) -> Result<()> {
        Err(not_yet())
    }

    async fn remove_rows(&self, _: &'static Table, _: Vec<Key>) -> Result<()> {
        Err(not_yet())
    }

    async fn draw_generations(&self, _: usize) -> Result<Vec<i64>> {
        Err(not_yet())
    }

    async fn mark_damaged(&self, _: TenantId, _: Hash, _: i64) -> Result<bool> {
        Err(not_yet())
    }

    async fn list_versions_of_chunk(
        &self,
        _: TenantId,
        _: Hash,
        _: Option<(Path, Version)>,
        _: usize,
    ) -> Result<Vec<Touched>> {
        Err(not_yet())
    }

    async fn list_versions_of_rope(
        &self,
        _: TenantId,
        _: RopeId,
        _: Option<(Path, Version)>,
        _: usize,
    ) -> Result<Vec<Touched>> {
        Err(not_yet())
    }

    async fn usage(&self, _: TenantId) -> Result<Usage> {
        Err(not_yet())
    }

    async fn identity(&self) -> Result<Identity> {
        Err(not_yet())
    }

    async fn note_copy_of(&self, _: [u8; 16]) -> Result<()> {
        Err(not_yet())
    }
}
