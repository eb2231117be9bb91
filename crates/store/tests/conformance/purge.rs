//! Cases for the purge. The steps of uploads and collectors are called one by one, in the orders that matter.

use std::time::Duration;

use bytes::Bytes;
use cacheroach_model::{Expected, Hash, LinkId, LinkKind, Retention, Tenant, TenantId, Version};
use cacheroach_store::Error;
use cacheroach_store::chunks::KeptChunk;
use cacheroach_store::files::{Copy, Kept};
use cacheroach_store::links::KeptLink;
use cacheroach_store::purge::{Condemned, FINISHED_REST, Kind, Limits, REST};
use cacheroach_store::uploads::Step;

use crate::subject::{HOUR, Subject, hash, path};

const FROM: Hash = Hash::EMPTY;
const DAY: Duration = Duration::from_secs(24 * 3600);
const MINUTE: Duration = Duration::from_secs(60);

/// What is deleted goes at once.
const AT_ONCE: Limits =
    Limits { deleted_for: Some(Duration::ZERO), retention: Retention { versions: None, age: None } };

/// Larger than what sits beside its row.
fn large(seed: u8) -> Vec<u8> {
    vec![seed; 70_000]
}

fn keep(versions: u32) -> Limits {
    Limits { retention: Retention { versions: Some(versions), age: None }, ..Limits::default() }
}

fn keep_for(age: Duration) -> Limits {
    Limits { retention: Retention { versions: None, age: Some(age) }, ..Limits::default() }
}

/// Removes all that is past its time, in small batches: how many rows.
async fn remove(subject: &Subject, limits: &Limits) -> usize {
    let metadata = subject.store().metadata;
    let mut rows = 0;
    for kind in Kind::ALL {
        loop {
            let removed = metadata.remove(kind, limits, 3).await.unwrap();
            rows += removed.rows;
            if !removed.more {
                break;
            }
        }
    }
    rows
}

/// Condemns all it can, takes over from nobody.
async fn condemn(subject: &Subject) -> Vec<Condemned> {
    subject.store().metadata.condemn(FROM, MINUTE, 1000).await.unwrap().chunks
}

async fn erase(subject: &Subject, chunks: &[Condemned]) {
    for one in chunks {
        subject.store().chunks.erase(&kept(one)).await.unwrap();
    }
}

fn kept(one: &Condemned) -> KeptChunk {
    KeptChunk { tenant: one.tenant, hash: one.chunk, length: one.length, place: one.place.clone() }
}

/// All of a purge: how many chunks with bytes in the tier went.
async fn purge(subject: &Subject, limits: &Limits) -> usize {
    remove(subject, limits).await;
    let mut gone = 0;
    loop {
        let condemning = subject.store().metadata.condemn(FROM, MINUTE, 2).await.unwrap();
        erase(subject, &condemning.chunks).await;
        subject.store().metadata.drop_chunks(&condemning.chunks).await.unwrap();
        gone += condemning.chunks.len();
        if !condemning.more {
            return gone;
        }
    }
}

async fn delete(subject: &Subject, tenant: TenantId, at: &str) {
    assert!(subject.store().metadata.delete_file(tenant, &path(at), Expected::Anything).await.unwrap());
}

async fn numbers(subject: &Subject, tenant: TenantId, at: &str) -> Vec<i64> {
    let versions = subject.store().metadata.list_versions(tenant, &path(at), None, 100).await.unwrap();
    versions.iter().rev().map(|past| past.file.version.0).collect()
}

fn restore(tenant: TenantId, at: &str, version: i64) -> Copy {
    Copy {
        tenant,
        from: path(at),
        version: Some(Version(version)),
        to: path(at),
        expected: Expected::Anything,
        described: None,
        moved: false,
        unless_same: false,
    }
}

