//! A tenant moves while its files are read.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use cacheroach_model::{CHUNK_SIZE, Expected, Metadata, Path, Region, Tenant, TenantId, UploadId};
use cacheroach_store::chunks::by_region::region_of;
use cacheroach_store::files::NewFile;
use cacheroach_store::uploads::{NewUpload, Step as UploadStep};
use cacheroach_store::{Location, Settings, Tier};
use futures::TryStreamExt as _;

use super::*;
use crate::content::{Content, Found, Hashed, keep};
use crate::jobs::{PurgeSettings, purge_all};
use crate::seams::{Fresh, Still};

const HOUR: Duration = Duration::from_secs(3600);

fn region(name: &str) -> Region {
    Region::parse(name).unwrap()
}

/// Several chunks, more than are read ahead.
async fn upload(store: &Store, tenant: TenantId, path: &Path) -> Bytes {
    let chunks: Vec<Bytes> = (1..=8).map(|seed| Bytes::from(vec![seed; CHUNK_SIZE])).collect();
    let content = Bytes::from(chunks.concat());
    let id = UploadId::new([1; 16]);
    let new = NewUpload { id, tenant, path: path.clone(), timeout: HOUR };
    store.metadata.begin_upload(&new).await.unwrap();
    let named = chunks.into_iter().map(|chunk| Hashed::new(hash(&chunk), chunk)).collect();
    let pieces = keep(store, tenant, id, named).await.unwrap();
    let step = UploadStep { pieces, ..UploadStep::default() };
    store.metadata.advance_upload(id, 0, &step).await.unwrap();
    let file = NewFile {
        tenant,
        path: path.clone(),
        hash: hash(&content),
        content_type: String::new(),
        metadata: Metadata::default(),
        expected: Expected::Anything,
    };
    store.metadata.commit_upload(id, content.len() as u64, &file).await.unwrap();
    content
}

#[tokio::test]
async fn f33_who_reads_while_bytes_are_moved_and_purged_gets_all_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let tiers = Tier::parse(&format!("local=memory:,us=file://{}/us", dir.path().display())).unwrap();
    let settings = Settings::new(Location::Sqlite(dir.path().to_owned()), tiers);
    let store = cacheroach_store::open(&settings, Arc::new(Still)).await.unwrap();
    let (tenant, path) = (TenantId::SCRATCHPAD, Path::parse_file("/a").unwrap());
    let made = Tenant { id: tenant, label: "a".into(), version: 0, ..Tenant::default() };
    store.metadata.ensure_tenant(&made).await.unwrap();
    let content = upload(&store, tenant, &path).await;

    let (file, pieces) = store.metadata.open_file(tenant, &path, None).await.unwrap().unwrap();
    let size = file.size;
    let found = Arc::new(Found::new(file, pieces));
    let mut reading = Content::new(store.clone(), tenant, found, None).read(0..size);
    let mut got = BytesMut::from(&reading.try_next().await.unwrap().unwrap()[..]);

    let moved = Tenant { id: tenant, version: 1, region: Some(region("us")), ..Tenant::default() };
    store.metadata.ensure_tenant(&moved).await.unwrap();
    let regions = store.chunks.by_region().unwrap();
    let mover = Mover { store: &store, regions, lease: HOUR };
    mover.round(&mut Noting::Done).await.unwrap();
    let gone = purge_all(&store, &Fresh, &PurgeSettings::default()).await.unwrap();
    assert_eq!((gone.chunks, gone.failed), (8, 0), "{gone:?}");
    for placed in store.metadata.list_places(tenant, None, 100).await.unwrap() {
        assert_eq!(region_of(&placed.place.unwrap()), Some(region("us")));
    }
    assert_eq!(store.metadata.begin_moving(HOUR).await.unwrap(), None, "it rests before it looks again");

    while let Some(part) = reading.try_next().await.unwrap() {
        got.extend_from_slice(&part);
    }
    assert!(got == content);
}
