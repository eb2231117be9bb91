//! Cases for principals.

use cacheroach_model::{Principal, PrincipalId};
use cacheroach_store::Error;

use crate::subject::Subject;

fn principal(id: [u8; 16]) -> Principal {
    Principal {
        id: PrincipalId::new(id),
        label: "one".into(),
        version: 0,
        claims: Some(r#"{"name":"one"}"#.into()),
        email: Some("one@example.com".into()),
        email_domain: Some("one.example".into()),
    }
}

pub(crate) async fn a_principal_is_created_once_and_changed_from_its_version(subject: &Subject) {
    let metadata = subject.store().metadata;
    let first = principal(subject.id());
    let stored = metadata.ensure_principal(&first).await.unwrap();
    assert_eq!(stored, Principal { version: 1, ..first.clone() });
    assert!(matches!(metadata.ensure_principal(&first).await, Err(Error::Skew)));

    let silent =
        Principal { label: "x".into(), claims: None, email: None, email_domain: None, ..stored.clone() };
    let kept = metadata.ensure_principal(&silent).await.unwrap();
    assert_eq!(kept, Principal { version: 2, ..stored.clone() });
    assert!(matches!(metadata.ensure_principal(&silent).await, Err(Error::Skew)));

    let changed = Principal {
        label: "two".into(),
        claims: Some("{}".into()),
        email: None,
        email_domain: Some("never.changes".into()),
        ..kept
    };
    let changed = metadata.ensure_principal(&changed).await.unwrap();
    assert_eq!((changed.label.as_str(), changed.version, changed.email.as_deref()), ("two", 3, None));
    assert_eq!(changed.email_domain, stored.email_domain);
    assert_eq!(metadata.find_principal(first.id).await.unwrap(), Some(changed));
}

pub(crate) async fn what_is_unique_is_named_when_it_is_taken(subject: &Subject) {
    let metadata = subject.store().metadata;
    metadata.ensure_principal(&principal(subject.id())).await.unwrap();
    let same_address = Principal { email_domain: None, ..principal(subject.id()) };
    assert!(matches!(metadata.ensure_principal(&same_address).await, Err(Error::Taken("email"))));
    let same_domain = Principal { email: None, ..principal(subject.id()) };
    assert!(matches!(metadata.ensure_principal(&same_domain).await, Err(Error::Taken("email_domain"))));
    let neither = Principal { email: None, email_domain: None, ..principal(subject.id()) };
    metadata.ensure_principal(&neither).await.unwrap();
    metadata.ensure_principal(&Principal { id: PrincipalId::new(subject.id()), ..neither }).await.unwrap();
}

pub(crate) async fn a_principal_takes_its_sessions_with_it(subject: &Subject) {
    let metadata = subject.store().metadata;
    let (tenant, gone, other) =
        (subject.tenant().await, subject.principal(None, None).await, subject.principal(None, None).await);
    let (lost, kept) =
        (subject.add_session(gone, tenant, "").await, subject.add_session(other, tenant, "").await);
    assert!(matches!(metadata.delete_principal(gone, 7).await, Err(Error::Skew)));
    metadata.delete_principal(gone, 1).await.unwrap();
    assert!(matches!(metadata.delete_principal(gone, 1).await, Err(Error::Skew)));
    assert!(metadata.find_session(lost).await.unwrap().is_none());
    assert!(metadata.find_session(kept).await.unwrap().is_some());
}

pub(crate) async fn principals_are_found_and_listed(subject: &Subject) {
    let metadata = subject.store().metadata;
    let first = metadata.ensure_principal(&principal(subject.id())).await.unwrap();
    let second = subject.principal(None, None).await;
    assert_eq!(metadata.find_principal_by_email("one@example.com").await.unwrap(), Some(first.clone()));
    assert_eq!(metadata.find_principal_by_email("ONE@example.com").await.unwrap(), None);
    assert_eq!(metadata.find_principal_by_domain("one.example").await.unwrap(), Some(first.clone()));
    assert_eq!(metadata.find_principal_by_domain("example").await.unwrap(), None);
    let page = metadata.list_principals(None, 1).await.unwrap();
    assert_eq!(page, std::slice::from_ref(&first));
    let rest = metadata.list_principals(Some(first.id), 9).await.unwrap();
    assert_eq!(rest.iter().map(|principal| principal.id).collect::<Vec<_>>(), [second]);
}
