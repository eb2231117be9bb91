//! The purge in SQLite. One thread writes, so each step sees what the one before it left, and a second statement is as
//! good as a lock; what only looks is done by the readers.

mod chunks;
mod overwritten;
mod ropes;
mod sweep;
mod tenants;
mod uploads;

use std::time::Duration;

use async_trait::async_trait;
use cacheroach_model::{Hash, Path, Retention, RopeId, TenantId, Timestamp};
use rusqlite::{Connection, Row, params};

use super::Sqlite;
use super::row::{all, blob, change, get, limit, one, optional_blob};
use crate::Result;
use crate::chunks::{Cursor, FoundChunk};
use crate::purge::{Condemned, Condemning, Kind, Limits, Purge, REST, Removed};

pub(super) use chunks::add as add_condemned;
pub(super) use ropes::{loosen, take_apart};
pub(super) use tenants::clear;
pub(super) use uploads::end_upload;

/// So many micro-seconds as the clock shows had passed by then.
fn ago(now: Timestamp, length: Duration) -> i64 {
    now.micros().saturating_sub(i64::try_from(length.as_micros()).unwrap_or(i64::MAX))
}

/// Notes that a chunk may have lost its last reference.
fn suspect(connection: &Connection, tenant: TenantId, chunk: &Hash) -> Result<()> {
    let sql = "INSERT INTO candidates (chunk, tenant) VALUES (?, ?) ON CONFLICT DO NOTHING";
    change(connection, sql, params![chunk.as_bytes(), tenant.as_bytes()]).map(drop)
}

fn remove_sessions(connection: &Connection, now: Timestamp, batch: usize) -> Result<usize> {
    let sql = "DELETE FROM sessions WHERE session IN
                   (SELECT session FROM sessions WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)";
    change(connection, sql, params![ago(now, REST), limit(batch)])
}

fn remove_links(connection: &Connection, now: Timestamp, batch: usize) -> Result<usize> {
    let mut gone = 0;
    for sql in [
        "DELETE FROM links WHERE link IN
             (SELECT link FROM links WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)",
        "DELETE FROM links WHERE link IN (SELECT link FROM links WHERE spent_at <= ? ORDER BY spent_at LIMIT ?)",
    ] {
        gone += change(connection, sql, params![ago(now, REST), limit(batch - gone)])?;
    }
    Ok(gone)
}

/// Versions of deleted files. The number of the last one of a path is kept: the next must be higher.
fn remove_deleted(connection: &Connection, now: Timestamp, limits: &Limits, batch: usize) -> Result<usize> {
    let Some(length) = limits.deleted_for else { return Ok(0) };
    let sql =
        "SELECT tenant, path, version, rope FROM versions WHERE deleted_at IS NOT NULL AND deleted_at <= ?
               ORDER BY deleted_at, tenant, path, version LIMIT ?";
    let over = all(connection, sql, params![ago(now, length), limit(batch)], version)?;
    for one in &over {
        one.remove(connection)?;
    }
    // Those of one path are neighbours, unless the clock was set back: then it is looked at more often than needed.
    for pair in over.chunk_by(|a, b| a.tenant == b.tenant && a.path == b.path) {
        let Some(last) = pair.iter().max_by_key(|one| one.version) else { continue };
        let sql = "INSERT INTO last_versions (tenant, path, version)
                   SELECT ?1, ?2, ?3 WHERE NOT EXISTS
                       (SELECT 1 FROM versions WHERE tenant = ?1 AND path = ?2 AND version > ?3)
                   ON CONFLICT (tenant, path) DO UPDATE SET version = MAX(version, excluded.version)";
        change(connection, sql, params![last.tenant.as_bytes(), last.path, last.version])?;
    }
    Ok(over.len())
}

/// A version that goes.
struct Gone {
    tenant: TenantId,
    path: String,
    version: i64,
    rope: Option<RopeId>,
}

fn version(row: &Row<'_>) -> Result<Gone> {
    Ok(Gone {
        tenant: blob(row, "tenant")?,
        path: get(row, "path")?,
        version: get(row, "version")?,
        rope: optional_blob(row, "rope")?,
    })
}

