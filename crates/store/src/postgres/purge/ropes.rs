//! Ropes that no version has, and pieces that belong to nobody.

use cacheroach_model::{RopeId, TenantId};
use deadpool_postgres::Transaction;

use super::super::row::{all, blob, change, get, limit, one};
use super::super::run::Outcome;
use super::super::statement::sql;
use super::{AGAIN, Turn};
use crate::purge::Removed;

pub(super) async fn remove(transaction: &Transaction<'_>, batch: usize) -> Outcome<Removed> {
    // Of two collectors the second one waits, and finds what the first one left.
    let sql = sql!("SELECT tenant, rope FROM loose_ropes ORDER BY tenant, rope LIMIT $1 FOR UPDATE");
    let loose: Vec<(TenantId, RopeId)> =
        all(transaction, &sql, &[&limit(batch)], |row| Ok((blob(row, "tenant")?, blob(row, "rope")?)))
            .await?;
    let (mut gone, mut room, mut more) = (0, batch, loose.len() >= batch);
    let turn = Turn::begin();
    for (tenant, rope) in loose {
        if room == 0 || turn.is_over() {
            more = true;
            break;
        }
        let (tenant, rope) = (&tenant.as_bytes()[..], &rope.as_bytes()[..]);
        let pieces = match is_needed(transaction, tenant, rope).await? {
            true => 0,
            false => take_apart(transaction, tenant, rope, room).await?,
        };
        gone += pieces;
        if pieces >= room {
            // Maybe not all of them: the rope stays on the list.
            more = true;
            break;
        }
        room -= pieces;
        let sql = sql!("DELETE FROM loose_ropes WHERE tenant = $1 AND rope = $2");
        change(transaction, &sql, &[&tenant, &rope]).await?;
    }
    Ok(Removed { rows: gone, more })
}

/// By a version, or by the upload that builds it. Whoever is just making a version of it holds the rope's row: they are
/// waited for, and the second statement sees what they made.
async fn is_needed(transaction: &Transaction<'_>, tenant: &[u8], rope: &[u8]) -> Outcome<bool> {
    let sql = sql!("SELECT size FROM ropes WHERE tenant = $1 AND rope = $2 FOR UPDATE");
    one(transaction, &sql, &[&tenant, &rope], |_| Ok(())).await?;
    let sql = sql!(
        "SELECT EXISTS (SELECT 1 FROM versions WHERE tenant = $1 AND rope = $2)
             OR EXISTS (SELECT 1 FROM uploads WHERE upload = $2 AND outcome IS NULL) AS needed"
    );
    Ok(one(transaction, &sql, &[&tenant, &rope], |row| get(row, "needed")).await?.unwrap_or(true))
}

/// Removes a rope, so that nobody finds it by its hash, and some of its pieces: how many.
pub(in super::super) async fn take_apart(
    transaction: &Transaction<'_>,
    tenant: &[u8],
    rope: &[u8],
    most: usize,
) -> Outcome<usize> {
    let sql = sql!("DELETE FROM ropes WHERE tenant = $1 AND rope = $2");
    change(transaction, &sql, &[&tenant, &rope]).await?;
    let sql = sql!(
        "WITH gone AS (
             DELETE FROM pieces WHERE tenant = $1::BYTEA AND rope = $2 AND at IN
                 (SELECT at FROM pieces WHERE tenant = $1::BYTEA AND rope = $2 ORDER BY at LIMIT $3)
             RETURNING chunk),
         suspects AS (
             INSERT INTO candidates (chunk, tenant) SELECT DISTINCT chunk, $1::BYTEA FROM gone ORDER BY chunk
             {AGAIN}
             RETURNING chunk)
         SELECT count(*) AS gone FROM gone"
    );
    let pieces =
        one(transaction, &sql, &[&tenant, &rope, &limit(most)], |row| get::<i64>(row, "gone")).await?;
    Ok(pieces.and_then(|pieces| usize::try_from(pieces).ok()).unwrap_or(0))
}
