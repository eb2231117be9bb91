//! Signed URLs: what they are good for, and when they end.

use std::time::Duration;

use cacheroach_api::{file, token};
use cacheroach_model::{Capabilities, PrincipalId};
use tonic::Code;

use crate::site::{READ, Site, WRITE, sha256};
use crate::support::{Answer, on_everything, on_principal, on_tenant};

async fn follow(site: &Site, link: &str) -> Answer {
    site.server.http("GET", link, &[("host", "localhost")], "").await
}

/// A site with a file `/dir/f`, and a link to it by the owner.
async fn site() -> (Site, String) {
    let site = Site::new().await;
    site.put("/dir/f", "hello").await;
    let link = site.link(&site.token, "/dir/f", 0, None).await;
    (site, link)
}

fn token_of(link: &str) -> &str {
    link.split_once("access_token=").unwrap().1
}

#[tokio::test]
async fn a_link_gives_its_file_to_whoever_has_it() {
    let (site, link) = site().await;
    assert!(link.starts_with("/_/v0/retrieve/f?access_token="), "{link}");
    let answer = follow(&site, &link).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "hello"));
    assert_eq!(answer.header("etag"), format!("\"{}\"", sha256(b"hello")));
    assert_eq!(answer.header("accept-ranges"), "bytes");
    let tag = answer.header("etag").to_owned();
    for (name, value, status, body) in [
        ("range", "bytes=1-2", 206, "el"),
        ("range", "bytes=9-", 416, ""),
        ("if-none-match", tag.as_str(), 304, ""),
        ("if-match", "\"x\"", 412, ""),
    ] {
        let answer = site.server.http("GET", &link, &[(name, value)], "").await;
        assert_eq!(answer.status, status, "{name}: {value}");
        assert!(status == 416 || answer.text() == body, "{name}: {value}");
    }
    let head = site.server.http("HEAD", &link, &[], "").await;
    assert_eq!((head.status.as_u16(), head.header("content-length"), head.text()), (200, "5", ""));
}

#[tokio::test]
async fn a_link_does_not_depend_on_the_host_the_name_or_the_method() {
    let (site, link) = site().await;
    let other = site.server.tenant().await;
    site.server.vhost("other.example", other).await;
    for host in ["localhost", "other.example", "unknown.example"] {
        assert_eq!(site.server.http("GET", &link, &[("host", host)], "").await.text(), "hello", "{host}");
    }
    for name in ["", "x", "f/g", "dir%2Ff", "..%2e", "%00"] {
        let renamed = link.replace("/retrieve/f?", &format!("/retrieve/{name}?"));
        let answer = follow(&site, &renamed).await;
        assert!([200, 301, 400].contains(&answer.status.as_u16()), "{name}: {answer:?}");
        if answer.status == 200 {
            assert_eq!(answer.text(), "hello");
        }
    }
    let bearer = format!("Bearer {}", token_of(&link));
    let cookie = format!("authorization={}", token_of(&link));
    for header in [("authorization", bearer.as_str()), ("cookie", &cookie)] {
        let answer = site.server.http("GET", "/_/v0/retrieve/f", &[header], "").await;
        assert_eq!(answer.text(), "hello", "{header:?}");
    }
}

#[tokio::test]
async fn a_name_of_any_kind_can_be_linked_to() {
    let site = Site::new().await;
    for path in ["/a%20b", "/%25", "/%3Fx=1", "/%23", "/%C3%BC", "/a%26b=c", "/d/%22%3E", "/a+b"] {
        site.put(path, path).await;
        let stored = percent_encoding::percent_decode_str(path).decode_utf8().unwrap().into_owned();
        let link = site.link(&site.token, &stored, 0, None).await;
        assert_eq!(follow(&site, &link).await.text(), path, "{link}");
    }
}

