//! Metadata as a file. The format is described in `docs/dump.md`: a line of JSON for each row, after a header and before
//! a trailer that says how many there are and what they hash to.

use std::collections::BTreeMap;
use std::io::{BufRead, Read as _, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cacheroach_model::Hash;
use serde_json::{Map, Value as Json, json};
use sha2::{Digest as _, Sha256};

use super::rows::Belonging;
use crate::inspect::{CHUNKS, Column, FILES, Inspect, Kind, Row, TABLES, Table, VERSIONS, Value, Walk};
use crate::{Error, Result};

const FORMAT: &str = "cacheroach dump";
/// Of the format. Another table or column makes another version.
const VERSION: u64 = 1;

/// The longest line that is read. The longest that is written holds a chunk of 64 KiB.
const MOST_LINE: u64 = 16 << 20;

/// Rows that are restored together: so many, or so many bytes.
const BATCH_ROWS: usize = 500;
const BATCH_BYTES: usize = 1 << 20;

/// How many rows of each table.
pub type Counts = BTreeMap<&'static str, u64>;

/// What is wrong with a file that is no dump, or no whole one.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// It can't be read or written.
    #[error("the file can't be read or written")]
    Io(#[from] std::io::Error),
    /// The store's.
    #[error(transparent)]
    Store(#[from] Error),
    /// Another version of the format.
    #[error("a dump of version {0}; this program reads version {VERSION}")]
    Version(String),
    /// It does not begin like a dump.
    #[error("this is no dump")]
    NoDump,
    /// It ends before its trailer.
    #[error("the dump is cut off")]
    CutOff,
    /// Its trailer does not fit what is before it.
    #[error("the dump is damaged: {0}")]
    Damaged(&'static str),
    /// A line that is no row.
    #[error("line {line} of the dump: {problem}")]
    Line {
        /// Counted from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// There is something in the store already.
    #[error("the store is not empty")]
    NotEmpty,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn uuid(bytes: &[u8]) -> String {
    let id = cacheroach_model::TenantId::try_from(bytes);
    id.map_or_else(|_| hex(bytes), |id| id.to_string())
}

fn json(column: &Column, value: &Value) -> Json {
    match (value, column.kind) {
        (Value::None, _) => Json::Null,
        (Value::Bytes(bytes), Kind::Id) => uuid(bytes).into(),
        (Value::Bytes(bytes), Kind::Hash) => hex(bytes).into(),
        (Value::Bytes(bytes), _) => STANDARD.encode(bytes).into(),
        (Value::Text(text), _) => text.clone().into(),
        (Value::Number(number), _) => (*number).into(),
        (Value::Flag(flag), _) => (*flag).into(),
    }
}

fn parse(column: &Column, json: Json) -> Option<Value> {
    Some(match (json, column.kind) {
        (Json::Null, _) => Value::None,
        (Json::String(text), Kind::Id) => {
            Value::Bytes(text.parse::<cacheroach_model::TenantId>().ok()?.as_bytes().to_vec())
        }
        (Json::String(text), Kind::Hash) => Value::Bytes(text.parse::<Hash>().ok()?.as_bytes().to_vec()),
        (Json::String(text), Kind::Bytes) => Value::Bytes(STANDARD.decode(text).ok()?),
        (Json::String(text), Kind::Text) => Value::Text(text),
        (Json::Number(number), Kind::Number) => Value::Number(number.as_i64()?),
        (Json::Bool(flag), Kind::Flag) => Value::Flag(flag),
        _ => return None,
    })
}

/// A row as a line, without its end.
fn line(row: &Row) -> String {
    let mut object = Map::new();
    object.insert("table".into(), row.table().name.into());
    for (column, value) in row.table().columns.iter().zip(row.values()) {
        if *value != Value::None {
            object.insert(column.name.into(), json(column, value));
        }
    }
    Json::Object(object).to_string()
}

fn row(mut object: Map<String, Json>) -> Result<Row, String> {
    let name = object.remove("table").unwrap_or_default();
    let table = TABLES.iter().find(|table| Some(table.name) == name.as_str()).ok_or("an unknown table")?;
    let mut values = Vec::with_capacity(table.columns.len());
    for column in table.columns {
        let value = parse(column, object.remove(column.name).unwrap_or_default());
        values.push(value.ok_or_else(|| format!("{} is not what it should be", column.name))?);
    }
    if let Some(unknown) = object.keys().next() {
        return Err(format!("an unknown column {unknown:?}"));
    }
    Row::new(table, values).map_err(|error| error.to_string())
}

fn schema() -> Json {
    let columns = |table: &&Table| -> Json { table.columns.iter().map(|column| column.name).collect() };
    Json::Object(TABLES.iter().map(|table| (table.name.to_owned(), columns(table))).collect())
}

/// Writes all that belongs to the store as it is at this moment.
///
/// # Errors
/// The store's, the file's.
pub async fn dump(store: &dyn Inspect, to: &mut (impl Write + Send)) -> Result<Counts, DumpError> {
    let snapshot = store.snapshot().await?;
    let mut hash = Sha256::new();
    let mut counts = Counts::new();
    let mut put = |text: String| {
        let text = text + "\n";
        hash.update(&text);
        to.write_all(text.as_bytes())
    };
    put(json!({ "format": FORMAT, "version": VERSION, "schema": schema() }).to_string())?;
    for table in TABLES {
        let mut rows = Belonging::of(&*snapshot, table);
        while let Some(row) = rows.next().await? {
            put(line(&row))?;
            *counts.entry(table.name).or_default() += 1;
        }
    }
    let trailer = json!({ "end": true, "rows": counts, "sha256": hex(&hash.finalize()) });
    writeln!(to, "{trailer}")?;
    to.flush()?;
    Ok(counts)
}

/// The lines of a dump, checked as far as they were read.
struct Lines<R> {
    from: R,
    hash: Sha256,
    number: u64,
    counts: Counts,
}

impl<R: BufRead> Lines<R> {
    fn begin(from: R) -> Result<Self, DumpError> {
        let mut lines = Lines { from, hash: Sha256::new(), number: 0, counts: Counts::new() };
        let text = lines.text().map_err(|error| match error {
            DumpError::Io(error) => DumpError::Io(error),
            _ => DumpError::NoDump,
        })?;
        lines.hash.update(&text);
        let header: Map<String, Json> = serde_json::from_slice(&text).map_err(|_| DumpError::NoDump)?;
        if header.get("format").and_then(Json::as_str) != Some(FORMAT) {
            return Err(DumpError::NoDump);
        }
        match header.get("version") {
            Some(version) if version.as_u64() == Some(VERSION) => {}
            other => return Err(DumpError::Version(other.map(Json::to_string).unwrap_or_default())),
        }
        if header.get("schema") != Some(&schema()) {
            return Err(DumpError::Damaged("its tables are others than its version says"));
        }
        Ok(lines)
    }

    fn text(&mut self) -> Result<Vec<u8>, DumpError> {
        let mut text = Vec::new();
        self.number += 1;
        self.from.by_ref().take(MOST_LINE).read_until(b'\n', &mut text)?;
        if text.last() == Some(&b'\n') {
            return Ok(text);
        }
        let too_long = text.len() as u64 == MOST_LINE;
        Err(if too_long { self.wrong("it is too long") } else { DumpError::CutOff })
    }

    fn wrong(&self, problem: impl Into<String>) -> DumpError {
        DumpError::Line { line: self.number, problem: problem.into() }
    }

    /// None: the dump was whole.
    fn next(&mut self) -> Result<Option<Row>, DumpError> {
        let text = self.text()?;
        let object: Map<String, Json> = serde_json::from_slice(&text).map_err(|_| self.wrong("no JSON"))?;
        if object.contains_key("end") {
            return self.end(&object).map(|()| None);
        }
        self.hash.update(&text);
        let row = row(object).map_err(|problem| self.wrong(problem))?;
        *self.counts.entry(row.table().name).or_default() += 1;
        Ok(Some(row))
    }

    fn end(&mut self, trailer: &Map<String, Json>) -> Result<(), DumpError> {
        let hash = hex(&self.hash.clone().finalize());
        if trailer.get("sha256").and_then(Json::as_str) != Some(&hash) {
            return Err(DumpError::Damaged("its checksum differs"));
        }
        if trailer.get("rows") != Some(&json!(self.counts)) {
            return Err(DumpError::Damaged("it has another number of rows than it says"));
        }
        if self.from.fill_buf()?.is_empty() {
            Ok(())
        } else {
            Err(DumpError::Damaged("something follows its end"))
        }
    }
}

/// Reads a dump to its end.
///
/// # Errors
/// What is wrong with it.
pub fn check(from: impl BufRead) -> Result<Counts, DumpError> {
    let mut lines = Lines::begin(from)?;
    while lines.next()?.is_some() {}
    Ok(lines.counts)
}

/// Whether there is nothing in a store that a dump would hold.
///
/// # Errors
/// The store's.
pub async fn is_empty(store: &(impl Walk + ?Sized)) -> Result<bool> {
    for table in TABLES {
        if !store.list_rows(table, None, 1).await?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads a dump into a store that is empty or, if it is to be `merge`d, has some of it already: what is there stays, unless
/// the dump has a higher version of it. The dump must have been [checked](check): a part of one is loaded up to
/// where it breaks off.
///
/// # Errors
/// What is wrong with the dump; the store's.
pub async fn load(store: &dyn Inspect, from: impl BufRead, merge: bool) -> Result<Counts, DumpError> {
    if !merge && !is_empty(store).await? {
        return Err(DumpError::NotEmpty);
    }
    let mut lines = Lines::begin(from)?;
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while let Some(row) = lines.next()? {
        if merge && !is_news(store, &row).await? {
            continue;
        }
        if *row.table() == CHUNKS {
            bytes += row.bytes("data").map_or(0, <[u8]>::len);
        }
        batch.push(row);
        if batch.len() >= BATCH_ROWS || bytes >= BATCH_BYTES {
            store.restore_rows(std::mem::take(&mut batch)).await?;
            bytes = 0;
        }
    }
    store.restore_rows(batch).await?;
    Ok(lines.counts)
}

/// Whether a row of a dump goes before what a store has.
async fn is_news(store: &dyn Inspect, row: &Row) -> Result<bool> {
    let there = store.find_row(row.table(), &row.key()).await?;
    if *row.table() == FILES {
        // A file that was deleted since the dump was made does not come back: its versions are known.
        let mut key = row.key();
        key.push(row.get("version").clone());
        let known = store
            .find_row(&VERSIONS, &key)
            .await?
            .is_some_and(|version| version.get("deleted_at") != &Value::None);
        let newer = there.is_none_or(|there| there.number("version") < row.number("version"));
        return Ok(newer && !known);
    }
    let Some(there) = there else { return Ok(true) };
    Ok(match row.table().name {
        "tenants" | "principals" | "last_versions" => there.number("version") < row.number("version"),
        "chunks" => there.number("state") != 1,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cacheroach_model::{Clock, Region, Timestamp};
    use proptest::prelude::*;

    use super::*;
    use crate::inspect::{LOOSE_ROPES, PASSWORDS};
    use crate::sqlite::Sqlite;

    struct Fixed;

    impl Clock for Fixed {
        fn now(&self) -> Timestamp {
            Timestamp::from_seconds(1_700_000_000)
        }
    }

    /// A dump of a tenant, a password and two loose ropes.
    fn sample() -> Vec<u8> {
        static SAMPLE: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(make_sample);
        SAMPLE.clone()
    }

    fn make_sample() -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let store = Sqlite::open(dir.path(), Region::parse("local").unwrap(), Arc::new(Fixed)).unwrap();
        let id = |byte| Value::Bytes(vec![byte; 16]);
        let text = |text: &str| Value::Text(text.into());
        let tenant = vec![
            id(1),
            text("a \"tenant\"\n\u{1f600}"),
            Value::Number(1),
            text("local"),
            Value::None,
            Value::None,
        ];
        let rows = vec![
            Row::new(TABLES[0], tenant).unwrap(),
            Row::new(&PASSWORDS, vec![id(2), text("u"), text("u"), text("$x"), Value::Number(5)]).unwrap(),
            Row::new(&LOOSE_ROPES, vec![id(1), id(3)]).unwrap(),
            Row::new(&LOOSE_ROPES, vec![id(1), id(4)]).unwrap(),
        ];
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            store.restore_rows(rows).await.unwrap();
            let mut written = Vec::new();
            dump(&store, &mut written).await.unwrap();
            written
        })
    }

    #[test]
    fn a_dump_is_whole_or_none() {
        let whole = sample();
        assert_eq!(check(&whole[..]).unwrap().values().sum::<u64>(), 4);
        for length in 0..whole.len() {
            assert!(check(&whole[..length]).is_err(), "{length} of {} bytes", whole.len());
        }
        assert!(matches!(check(&[&whole[..], b"x"].concat()[..]), Err(DumpError::Damaged(_))));
        let text = String::from_utf8(whole).unwrap();
        let without: String =
            text.lines().filter(|line| !line.contains("$x")).map(|line| format!("{line}\n")).collect();
        assert!(matches!(check(without.as_bytes()), Err(DumpError::Damaged(_))));
    }

    #[test]
    fn a_dump_of_another_version_is_refused() {
        let text = String::from_utf8(sample()).unwrap();
        let newer = text.replacen("\"version\":1", "\"version\":2", 1);
        assert!(matches!(check(newer.as_bytes()), Err(DumpError::Version(version)) if version == "2"));
        let other = text.replacen(FORMAT, "another format", 1);
        assert!(matches!(check(other.as_bytes()), Err(DumpError::NoDump)));
        let column = text.replacen("keep_versions_for", "keep_versions_too", 1);
        assert!(matches!(check(column.as_bytes()), Err(DumpError::Damaged(_))));
        assert!(matches!(check(&b"\x7fELF"[..]), Err(DumpError::NoDump)));
    }

    #[test]
    fn a_row_that_is_none_is_named_by_its_line() {
        let header = String::from_utf8(sample()).unwrap().lines().next().unwrap().to_owned();
        for wrong in [
            "",
            "[]",
            "{}",
            "{\"table\":\"x\"}",
            "{\"table\":\"loose_ropes\",\"tenant\":\"01010101-0101-0101-0101-010101010101\"}",
            "{\"table\":\"loose_ropes\",\"tenant\":\"x\",\"rope\":\"01010101-0101-0101-0101-010101010101\"}",
            "{\"table\":\"loose_ropes\",\"tenant\":\"01010101-0101-0101-0101-010101010101\",\
             \"rope\":\"01010101-0101-0101-0101-010101010101\",\"more\":1}",
        ] {
            let text = format!("{header}\n{wrong}\n");
            assert!(matches!(check(text.as_bytes()), Err(DumpError::Line { line: 2, .. })), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn p12_whatever_is_changed_in_a_dump_is_noticed(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = sample();
            let at = at.index(bytes.len());
            prop_assume!(bytes[at] != byte);
            bytes[at] = byte;
            prop_assert!(check(&bytes[..]).is_err());
        }

        #[test]
        fn p12_garbage_is_refused(bytes in any::<Vec<u8>>()) {
            prop_assert!(check(&bytes[..]).is_err());
        }
    }
}
