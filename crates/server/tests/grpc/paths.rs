//! Spellings of paths, and which of them a scope is good for.

use cacheroach_api::upload::begin_request::Committed;
use cacheroach_api::{file, upload};
use cacheroach_model::{Capabilities, TenantId};
use tonic::Code;

use crate::code;
use crate::support::{Server, on_tenant};

async fn put(server: &Server, token: &str, tenant: TenantId, path: &str) -> Code {
    let request = upload::BeginRequest {
        tenant: Some(tenant.into()),
        path: path.into(),
        committed: Some(Committed::Contents(b"x".into())),
        ..Default::default()
    };
    code(&server.uploads(token).begin(request).await)
}

async fn delete(server: &Server, token: &str, tenant: TenantId, path: &str) -> Code {
    let request =
        file::DeleteRequest { tenant: Some(tenant.into()), path: path.into(), ..Default::default() };
    code(&server.files(token).delete(request).await)
}

async fn sign(server: &Server, token: &str, tenant: TenantId, path: &str) -> Code {
    let request =
        file::RetrievalRequest { tenant: Some(tenant.into()), path: path.into(), ..Default::default() };
    code(&server.files(token).retrieve(request).await)
}

async fn list(server: &Server, token: &str, tenant: TenantId, path: &str) -> Code {
    let request = file::ListRequest {
        tenant: Some(tenant.into()),
        path: path.into(),
        cursor: None,
        ..Default::default()
    };
    code(&server.files(token).list(request).await)
}

async fn names(server: &Server, tenant: TenantId) -> Vec<String> {
    server.list(tenant).await.into_iter().map(|(path, ..)| path).collect()
}

#[tokio::test]
async fn a21_an_exact_scope_is_that_path_only() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    let token = server.issue(&on_tenant(principal, Capabilities::ALL, tenant, "/a")).await;
    for path in ["/ab", "/A", "/a.", "/a ", "/a%00", "/a/b", "/a/*", "/*", "/b", "/a%2f..%2fb"] {
        assert_eq!(put(&server, &token, tenant, path).await, Code::PermissionDenied, "{path}");
        assert_eq!(delete(&server, &token, tenant, path).await, Code::PermissionDenied, "{path}");
        assert_eq!(sign(&server, &token, tenant, path).await, Code::PermissionDenied, "{path}");
        assert_eq!(list(&server, &token, tenant, path).await, Code::PermissionDenied, "{path}");
    }
    assert_eq!(list(&server, &token, tenant, "/a/").await, Code::PermissionDenied);
    assert_eq!(names(&server, tenant).await, [""; 0]);
    assert_eq!(put(&server, &token, tenant, "/a").await, Code::Ok);
    assert_eq!(list(&server, &token, tenant, "/a").await, Code::Ok);
    assert_eq!(sign(&server, &token, tenant, "/a").await, Code::Ok);
    assert_eq!(delete(&server, &token, tenant, "/a").await, Code::Ok);
}

#[tokio::test]
async fn a21_a_scope_with_a_star_is_all_below_and_not_beside() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    let token = server.issue(&on_tenant(principal, Capabilities::ALL, tenant, "/a/*")).await;
    for path in ["/a", "/ab/c", "/", "/b", "/A/b", "/a/../b", "/a/b/../../a", "/a/.."] {
        assert_ne!(put(&server, &token, tenant, path).await, Code::Ok, "{path}");
        assert_ne!(delete(&server, &token, tenant, path).await, Code::Ok, "{path}");
        assert_ne!(list(&server, &token, tenant, path).await, Code::Ok, "{path}");
    }
    assert_eq!(names(&server, tenant).await, [""; 0]);
    for path in ["/a/b/c", "/a/b", "/a/*"] {
        assert_eq!(put(&server, &token, tenant, path).await, Code::Ok, "{path}");
        assert_eq!(list(&server, &token, tenant, path).await, Code::Ok, "{path}");
    }
    assert_eq!(list(&server, &token, tenant, "/a/").await, Code::Ok);
    assert_eq!(list(&server, &token, tenant, "/a/b/").await, Code::Ok);
}

/// P16: the path that is checked is the one that is used.
#[tokio::test]
async fn a22_every_spelling_is_cleaned_before_it_is_checked() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    let token = server.issue(&on_tenant(principal, Capabilities::ALL, tenant, "/w/*")).await;
    for (given, clean) in [
        ("/u/../w//y", "/w/y"),
        ("//w/y", "/w/y"),
        ("/w/./y", "/w/y"),
        ("/../../w/y", "/w/y"),
        ("/w/x/../y", "/w/y"),
        ("/w/\\..\\y", "/w/\\..\\y"),
        ("/w/...", "/w/..."),
        ("/w/y.", "/w/y."),
        ("/w/%2e%2e/y", "/w/%2e%2e/y"),
        ("/w/%2F", "/w/%2F"),
        ("/w/%252e", "/w/%252e"),
    ] {
        assert_eq!(put(&server, &token, tenant, given).await, Code::Ok, "{given}");
        assert_eq!(names(&server, tenant).await, [clean], "{given}");
        assert_eq!(sign(&server, &token, tenant, given).await, Code::Ok, "{given}");
        assert_eq!(delete(&server, &token, tenant, given).await, Code::Ok, "{given}");
        assert_eq!(names(&server, tenant).await, [""; 0], "{given}");
    }
    // With a last slash it is written as that file, but to delete it names a directory: that is nothing to delete.
    assert_eq!(put(&server, &token, tenant, "/w/y/").await, Code::Ok);
    assert_eq!(delete(&server, &token, tenant, "/w/y/").await, Code::Ok);
    assert_eq!(names(&server, tenant).await, ["/w/y"]);
    assert_eq!(delete(&server, &token, tenant, "/w/y").await, Code::Ok);
    for given in ["/w/../u", "/w/../../u", "/w/./../u/y", "/w/..//u"] {
        assert_eq!(put(&server, &token, tenant, given).await, Code::PermissionDenied, "{given}");
        assert_eq!(delete(&server, &token, tenant, given).await, Code::PermissionDenied, "{given}");
    }
    assert_eq!(names(&server, tenant).await, [""; 0]);
}

