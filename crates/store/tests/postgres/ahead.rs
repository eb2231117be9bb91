//! The first chunk of a file that comes with it: it takes no round trip of its own, and is as true as any.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cacheroach_model::{CHUNK_SIZE, Clock, Expected, Metadata, Path, Tenant, TenantId, Timestamp, UploadId};
use cacheroach_store::chunks::packed::Compression;
use cacheroach_store::chunks::{KeptChunk, NewChunk};
use cacheroach_store::files::{Kept, NewFile, Piece};
use cacheroach_store::uploads::{NewPiece, NewUpload, Step};
use cacheroach_store::{CacheSettings, Error, Location, Result, Settings, Store, Tier};
use cacheroach_testing::{Database, noise};

use crate::counter::{CALLS, Waits, counted};
use crate::hash;

const ONE: TenantId = TenantId::new([1; 16]);
const OTHER: TenantId = TenantId::new([2; 16]);

/// A file of one chunk.
const SIZE: usize = 300 << 10;

struct Unused;

impl Clock for Unused {
    fn now(&self) -> Timestamp {
        unreachable!("the time is the database's")
    }
}

/// A store with chunks in the database, by way of a counter, and a memory of those that were read.
async fn store(remembered_bytes: u64, compression: Compression) -> (Database, Store, Waits) {
    let (database, url, waits) = counted().await;
    // One connection, which knows all statements soon.
    let location = Location::parse(&format!("{url}&pool_max_conns=1")).unwrap();
    let mut settings = Settings::new(location, Tier::Db);
    settings.compression = compression;
    settings.cache = CacheSettings { memory_bytes: remembered_bytes, ..CacheSettings::NONE };
    let store = cacheroach_store::open(&settings, Arc::new(Unused)).await.unwrap();
    for id in [ONE, OTHER] {
        let tenant = Tenant { id, label: "a tenant".into(), ..Default::default() };
        store.metadata.ensure_tenant(&tenant).await.unwrap();
    }
    (database, store, waits)
}

fn content(number: u32, size: usize) -> Bytes {
    noise(size, number).into()
}

fn path(number: u32) -> Path {
    Path::parse_file(&format!("/{number}")).unwrap()
}

/// Makes a file, by an upload.
async fn put(store: &Store, tenant: TenantId, number: u32, content: &Bytes) {
    let mut id = *tenant.as_bytes();
    id[..4].copy_from_slice(&number.to_be_bytes());
    let (id, path) = (UploadId::new(id), path(number));
    let new = NewUpload { id, tenant, path: path.clone(), timeout: Duration::from_secs(3600) };
    store.metadata.begin_upload(&new).await.unwrap();
    let mut pieces = Vec::new();
    for bytes in content.chunks(CHUNK_SIZE).map(Bytes::copy_from_slice) {
        let (chunk, length) = (hash(&bytes), u32::try_from(bytes.len()).unwrap());
        let lease = store.metadata.lease_chunks(id, &[(chunk, length)]).await.unwrap().remove(0);
        let new = NewChunk { tenant, hash: chunk, generation: lease.generation, bytes, checksum: None };
        let place = store.chunks.write(vec![new]).await.unwrap().remove(0);
        pieces.push(NewPiece { chunk, length, wrote: Some((lease.generation, Kept::At(place))) });
    }
    store.metadata.advance_upload(id, 0, &Step { pieces, ..Step::default() }).await.unwrap();
    let file = NewFile {
        tenant,
        path,
        hash: hash(content),
        content_type: String::new(),
        metadata: Metadata::default(),
        expected: Expected::Anything,
    };
    store.metadata.commit_upload(id, content.len() as u64, &file).await.unwrap();
}

async fn open(store: &Store, tenant: TenantId, number: u32) -> Piece {
    let found = store.metadata.open_file(tenant, &path(number), None).await.unwrap().unwrap();
    found.1.into_iter().next().unwrap()
}

fn kept(tenant: TenantId, piece: &Piece) -> KeptChunk {
    let Kept::At(place) = &piece.kept else { panic!("it is in the file's row") };
    KeptChunk { tenant, hash: piece.chunk, length: piece.length, place: place.clone() }
}

/// Opens a file and reads its first chunk.
async fn read(store: &Store, tenant: TenantId, number: u32) -> Result<Bytes> {
    let piece = open(store, tenant, number).await;
    store.chunks.read(&kept(tenant, &piece)).await
}

