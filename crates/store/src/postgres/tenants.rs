//! Tenants in PostgreSQL.

use std::time::Duration;

use async_trait::async_trait;
use cacheroach_model::{Region, Retention, Tenant, TenantId, Timestamp};
use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::Row;

use super::purge::clear;
use super::row::{blob, change, get, limit, one, region};
use super::run::Outcome;
use super::statement::sql;
use super::{Postgres, moves};
use crate::changes::Change as Told;
use crate::tenants::Tenants;
use crate::{Error, Result};

/// How many rows of a deleted tenant go at a time, and how often before a tenant of its id is made.
const CLEARED: usize = 2_000;
const PATIENCE: usize = 50;

const COLUMNS: &str = "tenant, label, version, region, keep_versions, keep_versions_for";

fn tenant(row: &Row) -> Result<Tenant> {
    Ok(Tenant {
        id: blob(row, "tenant")?,
        label: get(row, "label")?,
        version: get(row, "version")?,
        region: Some(region(row)?),
        retention: Some(retention(row)?),
    })
}

pub(super) fn retention(row: &Row) -> Result<Retention> {
    let damaged = |_| Error::Damaged("a row of the database: keep_versions".into());
    let age = get::<Option<i64>>(row, "keep_versions_for")?;
    let versions = get::<Option<i64>>(row, "keep_versions")?;
    Ok(Retention {
        versions: versions.map(u32::try_from).transpose().map_err(damaged)?,
        age: age.map(|micros| Duration::from_micros(micros.unsigned_abs())),
    })
}

/// Rows that are a tenant's must not appear without it: until the end of the transaction it can't be deleted.
pub(super) async fn exists(client: &impl GenericClient, id: TenantId) -> Outcome<bool> {
    let sql = sql!("SELECT tenant FROM tenants WHERE tenant = $1 FOR KEY SHARE");
    Ok(one(client, &sql, &[&&id.as_bytes()[..]], |_| Ok(())).await?.is_some())
}

pub(super) async fn must_exist(client: &impl GenericClient, id: TenantId) -> Outcome<()> {
    if exists(client, id).await? { Ok(()) } else { Err(Error::Missing("tenant").into()) }
}

/// Whether there is still something of a deleted tenant.
async fn is_gone(client: &impl GenericClient, id: TenantId) -> Outcome<bool> {
    let sql = sql!("SELECT gone_at FROM gone_tenants WHERE tenant = $1");
    Ok(one(client, &sql, &[&&id.as_bytes()[..]], |_| Ok(())).await?.is_some())
}

