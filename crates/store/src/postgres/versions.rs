//! Versions and heads in PostgreSQL: the changes that larger transactions are made of.

use cacheroach_model::{Expected, File, Path, RopeId, TenantId, Timestamp, Version};
use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::types::ToSql;

use super::row::{FILE, all, change, file, get, metadata_text, one, signed, time};
use super::run::{Failure, Outcome};
use super::statement::sql;
use crate::files::NewFile;
use crate::{Error, Result};

/// That the tenant (`$1`) is not one of those whose rows are being cleared away.
pub(super) const STANDS: &str = "NOT EXISTS (SELECT 1 FROM gone_tenants WHERE tenant = $1)";

/// After so many versions of several files a transaction ends: others wait to write.
pub(super) const MOST_VERSIONS: i64 = 5_000;

/// How often a change is made anew that met with another one.
const TRIES: usize = 32;

/// Somebody else made the same thing first, and this transaction could not see it before: the next one does.
#[derive(Debug, thiserror::Error)]
#[error("others change the same file")]
struct Collision;

/// There is to be another try, if this was one at a unique key.
pub(super) fn again(failure: Failure) -> Failure {
    match failure.conflict() {
        Some(_) => collision(),
        None => failure,
    }
}

pub(super) fn collision() -> Failure {
    Failure::Store(Error::Busy(Collision.into()))
}

/// Tries again as long as somebody else is faster. Whoever collides was undone, all of it.
pub(super) async fn until_free<T, F: Future<Output = Result<T>>>(attempt: impl Fn() -> F) -> Result<T> {
    for _ in 1..TRIES {
        match attempt().await {
            Err(Error::Busy(why)) if why.is::<Collision>() => {}
            answer => return answer,
        }
    }
    attempt().await
}

/// What the statements below compare with: 0 for anything, -1 for nothing.
pub(super) fn number(expected: Expected) -> i64 {
    match expected {
        Expected::Anything => 0,
        Expected::Nothing => -1,
        // There are no others, so this one is not there.
        Expected::Version(Version(number)) if number <= 0 => i64::MAX,
        Expected::Version(Version(number)) => number,
    }
}

/// The parts of a statement that make the next version of a path: `$1` tenant, `$2` path, `$3` hash, `$4` size, `$5`
/// content type, `$6` metadata, `$7` since when it is there if it is new, `$8` now, `$9` what is expected, `$10` the call.
///
/// - The head's row is the lock of a path that is there. A path that is not has none: of two that make it, the second
///   waits at its unique key, then finds the row, and goes on from it.
/// - `newest` is as old as the statement. Should the path have been deleted after others wrote to it meanwhile, the number
///   is theirs already: the key of `versions` refuses it, and the statement is undone and begins anew.
/// - `expected` locks the head before the insert looks for it: otherwise it could be deleted between the two, and an
///   insert would find nothing in its way.
/// - A call that was cut off may still come to be done, after it was repeated: it finds itself among `recent`, or, if it
///   began to wait before, is undone by the key of calls.
pub(super) fn next_version(rope: &str, from: &str) -> String {
    format!(
        "recent AS (
             SELECT version, call FROM versions WHERE tenant = $1 AND path = $2 ORDER BY version DESC LIMIT 16),
         newest AS (
             SELECT COALESCE(MAX(version), 0) AS version FROM (
                 SELECT version FROM recent
                 UNION ALL SELECT version FROM last_versions WHERE tenant = $1 AND path = $2) AS numbers),
         expected AS (
             SELECT version FROM files WHERE tenant = $1 AND path = $2 AND $9::INT8 > 0 FOR UPDATE),
         head AS (
             INSERT INTO files
                 (tenant, path, version, rope, hash, size, content_type, created_at, modified_at, metadata)
             SELECT $1, $2, newest.version + 1, {rope}, $3, $4, $5, $7, $8, $6 FROM newest{from}
             WHERE NOT EXISTS (SELECT 1 FROM recent WHERE call = $10)
                 AND ($9::INT8 <= 0 OR EXISTS (SELECT 1 FROM expected WHERE version = $9::INT8))
             ON CONFLICT (tenant, path) DO UPDATE SET
                 version = GREATEST(files.version + 1, excluded.version), rope = excluded.rope,
                 hash = excluded.hash, size = excluded.size, content_type = excluded.content_type,
                 modified_at = excluded.modified_at, metadata = excluded.metadata
             WHERE $9::INT8 = 0 OR files.version = $9::INT8
             RETURNING version, rope, created_at),
         added AS (
             INSERT INTO versions
                 (tenant, path, version, rope, hash, size, content_type, created_at, modified_at, metadata, call)
             SELECT $1, $2, version, rope, $3, $4, $5, created_at, $8, $6, $10 FROM head
             RETURNING version),
         noted AS (
             INSERT INTO overwritten (tenant, path, due_at) SELECT $1, $2, $8 FROM head WHERE version > 1
             ON CONFLICT (tenant, path) DO UPDATE SET due_at = excluded.due_at
                 WHERE overwritten.due_at > excluded.due_at
             RETURNING due_at)"
    )
}

