//! The purge in PostgreSQL. Whoever works off a row of a list locks it first: what others do about it is waited for, and
//! the statements that follow see it.

mod chunks;
mod overwritten;
mod ropes;
mod sweep;
mod tenants;
mod uploads;

use std::time::{Duration, Instant};

use async_trait::async_trait;
use cacheroach_model::{Hash, Path, Retention, RopeId, TenantId, Timestamp};
use deadpool_postgres::Transaction;
use futures::FutureExt as _;
use tokio_postgres::Row;

use super::Postgres;
use super::row::{all, blob, change, get, limit, optional_blob};
use super::run::Outcome;
use super::statement::sql;
use crate::Result;
use crate::chunks::{Cursor, FoundChunk};
use crate::purge::{Condemned, Condemning, Kind, Limits, Purge, REST, Removed};

pub(super) use ropes::take_apart;
pub(super) use tenants::clear;

/// A candidate that is noted again is locked until the reference is gone: otherwise a collector that looks just then finds
/// the reference, strikes the candidate off, and nobody notes it any more.
pub(super) const AGAIN: &str = "ON CONFLICT (chunk, tenant) DO UPDATE SET chunk = excluded.chunk";

/// How long a transaction takes its rows one by one: who wants to write to one of them waits meanwhile, and on a database that
/// is far away a whole batch would take longer than any transaction may.
const TURN: Duration = Duration::from_secs(1);

/// The time of one transaction.
struct Turn(Instant);

impl Turn {
    fn begin() -> Self {
        Turn(Instant::now())
    }

    fn is_over(&self) -> bool {
        self.0.elapsed() >= TURN
    }
}

/// So many micro-seconds as the clock shows had passed by then.
fn ago(now: Timestamp, length: Duration) -> i64 {
    now.micros().saturating_sub(i64::try_from(length.as_micros()).unwrap_or(i64::MAX))
}

/// How many rows a statement changed.
fn rows(changed: u64) -> usize {
    usize::try_from(changed).unwrap_or(usize::MAX)
}

/// Sessions, and beside them what is known of calls whose answer nobody waits for any more.
async fn remove_sessions(transaction: &Transaction<'_>, now: Timestamp, batch: usize) -> Outcome<Removed> {
    let sql = sql!(
        "DELETE FROM sessions WHERE session IN
             (SELECT session FROM sessions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)"
    );
    let gone = rows(change(transaction, &sql, &[&ago(now, REST), &limit(batch)]).await?);
    // Notes of those who looked for an outcome have negative times.
    let sql = sql!(
        "DELETE FROM outcomes WHERE call IN
             (SELECT call FROM outcomes WHERE at >= -$1::INT8 AND at <= $1::INT8 ORDER BY at LIMIT $2)"
    );
    let outcomes = rows(change(transaction, &sql, &[&ago(now, REST), &limit(batch)]).await?);
    Ok(Removed { rows: gone, more: gone >= batch || outcomes >= batch })
}

async fn remove_links(transaction: &Transaction<'_>, now: Timestamp, batch: usize) -> Outcome<usize> {
    let mut gone = 0;
    for column in ["expires_at", "spent_at"] {
        let sql = sql!(
            "DELETE FROM links WHERE link IN
                 (SELECT link FROM links WHERE {column} <= $1 ORDER BY {column} LIMIT $2)"
        );
        gone += rows(change(transaction, &sql, &[&ago(now, REST), &limit(batch - gone)]).await?);
    }
    Ok(gone)
}

/// Versions of deleted files. The number of the last one of a path is kept: the next must be higher.
async fn remove_deleted(
    transaction: &Transaction<'_>,
    now: Timestamp,
    limits: &Limits,
    batch: usize,
) -> Outcome<usize> {
    let Some(length) = limits.deleted_for else { return Ok(0) };
    let sql = sql!(
        "SELECT tenant, path, version, rope FROM versions WHERE deleted_at IS NOT NULL AND deleted_at <= $1
         ORDER BY deleted_at, tenant, path, version LIMIT $2 FOR UPDATE"
    );
    let over = all(transaction, &sql, &[&ago(now, length), &limit(batch)], version).await?;
    remove_versions(transaction, &over).await?;
    let sql = sql!(
        "INSERT INTO last_versions (tenant, path, version)
         SELECT n.tenant, n.path, MAX(n.version)
         FROM unnest($1::BYTEA[], $2::TEXT[], $3::INT8[]) AS n (tenant, path, version)
         WHERE NOT EXISTS (SELECT 1 FROM versions v
                           WHERE v.tenant = n.tenant AND v.path = n.path AND v.version > n.version)
         GROUP BY n.tenant, n.path ORDER BY n.tenant, n.path
         ON CONFLICT (tenant, path) DO UPDATE SET version = GREATEST(last_versions.version, excluded.version)"
    );
    let tenants: Vec<&[u8]> = over.iter().map(|one| &one.tenant.as_bytes()[..]).collect();
    let paths: Vec<&str> = over.iter().map(|one| one.path.as_str()).collect();
    let versions: Vec<i64> = over.iter().map(|one| one.version).collect();
    change(transaction, &sql, &[&tenants, &paths, &versions]).await?;
    Ok(over.len())
}

