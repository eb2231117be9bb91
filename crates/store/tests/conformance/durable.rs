//! What survives a restart.

use std::collections::HashSet;

use cacheroach_model::Version;

use crate::subject::{Subject, hash};

pub(crate) async fn p1_what_was_answered_is_there_after_a_restart(subject: &Subject) {
    let tenant = subject.tenant().await;
    let large = vec![5; 500_000];
    subject.put(tenant, "/small", b"small").await;
    let principal = subject.principal(None, None).await;
    let session = subject.add_session(principal, tenant, "n").await;
    let half = subject.begin(tenant, "/half").await;
    if subject.keeps_chunks() {
        subject.upload(tenant, "/large", &[&large]).await;
        subject.append(tenant, half, 0, &[&large]).await;
    }
    subject.open().await;
    assert_eq!(subject.read(tenant, "/small", None).await.unwrap(), b"small");
    let metadata = subject.store().metadata;
    assert!(metadata.find_session(session).await.unwrap().is_some());
    assert_eq!(subject.read(tenant, "/half", None).await, None);
    if subject.keeps_chunks() {
        assert_eq!(subject.read(tenant, "/large", None).await.unwrap(), large);
        // An upload goes on where it was.
        subject.append(tenant, half, 500_000, &[b"rest"]).await;
        let file = subject.file(tenant, "/half", &[&large[..], b"rest"].concat());
        assert_eq!(metadata.commit_upload(half, 500_004, &file).await.unwrap(), Version(1));
        assert_eq!(subject.read(tenant, "/half", None).await.unwrap().len(), 500_004);
    }
}

pub(crate) async fn generations_are_never_used_again_after_a_restart(subject: &Subject) {
    let tenant = subject.tenant().await;
    let mut used = HashSet::new();
    for seed in 0..4_u8 {
        let upload = subject.begin(tenant, "/a").await;
        let lease = subject.store().metadata.lease_chunks(upload, &[(hash(&[seed]), 1)]).await.unwrap()[0];
        assert!(used.insert(lease.generation));
        subject.open().await;
    }
}

pub(crate) async fn a_store_answers_and_knows_when_it_was_made(subject: &Subject) {
    subject.store().metadata.check_health().await.unwrap();
    let made_at = subject.store().metadata.made_at().await.unwrap();
    subject.open().await;
    assert_eq!(subject.store().metadata.made_at().await.unwrap(), made_at);
}
