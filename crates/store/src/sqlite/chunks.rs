//! The rows of chunks in SQLite, whose bytes are beside them or in the chunk tier.

use cacheroach_model::{Hash, TenantId};
use rusqlite::{Connection, params};

use super::files::kept;
use super::row::{blob, change, get, length, one};
use crate::uploads::{Lease, NearChunk};
use crate::{Error, Result};

/// A number that was never used before.
pub(super) fn next_generation(connection: &Connection) -> Result<i64> {
    let sql = "UPDATE generations SET last = last + 1 RETURNING last";
    one(connection, sql, [], |row| get(row, "last"))?.ok_or_else(|| Error::Damaged("no generations".into()))
}

/// Sees to it that a chunk has a row that is not condemned.
pub(super) fn ensure_chunk(
    connection: &Connection,
    tenant: TenantId,
    chunk: &Hash,
    length: u32,
) -> Result<Lease> {
    let key = params![tenant.as_bytes(), chunk.as_bytes()];
    let sql = "SELECT generation, state FROM chunks WHERE tenant = ? AND chunk = ?";
    let found: Option<(i64, i64)> =
        one(connection, sql, key, |row| Ok((get(row, "generation")?, get(row, "state")?)))?;
    match found {
        Some((generation, 1)) => Ok(Lease { generation, needs_bytes: false }),
        // Somebody is writing the same bytes: whoever is first makes it live.
        Some((generation, 0)) => Ok(Lease { generation, needs_bytes: true }),
        _ => {
            let generation = next_generation(connection)?;
            let sql = "INSERT OR REPLACE INTO chunks (tenant, chunk, generation, state, length) VALUES (?, ?, ?, 0, ?)";
            change(connection, sql, params![tenant.as_bytes(), chunk.as_bytes(), generation, length])?;
            Ok(Lease { generation, needs_bytes: true })
        }
    }
}

/// The first live one from a hash on.
pub(super) fn find_from(connection: &Connection, tenant: TenantId, from: &Hash) -> Result<Option<NearChunk>> {
    let sql = "SELECT chunk, generation, length, place, data FROM chunks
               WHERE tenant = ? AND chunk >= ? AND state = 1 ORDER BY chunk LIMIT 1";
    one(connection, sql, params![tenant.as_bytes(), from.as_bytes()], |row| {
        let generation = get(row, "generation")?;
        Ok(NearChunk {
            chunk: blob(row, "chunk")?,
            generation,
            length: length(row, "length")?,
            kept: kept(row)?,
        })
    })
}
