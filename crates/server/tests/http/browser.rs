//! What a browser is told: which hosts carry logins, what uploaded pages may do, and who may embed what.

use cacheroach_api::vhost::VHost;
use cacheroach_model::TenantId;

use crate::site::{READ, Site};
use crate::support::{Answer, on_tenant, vhost_of};

const PAGE: &str = "<!doctype html><script>document.title = document.cookie</script>";

fn policy(answer: &Answer) -> Vec<&str> {
    answer
        .header("content-security-policy")
        .split(';')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect()
}

/// A site at `login.example` and `content.example`, the first of them as told; `*` stays as it is.
async fn site(login: bool) -> Site {
    let site = Site::new().await;
    for name in ["/x.html", "/x.svg", "/x.xml", "/x.pdf", "/dir/index.html", "/dir/other"] {
        site.put(name, PAGE).await;
    }
    let at = |host: &str, login| VHost { vhost: host.into(), login, ..vhost_of(site.tenant) };
    site.server.ensure_vhost(at("content.example", false)).await;
    site.server.ensure_vhost(at("login.example", login)).await;
    site
}

async fn by_cookie(site: &Site, host: &str, target: &str, more: &[(&str, &str)]) -> Answer {
    let cookie = format!("authorization={}", site.token);
    let mut headers = vec![("host", host), ("cookie", cookie.as_str())];
    headers.extend_from_slice(more);
    site.server.http("GET", target, &headers, "").await
}

