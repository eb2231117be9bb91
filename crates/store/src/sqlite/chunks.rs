//! The rows of chunks in SQLite, whose bytes are beside them or in the chunk tier.

use cacheroach_model::{Hash, TenantId};
use rusqlite::{Connection, params};

use super::files::kept;
use super::row::{blob, change, get, length, one, signed};
use crate::uploads::{Lease, NearChunk};
use crate::{Error, Result};

/// A number that was never used before.
pub(super) fn next_generation(connection: &Connection) -> Result<i64> {
    // Not by RETURNING: SQLite makes and drops a table for what is returned, dearer than both statements.
    let last = one(connection, "SELECT last FROM generations", [], |row| get::<i64>(row, "last"))?;
    let next = last.ok_or_else(|| Error::Damaged("no generations".into()))? + 1;
    change(connection, "UPDATE generations SET last = ?", [next])?;
    Ok(next)
}

/// A chunk that has a row which is not condemned.
fn find_chunk(connection: &Connection, tenant: TenantId, chunk: &Hash) -> Result<Option<Lease>> {
    let key = params![tenant.as_bytes(), chunk.as_bytes()];
    let sql = "SELECT generation, state FROM chunks WHERE tenant = ? AND chunk = ?";
    let found: Option<(i64, i64)> =
        one(connection, sql, key, |row| Ok((get(row, "generation")?, get(row, "state")?)))?;
    Ok(match found {
        Some((generation, 1)) => Some(Lease { generation, needs_bytes: false }),
        // Somebody is writing the same bytes: whoever is first makes it live.
        Some((generation, 0)) => Some(Lease { generation, needs_bytes: true }),
        _ => None,
    })
}

/// Sees to it that a chunk has a row that is not condemned.
pub(super) fn ensure_chunk(
    connection: &Connection,
    tenant: TenantId,
    chunk: &Hash,
    length: u32,
) -> Result<Lease> {
    if let Some(lease) = find_chunk(connection, tenant, chunk)? {
        return Ok(lease);
    }
    let generation = next_generation(connection)?;
    let sql =
        "INSERT OR REPLACE INTO chunks (tenant, chunk, generation, state, length) VALUES (?, ?, ?, 0, ?)";
    change(connection, sql, params![tenant.as_bytes(), chunk.as_bytes(), generation, length])?;
    Ok(Lease { generation, needs_bytes: true })
}

/// Sees to it that a small chunk is live: where it is not, its bytes stand beside its row from now on.
pub(super) fn keep_inline(
    connection: &Connection,
    tenant: TenantId,
    chunk: &Hash,
    bytes: &[u8],
) -> Result<()> {
    let key = (tenant.as_bytes(), chunk.as_bytes());
    match find_chunk(connection, tenant, chunk)? {
        Some(Lease { needs_bytes: false, .. }) => {}
        Some(_) => {
            let sql = "UPDATE chunks SET state = 1, data = ? WHERE tenant = ? AND chunk = ?";
            change(connection, sql, params![bytes, key.0, key.1])?;
        }
        None => {
            let generation = next_generation(connection)?;
            let sql = "INSERT OR REPLACE INTO chunks (tenant, chunk, generation, state, length, data)
                       VALUES (?, ?, ?, 1, ?, ?)";
            change(connection, sql, params![key.0, key.1, generation, signed(bytes.len() as u64), bytes])?;
        }
    }
    Ok(())
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
