//! What is said to clusters, word for word.

use super::*;

fn region(name: &str) -> Region {
    Region::parse(name).unwrap()
}

fn table(name: &str, by: Key, indexes: &[&str]) -> Table {
    let indexes = indexes.iter().map(|&index| index.into()).collect();
    Table { name: name.into(), by, indexes, has_home: false }
}

fn cluster(nodes: &[&str]) -> Cluster {
    Cluster {
        database: "cacheroach".into(),
        means: Means::Rows,
        nodes: nodes.iter().map(|name| region(name)).collect(),
        regions: Vec::new(),
        tables: vec![table("sessions", Key::Region, &[]), table("files", Key::Tenant, &["files_by_x"])],
    }
}

fn tenants() -> Vec<(TenantId, Region)> {
    vec![
        (TenantId::new([1; 16]), region("eu")),
        (TenantId::new([2; 16]), region("us")),
        (TenantId::new([3; 16]), region("moon")),
    ]
}

fn lines(plan: &Plan) -> String {
    let notes = plan.notes.iter().map(|note| format!("-- {note}\n"));
    plan.statements.iter().map(|statement| format!("{statement};\n")).chain(notes).collect()
}

#[test]
fn rows_say_where_they_are_kept() {
    let said = lines(&cluster(&["eu", "us"]).plan(Means::Rows, &tenants()));
    assert_eq!(
        said,
        r#"ALTER DATABASE "cacheroach" PRIMARY REGION "eu";
ALTER DATABASE "cacheroach" ADD REGION "us";
ALTER TABLE "sessions" ADD COLUMN "home" crdb_internal_region NOT NULL AS (CASE WHEN region = 'us' THEN 'us' ELSE 'eu' END) STORED;
ALTER TABLE "sessions" SET LOCALITY REGIONAL BY ROW AS "home";
ALTER TABLE "files" ADD COLUMN "home" crdb_internal_region NOT NULL AS (CASE WHEN tenant IN (x'02020202020202020202020202020202') THEN 'us' ELSE 'eu' END) STORED;
ALTER TABLE "files" SET LOCALITY REGIONAL BY ROW AS "home";
-- no node is in moon: what belongs there is kept in eu
-- tenants that are made or moved later are kept in eu until this is run again
"#
    );
}

#[test]
fn a_second_run_says_it_anew_and_no_more() {
    let mut cluster = cluster(&["eu", "us"]);
    cluster.regions = vec![region("us"), region("eu")];
    cluster.tables.iter_mut().for_each(|table| table.has_home = true);
    cluster.tables.truncate(1);
    let said = lines(&cluster.plan(Means::Rows, &[]));
    assert_eq!(
        said,
        r#"ALTER TABLE "sessions" SET LOCALITY REGIONAL BY TABLE IN PRIMARY REGION;
ALTER TABLE "sessions" DROP COLUMN "home";
ALTER TABLE "sessions" ADD COLUMN "home" crdb_internal_region NOT NULL AS (CASE WHEN region = 'eu' THEN 'eu' ELSE 'us' END) STORED;
ALTER TABLE "sessions" SET LOCALITY REGIONAL BY ROW AS "home";
"#
    );
}

#[test]
fn partitions_are_kept_in_their_regions() {
    let said = lines(&cluster(&["eu", "us"]).plan(Means::Partitions, &tenants()[..2]));
    assert_eq!(
        said,
        r#"ALTER TABLE "sessions" PARTITION BY LIST (region) (PARTITION "us" VALUES IN ('us'), PARTITION "all_others" VALUES IN (DEFAULT));
ALTER PARTITION "us" OF TABLE "sessions" CONFIGURE ZONE USING constraints = '[+region=us]';
ALTER PARTITION "all_others" OF TABLE "sessions" CONFIGURE ZONE USING constraints = '[+region=eu]';
ALTER TABLE "files" PARTITION BY LIST (tenant) (PARTITION "us" VALUES IN (x'02020202020202020202020202020202'), PARTITION "all_others" VALUES IN (DEFAULT));
ALTER PARTITION "us" OF TABLE "files" CONFIGURE ZONE USING constraints = '[+region=us]';
ALTER PARTITION "all_others" OF TABLE "files" CONFIGURE ZONE USING constraints = '[+region=eu]';
ALTER INDEX "files"@"files_by_x" PARTITION BY LIST (tenant) (PARTITION "us_files_by_x" VALUES IN (x'02020202020202020202020202020202'), PARTITION "all_others_files_by_x" VALUES IN (DEFAULT));
ALTER PARTITION "us_files_by_x" OF INDEX "files"@"files_by_x" CONFIGURE ZONE USING constraints = '[+region=us]';
ALTER PARTITION "all_others_files_by_x" OF INDEX "files"@"files_by_x" CONFIGURE ZONE USING constraints = '[+region=eu]';
-- indexes that begin with something else are not kept in regions: they hold ids, names and paths
-- tenants that are made or moved later are kept in eu until this is run again
"#
    );
}

#[test]
fn without_a_licence_tables_are_kept_as_a_whole() {
    let one = lines(&cluster(&["eu", "us"]).plan(Means::Tables, &tenants()[1..2]));
    assert_eq!(
        one,
        r#"ALTER TABLE "sessions" CONFIGURE ZONE USING constraints = '[+region=us]';
ALTER TABLE "files" CONFIGURE ZONE USING constraints = '[+region=us]';
"#
    );
    let plan = cluster(&["eu", "us"]).plan(Means::Tables, &tenants()[..2]);
    assert_eq!(
        plan.statements[0],
        r#"ALTER TABLE "sessions" CONFIGURE ZONE USING num_replicas = 3, constraints = '{"+region=eu": 1, "+region=us": 1}', lease_preferences = '[[+region=eu]]'"#
    );
    assert!(plan.notes[0].contains("can't be kept apart"), "{:?}", plan.notes);
}

#[test]
fn where_no_node_says_where_it_is_nothing_is_said() {
    let plan = cluster(&[]).plan(Means::Rows, &tenants());
    assert!(plan.statements.is_empty());
    assert!(plan.notes[0].contains("--locality"), "{:?}", plan.notes);
}

#[test]
fn a84_names_are_quoted() {
    let mut cluster = cluster(&["eu"]);
    cluster.database = "a\"; DROP DATABASE b; --".into();
    let plan = cluster.plan(Means::Rows, &[]);
    assert_eq!(plan.statements[0], r#"ALTER DATABASE "a""; DROP DATABASE b; --" PRIMARY REGION "eu""#);
}
