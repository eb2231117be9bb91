//! Ropes that no version has, and pieces that belong to nobody.

use cacheroach_model::{Hash, RopeId, TenantId};
use rusqlite::{Connection, params};

use super::super::row::{all, blob, change, get, limit, one};
use super::suspect;
use crate::Result;
use crate::purge::Removed;

/// Notes that a rope may have lost its last version, or that the pieces of an upload are nobody's.
pub(in super::super) fn loosen(connection: &Connection, tenant: TenantId, rope: RopeId) -> Result<()> {
    let sql = "INSERT INTO loose_ropes (tenant, rope) VALUES (?, ?) ON CONFLICT DO NOTHING";
    change(connection, sql, params![tenant.as_bytes(), rope.as_bytes()]).map(drop)
}

pub(super) fn remove(connection: &Connection, batch: usize) -> Result<Removed> {
    let sql = "SELECT tenant, rope FROM loose_ropes LIMIT ?";
    let loose: Vec<(TenantId, RopeId)> =
        all(connection, sql, [limit(batch)], |row| Ok((blob(row, "tenant")?, blob(row, "rope")?)))?;
    let (mut rows, mut room, mut more) = (0, batch, loose.len() >= batch);
    for (tenant, rope) in loose {
        if room == 0 {
            more = true;
            break;
        }
        let pieces = match is_needed(connection, tenant, rope)? {
            true => 0,
            false => take_apart(connection, tenant, rope, room)?,
        };
        rows += pieces;
        if pieces >= room {
            // Maybe not all of them: the rope stays on the list.
            more = true;
            break;
        }
        room -= pieces;
        let sql = "DELETE FROM loose_ropes WHERE tenant = ? AND rope = ?";
        change(connection, sql, params![tenant.as_bytes(), rope.as_bytes()])?;
    }
    Ok(Removed { rows, more })
}

/// By a version, or by the upload that builds it.
fn is_needed(connection: &Connection, tenant: TenantId, rope: RopeId) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM versions WHERE tenant = ?1 AND rope = ?2)
                   OR EXISTS (SELECT 1 FROM uploads WHERE upload = ?2 AND outcome IS NULL) AS needed";
    let values = params![tenant.as_bytes(), rope.as_bytes()];
    Ok(one(connection, sql, values, |row| get(row, "needed"))?.unwrap_or(true))
}

/// Removes a rope, so that nobody finds it by its hash, and some of its pieces: how many.
pub(in super::super) fn take_apart(
    connection: &Connection,
    tenant: TenantId,
    rope: RopeId,
    most: usize,
) -> Result<usize> {
    let sql = "DELETE FROM ropes WHERE tenant = ? AND rope = ?";
    change(connection, sql, params![tenant.as_bytes(), rope.as_bytes()])?;
    let sql = "SELECT at, chunk FROM pieces WHERE tenant = ? AND rope = ? ORDER BY at LIMIT ?";
    let values = params![tenant.as_bytes(), rope.as_bytes(), limit(most)];
    let pieces: Vec<(i64, Hash)> =
        all(connection, sql, values, |row| Ok((get(row, "at")?, blob(row, "chunk")?)))?;
    for (at, chunk) in &pieces {
        let sql = "DELETE FROM pieces WHERE tenant = ? AND rope = ? AND at = ?";
        change(connection, sql, params![tenant.as_bytes(), rope.as_bytes(), at])?;
        suspect(connection, tenant, chunk)?;
    }
    Ok(pieces.len())
}