pub(crate) async fn p6_a_deleted_file_goes_with_its_bytes_when_its_time_is_over(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    subject.upload(tenant, "/a", &[&large(1), &large(2)]).await;
    subject.put(tenant, "/small", b"small").await;
    delete(subject, tenant, "/a").await;
    delete(subject, tenant, "/small").await;
    let limits = Limits { deleted_for: Some(HOUR), ..Limits::default() };
    subject.advance(HOUR / 2);
    assert_eq!(purge(subject, &limits).await, 0, "not yet");
    metadata.copy_file(&restore(tenant, "/a", 1)).await.unwrap().unwrap();
    assert_eq!(subject.read(tenant, "/a", None).await.unwrap().len(), 140_000, "it came back");
    subject.advance(HOUR / 2);
    assert_eq!(purge(subject, &limits).await, 0, "the new version needs what the deleted one had");
    assert_eq!(subject.read(tenant, "/a", None).await.unwrap().len(), 140_000);
    assert_eq!(numbers(subject, tenant, "/a").await, [2]);
    assert!(numbers(subject, tenant, "/small").await.is_empty());
    assert!(metadata.copy_file(&restore(tenant, "/small", 1)).await.unwrap().is_none());
    delete(subject, tenant, "/a").await;
    subject.advance(HOUR);
    assert_eq!(purge(subject, &limits).await, 2);
    assert!(numbers(subject, tenant, "/a").await.is_empty());
    assert_eq!(remove(subject, &limits).await, 0, "nothing is left to do but what has to rest");
}

pub(crate) async fn p6_nothing_is_removed_without_a_limit(subject: &Subject) {
    let tenant = subject.tenant().await;
    for content in [b"1", b"2", b"3"] {
        subject.put(tenant, "/a", content).await;
    }
    delete(subject, tenant, "/a").await;
    subject.put(tenant, "/a", b"4").await;
    subject.put(tenant, "/a", b"5").await;
    subject.advance(1000 * DAY);
    let none = Retention { versions: Some(0), age: Some(Duration::ZERO) };
    purge(subject, &Limits { deleted_for: None, retention: none }).await;
    assert_eq!(numbers(subject, tenant, "/a").await, [1, 2, 3, 4, 5]);
}

pub(crate) async fn p4_numbers_of_a_path_grow_beyond_its_purge(subject: &Subject) {
    let tenant = subject.tenant().await;
    for content in [b"1", b"2", b"3", b"4"] {
        subject.put(tenant, "/a", content).await;
    }
    delete(subject, tenant, "/a").await;
    purge(subject, &AT_ONCE).await;
    assert!(numbers(subject, tenant, "/a").await.is_empty());
    assert_eq!(subject.put(tenant, "/a", b"5").await, Version(5));
    delete(subject, tenant, "/a").await;
    // With only some of them removed, too.
    subject.store().metadata.remove(Kind::Deleted, &AT_ONCE, 1).await.unwrap();
    assert_eq!(subject.put(tenant, "/a", b"6").await, Version(6));
}

pub(crate) async fn the_newest_versions_stay_as_many_as_the_rule_says(subject: &Subject) {
    let tenant = subject.tenant().await;
    for number in 0..9u8 {
        subject.put(tenant, "/a", &[number]).await;
        subject.put(tenant, "/b", &[number, number]).await;
    }
    purge(subject, &keep(3)).await;
    assert_eq!(numbers(subject, tenant, "/a").await, [7, 8, 9]);
    assert_eq!(subject.read(tenant, "/b", Some(Version(7))).await.unwrap(), [6, 6]);
    subject.put(tenant, "/a", b"more").await;
    purge(subject, &keep(3)).await;
    assert_eq!(numbers(subject, tenant, "/a").await, [8, 9, 10]);
    // A rule that changed is found by the walk.
    purge(subject, &keep(1)).await;
    assert_eq!(numbers(subject, tenant, "/a").await, [8, 9, 10]);
    walk_files(subject, keep(1).retention).await;
    purge(subject, &keep(1)).await;
    assert_eq!(numbers(subject, tenant, "/a").await, [10]);
    assert_eq!(numbers(subject, tenant, "/b").await, [9]);
}

async fn walk_files(subject: &Subject, retention: Retention) {
    let mut after = None;
    loop {
        after = subject.store().metadata.walk_files(retention, after, 1).await.unwrap();
        if after.is_none() {
            return;
        }
    }
}

async fn walk_chunks(subject: &Subject) {
    let mut after = None;
    loop {
        after = subject.store().metadata.walk_chunks(after, 1).await.unwrap();
        if after.is_none() {
            return;
        }
    }
}

