//! Virtual hosts in SQLite.

use async_trait::async_trait;
use cacheroach_model::{Host, IndexName, Origin, Path, Vhost, VhostSettings};
use rusqlite::{Connection, Row, params};

use super::Sqlite;
use super::row::{all, blob, change, get, limit, one};
use super::stamps::Touches;
use super::tenants::must_exist;
use crate::changes::Change;
use crate::vhosts::Vhosts;
use crate::{Error, Result};

fn vhost(row: &Row<'_>) -> Result<Vhost> {
    let damaged = |column| Error::Damaged(format!("a row of the database: {column}"));
    let host = Host::parse(&get::<String>(row, "host")?).map_err(|_| damaged("host"))?;
    let cors: String = get(row, "cors")?;
    let cors = cors.lines().map(Origin::parse).collect::<std::result::Result<_, _>>();
    let error_page: String = get(row, "error_page")?;
    let error_page = (!error_page.is_empty()).then(|| Path::parse_file(&error_page)).transpose();
    let settings = VhostSettings {
        login: get(row, "login")?,
        cors: cors.map_err(|_| damaged("cors"))?,
        spa: get(row, "spa")?,
        index: IndexName::parse(&get::<String>(row, "index_name")?).map_err(|_| damaged("index_name"))?,
        error_page: error_page.map_err(|_| damaged("error_page"))?,
    };
    Ok(Vhost { host, tenant: blob(row, "tenant")?, settings })
}

#[async_trait]
impl Vhosts for Sqlite {
    async fn ensure_vhost(&self, new: &Vhost) -> Result<()> {
        let new = new.clone();
        let ensure = move |connection: &Connection, _| {
            must_exist(connection, new.tenant)?;
            let sql = "INSERT INTO vhosts (host, tenant, login, cors, spa, index_name, error_page)
                       VALUES (?, ?, ?, ?, ?, ?, ?)
                       ON CONFLICT (host) DO UPDATE SET tenant = excluded.tenant, login = excluded.login,
                           cors = excluded.cors, spa = excluded.spa, index_name = excluded.index_name,
                           error_page = excluded.error_page";
            let settings = &new.settings;
            let cors: Vec<_> = settings.cors.iter().map(Origin::as_str).collect();
            let error_page = settings.error_page.as_ref().map(Path::as_str).unwrap_or_default();
            let (host, tenant, index) = (new.host.as_str(), new.tenant.as_bytes(), settings.index.as_set());
            let (login, spa) = (settings.login, settings.spa);
            let values = params![host, tenant, login, cors.join("\n"), spa, index, error_page];
            change(connection, sql, values).map(drop)
        };
        self.writer.write_and_tell(Touches::Nothing, vec![Change::Vhosts], ensure).await
    }

    async fn delete_vhost(&self, old: &Vhost) -> Result<()> {
        let old = old.clone();
        let delete = move |connection: &Connection, _| {
            let sql = "DELETE FROM vhosts WHERE host = ? AND tenant = ?";
            change(connection, sql, params![old.host.as_str(), old.tenant.as_bytes()]).map(drop)
        };
        self.writer.write_and_tell(Touches::Nothing, vec![Change::Vhosts], delete).await
    }

    async fn find_vhost(&self, host: &Host) -> Result<Option<Vhost>> {
        let (host, sql) = (host.clone(), "SELECT * FROM vhosts WHERE host = ?");
        self.readers.look_up(move |connection| one(connection, sql, [host.as_str()], vhost)).await
    }

    async fn list_vhosts(&self, after: Option<&Host>, most: usize) -> Result<Vec<Vhost>> {
        let sql = "SELECT * FROM vhosts WHERE host > ? ORDER BY host LIMIT ?";
        let after = after.map(|host| host.as_str().to_owned()).unwrap_or_default();
        self.readers.read(move |connection| all(connection, sql, params![after, limit(most)], vhost)).await
    }
}
