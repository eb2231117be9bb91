//! Cases for chunk tiers.

use bytes::Bytes;
use cacheroach_model::{CHUNK_SIZE, TenantId};
use cacheroach_store::Error;
use cacheroach_store::chunks::{Chunks, FoundChunk, KeptChunk, NewChunk};

use crate::subject::{Subject, hash};

pub(crate) async fn what_is_written_is_read_until_it_is_erased(subject: &Subject) {
    let (tenant, chunks) = (subject.tenant().await, subject.store().chunks);
    let contents: Vec<Bytes> =
        [1, 4095, 4096, 4097, CHUNK_SIZE].iter().map(|size| Bytes::from(vec![3; *size])).collect();
    let new = |bytes: &Bytes| NewChunk {
        tenant,
        hash: hash(bytes),
        generation: 1,
        bytes: bytes.clone(),
        checksum: None,
    };
    let places = chunks.write(contents.iter().map(new).collect()).await.unwrap();
    let kept: Vec<_> = contents
        .iter()
        .zip(places)
        .map(|(bytes, place)| KeptChunk {
            tenant,
            hash: hash(bytes),
            length: u32::try_from(bytes.len()).unwrap(),
            place,
        })
        .collect();
    for (bytes, chunk) in contents.iter().zip(&kept) {
        assert_eq!(chunks.read(chunk).await.unwrap(), bytes);
    }
    chunks.erase(&kept[1]).await.unwrap();
    chunks.erase(&kept[1]).await.unwrap();
    assert!(matches!(chunks.read(&kept[1]).await, Err(Error::Damaged(_))));
    assert_eq!(chunks.read(&kept[2]).await.unwrap(), contents[2]);
}

pub(crate) async fn a_place_of_another_tenant_is_damage(subject: &Subject) {
    let (one, two, chunks) = (subject.tenant().await, subject.tenant().await, subject.store().chunks);
    let bytes = Bytes::from_static(b"one's");
    let new =
        NewChunk { tenant: one, hash: hash(&bytes), generation: 1, bytes: bytes.clone(), checksum: None };
    let place = chunks.write(vec![new]).await.unwrap().remove(0);
    let stolen = KeptChunk { tenant: two, hash: hash(b"other"), length: 5, place };
    assert!(matches!(chunks.read(&stolen).await, Err(Error::Damaged(_))));
}

async fn put(
    chunks: &dyn Chunks,
    tenant: TenantId,
    generation: i64,
    contents: &[Vec<u8>],
) -> Vec<FoundChunk> {
    let new = |bytes: &Vec<u8>| NewChunk {
        tenant,
        hash: hash(bytes),
        generation,
        bytes: bytes.clone().into(),
        checksum: None,
    };
    let places = chunks.write(contents.iter().map(new).collect()).await.unwrap();
    let found = |(bytes, place): (&Vec<u8>, _)| FoundChunk {
        chunk: KeptChunk { tenant, hash: hash(bytes), length: u32::try_from(bytes.len()).unwrap(), place },
        generation,
        written_at: None,
    };
    contents.iter().zip(places).map(found).collect()
}

async fn list(chunks: &dyn Chunks, limit: usize) -> Vec<FoundChunk> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = chunks.list(after.as_ref(), limit).await.unwrap();
        all.extend(page.chunks);
        match page.next {
            None => return all,
            next => after = next,
        }
    }
}

async fn walk(chunks: &dyn Chunks, limit: usize) -> Vec<FoundChunk> {
    sorted(list(chunks, limit).await)
}

/// Without when they were written, and what they take.
fn sorted(mut found: Vec<FoundChunk>) -> Vec<FoundChunk> {
    for found in &mut found {
        (found.written_at, found.chunk.length) = (None, 0);
    }
    found.sort_by(|a, b| {
        (a.chunk.tenant, a.chunk.hash, &a.chunk.place.0).cmp(&(
            b.chunk.tenant,
            b.chunk.hash,
            &b.chunk.place.0,
        ))
    });
    found
}

pub(crate) async fn what_is_there_is_listed_a_page_at_a_time(subject: &Subject) {
    let (one, two, chunks) = (subject.tenant().await, subject.tenant().await, subject.store().chunks);
    assert!(walk(&*chunks, 10).await.is_empty());
    let contents: Vec<_> = (0..23_u8).map(|byte| vec![byte; 10_000 * usize::from(byte) + 1]).collect();
    let mut all = put(&*chunks, one, 1, &contents).await;
    all.extend(put(&*chunks, two, 2, &contents[..5]).await);
    all.extend(put(&*chunks, one, 3, &contents[..5]).await);
    let all = sorted(all);
    for limit in [1, 7, 33, 1000] {
        assert_eq!(walk(&*chunks, limit).await, all, "{limit} at a time");
    }
    if subject.keeps_chunks() {
        drop(chunks);
        subject.open().await;
        assert_eq!(walk(&*subject.store().chunks, 9).await, all);
    }
    // What is listed is all it takes to erase.
    let chunks = subject.store().chunks;
    for found in list(&*chunks, 1000).await {
        chunks.erase(&found.chunk).await.unwrap();
    }
    assert!(walk(&*chunks, 10).await.is_empty());
}

pub(crate) async fn two_writers_of_one_life_erase_each_their_own(subject: &Subject) {
    let (tenant, chunks) = (subject.tenant().await, subject.store().chunks);
    let content = vec![vec![1; 70_000]];
    let winner = put(&*chunks, tenant, 4, &content).await.remove(0);
    let loser = put(&*chunks, tenant, 4, &content).await.remove(0);
    assert_ne!(winner.chunk.place, loser.chunk.place);
    chunks.erase(&loser.chunk).await.unwrap();
    assert_eq!(chunks.read(&winner.chunk).await.unwrap(), content[0]);
    assert_eq!(walk(&*chunks, 10).await, sorted(vec![winner]));
}

pub(crate) async fn a_walk_is_not_fooled_by_what_is_gone(subject: &Subject) {
    let (tenant, chunks) = (subject.tenant().await, subject.store().chunks);
    let contents: Vec<_> = (0..12_u8).map(|byte| vec![byte; 50_000]).collect();
    let (mut kept, mut gone) = (Vec::new(), Vec::new());
    for (at, found) in put(&*chunks, tenant, 1, &contents).await.into_iter().enumerate() {
        if at % 4 == 2 { kept.push(found) } else { gone.push(found) }
    }
    for found in &gone {
        chunks.erase(&found.chunk).await.unwrap();
    }
    for limit in [1, 2, 100] {
        assert_eq!(walk(&*chunks, limit).await, sorted(kept.clone()));
    }
}
