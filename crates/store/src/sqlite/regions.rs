//! Where bytes are, in SQLite.

use async_trait::async_trait;
use cacheroach_model::{Hash, TenantId};
use rusqlite::{Row, params};

use super::Sqlite;
use super::row::{all, blob, get, length, limit};
use crate::Result;
use crate::chunks::Place;
use crate::regions::{Placed, Regions};

fn placed(row: &Row<'_>) -> Result<Placed> {
    Ok(Placed {
        chunk: blob(row, "chunk")?,
        length: length(row, "length")?,
        place: get::<Option<Vec<u8>>>(row, "place")?.map(Place),
    })
}

#[async_trait]
impl Regions for Sqlite {
    async fn list_places(&self, id: TenantId, after: Option<Hash>, most: usize) -> Result<Vec<Placed>> {
        let sql = "SELECT chunk, length, place FROM chunks WHERE tenant = ? AND chunk > ? AND state = 1
                   ORDER BY chunk LIMIT ?";
        let after = after.map(|chunk| chunk.as_bytes().to_vec()).unwrap_or_default();
        let list =
            move |connection: &_| all(connection, sql, params![id.as_bytes(), after, limit(most)], placed);
        self.readers.read(list).await
    }
}
