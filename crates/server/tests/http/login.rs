//! Logging in and out by browser, and the page that hands a session on to the command line.

use cacheroach_api::principal::SetPasswordRequest;
use cacheroach_model::PrincipalId;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

use crate::site::{READ, Site};
use crate::support::{Answer, DAY, Server, on_tenant};

const LOGIN: &str = "/_/v0/login";
const LOGOUT: &str = "/_/v0/logout";
const PROVISION: &str = "/_/v0/provision";
const PASSWORD: &str = "correct horse & <staple>";
const FORM: &str = "user=alice&password=correct+horse+%26+%3Cstaple%3E";
const FORM_TYPE: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

async fn alice(server: &Server) -> PrincipalId {
    let id = server.principal_with(&serde_json::json!({ "name": "Alice <b>" }), "").await;
    let request = SetPasswordRequest {
        principal: Some(id.into()),
        user: "alice".into(),
        password: PASSWORD.into(),
        ..Default::default()
    };
    server.principals(&server.super_token()).set_password(request).await.unwrap();
    id
}

async fn secure() -> Server {
    Server::start_with(cacheroach_server::Settings { assume_secure: true, ..Default::default() }).await
}

async fn post(server: &Server, path: &str, headers: &[(&str, &str)], form: &str) -> Answer {
    let headers = [&[FORM_TYPE], headers].concat();
    server.http("POST", path, &headers, form.to_owned()).await
}

/// The cookie as the browser sends it back, and its attributes.
fn cookie(answer: &Answer) -> (String, Vec<String>) {
    let mut parts = answer.header("set-cookie").split("; ").map(str::to_owned);
    (parts.next().unwrap(), parts.collect())
}

/// As a browser that keeps cookies sends it.
async fn logged_in(server: &Server) -> String {
    let answer = post(server, LOGIN, &[], FORM).await;
    assert_eq!(answer.status, 303, "{answer:?}");
    cookie(&answer).0
}

fn of_our_own(answer: &Answer) {
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert!(matches!(answer.header("referrer-policy"), "same-origin" | "no-referrer"));
    let policy = answer.header("content-security-policy");
    for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!answer.text().contains("<script") && !answer.text().contains("http-equiv"));
}

/// The value of a hidden field.
fn field(page: &str, name: &str) -> Option<String> {
    let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\""))?;
    let value = rest.split('"').next().unwrap();
    let pairs = [("&quot;", "\""), ("&lt;", "<"), ("&gt;", ">"), ("&#39;", "'"), ("&amp;", "&")];
    Some(pairs.iter().fold(value.to_owned(), |text, (from, to)| text.replace(from, to)))
}

#[tokio::test]
async fn a75_the_cookie_of_a_secure_host_is_its_own_and_no_scripts() {
    let server = secure().await;
    alice(&server).await;
    let answer = post(&server, LOGIN, &[], FORM).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, PROVISION));
    assert_eq!(answer.header("cache-control"), "no-store");
    let (pair, attributes) = cookie(&answer);
    assert!(pair.starts_with("__Host-authorization=ey"), "{pair}");
    let at = cacheroach_api::convert::timestamp(server.now().after(30 * DAY)).seconds;
    assert_eq!(at, 1_785_456_000, "2026-07-31");
    let expected = ["Path=/", "Secure", "HttpOnly", "SameSite=Lax", "Expires=Fri, 31 Jul 2026 00:00:00 GMT"];
    assert_eq!(attributes, expected);
    let page = server.http("GET", PROVISION, &[("cookie", &pair)], "").await;
    assert_eq!(page.status, 200);
}

#[tokio::test]
async fn a75_without_tls_the_cookie_has_the_originals_name() {
    let server = Server::start().await;
    alice(&server).await;
    let (pair, attributes) = cookie(&post(&server, LOGIN, &[], FORM).await);
    assert!(pair.starts_with("authorization=ey"), "{pair}");
    let expected = ["Path=/", "HttpOnly", "SameSite=Lax", "Expires=Fri, 31 Jul 2026 00:00:00 GMT"];
    assert_eq!(attributes, expected);
}