pub(crate) async fn a_file_and_its_first_chunk_take_one() {
    for (size, compression) in
        [(SIZE, Compression::None), (2 * CHUNK_SIZE + 1, Compression::None), (SIZE, Compression::Zstd(1))]
    {
        let (_database, store, waits) = store(1 << 30, compression).await;
        for number in 0..=CALLS {
            // Half of it shrinks, where it is compressed.
            let content = [content(number, size / 2), vec![7; size - size / 2].into()].concat();
            put(&store, ONE, number, &content.into()).await;
        }
        let get = async |number: u32| {
            let first = read(&store, ONE, number).await.unwrap();
            assert_eq!(first.len(), size.min(CHUNK_SIZE));
        };
        get(CALLS).await;
        assert_eq!(waits.during(get).await, CALLS, "{size} bytes, {compression}");
    }
}

pub(crate) async fn what_is_remembered_does_not_come_again() {
    let (_database, store, waits) = store(1 << 30, Compression::None).await;
    put(&store, ONE, 0, &content(0, SIZE)).await;
    let mut came = Vec::new();
    for _ in 0..3 {
        let before = waits.bytes();
        read(&store, ONE, 0).await.unwrap();
        came.push(waits.bytes() - before);
    }
    assert!(came[0] > SIZE && came[1] < SIZE / 4 && came[2] < SIZE / 4, "{came:?}");
    // To look at a file is no reason to bring any of it.
    put(&store, ONE, 1, &content(1, SIZE)).await;
    let before = waits.bytes();
    store.metadata.find_file(ONE, &path(1), None).await.unwrap().unwrap();
    assert!(waits.bytes() - before < SIZE / 4);
}

pub(crate) async fn where_nothing_is_remembered_it_comes_each_time() {
    let (_database, store, waits) = store(0, Compression::None).await;
    put(&store, ONE, 0, &content(0, SIZE)).await;
    let get = async |_| drop(read(&store, ONE, 0).await.unwrap());
    get(0).await;
    assert_eq!(waits.during(get).await, CALLS);
}

pub(crate) async fn p4_what_was_erased_is_not_found_among_what_came_ahead() {
    let (_database, store, _waits) = store(0, Compression::None).await;
    put(&store, ONE, 0, &content(0, SIZE)).await;
    let chunk = kept(ONE, &open(&store, ONE, 0).await);
    store.chunks.erase(&chunk).await.unwrap();
    assert!(matches!(store.chunks.read(&chunk).await, Err(Error::Damaged(_))));
}

pub(crate) async fn p3_equal_bytes_of_another_tenant_are_not_found_among_what_came_ahead() {
    let (database, store, _waits) = store(0, Compression::None).await;
    let content = content(0, SIZE);
    put(&store, ONE, 0, &content).await;
    put(&store, OTHER, 0, &content).await;
    let others = kept(OTHER, &open(&store, OTHER, 0).await);
    // The other one's are gone; all that is left of them in the process is what comes for this one.
    let gone = "DELETE FROM chunk_data WHERE tenant = $1";
    assert_eq!(database.connect().await.execute(gone, &[&&OTHER.as_bytes()[..]]).await.unwrap(), 1);
    store.chunks.read(&others).await.unwrap();
    let own = kept(ONE, &open(&store, ONE, 0).await);
    let theirs = KeptChunk { tenant: OTHER, ..own.clone() };
    for chunk in [others, theirs] {
        assert!(matches!(store.chunks.read(&chunk).await, Err(Error::Damaged(_))));
    }
    assert_eq!(store.chunks.read(&own).await.unwrap(), content);
}

pub(crate) async fn p7_damaged_bytes_that_came_ahead_are_found_out() {
    let (database, store, _waits) = store(0, Compression::None).await;
    put(&store, ONE, 0, &content(0, SIZE)).await;
    let connection = database.connect().await;
    let write = async |bytes: Bytes| {
        let damage = "UPDATE chunk_data SET data = $1";
        assert_eq!(connection.execute(damage, &[&&bytes[..]]).await.unwrap(), 1);
    };
    for damaged in [content(1, SIZE), content(0, SIZE - 1), Bytes::new()] {
        write(damaged).await;
        assert!(matches!(read(&store, ONE, 0).await, Err(Error::Damaged(_))));
    }
    write(content(0, SIZE)).await;
    assert_eq!(read(&store, ONE, 0).await.unwrap(), content(0, SIZE));
}
