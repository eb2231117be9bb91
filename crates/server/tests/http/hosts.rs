//! Which tenant a host shows, and what a session makes of it.

use cacheroach_api::vhost;
use cacheroach_model::PrincipalId;
use http::Request;

use crate::site::{READ, Site, WRITE};
use crate::support::on_tenant;
use crate::wire::{exchange_open, h2, h2_get, replies, without_date};

/// A site with a public file `/who` that says `a`, at `a.example` and others.
async fn site() -> Site {
    let site = Site::new().await;
    site.put("/who", "a").await;
    site.publish("a.example", "/*").await;
    site
}

async fn who(site: &Site, host: &str) -> (u16, String) {
    let request = format!("GET /who HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let reply = replies(&exchange_open(site.server.addr(), request).await).remove(0);
    (reply.status, String::from_utf8(reply.body).unwrap())
}

#[tokio::test]
async fn a46_a_host_is_known_however_it_is_spelled() {
    let site = site().await;
    for host in ["a.example", "A.Example", "a.example:80", "a.example:13013", "a.example.", "A.EXAMPLE.:443"]
    {
        assert_eq!(who(&site, host).await, (200, "a".into()), "{host}");
    }
    site.server.vhost("[::1]", site.tenant).await;
    site.server.vhost("xn--bcher-kva.example", site.tenant).await;
    site.server.vhost("Upper.Example", site.tenant).await;
    for host in ["[::1]", "[::1]:8080", "XN--Bcher-KVA.example", "upper.example"] {
        assert_eq!(who(&site, host).await, (200, "a".into()), "{host}");
    }
}

#[tokio::test]
async fn a46_what_is_no_host_or_an_unknown_one_shows_no_tenant_of_a_name() {
    let site = site().await;
    let long = "a".repeat(300);
    for host in [
        "",
        "user@a.example",
        "user:pass@a.example",
        "a.example@evil",
        "a.example:80:80",
        "a.example:port",
        "a.example:999999",
        "a.example/",
        "a.example/who",
        "http://a.example",
        "a.example,b.example",
        "a.example b.example",
        "a.example..",
        ".a.example",
        "*",
        "b\u{fc}cher.example",
        "[::1",
        "[::1]x",
        "%61.example",
        "a.example%00",
        &long,
        &format!("{long}.example"),
        "sub.a.example",
        "xa.example",
        "a.example.evil",
        "localhost",
        "127.0.0.1",
    ] {
        let (status, body) = who(&site, host).await;
        assert!([400, 404].contains(&status), "{host}: {status}");
        assert_ne!(body, "a", "{host}");
    }
}

#[tokio::test]
async fn a_host_that_is_not_named_falls_to_the_star_and_without_that_shows_nothing() {
    let site = site().await;
    let other = site.server.http("GET", "/", &[("host", "unknown.example")], "").await;
    assert!(other.text().contains("Hello World!"), "the scratchpad");
    let scratchpad = Some(cacheroach_model::TenantId::SCRATCHPAD.into());
    let any = vhost::VHost { vhost: "*".into(), tenant_id: scratchpad, ..Default::default() };
    let request = vhost::EnsureRequest { vhost: Some(any), delete: true };
    site.server.vhosts(&site.server.super_token()).ensure(request).await.unwrap();
    for target in ["/", "/index.html", "/who", "/none", "/who/"] {
        for method in ["GET", "PUT", "DELETE"] {
            let answer = site.server.http(method, target, &[("host", "unknown.example")], "").await;
            assert_eq!((answer.status.as_u16(), answer.text()), (404, ""), "{method} {target}");
        }
    }
    assert_eq!(who(&site, "a.example").await, (200, "a".into()));
    site.server.vhost("*", site.tenant).await;
    assert_eq!(who(&site, "unknown.example").await, (200, "a".into()), "at once");
}

#[tokio::test]
async fn a47_a_request_for_two_hosts_is_for_none() {
    let site = site().await;
    let addr = site.server.addr();
    for request in [
        "GET /who HTTP/1.1\r\nHost: a.example\r\nHost: a.example\r\n",
        "GET /who HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n",
        "GET /who HTTP/1.1\r\nHost: b.example\r\nhost: a.example\r\n",
        "GET http://a.example/who HTTP/1.1\r\nHost: b.example\r\n",
        "GET http://b.example/who HTTP/1.1\r\nHost: a.example\r\n",
        "GET http://user@a.example/who HTTP/1.1\r\nHost: a.example\r\n",
        "GET http://a.example/who HTTP/1.1\r\nHost: \r\n",
        "GET /who HTTP/1.1\r\n",
    ] {
        let answer = exchange_open(addr, format!("{request}Connection: close\r\n\r\n")).await;
        assert_eq!(replies(&answer)[0].status, 400, "{request}");
    }
    let answer = exchange_open(
        addr,
        "GET http://a.example/who HTTP/1.1\r\nHost: A.example:80\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(replies(&answer.await)[0].body, b"a", "the same host twice is one");
}

#[tokio::test]
async fn a47_the_same_over_http_2() {
    let site = site().await;
    let client = h2(site.server.addr()).await;
    let get = |authority: &str, host: Option<&str>| {
        let request = Request::builder().uri(format!("http://{authority}/who"));
        let request = match host {
            Some(host) => request.header("host", host),
            None => request,
        };
        request.body(()).unwrap()
    };
    let (status, _, body) = h2_get(&client, get("a.example", None)).await.unwrap();
    assert_eq!((status, body.as_slice()), (200, &b"a"[..]));
    for (authority, host) in [("b.example", "a.example"), ("a.example", "b.example")] {
        match h2_get(&client, get(authority, Some(host))).await {
            Ok((status, _, body)) => {
                assert_eq!(status, 400, "{authority} {host}");
                assert_ne!(body, b"a");
            }
            Err(error) => assert!(error.is_reset() || error.is_remote(), "{error}"),
        }
    }
}

#[tokio::test]
async fn a48_what_a_stranger_says_of_a_proxy_is_ignored() {
    let site = site().await;
    for (name, value) in [
        ("x-forwarded-host", "a.example"),
        ("x-host", "a.example"),
        ("forwarded", "host=a.example;proto=https"),
        ("x-original-url", "/who"),
        ("x-rewrite-url", "/who"),
        ("x-forwarded-server", "a.example"),
    ] {
        let answer = site.server.http("GET", "/who", &[("host", "unknown.example"), (name, value)], "").await;
        assert_eq!(answer.status, 404, "{name}");
        let answer = site.server.http("GET", "/none", &[("host", "a.example"), (name, value)], "").await;
        assert_eq!(answer.status, 404, "{name}");
    }
    let headers = [("host", "a.example"), ("x-forwarded-proto", "https"), ("x-forwarded-for", "127.0.0.1")];
    let answer = site.server.http("GET", "/_/v0/config", &headers, "").await;
    let config: serde_json::Value = serde_json::from_str(answer.text()).unwrap();
    assert_eq!(config["Insecure"], true);
    assert_eq!(config["Host"], "a.example:80");
}

#[tokio::test]
async fn a49_d18_a_session_of_another_tenant_sees_nothing_at_a_named_host() {
    let site = site().await;
    let other = site.server.tenant().await;
    site.server.put(other, "/who", "b").await;
    let principal = site.server.principal().await;
    let theirs = site.server.issue(&on_tenant(principal, READ | WRITE, other, "/*")).await;
    let bearer = format!("Bearer {theirs}");
    let mut answers = Vec::new();
    for target in ["/who", "/none", "/", "/who/"] {
        for method in ["GET", "PUT", "DELETE"] {
            let headers = [("host", "a.example"), ("authorization", bearer.as_str())];
            let answer = site.server.http(method, target, &headers, "evil").await;
            assert_eq!(answer.status, 404, "{method} {target}");
            assert_ne!(answer.text(), "a");
            assert_ne!(answer.text(), "b");
        }
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: a.example\r\nAuthorization: {bearer}\r\nConnection: close\r\n\r\n"
        );
        answers.push(without_date(&exchange_open(site.server.addr(), request).await));
    }
    assert_eq!(answers[0], answers[1], "there or not, it is the same");
    assert_eq!(site.version("/who").await, 1);
    assert_eq!(site.server.http_as(&theirs, "GET", "/who", "unknown.example").await.text(), "b");
    assert_eq!(site.server.http_as(&site.token, "GET", "/who", "unknown.example").await.text(), "a");
    assert_eq!(site.server.http_as(&site.token, "GET", "/who", "a.example").await.text(), "a");
}

#[tokio::test]
async fn d18_a_session_without_a_tenant_goes_where_the_host_leads() {
    let site = site().await;
    let other = site.server.tenant().await;
    site.server.vhost("b.example", other).await;
    site.server.put(other, "/who", "b").await;
    let all = site.server.super_token();
    assert_eq!(site.server.http_as(&all, "GET", "/who", "a.example").await.text(), "a");
    assert_eq!(site.server.http_as(&all, "GET", "/who", "b.example").await.text(), "b");
    let anonymous = site.server.http_as("", "GET", "/who", "b.example").await;
    assert_eq!(anonymous.status, 401, "what is public at one host is not at another");
    site.server.issue(&on_tenant(PrincipalId::UNAUTHENTICATED, READ, other, "/who")).await;
    assert_eq!(site.server.http_as("", "GET", "/who", "b.example").await.text(), "b", "at once (C4)");
    assert_eq!(site.server.http_as("", "GET", "/who", "a.example").await.text(), "a");
}