#[tokio::test]
async fn a40_any_change_of_the_token_ends_it() {
    let (site, link) = site().await;
    site.put("/dir/other", "other").await;
    let good = token_of(&link);
    let parts: Vec<&str> = good.split('.').collect();
    let other = site.link(&site.token, "/dir/other", 0, None).await;
    let other: Vec<&str> = token_of(&other).split('.').collect();
    let mut bad: Vec<String> = vec![
        format!("{}.{}.{}", parts[0], other[1], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{good}."),
        format!("{good}%3D"),
        format!("{good}A"),
        format!("%20{good}"),
        format!("{good}%20"),
        format!("{good}%0A"),
        good.to_lowercase(),
        "x".into(),
    ];
    for (at, was) in good.char_indices().filter(|(_, c)| *c != '.') {
        let next = match was {
            'z' => 'A',
            'Z' => '0',
            '9' => '-',
            '-' => '_',
            '_' => 'a',
            c => char::from(c as u8 + 1),
        };
        bad.push(format!("{}{next}{}", &good[..at], &good[at + 1..]));
    }
    for token in bad {
        let answer = follow(&site, &format!("/_/v0/retrieve/f?access_token={token}")).await;
        assert_eq!(answer.status, 401, "{token}");
        assert!(!answer.text().contains("hello") && !answer.text().contains("other"), "{token}");
    }
    for target in ["/_/v0/retrieve/f", "/_/v0/retrieve/f?access_token="] {
        assert_eq!(follow(&site, target).await.status, 401, "{target}");
    }
    assert_eq!(follow(&site, &link).await.text(), "hello");
}

#[tokio::test]
async fn a40_what_else_is_in_the_query_has_no_effect() {
    let (site, link) = site().await;
    site.put("/dir/other", "other").await;
    for more in
        ["&path=/dir/other", "&version=9", "&tenant=x", "&exp=1", "&access_token=x", "&p=%2Fdir%2Fother"]
    {
        assert_eq!(follow(&site, &format!("{link}{more}")).await.text(), "hello", "{more}");
    }
}

#[tokio::test]
async fn a41_d4_the_token_of_a_link_is_good_nowhere_else() {
    let (site, link) = site().await;
    site.publish("public.example", "/public").await;
    let good = token_of(&link);
    for method in ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"] {
        for path in ["/dir/f", "/dir/", "/dir/other", "/public", "/_/v0/config"] {
            let bearer = format!("Bearer {good}");
            let answer = site.server.http(method, path, &[("authorization", &bearer)], "evil").await;
            assert_eq!(answer.status, 401, "{method} {path} by header");
            let target = format!("{path}?access_token={good}");
            let answer = site.server.http(method, &target, &[], "evil").await;
            assert_eq!(answer.status, 401, "{method} {path} by query");
            let cookie = format!("authorization={good}");
            let headers = [("cookie", cookie.as_str()), ("host", "public.example")];
            let answer = site.server.http(method, path, &headers, "evil").await;
            if path.starts_with("/dir") {
                assert_eq!(answer.status, 401, "{method} {path} by cookie");
            }
        }
    }
    let mut tokens = site.server.tokens(good);
    assert_eq!(tokens.current(()).await.unwrap_err().code(), Code::Unauthenticated);
    let request =
        file::DeleteRequest { tenant: Some(site.tenant.into()), path: "/dir/f".into(), ..Default::default() };
    let refused = site.server.files(good).delete(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let request = file::RetrievalRequest {
        tenant: Some(site.tenant.into()),
        path: "/dir/f".into(),
        ..Default::default()
    };
    let refused = site.server.files(good).retrieve(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert_eq!(site.version("/dir/f").await, 1);
}

#[tokio::test]
async fn a41_a_link_is_for_reading() {
    let (site, link) = site().await;
    for method in ["PUT", "POST", "DELETE", "PATCH"] {
        let answer = site.server.http(method, &link, &[], "evil").await;
        assert!(answer.status.is_client_error(), "{method}: {}", answer.status);
        assert!(!answer.text().contains("hello"), "{method}");
    }
    assert_eq!(site.paths().await, ["/dir/f"]);
    assert_eq!(site.version("/dir/f").await, 1);
    assert_eq!(follow(&site, &link).await.text(), "hello");
}

#[tokio::test]
async fn a42_a_link_lives_as_long_as_was_asked() {
    let (site, durable) = site().await;
    let short = site.link(&site.token, "/dir/f", 0, Some(60)).await;
    let zero = site.link(&site.token, "/dir/f", 0, Some(0)).await;
    site.server.advance(Duration::from_millis(59_999));
    for link in [&durable, &short, &zero] {
        assert_eq!(follow(&site, link).await.text(), "hello");
    }
    site.server.advance(Duration::from_millis(1));
    assert_eq!(follow(&site, &short).await.status, 401);
    for link in [&durable, &zero] {
        assert_eq!(follow(&site, link).await.text(), "hello");
    }
    for seconds in [-1, i64::MAX, 315_576_000_001, 253_402_300_800] {
        let request = file::RetrievalRequest {
            tenant: Some(site.tenant.into()),
            path: "/dir/f".into(),
            version: 0,
            valid_for: Some(prost_types::Duration { seconds, nanos: 0 }),
            ..Default::default()
        };
        let refused = site.server.files(&site.token).retrieve(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{seconds}");
    }
}

#[tokio::test]
async fn a43_a_pinned_link_stays_with_its_version_until_that_is_deleted() {
    let (site, current) = site().await;
    let pinned = site.link(&site.token, "/dir/f", 1, None).await;
    site.put("/dir/f", "newer").await;
    assert_eq!(follow(&site, &pinned).await.text(), "hello");
    assert_eq!(follow(&site, &current).await.text(), "newer");
    site.ask("DELETE", "/dir/f", &[], "").await;
    for link in [&pinned, &current] {
        let answer = follow(&site, link).await;
        assert_eq!(answer.status, 404);
        assert!(!answer.text().contains("hello"));
    }
    site.put("/dir/f", "again").await;
    assert_eq!(follow(&site, &pinned).await.status, 404, "what is deleted stays so");
    assert_eq!(follow(&site, &current).await.text(), "again");
}

#[tokio::test]
async fn a44_a_link_dies_with_its_principal() {
    let (site, link) = site().await;
    assert_eq!(follow(&site, &link).await.status, 200);
    site.delete_principal(site.owner).await;
    let answer = follow(&site, &link).await;
    assert!([401, 404].contains(&answer.status.as_u16()), "{answer:?}");
    assert!(!answer.text().contains("hello"));
}

#[tokio::test]
async fn a44_a_link_outlives_a_log_out_while_another_session_allows_the_read_and_no_longer() {
    let (site, _) = site().await;
    let principal = site.server.principal().await;
    let session = on_tenant(principal, READ, site.tenant, "/dir/*");
    let signer = site.server.issue(&session).await;
    let grant = site.server.issue(&on_tenant(principal, READ | WRITE, site.tenant, "/dir/f")).await;
    let elsewhere = site.server.issue(&on_tenant(principal, READ, site.tenant, "/elsewhere/*")).await;
    let link = site.link(&signer, "/dir/f", 0, None).await;
    site.log_out(&signer).await;
    assert_eq!(follow(&site, &link).await.text(), "hello", "the grant is still there");
    site.log_out(&grant).await;
    let answer = follow(&site, &link).await;
    assert!([401, 404].contains(&answer.status.as_u16()), "{answer:?}");
    assert_eq!(site.ask_as(&elsewhere, "GET", "/elsewhere/x", &[], "").await.status, 404);
    site.server.issue(&session).await;
    assert_eq!(follow(&site, &link).await.text(), "hello", "with a new grant it is alive again");
}

#[tokio::test]
async fn a44_a_session_that_only_writes_keeps_no_link_alive() {
    let (site, _) = site().await;
    let principal = site.server.principal().await;
    let signer = site.server.issue(&on_tenant(principal, READ, site.tenant, "/dir/*")).await;
    site.server.issue(&on_tenant(principal, WRITE, site.tenant, "/*")).await;
    let own = on_principal(principal, READ | Capabilities::DELEGATE, principal);
    site.server.issue(&own).await;
    let other = site.server.tenant().await;
    site.server.issue(&on_tenant(principal, READ, other, "/*")).await;
    let link = site.link(&signer, "/dir/f", 0, None).await;
    assert_eq!(follow(&site, &link).await.status, 200);
    site.log_out(&signer).await;
    let answer = follow(&site, &link).await;
    assert!([401, 404].contains(&answer.status.as_u16()), "{answer:?}");
}

#[tokio::test]
async fn a44_a_link_of_a_self_session_stands_on_the_grants_of_its_principal() {
    let (site, _) = site().await;
    let principal = site.server.principal().await;
    let own = site.server.issue(&on_principal(principal, READ | Capabilities::DELEGATE, principal)).await;
    let grant = site.server.issue(&on_tenant(principal, READ, site.tenant, "/dir/*")).await;
    let link = site.link(&own, "/dir/f", 0, None).await;
    assert_eq!(follow(&site, &link).await.text(), "hello");
    site.log_out(&own).await;
    assert_eq!(follow(&site, &link).await.text(), "hello", "logging out revokes no grant");
    site.log_out(&grant).await;
    assert!([401, 404].contains(&follow(&site, &link).await.status.as_u16()));
}

#[tokio::test]
async fn a44_an_expired_session_keeps_no_link_alive() {
    let (site, _) = site().await;
    let principal = site.server.principal().await;
    let short = on_tenant(principal, READ, site.tenant, "/dir/*").living(Duration::from_secs(100));
    let link = site.link(&site.server.issue(&short).await, "/dir/f", 0, None).await;
    site.server.advance(Duration::from_secs(99));
    assert_eq!(follow(&site, &link).await.text(), "hello");
    site.server.advance(Duration::from_secs(1));
    assert!([401, 404].contains(&follow(&site, &link).await.status.as_u16()));
}

#[tokio::test]
async fn a44_a_link_to_what_is_public_dies_when_that_is_public_no_more() {
    let (site, _) = site().await;
    let public = on_tenant(PrincipalId::UNAUTHENTICATED, READ, site.tenant, "/dir/*");
    let (public, _) = site.server.issue_session(&public).await;
    let principal = site.server.principal().await;
    let own = site.server.issue(&on_principal(principal, READ | Capabilities::DELEGATE, principal)).await;
    let link = site.link(&own, "/dir/f", 0, None).await;
    assert_eq!(follow(&site, &link).await.text(), "hello");
    let request = token::InvalidateRequest { kind: public.id.map(token::invalidate_request::Kind::Id) };
    site.server.tokens(&site.server.super_token()).invalidate(request).await.unwrap();
    assert!([401, 404].contains(&follow(&site, &link).await.status.as_u16()));
}

#[tokio::test]
async fn a45_no_proxy_keeps_a_link_and_no_page_passes_it_on() {
    let (site, link) = site().await;
    site.ask("DELETE", "/dir/gone", &[], "").await;
    site.put("/dir/gone", "x").await;
    let gone = site.link(&site.token, "/dir/gone", 0, None).await;
    site.ask("DELETE", "/dir/gone", &[], "").await;
    let tag = format!("\"{}\"", sha256(b"hello"));
    let cases = [
        (&link, &[][..], 200),
        (&link, &[("range", "bytes=0-1")], 206),
        (&link, &[("if-none-match", &tag)], 304),
        (&link, &[("if-match", "\"x\"")], 412),
        (&link, &[("range", "bytes=9-")], 416),
        (&gone, &[], 404),
    ];
    for (link, headers, status) in cases {
        let answer = site.server.http("GET", link, headers, "").await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{status}");
        let cache = answer.header("cache-control");
        assert!(cache.contains("private") || cache.contains("no-store"), "{status}: {cache}");
        assert!(!cache.contains("public"), "{status}: {cache}");
    }
}

#[tokio::test]
async fn a_session_on_one_file_serves_as_a_link_and_others_do_not() {
    let (site, _) = site().await;
    let retrieve = |token: &str| format!("/_/v0/retrieve/f?access_token={token}");
    let exact = site.token_for(READ, "/dir/f").await;
    assert_eq!(follow(&site, &retrieve(&exact)).await.text(), "hello");
    let wild = site.token_for(READ, "/dir/*").await;
    assert_eq!(follow(&site, &retrieve(&wild)).await.status, 404, "a wildcard names no file");
    let writer = site.token_for(WRITE, "/dir/f").await;
    assert!([401, 403, 404].contains(&follow(&site, &retrieve(&writer)).await.status.as_u16()));
    let directory = site.token_for(READ, "/dir").await;
    assert_eq!(follow(&site, &retrieve(&directory)).await.status, 404);
    let all = site.server.issue(&on_everything(site.owner)).await;
    assert_eq!(follow(&site, &retrieve(&all)).await.status, 403, "its scope is no location");
}
