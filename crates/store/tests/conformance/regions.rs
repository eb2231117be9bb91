//! Cases for where bytes are, and for the steps by which they are brought home. A tier that knows of no regions takes them as
//! well.

use std::time::Duration;

use cacheroach_model::{Expected, Hash, Region, Tenant, TenantId, Timestamp};
use cacheroach_store::chunks::{KeptChunk, NewChunk, Place};
use cacheroach_store::files::INLINE_SIZE;
use cacheroach_store::purge::{Kind, Limits, list_left};
use cacheroach_store::regions::{Moved, Moving, Next, Placed};
use cacheroach_store::uploads::{Step, Stepped};

use crate::subject::{HOUR, Subject, hash, path};

const MINUTE: Duration = Duration::from_secs(60);

pub(crate) async fn where_bytes_are_is_told_by_their_rows(subject: &Subject) {
    let metadata = subject.store().metadata;
    let (tenant, other) = (subject.tenant().await, subject.tenant().await);
    let (small, large) = (b"small".as_slice(), vec![1; INLINE_SIZE + 1]);
    subject.put(tenant, "/small", small).await;
    subject.put(tenant, "/again", small).await;
    subject.upload(tenant, "/large", &[&large]).await;
    subject.put(other, "/other", b"other").await;
    let upload = subject.begin(tenant, "/begun").await;
    metadata.lease_chunks(upload, &[(hash(b"not there"), 9)]).await.unwrap();
    let mut found = Vec::new();
    loop {
        let after = found.last().map(|placed: &Placed| placed.chunk);
        let page = metadata.list_places(tenant, after, 1).await.unwrap();
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    let mut expected = [(hash(small), 5, false), (hash(&large), large.len(), true)];
    expected.sort();
    let found: Vec<_> = found
        .iter()
        .map(|one| (one.chunk, usize::try_from(one.length).unwrap(), one.place.is_some()))
        .collect();
    assert_eq!(found, expected);
}

/// Larger than what sits beside its row.
fn large(seed: u8) -> Vec<u8> {
    vec![seed; INLINE_SIZE + 1]
}

/// The only chunk of a tenant that is in the tier.
async fn placed(subject: &Subject, tenant: TenantId) -> (Placed, KeptChunk) {
    let mut places = subject.store().metadata.list_places(tenant, None, 10).await.unwrap();
    places.retain(|placed| placed.place.is_some());
    assert_eq!(places.len(), 1, "{places:?}");
    let placed = places.remove(0);
    let place = placed.place.clone().unwrap();
    let kept = KeptChunk { tenant, hash: placed.chunk, length: placed.length, place };
    (placed, kept)
}

/// A mover's steps before the last: a lease, and the bytes in another place.
async fn copied(subject: &Subject, tenant: TenantId) -> (Moved, KeptChunk) {
    let (store, (placed, kept)) = (subject.store(), placed(subject, tenant).await);
    let to = store.metadata.lease_moves(1, HOUR).await.unwrap()[0];
    let bytes = store.chunks.read(&kept).await.unwrap();
    let new = NewChunk { tenant, hash: kept.hash, generation: to, bytes, checksum: None };
    let place = store.chunks.write(vec![new]).await.unwrap().remove(0);
    let moved = Moved { chunk: kept.hash, from: placed.generation, to, place: place.clone() };
    (moved, KeptChunk { place, ..kept })
}

async fn move_one(subject: &Subject, tenant: TenantId, moved: &Moved) -> bool {
    let done = subject.store().metadata.move_chunks(tenant, std::slice::from_ref(moved)).await.unwrap();
    assert_eq!(done.len(), 1);
    done[0]
}

/// Where there are bytes that no row names.
async fn left(subject: &Subject) -> Vec<Place> {
    let (mut left, mut after) = (Vec::new(), None);
    loop {
        let page = list_left(&subject.store(), after.as_ref(), 1000).await.unwrap();
        left.extend(page.chunks.into_iter().map(|found| found.chunk.place));
        match page.next {
            None => return left,
            next => after = next,
        }
    }
}

async fn remove(subject: &Subject) {
    let limits = Limits { deleted_for: Some(Duration::ZERO), ..Limits::default() };
    for kind in Kind::ALL {
        while subject.store().metadata.remove(kind, &limits, 100).await.unwrap().more {}
    }
}

/// A purge: how many lives with bytes in the tier went.
async fn purge(subject: &Subject) -> usize {
    remove(subject).await;
    let (metadata, chunks) = (subject.store().metadata, subject.store().chunks);
    let condemned = metadata.condemn(Hash::EMPTY, Duration::ZERO, 100).await.unwrap().chunks;
    for one in &condemned {
        let place = one.place.clone();
        let kept = KeptChunk { tenant: one.tenant, hash: one.chunk, length: one.length, place };
        chunks.erase(&kept).await.unwrap();
    }
    metadata.drop_chunks(&condemned).await.unwrap();
    condemned.len()
}

async fn delete(subject: &Subject, tenant: TenantId, at: &str) {
    assert!(subject.store().metadata.delete_file(tenant, &path(at), Expected::Anything).await.unwrap());
}

async fn move_tenant(subject: &Subject, id: TenantId, version: i64, region: &str) {
    let region = Some(Region::parse(region).unwrap());
    let tenant = Tenant { id, version, region, ..Tenant::default() };
    subject.store().metadata.ensure_tenant(&tenant).await.unwrap();
}

pub(crate) async fn a_tenant_that_is_moved_is_noted_until_it_is_home(subject: &Subject) {
    let metadata = subject.store().metadata;
    let tenant = subject.tenant().await;
    let begin = async || metadata.begin_moving(MINUTE).await.unwrap();
    assert_eq!(begin().await, None, "a new one is where it is");
    move_tenant(subject, tenant, 1, "elsewhere").await;
    let (moved_at, begun_at) = (subject.now(), subject.now());
    let moving = Moving { tenant, moved_at, begun_at, after: None };
    assert_eq!(begin().await, Some(moving.clone()));
    assert_eq!(begin().await, None, "somebody is at it");
    subject.advance(MINUTE);
    let moving = Moving { begun_at: subject.now(), ..moving };
    assert_eq!(begin().await, Some(moving.clone()), "somebody has died");
    let moving = Moving { after: Some(hash(b"as far as this")), ..moving };
    metadata.end_moving(&moving, Next::After(HOUR)).await.unwrap();
    assert_eq!(begin().await, None, "it rests");
    subject.advance(HOUR);
    assert_eq!(begin().await, Some(moving.clone()), "the same walk goes on");
    // What is moved while somebody is at it begins anew.
    move_tenant(subject, tenant, 2, "local").await;
    metadata.end_moving(&moving, Next::Home).await.unwrap();
    metadata.end_moving(&moving, Next::After(HOUR)).await.unwrap();
    let again = Moving { tenant, moved_at: subject.now(), begun_at: subject.now(), after: None };
    assert_eq!(begin().await, Some(again.clone()));
    subject.advance(MINUTE);
    metadata.end_moving(&again, Next::Again(Duration::ZERO)).await.unwrap();
    let failed = Moving { moved_at: subject.now(), begun_at: subject.now(), ..again };
    assert_eq!(begin().await, Some(failed.clone()));
    metadata.end_moving(&failed, Next::Home).await.unwrap();
    subject.advance(HOUR);
    assert_eq!(begin().await, None);
}

pub(crate) async fn all_tenants_are_noted_a_page_at_a_time(subject: &Subject) {
    let metadata = subject.store().metadata;
    let mut tenants = Vec::new();
    for _ in 0..5 {
        tenants.push(subject.tenant().await);
    }
    move_tenant(subject, tenants[0], 1, "elsewhere").await;
    let moved_at = subject.now();
    assert!(metadata.begin_moving(HOUR).await.unwrap().is_some());
    let mut after = None;
    loop {
        after = metadata.note_moving(after, 2).await.unwrap();
        if after.is_none() {
            break;
        }
    }
    let mut found = Vec::new();
    while let Some(moving) = metadata.begin_moving(HOUR).await.unwrap() {
        let noted = if moving.tenant == tenants[0] { moved_at } else { Timestamp::default() };
        assert_eq!(moving.moved_at, noted, "what was moved stays so");
        found.push(moving.tenant);
    }
    found.sort();
    assert_eq!(found, tenants, "all are due, also the one that somebody has who may be dead");
}

pub(crate) async fn f29_a_chunk_moves_with_its_leases_and_its_old_life_goes(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    subject.upload(tenant, "/a", &[&large(1)]).await;
    // One found the chunk and relies on it; another one was as fast as the first, and will find that out.
    let relies = subject.begin(tenant, "/b").await;
    let pieces = subject.keep(tenant, relies, &[&large(1)]).await;
    assert!(pieces[0].wrote.is_none());
    let (_, before) = placed(subject, tenant).await;
    let (moved, home) = copied(subject, tenant).await;
    assert!(left(subject).await.is_empty(), "a mover's lease is one");
    assert!(move_one(subject, tenant, &moved).await);
    assert!(move_one(subject, tenant, &moved).await, "told again, it says so again");
    assert_eq!(placed(subject, tenant).await.1, home);
    assert_eq!(subject.read(tenant, "/a", None).await.unwrap(), large(1));
    assert!(left(subject).await.is_empty(), "the old place is condemned");
    metadata.advance_upload(relies, 0, &Step { pieces, ..Step::default() }).await.unwrap();
    assert_eq!(purge(subject).await, 1);
    assert!(subject.store().chunks.read(&before).await.is_err(), "never other bytes");
    let size = large(1).len() as u64;
    metadata.commit_upload(relies, size, &subject.file(tenant, "/b", &large(1))).await.unwrap();
    assert_eq!(subject.read(tenant, "/b", None).await.unwrap(), large(1));
    for at in ["/a", "/b"] {
        delete(subject, tenant, at).await;
    }
    assert_eq!(purge(subject).await, 1);
    assert!(subject.store().chunks.list(None, 10).await.unwrap().chunks.is_empty());
}

pub(crate) async fn f29_of_two_writers_and_a_mover_each_ends_well(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    let (first, second) = (subject.begin(tenant, "/a").await, subject.begin(tenant, "/b").await);
    let pieces = subject.keep(tenant, first, &[&large(1)]).await;
    let late = subject.keep(tenant, second, &[&large(1)]).await;
    metadata.advance_upload(first, 0, &Step { pieces, ..Step::default() }).await.unwrap();
    let (moved, home) = copied(subject, tenant).await;
    assert!(move_one(subject, tenant, &moved).await);
    let step = Step { pieces: late, ..Step::default() };
    assert_eq!(metadata.advance_upload(second, 0, &step).await.unwrap(), Stepped::Done(vec![0]));
    let size = large(1).len() as u64;
    for (upload, at) in [(first, "/a"), (second, "/b")] {
        metadata.commit_upload(upload, size, &subject.file(tenant, at, &large(1))).await.unwrap();
        assert_eq!(subject.read(tenant, at, None).await.unwrap(), large(1));
    }
    assert_eq!(placed(subject, tenant).await.1, home);
}

pub(crate) async fn f31_of_two_movers_the_second_changes_nothing(subject: &Subject) {
    let tenant = subject.tenant().await;
    subject.upload(tenant, "/a", &[&large(1)]).await;
    let (one, home) = copied(subject, tenant).await;
    let (two, nobodys) = copied(subject, tenant).await;
    assert!(move_one(subject, tenant, &one).await);
    assert!(!move_one(subject, tenant, &two).await);
    assert!(!move_one(subject, tenant, &two).await);
    assert_eq!(left(subject).await, [nobodys.place]);
    assert_eq!(placed(subject, tenant).await.1, home);
    // Back again, as a tenant that is moved twice.
    let (back, there) = copied(subject, tenant).await;
    assert!(move_one(subject, tenant, &back).await);
    assert!(!move_one(subject, tenant, &one).await, "nobody's move is made twice");
    assert_eq!(purge(subject).await, 2, "both lives before");
    assert_eq!(placed(subject, tenant).await.1, there);
    assert_eq!(subject.read(tenant, "/a", None).await.unwrap(), large(1));
}

pub(crate) async fn f29_what_is_purged_meanwhile_is_not_moved(subject: &Subject) {
    let tenant = subject.tenant().await;
    subject.upload(tenant, "/a", &[&large(1)]).await;
    let (moved, nobodys) = copied(subject, tenant).await;
    delete(subject, tenant, "/a").await;
    assert_eq!(purge(subject).await, 1);
    // The next life of the same content.
    subject.upload(tenant, "/a", &[&large(1)]).await;
    let (_, next) = placed(subject, tenant).await;
    assert!(!move_one(subject, tenant, &moved).await);
    assert_eq!(placed(subject, tenant).await.1, next);
    assert_eq!(left(subject).await.as_slice(), std::slice::from_ref(&nobodys.place));
    subject.store().chunks.erase(&nobodys).await.unwrap();
    assert_eq!(subject.read(tenant, "/a", None).await.unwrap(), large(1));
}

pub(crate) async fn f01_bytes_of_a_mover_that_died_are_left_once_its_lease_is_over(subject: &Subject) {
    let tenant = subject.tenant().await;
    subject.upload(tenant, "/a", &[&large(1)]).await;
    let (_, stays) = placed(subject, tenant).await;
    let (moved, nobodys) = copied(subject, tenant).await;
    remove(subject).await;
    assert!(left(subject).await.is_empty());
    subject.advance(2 * HOUR);
    remove(subject).await;
    assert_eq!(left(subject).await.as_slice(), std::slice::from_ref(&nobodys.place));
    assert!(!move_one(subject, tenant, &moved).await, "whatever the sweep did, it comes too late");
    assert_eq!(placed(subject, tenant).await.1, stays);
    assert_eq!(subject.read(tenant, "/a", None).await.unwrap(), large(1));
}
