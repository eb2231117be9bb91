//! The bytes of chunks as rows of PostgreSQL.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cacheroach_model::Timestamp;
use deadpool_postgres::GenericClient;
use futures::FutureExt as _;
use tokio_postgres::Row;

use super::Postgres;
use super::chunks::{STATEMENT_ROWS, STATEMENT_SIZE};
use super::row::{blob, change, get, length, limit, time};
use super::run::Outcome;
use super::statement::sql;
use crate::Result;
use crate::chunks::db::{ChunkRows, FoundRow, RowKey};

fn found(row: &Row) -> Result<FoundRow> {
    let key = RowKey {
        tenant: blob(row, "tenant")?,
        hash: blob(row, "chunk")?,
        generation: get(row, "generation")?,
        attempt: get(row, "attempt")?,
    };
    Ok(FoundRow { key, length: length(row, "length")?, written_at: time(row, "written_at")? })
}

/// How many of the first rows make a statement of bounded size; one at least.
fn fitting(rows: &[(RowKey, Bytes)]) -> usize {
    let mut size = 0;
    let fits = rows.iter().take(STATEMENT_ROWS).take_while(|(_, bytes)| {
        size += bytes.len();
        size <= STATEMENT_SIZE
    });
    fits.count().max(1)
}

async fn add(client: &impl GenericClient, mut rows: &[(RowKey, Bytes)], now: Timestamp) -> Outcome<()> {
    while !rows.is_empty() {
        let (batch, rest) = rows.split_at(fitting(rows).min(rows.len()));
        let tenants: Vec<&[u8]> = batch.iter().map(|(key, _)| &key.tenant.as_bytes()[..]).collect();
        let chunks: Vec<&[u8]> = batch.iter().map(|(key, _)| &key.hash.as_bytes()[..]).collect();
        let generations: Vec<i64> = batch.iter().map(|(key, _)| key.generation).collect();
        let attempts: Vec<i64> = batch.iter().map(|(key, _)| key.attempt).collect();
        let data: Vec<&[u8]> = batch.iter().map(|(_, bytes)| &bytes[..]).collect();
        let sql = sql!(
            "INSERT INTO chunk_data (tenant, chunk, generation, attempt, written_at, data)
             SELECT n.tenant, n.chunk, n.generation, n.attempt, $5, n.data
             FROM unnest($1::BYTEA[], $2::BYTEA[], $3::INT8[], $4::INT8[], $6::BYTEA[])
                 AS n (tenant, chunk, generation, attempt, data)
             ON CONFLICT (tenant, chunk, generation, attempt) DO NOTHING"
        );
        change(client, &sql, &[&tenants, &chunks, &generations, &attempts, &now.micros(), &data]).await?;
        rows = rest;
    }
    Ok(())
}

#[async_trait]
impl ChunkRows for Postgres {
    async fn write_chunks(&self, rows: Vec<(RowKey, Bytes)>) -> Result<()> {
        let rows: Arc<[_]> = rows.into();
        if fitting(&rows) >= rows.len() {
            // A statement is a transaction of its own; a BEGIN and a COMMIT would be two more round trips.
            return self
                .run(move |client, now| {
                    let rows = Arc::clone(&rows);
                    async move { add(client, &rows, now).await }.boxed()
                })
                .await;
        }
        self.transact(move |transaction, now| {
            let rows = Arc::clone(&rows);
            async move { add(transaction, &rows, now).await }.boxed()
        })
        .await
    }

    async fn read_chunk(&self, key: &RowKey) -> Result<Option<Bytes>> {
        if let Some(bytes) = self.ahead.as_ref().and_then(|ahead| ahead.take(key)) {
            return Ok(Some(bytes));
        }
        let sql = sql!(
            "SELECT data FROM chunk_data WHERE tenant = $1 AND chunk = $2 AND generation = $3 AND attempt = $4"
        );
        let (tenant, chunk) = (&key.tenant.as_bytes()[..], &key.hash.as_bytes()[..]);
        let data = |row: &Row| Ok(get::<Vec<u8>>(row, "data")?.into());
        self.one(&sql, &[&tenant, &chunk, &key.generation, &key.attempt], data).await
    }

    async fn erase_chunk(&self, key: &RowKey) -> Result<()> {
        self.ahead.as_ref().inspect(|ahead| ahead.forget(key));
        let sql = sql!(
            "DELETE FROM chunk_data WHERE tenant = $1 AND chunk = $2 AND generation = $3 AND attempt = $4"
        );
        let (tenant, chunk) = (&key.tenant.as_bytes()[..], &key.hash.as_bytes()[..]);
        self.set(&sql, &[&tenant, &chunk, &key.generation, &key.attempt]).await
    }

    async fn list_chunk_rows(&self, after: Option<&RowKey>, most: usize) -> Result<Vec<FoundRow>> {
        let columns = "tenant, chunk, generation, attempt, written_at, length(data)::INT8 AS length";
        let order = "ORDER BY tenant, chunk, generation, attempt LIMIT";
        let Some(key) = after else {
            let sql = sql!("SELECT {columns} FROM chunk_data {order} $1");
            return self.all(&sql, &[&limit(most)], found).await;
        };
        let sql = sql!(
            "SELECT {columns} FROM chunk_data
             WHERE (tenant, chunk, generation, attempt) > ($1, $2, $3, $4) {order} $5"
        );
        let (tenant, chunk) = (&key.tenant.as_bytes()[..], &key.hash.as_bytes()[..]);
        self.all(&sql, &[&tenant, &chunk, &key.generation, &key.attempt, &limit(most)], found).await
    }
}