pub(crate) async fn old_versions_go_when_they_were_overwritten_long_enough_ago(subject: &Subject) {
    let tenant = subject.tenant().await;
    for content in [b"1", b"2", b"3"] {
        subject.put(tenant, "/a", content).await;
        subject.advance(HOUR);
    }
    // The first was current until two hours ago, the second until one hour ago.
    purge(subject, &keep_for(3 * HOUR)).await;
    assert_eq!(numbers(subject, tenant, "/a").await, [1, 2, 3]);
    purge(subject, &keep_for(2 * HOUR)).await;
    assert_eq!(numbers(subject, tenant, "/a").await, [1, 2, 3], "it was looked at under the longer rule");
    subject.advance(HOUR);
    purge(subject, &keep_for(3 * HOUR)).await;
    assert_eq!(numbers(subject, tenant, "/a").await, [2, 3], "the list says when to look again");
    subject.advance(HOUR);
    purge(subject, &keep_for(3 * HOUR)).await;
    assert_eq!(numbers(subject, tenant, "/a").await, [3]);
    subject.advance(1000 * HOUR);
    purge(subject, &keep_for(3 * HOUR)).await;
    assert_eq!(numbers(subject, tenant, "/a").await, [3], "the current one stays");
}

pub(crate) async fn a_tenants_own_rule_is_above_the_servers(subject: &Subject) {
    let (plain, own) = (subject.tenant().await, subject.tenant().await);
    let rule = Some(Retention { versions: Some(0), age: None });
    let change = Tenant { id: own, label: String::new(), version: 1, region: None, retention: rule };
    subject.store().metadata.ensure_tenant(&change).await.unwrap();
    for tenant in [plain, own] {
        for content in [b"1", b"2", b"3"] {
            subject.put(tenant, "/a", content).await;
        }
    }
    purge(subject, &keep(2)).await;
    assert_eq!(numbers(subject, plain, "/a").await, [2, 3]);
    assert_eq!(numbers(subject, own, "/a").await, [1, 2, 3]);
}

pub(crate) async fn f34_a_batch_is_never_exceeded(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    for number in 0..20u8 {
        subject.put(tenant, "/a", &[number]).await;
        subject.put(tenant, &format!("/deleted/{number}"), &[number]).await;
        delete(subject, tenant, &format!("/deleted/{number}")).await;
    }
    for kind in [Kind::Deleted, Kind::Overwritten, Kind::Ropes] {
        let limits = Limits { deleted_for: Some(Duration::ZERO), ..keep(1) };
        let mut left = true;
        while left {
            let removed = metadata.remove(kind, &limits, 4).await.unwrap();
            assert!(removed.rows <= 4, "{kind:?}: {removed:?}");
            left = removed.more;
        }
    }
    assert_eq!(numbers(subject, tenant, "/a").await, [20]);
    let mut dropped = 0;
    loop {
        let condemning = metadata.condemn(FROM, MINUTE, 4).await.unwrap();
        assert!(condemning.dropped <= 4);
        dropped += condemning.dropped;
        if !condemning.more {
            break;
        }
    }
    assert_eq!(dropped, 19, "all but the content that is there still");
}

pub(crate) async fn f02_another_collector_takes_over_from_one_that_died(subject: &Subject) {
    let tenant = subject.tenant().await;
    subject.upload(tenant, "/a", &[&large(1)]).await;
    delete(subject, tenant, "/a").await;
    remove(subject, &AT_ONCE).await;
    let first = condemn(subject).await;
    assert_eq!(first.len(), 1);
    if subject.keeps_chunks() {
        subject.open().await;
    }
    let metadata = subject.store().metadata;
    assert!(condemn(subject).await.is_empty(), "the first may be at it still");
    subject.advance(2 * MINUTE);
    assert_eq!(condemn(subject).await, first);
    erase(subject, &first).await;
    erase(subject, &first).await;
    metadata.drop_chunks(&first).await.unwrap();
    metadata.drop_chunks(&first).await.unwrap();
    subject.advance(2 * MINUTE);
    assert!(condemn(subject).await.is_empty());
}

pub(crate) async fn f31_a_slow_collector_does_not_harm_the_next_life(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    subject.upload(tenant, "/a", &[&large(1)]).await;
    delete(subject, tenant, "/a").await;
    remove(subject, &AT_ONCE).await;
    let old = condemn(subject).await;
    // While it is condemned, and again after it was dropped by another collector.
    subject.upload(tenant, "/b", &[&large(1)]).await;
    erase(subject, &old).await;
    assert_eq!(subject.read(tenant, "/b", None).await.unwrap(), large(1));
    metadata.drop_chunks(&old).await.unwrap();
    erase(subject, &old).await;
    metadata.drop_chunks(&old).await.unwrap();
    assert_eq!(purge(subject, &AT_ONCE).await, 0);
    assert_eq!(subject.read(tenant, "/b", None).await.unwrap(), large(1));
}

