//! A store as tables, in SQLite.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use cacheroach_model::{Hash, Path, RopeId, TenantId, Version};
use rusqlite::types::{ToSqlOutput, Value as Sql, ValueRef};
use rusqlite::{Connection, Row as SqlRow, ToSql, params, params_from_iter};

use super::Sqlite;
use super::row::{all, change, count, get, limit, one, path};
use crate::inspect::{
    CHUNKS, Column, Identity, Inspect, Key, Kind, ROPES, Row, Table, Touched, Usage, Value, Walk,
};
use crate::{Error, Result};

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::None => ValueRef::Null,
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Number(number) => ValueRef::Integer(*number),
            Value::Flag(flag) => ValueRef::Integer((*flag).into()),
        }))
    }
}

fn value(row: &SqlRow<'_>, column: &Column) -> Result<Value> {
    Ok(match (get::<Sql>(row, column.name)?, column.kind) {
        (Sql::Null, _) => Value::None,
        (Sql::Blob(bytes), _) => Value::Bytes(bytes),
        (Sql::Text(text), _) => Value::Text(text),
        (Sql::Integer(number), Kind::Flag) => Value::Flag(number != 0),
        (Sql::Integer(number), _) => Value::Number(number),
        (Sql::Real(_), _) => return Err(Error::Damaged(format!("a row of the database: {}", column.name))),
    })
}

fn row(table: &'static Table, found: &SqlRow<'_>) -> Result<Row> {
    let values = table.columns.iter().map(|column| value(found, column)).collect::<Result<_>>()?;
    Row::new(table, values)
}

/// `?, ?, ?`.
fn marks(count: usize) -> String {
    vec!["?"; count].join(", ")
}

fn list(
    connection: &Connection,
    table: &'static Table,
    after: Option<&Key>,
    most: usize,
) -> Result<Vec<Row>> {
    let (names, key) = (table.names(), table.key_names());
    let (beyond, mut values) = match after {
        Some(after) => (format!("WHERE ({key}) > ({})", marks(table.key)), after.clone()),
        None => (String::new(), Vec::new()),
    };
    let sql = format!("SELECT {names} FROM {} {beyond} ORDER BY {key} LIMIT ?", table.name);
    values.push(Value::Number(limit(most)));
    all(connection, &sql, params_from_iter(values), |found| row(table, found))
}

fn restore(connection: &Connection, new: &Row) -> Result<()> {
    let table = new.table();
    let others: Vec<_> =
        table.columns[table.key..].iter().map(|column| format!("{0} = excluded.{0}", column.name)).collect();
    let change_to = match others.is_empty() {
        true => "NOTHING".to_owned(),
        false => format!("UPDATE SET {}", others.join(", ")),
    };
    let (names, key, marks) = (table.names(), table.key_names(), marks(table.columns.len()));
    let sql =
        format!("INSERT INTO {} ({names}) VALUES ({marks}) ON CONFLICT ({key}) DO {change_to}", table.name);
    let unique = rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE;
    match connection.prepare_cached(&sql)?.execute(params_from_iter(new.values())) {
        Err(rusqlite::Error::SqliteFailure(code, _)) if code.extended_code == unique => {
            return Err(Error::Taken(table.name));
        }
        done => done?,
    };
    let drawn = if *table == CHUNKS {
        Some(new.number("generation"))
    } else if *table == ROPES {
        drawn_rope(new)
    } else {
        None
    };
    if let Some(drawn) = drawn {
        change(connection, "UPDATE generations SET last = ?1 WHERE last < ?1", [drawn])?;
    }
    Ok(())
}

/// The number that the id of a rope was made of, if it was made of one.
fn drawn_rope(rope: &Row) -> Option<i64> {
    let (zeros, number) = rope.bytes("rope")?.split_first_chunk::<8>()?;
    let number = i64::from_be_bytes(number.try_into().ok()?);
    (*zeros == [0; 8]).then_some(number)
}

fn mark(connection: &Connection, tenant: TenantId, chunk: Hash, generation: i64) -> Result<bool> {
    let next = super::chunks::next_generation(connection)?;
    let sql = "UPDATE chunks SET state = 0, generation = ?, place = NULL, data = NULL
               WHERE tenant = ? AND chunk = ? AND generation = ? AND state = 1";
    let key = params![next, tenant.as_bytes(), chunk.as_bytes(), generation];
    Ok(change(connection, sql, key)? > 0)
}

fn touched(
    connection: &Connection,
    tenant: TenantId,
    from: &str,
    id: &[u8],
    after: Option<&(Path, Version)>,
    most: usize,
) -> Result<Vec<Touched>> {
    let (path_after, version_after) = after.map_or(("", 0), |(path, version)| (path.as_str(), version.0));
    let sql = format!(
        "SELECT DISTINCT v.path, v.version, v.deleted_at IS NOT NULL AS deleted FROM {from}
             AND (v.path, v.version) > (?3, ?4)
         ORDER BY v.path, v.version LIMIT ?5"
    );
    let values = params![tenant.as_bytes(), id, path_after, version_after, limit(most)];
    all(connection, &sql, values, |row| {
        let version = Version(get(row, "version")?);
        Ok(Touched { tenant, path: path(row)?, version, is_deleted: get(row, "deleted")? })
    })
}