impl Gone {
    fn remove(&self, connection: &Connection) -> Result<()> {
        let sql = "DELETE FROM versions WHERE tenant = ? AND path = ? AND version = ?";
        change(connection, sql, params![self.tenant.as_bytes(), self.path, self.version])?;
        self.rope.map_or(Ok(()), |rope| loosen(connection, self.tenant, rope))
    }
}

/// Rules of tenants over that of the server.
fn rule(connection: &Connection, tenant: TenantId, server: Retention) -> Result<Retention> {
    let sql = "SELECT keep_versions, keep_versions_for FROM tenants WHERE tenant = ?";
    let own = one(connection, sql, [tenant.as_bytes()], super::tenants::retention)?;
    Ok(own.unwrap_or_default().or(server))
}

#[async_trait]
impl Purge for Sqlite {
    async fn remove(&self, kind: Kind, limits: &Limits, batch: usize) -> Result<Removed> {
        let limits = *limits;
        let remove = move |connection: &Connection, now| {
            let rows = match kind {
                Kind::Sessions => remove_sessions(connection, now, batch)?,
                Kind::Links => remove_links(connection, now, batch)?,
                Kind::Uploads => uploads::remove(connection, now, batch)?,
                Kind::Tenants => tenants::remove(connection, batch)?,
                Kind::Deleted => remove_deleted(connection, now, &limits, batch)?,
                Kind::Overwritten => return overwritten::remove(connection, now, limits.retention, batch),
                Kind::Ropes => return ropes::remove(connection, batch),
            };
            Ok(Removed { rows, more: rows >= batch })
        };
        self.writer.write(remove).await
    }

    async fn condemn(&self, from: Hash, dead_after: Duration, batch: usize) -> Result<Condemning> {
        let condemn =
            move |connection: &Connection, now| chunks::condemn(connection, from, dead_after, batch, now);
        self.writer.write(condemn).await
    }

    async fn drop_chunks(&self, condemned: &[Condemned]) -> Result<()> {
        let generations: Vec<i64> = condemned.iter().map(|chunk| chunk.generation).collect();
        let drop_all = move |connection: &Connection, _| {
            for generation in &generations {
                change(connection, "DELETE FROM condemned WHERE generation = ?", [generation])?;
            }
            Ok(())
        };
        self.writer.write(drop_all).await
    }

    async fn walk_chunks(
        &self,
        after: Option<(TenantId, Hash)>,
        limit: usize,
    ) -> Result<Option<(TenantId, Hash)>> {
        let now = self.now();
        let look = move |connection: &Connection| chunks::walk(connection, after, limit, now);
        let (suspects, next) = self.readers.read(look).await?;
        if !suspects.is_empty() {
            let note = move |connection: &Connection, _| {
                suspects.iter().try_for_each(|(tenant, chunk)| suspect(connection, *tenant, chunk))
            };
            self.writer.write(note).await?;
        }
        Ok(next)
    }

    async fn walk_files(
        &self,
        retention: Retention,
        after: Option<(TenantId, Path)>,
        limit: usize,
    ) -> Result<Option<(TenantId, Path)>> {
        let look =
            move |connection: &Connection| overwritten::walk(connection, retention, after.as_ref(), limit);
        let (due, next) = self.readers.read(look).await?;
        if !due.is_empty() {
            let note = move |connection: &Connection, now| {
                due.iter().try_for_each(|(tenant, path)| overwritten::note(connection, *tenant, path, now))
            };
            self.writer.write(note).await?;
        }
        Ok(next)
    }

    async fn list_unnamed(&self, found: &[FoundChunk]) -> Result<Vec<FoundChunk>> {
        let found = found.to_vec();
        self.readers.read(move |connection| sweep::unnamed(connection, found)).await
    }

    async fn begin_sweep_step(&self, patience: Duration) -> Result<Option<Option<Cursor>>> {
        self.writer.write(move |connection, now| sweep::begin(connection, patience, now)).await
    }

    async fn end_sweep_step(&self, next: Option<&Cursor>, pause: Duration) -> Result<()> {
        let next = next.cloned();
        let end = move |connection: &Connection, now: Timestamp| {
            sweep::end(connection, next.as_ref(), now.after(pause))
        };
        self.writer.write(end).await
    }

    async fn made_at(&self) -> Result<Timestamp> {
        self.readers.read(sweep::made_at).await
    }
}

pub(super) use overwritten::note as note_overwritten;