/// A sibling host can set `authorization` for the whole domain, but no name that begins with `__Host-`.
#[tokio::test]
async fn a75_a_cookie_set_by_a_sibling_host_does_not_take_over() {
    let site = Site::new().await;
    let alice = alice(&site.server).await;
    let own = logged_in(&site.server).await.replace("authorization=", "__Host-authorization=");
    let theirs = site.server.principal().await;
    let theirs = site.server.issue(&on_tenant(theirs, READ, site.tenant, "/*")).await;
    for cookies in
        [format!("authorization={theirs}; {own}"), format!("{own}; authorization={theirs}; authorization=x")]
    {
        let page = site.server.http("GET", PROVISION, &[("cookie", &cookies)], "").await;
        assert!(page.text().contains(&alice.to_string()), "{page:?}");
    }
    let page =
        site.server.http("GET", PROVISION, &[("cookie", &format!("authorization={theirs}"))], "").await;
    assert_eq!(page.status, 200, "the original's name is read, too");
}

#[tokio::test]
async fn a75_a_cookie_is_worth_nothing_after_logout() {
    for server in [Server::start().await, secure().await] {
        alice(&server).await;
        let pair = logged_in(&server).await;
        assert_eq!(server.http("GET", PROVISION, &[("cookie", &pair)], "").await.status, 200);
        let answer = post(&server, LOGOUT, &[("cookie", &pair)], "").await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (303, PROVISION));
        let cleared: Vec<_> =
            answer.headers.get_all("set-cookie").iter().map(|v| v.to_str().unwrap()).collect();
        let expected = [
            "authorization=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax",
            "__Host-authorization=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax",
        ];
        assert_eq!(cleared, expected);
        // Replayed, as cookie and as what it holds.
        let replayed = server.http("GET", PROVISION, &[("cookie", &pair)], "").await;
        assert_eq!(replayed.status, 401);
        assert_eq!(replayed.headers.get_all("set-cookie").iter().count(), 2);
        let token = pair.split_once('=').unwrap().1;
        assert_eq!(server.http_as(token, "GET", "/", "localhost").await.status, 401);
        // Once more, and by whoever never was logged in: nothing to end.
        for headers in [&[("cookie", pair.as_str())][..], &[]] {
            assert_eq!(post(&server, LOGOUT, headers, "").await.status, 303);
        }
    }
}

/// Nobody logs others in (as somebody of theirs) or out.
#[tokio::test]
async fn a73_nobody_is_logged_in_or_out_from_another_site() {
    let server = Server::start().await;
    alice(&server).await;
    let pair = logged_in(&server).await;
    let foreign: [&[(&str, &str)]; 6] = [
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", "http://files.example.evil")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site"), ("origin", "http://files.example")],
        &[("sec-fetch-site", "cross-site"), ("origin", "null")],
    ];
    for headers in foreign {
        for cookies in [&[][..], &[("cookie", pair.as_str())]] {
            let headers = [&[("host", "files.example")], headers, cookies].concat();
            for path in [LOGIN, LOGOUT] {
                let answer = post(&server, path, &headers, FORM).await;
                assert_eq!(
                    (answer.status.as_u16(), answer.header("set-cookie")),
                    (403, ""),
                    "{path} {headers:?}"
                );
            }
        }
    }
    assert_eq!(server.http("GET", PROVISION, &[("cookie", &pair)], "").await.status, 200);
    let own =
        [("host", "files.example"), ("origin", "http://files.example"), ("sec-fetch-site", "same-origin")];
    assert_eq!(post(&server, LOGIN, &own, FORM).await.status, 303);
    // Neither is a link: they answer forms only.
    for path in [LOGIN, LOGOUT] {
        let answer = server.http("GET", &format!("{path}?{FORM}"), &[("cookie", &pair)], "").await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "POST"));
    }
    assert_eq!(server.http("GET", PROVISION, &[("cookie", &pair)], "").await.status, 200);
}

