//! Cases for what others are told.

use std::time::Duration;

use cacheroach_model::{Host, PrincipalId, SessionId, Tenant, TenantId, Vhost};
use cacheroach_store::changes::{Change, Listener};

use crate::subject::Subject;

/// Waits until this was told, whatever else was.
async fn hear(listener: &mut Listener, change: Change) {
    let heard = async { while listener.next().await != change {} };
    assert!(tokio::time::timeout(Duration::from_secs(30), heard).await.is_ok(), "{change:?} was not told");
}

pub(crate) async fn p10_what_takes_authority_away_is_told_before_it_is_answered(subject: &Subject) {
    let metadata = subject.store().metadata;
    let mut listener = metadata.changes().listen();
    let tenant = subject.tenant().await;
    let principal = subject.principal(None, None).await;
    let (old, new, id) =
        (SessionId::new(subject.id()), SessionId::new(subject.id()), PrincipalId::new(subject.id()));
    for change in [Change::Tenant(tenant), Change::Principal(principal)] {
        hear(&mut listener, change).await;
    }
    let count = || metadata.changes().authority();
    let before = count();
    metadata.end_session(old).await.unwrap();
    assert!(count() > before, "at once");
    hear(&mut listener, Change::Session(old)).await;
    let before = count();
    metadata.renew_session(new, SessionId::new(subject.id())).await.unwrap();
    assert!(count() > before);
    hear(&mut listener, Change::Session(new)).await;
    let before = count();
    assert!(metadata.delete_principal(id, 1).await.is_err());
    metadata.delete_principal(principal, 1).await.unwrap();
    assert!(count() > before);
    hear(&mut listener, Change::Principal(principal)).await;
    let before = count();
    metadata.delete_tenant(tenant, 1).await.unwrap();
    assert!(count() > before);
    hear(&mut listener, Change::Tenant(tenant)).await;
}

pub(crate) async fn p10_what_changes_hosts_is_told_before_it_is_answered(subject: &Subject) {
    let metadata = subject.store().metadata;
    let tenant = subject.tenant().await;
    let vhost = Vhost::new(Host::parse("a.example").unwrap(), tenant);
    let count = || metadata.changes().vhosts();
    let mut before = count();
    let mut must_grow = || {
        assert!(count() > before);
        before = count();
    };
    metadata.ensure_vhost(&vhost).await.unwrap();
    must_grow();
    metadata.delete_vhost(&vhost).await.unwrap();
    must_grow();
    metadata.ensure_vhost(&vhost).await.unwrap();
    must_grow();
    metadata.delete_tenant(tenant, 1).await.unwrap();
    must_grow();
}

pub(crate) async fn p10_what_failed_is_not_told(subject: &Subject) {
    let metadata = subject.store().metadata;
    // One that never was: of what was changed before, a database may still be telling.
    let tenant = TenantId::new(subject.id());
    let mut listener = metadata.changes().listen();
    let skewed = Tenant { id: tenant, label: "x".into(), version: 7, ..Default::default() };
    metadata.ensure_tenant(&skewed).await.unwrap_err();
    let last = subject.tenant().await;
    loop {
        match listener.next().await {
            Change::Tenant(told) if told == last => break,
            told => assert_ne!(told, Change::Tenant(tenant)),
        }
    }
}
