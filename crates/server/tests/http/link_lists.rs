//! Links as their signers see them: listed, and taken back one by one.

use cacheroach_api::file::{self, link, revoke_link_request::Kind};
use cacheroach_model::Capabilities;
use serde_json::json;
use tonic::{Code, Status};

use crate::site::{READ, Site, WRITE};
use crate::support::{jwt, on_everything, on_principal, on_tenant};

async fn status(site: &Site, link: &str) -> u16 {
    site.server.http("GET", link, &[], "").await.status.as_u16()
}

async fn site() -> Site {
    let site = Site::new().await;
    for path in ["/dir/a", "/dir/b", "/other"] {
        site.put(path, "hello").await;
    }
    site
}

/// A link of whoever holds the token: its URL and its id.
async fn sign(site: &Site, token: &str, path: &str, listed: bool) -> (String, link::Id) {
    let request = file::RetrievalRequest {
        tenant: Some(site.tenant.into()),
        path: path.into(),
        listed,
        ..Default::default()
    };
    let answer = site.server.files(token).retrieve(request).await.unwrap().into_inner();
    (answer.get_uri, answer.link_id.unwrap())
}

async fn drop_link(site: &Site, token: &str, path: &str) -> (String, link::Id) {
    let request = file::CreateDropLinkRequest {
        tenant: Some(site.tenant.into()),
        path: path.into(),
        ..Default::default()
    };
    let answer = site.server.files(token).create_drop_link(request).await.unwrap().into_inner();
    (answer.put_uri, answer.link_id.unwrap())
}

async fn revoke(site: &Site, token: &str, kind: Kind) -> Result<(), Status> {
    let request = file::RevokeLinkRequest { kind: Some(kind) };
    site.server.files(token).revoke_link(request).await.map(drop)
}

/// The places of all links below a path that the holder of a token is shown.
async fn list(site: &Site, token: &str, path: &str) -> Vec<String> {
    let mut request = file::ListLinksRequest {
        tenant: Some(site.tenant.into()),
        path: path.into(),
        page_size: 2,
        ..Default::default()
    };
    let mut found = Vec::new();
    loop {
        let page = site.server.files(token).list_links(request.clone()).await.unwrap().into_inner();
        found.extend(page.links.into_iter().map(|link| link.path));
        request.cursor = page.cursor;
        if request.cursor.is_empty() {
            return found;
        }
    }
}

#[tokio::test]
async fn p10_a_link_that_was_taken_back_is_over_at_once_listed_or_not() {
    let site = site().await;
    for listed in [true, false] {
        let ((link, id), (other, _)) = (
            sign(&site, &site.token, "/dir/a", listed).await,
            sign(&site, &site.token, "/dir/a", listed).await,
        );
        assert_eq!(status(&site, &link).await, 200);
        if listed {
            revoke(&site, &site.token, Kind::Id(id.clone())).await.unwrap();
            revoke(&site, &site.token, Kind::Id(id)).await.unwrap();
        } else {
            let unknown = revoke(&site, &site.token, Kind::Id(id)).await.unwrap_err();
            assert_eq!(unknown.code(), Code::NotFound, "nobody knows where it leads");
            revoke(&site, &site.token, Kind::Url(link.clone())).await.unwrap();
            revoke(&site, &site.token, Kind::Url(link.clone())).await.unwrap();
        }
        let over = site.server.http("GET", &link, &[], "").await;
        assert_eq!(over.status, 401);
        assert!(!over.text().contains("hello"));
        assert_eq!(status(&site, &other).await, 200, "each by itself");
    }
    assert_eq!(list(&site, &site.token, "/").await, ["/dir/a"], "the one that is listed and lives");
}

#[tokio::test]
async fn a_link_is_taken_back_by_whatever_holds_its_token() {
    let site = site().await;
    let (link, _) = sign(&site, &site.token, "/dir/a", false).await;
    for wrap in [
        |link: &str| format!("https://files.example{link}"),
        |link: &str| format!("{link}&x=1#y"),
        |link: &str| link.split_once("access_token=").unwrap().1.to_owned(),
    ] {
        let (link, _) = sign(&site, &site.token, "/dir/a", false).await;
        revoke(&site, &site.token, Kind::Url(wrap(&link))).await.unwrap();
        assert_eq!(status(&site, &link).await, 401);
    }
    assert_eq!(status(&site, &link).await, 200);
    // Those of the original have no id, and can be taken back all the same.
    let claims = json!({
        "msg": {"c": {"read": true}, "s": {"l": {"p": "/dir/a"}}}, "aud": ["cacheroach"],
        "iat": site.server.now().seconds(), "iss": site.tenant.to_string(), "sub": site.owner.to_string(),
    });
    let old =
        format!("/_/v0/retrieve/a?access_token={}", jwt(&json!({"alg": "HS256", "typ": "JWT"}), &claims));
    assert_eq!(status(&site, &old).await, 200);
    revoke(&site, &site.token, Kind::Url(old.clone())).await.unwrap();
    assert_eq!(status(&site, &old).await, 401);
    for wrong in ["", "x", "https://files.example/", "?access_token=", &site.token, &format!("{link}x")] {
        let refused = revoke(&site, &site.token, Kind::Url(wrong.into())).await.unwrap_err();
        assert_eq!((refused.code(), refused.message()), (Code::NotFound, "link not found"), "{wrong}");
    }
}

