//! Cases for tenants.

use std::time::Duration;

use cacheroach_model::{Host, Region, Retention, Tenant, TenantId, Vhost};
use cacheroach_store::Error;

use crate::subject::Subject;

pub(crate) async fn a_tenant_is_created_once_and_changed_from_its_version(subject: &Subject) {
    let metadata = subject.store().metadata;
    let first =
        Tenant { id: TenantId::new(subject.id()), label: "one".into(), version: 0, ..Default::default() };
    let stored = metadata.ensure_tenant(&first).await.unwrap();
    assert_eq!((stored.label.as_str(), stored.version), ("one", 1));
    assert!(matches!(metadata.ensure_tenant(&first).await, Err(Error::Skew)));
    let renamed = metadata.ensure_tenant(&Tenant { label: "two".into(), ..stored.clone() }).await.unwrap();
    assert_eq!((renamed.label.as_str(), renamed.version), ("two", 2));
    assert!(matches!(metadata.ensure_tenant(&stored).await, Err(Error::Skew)));
    let kept = metadata.ensure_tenant(&Tenant { label: String::new(), ..renamed }).await.unwrap();
    assert_eq!((kept.label.as_str(), kept.version), ("two", 3));
    assert_eq!(metadata.find_tenant(first.id).await.unwrap(), Some(kept));
    let unknown =
        Tenant { id: TenantId::new(subject.id()), label: "x".into(), version: 4, ..Default::default() };
    assert!(matches!(metadata.ensure_tenant(&unknown).await, Err(Error::Skew)));
}

pub(crate) async fn a_tenant_takes_all_that_is_its_own_with_it(subject: &Subject) {
    let metadata = subject.store().metadata;
    let (gone, other) = (subject.tenant().await, subject.tenant().await);
    for tenant in [gone, other] {
        subject.put(tenant, "/a", b"a").await;
        let host = Host::parse(&tenant.to_string()).unwrap();
        metadata.ensure_vhost(&Vhost::new(host, tenant)).await.unwrap();
    }
    assert!(matches!(metadata.delete_tenant(gone, 2).await, Err(Error::Skew)));
    metadata.delete_tenant(gone, 1).await.unwrap();
    assert!(matches!(metadata.delete_tenant(gone, 1).await, Err(Error::Skew)));
    assert_eq!(subject.read(gone, "/a", None).await, None);
    assert_eq!(subject.read(other, "/a", None).await.unwrap(), b"a");
    assert_eq!(metadata.find_tenant(gone).await.unwrap(), None);
    let hosts = metadata.list_vhosts(None, 10).await.unwrap();
    assert_eq!(hosts.iter().map(|vhost| vhost.tenant).collect::<Vec<_>>(), [other]);
    // Made again, it is another one: nothing of before comes back.
    let again = Tenant { id: gone, label: "again".into(), version: 0, ..Default::default() };
    metadata.ensure_tenant(&again).await.unwrap();
    assert_eq!(subject.read(gone, "/a", None).await, None);
    assert_eq!(subject.put(gone, "/a", b"a").await.0, 1);
    assert_eq!(subject.read(gone, "/a", None).await.unwrap(), b"a");
}

pub(crate) async fn tenants_are_listed_by_id_a_page_at_a_time(subject: &Subject) {
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(subject.tenant().await);
    }
    let mut listed = Vec::new();
    loop {
        let page = subject.store().metadata.list_tenants(listed.last().copied(), 2).await.unwrap();
        if page.is_empty() {
            break;
        }
        listed.extend(page.into_iter().map(|tenant| tenant.id));
    }
    assert_eq!(listed, made);
}

pub(crate) async fn a84_text_is_data_never_sql(subject: &Subject) {
    let metadata = subject.store().metadata;
    for label in ["'; DROP TABLE tenants; --", "\\", "$1", "?1", "\"", "%_"] {
        let tenant =
            Tenant { id: TenantId::new(subject.id()), label: label.into(), version: 0, ..Default::default() };
        metadata.ensure_tenant(&tenant).await.unwrap();
        assert_eq!(metadata.find_tenant(tenant.id).await.unwrap().unwrap().label, label);
        let at = format!("/{label}");
        subject.put(tenant.id, &at, b"x").await;
        assert_eq!(subject.read(tenant.id, &at, None).await.unwrap(), b"x");
    }
}

pub(crate) async fn a_tenant_keeps_its_region_and_its_retention(subject: &Subject) {
    let metadata = subject.store().metadata;
    let id = TenantId::new(subject.id());
    let home = Tenant { id, label: "x".into(), ..Default::default() };
    let stored = metadata.ensure_tenant(&home).await.unwrap();
    assert_eq!(stored.region, Some(Region::parse("local").unwrap()), "that of the server");
    assert_eq!(stored.retention, Some(Retention::default()));
    let (region, retention) = (
        Some(Region::parse("eu-1").unwrap()),
        Some(Retention { versions: Some(3), age: Some(Duration::from_secs(60)) }),
    );
    let moved = Tenant { region, retention, ..stored };
    let moved = metadata.ensure_tenant(&moved).await.unwrap();
    assert_eq!((&moved.region, moved.retention), (&Some(Region::parse("eu-1").unwrap()), retention));
    let kept =
        metadata.ensure_tenant(&Tenant { region: None, retention: None, ..moved.clone() }).await.unwrap();
    assert_eq!((&kept.region, kept.retention), (&moved.region, retention), "what is not said stays");
    let reset = Tenant {
        retention: Some(Retention { versions: Some(0), age: None }),
        version: kept.version,
        ..moved
    };
    let reset = metadata.ensure_tenant(&reset).await.unwrap();
    assert_eq!(reset.retention, Some(Retention { versions: Some(0), age: None }));
    assert_eq!(metadata.find_tenant(id).await.unwrap().unwrap(), reset);
    assert_eq!(metadata.list_tenants(None, 10).await.unwrap(), [reset]);
}
