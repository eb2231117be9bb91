//! Statements to rows, and rows to types. What the database holds was written by this engine: a value that does not fit
//! is damage.

use std::collections::BTreeMap;

use cacheroach_model::{
    Capabilities, File, Hash, Location, Metadata, Path, Pattern, PrincipalId, Region, Scope, Session,
    Timestamp, Version,
};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql};

use super::run::Outcome;
use crate::{Error, Result};

/// What is bound to a statement.
pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

fn damaged(what: &str) -> Error {
    Error::Damaged(format!("a row of the database: {what}"))
}

/// Integers are INT8, ids and hashes BYTEA, times INT8 in microseconds.
pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, column: &str) -> Result<T> {
    row.try_get(column).map_err(|_| damaged(column))
}

/// A value kept as bytes.
pub(super) fn blob<T>(row: &Row, column: &str) -> Result<T>
where
    T: for<'a> TryFrom<&'a [u8]>,
{
    optional_blob(row, column)?.ok_or_else(|| damaged(column))
}

pub(super) fn optional_blob<T>(row: &Row, column: &str) -> Result<Option<T>>
where
    T: for<'a> TryFrom<&'a [u8]>,
{
    let bytes: Option<&[u8]> = get(row, column)?;
    bytes.map(|bytes| T::try_from(bytes).map_err(|_| damaged(column))).transpose()
}

pub(super) fn time(row: &Row, column: &str) -> Result<Timestamp> {
    get(row, column).map(Timestamp::from_micros)
}

/// A count that is never negative.
pub(super) fn count(row: &Row, column: &str) -> Result<u64> {
    u64::try_from(get::<i64>(row, column)?).map_err(|_| damaged(column))
}

pub(super) fn length(row: &Row, column: &str) -> Result<u32> {
    u32::try_from(get::<i64>(row, column)?).map_err(|_| damaged(column))
}

pub(super) fn path(row: &Row) -> Result<Path> {
    Path::parse(get(row, "path")?).map_err(|_| damaged("path"))
}

pub(super) fn region(row: &Row) -> Result<Region> {
    Region::parse(get(row, "region")?).map_err(|_| damaged("region"))
}

pub(super) const FILE: &str =
    "path, version, rope, hash, size, content_type, created_at, modified_at, metadata";

pub(super) fn file(row: &Row) -> Result<File> {
    Ok(File {
        path: path(row)?,
        version: Version(get(row, "version")?),
        rope: optional_blob(row, "rope")?,
        hash: blob::<Hash>(row, "hash")?,
        size: count(row, "size")?,
        content_type: get(row, "content_type")?,
        created_at: time(row, "created_at")?,
        modified_at: time(row, "modified_at")?,
        metadata: parse_metadata(get(row, "metadata")?)?,
    })
}

pub(super) fn metadata_text(metadata: &Metadata) -> String {
    if metadata.pairs().is_empty() {
        return String::new();
    }
    serde_json::to_string(metadata.pairs()).expect("a map of strings is plain JSON")
}

fn parse_metadata(text: &str) -> Result<Metadata> {
    if text.is_empty() {
        return Ok(Metadata::default());
    }
    let pairs: BTreeMap<String, String> = serde_json::from_str(text).map_err(|_| damaged("metadata"))?;
    Metadata::parse(pairs).map_err(|_| damaged("metadata"))
}

pub(super) fn session(row: &Row) -> Result<Session> {
    let bits: i64 = get(row, "capabilities")?;
    let scope = if get::<bool>(row, "is_super")? {
        Scope::Super
    } else if let Some(principal) = optional_blob::<PrincipalId>(row, "on_principal")? {
        Scope::Principal(principal)
    } else {
        let pattern = Pattern::parse(get(row, "path")?).map_err(|_| damaged("path"))?;
        let version = get::<Option<i64>>(row, "version")?.map(Version);
        Scope::Location(Location { tenant: blob(row, "tenant")?, pattern, version })
    };
    Ok(Session {
        id: Some(blob(row, "session")?),
        principal: Some(blob(row, "principal")?),
        capabilities: Capabilities::from_bits(u8::try_from(bits).map_err(|_| damaged("capabilities"))?),
        scope: Some(scope),
        expires_at: Some(time(row, "expires_at")?),
        name: get::<Option<String>>(row, "name")?.unwrap_or_default(),
        note: get(row, "note")?,
    })
}

/// All rows of a query.
pub(super) async fn all<T>(
    client: &impl GenericClient,
    sql: &str,
    values: Values<'_>,
    read: impl Fn(&Row) -> Result<T> + Send,
) -> Outcome<Vec<T>>
where
    T: Send,
{
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, values).await?;
    Ok(rows.iter().map(read).collect::<Result<_>>()?)
}

/// The row of a query that has one at most.
pub(super) async fn one<T>(
    client: &impl GenericClient,
    sql: &str,
    values: Values<'_>,
    read: impl FnOnce(&Row) -> Result<T> + Send,
) -> Outcome<Option<T>>
where
    T: Send,
{
    let statement = client.prepare_cached(sql).await?;
    let row = client.query_opt(&statement, values).await?;
    Ok(row.as_ref().map(read).transpose()?)
}

/// A statement that changes rows: how many.
pub(super) async fn change(client: &impl GenericClient, sql: &str, values: Values<'_>) -> Outcome<u64> {
    let statement = client.prepare_cached(sql).await?;
    Ok(client.execute(&statement, values).await?)
}

/// As SQL has it.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// As SQL has it: contents beyond eight exbibytes do not exist.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
