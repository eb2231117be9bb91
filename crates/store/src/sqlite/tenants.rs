//! Tenants in SQLite.

use std::time::Duration;

use async_trait::async_trait;
use cacheroach_model::{Region, Retention, Tenant, TenantId, Timestamp};
use rusqlite::{Connection, Row, params};

use super::purge::clear;
use super::row::{all, blob, change, get, limit, one, region};
use super::stamps::Touches;
use super::{Sqlite, moves};
use crate::changes::Change;
use crate::tenants::Tenants;
use crate::{Error, Result};

/// How many rows of a deleted tenant go at a time, and how often before a tenant of its id is made.
const CLEARED: usize = 2_000;
const PATIENCE: usize = 50;

const COLUMNS: &str = "tenant, label, version, region, keep_versions, keep_versions_for";

fn tenant(row: &Row<'_>) -> Result<Tenant> {
    Ok(Tenant {
        id: blob(row, "tenant")?,
        label: get(row, "label")?,
        version: get(row, "version")?,
        region: Some(region(row)?),
        retention: Some(retention(row)?),
    })
}

pub(super) fn retention(row: &Row<'_>) -> Result<Retention> {
    let age = get::<Option<i64>>(row, "keep_versions_for")?;
    Ok(Retention {
        versions: get(row, "keep_versions")?,
        age: age.map(|micros| Duration::from_micros(micros.unsigned_abs())),
    })
}

/// Rows that are a tenant's must not appear without it.
pub(super) fn must_exist(connection: &Connection, id: TenantId) -> Result<()> {
    let found = one(connection, "SELECT 1 FROM tenants WHERE tenant = ?", [id.as_bytes()], |_| Ok(()))?;
    found.ok_or(Error::Missing("tenant"))
}

/// Whether there is still something of a deleted tenant.
fn is_gone(connection: &Connection, id: TenantId) -> Result<bool> {
    let sql = "SELECT 1 FROM gone_tenants WHERE tenant = ?";
    Ok(one(connection, sql, [id.as_bytes()], |_| Ok(()))?.is_some())
}

impl Sqlite {
    /// Clears away what a tenant of that id left, unless it was too much for whoever waits.
    async fn clear_tenant(&self, id: TenantId) -> Result<()> {
        for _ in 0..PATIENCE {
            if !self.readers.look_up(move |connection| is_gone(connection, id)).await? {
                break;
            }
            let clear = move |connection: &Connection, _| match is_gone(connection, id)? {
                true => clear(connection, id, CLEARED),
                false => Ok(0),
            };
            self.writer.write(clear).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Tenants for Sqlite {
    async fn ensure_tenant(&self, new: &Tenant) -> Result<Tenant> {
        let (new, home, tells) = (new.clone(), self.region.clone(), vec![Change::Tenant(new.id)]);
        if new.version == 0 {
            self.clear_tenant(new.id).await?;
        }
        let change = move |connection: &Connection, now| {
            if new.version == 0 && is_gone(connection, new.id)? {
                return Err(Error::Busy("what a tenant of this id left is being cleared away".into()));
            }
            let retention = new.retention.unwrap_or_default();
            let age = retention.age.map(|age| i64::try_from(age.as_micros()).unwrap_or(i64::MAX));
            let sql = if new.version == 0 {
                "INSERT INTO tenants (tenant, label, version, region, keep_versions, keep_versions_for)
                 VALUES (?1, ?2, ?3 + 1, COALESCE(?4, ?5), ?7, ?8) ON CONFLICT DO NOTHING"
            } else {
                "UPDATE tenants SET label = CASE ?2 WHEN '' THEN label ELSE ?2 END, version = version + 1,
                     region = COALESCE(?4, region),
                     keep_versions = CASE WHEN ?6 THEN ?7 ELSE keep_versions END,
                     keep_versions_for = CASE WHEN ?6 THEN ?8 ELSE keep_versions_for END
                 WHERE tenant = ?1 AND version = ?3"
            };
            let sql = format!("{sql} RETURNING {COLUMNS}");
            let values = params![
                new.id.as_bytes(),
                new.label,
                new.version,
                new.region.as_ref().map(Region::as_str),
                home.as_str(),
                new.retention.is_some(),
                retention.versions,
                age,
            ];
            let stored = one(connection, &sql, values, tenant)?.ok_or(Error::Skew)?;
            if new.version > 0 && new.region.is_some() {
                moves::note(connection, new.id, now)?;
            }
            Ok(stored)
        };
        self.writer.write_and_tell(Touches::Everything, tells, change).await
    }

    async fn delete_tenant(&self, id: TenantId, version: i64) -> Result<()> {
        let delete = move |connection: &Connection, now: Timestamp| {
            let sql = "DELETE FROM tenants WHERE tenant = ? AND version = ?";
            if change(connection, sql, params![id.as_bytes(), version])? == 0 {
                return Err(Error::Skew);
            }
            for sql in [
                "DELETE FROM vhosts WHERE tenant = ?",
                "UPDATE sessions SET tenant_gone = 1, name = NULL WHERE tenant = ?",
                "DELETE FROM links WHERE tenant = ? AND revoked_at IS NULL",
                // What was taken back stays so, should there be a tenant of that id again; nothing else of it stays.
                "UPDATE links SET path = '/', name = '', networks = '', content_types = '' WHERE tenant = ?",
            ] {
                change(connection, sql, [id.as_bytes()])?;
            }
            let sql = "INSERT INTO gone_tenants (tenant, gone_at) VALUES (?, ?)";
            change(connection, sql, params![id.as_bytes(), now.micros()])?;
            // All of a small one, and the purge does the rest: nobody finds any of it from now on.
            clear(connection, id, CLEARED).map(drop)
        };
        // Its hosts go with it.
        self.writer
            .write_and_tell(Touches::Everything, vec![Change::Tenant(id), Change::Vhosts], delete)
            .await
    }

    async fn find_tenant(&self, id: TenantId) -> Result<Option<Tenant>> {
        let sql = format!("SELECT {COLUMNS} FROM tenants WHERE tenant = ?");
        self.readers.look_up(move |connection| one(connection, &sql, [id.as_bytes()], tenant)).await
    }

    async fn list_tenants(&self, after: Option<TenantId>, most: usize) -> Result<Vec<Tenant>> {
        let sql = format!("SELECT {COLUMNS} FROM tenants WHERE tenant > ? ORDER BY tenant LIMIT ?");
        let after = after.map(|id| id.as_bytes().to_vec()).unwrap_or_default();
        self.readers.read(move |connection| all(connection, &sql, params![after, limit(most)], tenant)).await
    }
}