#[tokio::test]
async fn a23_what_is_no_path_is_refused() {
    let server = Server::start().await;
    let tenant = server.tenant().await;
    let principal = server.principal().await;
    let all = server.issue(&on_tenant(principal, Capabilities::ALL, tenant, "/*")).await;
    server.put(tenant, "/kept", "x").await;
    let long = format!("/{}", "a".repeat(1024));
    let far = format!("/{}", "a".repeat(100_000));
    for token in [&server.super_token(), &all] {
        for path in [
            "/\0", "/a\0b", "/a\nb", "/a\r\nb", "/a\u{1b}", "/a\u{7f}", "/a\u{85}", "/\t", "a", "./a",
            "../a", "", ".", "/", "//", "/a/..", "*", &long, &far,
        ] {
            let wrong = if path.len() > 1024 { Code::ResourceExhausted } else { Code::InvalidArgument };
            assert_eq!(put(&server, token, tenant, path).await, wrong, "{path:?}");
            // The top is a directory: there is nothing to delete.
            let is_top = matches!(path, "/" | "//" | "/a/..");
            let expected = if is_top { Code::Ok } else { wrong };
            assert_eq!(delete(&server, token, tenant, path).await, expected, "{path:?}");
            assert_eq!(sign(&server, token, tenant, path).await, wrong, "{path:?}");
        }
        for path in ["/\0", "/a\n/", "a", "*", "../"] {
            assert_eq!(list(&server, token, tenant, path).await, Code::InvalidArgument, "{path:?}");
        }
        assert_eq!(list(&server, token, tenant, &long).await, Code::ResourceExhausted);
    }
    assert_eq!(names(&server, tenant).await, ["/kept"]);
    // At the limit it is a path.
    assert_eq!(put(&server, &all, tenant, &long[..1024]).await, Code::Ok);
}

#[tokio::test]
async fn a24_spellings_of_one_name_are_different_names() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    let spellings = ["/caf\u{e9}", "/cafe\u{301}", "/CAF\u{c9}", "/caf\u{ff45}", "/cafe"];
    for (at, path) in spellings.iter().enumerate() {
        server.put(tenant, path, vec![b'x'; at + 1]).await;
    }
    let mut expected: Vec<_> = (1..).zip(spellings).map(|(size, path)| (path.to_owned(), 1, size)).collect();
    expected.sort();
    assert_eq!(server.list(tenant).await, expected);
    let token = server.issue(&on_tenant(principal, Capabilities::READ, tenant, spellings[0])).await;
    for path in &spellings[1..] {
        assert_eq!(sign(&server, &token, tenant, path).await, Code::PermissionDenied, "{path}");
    }
    assert_eq!(sign(&server, &token, tenant, spellings[0]).await, Code::Ok);
}

#[tokio::test]
async fn a25_a_star_in_a_request_is_a_character() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    for path in ["/a/x", "/a/y", "/a/*", "/a/?", "/*/x"] {
        server.put(tenant, path, "x").await;
    }
    let token = server.super_token();
    for path in ["/a/*", "/a/?", "/*/x"] {
        assert_eq!(delete(&server, &token, tenant, path).await, Code::Ok);
    }
    assert_eq!(names(&server, tenant).await, ["/a/x", "/a/y"]);
    let one = server.issue(&on_tenant(principal, Capabilities::READ, tenant, "/a/x")).await;
    assert_eq!(sign(&server, &one, tenant, "/a/*").await, Code::PermissionDenied);
    assert_eq!(list(&server, &one, tenant, "/a/?").await, Code::PermissionDenied);
}

#[tokio::test]
async fn a84_what_would_be_sql_is_data() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    server.put(tenant, "/kept", "x").await;
    let token = server.issue(&on_tenant(principal, Capabilities::ALL, tenant, "/*").named("'; --")).await;
    let mut expected = vec!["/kept".to_owned()];
    for text in
        ["'", "\"", ";", "--", "\\", "$1", "?1", "%", "_", "'; DROP TABLE files; --", "' OR '1'='1", "{}"]
    {
        let path = format!("/{text}");
        assert_eq!(put(&server, &token, tenant, &path).await, Code::Ok, "{text}");
        assert_eq!(list(&server, &token, tenant, &path).await, Code::Ok, "{text}");
        expected.push(path);
        let by_name = cacheroach_api::token::LoadRequest {
            kind: Some(cacheroach_api::token::load_request::Kind::Name(text.into())),
        };
        assert_eq!(code(&server.tokens(&token).load(by_name).await), Code::NotFound, "{text}");
    }
    expected.sort();
    assert_eq!(names(&server, tenant).await, expected);
    for text in ["'", "%", "_", "' OR '1'='1"] {
        assert_eq!(delete(&server, &token, tenant, &format!("/{text}")).await, Code::Ok);
        expected.retain(|path| path[1..] != *text);
        assert_eq!(names(&server, tenant).await, expected);
    }
}
