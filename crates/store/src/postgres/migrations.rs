//! Brings the schema up to date: numbered files, each one schema change and each applied outside a transaction, for that
//! is how CockroachDB wants it. Whoever applies them holds a lease, a row, for CockroachDB has no advisory locks. Every
//! file may be repeated, so one that dies between a file and the note of it does no harm, nor does one that holds a lease
//! for longer than it lasts.
//!
//! One folder serves both databases. What only one of them can read has a file of its own, `….postgres.sql` or
//! `….cockroach.sql`; and ` COLLATE "C"`, which PostgreSQL needs for the order of bytes, is an error on CockroachDB, which
//! has no other order: it is taken out there.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::Dialect;
use super::connect::Connect;
use super::run::Failure;
use super::statement::sql;
use crate::{Error, Result};

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../migrations/postgres/", $name, ".sql")))),*]
    };
}

/// In the order of their numbers.
const MIGRATIONS: &[(&str, &str)] = files![
    "0001_tenants",
    "0002_principals",
    "0003_passwords",
    "0004_sessions",
    "0005_sessions_by_name",
    "0006_sessions_of_principal",
    "0007_sessions_on_tenant",
    "0008_sessions_by_expiry",
    "0009_vhosts",
    "0010_vhosts_of_tenant",
    "0011_links",
    "0012_links_of_path",
    "0013_links_of_principal",
    "0014_links_by_expiry",
    "0015_links_by_last_use",
    "0016_files",
    "0017_versions",
    "0018_versions_of_rope",
    "0019_versions_deleted",
    "0020_last_versions",
    "0021_overwritten",
    "0022_overwritten_by_due",
    "0023_ropes",
    "0024_pieces",
    "0025_pieces_of_chunk",
    "0026_loose_ropes",
    "0027_chunks",
    "0028_chunks_data.postgres",
    "0029_chunk_data",
    "0030_chunk_data_data.postgres",
    "0031_uploads",
    "0032_uploads_open",
    "0033_uploads_finished",
    "0034_uploads_of_tenant",
    "0035_leases",
    "0036_leases_of_chunk",
    "0037_candidates",
    "0038_condemned",
    "0039_condemned_by_time",
    "0040_gone_tenants",
    "0041_outcomes",
    "0042_outcomes_by_time",
    "0043_identity",
    "0044_sweep",
    "0045_moving",
    "0046_moving_by_due",
    "0047_moves",
    "0048_moves_by_deadline",
    "0060_versions_of_call",
];

/// How long a lease lasts that nobody renews.
const LEASE: Duration = Duration::from_secs(15);

/// How long to wait for others that are at it.
const PATIENCE: Duration = Duration::from_secs(120);

const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::INT8";

fn number(name: &str) -> i64 {
    name.split('_').next().and_then(|number| number.parse().ok()).expect("files begin with their numbers")
}

