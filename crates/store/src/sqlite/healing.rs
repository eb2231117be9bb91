//! Contents that are whole again, because somebody brought their bytes once more.

use bytes::Bytes;
use cacheroach_model::{Hash, RopeId, TenantId};
use rusqlite::{Connection, params};

use super::chunks::keep_inline;
use super::row::{change, get, one, signed};
use crate::Result;

/// Whether a rope that is found by the hash of its content can be read: all its pieces are there and their chunks live.
pub(super) fn is_whole(connection: &Connection, tenant: TenantId, rope: RopeId, size: u64) -> Result<bool> {
    let sql = "SELECT COALESCE(SUM(p.length), 0) AS there
               FROM pieces p JOIN chunks c ON c.tenant = p.tenant AND c.chunk = p.chunk AND c.state = 1
               WHERE p.tenant = ? AND p.rope = ?";
    let there: Option<i64> =
        one(connection, sql, params![tenant.as_bytes(), rope.as_bytes()], |row| get(row, "there"))?;
    Ok(there == Some(signed(size)))
}

/// Gives a rope the pieces of another one of the same content, which has none then. The chunks it had may be nobody's now.
pub(super) fn replace_pieces(
    connection: &Connection,
    tenant: TenantId,
    of: RopeId,
    by: RopeId,
) -> Result<()> {
    let (tenant, of, by) = (tenant.as_bytes(), of.as_bytes(), by.as_bytes());
    let sql = "INSERT INTO candidates (chunk, tenant)
               SELECT DISTINCT chunk, tenant FROM pieces WHERE tenant = ? AND rope = ? ON CONFLICT DO NOTHING";
    change(connection, sql, params![tenant, of])?;
    change(connection, "DELETE FROM pieces WHERE tenant = ? AND rope = ?", params![tenant, of])?;
    let sql = "UPDATE pieces SET rope = ?3 WHERE tenant = ?1 AND rope = ?2";
    change(connection, sql, params![tenant, by, of]).map(drop)
}

/// Adds the one chunk of a small content, its bytes beside its row, as the only piece of a rope. Both have the same hash.
pub(super) fn add_inline_piece(
    connection: &Connection,
    tenant: TenantId,
    rope: RopeId,
    hash: &Hash,
    content: &Bytes,
) -> Result<()> {
    let length = u32::try_from(content.len()).expect("the caller keeps to INLINE_SIZE");
    let (id, rope) = (tenant.as_bytes(), rope.as_bytes());
    keep_inline(connection, tenant, hash, content)?;
    let sql = "INSERT INTO pieces (tenant, rope, at, chunk, length) VALUES (?, ?, 0, ?, ?)";
    change(connection, sql, params![id, rope, hash.as_bytes(), length]).map(drop)
}

/// Makes a small content that was found by its hash whole again.
pub(super) fn heal_inline(
    connection: &Connection,
    tenant: TenantId,
    rope: RopeId,
    hash: &Hash,
    content: &Bytes,
) -> Result<()> {
    let sql = "INSERT INTO candidates (chunk, tenant)
               SELECT DISTINCT chunk, tenant FROM pieces WHERE tenant = ? AND rope = ? ON CONFLICT DO NOTHING";
    change(connection, sql, params![tenant.as_bytes(), rope.as_bytes()])?;
    let sql = "DELETE FROM pieces WHERE tenant = ? AND rope = ?";
    change(connection, sql, params![tenant.as_bytes(), rope.as_bytes()])?;
    add_inline_piece(connection, tenant, rope, hash, content)
}
