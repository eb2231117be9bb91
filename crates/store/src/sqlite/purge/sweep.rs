//! Bytes that no row names, and the walk that looks for them.

use std::time::Duration;

use cacheroach_model::Timestamp;
use rusqlite::{Connection, params};

use super::super::row::{change, get, one, time};
use crate::chunks::{Cursor, FoundChunk};
use crate::{Error, Result};

/// Whether a row names bytes or may do so in a moment.
fn is_named(connection: &Connection, found: &FoundChunk) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM chunks WHERE tenant = ?1 AND chunk = ?2
                                  AND (place = ?4 OR (state = 0 AND generation = ?3)))
                   OR EXISTS (SELECT 1 FROM condemned WHERE generation = ?3 AND place = ?4)
                   OR EXISTS (SELECT 1 FROM moves WHERE generation = ?3) AS named";
    let (tenant, hash) = (found.chunk.tenant.as_bytes(), found.chunk.hash.as_bytes());
    let values = params![tenant, hash, found.generation, found.chunk.place.0];
    Ok(one(connection, sql, values, |row| get(row, "named"))?.unwrap_or(true))
}

pub(super) fn unnamed(connection: &Connection, found: Vec<FoundChunk>) -> Result<Vec<FoundChunk>> {
    let mut unnamed = Vec::new();
    for one in found {
        if !is_named(connection, &one)? {
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
