//! Listing files, page by page.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cacheroach_api::file::{Cursor, ListRequest, ListResponse};
use cacheroach_model::{Capabilities, TenantId};
use tonic::{Code, Status};

use crate::support::{HOUR, Server, on_tenant};

async fn page(
    server: &Server,
    token: &str,
    tenant: TenantId,
    path: &str,
    cursor: Option<Cursor>,
) -> Result<ListResponse, Status> {
    let request =
        ListRequest { tenant: Some(tenant.into()), path: path.into(), cursor, ..Default::default() };
    server.files(token).list(request).await.map(tonic::Response::into_inner)
}

async fn names(server: &Server, token: &str, tenant: TenantId, path: &str) -> Result<Vec<String>, Code> {
    let page = page(server, token, tenant, path, None).await.map_err(|status| status.code())?;
    assert!(page.cursor.is_none());
    Ok(page.files.into_iter().map(|file| file.path).collect())
}

/// 1,001 files below `/d/`: two pages.
async fn two_pages(server: &Server, tenant: TenantId) {
    for batch in (0..1001).collect::<Vec<_>>().chunks(100) {
        futures::future::join_all(
            batch.iter().map(|at| async move { server.put(tenant, &format!("/d/{at:04}"), "x").await }),
        )
        .await;
    }
}

#[tokio::test]
async fn a_listing_has_the_file_and_all_that_is_below() {
    let server = Server::start().await;
    let (tenant, empty) = (server.tenant().await, server.tenant().await);
    for path in ["/a", "/a/x", "/a/b/y", "/ab", "/a.b", "/_/x", "/c/x", "/%/x"] {
        server.put(tenant, path, "x").await;
    }
    let token = server.super_token();
    let list = async |path| names(&server, &token, tenant, path).await.unwrap();
    assert_eq!(list("/").await, ["/%/x", "/_/x", "/a", "/a.b", "/a/b/y", "/a/x", "/ab", "/c/x"]);
    assert_eq!(list("").await, list("/").await, "for superusers");
    assert_eq!(list("/a").await, ["/a", "/a/b/y", "/a/x"]);
    assert_eq!(list("/a/").await, list("/a").await, "a last slash is cleaned away");
    assert_eq!(list("/a/b").await, ["/a/b/y"]);
    assert_eq!(list("/ab").await, ["/ab"]);
    // S12: no character stands for others.
    assert_eq!(list("/_/").await, ["/_/x"]);
    assert_eq!(list("/%/").await, ["/%/x"]);
    assert_eq!(list("/*").await, [""; 0]);
    assert_eq!(list("/missing").await, [""; 0]);
    assert_eq!(names(&server, &token, empty, "/").await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_listing_tells_what_is_known_of_a_file() {
    let server = Server::start().await;
    let tenant = server.tenant().await;
    server.put(tenant, "/a", "x").await;
    let created = cacheroach_api::convert::timestamp(server.now());
    server.advance(HOUR);
    server.put(tenant, "/a", "xyz").await;
    let page = page(&server, &server.super_token(), tenant, "/", None).await.unwrap();
    let file = &page.files[0];
    assert_eq!(file.tenant, Some(tenant.into()));
    assert_eq!((file.path.as_str(), file.version, file.size), ("/a", 2, 3));
    assert_eq!(file.created_at, Some(created));
    assert_eq!(file.modified_at, Some(cacheroach_api::convert::timestamp(server.now())));
    assert!(file.meta.is_empty());
}

#[tokio::test]
async fn a31_a_listing_shows_only_what_the_session_may_read() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    for path in ["/a", "/a/x", "/a/b/y", "/ab", "/c"] {
        server.put(tenant, path, "x").await;
    }
    let below = server.issue(&on_tenant(principal, Capabilities::READ, tenant, "/a/*")).await;
    assert_eq!(names(&server, &below, tenant, "/a/").await.unwrap(), ["/a/b/y", "/a/x"]);
    assert_eq!(names(&server, &below, tenant, "/a/b").await.unwrap(), ["/a/b/y"]);
    for path in ["/", "", "/a", "/ab", "/c", "/c/", "/a/..", "/a/../c"] {
        assert!(names(&server, &below, tenant, path).await.is_err(), "{path}");
    }
    let exactly = server.issue(&on_tenant(principal, Capabilities::READ, tenant, "/a")).await;
    assert_eq!(names(&server, &exactly, tenant, "/a").await.unwrap(), ["/a"], "and nothing below");
    for path in ["/", "/a/", "/a/x", "/ab"] {
        assert_eq!(names(&server, &exactly, tenant, path).await, Err(Code::PermissionDenied), "{path}");
    }
    // Only what may be listed shows whether there is anything.
    let denied = page(&server, &below, tenant, "/c", None).await.unwrap_err();
    let missing = page(&server, &below, tenant, "/nothing", None).await.unwrap_err();
    assert_eq!((denied.code(), denied.message()), (missing.code(), missing.message()));
}

#[tokio::test]
async fn c13_pages_follow_each_other_without_a_gap() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    two_pages(&server, tenant).await;
    let token = server.issue(&on_tenant(principal, Capabilities::READ, tenant, "/d/*")).await;
    let first = page(&server, &token, tenant, "/d/", None).await.unwrap();
    assert_eq!(first.files.len(), 1000);
    let cursor = first.cursor.expect("there is more");
    // What comes and goes in between is not seen: the listing is of its own time.
    server.advance(HOUR);
    server.put(tenant, "/d/1000a", "new").await;
    let second = page(&server, &token, tenant, "/d/", Some(cursor)).await.unwrap();
    assert!(second.cursor.is_none());
    let all: Vec<_> = first.files.iter().chain(&second.files).map(|file| file.path.as_str()).collect();
    let expected: Vec<_> = (0..1001).map(|at| format!("/d/{at:04}")).collect();
    assert_eq!(all, expected);
}

