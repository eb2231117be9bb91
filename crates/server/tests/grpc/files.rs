//! Deleting files, and signing URLs of them.

use cacheroach_api::{file, token};
use cacheroach_model::{Capabilities, TenantId};
use prost_types::Duration;
use tonic::Code;

use crate::support::{DAY, HOUR, Server, on_everything, on_principal, on_tenant};
use crate::{code, refusal};

fn delete(tenant: TenantId, path: &str) -> file::DeleteRequest {
    file::DeleteRequest { tenant: Some(tenant.into()), path: path.into(), ..Default::default() }
}

fn retrieve(tenant: TenantId, path: &str) -> file::RetrievalRequest {
    file::RetrievalRequest { tenant: Some(tenant.into()), path: path.into(), ..Default::default() }
}

fn seconds(seconds: i64) -> Option<Duration> {
    Some(Duration { seconds, nanos: 0 })
}

/// What the URL answers to whoever has nothing but it.
async fn get(server: &Server, uri: &str) -> u16 {
    server.http("GET", uri, &[], "").await.status.as_u16()
}

#[tokio::test]
async fn a26_write_does_not_read_and_read_does_not_write() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    server.put(tenant, "/a", "x").await;
    let reader = server.issue(&on_tenant(principal, Capabilities::READ, tenant, "/*")).await;
    let writer = server.issue(&on_tenant(principal, Capabilities::WRITE, tenant, "/*")).await;
    let list = file::ListRequest {
        tenant: Some(tenant.into()),
        path: "/".into(),
        cursor: None,
        ..Default::default()
    };
    let denied = (Code::PermissionDenied, "inappropriate fields in request".to_owned());
    assert_eq!(refusal(server.files(&writer).list(list.clone()).await), denied);
    assert_eq!(refusal(server.files(&writer).retrieve(retrieve(tenant, "/a")).await), denied);
    // S8: reading is not enough to delete.
    assert_eq!(refusal(server.files(&reader).delete(delete(tenant, "/a")).await), denied);
    assert_eq!(server.list(tenant).await, [("/a".into(), 1, 1)]);
    assert_eq!(code(&server.files(&reader).list(list).await), Code::Ok);
    assert_eq!(code(&server.files(&writer).delete(delete(tenant, "/a")).await), Code::Ok);
    assert_eq!(server.list(tenant).await, []);
}

#[tokio::test]
async fn deleting_may_be_repeated() {
    let server = Server::start().await;
    let tenant = server.tenant().await;
    server.put(tenant, "/a/b", "x").await;
    let mut files = server.files(&server.super_token());
    for path in ["/missing", "/a", "/a/b/c"] {
        assert_eq!(code(&files.delete(delete(tenant, path)).await), Code::Ok, "{path}");
    }
    assert_eq!(server.list(tenant).await.len(), 1, "a directory is no file");
    for _ in 0..2 {
        assert_eq!(code(&files.delete(delete(tenant, "/a/b")).await), Code::Ok);
    }
    assert_eq!(server.list(tenant).await, []);
}

/// C23: it is a new file, with numbers that were not used before (P4).
#[tokio::test]
async fn c23_a_deleted_path_begins_anew() {
    let server = Server::start().await;
    let tenant = server.tenant().await;
    server.put(tenant, "/a", "x").await;
    server.put(tenant, "/a", "xy").await;
    server.files(&server.super_token()).delete(delete(tenant, "/a")).await.unwrap();
    server.advance(HOUR);
    server.put(tenant, "/a", "xyz").await;
    let list = file::ListRequest {
        tenant: Some(tenant.into()),
        path: "/".into(),
        cursor: None,
        ..Default::default()
    };
    let found = server.files(&server.super_token()).list(list).await.unwrap().into_inner().files;
    assert_eq!((found.len(), found[0].version, found[0].size), (1, 3, 3));
    let now = cacheroach_api::convert::timestamp(server.now());
    assert_eq!((found[0].created_at, found[0].modified_at), (Some(now), Some(now)));
}