pub(crate) async fn f29_what_an_upload_leased_stays(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    subject.upload(tenant, "/a", &[&large(1)]).await;
    delete(subject, tenant, "/a").await;
    remove(subject, &AT_ONCE).await;
    // It found the chunk there, and relies on it.
    let upload = subject.begin(tenant, "/b").await;
    let pieces = subject.keep(tenant, upload, &[&large(1)]).await;
    assert!(pieces[0].wrote.is_none());
    assert!(condemn(subject).await.is_empty(), "leased");
    let step = Step { pieces, ..Step::default() };
    metadata.advance_upload(upload, 0, &step).await.unwrap();
    walk_chunks(subject).await;
    assert!(condemn(subject).await.is_empty(), "a piece");
    let file = subject.file(tenant, "/b", &large(1));
    metadata.commit_upload(upload, 70_000, &file).await.unwrap();
    assert_eq!(purge(subject, &AT_ONCE).await, 0, "a file");
    assert_eq!(subject.read(tenant, "/b", None).await.unwrap(), large(1));
}

pub(crate) async fn f29_a_chunk_condemned_before_the_lease_is_written_again(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    subject.upload(tenant, "/a", &[&large(1)]).await;
    delete(subject, tenant, "/a").await;
    remove(subject, &AT_ONCE).await;
    let old = condemn(subject).await;
    let upload = subject.begin(tenant, "/b").await;
    let pieces = subject.keep(tenant, upload, &[&large(1)]).await;
    assert!(pieces[0].wrote.as_ref().is_some_and(|(generation, _)| *generation != old[0].generation));
    erase(subject, &old).await;
    let step = Step { pieces, ..Step::default() };
    metadata.advance_upload(upload, 0, &step).await.unwrap();
    metadata.drop_chunks(&old).await.unwrap();
    let file = subject.file(tenant, "/b", &large(1));
    metadata.commit_upload(upload, 70_000, &file).await.unwrap();
    assert_eq!(subject.read(tenant, "/b", None).await.unwrap(), large(1));
}

pub(crate) async fn f30_an_upload_past_its_deadline_fails_cleanly(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    subject.upload(tenant, "/a", &[&large(1)]).await;
    delete(subject, tenant, "/a").await;
    remove(subject, &AT_ONCE).await;
    let leased = subject.begin(tenant, "/b").await;
    let pieces = subject.keep(tenant, leased, &[&large(1)]).await;
    let advanced = subject.begin(tenant, "/c").await;
    subject.append(tenant, advanced, 0, &[&large(2)]).await;
    subject.advance(2 * HOUR);
    assert_eq!(purge(subject, &AT_ONCE).await, 2, "the one that was there, and the one that was brought");
    let step = Step { pieces, ..Step::default() };
    assert!(matches!(metadata.advance_upload(leased, 0, &step).await, Err(Error::LeaseLost)));
    let file = subject.file(tenant, "/c", &large(2));
    assert!(matches!(metadata.commit_upload(advanced, 70_000, &file).await, Err(Error::LeaseLost)));
    subject.upload(tenant, "/c", &[&large(2)]).await;
    assert_eq!(subject.read(tenant, "/c", None).await.unwrap(), large(2));
}

pub(crate) async fn a_finished_upload_is_remembered_for_a_while(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    let upload = subject.begin(tenant, "/a").await;
    subject.append(tenant, upload, 0, &[&large(1)]).await;
    let file = subject.file(tenant, "/a", &large(1));
    metadata.commit_upload(upload, 70_000, &file).await.unwrap();
    subject.advance(HOUR);
    remove(subject, &AT_ONCE).await;
    assert_eq!(metadata.commit_upload(upload, 70_000, &file).await.unwrap(), Version(1));
    subject.advance(FINISHED_REST);
    remove(subject, &AT_ONCE).await;
    assert!(metadata.find_upload(upload).await.unwrap().is_none());
    assert_eq!(purge(subject, &AT_ONCE).await, 0);
    assert_eq!(subject.read(tenant, "/a", None).await.unwrap(), large(1));
}