/// A version that goes.
struct Gone {
    tenant: TenantId,
    path: String,
    version: i64,
    rope: Option<RopeId>,
}

fn version(row: &Row) -> Result<Gone> {
    Ok(Gone {
        tenant: blob(row, "tenant")?,
        path: get(row, "path")?,
        version: get(row, "version")?,
        rope: optional_blob(row, "rope")?,
    })
}

/// Removes versions, and notes that their ropes may have lost their last one.
async fn remove_versions(transaction: &Transaction<'_>, gone: &[Gone]) -> Outcome<()> {
    if gone.is_empty() {
        return Ok(());
    }
    let tenants: Vec<&[u8]> = gone.iter().map(|one| &one.tenant.as_bytes()[..]).collect();
    let paths: Vec<&str> = gone.iter().map(|one| one.path.as_str()).collect();
    let versions: Vec<i64> = gone.iter().map(|one| one.version).collect();
    let sql = sql!(
        "DELETE FROM versions WHERE (tenant, path, version) IN
             (SELECT n.tenant, n.path, n.version
              FROM unnest($1::BYTEA[], $2::TEXT[], $3::INT8[]) AS n (tenant, path, version))"
    );
    change(transaction, &sql, &[&tenants, &paths, &versions]).await?;
    let with_ropes = gone.iter().filter_map(|one| Some((one.tenant, one.rope?)));
    let (tenants, ropes): (Vec<TenantId>, Vec<RopeId>) = with_ropes.unzip();
    let tenants: Vec<&[u8]> = tenants.iter().map(|tenant| &tenant.as_bytes()[..]).collect();
    let ropes: Vec<&[u8]> = ropes.iter().map(|rope| &rope.as_bytes()[..]).collect();
    // What is noted already is locked, as in the list of candidates.
    let sql = sql!(
        "INSERT INTO loose_ropes (tenant, rope)
         SELECT DISTINCT n.tenant, n.rope FROM unnest($1::BYTEA[], $2::BYTEA[]) AS n (tenant, rope)
         ORDER BY n.tenant, n.rope
         ON CONFLICT (tenant, rope) DO UPDATE SET rope = excluded.rope"
    );
    change(transaction, &sql, &[&tenants, &ropes]).await.map(drop)
}

async fn remove(
    transaction: &Transaction<'_>,
    kind: Kind,
    limits: &Limits,
    batch: usize,
    now: Timestamp,
) -> Outcome<Removed> {
    let rows = match kind {
        Kind::Sessions => return remove_sessions(transaction, now, batch).await,
        Kind::Links => remove_links(transaction, now, batch).await?,
        Kind::Uploads => return uploads::remove(transaction, now, batch).await,
        Kind::Tenants => {
            let rows = tenants::remove(transaction, batch).await?;
            return Ok(Removed { rows, more: rows > 0 });
        }
        Kind::Deleted => remove_deleted(transaction, now, limits, batch).await?,
        Kind::Overwritten => return overwritten::remove(transaction, now, limits.retention, batch).await,
        Kind::Ropes => return ropes::remove(transaction, batch).await,
    };
    Ok(Removed { rows, more: rows >= batch })
}

#[async_trait]
impl Purge for Postgres {
    async fn remove(&self, kind: Kind, limits: &Limits, batch: usize) -> Result<Removed> {
        let limits = *limits;
        self.transact(move |transaction, now| {
            async move { remove(transaction, kind, &limits, batch, now).await }.boxed()
        })
        .await
    }

    async fn condemn(&self, from: Hash, dead_after: Duration, batch: usize) -> Result<Condemning> {
        // If nobody knows what became of it, those who were condemned are handed out again when their time has come.
        self.transact(move |transaction, now| {
            chunks::condemn(transaction, from, dead_after, batch, now).boxed()
        })
        .await
    }

    async fn drop_chunks(&self, condemned: &[Condemned]) -> Result<()> {
        let generations: Vec<i64> = condemned.iter().map(|chunk| chunk.generation).collect();
        let sql = sql!("DELETE FROM condemned WHERE generation = ANY($1)");
        self.set(&sql, &[&generations]).await
    }

    async fn walk_chunks(
        &self,
        after: Option<(TenantId, Hash)>,
        most: usize,
    ) -> Result<Option<(TenantId, Hash)>> {
        self.transact(move |transaction, now| chunks::walk(transaction, after, most, now).boxed()).await
    }

    async fn walk_files(
        &self,
        retention: Retention,
        after: Option<(TenantId, Path)>,
        most: usize,
    ) -> Result<Option<(TenantId, Path)>> {
        self.transact(move |transaction, now| {
            let after = after.clone();
            overwritten::walk(transaction, retention, after, most, now).boxed()
        })
        .await
    }

    async fn list_unnamed(&self, found: &[FoundChunk]) -> Result<Vec<FoundChunk>> {
        sweep::unnamed(self, found).await
    }

    async fn begin_sweep_step(&self, patience: Duration) -> Result<Option<Option<Cursor>>> {
        sweep::begin(self, patience).await
    }

    async fn end_sweep_step(&self, next: Option<&Cursor>, pause: Duration) -> Result<()> {
        sweep::end(self, next, pause).await
    }

    async fn made_at(&self) -> Result<Timestamp> {
        sweep::made_at(self).await
    }
}
