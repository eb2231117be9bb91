//! A store as tables, in PostgreSQL.

use std::sync::Arc;

use async_trait::async_trait;
use cacheroach_model::{Hash, Path, RopeId, TenantId, Version};
use deadpool_postgres::{ClientWrapper, Object, Transaction};
use futures::FutureExt as _;
use futures::future::try_join_all;
use tokio_postgres::Row as SqlRow;
use tokio_postgres::types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked};

use super::chunks::new_generation;
use super::row::{Values, blob, change, count, get, limit, optional_blob, path};
use super::run::{Failure, Outcome};
use super::statement::sql;
use super::{Postgres, random_id};
use crate::inspect::{Column, Identity, Inspect, Key, Kind, Row, Table, Touched, Usage, Value, Walk};
use crate::{Error, Result};

type Source = Box<dyn std::error::Error + Sync + Send>;

impl ToSql for Value {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Source> {
        match self {
            Value::None => Ok(IsNull::Yes),
            Value::Bytes(bytes) => bytes.to_sql(kind, out),
            Value::Text(text) => text.to_sql(kind, out),
            Value::Number(number) => number.to_sql(kind, out),
            Value::Flag(flag) => flag.to_sql(kind, out),
        }
    }

    /// What does not fit is refused by the value itself.
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

struct Bytes16([u8; 16]);

impl TryFrom<&[u8]> for Bytes16 {
    type Error = std::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        bytes.try_into().map(Bytes16)
    }
}

fn value(row: &SqlRow, column: &Column) -> Result<Value> {
    let name = column.name;
    Ok(match column.kind {
        Kind::Id | Kind::Hash | Kind::Bytes => {
            get::<Option<Vec<u8>>>(row, name)?.map_or(Value::None, Value::Bytes)
        }
        Kind::Text => get::<Option<String>>(row, name)?.map_or(Value::None, Value::Text),
        Kind::Number => get::<Option<i64>>(row, name)?.map_or(Value::None, Value::Number),
        Kind::Flag => get::<Option<bool>>(row, name)?.map_or(Value::None, Value::Flag),
    })
}

fn row(table: &'static Table, found: &SqlRow) -> Result<Row> {
    let values = table.columns.iter().map(|column| value(found, column)).collect::<Result<_>>()?;
    Row::new(table, values)
}

/// `$1, $2, $3`.
fn marks(count: usize) -> String {
    (1..=count).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ")
}

fn bound(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|value| value as _).collect()
}

/// The statement of a page, and what is bound to it.
fn page(table: &'static Table, after: Option<&Key>, most: usize) -> (String, Vec<Value>) {
    let (name, names, key) = (table.name, table.names(), table.key_names());
    let (beyond, mut values) = match after {
        Some(after) => (format!("WHERE ({key}) > ({})", marks(table.key)), after.clone()),
        None => (String::new(), Vec::new()),
    };
    values.push(Value::Number(limit(most)));
    let last = values.len();
    (sql!("SELECT {names} FROM {name} {beyond} ORDER BY {key} LIMIT ${last}"), values)
}

async fn restore(transaction: &Transaction<'_>, new: &Row) -> Outcome<()> {
    let table = new.table();
    let others: Vec<_> =
        table.columns[table.key..].iter().map(|column| format!("{0} = excluded.{0}", column.name)).collect();
    let change_to = match others.is_empty() {
        true => "NOTHING".to_owned(),
        false => format!("UPDATE SET {}", others.join(", ")),
    };
    let (name, names, key) = (table.name, table.names(), table.key_names());
    let marks = marks(table.columns.len());
    let sql = sql!("INSERT INTO {name} ({names}) VALUES ({marks}) ON CONFLICT ({key}) DO {change_to}");
    match change(transaction, &sql, &bound(new.values())).await {
        Err(failure) if failure.conflict().is_some() => Err(Failure::Store(Error::Taken(name))),
        done => done.map(drop),
    }
}

