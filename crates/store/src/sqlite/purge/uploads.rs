//! Uploads that are over.

use cacheroach_model::{Hash, TenantId, Timestamp, UploadId};
use rusqlite::{Connection, params};

use super::super::row::{all, blob, change, limit};
use super::{ago, loosen, suspect};
use crate::Result;
use crate::purge::FINISHED_REST;
use crate::uploads::rope_of;

pub(super) fn remove(connection: &Connection, now: Timestamp, batch: usize) -> Result<usize> {
    // What a mover leased and did not come back for.
    let sql = "DELETE FROM moves WHERE generation IN
                   (SELECT generation FROM moves WHERE deadline <= ? ORDER BY deadline LIMIT ?)";
    let moves = change(connection, sql, params![now.micros(), limit(batch)])?;
    let sql = "DELETE FROM uploads WHERE upload IN
                   (SELECT upload FROM uploads WHERE outcome IS NOT NULL AND deadline <= ?
                    ORDER BY deadline LIMIT ?)";
    let values = params![ago(now, FINISHED_REST), limit(batch - moves)];
    let mut rows = moves + change(connection, sql, values)?;
    let sql = "SELECT upload, tenant FROM uploads WHERE outcome IS NULL AND deadline <= ?
               ORDER BY deadline LIMIT ?";
    let values = params![now.micros(), limit(batch - rows)];
    let overdue: Vec<(UploadId, TenantId)> =
        all(connection, sql, values, |row| Ok((blob(row, "upload")?, blob(row, "tenant")?)))?;
    for (upload, tenant) in overdue {
        if rows >= batch {
            break;
        }
        rows += end_upload(connection, tenant, upload, batch - rows)?;
    }
    Ok(rows)
}

/// Removes some leases of an upload that is over, and after the last one the upload itself: how many rows.
pub(in super::super) fn end_upload(
    connection: &Connection,
    tenant: TenantId,
    upload: UploadId,
    most: usize,
) -> Result<usize> {
    let sql = "SELECT chunk FROM leases WHERE upload = ? LIMIT ?";
    let leased: Vec<Hash> =
        all(connection, sql, params![upload.as_bytes(), limit(most)], |row| blob(row, "chunk"))?;
    for chunk in &leased {
        let sql = "DELETE FROM leases WHERE upload = ? AND chunk = ?";
        change(connection, sql, params![upload.as_bytes(), chunk.as_bytes()])?;
        suspect(connection, tenant, chunk)?;
    }
    if leased.len() >= most {
        return Ok(leased.len());
    }
    loosen(connection, tenant, rope_of(upload))?;
    let gone = change(connection, "DELETE FROM uploads WHERE upload = ?", [upload.as_bytes()])?;
    Ok(leased.len() + gone)
}
