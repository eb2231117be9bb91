//! The bytes of chunks as rows of SQLite.

use async_trait::async_trait;
use bytes::Bytes;
use cacheroach_model::Timestamp;
use rusqlite::{Connection, Row, params};

use super::Sqlite;
use super::row::{all, blob, change, get, limit, one, time};
use super::stamps::Touches;
use crate::Result;
use crate::chunks::db::{ChunkRows, FoundRow, RowKey};

fn found(row: &Row<'_>) -> Result<FoundRow> {
    let key = RowKey {
        tenant: blob(row, "tenant")?,
        hash: blob(row, "chunk")?,
        generation: get(row, "generation")?,
        attempt: get(row, "attempt")?,
    };
    Ok(FoundRow { key, length: get(row, "length")?, written_at: time(row, "written_at")? })
}

fn add(connection: &Connection, rows: &[(RowKey, Bytes)], now: Timestamp) -> Result<()> {
    let sql = "INSERT INTO chunk_data (tenant, chunk, generation, attempt, written_at, data)
               VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
    for (key, bytes) in rows {
        let (tenant, chunk) = (key.tenant.as_bytes(), key.hash.as_bytes());
        let values = params![tenant, chunk, key.generation, key.attempt, now.micros(), &bytes[..]];
        change(connection, sql, values)?;
    }
    Ok(())
}

#[async_trait]
impl ChunkRows for Sqlite {
    async fn write_chunks(&self, rows: Vec<(RowKey, Bytes)>) -> Result<()> {
        self.writer.write_touching(Touches::Nothing, move |connection, now| add(connection, &rows, now)).await
    }

    async fn read_chunk(&self, key: &RowKey) -> Result<Option<Bytes>> {
        let key = *key;
        let read = move |connection: &Connection| {
            let sql = "SELECT data FROM chunk_data
                       WHERE tenant = ? AND chunk = ? AND generation = ? AND attempt = ?";
            let values = params![key.tenant.as_bytes(), key.hash.as_bytes(), key.generation, key.attempt];
            one(connection, sql, values, |row| Ok(get::<Vec<u8>>(row, "data")?.into()))
        };
        self.readers.read(read).await
    }

    async fn erase_chunk(&self, key: &RowKey) -> Result<()> {
        let key = *key;
        let erase = move |connection: &Connection, _| {
            let sql = "DELETE FROM chunk_data
                       WHERE tenant = ? AND chunk = ? AND generation = ? AND attempt = ?";
            let values = params![key.tenant.as_bytes(), key.hash.as_bytes(), key.generation, key.attempt];
            change(connection, sql, values).map(drop)
        };
        self.writer.write_touching(Touches::Nothing, erase).await
    }

    async fn list_chunk_rows(&self, after: Option<&RowKey>, most: usize) -> Result<Vec<FoundRow>> {
        let after = after.copied();
        let list = move |connection: &Connection| {
            let columns = "tenant, chunk, generation, attempt, written_at, length(data) AS length";
            let order = "ORDER BY tenant, chunk, generation, attempt LIMIT";
            let Some(RowKey { tenant, hash, generation, attempt }) = after else {
                let sql = format!("SELECT {columns} FROM chunk_data {order} ?");
                return all(connection, &sql, params![limit(most)], found);
            };
            let sql = format!(
                "SELECT {columns} FROM chunk_data
                 WHERE (tenant, chunk, generation, attempt) > (?, ?, ?, ?) {order} ?"
            );
            let values = params![tenant.as_bytes(), hash.as_bytes(), generation, attempt, limit(most)];
            all(connection, &sql, values, found)
        };
        self.readers.read(list).await
    }
}
