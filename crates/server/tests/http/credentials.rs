//! Which credentials count, and what becomes of those that don't.

use cacheroach_model::Capabilities;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::site::{READ, Site, WRITE, head};
use crate::support::{Answer, HOUR, on_principal, on_tenant};

/// A site with three files, each for one principal, and the tokens of these; `/public` is for everybody.
async fn site() -> (Site, [String; 3]) {
    let site = Site::new().await;
    for path in ["/h/f", "/q/f", "/c/f", "/public"] {
        site.put(path, path).await;
    }
    site.publish("public.example", "/public").await;
    let header = site.token_for(READ | WRITE, "/h/*").await;
    let query = site.token_for(READ | WRITE, "/q/*").await;
    let cookie = site.token_for(READ | WRITE, "/c/*").await;
    (site, [header, query, cookie])
}

async fn get(site: &Site, target: &str, headers: &[(&str, &str)]) -> Answer {
    let mut all = vec![("host", "public.example")];
    all.extend_from_slice(headers);
    site.server.http("GET", target, &all, "").await
}

#[tokio::test]
async fn a14_one_source_counts_header_before_query_before_cookie() {
    let (site, [header, query, cookie]) = site().await;
    let (bearer, cookie) = (format!("Bearer {header}"), format!("x=y; authorization={cookie}; z=1"));
    for (with_header, with_query, allowed) in
        [(true, true, "/h/f"), (true, false, "/h/f"), (false, true, "/q/f"), (false, false, "/c/f")]
    {
        for path in ["/h/f", "/q/f", "/c/f"] {
            let target = if with_query { format!("{path}?access_token={query}") } else { path.to_owned() };
            let mut headers = vec![("cookie", cookie.as_str())];
            if with_header {
                headers.push(("authorization", &bearer));
            }
            let status = get(&site, &target, &headers).await.status;
            let expected = if path == allowed { 200 } else { 404 };
            assert_eq!(status, expected, "{path} header {with_header} query {with_query}");
        }
    }
}

#[tokio::test]
async fn what_is_no_bearer_is_no_credential() {
    let (site, [header, _, cookie]) = site().await;
    let cookie = format!("authorization={cookie}");
    for value in ["Basic dXNlcjpwYXNz", "", "Bearer ", "Bearer", &format!("bearer {header}"), &header] {
        let answer = get(&site, "/c/f", &[("authorization", value), ("cookie", &cookie)]).await;
        assert_eq!(answer.status, 200, "{value}: the cookie counts");
        let answer = get(&site, "/h/f", &[("authorization", value)]).await;
        assert_eq!(answer.status, 401, "{value}");
    }
    let answer = get(&site, "/c/f?access_token=", &[("cookie", &cookie)]).await;
    assert_eq!(answer.status, 200, "an empty one is none");
}

#[tokio::test]
async fn a13_two_authorization_headers_are_none() {
    let (site, [header, query, _]) = site().await;
    let [one, two] = [header, query].map(|token| format!("Bearer {token}"));
    for (first, second) in [(&one, &two), (&two, &one), (&one, &one)] {
        let answer = get(&site, "/h/f", &[("authorization", first), ("authorization", second)]).await;
        assert!([400, 401].contains(&answer.status.as_u16()), "{answer:?}");
    }
}

#[tokio::test]
async fn a15_a_token_that_does_not_verify_is_not_silently_nobody() {
    let (site, [header, ..]) = site().await;
    assert_eq!(get(&site, "/public", &[]).await.text(), "/public");
    let cut = &header[..header.len() - 1];
    let over = site.token_for(READ, "/h/*").await;
    site.log_out(&over).await;
    for token in
        [cut, "x", "a.b.c", "..", &over, &format!("{header}."), &header.to_uppercase(), &"a".repeat(8193)]
    {
        for path in ["/public", "/h/f", "/none"] {
            let bearer = format!("Bearer {token}");
            let answer = get(&site, path, &[("authorization", &bearer)]).await;
            assert_eq!(answer.status, 401, "{path} {token}");
            assert!(answer.header("www-authenticate").starts_with("Bearer"), "{answer:?}");
            if token.len() < 8000 {
                let answer = get(&site, &format!("{path}?access_token={token}"), &[]).await;
                assert_eq!(answer.status, 401, "{path} {token}");
            }
        }
    }
    let cookie = format!("authorization={header}");
    for no_token in ["Bearer x", "Bearer \u{fc}"] {
        let answer = get(&site, "/c/f", &[("authorization", no_token), ("cookie", &cookie)]).await;
        assert_eq!(answer.status, 401, "no other source is tried");
    }
    assert_eq!(get(&site, "/public", &[("authorization", "Bearer \u{fc}")]).await.status, 401);
}

