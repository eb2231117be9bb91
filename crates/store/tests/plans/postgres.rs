//! PostgreSQL: plans as it made them for the engine's own calls, with the rows they touched, from the log of a server that
//! explains all it does.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use cacheroach_store::Location;
use cacheroach_testing::process::Options;
use cacheroach_testing::{Database, Server};
use libtest_mimic::Failed;
use serde_json::Value;

use crate::filled::{Words, statements};
use crate::hot::{BATCH, Hot};
use crate::{Ran, SMALL, Watch, judged, large, open, watched};

/// Tables of few rows: a scan is as good as an index there.
const SMALL_TABLES: &[&str] = &["tenants", "gone_tenants"];

/// More than that is not sorted for a page.
const SORTED: u64 = 5 * BATCH as u64;

struct Postgres;

impl Words for Postgres {
    fn bytes(&self, kind: u32, index: &str, digits: usize) -> String {
        let digits = digits - 8;
        format!("decode('{kind:08x}' || lpad(to_hex(({index})::INT8), {digits}, '0'), 'hex')")
    }

    fn padded(&self, number: &str, digits: usize) -> String {
        format!("lpad(({number})::TEXT, {digits}, '0')")
    }

    fn count_to(&self, end: u64) -> String {
        format!("INSERT INTO numbers SELECT generate_series(0, {end} - 1)")
    }

    fn has_outcomes(&self) -> bool {
        true
    }
}

/// A node of a plan, and those below it.
fn walk<'a>(node: &'a Value, visit: &mut dyn FnMut(&'a Value)) {
    visit(node);
    for below in node["Plans"].as_array().into_iter().flatten() {
        walk(below, visit);
    }
}

/// Later releases tell rows with decimals.
fn number(node: &Value, name: &str) -> u64 {
    let text = node[name].to_string();
    text.split('.').next().and_then(|whole| whole.parse().ok()).unwrap_or_default()
}

/// Rows that a node saw, whether they were of use or not.
fn seen(node: &Value) -> u64 {
    let removed = number(node, "Rows Removed by Filter") + number(node, "Rows Removed by Index Recheck");
    number(node, "Actual Loops") * (number(node, "Actual Rows") + removed).max(1)
}

fn judge(plan: &Value) -> Ran {
    let text = plan["Query Text"].as_str().unwrap_or_default().to_owned();
    let (mut touched, mut problems) = (0, Vec::new());
    walk(&plan["Plan"], &mut |node| {
        let (kind, table) = (
            node["Node Type"].as_str().unwrap_or_default(),
            node["Relation Name"].as_str().unwrap_or_default(),
        );
        let is_of_a_table = !table.is_empty() || kind == "Bitmap Index Scan";
        if kind.ends_with("Scan") && is_of_a_table {
            touched += seen(node);
        }
        if kind == "Seq Scan" && !SMALL_TABLES.contains(&table) {
            problems.push(format!("a scan of {table}"));
        }
        if kind.ends_with("Sort") && number(&node["Plans"][0], "Actual Rows") > SORTED {
            problems.push("a large sort".into());
        }
        if kind.starts_with("Gather") {
            problems.push("several processes".into());
        }
    });
    Ran { text, touched, problems }
}

/// Reads the log of the server.
struct Log {
    file: PathBuf,
    read: u64,
}

impl Watch for Log {
    fn ran(&mut self) -> Vec<Ran> {
        let mut file = File::open(&self.file).unwrap();
        file.seek(SeekFrom::Start(self.read)).unwrap();
        let mut text = String::new();
        self.read += file.read_to_string(&mut text).unwrap() as u64;
        // What belongs to an entry follows it behind tabs.
        let plans = text.split("  plan:\n").skip(1).map(|entry| {
            let lines = entry.lines().take_while(|line| line.starts_with('\t'));
            serde_json::from_str::<Value>(&lines.collect::<Vec<_>>().join("\n")).unwrap()
        });
        plans.map(|plan| judge(&plan)).collect()
    }
}

/// Settings of a server that explains all it does.
fn options() -> Options {
    let settings = [
        "session_preload_libraries=auto_explain",
        "auto_explain.log_analyze=on",
        "auto_explain.log_timing=off",
        "auto_explain.log_format=json",
        "autovacuum=off",
        "jit=off",
        "shared_buffers=256MB",
    ];
    Options { settings: settings.map(str::to_owned).to_vec(), ..Options::default() }
}

/// One connection at a time, so that each prepares every statement and is asked for it often enough.
fn location(database: &Database) -> Location {
    Location::parse(&format!("{}&pool_max_conns=1", database.url())).unwrap()
}

/// A filled store, and its database, which goes when this is dropped. Statistics may be missing, as they are for some
/// minutes when much comes at once.
async fn filled(server: &'static Server, files: u64, has_statistics: bool) -> (Hot, Database) {
    let database = server.empty().await;
    drop(open(location(&database)).await);
    let client = database.connect().await;
    let tables = "SELECT tablename::TEXT FROM pg_tables WHERE schemaname = 'public'";
    for row in client.query(tables, &[]).await.unwrap() {
        let table: String = row.get(0);
        client.batch_execute(&format!("ALTER TABLE {table} SET UNLOGGED")).await.unwrap();
    }
    for statement in statements(&Postgres, files) {
        if let Err(error) = client.batch_execute(&statement).await {
            panic!("{error:?}: {statement}");
        }
    }
    client.batch_execute(if has_statistics { "VACUUM ANALYZE" } else { "VACUUM" }).await.unwrap();
    // A small table is best read from its first row to its last; what it would cost if it were large is the question.
    let scans = if files > SMALL { "on" } else { "off" };
    for setting in ["auto_explain.log_min_duration = 0", &format!("enable_seqscan = {scans}")] {
        let set = format!("ALTER DATABASE {} SET {setting}", database.name());
        client.batch_execute(&set).await.unwrap();
    }
    (Hot { store: open(location(&database)).await, files, round: 0 }, database)
}

pub(crate) async fn case() -> Result<(), Failed> {
    // It lives as long as the process: databases want that.
    let server: &'static Server = Box::leak(Box::new(Server::start(&options())));
    let file = server.process().map(|process| process.dir().join("log")).unwrap_or_default();
    let mut log = Log { file, read: 0 };
    let (mut hot, database) = filled(server, SMALL, true).await;
    let (small, _) = watched(&mut hot, &mut log).await;
    drop((hot, database));
    let mut judged_all = Ok(());
    for (files, has_statistics) in [(large(), true), (large() / 4, false)] {
        let (mut hot, database) = filled(server, files, has_statistics).await;
        let (large, problems) = watched(&mut hot, &mut log).await;
        drop((hot, database));
        judged_all = judged_all.and(judged(&small, &large, &problems));
    }
    judged_all
}
