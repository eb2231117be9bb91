//! Listings in SQLite: walks of the indexes of heads and versions, in the byte order of paths.

use cacheroach_model::{Entry, File, PastFile, Path, TenantId, Timestamp, Version};
use rusqlite::{Connection, Row, params};

use super::cost::note;
use super::row::{FILE, all, file, get, limit, one, path};
use super::versions::{STANDS, find, select};
use crate::Result;
use crate::files::{Browsing, Listed, Listing, Moment};

/// The first path that is not below a prefix: its last slash becomes the character behind the slash.
fn behind(prefix: &str) -> String {
    format!("{}0", prefix.strip_suffix('/').unwrap_or(prefix))
}

/// What walks the files of a tenant from one path (`?2`) to before another (`?3`): heads, or what the versions were at a
/// time (`?4`, for heads the end of all time). SQLite takes all columns from the row that has the maximum.
fn walk(past: Option<Timestamp>, from: &str) -> String {
    match past {
        None => format!(
            "SELECT {FILE} FROM files
             WHERE tenant = ?1 AND path {from} ?2 AND path < ?3 AND modified_at <= ?4 AND {STANDS} ORDER BY path"
        ),
        Some(_) => format!(
            "SELECT {FILE}, MAX(version) FROM versions
             WHERE tenant = ?1 AND path {from} ?2 AND path < ?3 AND modified_at <= ?4
                 AND (deleted_at IS NULL OR deleted_at > ?4) AND {STANDS}
             GROUP BY path ORDER BY path"
        ),
    }
}

fn as_it_was(
    connection: &Connection,
    tenant: TenantId,
    path: &Path,
    then: Timestamp,
    deleted_since: bool,
) -> Result<Option<File>> {
    let sql = select(&format!(
        "FROM versions WHERE tenant = ?1 AND path = ?2 AND modified_at <= ?3
             AND (deleted_at IS NULL OR (?4 AND deleted_at > ?3)) AND {STANDS}
         ORDER BY version DESC LIMIT 1"
    ));
    one(connection, &sql, params![tenant.as_bytes(), path.as_str(), then.micros(), deleted_since], file)
}

pub(super) fn list(connection: &Connection, listing: &Listing) -> Result<Listed> {
    let tenant = listing.tenant;
    let past = match listing.at {
        Moment::Past(then) => Some(then),
        Moment::Now | Moment::Steady(_) => None,
    };
    let mut found = Vec::new();
    if let Some(path) = &listing.exactly
        && listing.after.as_ref().is_none_or(|after| after < path)
    {
        found.extend(match past {
            None => find(connection, tenant, path, None)?,
            Some(then) => as_it_was(connection, tenant, path, then, true)?,
        });
    }
    if let Some(dir) = &listing.below {
        let prefix = dir.prefix();
        let after = listing.after.as_ref().map_or(prefix.as_str(), Path::as_str).max(prefix.as_str());
        let sql = format!("{} LIMIT ?5", walk(past, ">"));
        let room = listing.limit.saturating_sub(found.len());
        let then = past.map_or(i64::MAX, Timestamp::micros);
        let values = params![tenant.as_bytes(), after, behind(&prefix), then, limit(room)];
        found.extend(all(connection, &sql, values, file)?);
    }
    let next = if found.len() >= listing.limit { found.last().map(|last| last.path.clone()) } else { None };
    let Moment::Steady(then) = listing.at else { return Ok(Listed { files: found, next }) };
    // Written since: as it was then, if it was there then.
    let steady = |head: File| match head.modified_at > then {
        true => as_it_was(connection, tenant, &head.path, then, false),
        false => Ok(Some(head)),
    };
    let files = found.into_iter().filter_map(|head| steady(head).transpose()).collect::<Result<_>>()?;
    Ok(Listed { files, next })
}

/// Walks the index and jumps over each subdirectory once it has seen one file in it.
pub(super) fn browse(connection: &Connection, browsing: &Browsing) -> Result<Vec<Entry>> {
    let prefix = browsing.dir.prefix();
    let end = behind(&prefix);
    let mut from = match browsing.after.as_deref() {
        None => prefix.clone(),
        Some(name) if name.ends_with('/') => behind(&format!("{prefix}{name}")),
        // No path sorts between a name and the same name with the lowest character allowed in a path behind it.
        Some(name) => format!("{prefix}{name}\u{1}"),
    };
    let sql = walk(browsing.past, ">=");
    let mut statement = connection.prepare_cached(&sql)?;
    let then = browsing.past.map_or(i64::MAX, Timestamp::micros);
    let mut entries = Vec::new();
    'seek: while entries.len() < browsing.limit {
        let mut rows = statement.query(params![browsing.tenant.as_bytes(), from, end, then])?;
        while let Some(row) = rows.next()? {
            let path = path(row)?;
            let name = path.as_str().strip_prefix(&prefix).unwrap_or_default();
            if let Some((directory, _)) = name.split_once('/') {
                from = behind(&format!("{prefix}{directory}/"));
                entries.push(Entry::Directory(directory.to_owned()));
                continue 'seek;
            }
            entries.push(Entry::File(file(row)?));
            if entries.len() == browsing.limit {
                break 'seek;
            }
        }
        break;
    }
    note(&sql, &statement);
    Ok(entries)
}

pub(super) fn versions(
    connection: &Connection,
    tenant: TenantId,
    at: &Path,
    before: Option<Version>,
    most: usize,
) -> Result<Vec<PastFile>> {
    let sql = format!(
        "SELECT {FILE}, deleted_at FROM versions WHERE tenant = ?1 AND path = ?2 AND version < ?3 AND {STANDS}
         ORDER BY version DESC LIMIT ?4"
    );
    let before = before.map_or(i64::MAX, |version| version.0);
    all(connection, &sql, params![tenant.as_bytes(), at.as_str(), before, limit(most)], past_file)
}

/// One version, deleted or not.
pub(super) fn version(
    connection: &Connection,
    tenant: TenantId,
    at: &Path,
    version: Version,
) -> Result<Option<File>> {
    let sql = select(&format!("FROM versions WHERE tenant = ?1 AND path = ?2 AND version = ?3 AND {STANDS}"));
    one(connection, &sql, params![tenant.as_bytes(), at.as_str(), version.0], file)
}

fn past_file(row: &Row<'_>) -> Result<PastFile> {
    let deleted_at = get::<Option<i64>>(row, "deleted_at")?.map(Timestamp::from_micros);
    Ok(PastFile { file: file(row)?, deleted_at })
}

/// The paths of heads below a directory, after one.
pub(super) fn paths_below(
    connection: &Connection,
    tenant: TenantId,
    dir: &Path,
    after: Option<&Path>,
    most: usize,
) -> Result<Vec<Path>> {
    let prefix = dir.prefix();
    let after = after.map_or(prefix.as_str(), Path::as_str).max(prefix.as_str());
    let sql = format!(
        "SELECT path FROM files WHERE tenant = ?1 AND path > ?2 AND path < ?3 AND {STANDS} ORDER BY path LIMIT ?4"
    );
    all(connection, &sql, params![tenant.as_bytes(), after, behind(&prefix), limit(most)], path)
}
