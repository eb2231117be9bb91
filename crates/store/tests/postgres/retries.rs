//! What becomes of work when the database gets in its way.

use std::time::Duration;

use cacheroach_model::{Tenant, TenantId};
use cacheroach_store::changes::{Change, Changes as _};
use cacheroach_store::postgres::Postgres;
use cacheroach_store::tenants::Tenants as _;
use cacheroach_store::{Error, Result};
use cacheroach_testing::{Database, Server};

use crate::open;

async fn fresh() -> (Database, Postgres) {
    let database = Server::postgres().migrated(async |url| drop(open(&url).await.unwrap())).await;
    let store = open(&database.url()).await.unwrap();
    (database, store)
}

fn tenant(id: u8) -> Tenant {
    Tenant { id: TenantId::new([id; 16]), label: "a tenant".into(), version: 0, ..Default::default() }
}

/// Makes inserts of tenants fail with a SQLSTATE, the first `times` of them; sequences don't roll back.
async fn failing(database: &Database, code: &str, times: u32) {
    database
        .connect()
        .await
        .batch_execute(&format!(
            "CREATE SEQUENCE tries;
             CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF nextval('tries') <= {times} THEN RAISE EXCEPTION 'told to' USING ERRCODE = '{code}'; END IF;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER fail BEFORE INSERT ON tenants FOR EACH ROW EXECUTE FUNCTION fail()"
        ))
        .await
        .unwrap();
}

pub(crate) async fn f11_a_connection_that_was_cut_is_replaced() {
    let (database, store) = fresh().await;
    store.ensure_tenant(&tenant(1)).await.unwrap();
    let client = database.connect().await;
    for round in 2..6 {
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
        client.query(cut, &[]).await.unwrap();
        store.ensure_tenant(&tenant(round)).await.unwrap();
        assert!(store.find_tenant(TenantId::new([round; 16])).await.unwrap().is_some());
    }
}

pub(crate) async fn f13_serialization_failures_are_tried_again() {
    for code in ["40001", "40P01"] {
        let (database, store) = fresh().await;
        failing(&database, code, 5).await;
        assert_eq!(store.ensure_tenant(&tenant(1)).await.unwrap().version, 1);
    }
    let (database, store) = fresh().await;
    failing(&database, "40001", 1_000_000).await;
    assert!(matches!(store.ensure_tenant(&tenant(1)).await, Err(Error::Busy(_))));
}

pub(crate) async fn f15_a_full_disk_is_said_to_be_one() {
    let tried = async |code: &str| -> Result<Tenant> {
        let (database, store) = fresh().await;
        failing(&database, code, 1).await;
        store.ensure_tenant(&tenant(1)).await
    };
    assert!(matches!(tried("53100").await, Err(Error::Full(_))));
    assert!(matches!(tried("57014").await, Err(Error::Busy(_))));
    assert!(matches!(tried("22021").await, Err(Error::Failed(_))));
    assert!(matches!(tried("ZZZZZ").await, Err(Error::Failed(_))));
    tried("25006").await.unwrap();
}

/// The connection ends while the COMMIT is under way, and nothing was done: that is found out, and it is done then.
pub(crate) async fn f12_a_commit_that_was_cut_off_is_looked_up() {
    let (database, store) = fresh().await;
    database
        .connect()
        .await
        .batch_execute(
            "CREATE SEQUENCE tries;
             CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF nextval('tries') <= 2 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
                 RETURN NULL;
             END $$;
             CREATE CONSTRAINT TRIGGER die AFTER INSERT ON tenants DEFERRABLE INITIALLY DEFERRED
                 FOR EACH ROW EXECUTE FUNCTION die()",
        )
        .await
        .unwrap();
    assert_eq!(store.ensure_tenant(&tenant(1)).await.unwrap().version, 1);
    assert!(store.find_tenant(TenantId::new([1; 16])).await.unwrap().is_some());
}

pub(crate) async fn p10_another_server_hears_of_a_change() {
    let (database, one) = fresh().await;
    let other = open(&database.url()).await.unwrap();
    let mut listener = other.changes().listen();
    let heard = async {
        // Once it listens at all, it says that everything may have changed.
        while listener.next().await != Change::Everything {}
        one.ensure_tenant(&tenant(7)).await.unwrap();
        while listener.next().await != Change::Tenant(TenantId::new([7; 16])) {}
    };
    tokio::time::timeout(Duration::from_secs(30), heard).await.unwrap();
}
