//! New versions made of those that are there, in PostgreSQL, and deletions of many: no bytes are touched.
//!
//! Whatever changes several heads locks them by one statement in the order of their paths, so that no two wait for each
//! other, and does the rest by statements over all of them.

use std::collections::HashMap;

use cacheroach_model::{Expected, File, Path, RopeId, TenantId, Timestamp, Version};
use deadpool_postgres::Transaction;
use tokio_postgres::types::ToSql;

use super::healing::is_whole;
use super::listings::{heads_below, version};
use super::row::{all, change, get, one};
use super::run::Outcome;
use super::statement::sql;
use super::versions::{
    MOST_VERSIONS, add_version, again, collision, delete, hold_ropes, hold_tenant, lock, mark_deleted,
};
use crate::files::{Copied, Copy, CopyBelow, NewFile};
use crate::{Error, Result};

/// So many files make a transaction: it stays far below what CockroachDB takes, and others wait shortly.
const MOST_FILES: usize = 1_000;

pub(super) async fn copy(
    transaction: &Transaction<'_>,
    copy: &Copy,
    now: Timestamp,
) -> Outcome<Option<File>> {
    if !hold_tenant(transaction, copy.tenant).await? {
        return Ok(None);
    }
    let heads = lock(transaction, copy.tenant, &[copy.from.as_str(), copy.to.as_str()]).await?;
    let head = |path: &Path| heads.iter().find(|head| head.path == *path).cloned();
    let source = match copy.version {
        None => head(&copy.from),
        Some(number) => version(transaction, copy.tenant, &copy.from, number).await?,
    };
    let Some(source) = source else { return Ok(None) };
    let described = copy.described.clone();
    let (content_type, metadata) =
        described.unwrap_or_else(|| (source.content_type.clone(), source.metadata.clone()));
    let new = NewFile {
        tenant: copy.tenant,
        path: copy.to.clone(),
        hash: source.hash,
        content_type,
        metadata,
        expected: copy.expected,
    };
    let current = head(&copy.to);
    if !copy.expected.is_met_by(current.as_ref().map(|file| file.version)) {
        return Err(Error::Skew.into());
    }
    let made = match current {
        // A call that is repeated because its answer was lost makes no second version.
        Some(current) if copy.unless_same && is_same(&current, &new) => current,
        _ => {
            // A deleted version may be on its way out: then its rope went before it, or is kept by this lock.
            if !hold_ropes(transaction, copy.tenant, source.rope.into_iter().collect()).await? {
                return Ok(None);
            }
            let restored = copy.from == copy.to;
            let since = if copy.moved || restored { source.created_at } else { now };
            add_version(transaction, &new, source.rope, source.size, since, now).await?
        }
    };
    if copy.moved && copy.from != copy.to {
        delete(transaction, copy.tenant, &copy.from, Expected::Anything, now).await?;
    }
    Ok(Some(made))
}

/// The current content once more.
pub(super) async fn repeat(
    transaction: &Transaction<'_>,
    new: &NewFile,
    now: Timestamp,
) -> Outcome<Option<Version>> {
    if !hold_tenant(transaction, new.tenant).await? {
        return Ok(None);
    }
    let current = lock(transaction, new.tenant, &[new.path.as_str()]).await?.pop();
    let Some(current) = current.filter(|current| current.hash == new.hash) else { return Ok(None) };
    let is_there = match current.rope {
        Some(rope) => {
            hold_ropes(transaction, new.tenant, vec![rope]).await?
                && is_whole(transaction, new.tenant, rope, current.size).await?
        }
        None => current.size == 0,
    };
    if !is_there {
        return Ok(None);
    }
    let made = add_version(transaction, new, current.rope, current.size, now, now).await?;
    Ok(Some(made.version))
}

fn is_same(current: &File, new: &NewFile) -> bool {
    current.hash == new.hash && current.content_type == new.content_type && current.metadata == new.metadata
}

/// From where to where.
type Pair = (Path, Path);

