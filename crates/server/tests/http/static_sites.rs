//! Single-page apps and static sites: the index file, the page of the top for addresses without a file, the error page.

use cacheroach_api::vhost::{EnsureRequest, VHost};
use tonic::Code;

use crate::site::{READ, Site};
use crate::support::{Answer, vhost_of};

const PAGES: (&str, &str) = ("accept", "text/html,*/*;q=0.8");

async fn site(settings: VHost) -> Site {
    let site = Site::new().await;
    for (path, content) in [
        ("/index.html", "<h1>top</h1>"),
        ("/start.htm", "<h1>start</h1>"),
        ("/docs/index.html", "docs"),
        ("/docs/start.htm", "docs start"),
        ("/assets/app.js", "app()"),
        ("/404.html", "<h1>lost</h1>"),
    ] {
        site.put(path, content).await;
    }
    site.publish("site.example", "/*").await;
    let tenant_id = Some(site.tenant.into());
    site.server.ensure_vhost(VHost { vhost: "site.example".into(), tenant_id, ..settings }).await;
    site
}

async fn get(site: &Site, target: &str, headers: &[(&str, &str)]) -> Answer {
    let mut all = vec![("host", "site.example")];
    all.extend_from_slice(headers);
    site.server.http("GET", target, &all, "").await
}

#[tokio::test]
async fn a_directory_is_shown_as_the_file_that_is_named() {
    let site = site(VHost { index: "start.htm".into(), ..Default::default() }).await;
    assert_eq!(get(&site, "/", &[]).await.text(), "<h1>start</h1>");
    assert_eq!(get(&site, "/docs/", &[]).await.text(), "docs start");
    for target in ["/start.htm", "/docs/start.htm"] {
        let answer = get(&site, &format!("{target}?q=1"), &[]).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (301, "./?q=1"), "{target}");
    }
    let plain = get(&site, "/docs/index.html", &[]).await;
    assert_eq!((plain.status.as_u16(), plain.text()), (200, "docs"), "a file like any other");
    assert!(get(&site, "/assets/", &[]).await.text().contains("app.js"), "without one it is listed");
}

#[tokio::test]
async fn an_app_shows_its_page_where_no_file_is() {
    let site = site(VHost { spa: true, ..Default::default() }).await;
    for (target, headers) in [
        ("/users", &[][..]),
        ("/users/7/", &[]),
        ("/users/a.b", &[PAGES]),
        ("/none.js", &[PAGES]),
        ("/docs/x/y?q=1", &[]),
    ] {
        for method in ["GET", "HEAD"] {
            let mut all = vec![("host", "site.example")];
            all.extend_from_slice(headers);
            let answer = site.server.http(method, target, &all, "").await;
            assert_eq!(answer.status, 200, "{method} {target}");
            assert!(answer.header("content-type").starts_with("text/html"), "{target}");
            assert_eq!(answer.text(), if method == "GET" { "<h1>top</h1>" } else { "" });
        }
    }
    for (target, headers) in
        [("/none.js", &[][..]), ("/a.b/none.css", &[("accept", "text/css")]), ("/x?version=7", &[])]
    {
        assert_eq!(get(&site, target, headers).await.status, 404, "{target}: a page needs that very file");
    }
    assert_eq!(get(&site, "/assets/app.js", &[]).await.text(), "app()");
    assert_eq!(get(&site, "/docs/", &[PAGES]).await.text(), "docs");
    assert_eq!(get(&site, "/docs", &[PAGES]).await.status, 301);
    assert_eq!(site.server.http("OPTIONS", "/users", &[("host", "site.example")], "").await.status, 404);
    let tag = get(&site, "/users", &[]).await.header("etag").to_owned();
    assert_eq!(get(&site, "/users", &[("if-none-match", &tag)]).await.status, 304);
}

#[tokio::test]
async fn the_error_page_stands_where_nothing_is() {
    let site = site(VHost { error_page: "/404.html".into(), ..Default::default() }).await;
    for headers in
        [&[][..], &[PAGES], &[("range", "bytes=0-1")], &[("if-none-match", "*")], &[("if-match", "\"x\"")]]
    {
        let answer = get(&site, "/none", headers).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (404, "<h1>lost</h1>"), "{headers:?}");
        assert!(answer.header("content-type").starts_with("text/html"));
        assert_eq!((answer.header("etag"), answer.header("cache-control")), ("", "no-store"));
        assert!(answer.header("content-security-policy").contains("sandbox"), "it is a user's content too");
    }
    let head = site.server.http("HEAD", "/none", &[("host", "site.example")], "").await;
    assert_eq!((head.status.as_u16(), head.header("content-length")), (404, "13"));
    assert_eq!(get(&site, "/404.html", &[]).await.status, 200);
    site.ask("DELETE", "/404.html", &[], "").await;
    assert_eq!(get(&site, "/none", &[]).await.text(), "404 page not found\n");
}

