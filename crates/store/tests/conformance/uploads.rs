//! Cases for uploads.

use std::sync::Arc;

use cacheroach_model::{Hash, UploadId, Version};
use cacheroach_store::Error;
use cacheroach_store::chunks::KeptChunk;
use cacheroach_store::files::Kept;
use cacheroach_store::uploads::{Step, Stepped};

use crate::subject::{HOUR, Subject, hash, path};

/// Larger than what sits beside its row.
fn large(seed: u8) -> Vec<u8> {
    vec![seed; 70_000]
}

pub(crate) async fn an_upload_becomes_one_version(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    let (one, two) = (large(1), large(2));
    assert_eq!(subject.upload(tenant, "/a", &[&one, &two, b"small"]).await, Version(1));
    assert_eq!(subject.read(tenant, "/a", None).await.unwrap(), [&one[..], &two, b"small"].concat());
    // The same content again is another version of the same rope.
    let rope = async || metadata.find_file(tenant, &path("/a"), None).await.unwrap().unwrap().rope;
    let before = rope().await;
    assert_eq!(subject.upload(tenant, "/a", &[&one, &two, b"small"]).await, Version(2));
    assert_eq!(rope().await, before);
    assert_eq!(subject.read(tenant, "/a", Some(Version(1))).await.unwrap().len(), 140_005);
}

pub(crate) async fn f20_committing_again_answers_the_version_made_before(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    let upload = subject.begin(tenant, "/a").await;
    subject.append(tenant, upload, 0, &[b"first"]).await;
    let file = subject.file(tenant, "/a", b"first");
    assert_eq!(metadata.commit_upload(upload, 5, &file).await.unwrap(), Version(1));
    subject.put(tenant, "/a", b"newer").await;
    assert_eq!(metadata.commit_upload(upload, 5, &file).await.unwrap(), Version(1));
    subject.advance(HOUR * 2);
    assert_eq!(metadata.commit_upload(upload, 5, &file).await.unwrap(), Version(1), "past the deadline too");
    assert_eq!(subject.read(tenant, "/a", None).await.unwrap(), b"newer", "the newer one stays current");
    let step = Step { pieces: Vec::new(), ..Step::default() };
    let after = metadata.advance_upload(upload, 5, &step).await;
    assert!(matches!(after, Err(Error::LeaseLost)), "c12: nothing is added after the commit");
    metadata.abandon_upload(upload).await.unwrap();
    assert_eq!(subject.read(tenant, "/a", Some(Version(1))).await.unwrap(), b"first");
}

pub(crate) async fn p2_nobody_sees_half_an_upload(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    subject.put(tenant, "/a", b"before").await;
    let upload = subject.begin(tenant, "/a").await;
    subject.append(tenant, upload, 0, &[&large(1)]).await;
    assert_eq!(subject.read(tenant, "/a", None).await.unwrap(), b"before");
    let file = subject.file(tenant, "/a", &large(1));
    let early = metadata.commit_upload(upload, 140_000, &file).await;
    assert!(matches!(early, Err(Error::LeaseLost)), "not before all of it came");
    assert_eq!(subject.read(tenant, "/a", None).await.unwrap(), b"before");
    metadata.commit_upload(upload, 70_000, &file).await.unwrap();
    assert_eq!(subject.read(tenant, "/a", None).await.unwrap(), large(1));
}

pub(crate) async fn f19_a_step_from_elsewhere_is_refused(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    let upload = subject.begin(tenant, "/a").await;
    assert_eq!(subject.append(tenant, upload, 1, &[b"gap"]).await, Stepped::Behind);
    assert_eq!(subject.append(tenant, upload, 0, &[b"first"]).await, Stepped::Done(Vec::new()));
    assert_eq!(subject.append(tenant, upload, 0, &[b"again"]).await, Stepped::Behind);
    let tail =
        Step { from_tail: 0, tail: "tail".into(), hash_state: vec![1], digest: vec![2], ..Step::default() };
    assert_eq!(metadata.advance_upload(upload, 5, &tail).await.unwrap(), Stepped::Done(Vec::new()));
    assert_eq!(metadata.advance_upload(upload, 9, &tail).await.unwrap(), Stepped::Behind, "another tail");
    let progress = metadata.find_upload(upload).await.unwrap().unwrap();
    assert_eq!((progress.upload.offset, progress.upload.transfers), (9, 2));
    assert_eq!(
        (&progress.tail[..], progress.hash_state, progress.last_digest),
        (&b"tail"[..], vec![1], vec![2])
    );
    assert_eq!((progress.last_from, progress.upload.path), (5, path("/a")));
}