/// Whoever sets a cookie for all hosts of a domain must not log others out by it.
#[tokio::test]
async fn a75_a_cookie_that_is_no_text_hides_no_other() {
    let (site, [_, _, token]) = site().await;
    let cookies = format!("theme=\u{fc}; authorization={token}");
    assert_eq!(get(&site, "/c/f", &[("cookie", &cookies)]).await.status, 200);
}

#[tokio::test]
async fn d6_a_stale_cookie_is_nobody_and_is_cleared() {
    let (site, [_, _, token]) = site().await;
    let cookie = format!("authorization={token}");
    let live = get(&site, "/c/f", &[("cookie", &cookie)]).await;
    assert_eq!((live.status.as_u16(), live.header("set-cookie")), (200, ""));
    site.log_out(&token).await;
    let cookies = [cookie, "authorization=x".into(), "a=b; authorization=a.b.c".into()];
    for cookie in &cookies {
        for (path, status) in [("/public", 200), ("/c/f", 401), ("/none", 401), ("/public/", 301)] {
            let answer = get(&site, path, &[("cookie", cookie)]).await;
            assert_eq!(answer.status, status, "{path}");
            let cleared = answer.header("set-cookie").to_lowercase();
            assert!(cleared.starts_with("authorization=;"), "{path}: {cleared}");
            assert!(
                cleared.contains("max-age=0") || cleared.contains("expires=thu, 01 jan 1970"),
                "{cleared}"
            );
            assert!(cleared.contains("path=/"), "{cleared}");
        }
    }
    let fresh = site.token_for(READ, "/c/*").await;
    let both =
        get(&site, "/c/f", &[("cookie", &cookies[0]), ("authorization", &format!("Bearer {fresh}"))]).await;
    assert_eq!(both.status, 200, "a cookie behind a header does not count");
}

#[tokio::test]
async fn d6_a_stale_cookie_is_cleared_by_the_pages_of_ours_too() {
    let (site, _) = site().await;
    let answer = get(&site, "/_/v0/config", &[("cookie", "authorization=x")]).await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("set-cookie").starts_with("authorization=;"), "{answer:?}");
}

