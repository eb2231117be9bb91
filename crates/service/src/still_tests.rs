//! Answers under way while what they stand on is taken back.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cacheroach_api::content::{OpenRequest, WriteRequest};
use cacheroach_api::method::{contents, tenants, vhosts};
use cacheroach_auth::Keys;
use cacheroach_model::{
    CHUNK_SIZE, Capabilities, Clock, Location, Pattern, Principal, PrincipalId, Scope, Session, SessionId,
    TenantId, Timestamp,
};
use cacheroach_store::sessions::Origin;
use futures::{StreamExt as _, TryStreamExt as _};
use tempfile::TempDir;

use crate::seams::Fresh;
use crate::{Caller, Error, Service, Settings, Stream};

struct Shifted(AtomicI64);

impl Clock for Shifted {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(self.0.load(Ordering::SeqCst))
    }
}

const TENANT: TenantId = TenantId::SCRATCHPAD;
const SESSION: SessionId = SessionId::new([2; 16]);
const ALICE: PrincipalId = PrincipalId::new([1; 16]);

struct World {
    service: Arc<Service>,
    clock: Arc<Shifted>,
    dir: TempDir,
    caller: Caller,
}

impl World {
    /// With Alice, whose session lives for an hour and holds everything of a tenant.
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = cacheroach_store::Settings::new(
            cacheroach_store::Location::Sqlite(dir.path().to_owned()),
            cacheroach_store::Tier::Memory,
        );
        let clock = Arc::new(Shifted(AtomicI64::new(1_700_000_000)));
        let store = cacheroach_store::open(&at, Arc::clone(&clock) as Arc<dyn Clock>).await.unwrap();
        let keys = Keys::parse(&["BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=".to_owned()]).unwrap();
        let service = Arc::new(Service::new(
            store,
            keys,
            Arc::clone(&clock) as Arc<dyn Clock>,
            Arc::new(Fresh),
            Settings::default(),
        ));
        service.bootstrap().await.unwrap();
        let metadata = &service.store.metadata;
        let label = "alice".to_owned();
        let alice = Principal { id: ALICE, label, version: 0, claims: None, email: None, email_domain: None };
        metadata.ensure_principal(&alice).await.unwrap();
        let session = Session {
            id: Some(SESSION),
            principal: Some(ALICE),
            capabilities: Capabilities::ALL,
            scope: Some(Scope::Location(Location {
                tenant: TENANT,
                pattern: Pattern::everything(),
                version: None,
            })),
            expires_at: Some(clock.now().after(Duration::from_secs(3600))),
            name: String::new(),
            note: String::new(),
        };
        metadata.add_session(&session, Origin::default()).await.unwrap();
        let session = service.live(session).await.unwrap();
        let caller = service.callers.caller(session, None, service.callers.seen()).await.unwrap();
        World { service, clock, dir, caller }
    }

    /// A file of eight chunks of which Alice has got the first.
    async fn reading(&self) -> Stream<Bytes> {
        let (tenant, path) = (Some(TENANT.into()), "/private/film".to_owned());
        let write = WriteRequest { tenant, path: path.clone(), ..Default::default() };
        let mut writer = self.service.call::<contents::Write>(&self.caller, write).await.unwrap();
        for number in 0..8 {
            writer.write(vec![number; CHUNK_SIZE].into()).await.unwrap();
        }
        writer.finish().await.unwrap();
        let open = OpenRequest { tenant: Some(TENANT.into()), path, ..Default::default() };
        let content = self.service.call::<contents::Open>(&self.caller, open).await.unwrap();
        let mut reading = content.read(0..content.file().size);
        assert!(reading.next().await.unwrap().is_ok());
        reading
    }

    /// As another server does whose message is lost.
    fn elsewhere(&self, sql: &str) {
        let database = rusqlite::Connection::open(self.dir.path().join("metadata.sqlite")).unwrap();
        assert!(database.execute(sql, []).unwrap() > 0);
    }

    fn wait(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn p10_a_download_ends_with_the_session_it_stands_on() {
    let world = World::new().await;
    let mut reading = world.reading().await;
    world.service.store.metadata.end_session(SESSION).await.unwrap();
    assert!(matches!(reading.next().await, Some(Err(Error::Unauthenticated(_)))));
}

#[tokio::test]
async fn p10_a_download_ends_with_the_principal_or_the_tenant() {
    let world = World::new().await;
    let mut reading = world.reading().await;
    world.service.store.metadata.delete_principal(ALICE, 1).await.unwrap();
    assert!(reading.next().await.unwrap().is_err());
    let world = World::new().await;
    let mut reading = world.reading().await;
    world.service.store.metadata.delete_tenant(TENANT, 1).await.unwrap();
    assert!(reading.next().await.unwrap().is_err());
}

#[tokio::test]
async fn f26_a_download_ends_within_five_seconds_when_nobody_tells() {
    let world = World::new().await;
    let mut reading = world.reading().await;
    world.elsewhere(
        "UPDATE sessions SET expires_at = issued_at WHERE session = x'02020202020202020202020202020202'",
    );
    world.wait(4);
    assert!(matches!(reading.next().await, Some(Err(Error::Unauthenticated(_)))));
}

#[tokio::test]
async fn a_download_goes_on_when_other_things_change_or_its_time_runs_out() {
    let world = World::new().await;
    let mut reading = world.reading().await;
    world.service.store.metadata.end_session(SessionId::new([9; 16])).await.unwrap();
    assert!(reading.next().await.unwrap().is_ok());
    world.wait(2 * 3600);
    let rest: Vec<_> = reading.try_collect().await.unwrap();
    assert_eq!(rest.len(), 6);
}

#[tokio::test]
async fn p10_a_listing_under_way_ends_with_its_session() {
    let world = World::new().await;
    let mut listing = world.service.stream::<tenants::List>(&world.caller, ()).await.unwrap();
    world.service.store.metadata.end_session(SESSION).await.unwrap();
    assert!(matches!(listing.next().await, Some(Err(Error::Unauthenticated(_)))));
    assert!(listing.next().await.is_none());
    assert!(world.service.stream::<vhosts::List>(&world.caller, ()).await.is_err(), "for superusers");
}

#[tokio::test]
async fn f26_a_host_is_shown_as_it_is_within_five_seconds_when_nobody_tells() {
    let world = World::new().await;
    let host = cacheroach_model::Host::parse("new.example").unwrap();
    let is_known = async || world.service.host(&host).await.unwrap().is_home_of(TENANT);
    world.elsewhere("DELETE FROM vhosts");
    assert!(!is_known().await);
    world.elsewhere(
        "INSERT INTO vhosts (host, tenant) VALUES ('new.example', x'0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a')",
    );
    world.wait(4);
    assert!(is_known().await);
    // Told, it does not take so long.
    world.elsewhere("DELETE FROM vhosts");
    world.service.store.metadata.changes().tell(cacheroach_store::changes::Change::Vhosts);
    assert!(!is_known().await);
}
