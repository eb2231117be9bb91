//! Cases for links.

use std::time::Duration;

use cacheroach_model::{LinkId, LinkKind, Networks, Path, PrincipalId, SessionId, TenantId, Version};
use cacheroach_store::Error;
use cacheroach_store::links::{KeptLink, LinkListing};

use crate::subject::{HOUR, Subject, path};

fn plain(subject: &Subject, tenant: TenantId, at: &str) -> KeptLink {
    KeptLink {
        id: LinkId::new(subject.id()),
        kind: LinkKind::Read,
        tenant,
        path: path(at),
        version: None,
        principal: None,
        session: None,
        created_at: subject.now(),
        expires_at: None,
        max_uses: None,
        uses: 0,
        revoked_at: None,
        name: String::new(),
        networks: Networks::default(),
        max_size: None,
        content_types: Vec::new(),
    }
}

fn counted(subject: &Subject, tenant: TenantId, max_uses: u64) -> KeptLink {
    KeptLink { max_uses: Some(max_uses), ..plain(subject, tenant, "/f") }
}

pub(crate) async fn a_link_is_read_as_it_was_added(subject: &Subject) {
    let metadata = subject.store().metadata;
    let tenant = subject.tenant().await;
    let drop = KeptLink {
        kind: LinkKind::Drop,
        path: Path::root(),
        principal: Some(PrincipalId::new(subject.id())),
        session: Some(SessionId::new(subject.id())),
        expires_at: Some(subject.now().after(HOUR)),
        max_uses: Some(u64::MAX / 4),
        name: "a 'name'".into(),
        networks: Networks::parse(&["10.0.0.0/8", "::1"]).unwrap(),
        max_size: Some(7),
        content_types: vec!["image/*".into(), "text/plain".into()],
        ..plain(subject, tenant, "/x")
    };
    let read = KeptLink { version: Some(Version(3)), ..plain(subject, tenant, "/a/b") };
    for link in [drop, read] {
        metadata.add_link(&link).await.unwrap();
        assert_eq!(metadata.find_link(link.id).await.unwrap(), Some(link.clone()));
        assert!(matches!(metadata.add_link(&link).await, Err(Error::Taken("link"))));
    }
    assert_eq!(metadata.find_link(LinkId::new(subject.id())).await.unwrap(), None);
    let nowhere = plain(subject, TenantId::new(subject.id()), "/f");
    assert!(matches!(metadata.add_link(&nowhere).await, Err(Error::Missing("tenant"))));
    assert!(matches!(metadata.revoke_link(&nowhere).await, Err(Error::Missing("tenant"))));
}

pub(crate) async fn a_link_is_used_at_most_as_often_as_it_may(subject: &Subject) {
    let metadata = subject.store().metadata;
    let tenant = subject.tenant().await;
    let link = counted(subject, tenant, 7);
    metadata.add_link(&link).await.unwrap();
    let mut at_once = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (metadata, id) = (subject.store().metadata, link.id);
        at_once.spawn(async move { metadata.use_link(id).await.unwrap() });
    }
    let granted = at_once.join_all().await.into_iter().filter(|used| *used).count();
    assert_eq!(granted, 7);
    assert_eq!(metadata.find_link(link.id).await.unwrap().unwrap().uses, 7);
    metadata.return_use(link.id).await.unwrap();
    assert!(metadata.use_link(link.id).await.unwrap());
    assert!(!metadata.use_link(link.id).await.unwrap());

    let fresh = counted(subject, tenant, 1);
    metadata.add_link(&fresh).await.unwrap();
    metadata.return_use(fresh.id).await.unwrap();
    assert_eq!(metadata.find_link(fresh.id).await.unwrap().unwrap().uses, 0, "none to give back");

    let short = KeptLink { expires_at: Some(subject.now().after(HOUR)), ..counted(subject, tenant, 9) };
    metadata.add_link(&short).await.unwrap();
    subject.advance(HOUR);
    assert!(!metadata.use_link(short.id).await.unwrap(), "it is over");
    assert!(!metadata.use_link(LinkId::new(subject.id())).await.unwrap(), "there is none");
    metadata.return_use(LinkId::new(subject.id())).await.unwrap();
}

pub(crate) async fn p10_a_link_that_was_taken_back_stays_so(subject: &Subject) {
    let metadata = subject.store().metadata;
    let tenant = subject.tenant().await;
    let (kept, unkept) = (counted(subject, tenant, 9), plain(subject, tenant, "/g"));
    metadata.add_link(&kept).await.unwrap();
    assert!(metadata.use_link(kept.id).await.unwrap());
    let then = subject.now();
    for link in [&kept, &unkept] {
        metadata.revoke_link(link).await.unwrap();
    }
    subject.advance(HOUR);
    for link in [&kept, &unkept] {
        metadata.revoke_link(link).await.unwrap();
        let found = metadata.find_link(link.id).await.unwrap().unwrap();
        assert_eq!(found.revoked_at, Some(then), "the first time counts");
        assert_eq!(found.path, link.path);
    }
    assert_eq!(metadata.find_link(kept.id).await.unwrap().unwrap().uses, 1);
    assert!(!metadata.use_link(kept.id).await.unwrap());
    assert_eq!(places(subject, &everything(tenant)).await, [""; 0]);
}