fn usage(connection: &Connection, tenant: TenantId) -> Result<Usage> {
    let count_two = |sql: &str| {
        let read = |row: &SqlRow<'_>| Ok((count(row, "number")?, count(row, "bytes")?));
        Ok::<_, Error>(one(connection, sql, [tenant.as_bytes()], read)?.unwrap_or_default())
    };
    let sum = "SELECT COUNT(*) AS number, COALESCE(SUM(size), 0) AS bytes FROM";
    let (files, file_bytes) = count_two(&format!("{sum} files WHERE tenant = ?"))?;
    let (versions, version_bytes) = count_two(&format!("{sum} versions WHERE tenant = ?"))?;
    let (ropes, rope_bytes) = count_two(&format!("{sum} ropes WHERE tenant = ?"))?;
    let sum = "SELECT COUNT(*) AS number, COALESCE(SUM(length), 0) AS bytes FROM chunks
               WHERE tenant = ? AND state = 1 AND";
    let (rows, row_bytes) = count_two(&format!("{sum} place IS NULL"))?;
    let (chunks, chunk_bytes) = count_two(&format!("{sum} place IS NOT NULL"))?;
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

#[async_trait]
impl Walk for Sqlite {
    async fn list_rows(&self, table: &'static Table, after: Option<&Key>, limit: usize) -> Result<Vec<Row>> {
        let after = after.cloned();
        self.readers.read(move |connection| list(connection, table, after.as_ref(), limit)).await
    }
}

/// A connection with a transaction that stays open.
struct Snapshot(Arc<Mutex<Connection>>);

#[async_trait]
impl Walk for Snapshot {
    async fn list_rows(&self, table: &'static Table, after: Option<&Key>, limit: usize) -> Result<Vec<Row>> {
        let (connection, after) = (Arc::clone(&self.0), after.cloned());
        let listing = tokio::task::spawn_blocking(move || {
            let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            list(&connection, table, after.as_ref(), limit)
        });
        listing.await.map_err(|stopped| Error::Failed(stopped.into()))?
    }
}

#[async_trait]
impl Inspect for Sqlite {
    async fn snapshot(&self) -> Result<Box<dyn Walk>> {
        let file = self.file.clone();
        let begin = move || {
            let connection = super::readers::connect_to_read(&file)?;
            // The first read is what begins it.
            connection.execute_batch("BEGIN; SELECT 1 FROM identity")?;
            Ok(Box::new(Snapshot(Arc::new(Mutex::new(connection)))) as Box<dyn Walk>)
        };
        tokio::task::spawn_blocking(begin).await.map_err(|stopped| Error::Failed(stopped.into()))?
    }

    async fn find_row(&self, table: &'static Table, key: &Key) -> Result<Option<Row>> {
        let (names, key_names, marks) = (table.names(), table.key_names(), marks(table.key));
        let sql = format!("SELECT {names} FROM {} WHERE ({key_names}) = ({marks})", table.name);
        let key = key.clone();
        let find = move |connection: &Connection| {
            one(connection, &sql, params_from_iter(key), |found| row(table, found))
        };
        self.readers.read(find).await
    }

    async fn restore_rows(&self, rows: Vec<Row>) -> Result<()> {
        self.writer.write(move |connection, _| rows.iter().try_for_each(|row| restore(connection, row))).await
    }

    async fn remove_rows(&self, table: &'static Table, keys: Vec<Key>) -> Result<()> {
        let sql =
            format!("DELETE FROM {} WHERE ({}) = ({})", table.name, table.key_names(), marks(table.key));
        let remove = move |connection: &Connection, _| {
            keys.iter().try_for_each(|key| change(connection, &sql, params_from_iter(key)).map(drop))
        };
        self.writer.write(remove).await
    }

    async fn draw_generations(&self, count: usize) -> Result<Vec<i64>> {
        let draw = move |connection: &Connection, _| {
            (0..count).map(|_| super::chunks::next_generation(connection)).collect()
        };
        self.writer.write(draw).await
    }

    async fn mark_damaged(&self, tenant: TenantId, chunk: Hash, generation: i64) -> Result<bool> {
        self.writer.write(move |connection, _| mark(connection, tenant, chunk, generation)).await
    }

    async fn list_versions_of_chunk(
        &self,
        tenant: TenantId,
        chunk: Hash,
        after: Option<(Path, Version)>,
        limit: usize,
    ) -> Result<Vec<Touched>> {
        let from = "pieces p JOIN versions v ON v.tenant = p.tenant AND v.rope = p.rope
                    WHERE p.tenant = ?1 AND p.chunk = ?2";
        self.readers
            .read(move |connection| {
                touched(connection, tenant, from, chunk.as_bytes(), after.as_ref(), limit)
            })
            .await
    }

    async fn list_versions_of_rope(
        &self,
        tenant: TenantId,
        rope: RopeId,
        after: Option<(Path, Version)>,
        limit: usize,
    ) -> Result<Vec<Touched>> {
        let from = "versions v WHERE v.tenant = ?1 AND v.rope = ?2";
        self.readers
            .read(move |connection| touched(connection, tenant, from, rope.as_bytes(), after.as_ref(), limit))
            .await
    }

    async fn usage(&self, tenant: TenantId) -> Result<Usage> {
        self.readers.read(move |connection| usage(connection, tenant)).await
    }

    async fn identity(&self) -> Result<Identity> {
        let find = |connection: &Connection| {
            let read = |row: &SqlRow<'_>| {
                let copy_of = get::<Option<[u8; 16]>>(row, "copy_of")?;
                Ok(Identity { store: get(row, "store")?, copy_of })
            };
            one(connection, "SELECT store, copy_of FROM identity", [], read)?
                .ok_or_else(|| Error::Damaged("a store without an identity".into()))
        };
        self.readers.read(find).await
    }

    async fn note_copy_of(&self, store: [u8; 16]) -> Result<()> {
        let note = move |connection: &Connection, _| {
            change(connection, "UPDATE identity SET copy_of = ?", [store]).map(drop)
        };
        self.writer.write(note).await
    }
}
