//! Changes of one thing or a page.

use std::time::Duration;

use bytes::Bytes;
use cacheroach_model::{
    Capabilities, Expected, Hash, LinkId, Location, Path, Pattern, PrincipalId, Scope, Session, SessionId,
    UploadId,
};
use cacheroach_store::chunks::{KeptChunk, NewChunk, Place};
use cacheroach_store::files::{Copy, CopyBelow, Kept};
use cacheroach_store::sessions::Origin;
use cacheroach_store::uploads::{NewPiece, NewUpload, Step};
use sha2::{Digest as _, Sha256};

use super::{BATCH, Hot};
use crate::filled::{CHUNK, FRESH, LENGTH, LINK, MANY, NOW, PRINCIPAL, ROPE, UPLOAD, hash, id, path};

pub(super) async fn add_and_end_a_session(hot: &Hot) {
    let index = hot.middle(hot.files / 10);
    let scope = Location { tenant: hot.tenant(), pattern: Pattern::everything(), version: None };
    let (first, second) =
        (SessionId::new(id(FRESH, hot.round * 2)), SessionId::new(id(FRESH, hot.round * 2 + 1)));
    let session = Session {
        id: Some(first),
        principal: Some(PrincipalId::new(id(PRINCIPAL, index))),
        capabilities: Capabilities::READ,
        scope: Some(Scope::Location(scope)),
        expires_at: Some(NOW.after(Duration::from_secs(3600))),
        name: "fresh".into(),
        note: String::new(),
    };
    hot.store.metadata.add_session(&session, Origin::default()).await.unwrap();
    assert!(hot.store.metadata.renew_session(first, second).await.unwrap().is_some());
    hot.store.metadata.end_session(second).await.unwrap();
}

pub(super) async fn use_a_link(hot: &Hot) {
    let link = LinkId::new(id(LINK, hot.middle(hot.files / 2) + 1));
    assert!(hot.store.metadata.use_link(link).await.unwrap());
    hot.store.metadata.return_use(link).await.unwrap();
}

pub(super) async fn put_a_file(hot: &Hot) {
    let at = Path::parse_file(&format!("/d0000001/new{}", hot.round)).unwrap();
    let file = hot.file(at, hash(FRESH, hot.round));
    hot.store.metadata.put_file(&file, Bytes::from_static(b"content")).await.unwrap();
}

pub(super) async fn put_a_file_again(hot: &Hot) {
    let at = path(hot.files / 2 - 1, hot.files);
    let file = hot.file(at, hash(FRESH, 1000 + hot.round));
    hot.store.metadata.put_file(&file, Bytes::from_static(b"content")).await.unwrap();
}

pub(super) async fn put_over_many_versions(hot: &Hot) {
    let file = hot.file(Path::parse_file(MANY).unwrap(), hash(FRESH, 2000 + hot.round));
    hot.store.metadata.put_file(&file, Bytes::from_static(b"content")).await.unwrap();
}

pub(super) async fn put_a_known_content(hot: &Hot) {
    let at = Path::parse_file(&format!("/d0000001/known{}", hot.round)).unwrap();
    let file = hot.file(at, hash(ROPE, hot.middle(hot.files) + 1));
    hot.store.metadata.put_file(&file, Bytes::from_static(b"12345678")).await.unwrap();
}

pub(super) async fn keep_a_chunk(hot: &Hot) {
    let (tenant, bytes) = (hot.tenant(), Bytes::from_static(b"content"));
    let hash = Hash::new(Sha256::digest(&bytes).into());
    let new = NewChunk { tenant, hash, generation: 1, bytes: bytes.clone(), checksum: None };
    let place = hot.store.chunks.write(vec![new]).await.unwrap().remove(0);
    let kept = KeptChunk { tenant, hash, length: 7, place };
    assert_eq!(hot.store.chunks.read(&kept).await.unwrap(), bytes);
    hot.store.chunks.erase(&kept).await.unwrap();
}

