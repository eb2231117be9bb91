//! Old versions of files that are there still, and the rules of how many are kept.

use cacheroach_model::{Path, Retention, RopeId, TenantId, Timestamp};
use rusqlite::{Connection, params};

use super::super::row::{all, blob, change, get, limit, one, optional_blob, path};
use super::{Gone, rule};
use crate::Result;
use crate::purge::Removed;

/// A file with old versions.
struct Overwritten {
    tenant: TenantId,
    path: String,
    /// Up to this version it was looked through: there is nothing to remove any more.
    after: i64,
}

/// One of its versions.
struct Past {
    version: i64,
    rope: Option<RopeId>,
    since: i64,
    is_deleted: bool,
}

/// What is to be done with a file next.
enum Next {
    /// Nothing, until a version comes or the walk comes by.
    Nothing,
    /// To go on from this version.
    More(i64),
    /// To go on from this version, at that time.
    Due(i64, i64),
}

/// Notes that a file has one more old version.
pub(in super::super) fn note(
    connection: &Connection,
    tenant: TenantId,
    path: &Path,
    now: Timestamp,
) -> Result<()> {
    let sql = "INSERT INTO overwritten (tenant, path, due_at) VALUES (?, ?, ?)
               ON CONFLICT (tenant, path) DO UPDATE SET due_at = excluded.due_at WHERE due_at > excluded.due_at";
    change(connection, sql, params![tenant.as_bytes(), path.as_str(), now.micros()]).map(drop)
}

pub(super) fn remove(
    connection: &Connection,
    now: Timestamp,
    server: Retention,
    batch: usize,
) -> Result<Removed> {
    let sql = "SELECT tenant, path, after FROM overwritten WHERE due_at <= ? ORDER BY due_at LIMIT ?";
    let due = all(connection, sql, params![now.micros(), limit(batch)], |row| {
        Ok(Overwritten { tenant: blob(row, "tenant")?, path: get(row, "path")?, after: get(row, "after")? })
    })?;
    let (mut rows, mut room, mut more) = (0, batch, due.len() >= batch);
    for file in &due {
        if room == 0 {
            more = true;
            break;
        }
        let rule = rule(connection, file.tenant, server)?;
        let next = file.thin_out(connection, rule, now, &mut room, &mut rows)?;
        more |= matches!(next, Next::More(_));
        file.go_on(connection, &next)?;
    }
    Ok(Removed { rows, more })
}

impl Overwritten {
    /// Removes versions, the oldest first, until one is found that stays.
    fn thin_out(
        &self,
        connection: &Connection,
        rule: Retention,
        now: Timestamp,
        room: &mut usize,
        rows: &mut usize,
    ) -> Result<Next> {
        // A limit of 0 is none.
        let most = rule.versions.filter(|most| *most > 0);
        let age = rule.age.filter(|age| !age.is_zero());
        let age = age.map(|age| i64::try_from(age.as_micros()).unwrap_or(i64::MAX));
        let sql = "SELECT version FROM files WHERE tenant = ? AND path = ?";
        let current: Option<i64> =
            one(connection, sql, params![self.tenant.as_bytes(), self.path], |row| get(row, "version"))?;
        let (Some(current), true) = (current, most.is_some() || age.is_some()) else {
            return Ok(Next::Nothing);
        };
        // One more than may go: the next one tells until when the last one was current.
        let past = self.versions(connection, *room + 1)?;
        let mut after = self.after;
        for (one, next) in past.iter().zip(past.iter().skip(1)) {
            if one.version >= current {
                return Ok(Next::Nothing);
            }
            if !one.is_deleted {
                // Numbers of a file that is there have no gaps but below its oldest version.
                let too_many = most.is_some_and(|most| one.version <= current - i64::from(most));
                let end = age.map(|age| next.since.saturating_add(age));
                match end {
                    _ if too_many => {}
                    None => return Ok(Next::Nothing),
                    Some(end) if end > now.micros() => return Ok(Next::Due(after, end)),
                    Some(_) => {}
                }
                let (tenant, path) = (self.tenant, self.path.clone());
                Gone { tenant, path, version: one.version, rope: one.rope }.remove(connection)?;
                *rows += 1;
            }
            *room = room.saturating_sub(1);
            after = one.version;
        }
        // Up to the current one, which has no next, or up to the end of the batch.
        let is_last = past.last().is_none_or(|last| last.version >= current);
        Ok(if is_last { Next::Nothing } else { Next::More(after) })
    }

    fn versions(&self, connection: &Connection, most: usize) -> Result<Vec<Past>> {
        let sql = "SELECT version, rope, modified_at, deleted_at IS NOT NULL AS is_deleted FROM versions
                   WHERE tenant = ? AND path = ? AND version > ? ORDER BY version LIMIT ?";
        let values = params![self.tenant.as_bytes(), self.path, self.after, limit(most)];
        all(connection, sql, values, |row| {
            Ok(Past {
                version: get(row, "version")?,
                rope: optional_blob(row, "rope")?,
                since: get(row, "modified_at")?,
                is_deleted: get(row, "is_deleted")?,
            })
        })
    }

    fn go_on(&self, connection: &Connection, next: &Next) -> Result<()> {
        let (tenant, path) = (self.tenant.as_bytes(), &self.path);
        match next {
            Next::Nothing => {
                let sql = "DELETE FROM overwritten WHERE tenant = ? AND path = ?";
                change(connection, sql, params![tenant, path])?;
            }
            Next::More(after) => {
                let sql = "UPDATE overwritten SET after = ? WHERE tenant = ? AND path = ?";
                change(connection, sql, params![after, tenant, path])?;
            }
            Next::Due(after, at) => {
                let sql = "UPDATE overwritten SET after = ?, due_at = ? WHERE tenant = ? AND path = ?";
                change(connection, sql, params![after, at, tenant, path])?;
            }
        }
        Ok(())
    }
}

/// Which file.
type Key = (TenantId, Path);

/// Of so many files after one, those that may have old versions and whose tenant has a rule; and where to go on.
pub(super) fn walk(
    connection: &Connection,
    server: Retention,
    after: Option<&Key>,
    most: usize,
) -> Result<(Vec<Key>, Option<Key>)> {
    let (tenant, place) = match after {
        Some((tenant, path)) => (&tenant.as_bytes()[..], path.as_str()),
        None => Default::default(),
    };
    let sql = "SELECT tenant, path, version FROM files WHERE (tenant, path) > (?, ?)
               ORDER BY tenant, path LIMIT ?";
    let files: Vec<(Key, i64)> = all(connection, sql, params![tenant, place, limit(most)], |row| {
        Ok(((blob(row, "tenant")?, path(row)?), get(row, "version")?))
    })?;
    let next = if files.len() < most { None } else { files.last().map(|(key, _)| key.clone()) };
    let mut due = Vec::new();
    let mut known: Option<(TenantId, bool)> = None;
    for (key, version) in files {
        let limited = match known {
            Some((tenant, limited)) if tenant == key.0 => limited,
            _ => {
                let rule = rule(connection, key.0, server)?;
                rule.versions.is_some_and(|most| most > 0) || rule.age.is_some_and(|age| !age.is_zero())
            }
        };
        known = Some((key.0, limited));
        if limited && version > 1 {
            due.push(key);
        }
    }
    Ok((due, next))
}