pub(crate) async fn p6_an_abandoned_upload_leaves_no_bytes(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    let upload = subject.begin(tenant, "/a").await;
    subject.append(tenant, upload, 0, &[&large(1), &large(2)]).await;
    metadata.abandon_upload(upload).await.unwrap();
    assert_eq!(purge(subject, &AT_ONCE).await, 2);
}

pub(crate) async fn p6_a_content_cut_otherwise_leaves_no_bytes(subject: &Subject) {
    let tenant = subject.tenant().await;
    subject.upload(tenant, "/a", &[&[7; 140_000]]).await;
    subject.upload(tenant, "/b", &[&[7; 70_000], &[7; 70_000]]).await;
    assert_eq!(purge(subject, &AT_ONCE).await, 1, "the piece that only the second way of cutting needed");
    assert_eq!(subject.read(tenant, "/b", None).await.unwrap(), [7; 140_000]);
}

pub(crate) async fn f32_the_same_content_written_while_it_is_purged_is_whole(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    let limits = AT_ONCE;
    // The content comes again after each of the steps of its purge.
    for stop in 0..6u8 {
        let (at, content) = (format!("/{stop}"), large(stop));
        subject.upload(tenant, &at, &[&content]).await;
        subject.put(tenant, &format!("{at}/small"), &[stop, stop]).await;
        delete(subject, tenant, &at).await;
        delete(subject, tenant, &format!("{at}/small")).await;
        let mut condemned = Vec::new();
        for step in 0..stop {
            match step {
                0 => drop(metadata.remove(Kind::Deleted, &limits, 100).await.unwrap()),
                1 => drop(metadata.remove(Kind::Ropes, &limits, 100).await.unwrap()),
                2 => condemned = condemn(subject).await,
                3 => erase(subject, &condemned).await,
                _ => metadata.drop_chunks(&condemned).await.unwrap(),
            }
        }
        subject.upload(tenant, &at, &[&content]).await;
        subject.put(tenant, &format!("{at}/small"), &[stop, stop]).await;
        erase(subject, &condemned).await;
        metadata.drop_chunks(&condemned).await.unwrap();
        purge(subject, &limits).await;
        assert_eq!(subject.read(tenant, &at, None).await.unwrap(), content, "after {stop} steps");
        assert_eq!(subject.read(tenant, &format!("{at}/small"), None).await.unwrap(), [stop, stop]);
    }
}

pub(crate) async fn f29_a_copy_keeps_a_rope_that_was_to_go(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    subject.upload(tenant, "/a", &[&large(1)]).await;
    subject.upload(tenant, "/b", &[&large(2)]).await;
    delete(subject, tenant, "/a").await;
    delete(subject, tenant, "/b").await;
    // One comes back before its version goes, the other is too late.
    metadata.copy_file(&restore(tenant, "/a", 1)).await.unwrap().unwrap();
    metadata.remove(Kind::Deleted, &AT_ONCE, 100).await.unwrap();
    assert!(metadata.copy_file(&restore(tenant, "/b", 1)).await.unwrap().is_none());
    // And this one finds the rope by its content, between the two steps.
    subject.upload(tenant, "/c", &[&large(2)]).await;
    assert_eq!(purge(subject, &AT_ONCE).await, 0);
    assert_eq!(subject.read(tenant, "/a", None).await.unwrap(), large(1));
    assert_eq!(subject.read(tenant, "/c", None).await.unwrap(), large(2));
}

pub(crate) async fn f33_a_reader_of_what_is_purged_gets_an_error_never_other_bytes(subject: &Subject) {
    let (tenant, store) = (subject.tenant().await, subject.store());
    subject.upload(tenant, "/a", &[&large(1)]).await;
    let (_, pieces) = store.metadata.open_file(tenant, &path("/a"), None).await.unwrap().unwrap();
    delete(subject, tenant, "/a").await;
    assert_eq!(purge(subject, &AT_ONCE).await, 1);
    subject.upload(tenant, "/b", &[&large(2)]).await;
    let Kept::At(place) = &pieces[0].kept else { panic!("large") };
    let chunk = KeptChunk { tenant, hash: pieces[0].chunk, length: pieces[0].length, place: place.clone() };
    assert!(store.chunks.read(&chunk).await.is_err());
}

