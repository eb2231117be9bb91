//! Migrations.

use std::fmt::Write as _;

use cacheroach_store::Error;
use cacheroach_testing::Server;
use futures::future::join_all;

use crate::open;

/// `schema.sql` shows the shape of today at one glance; this keeps it true.
pub(crate) async fn the_schema_on_file_is_the_one_the_migrations_make() {
    let database = Server::postgres().empty().await;
    drop(open(&database.url()).await.unwrap());
    let client = database.connect().await;
    let columns = "SELECT table_name::TEXT, column_name::TEXT, udt_name::TEXT, is_nullable::TEXT,
                       column_default::TEXT, collation_name::TEXT
                   FROM information_schema.columns WHERE table_schema = 'public'
                   ORDER BY table_name COLLATE \"C\", ordinal_position";
    let mut made = String::new();
    let mut last = String::new();
    for row in client.query(columns, &[]).await.unwrap() {
        let text = |at: usize| row.get::<_, Option<String>>(at);
        let table = text(0).unwrap();
        if table != last {
            if !last.is_empty() {
                made.push('\n');
            }
            writeln!(made, "TABLE {table}").unwrap();
            last = table;
        }
        let (name, kind) = (text(1).unwrap(), text(2).unwrap().to_uppercase());
        let collation = text(5).map(|collation| format!(" COLLATE \"{collation}\"")).unwrap_or_default();
        let null = if text(3).as_deref() == Some("NO") { " NOT NULL" } else { "" };
        let default = text(4).map(|default| format!(" DEFAULT {default}")).unwrap_or_default();
        writeln!(made, "    {name} {kind}{collation}{null}{default}").unwrap();
    }
    made += "\n";
    let rest = "SELECT pg_get_constraintdef(oid), conrelid::regclass::TEXT, conname::TEXT FROM pg_constraint
                WHERE connamespace = 'public'::regnamespace AND contype = 'c'
                ORDER BY conrelid::regclass::TEXT COLLATE \"C\", conname COLLATE \"C\"";
    for row in client.query(rest, &[]).await.unwrap() {
        let (check, table): (String, String) = (row.get(0), row.get(1));
        writeln!(made, "{table}: {check}").unwrap();
    }
    made += "\n";
    let indexes =
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexname COLLATE \"C\"";
    for row in client.query(indexes, &[]).await.unwrap() {
        writeln!(made, "{};", row.get::<_, String>(0).replace("public.", "")).unwrap();
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/postgres/schema.sql");
    if std::env::var_os("CACHEROACH_WRITE_SCHEMA").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(path).unwrap_or_default(),
        made,
        "CACHEROACH_WRITE_SCHEMA=1 writes it"
    );
}

pub(crate) async fn f36_ten_servers_start_at_once_on_an_empty_database() {
    let database = Server::postgres().empty().await;
    let url = database.url();
    let started = join_all((0..10).map(|_| open(&url))).await;
    for server in started {
        server.unwrap();
    }
    let client = database.connect().await;
    let sql = "SELECT count(*), count(DISTINCT number) FROM migrations";
    let row = client.query_one(sql, &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), row.get::<_, i64>(1));
    let leases = client.query_one("SELECT count(*) FROM migration_lease", &[]).await.unwrap();
    assert_eq!(leases.get::<_, i64>(0), 0);
}

/// As if whoever applied it had died: between a file and its note, at each file; and with the lease in hand.
pub(crate) async fn f03_a_migration_that_was_cut_off_is_taken_up_again() {
    let database = Server::postgres().empty().await;
    drop(open(&database.url()).await.unwrap());
    let client = database.connect().await;
    client
        .batch_execute(
            "DELETE FROM migrations WHERE number > 3;
             DROP TABLE outcomes;
             INSERT INTO migration_lease (id, holder, ends_at)
                 VALUES (1, 'gone', (extract(epoch FROM clock_timestamp()) * 1000000)::INT8 + 1000000)",
        )
        .await
        .unwrap();
    drop(open(&database.url()).await.unwrap());
    client.query("SELECT call FROM outcomes", &[]).await.unwrap();
}

pub(crate) async fn f35_an_unknown_newer_schema_is_refused() {
    let database = Server::postgres().empty().await;
    drop(open(&database.url()).await.unwrap());
    let client = database.connect().await;
    client.batch_execute("INSERT INTO migrations (number, applied_at) VALUES (9999, 0)").await.unwrap();
    let Err(Error::Failed(problem)) = open(&database.url()).await else { panic!("it was opened") };
    assert!(problem.to_string().contains("use a newer cacheroach"), "{problem}");
}