pub(super) async fn copy_below(
    transaction: &Transaction<'_>,
    below: &CopyBelow,
    now: Timestamp,
) -> Outcome<Copied> {
    if !hold_tenant(transaction, below.tenant).await? {
        return Ok(Copied { files: 0, next: None });
    }
    let most = below.limit.min(MOST_FILES);
    let page = heads_below(transaction, below.tenant, &below.from, below.after.as_ref(), most).await?;
    let found = page.len();
    let page = if below.moved { bounded(page) } else { page.into_iter().map(|(path, _)| path).collect() };
    let (from, to) = (below.from.prefix(), below.to.prefix());
    let pair = |path: Path| -> Result<Pair> {
        let rest = path.as_str().strip_prefix(&from).unwrap_or_default();
        let target = Path::parse_file(&format!("{to}{rest}")).map_err(|_| Error::TooLong)?;
        Ok((path, target))
    };
    let pairs = page.into_iter().map(pair).collect::<Result<Vec<_>>>()?;
    let both: Vec<&str> = pairs.iter().flat_map(|(from, to)| [from.as_str(), to.as_str()]).collect();
    let heads = lock(transaction, below.tenant, &both).await?;
    let heads: HashMap<&str, &File> = heads.iter().map(|head| (head.path.as_str(), head)).collect();
    copy_heads(transaction, below, &pairs, &heads, now).await?;
    if below.moved && below.from != below.to {
        let gone: Vec<&str> =
            pairs.iter().map(|(from, _)| from.as_str()).filter(|from| heads.contains_key(from)).collect();
        delete_heads(transaction, below.tenant, &gone, now).await?;
    }
    let is_last = pairs.len() == found && found < most;
    let last = pairs.last().map(|(from, _)| from.clone());
    Ok(Copied { files: pairs.len(), next: last.filter(|_| !is_last) })
}

/// As many heads as have at most so many versions, but one at least. Their numbers are no less than how many there are.
fn bounded(heads: Vec<(Path, i64)>) -> Vec<Path> {
    let mut versions = 0_i64;
    let fits = |(path, version): (Path, i64)| {
        let is_full = versions >= MOST_VERSIONS;
        versions = versions.saturating_add(version);
        (!is_full).then_some(path)
    };
    heads.into_iter().map_while(fits).collect()
}

/// Versions of several heads, which are locked, for several others, which are locked if they are there.
async fn copy_heads(
    transaction: &Transaction<'_>,
    below: &CopyBelow,
    pairs: &[Pair],
    heads: &HashMap<&str, &File>,
    now: Timestamp,
) -> Outcome<()> {
    // One that went since the page was read is not copied.
    let needed = |(from, to): &&Pair| {
        let Some(source) = heads.get(from.as_str()) else { return false };
        let is_there = heads.get(to.as_str()).is_some_and(|current| {
            current.hash == source.hash
                && current.content_type == source.content_type
                && current.metadata == source.metadata
        });
        !(below.unless_same && is_there)
    };
    let pairs: Vec<&Pair> = pairs.iter().filter(needed).collect();
    if pairs.is_empty() {
        return Ok(());
    }
    let ropes: Vec<RopeId> = pairs.iter().filter_map(|(from, _)| heads[from.as_str()].rope).collect();
    if !hold_ropes(transaction, below.tenant, ropes).await? {
        return Err(Error::Damaged("a file without its rope".into()).into());
    }
    let numbers = last_numbers(transaction, below.tenant, &pairs, heads).await?;
    let (mut sources, mut targets, mut versions, mut since) = (vec![], vec![], vec![], vec![]);
    for (from, to) in pairs {
        let (from, to) = (from.as_str(), to.as_str());
        let last = heads.get(to).map_or_else(|| numbers.get(to).copied(), |head| Some(head.version.0));
        versions.push(last.unwrap_or(0) + 1);
        since.push(if below.moved { heads[from].created_at } else { now }.micros());
        sources.push(from);
        targets.push(to);
    }
    add_versions(transaction, below.tenant, [&sources, &targets], [&versions, &since], now).await
}