pub(crate) async fn p6_the_walk_finds_what_no_list_names(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    // A lease that no step followed, of an upload that was finished: its pending row is nobody's.
    let upload = subject.begin(tenant, "/a").await;
    subject.append(tenant, upload, 0, &[b"bytes"]).await;
    metadata.lease_chunks(upload, &[(hash(b"never came"), 10)]).await.unwrap();
    metadata.commit_upload(upload, 5, &subject.file(tenant, "/a", b"bytes")).await.unwrap();
    walk_chunks(subject).await;
    let condemning = metadata.condemn(FROM, MINUTE, 100).await.unwrap();
    assert_eq!((condemning.chunks.len(), condemning.dropped), (0, 1));
    assert_eq!(subject.read(tenant, "/a", None).await.unwrap(), b"bytes");
}

pub(crate) async fn sessions_and_links_rest_for_a_day_and_go(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    let holder = subject.principal(None, None).await;
    let session = subject.add_session(holder, tenant, "name").await;
    let link = |id: u8, expires: bool, uses: Option<u64>| KeptLink {
        id: LinkId::new([id; 16]),
        kind: LinkKind::Read,
        tenant,
        path: path("/a"),
        version: None,
        principal: None,
        session: None,
        created_at: subject.now(),
        expires_at: expires.then(|| subject.now().after(HOUR)),
        max_uses: uses,
        uses: 0,
        revoked_at: None,
        name: String::new(),
        networks: cacheroach_model::Networks::default(),
        max_size: None,
        content_types: Vec::new(),
    };
    let links = [link(1, true, None), link(2, false, Some(1)), link(3, false, Some(1)), link(4, false, None)];
    for link in &links {
        metadata.add_link(link).await.unwrap();
    }
    for used in &links[1..3] {
        assert!(metadata.use_link(used.id).await.unwrap());
    }
    metadata.return_use(links[2].id).await.unwrap();
    metadata.revoke_link(&links[3]).await.unwrap();
    subject.advance(REST);
    remove(subject, &AT_ONCE).await;
    assert!(metadata.find_session(session).await.unwrap().is_some());
    assert!(metadata.find_link(links[0].id).await.unwrap().is_some());
    subject.advance(HOUR);
    remove(subject, &AT_ONCE).await;
    assert!(metadata.find_session(session).await.unwrap().is_none());
    let mut stay = Vec::new();
    for link in &links {
        stay.push(metadata.find_link(link.id).await.unwrap().is_some());
    }
    assert_eq!(stay, [false, false, true, true], "one has a use left, one was taken back for ever");
}

pub(crate) async fn a_tenant_goes_in_batches_and_is_never_seen_again(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    subject.upload(tenant, "/large", &[&large(1), &large(2)]).await;
    let open = subject.begin(tenant, "/open").await;
    subject.append(tenant, open, 0, &[&large(3)]).await;
    for number in 0..1500u16 {
        let content = number.to_be_bytes();
        let file = subject.file(tenant, &format!("/many/{number}"), &content);
        metadata.put_file(&file, Bytes::copy_from_slice(&content)).await.unwrap();
    }
    metadata.delete_tenant(tenant, 1).await.unwrap();
    assert_eq!(subject.read(tenant, "/large", None).await, None);
    assert_eq!(subject.read(tenant, "/many/1499", None).await, None);
    assert!(numbers(subject, tenant, "/many/1499").await.is_empty());
    assert!(metadata.find_upload(open).await.unwrap().is_none());
    assert!(metadata.copy_file(&restore(tenant, "/many/1499", 1)).await.unwrap().is_none());
    // Made again before the purge came by, it is empty.
    let again = Tenant { id: tenant, label: "again".into(), ..Tenant::default() };
    metadata.ensure_tenant(&again).await.unwrap();
    assert_eq!(subject.read(tenant, "/many/1499", None).await, None);
    assert_eq!(subject.put(tenant, "/many/1", b"new").await, Version(1));
    assert_eq!(purge(subject, &AT_ONCE).await, 3, "the bytes of the first life");
    assert_eq!(subject.read(tenant, "/many/1", None).await.unwrap(), b"new");
    metadata.delete_tenant(tenant, 1).await.unwrap();
    assert_eq!(purge(subject, &AT_ONCE).await, 0);
}