#[tokio::test]
async fn a32_d14_what_is_not_ones_own_looks_like_what_is_not_there() {
    let settings = VHost { error_page: "/404.html".into(), spa: true, ..Default::default() };
    let site = site(settings).await;
    site.put("/private/there", "secret").await;
    // The public grant is taken away: whoever comes has a session of some paths only.
    let other = site.server.tenant().await;
    site.server.put(other, "/404.html", "not yours").await;
    site.server.put(other, "/private/there", "secret").await;
    let theirs = VHost {
        vhost: "theirs.example".into(),
        error_page: "/404.html".into(),
        spa: true,
        ..vhost_of(other)
    };
    site.server.ensure_vhost(theirs).await;
    let principal = site.server.principal().await;
    let issue =
        async |path: &str| site.server.issue(&crate::support::on_tenant(principal, READ, other, path)).await;
    let (nothing, page) = (issue("/else").await, issue("/404.html").await);
    for accept in ["*/*", "text/html", "application/json"] {
        for (token, may_read_page) in [(&nothing, false), (&page, true)] {
            let bearer = format!("Bearer {token}");
            let ask = async |target: &str| {
                let headers =
                    [("host", "theirs.example"), ("authorization", bearer.as_str()), ("accept", accept)];
                site.server.http("GET", target, &headers, "").await
            };
            let (there, missing) = (ask("/private/there").await, ask("/private/none").await);
            assert_eq!(there.status, 404, "{accept}");
            assert_eq!((&there.body, there.undated()), (&missing.body, missing.undated()), "{accept}");
            assert_eq!(there.text() == "not yours", may_read_page, "{accept}");
            for header in ["if-none-match", "if-match", "if-range"] {
                let headers = [
                    ("host", "theirs.example"),
                    ("authorization", bearer.as_str()),
                    ("accept", accept),
                    (header, "*"),
                ];
                let with = site.server.http("GET", "/private/there", &headers, "").await;
                assert_eq!((with.status, &with.body), (there.status, &there.body), "{header}");
            }
        }
    }
    let anonymous = site.server.http("GET", "/private/there", &[("host", "theirs.example")], "").await;
    assert_eq!(anonymous.status, 401);
    let anonymous = site.server.http("GET", "/private/none", &[("host", "theirs.example")], "").await;
    assert_eq!(anonymous.status, 401, "an app is shown to those who may read there");
}

#[tokio::test]
async fn settings_of_all_hosts_are_not_for_other_tenants() {
    let site = site(VHost::default()).await;
    let all = VHost { vhost: "*".into(), spa: true, index: "start.htm".into(), ..vhost_of(site.tenant) };
    site.server.ensure_vhost(all).await;
    assert_eq!(site.server.http("GET", "/", &[("host", "any.example")], "").await.text(), "<h1>start</h1>");
    let other = site.server.tenant().await;
    site.server.put(other, "/index.html", "theirs").await;
    let principal = site.server.principal().await;
    let token = site.server.issue(&crate::support::on_tenant(principal, READ, other, "/*")).await;
    assert_eq!(site.server.http_as(&token, "GET", "/", "any.example").await.text(), "theirs");
    assert_eq!(site.server.http_as(&token, "GET", "/users", "any.example").await.status, 404);
}

#[tokio::test]
async fn what_is_no_name_or_path_is_refused_and_an_old_client_resets() {
    let site = site(VHost { spa: true, index: "start.htm".into(), ..Default::default() }).await;
    let ensure = async |vhost: VHost| {
        let vhost = VHost { vhost: "site.example".into(), tenant_id: Some(site.tenant.into()), ..vhost };
        let request = EnsureRequest { vhost: Some(vhost), delete: false };
        site.server.vhosts(&site.server.super_token()).ensure(request).await
    };
    for index in ["a/b", "/a", "..", ".", "a\n", &"a".repeat(256)] {
        let refused = ensure(VHost { index: index.into(), ..Default::default() }).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{index:?}");
        assert!(refused.message().starts_with("vhost.index: "), "{}", refused.message());
    }
    for path in ["a", "/", "/a\0"] {
        let refused = ensure(VHost { error_page: path.into(), ..Default::default() }).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{path:?}");
        assert!(refused.message().starts_with("vhost.error_page: "), "{}", refused.message());
    }
    assert_eq!(get(&site, "/", &[]).await.text(), "<h1>start</h1>");
    ensure(VHost::default()).await.unwrap();
    assert_eq!(get(&site, "/", &[]).await.text(), "<h1>top</h1>");
    assert_eq!(get(&site, "/users", &[]).await.status, 404);
}