#[tokio::test]
async fn a_signed_url_tells_of_its_file_and_gives_it() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    server.put(tenant, "/a/b c", "content").await;
    let reader = server.issue(&on_tenant(principal, Capabilities::READ, tenant, "/a/*")).await;
    let answer = server.files(&reader).retrieve(retrieve(tenant, "/a/b c")).await.unwrap().into_inner();
    assert!(answer.get_uri.starts_with("/_/v0/retrieve/b%20c?access_token="), "{}", answer.get_uri);
    let meta = answer.meta.unwrap();
    assert_eq!((meta.path.as_str(), meta.version, meta.size), ("/a/b c", 1, 7));
    let got = server.http("GET", &answer.get_uri, &[], "").await;
    assert_eq!((got.status.as_u16(), got.text()), (200, "content"));
    // P10: what is not there can't be signed.
    assert_eq!(code(&server.files(&reader).retrieve(retrieve(tenant, "/a/x")).await), Code::NotFound);
}

#[tokio::test]
async fn a42_a_validity_is_what_was_asked_for_or_refused() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    server.put(tenant, "/a", "x").await;
    let reader = server.issue(&on_tenant(principal, Capabilities::READ, tenant, "/*")).await;
    let sign = async |valid_for| {
        let request = file::RetrievalRequest { valid_for, ..retrieve(tenant, "/a") };
        server.files(&reader).retrieve(request).await
    };
    for valid_for in [
        seconds(-1),
        Some(Duration { seconds: 0, nanos: -1 }),
        seconds(i64::MAX),
        seconds(i64::MIN),
        seconds(315_576_000_001),
        seconds(315_576_000_000),
        Some(Duration { seconds: 1, nanos: 1_000_000_000 }),
        Some(Duration { seconds: 1, nanos: -1 }),
    ] {
        assert_eq!(code(&sign(valid_for).await), Code::InvalidArgument, "{valid_for:?}");
    }
    for unlimited in [None, seconds(0)] {
        assert_eq!(sign(unlimited).await.unwrap().into_inner().expires_at, None);
    }
    let answer = sign(seconds(60)).await.unwrap().into_inner();
    assert_eq!(answer.expires_at.unwrap().seconds, server.now().seconds() + 60);
    server.advance(std::time::Duration::from_secs(59));
    assert_eq!(get(&server, &answer.get_uri).await, 200);
    server.advance(std::time::Duration::from_secs(1));
    assert_eq!(get(&server, &answer.get_uri).await, 401);
}

/// A43, D3.
#[tokio::test]
async fn a43_a_pinned_url_gives_the_pinned_bytes() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    server.put(tenant, "/a", "first").await;
    let reader = server.issue(&on_tenant(principal, Capabilities::READ, tenant, "/*")).await;
    let sign = async |version| {
        let request = file::RetrievalRequest { version, ..retrieve(tenant, "/a") };
        server.files(&reader).retrieve(request).await
    };
    let pinned = sign(1).await.unwrap().into_inner().get_uri;
    let current = sign(0).await.unwrap().into_inner().get_uri;
    server.put(tenant, "/a", "second").await;
    assert_eq!(server.http("GET", &pinned, &[], "").await.text(), "first");
    assert_eq!(server.http("GET", &current, &[], "").await.text(), "second");
    assert_eq!(code(&sign(3).await), Code::NotFound);
    assert_eq!(code(&sign(-1).await), Code::InvalidArgument);
    server.files(&server.super_token()).delete(delete(tenant, "/a")).await.unwrap();
    assert_eq!((get(&server, &pinned).await, get(&server, &current).await), (404, 404));
}

#[tokio::test]
async fn d3_a_session_of_one_version_reads_that_and_writes_nothing() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    server.put(tenant, "/a", "first").await;
    server.put(tenant, "/a", "second").await;
    let template = on_tenant(principal, Capabilities::ALL, tenant, "/a").of_version(1);
    let mut files = server.files(&server.issue(&template).await);
    for (version, expected) in
        [(1, Code::Ok), (2, Code::PermissionDenied), (0, Code::PermissionDenied), (3, Code::PermissionDenied)]
    {
        let request = file::RetrievalRequest { version, ..retrieve(tenant, "/a") };
        assert_eq!(code(&files.retrieve(request).await), expected, "{version}");
    }
    assert_eq!(code(&files.delete(delete(tenant, "/a")).await), Code::PermissionDenied);
    assert_eq!(server.list(tenant).await, [("/a".into(), 2, 6)]);
}

