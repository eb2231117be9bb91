//! Where bytes are, and on CockroachDB the cluster that keeps rows in regions.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cacheroach_model::{Hash, Region, TenantId};
use deadpool_postgres::Object;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::row::{all, blob, get, length, limit};
use super::run::{Failure, Outcome};
use super::statement::sql;
use super::{Dialect, Postgres, moves};
use crate::Result;
use crate::chunks::Place;
use crate::regions::{Moved, Moving, Next, Placed, Regions, local};
use crate::zones::{Cluster, Key, Means, Table};

/// Tables whose rows belong to regions, and the indexes of them that begin with the same as the key.
const TABLES: &[(&str, Key, &[&str])] = &[
    ("principals", Key::Region, &[]),
    ("sessions", Key::Region, &[]),
    ("uploads", Key::Region, &[]),
    ("files", Key::Tenant, &[]),
    ("versions", Key::Tenant, &["versions_of_rope"]),
    ("last_versions", Key::Tenant, &[]),
    ("overwritten", Key::Tenant, &[]),
    ("ropes", Key::Tenant, &["ropes_by_hash"]),
    ("pieces", Key::Tenant, &["pieces_of_chunk"]),
    ("loose_ropes", Key::Tenant, &[]),
    ("chunks", Key::Tenant, &[]),
    ("chunk_data", Key::Tenant, &[]),
];

/// Where a node of CockroachDB is that was started without saying so.
const ANYWHERE: &str = "global";

/// Where a server is that was not told: where the node is that it asks. PostgreSQL knows no places.
pub(super) async fn of_server(client: &Client, dialect: Dialect) -> Outcome<Region> {
    if dialect != Dialect::Cockroach {
        return Ok(local());
    }
    // `gateway_region()` fails on a node that was started without a place.
    let place = format!("SELECT COALESCE(crdb_internal.locality_value('region'), '{ANYWHERE}')");
    let told = column(client, &place, 0).await?.pop().unwrap_or_default();
    let region = of_node(&told);
    tracing::info!(%region, "this server is where the node of the database is that it asks");
    Ok(region)
}

/// What a node calls its place may be no name of a region here.
fn of_node(told: &str) -> Region {
    Region::parse(told).unwrap_or_else(|error| {
        tracing::warn!(%told, %error, "the database's name of this server's region is none here: see --region");
        Region::parse(ANYWHERE).expect("lower-case letters")
    })
}

#[async_trait]
impl Regions for Postgres {
    async fn list_places(&self, id: TenantId, after: Option<Hash>, most: usize) -> Result<Vec<Placed>> {
        let after = after.map(|chunk| chunk.as_bytes().to_vec()).unwrap_or_default();
        self.run(|client, _| {
            let after = after.clone();
            Box::pin(async move {
                let sql = sql!(
                    "SELECT chunk, generation, length, place FROM chunks WHERE tenant = $1 AND chunk > $2 AND state = 1
                     ORDER BY chunk LIMIT $3"
                );
                let placed = |row: &_| {
                    let place = get::<Option<Vec<u8>>>(row, "place")?.map(Place);
                    let generation = get(row, "generation")?;
                    Ok(Placed { chunk: blob(row, "chunk")?, generation, length: length(row, "length")?, place })
                };
                all(client, &sql, &[&&id.as_bytes()[..], &after, &limit(most)], placed).await
            })
        })
        .await
    }

    async fn begin_moving(&self, patience: Duration) -> Result<Option<Moving>> {
        moves::begin(self, patience).await
    }

    async fn end_moving(&self, moving: &Moving, next: Next) -> Result<()> {
        moves::end(self, moving, next).await
    }

    async fn note_moving(&self, after: Option<TenantId>, most: usize) -> Result<Option<TenantId>> {
        moves::note_some(self, after, most).await
    }

    async fn lease_moves(&self, count: usize, length: Duration) -> Result<Vec<i64>> {
        moves::lease(self, count, length).await
    }

    async fn move_chunks(&self, tenant: TenantId, moved: &[Moved]) -> Result<Vec<bool>> {
        let moved = Arc::new(moved.to_vec());
        self.transact(move |transaction, now| {
            let moved = Arc::clone(&moved);
            Box::pin(async move { moves::move_all(transaction, tenant, &moved, now).await })
        })
        .await
    }

    async fn cluster(&self) -> Result<Option<Cluster>> {
        if self.dialect != Dialect::Cockroach {
            return Ok(None);
        }
        self.run(|client, _| Box::pin(async move { Ok(Some(cluster(client).await?)) })).await
    }

    async fn say_to_cluster(&self, statement: &str) -> Result<()> {
        // To move rows takes its time, and this connection is not for anybody else afterwards.
        let client = Object::take(self.client().await?);
        client.batch_execute("SET statement_timeout = 0").await.map_err(Failure::Sql)?;
        Ok(client.batch_execute(statement).await.map_err(Failure::Sql)?)
    }
}

async fn cluster(client: &Client) -> Outcome<Cluster> {
    let database = column(client, "SELECT current_database()", 0).await?.pop().unwrap_or_default();
    let nodes = regions(&column(client, "SHOW REGIONS FROM CLUSTER", 0).await?);
    // A license is a secret of sorts: whether there is one is all that is asked.
    let licensed =
        "SELECT value <> '' FROM crdb_internal.cluster_settings WHERE variable = 'enterprise.license'";
    let licensed = column(client, licensed, 0).await?.first().is_some_and(|value| value == "t");
    // Database, region, whether it is the primary one, zones.
    let named = format!("SHOW REGIONS FROM DATABASE \"{}\"", database.replace('"', "\"\""));
    let mut names = column(client, &named, 1).await?;
    let is_primary = column(client, &named, 2).await?;
    if let Some(at) = is_primary.iter().position(|is| is == "t" || is == "true") {
        let primary = names.remove(at);
        names.insert(0, primary);
    }
    let homes = "SELECT table_name FROM information_schema.columns
                 WHERE table_schema = 'public' AND column_name = 'home'";
    let homes = column(client, homes, 0).await?;
    let tables = TABLES.iter().map(|(name, by, indexes)| Table {
        name: (*name).to_owned(),
        by: *by,
        indexes: indexes.iter().map(|index| (*index).to_owned()).collect(),
        has_home: homes.iter().any(|home| home == name),
    });
    let means = if licensed { Means::Rows } else { Means::Tables };
    Ok(Cluster { database, means, nodes, regions: regions(&names), tables: tables.collect() })
}

/// Names that are no regions to us are left out: we would not know who is at home there.
fn regions(names: &[String]) -> Vec<Region> {
    names.iter().filter_map(|name| Region::parse(name).ok()).collect()
}

/// A column of what is answered, as text: these statements can't be prepared on PostgreSQL, and their types differ.
async fn column(client: &Client, statement: &str, at: usize) -> Outcome<Vec<String>> {
    let answer = client.simple_query(statement).await?;
    let texts = answer.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.try_get(at).ok().flatten().unwrap_or_default().to_owned()),
        _ => None,
    });
    Ok(texts.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_where_its_node_is_if_that_has_a_name_here() {
        for (told, region) in [
            ("eu", "eu"),
            ("us-east-1", "us-east-1"),
            ("global", "global"),
            ("", "global"),
            ("US-East", "global"),
            ("eu west", "global"),
        ] {
            assert_eq!(of_node(told).as_str(), region, "{told}");
        }
    }
}