#[tokio::test]
async fn who_is_nobody_gets_a_form_and_old_clients_what_they_know() {
    let server = Server::start().await;
    let answer = server.http("GET", &format!("{PROVISION}?port=4711&secret=s3-_T"), &[], "").await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("www-authenticate"), "Bearer");
    assert_eq!(answer.header("x-cacheroach-handover"), "secret");
    of_our_own(&answer);
    assert!(answer.text().contains("not logged in and no OIDC provider"));
    assert!(answer.text().contains("action=\"/_/v0/login\""));
    assert_eq!(field(answer.text(), "port").as_deref(), Some("4711"));
    assert_eq!(field(answer.text(), "secret").as_deref(), Some("s3-_T"));
    assert_eq!(field(answer.text(), "config"), None);

    alice(&server).await;
    let wrong =
        post(&server, LOGIN, &[], "user=al%22%3Cb%3Eice&password=wrong+horse&port=4711&secret=s").await;
    assert_eq!((wrong.status.as_u16(), wrong.header("set-cookie")), (401, ""));
    of_our_own(&wrong);
    assert!(wrong.text().contains("Wrong user name or password"));
    assert!(!wrong.text().contains("wrong horse") && !wrong.text().contains("<b>ice"));
    assert_eq!(field(wrong.text(), "user").as_deref(), Some("al\"<b>ice"));
    assert_eq!(field(wrong.text(), "port").as_deref(), Some("4711"));
    let right = post(&server, LOGIN, &[], &format!("{FORM}&port=4711&secret=s")).await;
    assert_eq!(right.header("location"), "/_/v0/provision?port=4711&secret=s");
    // There is no way to name another destination.
    let right =
        post(&server, LOGIN, &[], &format!("{FORM}&next=https://evil.example&destination=//evil")).await;
    assert_eq!(right.header("location"), PROVISION);
}