/// D5: whose principal may still read the file, by whichever session.
#[tokio::test]
async fn a44_a_signed_url_dies_with_the_right_to_read() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    server.put(tenant, "/a", "x").await;
    let (grant, _) =
        server.issue_session(&on_tenant(principal, Capabilities::READ, tenant, "/*").living(30 * DAY)).await;
    let itself = server.issue(&on_principal(principal, Capabilities::ALL, principal)).await;
    let answer = server.files(&itself).retrieve(retrieve(tenant, "/a")).await.unwrap().into_inner();
    let end = |kind| token::InvalidateRequest { kind: Some(kind) };
    let logout = end(token::invalidate_request::Kind::Current(true));
    server.tokens(&itself).invalidate(logout).await.unwrap();
    assert_eq!(get(&server, &answer.get_uri).await, 200, "a log-out alone");
    let revoke = end(token::invalidate_request::Kind::Id(grant.id.unwrap()));
    server.tokens(&server.super_token()).invalidate(revoke).await.unwrap();
    assert_eq!(get(&server, &answer.get_uri).await, 401, "the grant is revoked");
}

/// P7: of what a caller may not know, an answer tells nothing, not even that it is not there.
#[tokio::test]
async fn d14_what_is_not_there_and_what_is_anothers_look_the_same() {
    let server = Server::start().await;
    let (mine, theirs, principal) = (server.tenant().await, server.tenant().await, server.principal().await);
    server.put(theirs, "/a", "x").await;
    let token = server.issue(&on_tenant(principal, Capabilities::ALL, mine, "/*")).await;
    let nowhere = TenantId::new([1; 16]);
    let mut files = server.files(&token);
    for path in ["/a", "/missing"] {
        let there = refusal(files.retrieve(retrieve(theirs, path)).await);
        assert_eq!(there, refusal(files.retrieve(retrieve(nowhere, path)).await));
        let there = refusal(files.delete(delete(theirs, path)).await);
        assert_eq!(there, refusal(files.delete(delete(nowhere, path)).await));
    }
    let narrow = server.issue(&on_tenant(principal, Capabilities::ALL, theirs, "/b/*")).await;
    let mut files = server.files(&narrow);
    let there = refusal(files.retrieve(retrieve(theirs, "/a")).await);
    assert_eq!(there, refusal(files.retrieve(retrieve(theirs, "/missing")).await));
    assert_eq!(server.list(theirs).await.len(), 1);
}

#[tokio::test]
async fn a67_ids_of_a_wrong_length_are_refused() {
    let server = Server::start().await;
    let tenant = server.tenant().await;
    server.put(tenant, "/a", "x").await;
    let principal = server.principal().await;
    let root = server.issue(&on_everything(principal)).await;
    for length in [0, 1, 15, 17, 32] {
        let tenant = Some(cacheroach_api::tenant::Id { data: vec![10; length] });
        let mut files = server.files(&root);
        let request = file::DeleteRequest { tenant: tenant.clone(), path: "/a".into(), ..Default::default() };
        assert_eq!(code(&files.delete(request).await), Code::InvalidArgument, "{length}");
        let request = file::ListRequest {
            tenant: tenant.clone(),
            path: "/".into(),
            cursor: None,
            ..Default::default()
        };
        assert_eq!(code(&files.list(request).await), Code::InvalidArgument, "{length}");
        let request = file::RetrievalRequest { tenant, ..retrieve(TenantId::SCRATCHPAD, "/a") };
        assert_eq!(code(&files.retrieve(request).await), Code::InvalidArgument, "{length}");
    }
    let mut files = server.files(&root);
    assert_eq!(code(&files.delete(file::DeleteRequest::default()).await), Code::InvalidArgument);
    assert_eq!(code(&files.list(file::ListRequest::default()).await), Code::InvalidArgument);
    assert_eq!(code(&files.retrieve(file::RetrievalRequest::default()).await), Code::InvalidArgument);
    assert_eq!(server.list(tenant).await.len(), 1);
}
