//! Cases for where bytes are.

use cacheroach_store::files::INLINE_SIZE;

use crate::subject::{Subject, hash};

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
        let after = found.last().map(|placed: &cacheroach_store::regions::Placed| placed.chunk);
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
