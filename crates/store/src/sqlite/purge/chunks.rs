//! Chunks that nothing refers to.

use std::time::Duration;

use cacheroach_model::{Hash, TenantId, Timestamp};
use rusqlite::{Connection, Row, params};

use super::super::row::{all, blob, change, get, length, limit, one};
use super::ago;
use crate::Result;
use crate::chunks::Place;
use crate::purge::{Condemned, Condemning};

/// Which, of whom.
type Key = (TenantId, Hash);

fn key(row: &Row<'_>) -> Result<Key> {
    Ok((blob(row, "tenant")?, blob(row, "chunk")?))
}

/// Whether a piece or an upload under way needs a chunk.
fn is_needed(connection: &Connection, (tenant, chunk): &Key, now: Timestamp) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM pieces WHERE tenant = ?1 AND chunk = ?2)
                   OR EXISTS (SELECT 1 FROM leases l JOIN uploads u ON u.upload = l.upload
                              WHERE l.tenant = ?1 AND l.chunk = ?2 AND u.deadline > ?3 AND u.outcome IS NULL)
               AS needed";
    let values = params![tenant.as_bytes(), chunk.as_bytes(), now.micros()];
    Ok(one(connection, sql, values, |row| get(row, "needed"))?.unwrap_or(true))
}

pub(super) fn condemn(
    connection: &Connection,
    from: Hash,
    dead_after: Duration,
    batch: usize,
    now: Timestamp,
) -> Result<Condemning> {
    let taken = take_over(connection, ago(now, dead_after), batch, now)?;
    let mut done = Condemning { more: taken.len() >= batch, chunks: taken, ..Condemning::default() };
    let candidates = candidates(connection, from, batch)?;
    done.more |= candidates.len() >= batch;
    for key in &candidates {
        let (tenant, chunk) = key;
        let sql = "DELETE FROM candidates WHERE chunk = ? AND tenant = ?";
        change(connection, sql, params![chunk.as_bytes(), tenant.as_bytes()])?;
        // What is needed is noted again by whoever needs it last.
        if !is_needed(connection, key, now)? {
            condemn_one(connection, *tenant, chunk, now, &mut done)?;
        }
    }
    Ok(done)
}

fn condemn_one(
    connection: &Connection,
    tenant: TenantId,
    chunk: &Hash,
    now: Timestamp,
    done: &mut Condemning,
) -> Result<()> {
    let sql = "DELETE FROM chunks WHERE tenant = ? AND chunk = ? RETURNING generation, length, place";
    let row = one(connection, sql, params![tenant.as_bytes(), chunk.as_bytes()], |row| {
        let place: Option<Vec<u8>> = get(row, "place")?;
        Ok((get::<i64>(row, "generation")?, length(row, "length")?, place))
    })?;
    let Some((generation, length, place)) = row else { return Ok(()) };
    let Some(place) = place else {
        done.dropped += 1;
        done.dropped_bytes += u64::from(length);
        return Ok(());
    };
    let condemned = Condemned { tenant, chunk: *chunk, generation, length, place: Place(place) };
    add(connection, &condemned, now.micros())?;
    done.chunks.push(condemned);
    Ok(())
}

/// Notes a life that is over, and when its bytes were handed out to be erased.
pub(in super::super) fn add(connection: &Connection, condemned: &Condemned, handed_out: i64) -> Result<()> {
    let sql = "INSERT INTO condemned (generation, tenant, chunk, length, place, condemned_at)
               VALUES (?, ?, ?, ?, ?, ?)";
    let values = params![
        condemned.generation,
        condemned.tenant.as_bytes(),
        condemned.chunk.as_bytes(),
        condemned.length,
        condemned.place.0,
        handed_out,
    ];
    change(connection, sql, values).map(drop)
}

/// What was handed out so long ago that whoever had it must be dead.
fn take_over(
    connection: &Connection,
    handed_out_by: i64,
    batch: usize,
    now: Timestamp,
) -> Result<Vec<Condemned>> {
    let sql = "SELECT tenant, chunk, generation, length, place FROM condemned WHERE condemned_at <= ?
               ORDER BY condemned_at LIMIT ?";
    let taken = all(connection, sql, params![handed_out_by, limit(batch)], |row| {
        let (tenant, chunk) = key(row)?;
        let (generation, length) = (get(row, "generation")?, length(row, "length")?);
        Ok(Condemned { tenant, chunk, generation, length, place: Place(get(row, "place")?) })
    })?;
    for one in &taken {
        let sql = "UPDATE condemned SET condemned_at = ? WHERE generation = ?";
        change(connection, sql, params![now.micros(), one.generation])?;
    }
    Ok(taken)
}

/// Around the ring of all hashes.
fn candidates(connection: &Connection, from: Hash, batch: usize) -> Result<Vec<Key>> {
    let mut found = Vec::new();
    for half in ["chunk >= ?", "chunk < ?"] {
        let sql = format!("SELECT chunk, tenant FROM candidates WHERE {half} ORDER BY chunk, tenant LIMIT ?");
        let room = limit(batch - found.len());
        found.extend(all(connection, &sql, params![from.as_bytes(), room], key)?);
    }
    Ok(found)
}

/// Of so many rows after one, those that nothing needs, and where to go on.
pub(super) fn walk(
    connection: &Connection,
    after: Option<Key>,
    most: usize,
    now: Timestamp,
) -> Result<(Vec<Key>, Option<Key>)> {
    let (tenant, chunk) = match &after {
        Some((tenant, chunk)) => (&tenant.as_bytes()[..], &chunk.as_bytes()[..]),
        None => Default::default(),
    };
    let sql =
        "SELECT tenant, chunk FROM chunks WHERE (tenant, chunk) > (?, ?) ORDER BY tenant, chunk LIMIT ?";
    let rows = all(connection, sql, params![tenant, chunk, limit(most)], key)?;
    let next = if rows.len() < most { None } else { rows.last().copied() };
    let mut suspects = Vec::new();
    for row in rows {
        if !is_needed(connection, &row, now)? {
            suspects.push(row);
        }
    }
    Ok((suspects, next))
}
