//! Tenants in SQLite.

use std::time::Duration;

use async_trait::async_trait;
use cacheroach_model::{Region, Retention, Tenant, TenantId};
use rusqlite::{Connection, Row, params};

use super::Sqlite;
use super::row::{all, blob, change, get, limit, one, region};
use crate::tenants::Tenants;
use crate::{Error, Result};

const COLUMNS: &str = "tenant, label, version, region, keep_versions, keep_versions_for";

fn tenant(row: &Row<'_>) -> Result<Tenant> {
    let age = get::<Option<i64>>(row, "keep_versions_for")?;
    Ok(Tenant {
        id: blob(row, "tenant")?,
        label: get(row, "label")?,
        version: get(row, "version")?,
        region: Some(region(row)?),
        retention: Some(Retention {
            versions: get(row, "keep_versions")?,
            age: age.map(|micros| Duration::from_micros(micros.unsigned_abs())),
        }),
    })
}

/// Rows that are a tenant's must not appear without it.
pub(super) fn must_exist(connection: &Connection, id: TenantId) -> Result<()> {
    let found = one(connection, "SELECT 1 FROM tenants WHERE tenant = ?", [id.as_bytes()], |_| Ok(()))?;
    found.ok_or(Error::Missing("tenant"))
}

#[async_trait]
impl Tenants for Sqlite {
    async fn ensure_tenant(&self, new: &Tenant) -> Result<Tenant> {
        let (new, home) = (new.clone(), self.region.clone());
        let change = move |connection: &Connection, _| {
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
            one(connection, &sql, values, tenant)?.ok_or(Error::Skew)
        };
        self.writer.write(change).await
    }

    async fn delete_tenant(&self, id: TenantId, version: i64) -> Result<()> {
        let delete = move |connection: &Connection, _| {
            let sql = "DELETE FROM tenants WHERE tenant = ? AND version = ?";
            if change(connection, sql, params![id.as_bytes(), version])? == 0 {
                return Err(Error::Skew);
            }
            // Rows of chunks stay: they alone know where bytes are that are still to be erased.
            for sql in [
                "DELETE FROM vhosts WHERE tenant = ?",
                "DELETE FROM files WHERE tenant = ?",
                "DELETE FROM versions WHERE tenant = ?",
                "DELETE FROM ropes WHERE tenant = ?",
                "DELETE FROM pieces WHERE tenant = ?",
                "DELETE FROM leases WHERE upload IN (SELECT upload FROM uploads WHERE tenant = ?)",
                "DELETE FROM uploads WHERE tenant = ?",
                "UPDATE sessions SET tenant_gone = 1, name = NULL WHERE tenant = ?",
                "DELETE FROM links WHERE tenant = ? AND revoked_at IS NULL",
                // What was taken back stays so, should there be a tenant of that id again; nothing else of it stays.
                "UPDATE links SET path = '/', name = '', networks = '', content_types = '' WHERE tenant = ?",
            ] {
                change(connection, sql, [id.as_bytes()])?;
            }
            Ok(())
        };
        self.writer.write(delete).await
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
