//! Listings in PostgreSQL: walks of the indexes of heads and versions, in the byte order of paths.

use cacheroach_model::{Entry, File, PastFile, Path, TenantId, Timestamp, Version};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::row::{FILE, all, file, get, limit, one, path};
use super::run::Outcome;
use super::statement::sql;
use super::versions::{STANDS, find};
use crate::Result;
use crate::files::{Browsing, Listed, Listing, Moment};

/// The first path that is not below a prefix: its last slash becomes the character behind the slash.
pub(super) fn behind(prefix: &str) -> String {
    format!("{}0", prefix.strip_suffix('/').unwrap_or(prefix))
}

/// Which versions were there at a time (`$4`), deleted since or not.
const WERE_THERE: &str = "modified_at <= $4 AND (deleted_at IS NULL OR deleted_at > $4)";

/// Files as they were, in the order of the paths that are asked for.
async fn as_they_were(
    client: &impl GenericClient,
    tenant: TenantId,
    paths: &[&str],
    then: Timestamp,
    deleted_since: bool,
) -> Outcome<Vec<File>> {
    let sql = sql!(
        "SELECT {FILE} FROM unnest($2::TEXT[]) AS wanted (at) CROSS JOIN LATERAL (
             SELECT {FILE} FROM versions
             WHERE tenant = $1 AND path = wanted.at AND modified_at <= $3
                 AND (deleted_at IS NULL OR ($4 AND deleted_at > $3)) AND {STANDS}
             ORDER BY version DESC LIMIT 1) AS found"
    );
    let values: [&(dyn ToSql + Sync); 4] = [&&tenant.as_bytes()[..], &paths, &then.micros(), &deleted_since];
    all(client, &sql, &values, file).await
}

async fn below(
    client: &impl GenericClient,
    listing: &Listing,
    dir: &Path,
    past: Option<Timestamp>,
    room: usize,
) -> Outcome<Vec<File>> {
    let prefix = dir.prefix();
    let after = listing.after.as_ref().map_or(prefix.as_str(), Path::as_str).max(prefix.as_str());
    let (tenant, end, room) = (&listing.tenant.as_bytes()[..], behind(&prefix), limit(room));
    match past {
        None => {
            let sql = sql!(
                "SELECT {FILE} FROM files WHERE tenant = $1 AND path > $2 AND path < $3 AND {STANDS}
                 ORDER BY path LIMIT $4"
            );
            all(client, &sql, &[&tenant, &after, &end, &room], file).await
        }
        Some(then) => {
            // From path to path by the index: asked for all versions at once, PostgreSQL sorts more than it shows.
            let sql = sql!(
                "WITH RECURSIVE step (at, n) AS (
                     (SELECT path, 1::INT8 FROM versions
                      WHERE tenant = $1 AND path > $2 AND path < $3 AND {WERE_THERE} AND {STANDS}
                      ORDER BY path LIMIT 1)
                     UNION ALL
                     SELECT (SELECT path FROM versions
                             WHERE tenant = $1 AND path > step.at AND path < $3 AND {WERE_THERE}
                             ORDER BY path LIMIT 1), n + 1
                     FROM step WHERE step.at IS NOT NULL AND n < $5)
                 SELECT {FILE} FROM step CROSS JOIN LATERAL (
                     SELECT {FILE} FROM versions WHERE tenant = $1 AND path = step.at AND {WERE_THERE}
                     ORDER BY version DESC LIMIT 1) AS found
                 ORDER BY path LIMIT $5"
            );
            all(client, &sql, &[&tenant, &after, &end, &then.micros(), &room], file).await
        }
    }
}

pub(super) async fn list(client: &impl GenericClient, listing: &Listing) -> Outcome<Listed> {
    let tenant = listing.tenant;
    let past = match listing.at {
        Moment::Past(then) => Some(then),
        Moment::Now | Moment::Steady(_) => None,
    };
    let mut found = Vec::new();
    if let Some(path) = &listing.exactly
        && listing.after.as_ref().is_none_or(|after| after < path)
    {
        match past {
            None => found.extend(find(client, tenant, path, None).await?),
            Some(then) => found.extend(as_they_were(client, tenant, &[path.as_str()], then, true).await?),
        }
    }
    if let Some(dir) = &listing.below {
        let room = listing.limit.saturating_sub(found.len());
        found.extend(below(client, listing, dir, past, room).await?);
    }
    let next = if found.len() >= listing.limit { found.last().map(|last| last.path.clone()) } else { None };
    if let Moment::Steady(then) = listing.at {
        found = steady(client, tenant, found, then).await?;
    }
    Ok(Listed { files: found, next })
}

/// Those written since are shown as they were then, if they were there then.
async fn steady(
    client: &impl GenericClient,
    tenant: TenantId,
    mut heads: Vec<File>,
    then: Timestamp,
) -> Outcome<Vec<File>> {
    let since: Vec<&str> =
        heads.iter().filter(|head| head.modified_at > then).map(|head| head.path.as_str()).collect();
    if since.is_empty() {
        return Ok(heads);
    }
    let before = as_they_were(client, tenant, &since, then, false).await?;
    heads.retain(|head| head.modified_at <= then);
    heads.extend(before);
    heads.sort_unstable_by(|a, b| a.path.as_str().cmp(b.path.as_str()));
    Ok(heads)
}