#[tokio::test]
async fn a71_as_long_as_no_host_is_named_cookies_count_and_pages_are_sandboxed_everywhere() {
    let site = site(false).await;
    for host in ["login.example", "content.example"] {
        for target in ["/x.html", "/x.svg", "/x.xml", "/x.pdf", "/dir/"] {
            let answer = by_cookie(&site, host, target, &[]).await;
            assert_eq!(answer.status, 200, "{host} {target}");
            assert_eq!(policy(&answer), ["sandbox", "frame-ancestors 'none'"], "{host} {target}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
        }
    }
}

#[tokio::test]
async fn a71_d7_content_on_other_hosts_runs_free_and_no_cookie_counts_there() {
    let site = site(true).await;
    let link = site.link(&site.token, "/x.html", 0, None).await;
    for target in ["/x.html", "/x.svg", "/x.xml", "/x.pdf", "/dir/", &link] {
        let answer = by_cookie(&site, "login.example", target, &[]).await;
        assert_eq!(answer.status, 200, "{target}");
        assert_eq!(policy(&answer), ["sandbox", "frame-ancestors 'none'"], "{target}");
        let answer = site.get_with(target, &[("host", "content.example")]).await;
        if target != link {
            assert_eq!(by_cookie(&site, "content.example", target, &[]).await.status, 401, "{target}");
            assert_eq!(answer.status, 200, "a token that is presented counts: {target}");
        }
        assert_eq!(policy(&answer), [] as [&str; 0], "{target}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    // A signed URL can be any tenant's, at any host: its script must not run in the origin of that host's site.
    let kept = site.server.http("GET", &link, &[("host", "content.example")], "").await;
    assert_eq!((kept.status.as_u16(), policy(&kept)), (200, vec!["sandbox", "frame-ancestors 'none'"]));
    // Nor must a page of another tenant, whose session is shown its own files where no host is named for them.
    let other = site.server.tenant().await;
    site.server.put(other, "/evil.html", "<script></script>").await;
    let stranger = on_tenant(site.server.principal().await, READ, other, "/*");
    let stranger = site.server.issue(&stranger).await;
    let foreign = site.server.http_as(&stranger, "GET", "/evil.html", "unnamed.example").await;
    assert_eq!((foreign.status.as_u16(), policy(&foreign)), (200, vec!["sandbox", "frame-ancestors 'none'"]));
    let listing = site.get_with("/", &[("host", "content.example")]).await;
    assert!(policy(&listing).contains(&"default-src 'none'"), "a page of ours is as it is");
    // A host that is not named is `*`, which carries none.
    let answer = by_cookie(&site, "other.example", "/x.html", &[]).await;
    assert_ne!(answer.status, 200);
    let all = VHost { vhost: "*".into(), login: true, ..vhost_of(TenantId::SCRATCHPAD) };
    site.server.ensure_vhost(all).await;
    assert_eq!(by_cookie(&site, "other.example", "/x.html", &[]).await.status, 200);
    assert_eq!(by_cookie(&site, "content.example", "/x.html", &[]).await.status, 401);
}

#[tokio::test]
async fn a75_a_cookie_is_not_even_looked_at_where_none_counts() {
    let site = site(true).await;
    for cookie in ["authorization=stale", "__Host-authorization=stale"] {
        let answer =
            site.server.http("GET", "/x.html", &[("host", "content.example"), ("cookie", cookie)], "").await;
        assert_eq!((answer.status.as_u16(), answer.header("set-cookie")), (401, ""));
    }
    let cookie = format!("authorization={}", site.token);
    for method in ["PUT", "POST", "DELETE"] {
        let headers = [("host", "content.example"), ("cookie", cookie.as_str())];
        assert_eq!(site.server.http(method, "/x.html", &headers, "evil").await.status, 401, "{method}");
    }
}

#[tokio::test]
async fn d7_pages_of_logins_are_on_their_hosts_only() {
    let site = site(true).await;
    for target in ["/_/v0/config", "/_/v0/provision", "/_/v0/login", "/_/v0/none", "/_/", "/%5F/v0/config"] {
        let answer = by_cookie(&site, "content.example", target, &[]).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (404, "404 page not found\n"), "{target}");
    }
    let config = by_cookie(&site, "login.example", "/_/v0/config", &[]).await;
    assert_eq!(config.status, 200);
    assert_eq!(config.header("cross-origin-resource-policy"), "same-origin");
}

#[tokio::test]
async fn d7_naming_a_host_and_taking_it_back_acts_at_once() {
    let site = site(true).await;
    let login = |login| VHost { vhost: "login.example".into(), login, ..vhost_of(site.tenant) };
    let free = async || policy(&site.get_with("/x.html", &[("host", "content.example")]).await).is_empty();
    for _ in 0..3 {
        assert!(free().await);
        site.server.ensure_vhost(login(false)).await;
        assert!(!free().await);
        site.server.ensure_vhost(login(true)).await;
    }
    let tenant =
        cacheroach_api::tenant::Tenant { id: Some(site.tenant.into()), version: 1, ..Default::default() };
    let request = cacheroach_api::tenant::EnsureRequest { tenant: Some(tenant), delete: true };
    site.server.tenants(&site.server.super_token()).ensure(request).await.unwrap();
    let gone = site.server.http("GET", "/", &[("host", "content.example")], "").await;
    assert!(
        gone.text().contains("Hello World!"),
        "the host of a deleted tenant is that of all others, at once"
    );
    assert!(!policy(&gone).is_empty(), "and no host is named any more");
}

#[tokio::test]
async fn vhosts_of_another_server_are_seen_within_five_seconds() {
    let site = site(false).await;
    let old = site.server.tenant().await;
    site.server.vhost("moved.example", old).await;
    let shown = async || {
        site.server.http_as(&site.server.super_token(), "GET", "/x.html", "moved.example").await.status
    };
    assert_eq!(shown().await, 404);
    // As if another server of the same store had done it.
    let database = rusqlite::Connection::open(site.server.dir().join("metadata.sqlite")).unwrap();
    let moved = database
        .execute(
            "UPDATE vhosts SET tenant = ? WHERE host = 'moved.example'",
            [site.tenant.as_bytes().as_slice()],
        )
        .unwrap();
    assert_eq!(moved, 1);
    assert_eq!(shown().await, 404, "the table is not read for each request");
    site.server.advance(std::time::Duration::from_secs(5));
    assert_eq!(shown().await, 200);
}

#[tokio::test]
async fn a72_what_was_uploaded_adds_no_header() {
    let site = site(true).await;
    for kind in ["text/html\r\nset-cookie: a=b", "text/html; x=\"\r\n\"", "\u{e9}/x"] {
        let bytes = format!(
            "{}Content-Type: {kind}\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx",
            site.head("PUT", "/typed")
        );
        let _ = crate::wire::exchange_open(site.server.addr(), bytes).await;
        let answer = site.get("/typed").await;
        assert_eq!(answer.header("set-cookie"), "", "{kind:?}");
    }
    for name in ["/a%22b", "/a%3Cscript%3E", "/%C3%A9%E2%80%AE.html", "/a;b=c,d"] {
        site.put(name, "x").await;
        let answer = site.get(name).await;
        assert_eq!((answer.status.as_u16(), answer.header("set-cookie")), (200, ""), "{name}");
    }
    let missing = site.get_with("/%3Cscript%3Ealert(1)%3C%2Fscript%3E", &[("accept", "text/html")]).await;
    assert!(!missing.text().contains("<script"), "{}", missing.text());
}

#[tokio::test]
async fn a73_grpc_as_plain_text_is_no_grpc() {
    let site = site(false).await;
    let cookie = format!("authorization={}", site.token);
    for kind in ["text/plain", "application/grpc-web-text", "application/grpc-web", "application/grpc+proto"]
    {
        let headers = [
            ("host", "login.example"),
            ("cookie", cookie.as_str()),
            ("content-type", kind),
            ("origin", "https://evil.example"),
        ];
        let answer = site.server.http("POST", "/cacheroach.file.Files/Delete", &headers, "\0\0\0\0\0").await;
        assert_eq!(answer.status, 403, "{kind}: {answer:?}");
        assert_eq!(answer.header("grpc-status"), "", "{kind}");
    }
    assert_eq!(site.version("/x.html").await, 1);
}

#[tokio::test]
async fn a76_nothing_where_a_login_can_be_is_framed_or_embedded_by_others() {
    let site = site(true).await;
    for (target, accept) in [
        ("/x.html", "*/*"),
        ("/dir/other", "*/*"),
        ("/", "text/html"),
        ("/none", "text/html"),
        ("/none", "application/json"),
    ] {
        let answer = by_cookie(&site, "login.example", target, &[("accept", accept)]).await;
        assert!(policy(&answer).contains(&"frame-ancestors 'none'"), "{target} {accept}: {answer:?}");
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin", "{target}");
    }
    let embedded = site.get_with("/x.svg", &[("host", "content.example")]).await;
    assert_eq!(
        embedded.header("cross-origin-resource-policy"),
        "",
        "what is presented on purpose may be embedded"
    );
}

#[tokio::test]
async fn a45_a_page_whose_url_holds_a_token_tells_nobody() {
    let site = site(true).await;
    for target in ["/x.html", "/dir/", "/dir", "/none", "//x.html"] {
        let target = format!("{target}?access_token={}", site.token);
        let answer = site.server.http("GET", &target, &[("host", "content.example")], "").await;
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{target}: {answer:?}");
    }
    assert_eq!(site.get("/x.html").await.header("referrer-policy"), "");
}

#[tokio::test]
async fn a49_a_session_of_another_tenant_sees_what_nobody_sees() {
    let site = site(true).await;
    let other = site.server.tenant().await;
    let principal = site.server.principal().await;
    let theirs = site.server.issue(&on_tenant(principal, READ, other, "/*")).await;
    let bearer = format!("Bearer {theirs}");
    for accept in ["*/*", "text/html", "application/json"] {
        let ask = async |target: &str| {
            let headers =
                [("host", "content.example"), ("authorization", bearer.as_str()), ("accept", accept)];
            site.server.http("GET", target, &headers, "").await
        };
        let (there, missing) = (ask("/x.html").await, ask("/none").await);
        assert_eq!((there.status.as_u16(), &there.body), (404, &missing.body));
        assert_eq!(there.undated(), missing.undated());
    }
}