/// Makes a rope of the tenant, which is locked like its tenant, the next version of a file. `since` is when a file that
/// is new here came into being. Part of a larger transaction.
pub(super) async fn add_version(
    transaction: &Transaction<'_>,
    new: &NewFile,
    rope: Option<RopeId>,
    size: u64,
    since: Timestamp,
    now: Timestamp,
) -> Outcome<File> {
    let parts = next_version("$11::BYTEA", "");
    let sql = sql!("WITH {parts} SELECT version, created_at FROM head");
    let call: Option<&[u8]> = None;
    let rope_id = rope.as_ref().map(|rope| &rope.as_bytes()[..]);
    let values: [&(dyn ToSql + Sync); 11] = [
        &&new.tenant.as_bytes()[..],
        &new.path.as_str(),
        &&new.hash.as_bytes()[..],
        &signed(size),
        &new.content_type,
        &metadata_text(&new.metadata),
        &since.micros(),
        &now.micros(),
        &number(new.expected),
        &call,
        &rope_id,
    ];
    let made = one(transaction, &sql, &values, |row| Ok((get(row, "version")?, time(row, "created_at")?)));
    let (version, created_at) = made.await.map_err(again)?.ok_or(Error::Skew)?;
    Ok(File {
        path: new.path.clone(),
        version: Version(version),
        rope,
        hash: new.hash,
        size,
        content_type: new.content_type.clone(),
        created_at,
        modified_at: now,
        metadata: new.metadata.clone(),
    })
}

/// Whether a tenant is there until the end of the transaction: rows that are a tenant's must not appear without it, so
/// whoever deletes it waits.
pub(super) async fn hold_tenant(transaction: &Transaction<'_>, id: TenantId) -> Outcome<bool> {
    let sql = sql!("SELECT version FROM tenants WHERE tenant = $1 FOR SHARE");
    Ok(one(transaction, &sql, &[&&id.as_bytes()[..]], |_| Ok(())).await?.is_some())
}

/// Whether these ropes are there until the end of the transaction: the purge, which takes the row of one before it looks
/// for versions, waits, and then finds those that are made here.
pub(super) async fn hold_ropes(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    mut ropes: Vec<RopeId>,
) -> Outcome<bool> {
    ropes.sort_unstable_by_key(|rope| *rope.as_bytes());
    ropes.dedup();
    let ids: Vec<&[u8]> = ropes.iter().map(|rope| &rope.as_bytes()[..]).collect();
    let sql = sql!("SELECT rope FROM ropes WHERE tenant = $1 AND rope = ANY($2) ORDER BY rope FOR SHARE");
    let held = all(transaction, &sql, &[&&tenant.as_bytes()[..], &ids], |_| Ok(())).await?;
    Ok(held.len() == ropes.len())
}

pub(super) async fn find(
    client: &impl GenericClient,
    tenant: TenantId,
    path: &Path,
    version: Option<Version>,
) -> Outcome<Option<File>> {
    let (tenant, path) = (&tenant.as_bytes()[..], path.as_str());
    match version {
        None => {
            let sql = sql!("SELECT {FILE} FROM files WHERE tenant = $1 AND path = $2 AND {STANDS}");
            one(client, &sql, &[&tenant, &path], file).await
        }
        Some(Version(version)) => {
            let sql = sql!(
                "SELECT {FILE} FROM versions
                 WHERE tenant = $1 AND path = $2 AND version = $3 AND deleted_at IS NULL AND {STANDS}"
            );
            one(client, &sql, &[&tenant, &path, &version], file).await
        }
    }
}

/// Deletes all versions of a file. Tells whether there was one. Part of a larger transaction.
pub(super) async fn delete(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    path: &Path,
    expected: Expected,
    now: Timestamp,
) -> Outcome<bool> {
    let (tenant, path, number) = (&tenant.as_bytes()[..], path.as_str(), number(expected));
    let sql = sql!(
        "DELETE FROM files WHERE tenant = $1 AND path = $2 AND ($3::INT8 = 0 OR version = $3::INT8) AND {STANDS}"
    );
    if change(transaction, &sql, &[&tenant, &path, &number]).await? == 0 {
        let sql = sql!("SELECT version FROM files WHERE tenant = $1 AND path = $2 AND {STANDS}");
        let current = one(transaction, &sql, &[&tenant, &path], |row| get(row, "version")).await?;
        return match current.map(Version) {
            current if !expected.is_met_by(current) => Err(Error::Skew.into()),
            // One that came after the first look.
            Some(_) if expected == Expected::Anything => Err(collision()),
            _ => Ok(false),
        };
    }
    // A statement of its own, for whoever made the version that was deleted may have been waited for: the first
    // statement's view has the head's row as it is, but not the new version's.
    mark_deleted(transaction, tenant, &[path], now).await?;
    Ok(true)
}

/// Versions of heads that are gone.
pub(super) async fn mark_deleted(
    transaction: &Transaction<'_>,
    tenant: &[u8],
    paths: &[&str],
    now: Timestamp,
) -> Outcome<()> {
    let sql = sql!(
        "UPDATE versions SET deleted_at = $3
         WHERE tenant = $1 AND path = ANY($2) AND deleted_at IS NULL"
    );
    change(transaction, &sql, &[&tenant, &paths, &now.micros()]).await.map(drop)
}

/// Heads as they are, locked until the end of the transaction, in the order in which everybody locks them.
pub(super) async fn lock(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    paths: &[&str],
) -> Outcome<Vec<File>> {
    let sql = sql!(
        "SELECT {FILE} FROM files WHERE tenant = $1 AND path = ANY($2) AND {STANDS} ORDER BY path FOR UPDATE"
    );
    all(transaction, &sql, &[&&tenant.as_bytes()[..], &paths], file).await
}