pub(crate) async fn f18_two_steps_from_one_place_are_one(subject: &Subject) {
    let tenant = subject.tenant().await;
    let upload = subject.begin(tenant, "/a").await;
    let (one, two) = tokio::join!(
        subject.append(tenant, upload, 0, &[b"same"]),
        subject.append(tenant, upload, 0, &[b"same"])
    );
    assert!(matches!(
        (&one, &two),
        (Stepped::Done(_), Stepped::Behind) | (Stepped::Behind, Stepped::Done(_))
    ));
    let file = subject.file(tenant, "/a", b"same");
    subject.store().metadata.commit_upload(upload, 4, &file).await.unwrap();
    assert_eq!(subject.read(tenant, "/a", None).await.unwrap(), b"same");
}

pub(crate) async fn an_upload_past_its_deadline_is_over(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    let upload = subject.begin(tenant, "/a").await;
    subject.append(tenant, upload, 0, &[b"bytes"]).await;
    let file = subject.file(tenant, "/a", b"bytes");
    subject.advance(HOUR - std::time::Duration::from_secs(1));
    assert!(metadata.find_upload(upload).await.unwrap().is_some());
    let longer = Step { extend: Some(HOUR), ..Step::default() };
    metadata.advance_upload(upload, 5, &longer).await.unwrap();
    subject.advance(HOUR - std::time::Duration::from_secs(1));
    assert!(metadata.find_upload(upload).await.unwrap().is_some(), "a step may move it");
    subject.advance(HOUR);
    assert!(metadata.find_upload(upload).await.unwrap().is_none());
    let refused = metadata.lease_chunks(upload, &[(hash(b"x"), 1)]).await;
    assert!(matches!(refused, Err(Error::LeaseLost)));
    assert!(matches!(metadata.advance_upload(upload, 5, &longer).await, Err(Error::LeaseLost)));
    assert!(matches!(metadata.commit_upload(upload, 5, &file).await, Err(Error::LeaseLost)));
    assert_eq!(subject.read(tenant, "/a", None).await, None);
}

pub(crate) async fn a_commit_needs_every_lease_and_every_chunk(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    // A piece whose chunk never came to life: its bytes were leased, but the step said nothing of them.
    let upload = subject.begin(tenant, "/a").await;
    let mut pieces = subject.keep(tenant, upload, &[b"never written"]).await;
    pieces[0].wrote = None;
    metadata.advance_upload(upload, 0, &Step { pieces, ..Step::default() }).await.unwrap();
    let file = subject.file(tenant, "/a", b"never written");
    assert!(matches!(metadata.commit_upload(upload, 13, &file).await, Err(Error::LeaseLost)));
    // A piece that was never leased, though the tenant has its chunk.
    subject.put(tenant, "/b", b"there").await;
    let (upload, other) = (subject.begin(tenant, "/a").await, subject.begin(tenant, "/x").await);
    let pieces = subject.keep(tenant, other, &[b"there"]).await;
    metadata.advance_upload(upload, 0, &Step { pieces, ..Step::default() }).await.unwrap();
    let file = subject.file(tenant, "/a", b"there");
    assert!(matches!(metadata.commit_upload(upload, 5, &file).await, Err(Error::LeaseLost)));
    assert_eq!(subject.read(tenant, "/a", None).await, None);
}

