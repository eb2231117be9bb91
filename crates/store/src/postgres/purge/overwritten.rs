//! Old versions of files that are there still, and the rules of how many are kept.

use cacheroach_model::{Path, Retention, TenantId, Timestamp};
use deadpool_postgres::Transaction;

use super::super::row::{all, blob, change, get, limit, one, optional_blob, path};
use super::super::run::Outcome;
use super::super::statement::sql;
use super::super::tenants::retention;
use super::{Gone, Turn, remove_versions};
use crate::purge::Removed;

/// A file with old versions.
struct Overwritten {
    tenant: TenantId,
    path: String,
    /// Up to this version it was looked through: there is nothing to remove any more.
    after: i64,
    rule: Retention,
}

/// One of its versions.
struct Past {
    gone: Gone,
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

pub(super) async fn remove(
    transaction: &Transaction<'_>,
    now: Timestamp,
    server: Retention,
    batch: usize,
) -> Outcome<Removed> {
    // Whoever writes to one of them notes it here, too, and waits, or is waited for.
    let sql = sql!(
        "SELECT tenant, path, after FROM overwritten WHERE due_at <= $1 ORDER BY due_at, tenant, path LIMIT $2
         FOR UPDATE"
    );
    let mut due = all(transaction, &sql, &[&now.micros(), &limit(batch)], |row| {
        let rule = Retention::default();
        Ok(Overwritten {
            tenant: blob(row, "tenant")?,
            path: get(row, "path")?,
            after: get(row, "after")?,
            rule,
        })
    })
    .await?;
    let (mut gone, mut room, mut more) = (0, batch, due.len() >= batch);
    let turn = Turn::begin();
    for file in &mut due {
        if room == 0 || turn.is_over() {
            more = true;
            break;
        }
        file.rule = rule(transaction, file.tenant, server).await?;
        let (next, over) = file.thin_out(transaction, now, &mut room).await?;
        gone += over.len();
        remove_versions(transaction, &over).await?;
        more |= matches!(next, Next::More(_));
        file.go_on(transaction, &next).await?;
    }
    Ok(Removed { rows: gone, more })
}

/// Rules of tenants over that of the server.
async fn rule(transaction: &Transaction<'_>, tenant: TenantId, server: Retention) -> Outcome<Retention> {
    let sql = sql!("SELECT keep_versions, keep_versions_for FROM tenants WHERE tenant = $1");
    let own = one(transaction, &sql, &[&&tenant.as_bytes()[..]], retention).await?;
    Ok(own.unwrap_or_default().or(server))
}

fn is_limit(rule: Retention) -> bool {
    rule.versions.is_some_and(|most| most > 0) || rule.age.is_some_and(|age| !age.is_zero())
}

impl Overwritten {
    /// Which versions go, the oldest first, until one is found that stays.
    async fn thin_out(
        &self,
        transaction: &Transaction<'_>,
        now: Timestamp,
        room: &mut usize,
    ) -> Outcome<(Next, Vec<Gone>)> {
        let mut gone = Vec::new();
        let sql = sql!("SELECT version FROM files WHERE tenant = $1 AND path = $2");
        let values = &[&&self.tenant.as_bytes()[..] as _, &self.path as _];
        let current: Option<i64> = one(transaction, &sql, values, |row| get(row, "version")).await?;
        let (Some(current), true) = (current, is_limit(self.rule)) else {
            return Ok((Next::Nothing, gone));
        };
        // One more than may go: the next one tells until when the last one was current.
        let past = self.versions(transaction, *room + 1).await?;
        // Up to the current one, which has no next, or up to the end of the batch.
        let is_last = past.last().is_none_or(|last| last.gone.version >= current);
        let mut after = self.after;
        let since: Vec<i64> = past.iter().skip(1).map(|next| next.since).collect();
        for (one, next_since) in past.into_iter().zip(since) {
            let version = one.gone.version;
            if version >= current {
                return Ok((Next::Nothing, gone));
            }
            if !one.is_deleted {
                match self.end(version, current, next_since) {
                    None => return Ok((Next::Nothing, gone)),
                    Some(end) if end > now.micros() => return Ok((Next::Due(after, end), gone)),
                    Some(_) => gone.push(one.gone),
                }
            }
            *room = room.saturating_sub(1);
            after = version;
        }
        Ok((if is_last { Next::Nothing } else { Next::More(after) }, gone))
    }

