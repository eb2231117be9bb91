//! Cases for virtual hosts.

use cacheroach_model::{Host, IndexName, Origin, Path, TenantId, Vhost, VhostSettings};
use cacheroach_store::Error;

use crate::subject::Subject;

pub(crate) async fn a_host_is_mapped_mapped_anew_and_let_go(subject: &Subject) {
    let metadata = subject.store().metadata;
    let (one, two) = (subject.tenant().await, subject.tenant().await);
    let host = Host::parse("a.example").unwrap();
    let map = |tenant| Vhost::new(host.clone(), tenant);
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

pub(crate) async fn a_host_keeps_its_settings_and_a_mapping_anew_resets_them(subject: &Subject) {
    let metadata = subject.store().metadata;
    let plain = Vhost::new(Host::parse("a.example").unwrap(), subject.tenant().await);
    let origins = ["https://app.example", "http://localhost:3000", "*"];
    let settings = VhostSettings {
        login: true,
        cors: origins.iter().map(|origin| Origin::parse(origin).unwrap()).collect(),
        spa: true,
        index: IndexName::parse("start '; --.htm").unwrap(),
        error_page: Some(Path::parse_file("/errors/404 \u{e9}.html").unwrap()),
    };
    let set = Vhost { settings, ..plain.clone() };
    metadata.ensure_vhost(&set).await.unwrap();
    assert_eq!(metadata.find_vhost(&set.host).await.unwrap(), Some(set.clone()));
    assert_eq!(metadata.list_vhosts(None, 9).await.unwrap(), std::slice::from_ref(&set));
    metadata.ensure_vhost(&plain).await.unwrap();
    assert_eq!(metadata.find_vhost(&plain.host).await.unwrap(), Some(plain.clone()));
    metadata.ensure_vhost(&set).await.unwrap();
    metadata.delete_vhost(&plain).await.unwrap();
    assert_eq!(metadata.find_vhost(&plain.host).await.unwrap(), None, "whatever is set");
}

pub(crate) async fn a_host_needs_its_tenant(subject: &Subject) {
    let nowhere = Vhost::new(Host::any(), TenantId::new(subject.id()));
    assert!(matches!(subject.store().metadata.ensure_vhost(&nowhere).await, Err(Error::Missing("tenant"))));
}