/// The text as a database reads it, if it is for that one.
fn text_for(dialect: Dialect, name: &str, text: &'static str) -> Option<Cow<'static, str>> {
    match dialect {
        Dialect::Postgres => (!name.ends_with(".cockroach")).then_some(Cow::Borrowed(text)),
        Dialect::Cockroach => {
            (!name.ends_with(".postgres")).then(|| Cow::Owned(text.replace(" COLLATE \"C\"", "")))
        }
    }
}

/// Does what is still to be done, or waits until somebody else has done it.
pub(super) async fn run(connect: &Connect, client: &Client, dialect: Dialect) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    // Who only works here need not be allowed to make tables.
    if !is_new(client).await? && missing(client).await?.is_empty() {
        return Ok(());
    }
    prepare(client, end).await?;
    let holder = super::random_id();
    loop {
        if missing(client).await?.is_empty() {
            return Ok(());
        }
        if lease(client, &holder).await? {
            let done = apply(connect, client, dialect, &holder).await;
            let release = sql!("DELETE FROM migration_lease WHERE id = 1 AND holder = $1");
            // It ends by itself, too.
            let _ = client.execute(&release, &[&&holder[..]]).await;
            if done? {
                return Ok(());
            }
        } else if Instant::now() > end {
            let problem = "another server has been changing the schema for two minutes";
            return Err(Error::Busy(problem.into()));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// For who may change nothing: whether the schema is the one that this program works with.
pub(super) async fn check(client: &Client) -> Result<()> {
    if is_new(client).await? {
        return Err(Error::Failed("there is no store in this database".into()));
    }
    match missing(client).await?.first() {
        None => Ok(()),
        Some((_, name, _)) => {
            let problem = format!("the store's schema lacks {name}: run `cacheroach store migrate` first");
            Err(Error::Failed(problem.into()))
        }
    }
}

/// Whether nobody has begun to make a store here.
async fn is_new(client: &Client) -> Result<bool> {
    match client.query(&sql!("SELECT number FROM migrations LIMIT 0"), &[]).await {
        Ok(_) => Ok(false),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(true),
        Err(error) => Err(Failure::from(error).into()),
    }
}

/// What the runner itself keeps. Several may be making it at once, which databases answer in various ways.
async fn prepare(client: &Client, end: Instant) -> Result<()> {
    loop {
        let made = client
            .batch_execute(&sql!(
                "CREATE TABLE IF NOT EXISTS migrations (number INT8 NOT NULL PRIMARY KEY, applied_at INT8 NOT NULL)"
            ))
            .await;
        let made = match made {
            Ok(()) => {
                client
                    .batch_execute(&sql!(
                        "CREATE TABLE IF NOT EXISTS migration_lease (
                             id INT8 NOT NULL PRIMARY KEY CHECK (id = 1),
                             holder BYTEA NOT NULL,
                             ends_at INT8 NOT NULL
                         )"
                    ))
                    .await
            }
            Err(error) => Err(error),
        };
        match made {
            Ok(()) => return Ok(()),
            Err(error) if at_once(&error) && Instant::now() < end => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => return Err(Failure::from(error).into()),
        }
    }
}

/// Whether an error is what two get who make the same thing at once.
fn at_once(error: &tokio_postgres::Error) -> bool {
    let known = [
        SqlState::UNIQUE_VIOLATION,
        SqlState::DUPLICATE_TABLE,
        SqlState::DUPLICATE_OBJECT,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        // "tuple concurrently updated".
        SqlState::INTERNAL_ERROR,
        // On CockroachDB: "being dropped, try again later", and when nobody knows whether it was done.
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN,
    ];
    error.code().is_some_and(|code| known.contains(code))
}

/// Which files have not been applied. A number that no file has is of a newer program.
async fn missing(client: &Client) -> Result<Vec<(i64, &'static str, &'static str)>> {
    let rows = client.query(&sql!("SELECT number FROM migrations"), &[]).await.map_err(Failure::from)?;
    let applied: Vec<i64> =
        rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(Failure::from)?;
    let known = MIGRATIONS.last().map_or(0, |(name, _)| number(name));
    if let Some(newest) = applied.iter().max().filter(|newest| **newest > known) {
        let problem =
            format!("the store has schema {newest}, this program knows {known}: use a newer cacheroach");
        return Err(Error::Failed(problem.into()));
    }
    let all = MIGRATIONS.iter().map(|(name, text)| (number(name), *name, *text));
    Ok(all.filter(|(number, ..)| !applied.contains(number)).collect())
}

/// Takes the lease or holds on to it; tells whether it is ours.
async fn lease(client: &Client, holder: &[u8; 16]) -> Result<bool> {
    let take = sql!(
        "INSERT INTO migration_lease (id, holder, ends_at) VALUES (1, $1, {NOW} + $2::INT8)
         ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, ends_at = excluded.ends_at
             WHERE migration_lease.holder = excluded.holder OR migration_lease.ends_at < {NOW}"
    );
    let length = i64::try_from(LEASE.as_micros()).unwrap_or(i64::MAX);
    match client.execute(&take, &[&&holder[..], &length]).await {
        Ok(rows) => Ok(rows > 0),
        Err(error) if at_once(&error) => Ok(false),
        Err(error) => Err(Failure::from(error).into()),
    }
}

/// Applies what is missing; tells whether it came to the end, with the lease in hand.
async fn apply(connect: &Connect, client: &Client, dialect: Dialect, holder: &[u8; 16]) -> Result<bool> {
    // While a file is being applied, the lease is renewed from elsewhere.
    let renewing = Renewing::start(connect.connect().await?, *holder);
    for (number, name, text) in missing(client).await? {
        if !lease(client, holder).await? {
            return Ok(false);
        }
        if let Some(text) = text_for(dialect, name, text) {
            change(client, name, &text).await?;
        }
        let note = sql!(
            "INSERT INTO migrations (number, applied_at) VALUES ($1, {NOW}) ON CONFLICT (number) DO NOTHING"
        );
        match client.execute(&note, &[&number]).await {
            Ok(_) => {}
            // The next round looks what is missing.
            Err(error) if at_once(&error) => return Ok(false),
            Err(error) => return Err(Failure::from(error).into()),
        }
    }
    drop(renewing);
    Ok(true)
}

/// One file.
async fn change(client: &Client, name: &str, text: &str) -> Result<()> {
    let mut tries = 0;
    loop {
        match client.batch_execute(text).await {
            Ok(()) => return Ok(()),
            Err(error) if at_once(&error) && tries < 10 => tries += 1,
            Err(error) => {
                let problem = error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string);
                return Err(Error::Failed(format!("migration {name}: {problem}").into()));
            }
        }
        tokio::time::sleep(Duration::from_millis(50) * tries).await;
    }
}

/// Renews the lease until it is dropped.
struct Renewing(tokio::task::JoinHandle<()>);

impl Renewing {
    fn start(client: Client, holder: [u8; 16]) -> Self {
        // Only ever prolonged: what was let go stays free.
        let sql = sql!("UPDATE migration_lease SET ends_at = {NOW} + $2::INT8 WHERE id = 1 AND holder = $1");
        Renewing(tokio::spawn(async move {
            loop {
                tokio::time::sleep(LEASE / 3).await;
                let length = i64::try_from(LEASE.as_micros()).unwrap_or(i64::MAX);
                if client.execute(&sql, &[&&holder[..], &length]).await.is_err() {
                    return;
                }
            }
        }))
    }
}

impl Drop for Renewing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::postgres::lint;

    #[test]
    fn every_file_of_the_folder_is_listed_in_order_and_numbered_once() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/postgres");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .filter_map(|entry| Some(entry.unwrap().file_name().to_str()?.strip_suffix(".sql")?.to_owned()))
            .filter(|name| name != "schema")
            .collect();
        let listed: Vec<&str> = MIGRATIONS.iter().map(|(name, _)| *name).collect();
        assert_eq!(files.iter().map(String::as_str).collect::<Vec<_>>(), listed);
        assert!(listed.windows(2).all(|pair| number(pair[0]) < number(pair[1])));
    }

    #[test]
    fn a_file_is_one_statement_that_may_be_repeated_and_that_cockroachdb_can_read() {
        for (name, text) in MIGRATIONS {
            let code: String = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("--"))
                .collect::<Vec<_>>()
                .join("\n");
            assert_eq!(code.matches(';').count(), 1, "{name}");
            assert!(code.trim_end().ends_with(';'), "{name}");
            let repeatable =
                ["IF NOT EXISTS", "IF EXISTS", "SET STORAGE"].iter().any(|part| code.contains(part));
            assert!(repeatable, "{name}");
            if let Some(text) = text_for(Dialect::Cockroach, name, text) {
                assert_eq!(lint::lacking(&text), Vec::<&str>::new(), "{name}");
            }
        }
    }

    /// What PostgreSQL compares has to be in the order of bytes.
    #[test]
    fn s12_every_text_that_is_a_key_is_in_the_order_of_bytes() {
        for (name, text) in MIGRATIONS {
            for line in text.lines().map(str::trim) {
                let mut words = line.split_whitespace();
                let (column, kind) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                let compared =
                    ["path", "host", "region", "email", "email_domain", "user_folded"].contains(&column);
                if compared && kind == "TEXT" {
                    assert!(line.contains("COLLATE \"C\""), "{name}: {line}");
                }
            }
        }
    }
}
