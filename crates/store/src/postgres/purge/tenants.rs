//! What a deleted tenant left.

use cacheroach_model::{TenantId, UploadId};
use deadpool_postgres::Transaction;

use super::super::row::{all, blob, change, get, limit, one};
use super::super::run::Outcome;
use super::super::statement::sql;
use super::{rows, uploads};

pub(super) async fn remove(transaction: &Transaction<'_>, batch: usize) -> Outcome<usize> {
    let sql = sql!("SELECT tenant FROM gone_tenants ORDER BY tenant LIMIT $1");
    let tenants: Vec<TenantId> = all(transaction, &sql, &[&limit(batch)], |row| blob(row, "tenant")).await?;
    let mut gone = 0;
    for tenant in tenants {
        if gone >= batch {
            break;
        }
        gone += clear(transaction, tenant, batch - gone).await?;
    }
    Ok(gone)
}

/// Removes some of what a tenant left: how many rows. When there is nothing any more, it is forgotten.
///
/// Its row is the lock: of two that clear at once, one would take the rows that the other one removes for the last ones.
pub(in super::super) async fn clear(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    most: usize,
) -> Outcome<usize> {
    let id = &tenant.as_bytes()[..];
    let sql = sql!("SELECT gone_at FROM gone_tenants WHERE tenant = $1 FOR UPDATE");
    if one(transaction, &sql, &[&id], |_| Ok(())).await?.is_none() {
        return Ok(0);
    }
    // Uploads first: after them nothing comes any more.
    let (mut gone, are_all) = clear_uploads(transaction, tenant, most).await?;
    if !are_all {
        return Ok(gone);
    }
    for (table, key) in [
        ("files", "path"),
        ("versions", "path, version"),
        ("overwritten", "path"),
        ("last_versions", "path"),
        ("ropes", "rope"),
        ("pieces", "rope, at"),
        ("loose_ropes", "rope"),
    ] {
        if gone < most {
            let sql = sql!(
                "DELETE FROM {table} WHERE tenant = $1 AND ({key}) IN
                     (SELECT {key} FROM {table} WHERE tenant = $1 LIMIT $2)"
            );
            gone += rows(change(transaction, &sql, &[&id, &limit(most - gone)]).await?);
        }
    }
    if gone < most {
        gone += condemn_all(transaction, id, most - gone).await?;
    }
    if gone < most {
        let sql = sql!("DELETE FROM gone_tenants WHERE tenant = $1");
        gone += rows(change(transaction, &sql, &[&id]).await?);
    }
    Ok(gone)
}

/// How many rows went, and whether there may be no upload any more.
async fn clear_uploads(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    most: usize,
) -> Outcome<(usize, bool)> {
    let sql = sql!("SELECT upload FROM uploads WHERE tenant = $1 LIMIT $2 FOR UPDATE");
    let values = &[&&tenant.as_bytes()[..] as _, &limit(most) as _];
    let found: Vec<(UploadId, TenantId)> =
        all(transaction, &sql, values, |row| Ok((blob(row, "upload")?, tenant))).await?;
    let ended = uploads::end_all(transaction, found, most).await?;
    Ok((ended.rows, !ended.more))
}

/// Nothing refers to any of them: pieces and leases are gone. They are handed out to nobody yet: whoever condemns next
/// takes them over.
async fn condemn_all(transaction: &Transaction<'_>, tenant: &[u8], most: usize) -> Outcome<usize> {
    let sql = sql!(
        "WITH gone AS (
             DELETE FROM chunks WHERE tenant = $1
                 AND chunk IN (SELECT chunk FROM chunks WHERE tenant = $1 LIMIT $2)
             RETURNING chunk, generation, length, place),
         noted AS (
             INSERT INTO condemned (generation, tenant, chunk, length, place, condemned_at)
             SELECT generation, $1, chunk, length, place, $3 FROM gone WHERE place IS NOT NULL
             RETURNING generation)
         SELECT count(*) AS gone FROM gone"
    );
    let values = &[&tenant as _, &limit(most) as _, &i64::MIN as _];
    let gone = one(transaction, &sql, values, |row| get::<i64>(row, "gone")).await?;
    Ok(gone.and_then(|gone| usize::try_from(gone).ok()).unwrap_or(0))
}
