//! How bytes are brought home, in PostgreSQL.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use cacheroach_model::{Hash, TenantId, Timestamp};
use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::Row;

use super::Postgres;
use super::chunks::new_generation;
use super::row::{Values, all, blob, change, get, limit, optional_blob, time};
use super::run::Outcome;
use super::statement::sql;
use crate::Result;
use crate::regions::{Moved, Moving, Next};

fn moving(row: &Row) -> Result<Moving> {
    Ok(Moving {
        tenant: blob(row, "tenant")?,
        moved_at: time(row, "moved_at")?,
        begun_at: time(row, "begun_at")?,
        after: optional_blob(row, "after")?,
    })
}

/// Notes that a tenant was moved; a walk that is under way begins anew.
pub(super) async fn note(client: &impl GenericClient, tenant: &[u8], now: Timestamp) -> Outcome<()> {
    let sql = sql!(
        "INSERT INTO moving (tenant, moved_at, begun_at, due_at) VALUES ($1, $2, $2, $2)
         ON CONFLICT (tenant) DO UPDATE SET moved_at = GREATEST(excluded.moved_at, moving.moved_at + 1),
             due_at = excluded.due_at, after = NULL"
    );
    change(client, &sql, &[&tenant, &now.micros()]).await.map(drop)
}

pub(super) async fn note_some(
    postgres: &Postgres,
    after: Option<TenantId>,
    most: usize,
) -> Result<Option<TenantId>> {
    let after = after.map(|tenant| tenant.as_bytes().to_vec()).unwrap_or_default();
    let sql = sql!(
        "INSERT INTO moving (tenant, moved_at, begun_at, due_at)
         SELECT n.tenant, 0, $3, $3 FROM
             (SELECT tenant FROM tenants WHERE tenant > $1 ORDER BY tenant LIMIT $2) AS n
         ON CONFLICT (tenant) DO UPDATE SET due_at = excluded.due_at
         RETURNING tenant"
    );
    let values = &[&after as _, &limit(most) as _, &postgres.now().micros() as _];
    let noted: Vec<TenantId> = postgres.all(&sql, values, |row| blob(row, "tenant")).await?;
    Ok(noted.iter().max().copied().filter(|_| noted.len() >= most))
}

/// Two that find the same tenant due wait for each other, and the second one finds that it is not. If nobody knows what
/// became of it, the tenant is due again when whoever had it is taken to have died.
pub(super) async fn begin(postgres: &Postgres, patience: Duration) -> Result<Option<Moving>> {
    let now = postgres.now();
    let sql = sql!(
        "UPDATE moving SET due_at = $2, begun_at = CASE WHEN after IS NULL THEN $1 ELSE begun_at END
         WHERE due_at <= $1
             AND tenant IN (SELECT tenant FROM moving WHERE due_at <= $1 ORDER BY due_at LIMIT 1)
         RETURNING tenant, moved_at, begun_at, after"
    );
    postgres.one(&sql, &[&now.micros(), &now.after(patience).micros()], moving).await
}

pub(super) async fn end(postgres: &Postgres, moving: &Moving, next: Next) -> Result<()> {
    let now = postgres.now();
    let (tenant, moved_at) = (&moving.tenant.as_bytes()[..], moving.moved_at.micros());
    let (pause, again) = match next {
        Next::After(pause) => (pause, moved_at),
        Next::Again(pause) => (pause, now.micros().max(moved_at)),
        Next::Home => {
            let sql = sql!("DELETE FROM moving WHERE tenant = $1 AND moved_at = $2");
            return postgres.set(&sql, &[&tenant, &moved_at]).await;
        }
    };
    let sql =
        sql!("UPDATE moving SET after = $3, due_at = $4, moved_at = $5 WHERE tenant = $1 AND moved_at = $2");
    let after = moving.after.as_ref().map(|after| &after.as_bytes()[..]);
    postgres.set(&sql, &[&tenant, &moved_at, &after, &now.after(pause).micros(), &again]).await
}

