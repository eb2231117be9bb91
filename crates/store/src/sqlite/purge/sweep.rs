//! Bytes that no row names, and the walk that looks for them.

use std::time::Duration;

use cacheroach_model::Timestamp;
use rusqlite::{Connection, params};

use super::super::row::{change, get, one, time};
use crate::chunks::{Cursor, FoundChunk, Place};
use crate::purge::Names;
use crate::{Error, Result};

/// What rows say of bytes.
fn names(connection: &Connection, found: &FoundChunk) -> Result<Names> {
    let (tenant, hash) = (found.chunk.tenant.as_bytes(), found.chunk.hash.as_bytes());
    let sql = "SELECT generation, state = 0 AS pending, place FROM chunks WHERE tenant = ? AND chunk = ?";
    let chunk = one(connection, sql, params![tenant, hash], |row| {
        let place = get::<Option<Vec<u8>>>(row, "place")?;
        Ok((get(row, "generation")?, get(row, "pending")?, place.map(Place)))
    })?;
    let sql = "SELECT place FROM condemned WHERE generation = ?";
    let condemned = one(connection, sql, params![found.generation], |row| Ok(Place(get(row, "place")?)))?;
    let sql = "SELECT generation FROM moves WHERE generation = ?";
    let is_moving = one(connection, sql, params![found.generation], |_| Ok(()))?.is_some();
    Ok(Names { chunk, condemned, is_moving })
}

pub(super) fn unnamed(connection: &Connection, found: Vec<FoundChunk>) -> Result<Vec<FoundChunk>> {
    let mut unnamed = Vec::new();
    for one in found {
        if !names(connection, &one)?.name(&one) {
            unnamed.push(one);
        }
    }
    Ok(unnamed)
}

pub(super) fn begin(
    connection: &Connection,
    patience: Duration,
    now: Timestamp,
) -> Result<Option<Option<Cursor>>> {
    let sql = "INSERT INTO sweep (id, due_at) VALUES (1, ?2)
               ON CONFLICT (id) DO UPDATE SET due_at = excluded.due_at WHERE due_at <= ?1
               RETURNING after";
    one(connection, sql, params![now.micros(), now.after(patience).micros()], |row| {
        Ok(get::<Option<Vec<u8>>>(row, "after")?.map(Cursor))
    })
}

pub(super) fn end(connection: &Connection, next: Option<&Cursor>, due_at: Timestamp) -> Result<()> {
    let sql = "UPDATE sweep SET after = ?, due_at = ? WHERE id = 1";
    change(connection, sql, params![next.map(|next| &next.0), due_at.micros()]).map(drop)
}

pub(super) fn made_at(connection: &Connection) -> Result<Timestamp> {
    let sql = "SELECT MIN(applied_at) AS made_at FROM migrations";
    one(connection, sql, [], |row| time(row, "made_at"))?
        .ok_or_else(|| Error::Damaged("a store without migrations".into()))
}
