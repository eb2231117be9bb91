//! How bytes are brought home, in SQLite.

use std::time::Duration;

use cacheroach_model::{TenantId, Timestamp};
use rusqlite::{Connection, Row, params};

use super::chunks::next_generation;
use super::purge::add_condemned;
use super::row::{all, blob, change, get, length, limit, one, optional_blob, time};
use crate::Result;
use crate::chunks::Place;
use crate::purge::Condemned;
use crate::regions::{Moved, Moving, Next};

fn moving(row: &Row<'_>) -> Result<Moving> {
    Ok(Moving {
        tenant: blob(row, "tenant")?,
        moved_at: time(row, "moved_at")?,
        begun_at: time(row, "begun_at")?,
        after: optional_blob(row, "after")?,
    })
}

/// Notes that a tenant was moved; a walk that is under way begins anew.
pub(super) fn note(connection: &Connection, tenant: TenantId, now: Timestamp) -> Result<()> {
    let sql = "INSERT INTO moving (tenant, moved_at, begun_at, due_at) VALUES (?1, ?2, ?2, ?2)
               ON CONFLICT (tenant) DO UPDATE SET
                   moved_at = MAX(excluded.moved_at, moved_at + 1), due_at = excluded.due_at, after = NULL";
    change(connection, sql, params![tenant.as_bytes(), now.micros()]).map(drop)
}

pub(super) fn note_some(
    connection: &Connection,
    after: Option<TenantId>,
    most: usize,
    now: Timestamp,
) -> Result<Option<TenantId>> {
    let after = after.map(|tenant| tenant.as_bytes().to_vec()).unwrap_or_default();
    let sql = "SELECT tenant FROM tenants WHERE tenant > ? ORDER BY tenant LIMIT ?";
    let tenants: Vec<TenantId> =
        all(connection, sql, params![after, limit(most)], |row| blob(row, "tenant"))?;
    for tenant in &tenants {
        let sql = "INSERT INTO moving (tenant, moved_at, begun_at, due_at) VALUES (?1, 0, ?2, ?2)
                   ON CONFLICT (tenant) DO UPDATE SET due_at = excluded.due_at";
        change(connection, sql, params![tenant.as_bytes(), now.micros()])?;
    }
    Ok(tenants.last().copied().filter(|_| tenants.len() >= most))
}

pub(super) fn begin(connection: &Connection, patience: Duration, now: Timestamp) -> Result<Option<Moving>> {
    let sql = "UPDATE moving SET due_at = ?2, begun_at = CASE WHEN after IS NULL THEN ?1 ELSE begun_at END
               WHERE tenant IN (SELECT tenant FROM moving WHERE due_at <= ?1 ORDER BY due_at LIMIT 1)
               RETURNING tenant, moved_at, begun_at, after";
    one(connection, sql, params![now.micros(), now.after(patience).micros()], moving)
}

pub(super) fn end(connection: &Connection, moving: &Moving, next: Next, now: Timestamp) -> Result<()> {
    let (tenant, moved_at) = (moving.tenant.as_bytes(), moving.moved_at.micros());
    let (pause, again) = match next {
        Next::After(pause) => (pause, moved_at),
        Next::Again(pause) => (pause, now.micros().max(moved_at)),
        Next::Home => {
            let sql = "DELETE FROM moving WHERE tenant = ? AND moved_at = ?";
            return change(connection, sql, params![tenant, moved_at]).map(drop);
        }
    };
    let sql = "UPDATE moving SET after = ?, due_at = ?, moved_at = ? WHERE tenant = ? AND moved_at = ?";
    let after = moving.after.map(|after| after.as_bytes().to_vec());
    change(connection, sql, params![after, now.after(pause).micros(), again, tenant, moved_at]).map(drop)
}

pub(super) fn lease(
    connection: &Connection,
    count: usize,
    length: Duration,
    now: Timestamp,
) -> Result<Vec<i64>> {
    let lease = |_| {
        let generation = next_generation(connection)?;
        let sql = "INSERT INTO moves (generation, deadline) VALUES (?, ?)";
        change(connection, sql, params![generation, now.after(length).micros()])?;
        Ok(generation)
    };
    (0..count).map(lease).collect()
}

/// Lets a chunk go on in another life, with its leases, if it is still in the one that was read.
pub(super) fn move_one(
    connection: &Connection,
    tenant: TenantId,
    moved: &Moved,
    now: Timestamp,
) -> Result<bool> {
    let (id, chunk) = (tenant.as_bytes(), moved.chunk.as_bytes());
    if change(connection, "DELETE FROM moves WHERE generation = ?", [moved.to])? == 0 {
        let sql = "SELECT 1 FROM chunks WHERE tenant = ? AND chunk = ? AND generation = ?";
        return Ok(one(connection, sql, params![id, chunk, moved.to], |_| Ok(()))?.is_some());
    }
    let sql = "SELECT length, place FROM chunks
               WHERE tenant = ? AND chunk = ? AND generation = ? AND state = 1 AND place IS NOT NULL";
    let before = one(connection, sql, params![id, chunk, moved.from], |row| {
        Ok((length(row, "length")?, Place(get(row, "place")?)))
    })?;
    let Some((length, place)) = before else { return Ok(false) };
    let sql = "UPDATE chunks SET generation = ?, place = ? WHERE tenant = ? AND chunk = ?";
    change(connection, sql, params![moved.to, moved.place.0, id, chunk])?;
    let sql = "UPDATE leases SET generation = ? WHERE tenant = ? AND chunk = ? AND generation = ?";
    change(connection, sql, params![moved.to, id, chunk, moved.from])?;
    let before = Condemned { tenant, chunk: moved.chunk, generation: moved.from, length, place };
    add_condemned(connection, &before, now.micros())?;
    Ok(true)
}
