//! Cases for sessions.

use std::time::Duration;

use cacheroach_model::{Location, Pattern, PrincipalId, Scope, Session, SessionId, TenantId, Version};
use cacheroach_store::Error;
use cacheroach_store::sessions::{Origin, Standing};

use crate::subject::{HOUR, Subject};

pub(crate) async fn a_session_is_read_as_it_was_added(subject: &Subject) {
    let metadata = subject.store().metadata;
    let (tenant, principal) = (subject.tenant().await, subject.principal(None, None).await);
    let pinned = Location { tenant, pattern: Pattern::parse("/a/b").unwrap(), version: Some(Version(3)) };
    for scope in [Scope::Super, Scope::Principal(PrincipalId::new([9; 16])), Scope::Location(pinned)] {
        let session = Session { scope: Some(scope), ..subject.session(principal, tenant, "") };
        metadata.add_session(&session, Origin::default()).await.unwrap();
        let found = metadata.find_session(session.id.unwrap()).await.unwrap().unwrap();
        assert_eq!((found.session, found.standing), (session, Standing::Live));
    }
    assert!(metadata.find_session(SessionId::new(subject.id())).await.unwrap().is_none());
}

pub(crate) async fn a_session_ends_and_stays_known(subject: &Subject) {
    let metadata = subject.store().metadata;
    let (tenant, principal) = (subject.tenant().await, subject.principal(None, None).await);
    let standing = async |id| metadata.find_session(id).await.unwrap().unwrap().standing;
    let (ended, expired) =
        (subject.add_session(principal, tenant, "").await, subject.add_session(principal, tenant, "").await);
    metadata.end_session(ended).await.unwrap();
    metadata.end_session(ended).await.unwrap();
    metadata.end_session(SessionId::new(subject.id())).await.unwrap();
    assert_eq!((standing(ended).await, standing(expired).await), (Standing::Ended, Standing::Live));
    subject.advance(HOUR - Duration::from_micros(1));
    assert_eq!(standing(expired).await, Standing::Live);
    subject.advance(Duration::from_micros(1));
    assert_eq!(standing(expired).await, Standing::Ended);
    assert!(metadata.list_grants(principal).await.unwrap().is_empty());
}

pub(crate) async fn a_name_is_free_again_when_its_session_is_over(subject: &Subject) {
    let metadata = subject.store().metadata;
    let (tenant, principal, other) =
        (subject.tenant().await, subject.principal(None, None).await, subject.principal(None, None).await);
    let first = subject.add_session(principal, tenant, "n").await;
    let second = subject.session(principal, tenant, "n");
    let taken = metadata.add_session(&second, Origin::default()).await;
    assert!(matches!(taken, Err(Error::Taken("name"))));
    assert!(metadata.find_session(second.id.unwrap()).await.unwrap().is_none(), "nothing is left behind");
    subject.add_session(other, tenant, "n").await;
    metadata.end_session(first).await.unwrap();
    metadata.add_session(&second, Origin::default()).await.unwrap();
    let found = metadata.find_session_by_name(principal, "n").await.unwrap().unwrap();
    assert_eq!(found.session.id, second.id);
    assert!(metadata.find_session_by_name(principal, "m").await.unwrap().is_none());
}