    /// Until when a version is kept that was current until another one came. None: as long as no other one comes.
    fn end(&self, version: i64, current: i64, next_since: i64) -> Option<i64> {
        // A limit of 0 is none.
        let most = self.rule.versions.filter(|most| *most > 0);
        let age = self.rule.age.filter(|age| !age.is_zero());
        // Numbers of a file that is there have no gaps but below its oldest version.
        if most.is_some_and(|most| version <= current - i64::from(most)) {
            return Some(i64::MIN);
        }
        age.map(|age| next_since.saturating_add(i64::try_from(age.as_micros()).unwrap_or(i64::MAX)))
    }

    async fn versions(&self, transaction: &Transaction<'_>, most: usize) -> Outcome<Vec<Past>> {
        let sql = sql!(
            "SELECT version, rope, modified_at, deleted_at IS NOT NULL AS is_deleted FROM versions
             WHERE tenant = $1 AND path = $2 AND version > $3 ORDER BY version LIMIT $4"
        );
        let values =
            &[&&self.tenant.as_bytes()[..] as _, &self.path as _, &self.after as _, &limit(most) as _];
        let versions = all(transaction, &sql, values, |row| {
            let (tenant, path) = (self.tenant, self.path.clone());
            let (version, rope) = (get(row, "version")?, optional_blob(row, "rope")?);
            let gone = Gone { tenant, path, version, rope };
            Ok(Past { gone, since: get(row, "modified_at")?, is_deleted: get(row, "is_deleted")? })
        });
        versions.await
    }

    async fn go_on(&self, transaction: &Transaction<'_>, next: &Next) -> Outcome<()> {
        let (tenant, path) = (&self.tenant.as_bytes()[..], &self.path);
        match next {
            Next::Nothing => {
                let sql = sql!("DELETE FROM overwritten WHERE tenant = $1 AND path = $2");
                change(transaction, &sql, &[&tenant, path]).await?;
            }
            Next::More(after) => {
                let sql = sql!("UPDATE overwritten SET after = $3 WHERE tenant = $1 AND path = $2");
                change(transaction, &sql, &[&tenant, path, after]).await?;
            }
            Next::Due(after, at) => {
                let sql =
                    sql!("UPDATE overwritten SET after = $3, due_at = $4 WHERE tenant = $1 AND path = $2");
                change(transaction, &sql, &[&tenant, path, after, at]).await?;
            }
        }
        Ok(())
    }
}

/// Of so many files after one, notes those that may have old versions and whose tenant has a rule; and where to go on.
pub(super) async fn walk(
    transaction: &Transaction<'_>,
    server: Retention,
    after: Option<(TenantId, Path)>,
    most: usize,
    now: Timestamp,
) -> Outcome<Option<(TenantId, Path)>> {
    let (tenant, from) = match &after {
        Some((tenant, path)) => (&tenant.as_bytes()[..], path.as_str()),
        None => Default::default(),
    };
    let sql = sql!(
        "SELECT f.tenant, f.path, f.version, t.keep_versions, t.keep_versions_for FROM (
             SELECT tenant, path, version FROM files WHERE (tenant, path) > ($1, $2)
             ORDER BY tenant, path LIMIT $3) AS f
             LEFT JOIN tenants t ON t.tenant = f.tenant
         ORDER BY f.tenant, f.path"
    );
    let files = all(transaction, &sql, &[&tenant, &from, &limit(most)], |row| {
        let is_due = get::<i64>(row, "version")? > 1 && is_limit(retention(row)?.or(server));
        Ok((blob::<TenantId>(row, "tenant")?, path(row)?, is_due))
    })
    .await?;
    let due = files.iter().filter(|(_, _, is_due)| *is_due);
    let (tenants, paths): (Vec<&[u8]>, Vec<&str>) =
        due.map(|(tenant, path, _)| (&tenant.as_bytes()[..], path.as_str())).unzip();
    if !paths.is_empty() {
        let sql = sql!(
            "INSERT INTO overwritten (tenant, path, due_at)
             SELECT n.tenant, n.path, $3 FROM unnest($1::BYTEA[], $2::TEXT[]) AS n (tenant, path)
             ON CONFLICT (tenant, path) DO UPDATE SET due_at = excluded.due_at
                 WHERE overwritten.due_at > excluded.due_at"
        );
        change(transaction, &sql, &[&tenants, &paths, &now.micros()]).await?;
    }
    let is_full = files.len() >= most;
    let last = files.into_iter().last().map(|(tenant, path, _)| (tenant, path));
    Ok(last.filter(|_| is_full))
}
