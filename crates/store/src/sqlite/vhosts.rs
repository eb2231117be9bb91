//! Virtual hosts in SQLite.

use async_trait::async_trait;
use cacheroach_model::{Host, Vhost};
use rusqlite::{Connection, Row, params};

use super::Sqlite;
use super::row::{all, blob, change, get, limit, one};
use super::tenants::must_exist;
use crate::vhosts::Vhosts;
use crate::{Error, Result};

fn vhost(row: &Row<'_>) -> Result<Vhost> {
    let host =
        Host::parse(&get::<String>(row, "host")?).map_err(|_| Error::Damaged("the host of a row".into()))?;
    Ok(Vhost { host, tenant: blob(row, "tenant")? })
}

#[async_trait]
impl Vhosts for Sqlite {
    async fn ensure_vhost(&self, new: &Vhost) -> Result<()> {
        let new = new.clone();
        let ensure = move |connection: &Connection, _| {
            must_exist(connection, new.tenant)?;
            let sql = "INSERT INTO vhosts (host, tenant) VALUES (?, ?)
                       ON CONFLICT (host) DO UPDATE SET tenant = excluded.tenant";
            change(connection, sql, params![new.host.as_str(), new.tenant.as_bytes()]).map(drop)
        };
        self.writer.write(ensure).await
    }

    async fn delete_vhost(&self, old: &Vhost) -> Result<()> {
        let old = old.clone();
        let delete = move |connection: &Connection, _| {
            let sql = "DELETE FROM vhosts WHERE host = ? AND tenant = ?";
            change(connection, sql, params![old.host.as_str(), old.tenant.as_bytes()]).map(drop)
        };
        self.writer.write(delete).await
    }

    async fn find_vhost(&self, host: &Host) -> Result<Option<Vhost>> {
        let (host, sql) = (host.clone(), "SELECT host, tenant FROM vhosts WHERE host = ?");
        self.readers.look_up(move |connection| one(connection, sql, [host.as_str()], vhost)).await
    }

    async fn list_vhosts(&self, after: Option<&Host>, most: usize) -> Result<Vec<Vhost>> {
        let sql = "SELECT host, tenant FROM vhosts WHERE host > ? ORDER BY host LIMIT ?";
        let after = after.map(|host| host.as_str().to_owned()).unwrap_or_default();
        self.readers.read(move |connection| all(connection, sql, params![after, limit(most)], vhost)).await
    }
}
