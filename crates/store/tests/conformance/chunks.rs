//! Cases for chunk tiers.

use bytes::Bytes;
use cacheroach_model::CHUNK_SIZE;
use cacheroach_store::Error;
use cacheroach_store::chunks::{KeptChunk, NewChunk};

use crate::subject::{Subject, hash};

pub(crate) async fn what_is_written_is_read_until_it_is_erased(subject: &Subject) {
    let (tenant, chunks) = (subject.tenant().await, subject.store().chunks);
    let contents: Vec<Bytes> =
        [1, 4095, 4096, 4097, CHUNK_SIZE].iter().map(|size| Bytes::from(vec![3; *size])).collect();
    let new = |bytes: &Bytes| NewChunk { tenant, hash: hash(bytes), generation: 1, bytes: bytes.clone() };
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
    let new = NewChunk { tenant: one, hash: hash(&bytes), generation: 1, bytes: bytes.clone() };
    let place = chunks.write(vec![new]).await.unwrap().remove(0);
    let stolen = KeptChunk { tenant: two, hash: hash(b"other"), length: 5, place };
    assert!(matches!(chunks.read(&stolen).await, Err(Error::Damaged(_))));
}