#[tokio::test]
async fn who_tries_too_often_is_told_so_and_the_forwarded_address_does_not_count() {
    let server = Server::start().await;
    alice(&server).await;
    for at in 0..5 {
        let forwarded = format!("192.0.2.{at}");
        let headers = [("x-forwarded-for", forwarded.as_str()), ("forwarded", "for=192.0.2.7")];
        assert_eq!(post(&server, LOGIN, &headers, "user=alice&password=wrong").await.status, 401);
    }
    let answer = post(&server, LOGIN, &[("x-forwarded-for", "192.0.2.99")], FORM).await;
    assert_eq!((answer.status.as_u16(), answer.header("set-cookie")), (429, ""));
    assert!(answer.text().contains("Too many tries; try again in 12 seconds"), "{}", answer.text());
    of_our_own(&answer);
    // From another address it is the user's first.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut stream = socket.connect(server.addr()).await.unwrap();
    let request = format!(
        "POST {LOGIN} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n{FORM}",
        FORM_TYPE.1,
        FORM.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut elsewhere = String::new();
    stream.read_to_string(&mut elsewhere).await.unwrap();
    assert!(elsewhere.starts_with("HTTP/1.1 303 "), "{elsewhere}");
    server.advance(std::time::Duration::from_secs(12));
    logged_in(&server).await;
}

#[tokio::test]
async fn who_is_logged_in_hands_the_session_on_by_a_button() {
    let server = Server::start().await;
    let id = alice(&server).await;
    let pair = logged_in(&server).await;
    let token = pair.split_once('=').unwrap().1;
    let headers = [("host", "files.example"), ("cookie", pair.as_str())];
    let page = server.http("GET", &format!("{PROVISION}?port=4711&secret=s3-_T"), &headers, "").await;
    assert_eq!((page.status.as_u16(), page.header("x-cacheroach-handover")), (200, "secret"));
    of_our_own(&page);
    let policy = page.header("content-security-policy");
    assert!(policy.ends_with("form-action 'self' http://localhost:4711"), "{policy}");
    let text = page.text();
    assert!(text.contains("Alice &lt;b&gt;") && text.contains(&id.to_string()));
    assert!(text.contains("href=\"config\"") && text.contains("action=\"http://localhost:4711/\""));
    assert!(text.contains("<button>"));
    assert_eq!(field(text, "secret").as_deref(), Some("s3-_T"));
    let config: Value = serde_json::from_str(&field(text, "config").unwrap()).unwrap();
    assert_eq!((&config["Host"], &config["Token"]), (&"files.example:80".into(), &token.into()));
    assert_eq!(config["Insecure"], true);
    // Without a port there is nobody to hand it on to.
    let page = server.http("GET", PROVISION, &headers, "").await;
    assert_eq!(field(page.text(), "config"), None);
    assert!(!page.text().contains(token) && !page.text().contains("http://localhost"));
    // By header as well, and for a session that does not come from a password.
    let super_token = server.super_token();
    assert_eq!(server.http_as(&super_token, "GET", PROVISION, "files.example").await.status, 200);
}

#[tokio::test]
async fn a_port_is_a_number_and_a_secret_a_word() {
    let server = Server::start().await;
    let bearer = format!("Bearer {}", server.super_token());
    for headers in [&[][..], &[("authorization", bearer.as_str())]] {
        for port in
            ["x", "", "0", "65536", "-1", "80%20", "1%22", "99999999999999999999", "80.evil.example", "%30x"]
        {
            let answer = server.http("GET", &format!("{PROVISION}?port={port}"), headers, "").await;
            assert_eq!((answer.status.as_u16(), answer.text()), (400, "bad port value\n"), "{port}");
        }
        for secret in ["", "a%22b", "a%20b", "%3Cb%3E", &"x".repeat(129)] {
            let answer =
                server.http("GET", &format!("{PROVISION}?port=1&secret={secret}"), headers, "").await;
            assert_eq!((answer.status.as_u16(), answer.text()), (400, "bad secret value\n"), "{secret}");
        }
    }
}

/// D7: a script on the same host can fetch, but not navigate and read.
#[tokio::test]
async fn a71_no_script_gets_at_the_token_in_the_page() {
    let server = Server::start().await;
    alice(&server).await;
    let pair = logged_in(&server).await;
    let target = format!("{PROVISION}?port=4711&secret=s");
    let ask = async |more: &[(&str, &str)]| {
        server.http("GET", &target, &[&[("cookie", pair.as_str())], more].concat(), "").await
    };
    let navigation =
        [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("sec-fetch-site", "none")];
    assert_eq!(ask(&navigation).await.status, 200);
    let foreign: [&[(&str, &str)]; 6] = [
        &[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty"), ("sec-fetch-site", "same-origin")],
        &[("sec-fetch-mode", "same-origin"), ("sec-fetch-dest", "empty")],
        &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "script")],
        &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe"), ("sec-fetch-site", "same-origin")],
        &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "object")],
        &[("origin", "http://localhost")],
    ];
    for headers in foreign {
        let answer = ask(headers).await;
        assert_eq!(answer.status, 403, "{headers:?}");
        assert!(!answer.text().contains(pair.split_once('=').unwrap().1));
    }
    // What is uploaded beside the login can't run script there.
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let answer = server.http(method, &target, &[("cookie", &pair)], "").await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "GET, HEAD"), "{method}");
    }
    let head = server.http("HEAD", &target, &[("cookie", &pair)], "").await;
    assert_eq!((head.status.as_u16(), head.text()), (200, ""));
}

#[tokio::test]
async fn the_form_of_the_login_is_small_and_a_form() {
    let server = Server::start().await;
    alice(&server).await;
    let large = format!("{FORM}&x={}", "x".repeat(8 * 1024));
    assert_eq!(post(&server, LOGIN, &[], &large).await.status, 413);
    assert_eq!(server.http("POST", LOGIN, &[], FORM).await.status, 400);
    let json =
        server.http("POST", LOGIN, &[("content-type", "application/json")], r#"{"user":"alice"}"#).await;
    assert_eq!(json.status, 400);
    let text = server.http("POST", LOGIN, &[("content-type", "text/plain")], FORM).await;
    assert_eq!(text.status, 400);
    for form in ["", "user=alice", "password=x", "user=%ff&password=x", "user=%00&password=x"] {
        let answer = post(&server, LOGIN, &[], form).await;
        assert!(
            answer.status.is_client_error() && answer.header("set-cookie").is_empty(),
            "{form}: {answer:?}"
        );
    }
    let bytes = server.http("POST", LOGIN, &[FORM_TYPE], vec![b'u', 0xff]).await;
    assert_eq!(bytes.status, 400);
    let charset = [("content-type", "application/x-www-form-urlencoded; charset=UTF-8")];
    assert_eq!(server.http("POST", LOGIN, &charset, FORM).await.status, 303);
}
