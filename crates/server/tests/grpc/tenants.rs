//! Tenants.

use cacheroach_api::tenant::{self, EnsureRequest, GetRequest, Tenant};
use cacheroach_model::{Capabilities, TenantId};
use tonic::{Code, Status};

use crate::support::{Server, on_principal, on_tenant};
use crate::{code, parts, refusal};

fn tenant(id: TenantId, label: &str, version: i64) -> Tenant {
    Tenant { id: Some(id.into()), label: label.into(), version, ..Default::default() }
}

/// As it is answered by a server in no region of its own.
fn stored(id: TenantId, label: &str, version: i64) -> Tenant {
    Tenant {
        region: "local".into(),
        retention: Some(tenant::Retention::default()),
        ..tenant(id, label, version)
    }
}

async fn ensure(server: &Server, tenant: Tenant, delete: bool) -> Result<Option<Tenant>, Status> {
    let request = EnsureRequest { tenant: Some(tenant), delete };
    server.tenants(&server.super_token()).ensure(request).await.map(|answer| answer.into_inner().tenant)
}

async fn get(server: &Server, token: &str, id: TenantId) -> Result<Option<Tenant>, Status> {
    let request = GetRequest { id: Some(id.into()) };
    server.tenants(token).get(request).await.map(|answer| answer.into_inner().tenant)
}

async fn list(server: &Server, token: &str) -> Vec<TenantId> {
    let found = parts(server.tenants(token).list(()).await).await;
    found.iter().map(|tenant| tenant::Id::parse(tenant.id.as_ref()).unwrap()).collect()
}

#[tokio::test]
async fn a_tenant_is_made_changed_and_deleted() {
    let server = Server::start().await;
    let id = TenantId::new([3; 16]);
    assert_eq!(ensure(&server, tenant(id, "one", 0), false).await.unwrap(), Some(stored(id, "one", 1)));
    assert_eq!(ensure(&server, tenant(id, "two", 1), false).await.unwrap().unwrap().version, 2);
    // An empty label keeps the old one.
    assert_eq!(ensure(&server, tenant(id, "", 2), false).await.unwrap().unwrap().version, 3);
    assert_eq!(get(&server, &server.super_token(), id).await.unwrap(), Some(stored(id, "two", 3)));

    for (version, delete) in [(0, false), (1, false), (4, false), (2, true), (4, true)] {
        let status = ensure(&server, tenant(id, "three", version), delete).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::Aborted, "version skew"), "{version} {delete}");
    }
    server.put(id, "/a", "x").await;
    ensure(&server, tenant(id, "", 3), true).await.unwrap();
    assert_eq!(get(&server, &server.super_token(), id).await.unwrap_err().code(), Code::NotFound);
    let again = ensure(&server, tenant(id, "", 3), true).await.unwrap_err();
    assert_eq!((again.code(), again.message()), (Code::Aborted, "version skew"));
    // Nothing of it comes back with the name.
    ensure(&server, tenant(id, "new", 0), false).await.unwrap();
    assert_eq!(server.list(id).await, []);
}

#[tokio::test]
async fn s6_what_is_no_tenant_is_refused() {
    let server = Server::start().await;
    let before = list(&server, &server.super_token()).await;
    let id = TenantId::new([3; 16]);
    for (what, tenant) in [
        ("no label", tenant(id, "", 0)),
        ("a negative version", tenant(id, "x", -1)),
        ("a long label", tenant(id, &"x".repeat(1025), 0)),
        ("no id", Tenant { id: None, label: "x".into(), version: 0, ..Default::default() }),
        (
            "an empty id",
            Tenant { id: Some(tenant::Id::default()), label: "x".into(), version: 0, ..Default::default() },
        ),
        (
            "a short id",
            Tenant {
                id: Some(tenant::Id { data: vec![3; 15] }),
                label: "x".into(),
                version: 0,
                ..Default::default()
            },
        ),
        (
            "a long id",
            Tenant {
                id: Some(tenant::Id { data: vec![3; 17] }),
                label: "x".into(),
                version: 0,
                ..Default::default()
            },
        ),
    ] {
        assert_eq!(ensure(&server, tenant, false).await.unwrap_err().code(), Code::InvalidArgument, "{what}");
    }
    let none = server.tenants(&server.super_token()).ensure(EnsureRequest::default()).await;
    assert_eq!(code(&none), Code::InvalidArgument);
    let none = server.tenants(&server.super_token()).get(GetRequest::default()).await;
    assert_eq!(code(&none), Code::InvalidArgument);
    assert_eq!(list(&server, &server.super_token()).await, before);
}

/// C8: whoever may read all of it.
#[tokio::test]
async fn c8_a_tenant_is_shown_to_those_who_may_read_all_of_it() {
    let server = Server::start().await;
    let (id, other, principal) = (server.tenant().await, server.tenant().await, server.principal().await);
    let whole = server.issue(&on_tenant(principal, Capabilities::READ, id, "/*")).await;
    assert_eq!(get(&server, &whole, id).await.unwrap().unwrap().id, Some(id.into()));
    assert_eq!(list(&server, &whole).await, [id]);
    for part in [
        on_tenant(principal, Capabilities::READ, id, "/a/*"),
        on_tenant(principal, Capabilities::READ, id, "/"),
        on_tenant(principal, Capabilities::from_bits(30), id, "/*"),
    ] {
        let token = server.issue(&part).await;
        let what = format!("{:?}", part.scope);
        assert_eq!(get(&server, &token, id).await.unwrap_err().code(), Code::PermissionDenied, "{what}");
        assert_eq!(list(&server, &token).await, [], "{what}");
    }
    // Of others not even whether they are there.
    let mut tenants = server.tenants(&whole);
    let there = refusal(tenants.get(GetRequest { id: Some(other.into()) }).await);
    let missing = refusal(tenants.get(GetRequest { id: Some(TenantId::new([1; 16]).into()) }).await);
    assert_eq!(there, missing);
    assert_eq!(there.0, Code::PermissionDenied);
}

/// D3: the version of a scope is a file's; that the tenant's own version happens to be the same means nothing.
#[tokio::test]
async fn d3_a_session_of_one_version_does_not_see_the_tenant() {
    let server = Server::start().await;
    let (id, principal) = (server.tenant().await, server.principal().await);
    let pinned = on_tenant(principal, Capabilities::READ, id, "/*").of_version(1);
    let token = server.issue(&pinned).await;
    assert_eq!(get(&server, &token, id).await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(list(&server, &token).await, []);
}

#[tokio::test]
async fn all_tenants_are_listed_to_superusers() {
    let server = Server::start().await;
    let mut expected = vec![TenantId::SCRATCHPAD];
    for _ in 0..300 {
        expected.push(server.tenant().await);
    }
    expected.sort_unstable();
    let mut found = list(&server, &server.super_token()).await;
    found.sort_unstable();
    assert_eq!(found, expected);
    // By grants too, the public one among them.
    let principal = server.principal().await;
    let mine = expected[7];
    server.issue(&on_tenant(principal, Capabilities::READ, mine, "/*")).await;
    let token = server.issue(&on_principal(principal, Capabilities::ALL, principal)).await;
    assert!(list(&server, &token).await.contains(&mine));
    assert!(list(&server, &token).await.iter().all(|id| [mine, TenantId::SCRATCHPAD].contains(id)));
}