async fn begin(hot: &Hot, number: u64) -> UploadId {
    let at = Path::parse_file("/uploaded").unwrap();
    let upload = UploadId::new(id(FRESH, number));
    let new = NewUpload { id: upload, tenant: hot.tenant(), path: at, timeout: Duration::from_secs(3600) };
    hot.store.metadata.begin_upload(&new).await.unwrap();
    assert!(hot.store.metadata.find_upload(upload).await.unwrap().is_some());
    upload
}

pub(super) async fn begin_an_upload(hot: &Hot) {
    let upload = begin(hot, 2000 + hot.round).await;
    hot.store.metadata.abandon_upload(upload).await.unwrap();
    assert!(hot.store.metadata.find_upload(UploadId::new(id(UPLOAD, 2))).await.unwrap().is_some());
}

pub(super) async fn upload_chunks(hot: &Hot) {
    let upload = begin(hot, 3000 + hot.round).await;
    let length = u32::try_from(LENGTH).unwrap();
    let new = |index: u64| (hash(FRESH, 10_000 + hot.round * 100 + index), length);
    let known = |index: u64| (hash(CHUNK, hot.middle(hot.files) + index), length);
    let chunks: Vec<_> = (0..8).map(new).chain((0..8).map(known)).collect();
    let leases = hot.store.metadata.lease_chunks(upload, &chunks).await.unwrap();
    let place = |(chunk, _): &(Hash, u32)| Kept::At(Place(chunk.as_bytes().to_vec()));
    let pieces = chunks.iter().zip(leases).map(|(chunk, lease)| NewPiece {
        chunk: chunk.0,
        length,
        wrote: lease.needs_bytes.then(|| (lease.generation, place(chunk))),
    });
    let step = Step { pieces: pieces.collect(), ..Step::default() };
    hot.store.metadata.advance_upload(upload, 0, &step).await.unwrap();
    let file = hot.file(Path::parse_file("/uploaded").unwrap(), hash(FRESH, 4000 + hot.round));
    hot.store.metadata.commit_upload(upload, 16 * LENGTH, &file).await.unwrap();
}

pub(super) async fn repeat_a_file(hot: &Hot) {
    let index = hot.middle(hot.files);
    let file = hot.file(path(index, hot.files), hash(ROPE, index));
    assert!(hot.store.metadata.repeat_file(&file).await.unwrap().is_some());
}

pub(super) async fn copy_a_file(hot: &Hot) {
    let copy = Copy {
        tenant: hot.tenant(),
        from: path(hot.middle(hot.files), hot.files),
        version: None,
        to: Path::parse_file(&format!("/d0000001/copy{}", hot.round)).unwrap(),
        expected: Expected::Anything,
        described: None,
        moved: false,
        unless_same: true,
    };
    assert!(hot.store.metadata.copy_file(&copy).await.unwrap().is_some());
}

pub(super) async fn copy_a_page(hot: &Hot) {
    let below = CopyBelow {
        tenant: hot.tenant(),
        from: Path::parse("/w").unwrap(),
        to: Path::parse(&format!("/copies{}", hot.round)).unwrap(),
        after: Some(path(hot.files / 4 * 3, hot.files)),
        limit: BATCH,
        moved: false,
        unless_same: true,
    };
    assert_eq!(hot.store.metadata.copy_files(&below).await.unwrap().files, BATCH);
}

pub(super) async fn delete_a_file(hot: &Hot) {
    let at = path(hot.files / 2 + hot.middle(hot.files / 4), hot.files);
    assert!(hot.store.metadata.delete_file(hot.tenant(), &at, Expected::Anything).await.unwrap());
}

pub(super) async fn delete_a_page(hot: &Hot) {
    let dir = Path::parse("/w").unwrap();
    assert_eq!(hot.store.metadata.delete_files(hot.tenant(), &dir, BATCH).await.unwrap(), BATCH);
}