#[tokio::test]
async fn a8_a_session_that_is_over_is_over_at_once() {
    let (site, [header, ..]) = site().await;
    let bearer = format!("Bearer {header}");
    assert_eq!(get(&site, "/h/f", &[("authorization", &bearer)]).await.status, 200);
    site.log_out(&header).await;
    for path in ["/h/f", "/public", "/none"] {
        assert_eq!(get(&site, path, &[("authorization", &bearer)]).await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn a9_the_token_of_a_deleted_principal_is_none() {
    let (site, _) = site().await;
    assert_eq!(site.get("/public").await.status, 200);
    site.delete_principal(site.owner).await;
    for path in ["/public", "/none"] {
        assert_eq!(site.get(path).await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn c20_who_is_logged_in_may_read_what_everybody_may() {
    let (site, _) = site().await;
    let principal = site.server.principal().await;
    let own = on_principal(principal, READ | Capabilities::DELEGATE, principal);
    let token = site.server.issue(&own).await;
    let answer = get(&site, "/public", &[("authorization", &format!("Bearer {token}"))]).await;
    assert_eq!(answer.text(), "/public");
}

#[tokio::test]
async fn a29_a_session_uses_the_grants_of_its_principal_until_they_are_revoked() {
    let (site, _) = site().await;
    let principal = site.server.principal().await;
    let own = on_principal(principal, READ | Capabilities::DELEGATE, principal);
    let bearer = format!("Bearer {}", site.server.issue(&own).await);
    let read = || async { get(&site, "/h/f", &[("authorization", &bearer)]).await.status.as_u16() };
    assert_eq!(read().await, 404);
    let grant = on_tenant(principal, READ, site.tenant, "/h/*");
    let grant = site.server.issue(&grant).await;
    assert_eq!(read().await, 200);
    site.log_out(&grant).await;
    assert_eq!(read().await, 404);
}

#[tokio::test]
async fn a73_a_write_from_another_site_with_the_cookie_is_refused() {
    let (site, [_, _, token]) = site().await;
    let cookie = format!("authorization={token}");
    let refused: &[&[(&str, &str)]] = &[
        &[("origin", "https://evil.example")],
        &[("origin", "http://evil.example"), ("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "null")],
        &[("origin", "http://public.example.evil")],
        &[("origin", "http://evil.public.example")],
        &[("origin", "http://public.example:8080")],
        &[("origin", "http://public.example"), ("sec-fetch-site", "cross-site")],
        &[("origin", "http://evil.example"), ("sec-fetch-site", "same-origin")],
    ];
    for headers in refused {
        for method in ["PUT", "POST", "DELETE"] {
            for path in ["/c/f", "/c/new"] {
                let mut all = vec![
                    ("host", "public.example"),
                    ("cookie", cookie.as_str()),
                    ("content-type", "text/plain"),
                ];
                all.extend_from_slice(headers);
                let answer = site.server.http(method, path, &all, "evil").await;
                assert_eq!(answer.status, 403, "{method} {path} {headers:?}");
            }
        }
        let mut all = vec![("host", "public.example"), ("cookie", cookie.as_str())];
        all.extend_from_slice(headers);
        // A link from another site may be followed; a script of one uses no cookie.
        let by_script = headers.iter().any(|(name, _)| *name == "origin");
        let status = site.server.http("GET", "/c/f", &all, "").await.status;
        assert_eq!(status, if by_script { 401 } else { 200 }, "{headers:?}");
    }
    assert_eq!(site.version("/c/f").await, 1);
    assert_eq!(site.version("/c/new").await, 0);
    let allowed: &[&[(&str, &str)]] = &[
        &[],
        &[("origin", "http://public.example"), ("sec-fetch-site", "same-origin")],
        &[("sec-fetch-site", "none")],
    ];
    for headers in allowed {
        let mut all = vec![("host", "public.example"), ("cookie", cookie.as_str())];
        all.extend_from_slice(headers);
        assert_eq!(site.server.http("PUT", "/c/f", &all, "mine").await.status, 202, "{headers:?}");
    }
}

#[tokio::test]
async fn a74_no_other_origin_is_let_in_with_credentials() {
    let (site, [_, _, token]) = site().await;
    let cookie = format!("authorization={token}");
    for origin in ["https://evil.example", "null", "http://public.example.evil"] {
        for method in ["GET", "OPTIONS"] {
            let headers = [
                ("host", "public.example"),
                ("origin", origin),
                ("cookie", cookie.as_str()),
                ("access-control-request-method", "PUT"),
            ];
            let answer = site.server.http(method, "/c/f", &headers, "").await;
            assert_eq!(answer.header("access-control-allow-credentials"), "", "{origin}");
            assert_ne!(answer.header("access-control-allow-origin"), origin);
        }
    }
}

#[tokio::test]
async fn what_a_known_caller_gets_is_kept_by_no_shared_cache() {
    let (site, [header, ..]) = site().await;
    let answer = get(&site, "/h/f", &[("authorization", &format!("Bearer {header}"))]).await;
    assert!(answer.header("cache-control").contains("private"), "{answer:?}");
    let vary = answer.header("vary").to_lowercase();
    assert!(vary.contains("authorization") && vary.contains("cookie"), "{vary}");
}

#[tokio::test]
async fn a37_a_put_ends_with_the_session() {
    let site = Site::new().await;
    for (case, path) in ["log-out", "expiry"].into_iter().zip(["/in/a", "/in/b"]) {
        let writer = on_tenant(site.owner, WRITE, site.tenant, "/in/*").living(HOUR);
        let writer = site.server.issue(&writer).await;
        let mut stream = TcpStream::connect(site.server.addr()).await.unwrap();
        let more = "Expect: 100-continue\r\nConnection: close\r\nContent-Length: 2\r\n\r\n";
        stream.write_all((head(&writer, "PUT", path) + more).as_bytes()).await.unwrap();
        // The server asks for the body once it has let the caller in.
        let mut go_on = [0; 25];
        stream.read_exact(&mut go_on).await.unwrap();
        assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(b"a").await.unwrap();
        match case {
            "log-out" => site.log_out(&writer).await,
            _ => site.server.advance(HOUR),
        }
        stream.write_all(b"b").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 401 "), "{case}: {answer}");
        assert_eq!(site.paths().await, [""; 0], "{case}");
    }
}
