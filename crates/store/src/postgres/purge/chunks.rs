//! Chunks that nothing refers to.

use std::time::Duration;

use cacheroach_model::{Hash, TenantId, Timestamp};
use deadpool_postgres::Transaction;
use tokio_postgres::Row;

use super::super::row::{all, blob, change, get, length, limit};
use super::super::run::Outcome;
use super::super::statement::sql;
use super::{AGAIN, ago};
use crate::Result;
use crate::chunks::Place;
use crate::purge::{Condemned, Condemning};

/// Which, of whom.
type Key = (TenantId, Hash);

fn key(row: &Row) -> Result<Key> {
    Ok((blob(row, "tenant")?, blob(row, "chunk")?))
}

/// As a statement takes them.
fn columns(keys: &[Key]) -> (Vec<&[u8]>, Vec<&[u8]>) {
    keys.iter().map(|(tenant, chunk)| (&tenant.as_bytes()[..], &chunk.as_bytes()[..])).unzip()
}

/// That neither a piece nor an upload under way needs the chunk `n`; `now` is a value.
fn unneeded(now: &str) -> String {
    format!(
        "NOT EXISTS (SELECT 1 FROM pieces p WHERE p.tenant = n.tenant AND p.chunk = n.chunk)
         AND NOT EXISTS (SELECT 1 FROM leases l JOIN uploads u ON u.upload = l.upload
                         WHERE l.tenant = n.tenant AND l.chunk = n.chunk AND u.deadline > {now}
                             AND u.outcome IS NULL)"
    )
}

pub(super) async fn condemn(
    transaction: &Transaction<'_>,
    from: Hash,
    dead_after: Duration,
    batch: usize,
    now: Timestamp,
) -> Outcome<Condemning> {
    let taken = take_over(transaction, ago(now, dead_after), batch, now).await?;
    let mut done = Condemning { more: taken.len() >= batch, chunks: taken, ..Condemning::default() };
    // What is needed is noted again by whoever needs it last.
    let candidates = strike_off(transaction, from, batch).await?;
    done.more |= candidates.len() >= batch;
    if candidates.is_empty() {
        return Ok(done);
    }
    lock(transaction, &candidates).await?;
    for (condemned, place) in remove(transaction, &candidates, now).await? {
        match place {
            None => {
                done.dropped += 1;
                done.dropped_bytes += u64::from(condemned.length);
            }
            Some(place) => done.chunks.push(Condemned { place: Place(place), ..condemned }),
        }
    }
    Ok(done)
}

/// What was handed out so long ago that whoever had it must be dead.
async fn take_over(
    transaction: &Transaction<'_>,
    handed_out_by: i64,
    batch: usize,
    now: Timestamp,
) -> Outcome<Vec<Condemned>> {
    let sql = sql!(
        "UPDATE condemned SET condemned_at = $3 WHERE condemned_at <= $1 AND generation IN
             (SELECT generation FROM condemned WHERE condemned_at <= $1 ORDER BY condemned_at LIMIT $2)
         RETURNING tenant, chunk, generation, length, place"
    );
    let taken = all(transaction, &sql, &[&handed_out_by, &limit(batch), &now.micros()], |row| {
        let (tenant, chunk) = key(row)?;
        let (generation, length) = (get(row, "generation")?, length(row, "length")?);
        Ok(Condemned { tenant, chunk, generation, length, place: Place(get(row, "place")?) })
    })
    .await?;
    Ok(taken)
}

/// Takes candidates off the list, around the ring of all hashes.
async fn strike_off(transaction: &Transaction<'_>, from: Hash, batch: usize) -> Outcome<Vec<Key>> {
    let mut found = Vec::new();
    for half in ["chunk >= $1", "chunk < $1"] {
        let sql = sql!(
            "DELETE FROM candidates WHERE (chunk, tenant) IN
                 (SELECT chunk, tenant FROM candidates WHERE {half} ORDER BY chunk, tenant LIMIT $2)
             RETURNING chunk, tenant"
        );
        let room = limit(batch - found.len());
        found.extend(all(transaction, &sql, &[&&from.as_bytes()[..], &room], key).await?);
    }
    Ok(found)
}