impl Postgres {
    async fn touched(
        &self,
        tenant: TenantId,
        from: &str,
        id: &[u8],
        after: Option<(Path, Version)>,
        most: usize,
    ) -> Result<Vec<Touched>> {
        let (path_after, version_after) =
            after.as_ref().map_or(("", 0), |(path, version)| (path.as_str(), version.0));
        let sql = sql!(
            "SELECT DISTINCT v.path, v.version, v.deleted_at IS NOT NULL AS deleted FROM {from}
                 AND (v.path, v.version) > ($3, $4)
             ORDER BY v.path, v.version LIMIT $5"
        );
        let values: Values<'_> = &[&&tenant.as_bytes()[..], &id, &path_after, &version_after, &limit(most)];
        self.all(&sql, values, |row| {
            let version = Version(get(row, "version")?);
            Ok(Touched { tenant, path: path(row)?, version, is_deleted: get(row, "deleted")? })
        })
        .await
    }

    /// How many there are, and how large they are together.
    async fn sum(&self, tenant: TenantId, size: &str, from: &str) -> Result<(u64, u64)> {
        let sql = sql!(
            "SELECT COUNT(*)::INT8 AS number, COALESCE(SUM({size}), 0)::INT8 AS bytes
             FROM {from} tenant = $1"
        );
        let read = |row: &SqlRow| Ok((count(row, "number")?, count(row, "bytes")?));
        Ok(self.one(&sql, &[&&tenant.as_bytes()[..]], read).await?.unwrap_or_default())
    }
}

#[async_trait]
impl Walk for Postgres {
    async fn list_rows(&self, table: &'static Table, after: Option<&Key>, limit: usize) -> Result<Vec<Row>> {
        let (sql, values) = page(table, after, limit);
        self.all(&sql, &bound(&values), |found| row(table, found)).await
    }
}

/// A connection of its own with a transaction that stays open. It ends with the connection.
struct Snapshot(ClientWrapper);

#[async_trait]
impl Walk for Snapshot {
    async fn list_rows(&self, table: &'static Table, after: Option<&Key>, limit: usize) -> Result<Vec<Row>> {
        let (sql, values) = page(table, after, limit);
        let statement = self.0.prepare_cached(&sql).await.map_err(Failure::from)?;
        let rows = self.0.query(&statement, &bound(&values)).await.map_err(Failure::from)?;
        rows.iter().map(|found| row(table, found)).collect()
    }
}

#[async_trait]
impl Inspect for Postgres {
    async fn snapshot(&self) -> Result<Box<dyn Walk>> {
        let client = Object::take(self.client().await?);
        // The first read is what begins it.
        let begin = sql!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1 FROM identity");
        client.batch_execute(&begin).await.map_err(Failure::from)?;
        Ok(Box::new(Snapshot(client)))
    }

    async fn find_row(&self, table: &'static Table, key: &Key) -> Result<Option<Row>> {
        let (name, names, key_names, marks) =
            (table.name, table.names(), table.key_names(), marks(table.key));
        let sql = sql!("SELECT {names} FROM {name} WHERE ({key_names}) = ({marks})");
        self.one(&sql, &bound(key), |found| row(table, found)).await
    }

    async fn restore_rows(&self, rows: Vec<Row>) -> Result<()> {
        let rows = Arc::new(rows);
        self.transact(move |transaction, _| {
            let rows = Arc::clone(&rows);
            async move {
                // The first one prepares the statement; then all are on their way at once: it may be a long one.
                let Some((first, others)) = rows.split_first() else { return Ok(()) };
                restore(transaction, first).await?;
                try_join_all(others.iter().map(|row| restore(transaction, row))).await.map(drop)
            }
            .boxed()
        })
        .await
    }