/// The last numbers of those targets that are not there.
async fn last_numbers(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    pairs: &[&Pair],
    heads: &HashMap<&str, &File>,
) -> Outcome<HashMap<String, i64>> {
    let absent: Vec<&str> =
        pairs.iter().map(|(_, to)| to.as_str()).filter(|to| !heads.contains_key(to)).collect();
    let sql = sql!(
        "SELECT wanted.at AS path, GREATEST(
             COALESCE((SELECT version FROM versions WHERE tenant = $1 AND path = wanted.at
                       ORDER BY version DESC LIMIT 1), 0),
             COALESCE((SELECT version FROM last_versions WHERE tenant = $1 AND path = wanted.at), 0)) AS version
         FROM unnest($2::TEXT[]) AS wanted (at)"
    );
    let values: [&(dyn ToSql + Sync); 2] = [&&tenant.as_bytes()[..], &absent];
    let numbers =
        all(transaction, &sql, &values, |row| Ok((get::<String>(row, "path")?, get::<i64>(row, "version")?)));
    Ok(numbers.await?.into_iter().collect())
}

/// The same as for a single file, over many. A target that somebody else made since it was looked for, or whose number
/// somebody took, undoes all of it.
async fn add_versions(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    [sources, targets]: [&Vec<&str>; 2],
    [versions, since]: [&Vec<i64>; 2],
    now: Timestamp,
) -> Outcome<()> {
    let sql = sql!(
        "WITH head AS (
             INSERT INTO files
                 (tenant, path, version, rope, hash, size, content_type, created_at, modified_at, metadata)
             SELECT $1, wanted.target, wanted.version, source.rope, source.hash, source.size,
                 source.content_type, wanted.since, $6, source.metadata
             FROM unnest($2::TEXT[], $3::TEXT[], $4::INT8[], $5::INT8[])
                     AS wanted (source, target, version, since)
                 JOIN files AS source ON source.tenant = $1 AND source.path = wanted.source
             ON CONFLICT (tenant, path) DO UPDATE SET
                 version = excluded.version, rope = excluded.rope, hash = excluded.hash, size = excluded.size,
                 content_type = excluded.content_type, modified_at = excluded.modified_at,
                 metadata = excluded.metadata
             WHERE files.version = excluded.version - 1
             RETURNING path, version, rope, hash, size, content_type, created_at, metadata),
         added AS (
             INSERT INTO versions
                 (tenant, path, version, rope, hash, size, content_type, created_at, modified_at, metadata)
             SELECT $1, path, version, rope, hash, size, content_type, created_at, $6, metadata FROM head
             RETURNING version),
         noted AS (
             INSERT INTO overwritten (tenant, path, due_at) SELECT $1, path, $6 FROM head WHERE version > 1
             ON CONFLICT (tenant, path) DO UPDATE SET due_at = excluded.due_at
                 WHERE overwritten.due_at > excluded.due_at
             RETURNING due_at)
         SELECT count(*) AS made FROM head"
    );
    let values: [&(dyn ToSql + Sync); 6] =
        [&&tenant.as_bytes()[..], sources, targets, versions, since, &now.micros()];
    let made = one(transaction, &sql, &values, |row| get::<i64>(row, "made")).await.map_err(again)?;
    match made == i64::try_from(targets.len()).ok() {
        true => Ok(()),
        false => Err(collision()),
    }
}

/// Heads that are locked.
async fn delete_heads(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    paths: &[&str],
    now: Timestamp,
) -> Outcome<()> {
    let tenant = &tenant.as_bytes()[..];
    let sql = sql!("DELETE FROM files WHERE tenant = $1 AND path = ANY($2)");
    change(transaction, &sql, &[&tenant, &paths]).await?;
    mark_deleted(transaction, tenant, paths, now).await
}

pub(super) async fn delete_below(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    dir: &Path,
    most: usize,
    now: Timestamp,
) -> Outcome<usize> {
    let page = bounded(heads_below(transaction, tenant, dir, None, most.min(MOST_FILES)).await?);
    let paths: Vec<&str> = page.iter().map(Path::as_str).collect();
    let heads = lock(transaction, tenant, &paths).await?;
    if heads.is_empty() && !paths.is_empty() {
        // Others deleted all of them: there may be more behind them.
        return Err(collision());
    }
    let paths: Vec<&str> = heads.iter().map(|head| head.path.as_str()).collect();
    delete_heads(transaction, tenant, &paths, now).await?;
    Ok(paths.len())
}
