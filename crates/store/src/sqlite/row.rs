//! Rows to types. What the database holds was written by this engine: a value that does not fit is damage.

use std::collections::BTreeMap;

use cacheroach_model::{
    Capabilities, File, Hash, Location, Metadata, Path, Pattern, PrincipalId, Region, RopeId, Scope, Session,
    Timestamp, Version,
};
use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension as _, Params, Row};

use super::cost::note;
use crate::{Error, Result};

fn damaged(what: &str) -> Error {
    Error::Damaged(format!("a row of the database: {what}"))
}

pub(super) fn get<T: FromSql>(row: &Row<'_>, column: &str) -> Result<T> {
    row.get(column).map_err(|_| damaged(column))
}

/// A value kept as a blob.
pub(super) fn blob<T>(row: &Row<'_>, column: &str) -> Result<T>
where
    T: for<'a> TryFrom<&'a [u8]>,
{
    optional_blob(row, column)?.ok_or_else(|| damaged(column))
}

pub(super) fn optional_blob<T>(row: &Row<'_>, column: &str) -> Result<Option<T>>
where
    T: for<'a> TryFrom<&'a [u8]>,
{
    let bytes: Option<Vec<u8>> = get(row, column)?;
    bytes.map(|bytes| T::try_from(&bytes).map_err(|_| damaged(column))).transpose()
}

pub(super) fn time(row: &Row<'_>, column: &str) -> Result<Timestamp> {
    get(row, column).map(Timestamp::from_micros)
}

/// A count that is never negative.
pub(super) fn count(row: &Row<'_>, column: &str) -> Result<u64> {
    u64::try_from(get::<i64>(row, column)?).map_err(|_| damaged(column))
}

pub(super) fn length(row: &Row<'_>, column: &str) -> Result<u32> {
    u32::try_from(get::<i64>(row, column)?).map_err(|_| damaged(column))
}

pub(super) fn path(row: &Row<'_>) -> Result<Path> {
    Path::parse(&get::<String>(row, "path")?).map_err(|_| damaged("path"))
}

pub(super) fn region(row: &Row<'_>) -> Result<Region> {
    Region::parse(&get::<String>(row, "region")?).map_err(|_| damaged("region"))
}

pub(super) const FILE: &str =
    "path, version, rope, hash, size, content_type, created_at, modified_at, metadata";

/// Of a query that begins with [`FILE`]. By position and without a copy of what is read: listings are made of these.
pub(super) fn file(row: &Row<'_>) -> Result<File> {
    let text =
        |at| row.get_ref(at).ok().and_then(|value| value.as_str().ok()).ok_or_else(|| damaged("a text"));
    let number = |at| row.get::<_, i64>(at).map_err(|_| damaged("a number"));
    let bytes = |at| row.get_ref(at).ok().and_then(|value| value.as_blob_or_null().ok());
    let rope = bytes(2).ok_or_else(|| damaged("rope"))?;
    Ok(File {
        path: Path::parse(text(0)?).map_err(|_| damaged("path"))?,
        version: Version(number(1)?),
        rope: rope.map(RopeId::try_from).transpose().map_err(|_| damaged("rope"))?,
        hash: bytes(3).flatten().and_then(|hash| Hash::try_from(hash).ok()).ok_or_else(|| damaged("hash"))?,
        size: u64::try_from(number(4)?).map_err(|_| damaged("size"))?,
        content_type: text(5)?.to_owned(),
        created_at: Timestamp::from_micros(number(6)?),
        modified_at: Timestamp::from_micros(number(7)?),
        metadata: parse_metadata(text(8)?)?,
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

pub(super) fn session(row: &Row<'_>) -> Result<Session> {
    let bits: i64 = get(row, "capabilities")?;
    let scope = if get::<bool>(row, "is_super")? {
        Scope::Super
    } else if let Some(principal) = optional_blob::<PrincipalId>(row, "on_principal")? {
        Scope::Principal(principal)
    } else {
        let pattern = Pattern::parse(&get::<String>(row, "path")?).map_err(|_| damaged("path"))?;
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
pub(super) fn all<T>(
    connection: &Connection,
    sql: &str,
    values: impl Params,
    read: impl Fn(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    drop(rows);
    note(sql, &statement);
    Ok(found)
}

/// The row of a query that has one at most.
pub(super) fn one<T>(
    connection: &Connection,
    sql: &str,
    values: impl Params,
    read: impl FnOnce(&Row<'_>) -> Result<T>,
) -> Result<Option<T>> {
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_row(values, |row| Ok(read(row))).optional()?.transpose();
    note(sql, &statement);
    found
}

/// A statement that changes rows: how many.
pub(super) fn change(connection: &Connection, sql: &str, values: impl Params) -> Result<usize> {
    let mut statement = connection.prepare_cached(sql)?;
    let changed = statement.execute(values)?;
    note(sql, &statement);
    Ok(changed)
}

/// As SQL has it.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// As SQL has it: contents beyond eight exbibytes do not exist.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
