//! SQLite: plans as it explains them, and the steps of its virtual machine.

use cacheroach_store::Location;
use cacheroach_store::sqlite::take_costs;
use libtest_mimic::Failed;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::filled::{Words, statements};
use crate::hot::Hot;
use crate::{Ran, SMALL, Watch, judged, large, open, watched};

/// Tables that are read from their beginning on, a batch and no more, or that have one row.
const FROM_THE_FIRST: &[&str] = &["SCAN loose_ropes", "SCAN gone_tenants", "SCAN generations"];

struct Sqlite;

impl Words for Sqlite {
    fn bytes(&self, kind: u32, index: &str, digits: usize) -> String {
        format!("unhex(printf('%08x%0{}x', {kind}, {index}))", digits - 8)
    }

    fn padded(&self, number: &str, digits: usize) -> String {
        format!("printf('%0{digits}d', {number})")
    }

    fn count_to(&self, end: u64) -> String {
        format!(
            "INSERT INTO numbers WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {end})
             SELECT i FROM n"
        )
    }

    fn has_outcomes(&self) -> bool {
        false
    }
}

/// Explains what ran.
struct Explained(Connection);

impl Watch for Explained {
    fn ran(&mut self) -> Vec<Ran> {
        let explain = |(text, cost): (String, cacheroach_store::sqlite::Cost)| {
            let mut plan = self.0.prepare(&format!("EXPLAIN QUERY PLAN {text}")).unwrap();
            let lines = plan.raw_query().mapped(|row| row.get::<_, String>(3));
            let lines: Vec<String> = lines.map(Result::unwrap).collect();
            let is_wrong = |line: &&String| {
                let scans = line.starts_with("SCAN ") && !line.starts_with("SCAN CONSTANT ROW");
                (scans && !FROM_THE_FIRST.contains(&line.as_str()))
                    || line.contains("TEMP B-TREE FOR ORDER BY")
                    || line.contains("AUTOMATIC")
            };
            let problems = lines.iter().filter(is_wrong).cloned().collect();
            Ran { text, touched: u64::try_from(cost.steps).unwrap(), problems }
        };
        take_costs().into_iter().map(explain).collect()
    }
}

/// A filled store, and who watches it.
async fn filled(dir: &TempDir, files: u64) -> (Hot, Explained) {
    drop(open(Location::Sqlite(dir.path().to_owned())).await);
    let mut connection = Connection::open(dir.path().join("metadata.sqlite")).unwrap();
    connection.pragma_update(None, "journal_mode", "OFF").unwrap();
    connection.pragma_update(None, "synchronous", "OFF").unwrap();
    connection.pragma_update(None, "cache_size", -200_000).unwrap();
    let filling = connection.transaction().unwrap();
    for statement in statements(&Sqlite, files) {
        filling.execute_batch(&statement).unwrap_or_else(|error| panic!("{error}: {statement}"));
    }
    // Beyond all that were used.
    filling.execute("UPDATE generations SET last = ?", [1_i64 << 40]).unwrap();
    filling.commit().unwrap();
    let store = open(Location::Sqlite(dir.path().to_owned())).await;
    (Hot { store, files, round: 0 }, Explained(connection))
}

pub(crate) async fn case() -> Result<(), Failed> {
    let (dir, other) = (TempDir::new()?, TempDir::new()?);
    let (mut hot, mut watch) = filled(&dir, SMALL).await;
    let (small, _) = watched(&mut hot, &mut watch).await;
    let (mut hot, mut watch) = filled(&other, large()).await;
    let (large, problems) = watched(&mut hot, &mut watch).await;
    judged(&small, &large, &problems)
}