pub(crate) async fn grants_are_ones_own_and_those_of_ones_domain(subject: &Subject) {
    let tenant = subject.tenant().await;
    let member = subject.principal(Some("a@b@corp.example"), None).await;
    let stranger = subject.principal(Some("a@sub.corp.example"), None).await;
    let nameless = subject.principal(None, None).await;
    let domain = subject.principal(None, Some("corp.example")).await;
    let own = subject.add_session(member, tenant, "").await;
    let shared = subject.add_session(domain, tenant, "").await;
    let grants = async |id| {
        let found = subject.store().metadata.list_grants(id).await.unwrap();
        let mut ids: Vec<_> = found.iter().filter_map(|session| session.id).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(grants(member).await, [own, shared]);
    assert_eq!(grants(domain).await, [shared]);
    assert_eq!(grants(stranger).await, []);
    assert_eq!(grants(nameless).await, []);
}

pub(crate) async fn a10_a_session_is_renewed_once_with_all_it_had(subject: &Subject) {
    let metadata = subject.store().metadata;
    let (tenant, principal) = (subject.tenant().await, subject.principal(None, None).await);
    let old = Session { note: "n".into(), ..subject.session(principal, tenant, "name") };
    let origin = Origin { parent: None, not_after: Some(subject.now().after(HOUR * 3 / 2)) };
    metadata.add_session(&old, origin).await.unwrap();
    subject.advance(HOUR / 4);
    let (first, second) = (SessionId::new(subject.id()), SessionId::new(subject.id()));
    let (one, two) = tokio::join!(
        metadata.renew_session(old.id.unwrap(), first),
        metadata.renew_session(old.id.unwrap(), second)
    );
    let winners: Vec<Session> = [one.unwrap(), two.unwrap()].into_iter().flatten().collect();
    let [new] = winners.as_slice() else { panic!("{winners:?}") };
    // As long as the first was given: an hour from now.
    let expected = Session {
        id: new.id,
        expires_at: Some(subject.now().after(HOUR)),
        note: String::new(),
        ..old.clone()
    };
    assert_eq!(*new, expected);
    assert_eq!(metadata.find_session(old.id.unwrap()).await.unwrap().unwrap().standing, Standing::Ended);
    subject.advance(HOUR * 3 / 4);
    // But not beyond what it was issued from.
    let last = metadata.renew_session(new.id.unwrap(), old_id(subject)).await.unwrap().unwrap();
    assert_eq!(last.expires_at, origin.not_after);
    assert_eq!(metadata.renew_session(SessionId::new(subject.id()), old_id(subject)).await.unwrap(), None);
}

fn old_id(subject: &Subject) -> SessionId {
    SessionId::new(subject.id())
}

pub(crate) async fn a09_a_session_on_a_deleted_tenant_knows_it(subject: &Subject) {
    let metadata = subject.store().metadata;
    let (tenant, principal) = (subject.tenant().await, subject.principal(None, None).await);
    let session = subject.add_session(principal, tenant, "").await;
    metadata.delete_tenant(tenant, 1).await.unwrap();
    let again =
        cacheroach_model::Tenant { id: tenant, label: "again".into(), version: 0, ..Default::default() };
    metadata.ensure_tenant(&again).await.unwrap();
    let found = metadata.find_session(session).await.unwrap().unwrap();
    assert_eq!(found.standing, Standing::TenantGone, "a new tenant of that id does not revive it");
    assert!(metadata.list_grants(principal).await.unwrap().is_empty());
    assert_eq!(metadata.renew_session(session, SessionId::new(subject.id())).await.unwrap(), None);
}

pub(crate) async fn a_session_needs_its_principal_and_its_tenant(subject: &Subject) {
    let metadata = subject.store().metadata;
    let (tenant, principal) = (subject.tenant().await, subject.principal(None, None).await);
    let nobody = subject.session(PrincipalId::new(subject.id()), tenant, "");
    let refused = metadata.add_session(&nobody, Origin::default()).await;
    assert!(matches!(refused, Err(Error::Missing("principal"))));
    let nowhere = subject.session(principal, TenantId::new(subject.id()), "");
    assert!(matches!(metadata.add_session(&nowhere, Origin::default()).await, Err(Error::Missing("tenant"))));
}

/// While sessions are renewed, their principal or their tenant is deleted: none of them is left alive.
pub(crate) async fn a09_no_session_outlives_its_principal_or_its_tenant(subject: &Subject) {
    let metadata = subject.store().metadata;
    for round in 0..60_u64 {
        let (tenant, principal) = (subject.tenant().await, subject.principal(None, None).await);
        let mut olds = Vec::new();
        for _ in 0..6 {
            olds.push(subject.add_session(principal, tenant, "").await);
        }
        let news: Vec<SessionId> = olds.iter().map(|_| SessionId::new(subject.id())).collect();
        let renewals = olds.iter().zip(&news).map(|(old, new)| metadata.renew_session(*old, *new));
        let delete = async {
            tokio::time::sleep(Duration::from_micros(200 * (round % 15))).await;
            if round % 2 == 0 {
                metadata.delete_principal(principal, 1).await.unwrap();
            } else {
                metadata.delete_tenant(tenant, 1).await.unwrap();
            }
        };
        let (renewed, ()) = futures::join!(futures::future::join_all(renewals), delete);
        renewed.into_iter().for_each(|renewed| drop(renewed.unwrap()));
        for id in olds.into_iter().chain(news) {
            let found = metadata.find_session(id).await.unwrap();
            let lives = found.is_some_and(|found| found.standing == Standing::Live);
            assert!(!lives, "round {round}");
        }
    }
}
