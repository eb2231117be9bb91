//! Cases for walks over tables, and for putting rows where they belong.

use cacheroach_model::{CHUNK_SIZE, TenantId};
use cacheroach_store::Store;
use cacheroach_store::inspect::{
    CHUNKS, Key, LOOSE_ROPES, ROPES, Row, SESSIONS, TABLES, Table, VERSIONS, Value, Walk,
};

use crate::subject::{Subject, path};

/// Some of everything.
pub(crate) async fn furnish(subject: &Subject) -> TenantId {
    let tenant = subject.tenant().await;
    let principal = subject.principal(Some("a@example.com"), None).await;
    subject.principal(None, Some("example.com")).await;
    for name in ["one", "two", ""] {
        subject.add_session(principal, tenant, name).await;
    }
    for (at, content) in [("/a", &b"a"[..]), ("/a", b"b"), ("/b/c", b"c"), ("/empty", b""), ("/copy", b"a")] {
        subject.put(tenant, at, content).await;
    }
    let large = [vec![1; CHUNK_SIZE], vec![2; CHUNK_SIZE], vec![3; 70_000]];
    subject.upload(tenant, "/large", &[&large[0], &large[1], &large[2]]).await;
    let store = subject.store();
    store.metadata.delete_file(tenant, &path("/b/c"), cacheroach_model::Expected::Anything).await.unwrap();
    tenant
}

/// All rows of a table, so many at a time.
pub(crate) async fn rows(walk: &(impl Walk + ?Sized), table: &'static Table, limit: usize) -> Vec<Row> {
    let (mut all, mut after): (Vec<Row>, Option<Key>) = (Vec::new(), None);
    loop {
        let page = walk.list_rows(table, after.as_ref(), limit).await.unwrap();
        assert!(page.len() <= limit);
        let is_last = page.len() < limit;
        after = page.last().map(Row::key).or(after);
        all.extend(page);
        if is_last {
            return all;
        }
    }
}

pub(crate) async fn rows_are_walked_in_the_order_of_their_keys_a_page_at_a_time(subject: &Subject) {
    furnish(subject).await;
    let store = subject.store().metadata;
    for table in TABLES {
        let all = rows(&*store, table, 1000).await;
        assert!(all.windows(2).all(|pair| pair[0].key() < pair[1].key()), "{}", table.name);
        assert!(rows(&*store, table, 2).await == all, "{}", table.name);
        for row in &all {
            assert!(store.find_row(table, &row.key()).await.unwrap().as_ref() == Some(row), "{}", table.name);
        }
    }
    assert_eq!(rows(&*store, &VERSIONS, 1000).await.len(), 6);
    assert_eq!(rows(&*store, &CHUNKS, 1000).await.len(), 6);
}

async fn copy_rows(from: &Store, to: &Store) {
    for table in TABLES {
        to.metadata.restore_rows(rows(&*from.metadata, table, 1000).await).await.unwrap();
    }
}

pub(crate) async fn rows_are_restored_as_they_were_and_removed(subject: &Subject) {
    furnish(subject).await;
    let (from, other) = (subject.store(), subject.another().await);
    let to = other.store();
    for _ in 0..2 {
        copy_rows(&from, &to).await;
        for table in TABLES {
            let equal = rows(&*to.metadata, table, 1000).await == rows(&*from.metadata, table, 1000).await;
            assert!(equal, "{}", table.name);
        }
    }
    let changed =
        rows(&*to.metadata, &SESSIONS, 1).await.remove(0).with("note", Value::Text("x".into())).unwrap();
    to.metadata.restore_rows(vec![changed.clone()]).await.unwrap();
    assert!(to.metadata.find_row(&SESSIONS, &changed.key()).await.unwrap() == Some(changed));
    for table in TABLES {
        let keys: Vec<_> = rows(&*to.metadata, table, 1000).await.iter().map(Row::key).collect();
        to.metadata.remove_rows(table, keys.clone()).await.unwrap();
        to.metadata.remove_rows(table, keys).await.unwrap();
        assert!(rows(&*to.metadata, table, 1000).await.is_empty(), "{}", table.name);
    }
}

pub(crate) async fn what_is_drawn_after_a_restore_meets_nothing(subject: &Subject) {
    let tenant = furnish(subject).await;
    let (from, other) = (subject.store(), subject.another().await);
    copy_rows(&from, &other.store()).await;
    let used: Vec<_> =
        rows(&*from.metadata, &CHUNKS, 1000).await.iter().map(|row| row.number("generation")).collect();
    let drawn = other.store().metadata.draw_generations(3).await.unwrap();
    assert!(drawn.len() == 3 && drawn.iter().all(|drawn| !used.contains(drawn)), "{drawn:?}, {used:?}");
    let before = rows(&*from.metadata, &ROPES, 1000).await.len();
    for number in 0..20 {
        other.put(tenant, "/new", format!("new {number}").as_bytes()).await;
    }
    assert_eq!(rows(&*other.store().metadata, &ROPES, 1000).await.len(), before + 20);
}

pub(crate) async fn a_snapshot_stays_what_it_was(subject: &Subject) {
    let tenant = furnish(subject).await;
    let store = subject.store().metadata;
    let snapshot = store.snapshot().await.unwrap();
    let before = rows(&*snapshot, &VERSIONS, 2).await;
    subject.put(tenant, "/later", b"later").await;
    assert!(rows(&*snapshot, &VERSIONS, 2).await == before);
    assert_eq!(rows(&*store, &VERSIONS, 2).await.len(), before.len() + 1);
    assert!(rows(&*snapshot, &LOOSE_ROPES, 2).await.is_empty());
}

pub(crate) async fn what_a_tenant_has_is_counted(subject: &Subject) {
    let tenant = furnish(subject).await;
    let usage = subject.store().metadata.usage(tenant).await.unwrap();
    let large = 2 * CHUNK_SIZE as u64 + 70_000;
    assert_eq!((usage.files, usage.file_bytes), (4, large + 2));
    assert_eq!((usage.versions, usage.version_bytes), (6, large + 4));
    assert_eq!((usage.ropes, usage.rope_bytes), (4, large + 3));
    assert_eq!((usage.rows, usage.row_bytes), (3, 3));
    assert_eq!((usage.chunks, usage.chunk_bytes), (3, large));
    assert_eq!((usage.stored_bytes(), usage.dedup_saved()), (large + 3, 1));
    let nobody = subject.tenant().await;
    assert_eq!(subject.store().metadata.usage(nobody).await.unwrap(), Default::default());
}
