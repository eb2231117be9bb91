//! Virtual hosts in PostgreSQL.

use async_trait::async_trait;
use cacheroach_model::{Host, IndexName, Origin, Path, Vhost, VhostSettings};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::Postgres;
use super::row::{blob, change, get, limit};
use super::run::Outcome;
use super::statement::sql;
use super::tenants::must_exist;
use crate::changes::Change as Told;
use crate::vhosts::Vhosts;
use crate::{Error, Result};

const COLUMNS: &str = "host, tenant, login, cors, spa, index_name, error_page";

fn vhost(row: &Row) -> Result<Vhost> {
    let damaged = |column| Error::Damaged(format!("a row of the database: {column}"));
    let host = Host::parse(get(row, "host")?).map_err(|_| damaged("host"))?;
    let cors: &str = get(row, "cors")?;
    let cors = cors.lines().map(Origin::parse).collect::<std::result::Result<_, _>>();
    let error_page: &str = get(row, "error_page")?;
    let error_page = (!error_page.is_empty()).then(|| Path::parse_file(error_page)).transpose();
    let settings = VhostSettings {
        login: get(row, "login")?,
        cors: cors.map_err(|_| damaged("cors"))?,
        spa: get(row, "spa")?,
        index: IndexName::parse(get(row, "index_name")?).map_err(|_| damaged("index_name"))?,
        error_page: error_page.map_err(|_| damaged("error_page"))?,
    };
    Ok(Vhost { host, tenant: blob(row, "tenant")?, settings })
}

async fn ensure(client: &impl GenericClient, new: &Vhost) -> Outcome<()> {
    must_exist(client, new.tenant).await?;
    let sql = sql!(
        "INSERT INTO vhosts (host, tenant, login, cors, spa, index_name, error_page) VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (host) DO UPDATE SET tenant = excluded.tenant, login = excluded.login, cors = excluded.cors,
             spa = excluded.spa, index_name = excluded.index_name, error_page = excluded.error_page"
    );
    let settings = &new.settings;
    let cors = settings.cors.iter().map(Origin::as_str).collect::<Vec<_>>().join("\n");
    let error_page = settings.error_page.as_ref().map(Path::as_str).unwrap_or_default();
    let (host, tenant, index) = (new.host.as_str(), &new.tenant.as_bytes()[..], settings.index.as_set());
    let values = [
        &host as _,
        &tenant as _,
        &settings.login as _,
        &cors as _,
        &settings.spa as _,
        &index as _,
        &error_page as _,
    ];
    change(client, &sql, &values).await.map(drop)
}

#[async_trait]
impl Vhosts for Postgres {
    async fn ensure_vhost(&self, new: &Vhost) -> Result<()> {
        let new = new.clone();
        self.transact_and_tell(&[Told::Vhosts], move |client, _| {
            let new = new.clone();
            Box::pin(async move { ensure(client, &new).await })
        })
        .await
    }

    async fn delete_vhost(&self, old: &Vhost) -> Result<()> {
        let old = old.clone();
        self.transact_and_tell(&[Told::Vhosts], move |client, _| {
            let old = old.clone();
            Box::pin(async move {
                let sql = sql!("DELETE FROM vhosts WHERE host = $1 AND tenant = $2");
                change(client, &sql, &[&old.host.as_str(), &&old.tenant.as_bytes()[..]]).await.map(drop)
            })
        })
        .await
    }

    async fn find_vhost(&self, host: &Host) -> Result<Option<Vhost>> {
        let sql = sql!("SELECT {COLUMNS} FROM vhosts WHERE host = $1");
        self.one(&sql, &[&host.as_str()], vhost).await
    }

    async fn list_vhosts(&self, after: Option<&Host>, most: usize) -> Result<Vec<Vhost>> {
        let sql = sql!("SELECT {COLUMNS} FROM vhosts WHERE host > $1 ORDER BY host LIMIT $2");
        self.all(&sql, &[&after.map(Host::as_str).unwrap_or_default(), &limit(most)], vhost).await
    }
}