pub(crate) async fn the_loser_of_two_writers_is_told_which_bytes_are_nobodys(subject: &Subject) {
    let (tenant, store) = (subject.tenant().await, subject.store());
    let (one, two) = (subject.begin(tenant, "/one").await, subject.begin(tenant, "/two").await);
    let (bytes, own) = (large(1), large(2));
    let first = subject.keep(tenant, one, &[&bytes]).await;
    let second = subject.keep(tenant, two, &[&own, &bytes]).await;
    let step = async |upload, pieces| {
        let step = Step { pieces, ..Step::default() };
        store.metadata.advance_upload(upload, 0, &step).await.unwrap()
    };
    assert_eq!(step(one, first).await, Stepped::Done(Vec::new()));
    assert_eq!(step(two, second.clone()).await, Stepped::Done(vec![1]));
    let Some((_, Kept::At(place))) = &second[1].wrote else { panic!("both were asked for the bytes") };
    let lost = KeptChunk { tenant, hash: second[1].chunk, length: second[1].length, place: place.clone() };
    store.chunks.erase(&lost).await.unwrap();
    let both = [&own[..], &bytes].concat();
    store.metadata.commit_upload(two, 140_000, &subject.file(tenant, "/two", &both)).await.unwrap();
    store.metadata.commit_upload(one, 70_000, &subject.file(tenant, "/one", &bytes)).await.unwrap();
    assert_eq!(subject.read(tenant, "/one", None).await.unwrap(), bytes);
    assert_eq!(subject.read(tenant, "/two", None).await.unwrap(), both);
}

pub(crate) async fn one_chunk_may_come_many_times(subject: &Subject) {
    let tenant = subject.tenant().await;
    let zeros = large(0);
    subject.upload(tenant, "/zeros", &[&zeros, &zeros, b"x", &zeros, b"x"]).await;
    let all = [&zeros[..], &zeros, b"x", &zeros, b"x"].concat();
    assert_eq!(subject.read(tenant, "/zeros", None).await.unwrap(), all);
    // Small contents join a chunk that an upload brought, and the other way round.
    subject.put(tenant, "/x", b"x").await;
    assert_eq!(subject.read(tenant, "/x", None).await.unwrap(), b"x");
}

pub(crate) async fn p7_a_chunk_is_looked_for_from_its_hash_on(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    let other = subject.tenant().await;
    subject.upload(other, "/a", &[&large(9), b"small of another"]).await;
    let contents = [large(1), large(2), b"small".to_vec()];
    let parts: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
    let first = Hash::new([0; 32]);
    assert!(metadata.find_chunk_from(tenant, first).await.unwrap().is_none(), "all are another tenant's");
    subject.upload(tenant, "/a", &parts).await;
    // One that is leased and whose bytes have not come.
    let pending = subject.begin(tenant, "/b").await;
    metadata.lease_chunks(pending, &[(hash(b"pending"), 7)]).await.unwrap();
    let mut hashes: Vec<Hash> = parts.iter().map(|part| hash(part)).collect();
    hashes.sort_unstable_by_key(|hash| *hash.as_bytes());
    let found = async |from| metadata.find_chunk_from(tenant, from).await.unwrap();
    assert_eq!(found(first).await.unwrap().chunk, hashes[0]);
    for (at, chunk) in hashes.iter().enumerate() {
        let live = found(*chunk).await.unwrap();
        let content = contents.iter().find(|content| hash(content) == *chunk).unwrap();
        assert_eq!((live.chunk, live.length as usize), (*chunk, content.len()));
        match live.kept {
            Kept::Here(bytes) => assert_eq!(&bytes[..], &content[..]),
            Kept::At(place) => {
                let kept = KeptChunk { tenant, hash: *chunk, length: live.length, place };
                assert_eq!(&subject.store().chunks.read(&kept).await.unwrap()[..], &content[..]);
            }
        }
        let mut behind = *chunk.as_bytes();
        behind[31] = behind[31].wrapping_add(1);
        assert_eq!(found(Hash::new(behind)).await.map(|live| live.chunk), hashes.get(at + 1).copied());
    }
}

