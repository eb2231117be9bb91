//! Brings the schema up to date: numbered files, each applied once, all in one transaction.

use cacheroach_model::Timestamp;
use rusqlite::{Connection, TransactionBehavior, params};

use crate::failpoint::{Step, hit};
use crate::{Error, Result};

const MIGRATIONS: &[(i64, &str)] = &[
    (1, include_str!("../../migrations/sqlite/0001_init.sql")),
    (2, include_str!("../../migrations/sqlite/0002_links.sql")),
    (3, include_str!("../../migrations/sqlite/0003_passwords.sql")),
    (4, include_str!("../../migrations/sqlite/0004_vhost_settings.sql")),
    (5, include_str!("../../migrations/sqlite/0005_retention.sql")),
    (6, include_str!("../../migrations/sqlite/0006_purge.sql")),
    (7, include_str!("../../migrations/sqlite/0007_chunk_data.sql")),
    (9, include_str!("../../migrations/sqlite/0009_identity.sql")),
    (10, include_str!("../../migrations/sqlite/0010_sweep.sql")),
    (11, include_str!("../../migrations/sqlite/0011_moves.sql")),
    (12, include_str!("../../migrations/sqlite/0012_states.sql")),
];

pub(super) fn run(connection: &mut Connection, now: Timestamp) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS migrations (
            number INTEGER NOT NULL PRIMARY KEY,
            applied_at INTEGER NOT NULL
         ) STRICT",
    )?;
    let newest: i64 =
        transaction.query_row("SELECT COALESCE(MAX(number), 0) FROM migrations", [], |row| row.get(0))?;
    let known = MIGRATIONS.last().map_or(0, |(number, _)| *number);
    if newest > known {
        let problem =
            format!("the store has schema {newest}, this program knows {known}: use a newer cacheroach");
        return Err(Error::Failed(problem.into()));
    }
    for (number, sql) in MIGRATIONS.iter().filter(|(number, _)| *number > newest) {
        transaction.execute_batch(sql)?;
        transaction.execute("INSERT INTO migrations VALUES (?, ?)", params![number, now.micros()])?;
        hit(Step::MigrateAfterFile);
    }
    transaction.commit()?;
    Ok(())
}

/// For who may change nothing: whether the schema is the one that this program works with.
pub(super) fn check(connection: &Connection) -> Result<()> {
    let newest: i64 =
        connection.query_row("SELECT COALESCE(MAX(number), 0) FROM migrations", [], |row| row.get(0))?;
    let known = MIGRATIONS.last().map_or(0, |(number, _)| *number);
    let advice = match newest.cmp(&known) {
        std::cmp::Ordering::Equal => return Ok(()),
        std::cmp::Ordering::Less => "run `cacheroach store migrate` first",
        std::cmp::Ordering::Greater => "use a newer cacheroach",
    };
    let problem = format!("the store has schema {newest}, this program knows {known}: {advice}");
    Err(Error::Failed(problem.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `schema.sql` shows the shape of today at one glance; this keeps it true.
    #[test]
    fn the_schema_on_file_is_the_one_the_migrations_make() {
        let mut connection = Connection::open_in_memory().unwrap();
        run(&mut connection, Timestamp::default()).unwrap();
        let mut statement = connection
            .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type DESC, name")
            .unwrap();
        let parts: Vec<String> =
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let made = format!("{};\n", parts.join(";\n\n"));
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite/schema.sql");
        if std::env::var_os("CACHEROACH_WRITE_SCHEMA").is_some() {
            std::fs::write(path, &made).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(path).unwrap_or_default(),
            made,
            "CACHEROACH_WRITE_SCHEMA=1 writes it"
        );
    }

    /// A list of three in a CHECK is a table for each row.
    #[test]
    fn no_check_makes_a_table() {
        let mut connection = Connection::open_in_memory().unwrap();
        run(&mut connection, Timestamp::default()).unwrap();
        let insert = |state: i64| {
            format!(
                "INSERT INTO chunks (tenant, chunk, generation, state, length, data) VALUES (x'01', x'02', 1, {state}, 1, x'03')"
            )
        };
        let mut explained = connection.prepare(&format!("EXPLAIN {}", insert(1))).unwrap();
        let steps = explained.query_map([], |row| row.get::<_, String>("opcode")).unwrap();
        let steps: Vec<_> = steps.map(Result::unwrap).collect();
        assert!(!steps.contains(&"OpenEphemeral".into()), "{steps:?}");
        assert!(connection.execute(&insert(3), []).is_err());
        connection.execute(&insert(1), []).unwrap();
    }

    #[test]
    fn f35_a_newer_schema_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        run(&mut connection, Timestamp::default()).unwrap();
        run(&mut connection, Timestamp::default()).unwrap();
        connection.execute("INSERT INTO migrations VALUES (999, 0)", []).unwrap();
        assert!(run(&mut connection, Timestamp::default()).is_err());
    }
}
