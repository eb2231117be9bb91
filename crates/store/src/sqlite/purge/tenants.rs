//! What a deleted tenant left.

use cacheroach_model::{Hash, TenantId, UploadId};
use rusqlite::{Connection, params};

use super::super::row::{all, blob, change, get, length, limit};
use super::{chunks, end_upload};
use crate::Result;
use crate::chunks::Place;
use crate::purge::Condemned;

pub(super) fn remove(connection: &Connection, batch: usize) -> Result<usize> {
    let sql = "SELECT tenant FROM gone_tenants LIMIT ?";
    let tenants: Vec<TenantId> = all(connection, sql, [limit(batch)], |row| blob(row, "tenant"))?;
    let mut rows = 0;
    for tenant in tenants {
        if rows >= batch {
            break;
        }
        rows += clear(connection, tenant, batch - rows)?;
    }
    Ok(rows)
}

/// Removes some of what a tenant left: how many rows. When there is nothing any more, it is forgotten.
pub(in super::super) fn clear(connection: &Connection, tenant: TenantId, most: usize) -> Result<usize> {
    // Uploads first: after them nothing comes any more.
    let mut rows = clear_uploads(connection, tenant, most)?;
    for sql in [
        "DELETE FROM files WHERE tenant = ?1 AND path IN (SELECT path FROM files WHERE tenant = ?1 LIMIT ?2)",
        "DELETE FROM versions WHERE tenant = ?1 AND (path, version) IN
             (SELECT path, version FROM versions WHERE tenant = ?1 LIMIT ?2)",
        "DELETE FROM overwritten WHERE tenant = ?1 AND path IN
             (SELECT path FROM overwritten WHERE tenant = ?1 LIMIT ?2)",
        "DELETE FROM last_versions WHERE tenant = ?1 AND path IN
             (SELECT path FROM last_versions WHERE tenant = ?1 LIMIT ?2)",
        "DELETE FROM ropes WHERE tenant = ?1 AND rope IN (SELECT rope FROM ropes WHERE tenant = ?1 LIMIT ?2)",
        "DELETE FROM pieces WHERE tenant = ?1 AND (rope, at) IN
             (SELECT rope, at FROM pieces WHERE tenant = ?1 LIMIT ?2)",
        "DELETE FROM loose_ropes WHERE tenant = ?1 AND rope IN
             (SELECT rope FROM loose_ropes WHERE tenant = ?1 LIMIT ?2)",
    ] {
        if rows < most {
            rows += change(connection, sql, params![tenant.as_bytes(), limit(most - rows)])?;
        }
    }
    if rows < most {
        rows += condemn_all(connection, tenant, most - rows)?;
    }
    if rows < most {
        rows += change(connection, "DELETE FROM gone_tenants WHERE tenant = ?", [tenant.as_bytes()])?;
    }
    Ok(rows)
}

fn clear_uploads(connection: &Connection, tenant: TenantId, most: usize) -> Result<usize> {
    let sql = "SELECT upload FROM uploads WHERE tenant = ? LIMIT ?";
    let values = params![tenant.as_bytes(), limit(most)];
    let uploads: Vec<UploadId> = all(connection, sql, values, |row| blob(row, "upload"))?;
    let mut rows = 0;
    for upload in uploads {
        if rows >= most {
            break;
        }
        rows += end_upload(connection, tenant, upload, most - rows)?;
    }
    Ok(rows)
}

/// Nothing refers to any of them: pieces and leases are gone.
fn condemn_all(connection: &Connection, tenant: TenantId, most: usize) -> Result<usize> {
    let sql = "SELECT chunk, generation, length, place FROM chunks WHERE tenant = ? LIMIT ?";
    let rows: Vec<(Hash, i64, u32, Option<Vec<u8>>)> =
        all(connection, sql, params![tenant.as_bytes(), limit(most)], |row| {
            Ok((blob(row, "chunk")?, get(row, "generation")?, length(row, "length")?, get(row, "place")?))
        })?;
    let count = rows.len();
    for (chunk, generation, length, place) in rows {
        let sql = "DELETE FROM chunks WHERE tenant = ? AND chunk = ?";
        change(connection, sql, params![tenant.as_bytes(), chunk.as_bytes()])?;
        if let Some(place) = place {
            // Handed out to nobody yet: whoever condemns next takes it over.
            let condemned = Condemned { tenant, chunk, generation, length, place: Place(place) };
            chunks::add(connection, &condemned, i64::MIN)?;
        }
    }
    Ok(count)
}