pub(crate) async fn p7_chunks_of_another_tenant_are_not_there(subject: &Subject) {
    let (one, two, metadata) = (subject.tenant().await, subject.tenant().await, subject.store().metadata);
    subject.upload(one, "/a", &[&large(1)]).await;
    for (tenant, needed) in [(one, false), (two, true)] {
        let upload = subject.begin(tenant, "/b").await;
        let lease = metadata.lease_chunks(upload, &[(hash(&large(1)), 70_000)]).await.unwrap();
        assert_eq!(lease[0].needs_bytes, needed);
    }
}

pub(crate) async fn an_abandoned_upload_leaves_nothing(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    let upload = subject.begin(tenant, "/a").await;
    subject.append(tenant, upload, 0, &[&large(1)]).await;
    metadata.abandon_upload(upload).await.unwrap();
    metadata.abandon_upload(upload).await.unwrap();
    assert!(metadata.find_upload(upload).await.unwrap().is_none());
    let rope = cacheroach_model::RopeId::new(*upload.as_bytes());
    assert!(metadata.list_pieces(tenant, rope, 0..u64::MAX).await.unwrap().is_empty());
    let file = subject.file(tenant, "/a", &large(1));
    assert!(matches!(metadata.commit_upload(upload, 70_000, &file).await, Err(Error::LeaseLost)));
}

pub(crate) async fn what_an_upload_has_is_listed_while_it_goes_on(subject: &Subject) {
    let (tenant, other, metadata) =
        (subject.tenant().await, subject.tenant().await, subject.store().metadata);
    let upload = subject.begin(tenant, "/a").await;
    let rope = cacheroach_store::uploads::rope_of(upload);
    assert!(metadata.list_pieces(tenant, rope, 0..u64::MAX).await.unwrap().is_empty());
    subject.append(tenant, upload, 0, &[&large(1), &large(2)]).await;
    let found = metadata.list_pieces(tenant, rope, 70_000..u64::MAX).await.unwrap();
    assert_eq!(
        found.iter().map(|piece| (piece.at, piece.chunk)).collect::<Vec<_>>(),
        [(70_000, hash(&large(2)))]
    );
    assert_eq!(metadata.list_pieces(tenant, rope, 0..u64::MAX).await.unwrap().len(), 2);
    assert!(metadata.list_pieces(other, rope, 0..u64::MAX).await.unwrap().is_empty());
}

pub(crate) async fn a39_an_upload_into_a_deleted_tenant_is_over(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    let upload = subject.begin(tenant, "/a").await;
    subject.append(tenant, upload, 0, &[b"bytes"]).await;
    metadata.delete_tenant(tenant, 1).await.unwrap();
    let file = subject.file(tenant, "/a", b"bytes");
    assert!(matches!(metadata.commit_upload(upload, 5, &file).await, Err(Error::LeaseLost)));
    let refused = metadata.lease_chunks(upload, &[(hash(b"x"), 1)]).await;
    assert!(matches!(refused, Err(Error::LeaseLost)));
    assert!(metadata.find_upload(UploadId::new(subject.id())).await.unwrap().is_none());
}

pub(crate) async fn an_empty_upload_is_an_empty_file(subject: &Subject) {
    let tenant = subject.tenant().await;
    assert_eq!(subject.upload(tenant, "/a", &[]).await, Version(1));
    assert_eq!(subject.read(tenant, "/a", None).await.unwrap(), b"");
}

pub(crate) async fn c09_many_at_once_make_as_many_versions(subject: &Subject) {
    let tenant = subject.tenant().await;
    let store = Arc::new(subject.store());
    let files: Vec<_> =
        (0..40).map(|at: u8| (subject.file(tenant, "/a", &[at]), bytes::Bytes::from(vec![at]))).collect();
    let puts: Vec<_> = files
        .into_iter()
        .map(|(file, content)| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.metadata.put_file(&file, content).await.unwrap() })
        })
        .collect();
    let mut versions = Vec::new();
    for put in puts {
        versions.push(put.await.unwrap().0);
    }
    versions.sort_unstable();
    assert_eq!(versions, (1..=40).collect::<Vec<_>>());
}
