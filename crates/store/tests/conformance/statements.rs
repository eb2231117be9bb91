//! The statements of the engine for PostgreSQL and CockroachDB, after all cases ran there: each one that is written in its
//! sources was made by some case, PostgreSQL can prepare it, and nothing in it is lacking on CockroachDB.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{fs, io};

use cacheroach_model::{Region, Tenant, TenantId};
use cacheroach_store::postgres::{Connect, Postgres, all_seen, lint};
use cacheroach_store::tenants::Tenants as _;
use cacheroach_testing::{Database, Server};
use tokio_postgres::Client;

use crate::subject::migrated;

/// What only PostgreSQL is ever told, or is read in another way by CockroachDB, by its beginning; and why that is right.
const POSTGRES_ALONE: &[(&str, &str)] = &[
    ("LISTEN ", "CockroachDB has changefeeds"),
    ("SELECT pg_notify(", "CockroachDB has changefeeds"),
    ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "CockroachDB makes it SERIALIZABLE, which is more"),
];

/// What looks like a statement and does not stand in `sql!`: the file, its beginning, and why.
const APART: &[(&str, &str, &str)] = &[
    ("feed.rs", "SELECT cluster_logical_timestamp()", "CockroachDB alone"),
    ("feed.rs", "SET statement_timeout", "CockroachDB alone"),
    ("feed.rs", "EXPERIMENTAL CHANGEFEED", "CockroachDB alone"),
    ("regions.rs", "SET statement_timeout", "CockroachDB alone"),
    ("regions.rs", "SELECT COALESCE(crdb_internal", "CockroachDB alone"),
    ("regions.rs", "SELECT current_database()", "asked of CockroachDB alone"),
    ("regions.rs", "SHOW REGIONS FROM", "CockroachDB alone"),
    ("regions.rs", "SELECT value <> '' FROM crdb_internal", "CockroachDB alone"),
    ("regions.rs", "SELECT table_name FROM information_schema", "asked of CockroachDB alone"),
    ("healing.rs", "SELECT COALESCE(SUM(p.length)", "a part of statements"),
    ("inspect.rs", "UPDATE SET", "a part of statements"),
    ("listings.rs", "WITH RECURSIVE step", "a part of statements"),
];

const VERBS: &[&str] = &[
    "ALTER ",
    "BEGIN",
    "COMMIT",
    "CREATE ",
    "DELETE ",
    "DROP ",
    "EXPERIMENTAL ",
    "INSERT ",
    "LISTEN ",
    "NOTIFY ",
    "SELECT ",
    "SET ",
    "SHOW ",
    "TRUNCATE ",
    "UPDATE ",
    "WITH ",
];

/// A place in the sources: a file below the folder of the engine, and a line.
type Place = (String, u32);

/// What is written in the sources of the engine.
#[derive(Default)]
struct Written {
    /// Each `sql!`.
    statements: BTreeSet<Place>,
    /// Other texts that begin like a statement.
    strays: Vec<(Place, String)>,
}

impl Written {
    fn read() -> io::Result<Written> {
        let mut written = Written::default();
        written.folder(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/postgres")), "")?;
        Ok(written)
    }

    fn folder(&mut self, folder: &Path, below: &str) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = format!("{below}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                self.folder(&entry.path(), &format!("{name}/"))?;
            } else if !matches!(&*name, "lint.rs" | "played.rs" | "statement.rs")
                && !name.ends_with("tests.rs")
            {
                self.file(&name, &fs::read_to_string(entry.path())?);
            }
        }
        Ok(())
    }

    fn file(&mut self, name: &str, text: &str) {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let mut opened = false;
        for (line, number) in code.lines().map(str::trim).zip(1..) {
            let place = || (name.to_owned(), number);
            if line.starts_with("//") {
                continue;
            }
            match line.matches("sql!(").count() {
                0 => {}
                1 => drop(self.statements.insert(place())),
                _ => panic!("{name}, line {number}: one statement in a line, so that each can be told apart"),
            }
            for (at, _) in line.match_indices('"') {
                let (before, literal) = (&line[..at], &line[at + 1..]);
                let is_in_sql = before.ends_with("sql!(") || (opened && before.is_empty());
                if !is_in_sql && VERBS.iter().any(|verb| literal.starts_with(verb)) {
                    self.strays.push((place(), literal.to_owned()));
                }
            }
            opened = line.ends_with("sql!(");
        }
    }
}

/// Where and what was made so far, by all cases of this process.
fn made() -> BTreeMap<Place, Vec<String>> {
    let folder = "src/postgres/";
    let below = |file: &str| file.split_once(folder).map(|(_, name)| name.to_owned()).unwrap_or_default();
    all_seen().into_iter().map(|((file, line), texts)| ((below(file), line), texts)).collect()
}

/// Several statements in one message can't be prepared together.
fn single(text: &str) -> impl Iterator<Item = &str> {
    text.split(';').map(str::trim).filter(|statement| !statement.is_empty())
}

/// What is wrong with a text.
async fn wrong(client: &Client, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for statement in single(text) {
        if let Err(error) = client.prepare(statement).await {
            let said = error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string);
            problems.push(format!("PostgreSQL can't prepare it: {said}\n{statement}"));
        }
    }
    if !POSTGRES_ALONE.iter().any(|(beginning, _)| text.starts_with(beginning)) {
        let lacking = lint::lacking(text).into_iter();
        problems.extend(lacking.map(|why| format!("not for CockroachDB: {why}\n{text}")));
    }
    problems
}

/// Asks what became of a COMMIT, which no case does: the first one of a new tenant ends with its connection.
async fn lose_a_commit(database: &Database) {
    let connect = Connect::parse(&database.url()).unwrap();
    let store = Postgres::open(&connect, Region::parse("local").unwrap(), None).await.unwrap();
    let break_off = "CREATE SEQUENCE tries;
        CREATE FUNCTION break_off() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF nextval('tries') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
            RETURN NULL;
        END $$;
        CREATE CONSTRAINT TRIGGER break_off AFTER INSERT ON tenants DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION break_off()";
    database.connect().await.batch_execute(break_off).await.unwrap();
    let tenant = Tenant { id: TenantId::new([1; 16]), label: "a tenant".into(), ..Tenant::default() };
    store.ensure_tenant(&tenant).await.unwrap();
}

/// What is wrong with any of them, each with its place.
pub(crate) async fn check() -> Result<(), String> {
    let database = migrated(Server::postgres()).await;
    lose_a_commit(&database).await;
    let client = database.connect().await;
    let mut problems: Vec<(Place, String)> = Vec::new();
    let written = Written::read().map_err(|error| error.to_string())?;
    for ((file, line), text) in written.strays {
        if !APART.iter().any(|(of, beginning, _)| file == *of && text.starts_with(beginning)) {
            problems.push(((file, line), format!("a statement outside of `sql!`: {text}")));
        }
    }
    let made = made();
    for (place, texts) in &made {
        for text in texts {
            problems.extend(wrong(&client, text).await.into_iter().map(|what| (place.clone(), what)));
        }
    }
    for place in written.statements.into_iter().filter(|place| !made.contains_key(place)) {
        problems.push((place, "no case comes here: add one that does".into()));
    }
    let shown = |((file, line), what): &(Place, String)| format!("src/postgres/{file}, line {line}: {what}");
    match problems.is_empty() {
        true => Ok(()),
        false => Err(problems.iter().map(shown).collect::<Vec<_>>().join("\n")),
    }
}