#[tokio::test]
async fn p08_only_the_signer_and_who_rules_the_tenant_know_of_a_link() {
    let site = site().await;
    let (read, delegate) = (READ, Capabilities::DELEGATE);
    let signer = site.server.principal().await;
    let wide = site.server.issue(&on_tenant(signer, READ | WRITE, site.tenant, "/*")).await;
    let own = site.server.issue(&on_principal(signer, Capabilities::ALL, signer)).await;
    // Of the signer, but narrower than the link.
    let narrow = site.server.issue(&on_tenant(signer, read, site.tenant, "/other")).await;
    let writer = site.server.issue(&on_tenant(signer, WRITE, site.tenant, "/*")).await;
    let other_reader = site.token_for(read, "/*").await;
    let sub_ruler = site.token_for(read | WRITE | delegate, "/dir/*").await;
    let ruler = site.token_for(read | delegate, "/*").await;
    let elsewhere = {
        let (tenant, principal) = (site.server.tenant().await, site.server.principal().await);
        site.server.issue(&on_tenant(principal, Capabilities::ALL, tenant, "/*")).await
    };
    let superuser = site.server.issue(&on_everything(site.server.principal().await)).await;

    for (token, may, what) in [
        (&wide, true, "the signer"),
        (&own, true, "the signer, logged in"),
        (&ruler, true, "who rules the tenant"),
        (&superuser, true, "a superuser"),
        (&narrow, false, "a narrow session of the signer"),
        (&writer, false, "a session of the signer that can't read"),
        (&other_reader, false, "who may read the file"),
        (&sub_ruler, false, "who rules a part"),
        (&elsewhere, false, "who rules another tenant"),
    ] {
        let (link, id) = sign(&site, &wide, "/dir/a", true).await;
        for kind in [Kind::Id(id.clone()), Kind::Url(link.clone())] {
            match revoke(&site, token, kind).await {
                Ok(()) => assert!(may, "{what}"),
                Err(refused) => {
                    assert!(!may, "{what}: {refused}");
                    assert_eq!(
                        (refused.code(), refused.message()),
                        (Code::NotFound, "link not found"),
                        "{what}"
                    );
                }
            }
        }
        assert_eq!(status(&site, &link).await, if may { 401 } else { 200 }, "{what}");
        revoke(&site, &superuser, Kind::Id(id)).await.unwrap();
    }

    sign(&site, &wide, "/dir/a", true).await;
    sign(&site, &wide, "/other", true).await;
    drop_link(&site, &wide, "/dir/").await;
    sign(&site, &site.token, "/dir/b", true).await;
    for (token, path, shown) in [
        (&wide, "/", &["/dir/", "/dir/a", "/other"][..]),
        (&own, "/", &["/dir/", "/dir/a", "/other"]),
        (&wide, "/dir/", &["/dir/", "/dir/a"]),
        (&wide, "/dir/a", &["/dir/a"]),
        (&ruler, "/", &["/dir/", "/dir/a", "/dir/b", "/other"]),
        (&superuser, "/dir", &["/dir/", "/dir/a", "/dir/b"]),
        (&narrow, "/other", &["/other"]),
        (&writer, "/", &["/dir/"]),
        (&other_reader, "/", &[]),
        (&sub_ruler, "/dir/", &[]),
    ] {
        assert_eq!(list(&site, token, path).await, shown, "{path}");
    }
    for (token, path) in [(&narrow, "/"), (&narrow, "/dir/a"), (&sub_ruler, "/"), (&elsewhere, "/")] {
        let request = file::ListLinksRequest {
            tenant: Some(site.tenant.into()),
            path: path.into(),
            ..Default::default()
        };
        let refused = site.server.files(token).list_links(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{path}");
    }
}

#[tokio::test]
async fn a31_a_page_of_links_leaves_no_trace_of_what_it_does_not_show() {
    let site = site().await;
    let signer = site.server.principal().await;
    let wide = site.server.issue(&on_tenant(signer, READ | WRITE, site.tenant, "/*")).await;
    let narrow = site.server.issue(&on_tenant(signer, READ, site.tenant, "/dir/*")).await;
    let ask = async |cursor: String| {
        let (tenant, path) = (Some(site.tenant.into()), "/dir/".into());
        let request = file::ListLinksRequest { tenant, path, cursor, page_size: 1 };
        let page = site.server.files(&narrow).list_links(request).await.unwrap().into_inner();
        (page.links.into_iter().map(|link| link.path).collect::<Vec<_>>(), page.cursor)
    };
    // One may not be shown who can't write there.
    for secret in ["/dir/Z/", "/dir/aa/", "/dir/c/"] {
        drop_link(&site, &wide, secret).await;
    }
    assert_eq!(ask(String::new()).await, (Vec::new(), String::new()), "not even that there is more");
    sign(&site, &wide, "/dir/a", true).await;
    sign(&site, &wide, "/dir/b", true).await;
    let (first, cursor) = ask(String::new()).await;
    assert_eq!(first, ["/dir/a"]);
    assert_eq!(ask(cursor).await, (vec!["/dir/b".to_owned()], String::new()));
}

#[tokio::test]
async fn a_link_is_listed_with_all_that_bounds_it_and_its_uses() {
    let site = site().await;
    let request = file::RetrievalRequest {
        tenant: Some(site.tenant.into()),
        path: "/dir/a".into(),
        version: 1,
        valid_for: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
        download_name: "n.txt".into(),
        max_uses: 2,
        client_networks: vec!["127.0.0.0/8".into()],
        listed: false,
    };
    let signed = site.server.files(&site.token).retrieve(request).await.unwrap().into_inner();
    assert_eq!(status(&site, &signed.get_uri).await, 200);
    let request =
        file::ListLinksRequest { tenant: Some(site.tenant.into()), path: "/".into(), ..Default::default() };
    let listed = site.server.files(&site.token).list_links(request).await.unwrap().into_inner().links;
    let now = cacheroach_api::convert::timestamp(site.server.now());
    let expected = file::Link {
        id: signed.link_id,
        kind: link::Kind::Read.into(),
        tenant: Some(site.tenant.into()),
        path: "/dir/a".into(),
        version: 1,
        principal: Some(site.owner.into()),
        created_at: Some(now),
        expires_at: signed.expires_at,
        max_uses: 2,
        uses: 1,
        name: "n.txt".into(),
        client_networks: vec!["127.0.0.0/8".into()],
        max_size: 0,
        content_types: Vec::new(),
    };
    assert_eq!(listed, [expected]);
    site.server.advance(std::time::Duration::from_secs(60));
    assert_eq!(list(&site, &site.token, "/").await, [""; 0], "what is over is not listed");
}

#[tokio::test]
async fn a38_a_cursor_of_links_is_good_for_its_listing() {
    let site = site().await;
    for path in ["/dir/a", "/dir/b", "/other"] {
        sign(&site, &site.token, path, true).await;
    }
    let ask = async |path: &str, cursor: &str| {
        let request = file::ListLinksRequest {
            tenant: Some(site.tenant.into()),
            path: path.into(),
            cursor: cursor.into(),
            page_size: 1,
        };
        site.server.files(&site.token).list_links(request).await
    };
    let cursor = ask("/", "").await.unwrap().into_inner().cursor;
    assert_eq!(ask("/", &cursor).await.unwrap().into_inner().links[0].path, "/dir/b");
    let huge = "A".repeat(1 << 20);
    let mut edited = cursor.clone().into_bytes();
    edited[100] ^= 1;
    let edited = String::from_utf8(edited).unwrap();
    for wrong in ["x", "'", "%", "AAAA", huge.as_str(), edited.as_str(), &format!("{cursor}A")] {
        assert_eq!(ask("/", wrong).await.unwrap_err().code(), Code::InvalidArgument);
    }
    assert_eq!(ask("/dir/", &cursor).await.unwrap_err().code(), Code::InvalidArgument);
    let request = file::ListRequest {
        tenant: Some(site.tenant.into()),
        path: "/".into(),
        cursor: Some(file::Cursor { after: cursor, as_of: Some(prost_types::Timestamp::default()) }),
        ..Default::default()
    };
    assert_eq!(site.server.files(&site.token).list(request).await.unwrap_err().code(), Code::InvalidArgument);
}
