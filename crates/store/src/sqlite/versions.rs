//! Versions and heads in SQLite: the changes that larger transactions are made of.

use cacheroach_model::{Expected, File, Path, RopeId, TenantId, Timestamp, Version};
use rusqlite::{Connection, params};

use super::purge::note_overwritten;
use super::row::{FILE, change, file, get, metadata_text, one, signed};
use crate::files::NewFile;
use crate::{Error, Result};

/// Makes a rope of the tenant, which must be visible, the next version of a file. Part of a larger transaction.
pub(super) fn add_version(
    connection: &Connection,
    new: &NewFile,
    rope: Option<RopeId>,
    size: u64,
    now: Timestamp,
) -> Result<Version> {
    add_version_of(connection, new, rope, size, now, now)
}

/// The same for a content that may be older than its file: `since` is when a file that is new here came into being.
pub(super) fn add_version_of(
    connection: &Connection,
    new: &NewFile,
    rope: Option<RopeId>,
    size: u64,
    since: Timestamp,
    now: Timestamp,
) -> Result<Version> {
    let (tenant, path) = (new.tenant.as_bytes(), new.path.as_str());
    // Deleted versions count: numbers of a path only grow. A path that was deleted comes into being anew.
    // So do those that are purged.
    let sql = "SELECT (SELECT MAX(version) FROM versions WHERE tenant = ?1 AND path = ?2) AS last,
                      (SELECT version FROM last_versions WHERE tenant = ?1 AND path = ?2) AS purged,
                      (SELECT created_at FROM files WHERE tenant = ?1 AND path = ?2) AS created_at";
    let (last, created_at) = one(connection, sql, params![tenant, path], |row| {
        let last = get::<Option<i64>>(row, "last")?.max(get(row, "purged")?);
        Ok((last, get::<Option<i64>>(row, "created_at")?))
    })?
    .unwrap_or_default();
    // The last version is the current one unless it is deleted: then there is no head.
    let current = created_at.and(last).map(Version);
    if !new.expected.is_met_by(current) {
        return Err(Error::Skew);
    }
    if current.is_some() {
        note_overwritten(connection, new.tenant, &new.path, now)?;
    }
    let version = last.unwrap_or(0) + 1;
    for sql in [
        "INSERT INTO versions (tenant, path, version, rope, hash, size, content_type, created_at, modified_at, metadata)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        "INSERT OR REPLACE INTO files
             (tenant, path, version, rope, hash, size, content_type, created_at, modified_at, metadata)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    ] {
        let values = params![
            tenant,
            path,
            version,
            rope.as_ref().map(RopeId::as_bytes),
            new.hash.as_bytes(),
            signed(size),
            new.content_type,
            created_at.unwrap_or(since.micros()),
            now.micros(),
            metadata_text(&new.metadata),
        ];
        change(connection, sql, values)?;
    }
    Ok(Version(version))
}

pub(super) fn find(
    connection: &Connection,
    tenant: TenantId,
    path: &Path,
    version: Option<Version>,
) -> Result<Option<File>> {
    let (tenant, path) = (tenant.as_bytes(), path.as_str());
    match version {
        None => {
            let sql = select(&format!("FROM files WHERE tenant = ?1 AND path = ?2 AND {STANDS}"));
            one(connection, &sql, params![tenant, path], file)
        }
        Some(Version(version)) => {
            let sql = select(&format!(
                "FROM versions WHERE tenant = ?1 AND path = ?2 AND version = ?3 AND deleted_at IS NULL AND {STANDS}"
            ));
            one(connection, &sql, params![tenant, path, version], file)
        }
    }
}

/// That the tenant (`?1`) is not one of those whose rows are being cleared away.
pub(super) const STANDS: &str = "NOT EXISTS (SELECT 1 FROM gone_tenants WHERE tenant = ?1)";

pub(super) fn select(from: &str) -> String {
    format!("SELECT {FILE} {from}")
}

/// After so many versions of several files a transaction ends: others wait to write.
pub(super) const MOST_VERSIONS: usize = 5_000;

/// Deletes all versions of a file, and tells how many that were. Part of a larger transaction.
pub(super) fn delete(
    connection: &Connection,
    tenant: TenantId,
    path: &Path,
    expected: Expected,
    now: Timestamp,
) -> Result<usize> {
    if expected != Expected::Anything {
        let current = find(connection, tenant, path, None)?.map(|file| file.version);
        if !expected.is_met_by(current) {
            return Err(Error::Skew);
        }
    }
    let (tenant, path) = (tenant.as_bytes(), path.as_str());
    let sql = "DELETE FROM files WHERE tenant = ? AND path = ?";
    change(connection, sql, params![tenant, path])?;
    let sql = "UPDATE versions SET deleted_at = ? WHERE tenant = ? AND path = ? AND deleted_at IS NULL";
    change(connection, sql, params![now.micros(), tenant, path])
}
