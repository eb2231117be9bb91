//! Virtual hosts.

use cacheroach_api::vhost::{EnsureRequest, VHost};
use cacheroach_model::TenantId;
use tonic::Code;

use crate::support::Server;
use crate::{code, parts};

async fn ensure(server: &Server, host: &str, tenant: TenantId, delete: bool) -> Code {
    let vhost = VHost { vhost: host.into(), tenant_id: Some(tenant.into()), ..Default::default() };
    let request = EnsureRequest { vhost: Some(vhost), delete };
    code(&server.vhosts(&server.super_token()).ensure(request).await)
}

async fn list(server: &Server) -> Vec<(String, Option<cacheroach_api::tenant::Id>)> {
    let found = parts(server.vhosts(&server.super_token()).list(()).await).await;
    let mut found: Vec<_> = found.into_iter().map(|vhost| (vhost.vhost, vhost.tenant_id)).collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

#[tokio::test]
async fn a_host_is_mapped_remapped_and_taken_away() {
    let server = Server::start().await;
    let (one, two) = (server.tenant().await, server.tenant().await);
    let any = ("*".to_owned(), Some(TenantId::SCRATCHPAD.into()));
    assert_eq!(list(&server).await, std::slice::from_ref(&any));
    assert_eq!(ensure(&server, "a.example", one, false).await, Code::Ok);
    assert_eq!(ensure(&server, "a.example", two, false).await, Code::Ok);
    assert_eq!(list(&server).await, [any.clone(), ("a.example".into(), Some(two.into()))]);
    // Host and tenant must match; deleting nothing is fine.
    assert_eq!(ensure(&server, "a.example", one, true).await, Code::Ok);
    assert_eq!(ensure(&server, "b.example", one, true).await, Code::Ok);
    assert_eq!(list(&server).await.len(), 2);
    for _ in 0..2 {
        assert_eq!(ensure(&server, "a.example", two, true).await, Code::Ok);
        assert_eq!(list(&server).await, std::slice::from_ref(&any));
    }
}

/// C22.
#[tokio::test]
async fn c22_a_host_is_one_host_in_any_case() {
    let server = Server::start().await;
    let (one, two) = (server.tenant().await, server.tenant().await);
    assert_eq!(ensure(&server, "A.Example", one, false).await, Code::Ok);
    assert_eq!(ensure(&server, "a.EXAMPLE", two, false).await, Code::Ok);
    let found = list(&server).await;
    assert_eq!(found.len(), 2);
    assert_eq!(found[1].1, Some(two.into()));
    assert_eq!(ensure(&server, "a.example", two, true).await, Code::Ok);
    assert_eq!(list(&server).await.len(), 1);
}

#[tokio::test]
async fn what_is_no_host_is_refused() {
    let server = Server::start().await;
    let tenant = server.tenant().await;
    let before = list(&server).await;
    let long = "a".repeat(254);
    for host in
        ["", " ", "a b", "a/b", "user@a.example", "a\0", "a\nb", "*.example", "**", &long, "' OR 1=1 --"]
    {
        assert_eq!(ensure(&server, host, tenant, false).await, Code::InvalidArgument, "{host:?}");
    }
    for vhost in [
        None,
        Some(VHost { vhost: "a.example".into(), ..Default::default() }),
        Some(VHost {
            vhost: "a.example".into(),
            tenant_id: Some(cacheroach_api::tenant::Id { data: vec![1; 15] }),
            ..Default::default()
        }),
    ] {
        let request = EnsureRequest { vhost, delete: false };
        let answer = server.vhosts(&server.super_token()).ensure(request).await;
        assert_eq!(code(&answer), Code::InvalidArgument);
    }
    assert_eq!(ensure(&server, "a.example", TenantId::new([1; 16]), false).await, Code::NotFound);
    assert_eq!(list(&server).await, before);
}
