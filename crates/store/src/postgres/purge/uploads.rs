//! Uploads that are over.

use cacheroach_model::{TenantId, Timestamp, UploadId};
use deadpool_postgres::Transaction;

use super::super::row::{all, blob, change, limit};
use super::super::run::Outcome;
use super::super::statement::sql;
use super::super::uploads::end_upload;
use super::{Turn, ago, rows};
use crate::purge::{FINISHED_REST, Removed};

pub(super) async fn remove(transaction: &Transaction<'_>, now: Timestamp, batch: usize) -> Outcome<Removed> {
    // What a mover leased and did not come back for.
    let sql = sql!(
        "DELETE FROM moves WHERE generation IN
             (SELECT generation FROM moves WHERE deadline <= $1 ORDER BY deadline LIMIT $2)"
    );
    let mut gone = rows(change(transaction, &sql, &[&now.micros(), &limit(batch)]).await?);
    let sql = sql!(
        "DELETE FROM uploads WHERE upload IN
             (SELECT upload FROM uploads WHERE outcome IS NOT NULL AND deadline <= $1
              ORDER BY deadline LIMIT $2)"
    );
    let finished =
        change(transaction, &sql, &[&ago(now, FINISHED_REST), &limit(batch.saturating_sub(gone))]).await?;
    gone += rows(finished);
    // One that is just being carried on is waited for, and then its deadline may be another.
    let sql = sql!(
        "SELECT upload, tenant FROM uploads WHERE outcome IS NULL AND deadline <= $1
         ORDER BY deadline LIMIT $2 FOR UPDATE"
    );
    let values = &[&now.micros() as _, &limit(batch.saturating_sub(gone)) as _];
    let overdue: Vec<(UploadId, TenantId)> =
        all(transaction, &sql, values, |row| Ok((blob(row, "upload")?, blob(row, "tenant")?))).await?;
    let ended = end_all(transaction, overdue, batch.saturating_sub(gone)).await?;
    gone += ended.rows;
    Ok(Removed { rows: gone, more: ended.more || gone >= batch })
}

/// Removes uploads whose rows are locked, as far as so many rows go.
pub(super) async fn end_all(
    transaction: &Transaction<'_>,
    uploads: Vec<(UploadId, TenantId)>,
    most: usize,
) -> Outcome<Removed> {
    let (mut gone, turn) = (0, Turn::begin());
    for (upload, tenant) in uploads {
        if gone >= most || turn.is_over() {
            return Ok(Removed { rows: gone, more: true });
        }
        let ended = end_upload(transaction, tenant, upload, limit(most - gone)).await?;
        gone += usize::try_from(ended).unwrap_or(0);
    }
    Ok(Removed { rows: gone, more: false })
}