fn everything(tenant: TenantId) -> LinkListing {
    LinkListing { tenant, exactly: None, below: Some(Path::root()), principal: None, after: None, limit: 100 }
}

async fn places(subject: &Subject, listing: &LinkListing) -> Vec<String> {
    let found = subject.store().metadata.list_links(listing).await.unwrap();
    found.iter().map(KeptLink::place).collect()
}

pub(crate) async fn links_are_listed_by_place_a_page_at_a_time(subject: &Subject) {
    let metadata = subject.store().metadata;
    let (tenant, other) = (subject.tenant().await, subject.tenant().await);
    let me = PrincipalId::new(subject.id());
    metadata.add_link(&plain(subject, other, "/a/other")).await.unwrap();
    for (at, mine) in
        [("/a", true), ("/a!", false), ("/a/b", false), ("/a/b", true), ("/a0", true), ("/b", false)]
    {
        let principal = mine.then_some(me);
        metadata.add_link(&KeptLink { principal, ..plain(subject, tenant, at) }).await.unwrap();
    }
    let drop = KeptLink { kind: LinkKind::Drop, principal: Some(me), ..plain(subject, tenant, "/a") };
    metadata.add_link(&drop).await.unwrap();

    let all = ["/a", "/a!", "/a/", "/a/b", "/a/b", "/a0", "/b"];
    assert_eq!(places(subject, &everything(tenant)).await, all);
    let a = Some(path("/a"));
    let below = LinkListing { below: a.clone(), ..everything(tenant) };
    assert_eq!(places(subject, &below).await, ["/a/", "/a/b", "/a/b"]);
    let exactly = LinkListing { exactly: a.clone(), below: None, ..everything(tenant) };
    assert_eq!(places(subject, &exactly).await, ["/a"]);
    let both = LinkListing { exactly: a.clone(), ..below.clone() };
    assert_eq!(places(subject, &both).await, ["/a", "/a/", "/a/b", "/a/b"]);
    let mine = LinkListing { principal: Some(me), ..both.clone() };
    assert_eq!(places(subject, &mine).await, ["/a", "/a/", "/a/b"]);

    for listing in [everything(tenant), both, mine] {
        let whole = metadata.list_links(&listing).await.unwrap();
        let mut paged = Vec::new();
        let mut page = LinkListing { limit: 1, ..listing };
        while let Some(link) = metadata.list_links(&page).await.unwrap().pop() {
            page.after = Some((link.place(), link.id));
            paged.push(link);
        }
        assert_eq!(paged, whole);
    }
}

pub(crate) async fn a_link_that_is_over_is_not_listed_and_goes_in_the_end(subject: &Subject) {
    let metadata = subject.store().metadata;
    let tenant = subject.tenant().await;
    let short = KeptLink { expires_at: Some(subject.now().after(HOUR)), ..plain(subject, tenant, "/f") };
    metadata.add_link(&short).await.unwrap();
    subject.advance(HOUR - Duration::from_micros(1));
    assert_eq!(places(subject, &everything(tenant)).await, ["/f"]);
    subject.advance(Duration::from_micros(1));
    assert_eq!(places(subject, &everything(tenant)).await, [""; 0]);
    metadata.add_link(&plain(subject, tenant, "/g")).await.unwrap();
    assert!(metadata.find_link(short.id).await.unwrap().is_some(), "clocks may be set back");
    subject.advance(24 * HOUR);
    metadata.add_link(&plain(subject, tenant, "/h")).await.unwrap();
    assert_eq!(metadata.find_link(short.id).await.unwrap(), None);
}

pub(crate) async fn a39_links_go_with_their_tenant(subject: &Subject) {
    let metadata = subject.store().metadata;
    let tenant = subject.tenant().await;
    let (live, revoked) = (counted(subject, tenant, 9), counted(subject, tenant, 9));
    for link in [&live, &revoked] {
        metadata.add_link(&KeptLink { name: "secret".into(), ..link.clone() }).await.unwrap();
    }
    metadata.revoke_link(&revoked).await.unwrap();
    metadata.delete_tenant(tenant, 1).await.unwrap();
    assert_eq!(metadata.find_link(live.id).await.unwrap(), None);
    let left = metadata.find_link(revoked.id).await.unwrap().unwrap();
    assert!(left.revoked_at.is_some(), "a new tenant of that id does not revive it");
    assert_eq!((left.path, left.name.as_str()), (Path::root(), ""), "nothing of the tenant stays");
}