    async fn remove_rows(&self, table: &'static Table, keys: Vec<Key>) -> Result<()> {
        let keys = Arc::new(keys);
        self.transact(move |transaction, _| {
            let keys = Arc::clone(&keys);
            async move {
                let (name, key_names, marks) = (table.name, table.key_names(), marks(table.key));
                let sql = sql!("DELETE FROM {name} WHERE ({key_names}) = ({marks})");
                let remove = async |key: &Key| change(transaction, &sql, &bound(key)).await;
                let Some((first, others)) = keys.split_first() else { return Ok(()) };
                remove(first).await?;
                try_join_all(others.iter().map(remove)).await.map(drop)
            }
            .boxed()
        })
        .await
    }

    async fn draw_generations(&self, count: usize) -> Result<Vec<i64>> {
        (0..count).map(|_| new_generation()).collect()
    }

    async fn mark_damaged(&self, tenant: TenantId, chunk: Hash, generation: i64) -> Result<bool> {
        let next = new_generation()?;
        self.transact_once(move |transaction, _| {
            async move {
                let sql = sql!(
                    "UPDATE chunks SET state = 0, generation = $1, place = NULL, data = NULL
                     WHERE tenant = $2 AND chunk = $3 AND generation = $4 AND state = 1"
                );
                let values: Values<'_> =
                    &[&next, &&tenant.as_bytes()[..], &&chunk.as_bytes()[..], &generation];
                Ok(change(transaction, &sql, values).await? > 0)
            }
            .boxed()
        })
        .await
    }

    async fn list_versions_of_chunk(
        &self,
        tenant: TenantId,
        chunk: Hash,
        after: Option<(Path, Version)>,
        limit: usize,
    ) -> Result<Vec<Touched>> {
        let from = "pieces p JOIN versions v ON v.tenant = p.tenant AND v.rope = p.rope
                    WHERE p.tenant = $1 AND p.chunk = $2";
        self.touched(tenant, from, chunk.as_bytes(), after, limit).await
    }

    async fn list_versions_of_rope(
        &self,
        tenant: TenantId,
        rope: RopeId,
        after: Option<(Path, Version)>,
        limit: usize,
    ) -> Result<Vec<Touched>> {
        let from = "versions v WHERE v.tenant = $1 AND v.rope = $2";
        self.touched(tenant, from, rope.as_bytes(), after, limit).await
    }

    async fn usage(&self, tenant: TenantId) -> Result<Usage> {
        let (files, file_bytes) = self.sum(tenant, "size", "files WHERE").await?;
        let (versions, version_bytes) = self.sum(tenant, "size", "versions WHERE").await?;
        let (ropes, rope_bytes) = self.sum(tenant, "size", "ropes WHERE").await?;
        let live = "chunks WHERE state = 1 AND place IS";
        let (rows, row_bytes) = self.sum(tenant, "length", &format!("{live} NULL AND")).await?;
        let (chunks, chunk_bytes) = self.sum(tenant, "length", &format!("{live} NOT NULL AND")).await?;
        Ok(Usage {
            files,
            file_bytes,
            versions,
            version_bytes,
            ropes,
            rope_bytes,
            rows,
            row_bytes,
            chunks,
            chunk_bytes,
        })
    }

    async fn identity(&self) -> Result<Identity> {
        let drawn = random_id();
        let draw = sql!("INSERT INTO identity (id, store) VALUES (1, $1) ON CONFLICT (id) DO NOTHING");
        self.set(&draw, &[&&drawn[..]]).await?;
        // Ids of stores have no type of their own: nothing but copies compares them.
        let read = |row: &SqlRow| {
            let copy_of = optional_blob::<Bytes16>(row, "copy_of")?;
            Ok(Identity { store: blob::<Bytes16>(row, "store")?.0, copy_of: copy_of.map(|id| id.0) })
        };
        self.one(&sql!("SELECT store, copy_of FROM identity WHERE id = 1"), &[], read)
            .await?
            .ok_or_else(|| Error::Damaged("a store without an identity".into()))
    }

    async fn note_copy_of(&self, store: [u8; 16]) -> Result<()> {
        self.identity().await?;
        self.set(&sql!("UPDATE identity SET copy_of = $1 WHERE id = 1"), &[&&store[..]]).await
    }
}