pub(super) async fn lease(postgres: &Postgres, count: usize, length: Duration) -> Result<Vec<i64>> {
    let generations = (0..count).map(|_| new_generation()).collect::<Result<Vec<_>>>()?;
    let sql = sql!(
        "INSERT INTO moves (generation, deadline) SELECT n.generation, $2
         FROM unnest($1::INT8[]) AS n (generation) ON CONFLICT (generation) DO NOTHING"
    );
    postgres.set(&sql, &[&generations, &postgres.now().after(length).micros()]).await?;
    Ok(generations)
}

/// Lets chunks go on in other lives, with their leases, where they are still in those that were read. It may be
/// repeated: a chunk that is in its new life already was moved by the try before.
pub(super) async fn move_all(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    moved: &[Moved],
    now: Timestamp,
) -> Outcome<Vec<bool>> {
    let id = &tenant.as_bytes()[..];
    let chunks: Vec<&[u8]> = moved.iter().map(|one| &one.chunk.as_bytes()[..]).collect();
    // Whoever is just referring to one of them is waited for. In the order in which uploads and collectors lock them.
    let sql = sql!(
        "SELECT chunk, generation, (state = 1 AND place IS NOT NULL) AS movable FROM chunks
         WHERE tenant = $1 AND chunk = ANY($2) ORDER BY chunk FOR UPDATE"
    );
    let values: Values<'_> = &[&id, &chunks];
    let found = all(transaction, &sql, values, |row| {
        Ok((blob::<Hash>(row, "chunk")?, (get::<i64>(row, "generation")?, get::<bool>(row, "movable")?)))
    });
    let found: HashMap<Hash, (i64, bool)> = found.await?.into_iter().collect();
    let leases: Vec<i64> = moved.iter().map(|one| one.to).collect();
    let sql = sql!("DELETE FROM moves WHERE generation = ANY($1) RETURNING generation");
    let leased = all(transaction, &sql, &[&leases], |row| get::<i64>(row, "generation")).await?;
    let leased: HashSet<i64> = leased.into_iter().collect();
    let movable = |one: &&Moved| leased.contains(&one.to) && found.get(&one.chunk) == Some(&(one.from, true));
    let movable: Vec<&Moved> = moved.iter().filter(movable).collect();
    if !movable.is_empty() {
        go_on(transaction, id, &movable, now).await?;
    }
    let is_there = |one: &Moved| {
        movable.iter().any(|other| other.to == one.to)
            || found.get(&one.chunk).is_some_and(|(generation, _)| *generation == one.to)
    };
    Ok(moved.iter().map(is_there).collect())
}

/// Chunks whose rows are locked.
async fn go_on(
    transaction: &Transaction<'_>,
    tenant: &[u8],
    moved: &[&Moved],
    now: Timestamp,
) -> Outcome<()> {
    let chunks: Vec<&[u8]> = moved.iter().map(|one| &one.chunk.as_bytes()[..]).collect();
    let from: Vec<i64> = moved.iter().map(|one| one.from).collect();
    let to: Vec<i64> = moved.iter().map(|one| one.to).collect();
    let places: Vec<&[u8]> = moved.iter().map(|one| &one.place.0[..]).collect();
    let sql = sql!(
        "INSERT INTO condemned (generation, tenant, chunk, length, place, condemned_at)
         SELECT generation, tenant, chunk, length, place, $3 FROM chunks
         WHERE tenant = $1 AND chunk = ANY($2)"
    );
    change(transaction, &sql, &[&tenant, &chunks, &now.micros()]).await?;
    let sql = sql!(
        "UPDATE chunks SET generation = n.generation, place = n.place
         FROM unnest($2::BYTEA[], $3::INT8[], $4::BYTEA[]) AS n (chunk, generation, place)
         WHERE chunks.tenant = $1 AND chunks.chunk = n.chunk"
    );
    change(transaction, &sql, &[&tenant, &chunks, &to, &places]).await?;
    let sql = sql!(
        "UPDATE leases SET generation = n.later
         FROM unnest($2::BYTEA[], $3::INT8[], $4::INT8[]) AS n (chunk, earlier, later)
         WHERE leases.tenant = $1 AND leases.chunk = n.chunk AND leases.generation = n.earlier"
    );
    change(transaction, &sql, &[&tenant, &chunks, &from, &to]).await.map(drop)
}
