//! Where bytes are, in SQLite.

use std::time::Duration;

use async_trait::async_trait;
use cacheroach_model::{Hash, TenantId};
use rusqlite::{Connection, Row, params};

use super::row::{all, blob, get, length, limit};
use super::{Sqlite, moves};
use crate::Result;
use crate::chunks::Place;
use crate::regions::{Moved, Moving, Next, Placed, Regions};

fn placed(row: &Row<'_>) -> Result<Placed> {
    Ok(Placed {
        chunk: blob(row, "chunk")?,
        generation: get(row, "generation")?,
        length: length(row, "length")?,
        place: get::<Option<Vec<u8>>>(row, "place")?.map(Place),
    })
}

#[async_trait]
impl Regions for Sqlite {
    async fn list_places(&self, id: TenantId, after: Option<Hash>, most: usize) -> Result<Vec<Placed>> {
        let sql =
            "SELECT chunk, generation, length, place FROM chunks WHERE tenant = ? AND chunk > ? AND state = 1
                   ORDER BY chunk LIMIT ?";
        let after = after.map(|chunk| chunk.as_bytes().to_vec()).unwrap_or_default();
        let list =
            move |connection: &_| all(connection, sql, params![id.as_bytes(), after, limit(most)], placed);
        self.readers.read(list).await
    }

    async fn begin_moving(&self, patience: Duration) -> Result<Option<Moving>> {
        self.writer.write(move |connection, now| moves::begin(connection, patience, now)).await
    }

    async fn end_moving(&self, moving: &Moving, next: Next) -> Result<()> {
        let moving = moving.clone();
        self.writer.write(move |connection, now| moves::end(connection, &moving, next, now)).await
    }

    async fn note_moving(&self, after: Option<TenantId>, most: usize) -> Result<Option<TenantId>> {
        self.writer.write(move |connection, now| moves::note_some(connection, after, most, now)).await
    }

    async fn lease_moves(&self, count: usize, length: Duration) -> Result<Vec<i64>> {
        self.writer.write(move |connection, now| moves::lease(connection, count, length, now)).await
    }

    async fn move_chunks(&self, tenant: TenantId, moved: &[Moved]) -> Result<Vec<bool>> {
        let moved = moved.to_vec();
        let move_all = move |connection: &Connection, now| {
            moved.iter().map(|one| moves::move_one(connection, tenant, one, now)).collect()
        };
        self.writer.write(move_all).await
    }
}
