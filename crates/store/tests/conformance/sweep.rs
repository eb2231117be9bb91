//! Cases for bytes that no row names.

use std::time::Duration;

use cacheroach_model::{Hash, TenantId};
use cacheroach_store::chunks::{Cursor, FoundChunk, KeptChunk, Place};
use cacheroach_store::files::Kept;
use cacheroach_store::purge::{Kind, Limits, list_left};
use cacheroach_store::uploads::{NewPiece, Step, Stepped};

use crate::subject::{HOUR, Subject, path};

const MINUTE: Duration = Duration::from_secs(60);

/// Larger than what sits beside its row.
fn large(seed: u8) -> Vec<u8> {
    vec![seed; 70_000]
}

/// Where the tier has bytes that no row names, a few at a time.
async fn left(subject: &Subject) -> Vec<FoundChunk> {
    let (mut left, mut after) = (Vec::new(), None);
    loop {
        let page = list_left(&subject.store(), after.as_ref(), 2).await.unwrap();
        left.extend(page.chunks);
        match page.next {
            None => return left,
            next => after = next,
        }
    }
}

fn places(found: &[FoundChunk]) -> Vec<Place> {
    found.iter().map(|found| found.chunk.place.clone()).collect()
}

fn written(piece: &NewPiece) -> Place {
    let Some((_, Kept::At(place))) = &piece.wrote else { panic!("large, and new: {piece:?}") };
    place.clone()
}

/// What is over goes; what was condemned is erased if that is wanted, and forgotten.
async fn collect(subject: &Subject, erase: bool) {
    let (metadata, chunks) = (subject.store().metadata, subject.store().chunks);
    let limits = Limits { deleted_for: Some(Duration::ZERO), ..Limits::default() };
    for kind in Kind::ALL {
        while metadata.remove(kind, &limits, 100).await.unwrap().more {}
    }
    let condemned = metadata.condemn(Hash::EMPTY, MINUTE, 100).await.unwrap().chunks;
    if !erase {
        return;
    }
    for one in &condemned {
        let place = one.place.clone();
        let kept = KeptChunk { tenant: one.tenant, hash: one.chunk, length: one.length, place };
        chunks.erase(&kept).await.unwrap();
    }
    metadata.drop_chunks(&condemned).await.unwrap();
}

async fn erase_left(subject: &Subject) {
    for found in left(subject).await {
        subject.store().chunks.erase(&found.chunk).await.unwrap();
    }
    assert!(left(subject).await.is_empty());
}

async fn delete(subject: &Subject, tenant: TenantId, at: &str) {
    let anything = cacheroach_model::Expected::Anything;
    assert!(subject.store().metadata.delete_file(tenant, &path(at), anything).await.unwrap());
}

pub(crate) async fn f01_bytes_whose_writer_died_are_left_once_its_lease_is_over(subject: &Subject) {
    let (tenant, other) = (subject.tenant().await, subject.tenant().await);
    subject.upload(tenant, "/stays", &[&large(1), &large(2)]).await;
    subject.upload(other, "/stays", &[&large(3)]).await;
    // It writes, and is not heard of again.
    let upload = subject.begin(tenant, "/never").await;
    let died = subject.keep(tenant, upload, &[&large(3)]).await;
    assert!(left(subject).await.is_empty(), "its lease says that it may come back");
    subject.advance(2 * HOUR);
    assert!(left(subject).await.is_empty(), "nobody has looked at the lease");
    collect(subject, true).await;
    assert_eq!(places(&left(subject).await), [written(&died[0])]);
    erase_left(subject).await;
    assert_eq!(subject.read(tenant, "/stays", None).await.unwrap(), [large(1), large(2)].concat());
    assert_eq!(subject.read(other, "/stays", None).await.unwrap(), large(3));
}

pub(crate) async fn f01_the_copy_of_a_writer_that_came_second_and_died_is_left(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    let (first, second) = (subject.begin(tenant, "/a").await, subject.begin(tenant, "/b").await);
    let winner = subject.keep(tenant, first, &[&large(1)]).await;
    let loser = subject.keep(tenant, second, &[&large(1)]).await;
    assert!(left(subject).await.is_empty(), "either may be the one");
    let places_of = (written(&winner[0]), written(&loser[0]));
    let step = |pieces| Step { pieces, ..Step::default() };
    metadata.advance_upload(first, 0, &step(winner)).await.unwrap();
    assert_eq!(metadata.advance_upload(second, 0, &step(loser)).await.unwrap(), Stepped::Done(vec![0]));
    assert_eq!(places(&left(subject).await), [places_of.1]);
    erase_left(subject).await;
    for (upload, at) in [(first, "/a"), (second, "/b")] {
        metadata.commit_upload(upload, 70_000, &subject.file(tenant, at, &large(1))).await.unwrap();
        assert_eq!(subject.read(tenant, at, None).await.unwrap(), large(1));
    }
}

pub(crate) async fn p6_what_is_condemned_is_its_collectors_to_erase(subject: &Subject) {
    let tenant = subject.tenant().await;
    subject.upload(tenant, "/a", &[&large(1)]).await;
    delete(subject, tenant, "/a").await;
    collect(subject, false).await;
    // The next life of the same chunk, and what is left of one before.
    let upload = subject.begin(tenant, "/b").await;
    let died = subject.keep(tenant, upload, &[&large(1)]).await;
    subject.upload(tenant, "/c", &[&large(1)]).await;
    assert_eq!(places(&left(subject).await), [written(&died[0])]);
    erase_left(subject).await;
    assert_eq!(subject.read(tenant, "/c", None).await.unwrap(), large(1));
}

pub(crate) async fn what_has_no_time_is_never_old(subject: &Subject) {
    let tenant = subject.tenant().await;
    subject.upload(tenant, "/a", &[&large(1)]).await;
    let page = subject.store().chunks.list(None, 10).await.unwrap();
    let Some(found) = page.chunks.first() else { return };
    let later = found.written_at.unwrap_or_default().after(HOUR);
    assert_eq!(found.is_as_old_as(HOUR, later), found.written_at.is_some());
    assert!(!found.is_as_old_as(2 * HOUR, later));
    let timeless = FoundChunk { written_at: None, ..found.clone() };
    assert!(!timeless.is_as_old_as(Duration::ZERO, later));
}

pub(crate) async fn f31_all_servers_share_one_sweep_which_outlives_them(subject: &Subject) {
    let begin = async || subject.store().metadata.begin_sweep_step(MINUTE).await.unwrap();
    let end = async |next: Option<&Cursor>, pause| {
        subject.store().metadata.end_sweep_step(next, pause).await.unwrap();
    };
    assert_eq!(begin().await, Some(None));
    assert_eq!(begin().await, None, "somebody is at it");
    subject.advance(MINUTE);
    assert_eq!(begin().await, Some(None), "somebody has died");
    let next = Cursor(vec![1, 2, 3]);
    end(Some(&next), HOUR).await;
    assert_eq!(begin().await, None, "it rests");
    subject.open().await;
    subject.advance(HOUR);
    assert_eq!(begin().await, Some(Some(next)));
    end(None, Duration::ZERO).await;
    assert_eq!(begin().await, Some(None));
}