#[tokio::test]
async fn a38_a_cursor_is_good_for_its_own_listing_only() {
    let server = Server::start().await;
    let (tenant, other, principal) = (server.tenant().await, server.tenant().await, server.principal().await);
    two_pages(&server, tenant).await;
    let root = server.super_token();
    let cursor = page(&server, &root, tenant, "/d/", None).await.unwrap().cursor.unwrap();
    let of_root = page(&server, &root, tenant, "/", None).await.unwrap().cursor.unwrap();
    let refused = async |tenant, path, cursor: Cursor| {
        let answer = page(&server, &root, tenant, path, Some(cursor)).await;
        answer.map_or_else(|status| status.code(), |_| Code::Ok)
    };
    for (tenant, path) in [(other, "/d/"), (tenant, "/"), (tenant, "/d"), (tenant, "/e/")] {
        assert_eq!(refused(tenant, path, cursor.clone()).await, Code::InvalidArgument, "{path}");
    }
    assert_eq!(refused(tenant, "/d/", of_root).await, Code::InvalidArgument);

    let later = cursor.as_of.map(|at| prost_types::Timestamp { seconds: at.seconds + 1, ..at });
    let sealed = URL_SAFE_NO_PAD.decode(&cursor.after).unwrap();
    let with = |after: String| Cursor { after, as_of: cursor.as_of };
    for (what, edited) in [
        ("another time", Cursor { as_of: later, ..cursor.clone() }),
        ("no time", Cursor { as_of: None, ..cursor.clone() }),
        ("nothing", Cursor::default()),
        ("no place", with(String::new())),
        ("a path", with("/d/0500".into())),
        ("a quote", with("'".into())),
        ("a percent sign", with("%".into())),
        ("one character more", with(format!("{}A", cursor.after))),
        ("one character less", with(cursor.after[..cursor.after.len() - 1].into())),
        ("1 MB", with("A".repeat(1 << 20))),
        ("padding", with(format!("{}=", cursor.after))),
    ] {
        assert_eq!(refused(tenant, "/d/", edited).await, Code::InvalidArgument, "{what}");
    }
    for at in 0..sealed.len() {
        let mut edited = sealed.clone();
        edited[at] ^= 1;
        let edited = with(URL_SAFE_NO_PAD.encode(edited));
        assert_eq!(refused(tenant, "/d/", edited).await, Code::InvalidArgument, "byte {at}");
    }
    // It is no authority: whoever has it must still be allowed to list.
    let elsewhere = server.issue(&on_tenant(principal, Capabilities::READ, tenant, "/e/*")).await;
    let answer = page(&server, &elsewhere, tenant, "/d/", Some(cursor.clone())).await;
    assert_eq!(answer.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(page(&server, &root, tenant, "/d/", Some(cursor)).await.unwrap().files.len(), 1);
}