impl Postgres {
    /// Clears away what a tenant of that id left, unless it was too much for whoever waits.
    async fn clear_tenant(&self, id: TenantId) -> Result<()> {
        for _ in 0..PATIENCE {
            if !self.run(move |client, _| Box::pin(is_gone(client, id))).await? {
                break;
            }
            self.transact(move |transaction, _| {
                Box::pin(async move { clear(transaction, id, CLEARED).await })
            })
            .await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Tenants for Postgres {
    async fn ensure_tenant(&self, new: &Tenant) -> Result<Tenant> {
        let (new, home) = (new.clone(), self.region.clone());
        if new.version == 0 {
            self.clear_tenant(new.id).await?;
        }
        // Done twice, it would find a version that it made itself.
        let tells = [Told::Tenant(new.id)];
        self.transact_and_tell(&tells, move |client, now| {
            let (new, home) = (new.clone(), home.clone());
            Box::pin(async move { ensure(client, &new, &home, now).await })
        })
        .await
    }

    async fn delete_tenant(&self, id: TenantId, version: i64) -> Result<()> {
        // Its hosts go with it.
        let tells = [Told::Tenant(id), Told::Vhosts];
        self.transact_and_tell(&tells, move |client, now| Box::pin(delete(client, id, version, now))).await
    }

    async fn find_tenant(&self, id: TenantId) -> Result<Option<Tenant>> {
        let sql = sql!("SELECT {COLUMNS} FROM tenants WHERE tenant = $1");
        self.one(&sql, &[&&id.as_bytes()[..]], tenant).await
    }

    async fn list_tenants(&self, after: Option<TenantId>, most: usize) -> Result<Vec<Tenant>> {
        let sql = sql!("SELECT {COLUMNS} FROM tenants WHERE tenant > $1 ORDER BY tenant LIMIT $2");
        let after = after.map(|id| id.as_bytes().to_vec()).unwrap_or_default();
        self.all(&sql, &[&after, &limit(most)], tenant).await
    }
}

async fn ensure(client: &impl GenericClient, new: &Tenant, home: &Region, now: Timestamp) -> Outcome<Tenant> {
    let retention = new.retention.unwrap_or_default();
    let age = retention.age.map(|age| i64::try_from(age.as_micros()).unwrap_or(i64::MAX));
    let versions = retention.versions.map(i64::from);
    let (id, region) = (&new.id.as_bytes()[..], new.region.as_ref().map(Region::as_str));
    let row = if new.version == 0 {
        let region = region.unwrap_or(home.as_str());
        let sql = sql!(
            "INSERT INTO tenants (tenant, label, version, region, keep_versions, keep_versions_for)
             VALUES ($1, $2, 1, $3, $4, $5) ON CONFLICT (tenant) DO NOTHING RETURNING {COLUMNS}"
        );
        let made = one(client, &sql, &[&id, &new.label, &region, &versions, &age], tenant).await?;
        // Looked for afterwards: to insert waits for whoever is just deleting a tenant of this id.
        if made.is_some() && is_gone(client, new.id).await? {
            return Err(Error::Busy("what a tenant of this id left is being cleared away".into()).into());
        }
        made
    } else {
        let sql = sql!(
            "UPDATE tenants SET label = CASE $2 WHEN '' THEN label ELSE $2 END, version = version + 1,
                 region = COALESCE($4, region),
                 keep_versions = CASE WHEN $5 THEN $6 ELSE keep_versions END,
                 keep_versions_for = CASE WHEN $5 THEN $7 ELSE keep_versions_for END
             WHERE tenant = $1 AND version = $3 RETURNING {COLUMNS}"
        );
        let is_said = new.retention.is_some();
        one(client, &sql, &[&id, &new.label, &new.version, &region, &is_said, &versions, &age], tenant)
            .await?
    };
    let stored = row.ok_or(Error::Skew)?;
    if new.version > 0 && new.region.is_some() {
        moves::note(client, id, now).await?;
    }
    Ok(stored)
}

async fn delete(transaction: &Transaction<'_>, id: TenantId, version: i64, now: Timestamp) -> Outcome<()> {
    let tenant = id;
    let id = &id.as_bytes()[..];
    // It waits for those who are just adding something, so that what follows sees what they added; who comes later finds
    // no tenant.
    let sql = sql!("DELETE FROM tenants WHERE tenant = $1 AND version = $2");
    if change(transaction, &sql, &[&id, &version]).await? == 0 {
        return Err(Error::Skew.into());
    }
    for sql in [
        sql!("DELETE FROM vhosts WHERE tenant = $1"),
        sql!("UPDATE sessions SET tenant_gone = true, name = NULL WHERE tenant = $1"),
        sql!("DELETE FROM links WHERE tenant = $1 AND revoked_at IS NULL"),
        // What was taken back stays so, should there be a tenant of that id again; nothing else of it stays.
        sql!("UPDATE links SET path = '/', name = '', networks = '', content_types = '' WHERE tenant = $1"),
    ] {
        change(transaction, &sql, &[&id]).await?;
    }
    let sql = sql!("INSERT INTO gone_tenants (tenant, gone_at) VALUES ($1, $2)");
    change(transaction, &sql, &[&id, &now.micros()]).await?;
    // All of a small one, and the purge does the rest: nobody finds any of it from now on.
    clear(transaction, tenant, CLEARED).await.map(drop)
}
