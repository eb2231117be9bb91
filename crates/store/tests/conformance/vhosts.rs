//! Cases for virtual hosts.

use cacheroach_model::{Host, TenantId, Vhost};
use cacheroach_store::Error;

use crate::subject::Subject;

pub(crate) async fn a_host_is_mapped_mapped_anew_and_let_go(subject: &Subject) {
    let metadata = subject.store().metadata;
    let (one, two) = (subject.tenant().await, subject.tenant().await);
    let host = Host::parse("a.example").unwrap();
    let map = |tenant| Vhost { host: host.clone(), tenant };
    metadata.ensure_vhost(&map(one)).await.unwrap();
    metadata.ensure_vhost(&map(two)).await.unwrap();
    assert_eq!(metadata.find_vhost(&host).await.unwrap(), Some(map(two)));
    assert_eq!(metadata.find_vhost(&Host::any()).await.unwrap(), None);
    metadata.delete_vhost(&map(one)).await.unwrap();
    assert_eq!(metadata.list_vhosts(None, 9).await.unwrap(), [map(two)], "of another tenant: not this one");
    metadata.delete_vhost(&map(two)).await.unwrap();
    metadata.delete_vhost(&map(two)).await.unwrap();
    assert_eq!(metadata.list_vhosts(None, 9).await.unwrap(), []);
}

pub(crate) async fn a_host_needs_its_tenant(subject: &Subject) {
    let nowhere = Vhost { host: Host::any(), tenant: TenantId::new(subject.id()) };
    assert!(matches!(subject.store().metadata.ensure_vhost(&nowhere).await, Err(Error::Missing("tenant"))));
}