/// Steps through the index, a row at a time, and jumps over each subdirectory once it has seen one file in it. All of a
/// page in one statement: `$1` tenant, `$2` from, `$3` to before, `$4` of which time, `$5` prefix, `$6` the place of the
/// first character behind it, `$7` the lowest character, `$8` how many.
fn steps(rows: &str) -> String {
    let name = "substr(step.at, $6::INT4)";
    format!(
        "WITH RECURSIVE step (at, n) AS (
             (SELECT path, 1::INT8 FROM {rows} AND path >= $2 AND path < $3 AND {STANDS} ORDER BY path LIMIT 1)
             UNION ALL
             SELECT (SELECT path FROM {rows} AND path < $3 AND path >=
                         CASE WHEN strpos({name}, '/') > 0
                              THEN $5::TEXT || substr({name}, 1, strpos({name}, '/') - 1) || '0'
                              ELSE step.at || $7::TEXT END
                     ORDER BY path LIMIT 1), n + 1
             FROM step WHERE step.at IS NOT NULL AND n < $8)
         SELECT step.at AS step, {FILE} FROM step LEFT JOIN LATERAL (
             SELECT {FILE} FROM {rows} AND path = step.at AND strpos({name}, '/') = 0
             ORDER BY version DESC LIMIT 1) AS shown ON true
         WHERE step.at IS NOT NULL ORDER BY step.at"
    )
}

pub(super) async fn browse(client: &impl GenericClient, browsing: &Browsing) -> Outcome<Vec<Entry>> {
    if browsing.limit == 0 {
        return Ok(Vec::new());
    }
    let prefix = browsing.dir.prefix();
    // No path sorts between a name and the same name with the lowest character allowed in a path behind it.
    let lowest = "\u{1}";
    let from = match browsing.after.as_deref() {
        None => prefix.clone(),
        Some(name) if name.ends_with('/') => behind(&format!("{prefix}{name}")),
        Some(name) => format!("{prefix}{name}{lowest}"),
    };
    let first = i32::try_from(prefix.chars().count()).unwrap_or(i32::MAX).saturating_add(1);
    let then = browsing.past.map_or(i64::MAX, Timestamp::micros);
    let (tenant, end, most) = (&browsing.tenant.as_bytes()[..], behind(&prefix), limit(browsing.limit));
    let entry = |row: &Row| {
        let name = get::<&str>(row, "step")?.strip_prefix(&prefix).unwrap_or_default();
        Ok(match name.split_once('/') {
            Some((directory, _)) => Entry::Directory(directory.to_owned()),
            None => Entry::File(file(row)?),
        })
    };
    let steps = match browsing.past {
        None => steps("files WHERE tenant = $1 AND modified_at <= $4"),
        Some(_) => steps(&format!("versions WHERE tenant = $1 AND {WERE_THERE}")),
    };
    let sql = sql!("{steps}");
    let values: [&(dyn ToSql + Sync); 8] = [&tenant, &from, &end, &then, &prefix, &first, &lowest, &most];
    all(client, &sql, &values, entry).await
}

pub(super) async fn versions(
    client: &impl GenericClient,
    tenant: TenantId,
    at: &Path,
    before: Option<Version>,
    most: usize,
) -> Outcome<Vec<PastFile>> {
    let sql = sql!(
        "SELECT {FILE}, deleted_at FROM versions WHERE tenant = $1 AND path = $2 AND version < $3 AND {STANDS}
         ORDER BY version DESC LIMIT $4"
    );
    let before = before.map_or(i64::MAX, |version| version.0);
    let values: [&(dyn ToSql + Sync); 4] = [&&tenant.as_bytes()[..], &at.as_str(), &before, &limit(most)];
    all(client, &sql, &values, past_file).await
}

/// One version, deleted or not.
pub(super) async fn version(
    client: &impl GenericClient,
    tenant: TenantId,
    at: &Path,
    version: Version,
) -> Outcome<Option<File>> {
    let sql =
        sql!("SELECT {FILE} FROM versions WHERE tenant = $1 AND path = $2 AND version = $3 AND {STANDS}");
    one(client, &sql, &[&&tenant.as_bytes()[..], &at.as_str(), &version.0], file).await
}

fn past_file(row: &Row) -> Result<PastFile> {
    let deleted_at = get::<Option<i64>>(row, "deleted_at")?.map(Timestamp::from_micros);
    Ok(PastFile { file: file(row)?, deleted_at })
}

/// Heads below a directory, after one, and the numbers of their versions.
pub(super) async fn heads_below(
    client: &impl GenericClient,
    tenant: TenantId,
    dir: &Path,
    after: Option<&Path>,
    most: usize,
) -> Outcome<Vec<(Path, i64)>> {
    let prefix = dir.prefix();
    let after = after.map_or(prefix.as_str(), Path::as_str).max(prefix.as_str());
    let sql = sql!(
        "SELECT path, version FROM files WHERE tenant = $1 AND path > $2 AND path < $3 AND {STANDS}
         ORDER BY path LIMIT $4"
    );
    let values: [&(dyn ToSql + Sync); 4] = [&&tenant.as_bytes()[..], &after, &behind(&prefix), &limit(most)];
    all(client, &sql, &values, |row| Ok((path(row)?, get(row, "version")?))).await
}