/// Whoever is just referring to one of them holds its row: they are waited for, and the statement after this one sees
/// what they did. Rows are locked in the order in which uploads lock them.
async fn lock(transaction: &Transaction<'_>, keys: &[Key]) -> Outcome<()> {
    let sql = sql!(
        "SELECT length FROM chunks WHERE (tenant, chunk) IN
             (SELECT n.tenant, n.chunk FROM unnest($1::BYTEA[], $2::BYTEA[]) AS n (tenant, chunk))
         ORDER BY tenant, chunk FOR UPDATE"
    );
    let (tenants, chunks) = columns(keys);
    all(transaction, &sql, &[&tenants, &chunks], |_| Ok(())).await.map(drop)
}

/// Removes those of locked rows that nothing refers to, and notes where the bytes are that are still to be erased.
async fn remove(
    transaction: &Transaction<'_>,
    keys: &[Key],
    now: Timestamp,
) -> Outcome<Vec<(Condemned, Option<Vec<u8>>)>> {
    let unneeded = unneeded("$3");
    let sql = sql!(
        "WITH gone AS (
             DELETE FROM chunks WHERE (tenant, chunk) IN
                 (SELECT n.tenant, n.chunk FROM unnest($1::BYTEA[], $2::BYTEA[]) AS n (tenant, chunk)
                  WHERE {unneeded})
             RETURNING tenant, chunk, generation, length, place),
         noted AS (
             INSERT INTO condemned (generation, tenant, chunk, length, place, condemned_at)
             SELECT generation, tenant, chunk, length, place, $3 FROM gone WHERE place IS NOT NULL
             RETURNING generation)
         SELECT tenant, chunk, generation, length, place FROM gone"
    );
    let (tenants, chunks) = columns(keys);
    let gone = all(transaction, &sql, &[&tenants, &chunks, &now.micros()], |row| {
        let (tenant, chunk) = key(row)?;
        let (generation, length) = (get(row, "generation")?, length(row, "length")?);
        let condemned = Condemned { tenant, chunk, generation, length, place: Place(Vec::new()) };
        Ok((condemned, get(row, "place")?))
    })
    .await?;
    Ok(gone)
}

/// Of so many rows after one, notes those that nothing needs; and where to go on.
pub(super) async fn walk(
    transaction: &Transaction<'_>,
    after: Option<Key>,
    most: usize,
    now: Timestamp,
) -> Outcome<Option<Key>> {
    let (tenant, chunk) = match &after {
        Some((tenant, chunk)) => (&tenant.as_bytes()[..], &chunk.as_bytes()[..]),
        None => Default::default(),
    };
    let unneeded = unneeded("$4");
    let sql = sql!(
        "SELECT n.tenant, n.chunk, {unneeded} AS unneeded FROM (
             SELECT tenant, chunk FROM chunks WHERE (tenant, chunk) > ($1, $2)
             ORDER BY tenant, chunk LIMIT $3) AS n
         ORDER BY n.tenant, n.chunk"
    );
    let values = &[&tenant as _, &chunk as _, &limit(most) as _, &now.micros() as _];
    let found = all(transaction, &sql, values, |row| Ok((key(row)?, get::<bool>(row, "unneeded")?))).await?;
    let next = if found.len() < most { None } else { found.last().map(|(key, _)| *key) };
    let suspects: Vec<Key> =
        found.into_iter().filter_map(|(key, unneeded)| unneeded.then_some(key)).collect();
    if !suspects.is_empty() {
        let sql = sql!(
            "INSERT INTO candidates (chunk, tenant)
             SELECT n.chunk, n.tenant FROM unnest($1::BYTEA[], $2::BYTEA[]) AS n (tenant, chunk)
             ORDER BY n.chunk {AGAIN}"
        );
        let (tenants, chunks) = columns(&suspects);
        change(transaction, &sql, &[&tenants, &chunks]).await?;
    }
    Ok(next)
}
