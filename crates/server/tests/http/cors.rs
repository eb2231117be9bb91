//! Scripts of other origins: what they may read is said by the host, and never goes with a cookie.

use cacheroach_api::vhost::VHost;
use tonic::Code;

use crate::site::Site;
use crate::support::{Answer, vhost_of};

const APP: &str = "https://app.example";

async fn site(origins: &[&str]) -> Site {
    let site = Site::new().await;
    site.put("/f", "hello").await;
    site.put("/dir/f", "hello").await;
    site.publish("files.example", "/*").await;
    let cors = origins.iter().map(|origin| (*origin).to_owned()).collect();
    site.server.ensure_vhost(VHost { vhost: "files.example".into(), cors, ..vhost_of(site.tenant) }).await;
    site
}

async fn ask(site: &Site, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
    let mut all = vec![("host", "files.example")];
    all.extend_from_slice(headers);
    site.server.http(method, target, &all, "").await
}

fn allowed(answer: &Answer) -> &str {
    assert_eq!(answer.header("access-control-allow-credentials"), "");
    answer.header("access-control-allow-origin")
}

fn varies(answer: &Answer) -> bool {
    let all = answer.headers.get_all("vary").iter().map(|value| value.to_str().unwrap());
    all.flat_map(|value| value.split(',')).any(|name| name.trim().eq_ignore_ascii_case("origin"))
}

#[tokio::test]
async fn a74_a_listed_origin_may_read_and_no_other() {
    let site = site(&[APP, "http://localhost:3000"]).await;
    for target in ["/f", "/dir/", "/dir", "/none", "//f", "/f/"] {
        for origin in [APP, "http://localhost:3000"] {
            let answer = ask(&site, "GET", target, &[("origin", origin)]).await;
            assert_eq!(allowed(&answer), origin, "{target}");
            assert!(varies(&answer), "{target}: {answer:?}");
            let shown = answer.header("access-control-expose-headers").to_lowercase();
            for name in ["etag", "content-range", "accept-ranges"] {
                assert!(shown.split(", ").any(|one| one == name), "{shown}");
            }
        }
        for origin in [
            "null",
            "*",
            "https://evil.example",
            "https://app.example.evil.example",
            "https://evilapp.example",
            "https://sub.app.example",
            "https://app.example:8443",
            "https://app.example:443",
            "https://app.example/",
            "https://APP.example",
            "http://app.example",
            "http://localhost:30000",
            "http://localhost",
            "https://app.example, https://evil.example",
            "https://files.example",
            "",
        ] {
            let answer = ask(&site, "GET", target, &[("origin", origin)]).await;
            assert_eq!(allowed(&answer), "", "{target} {origin}");
            assert!(varies(&answer), "{target} {origin}");
        }
        assert!(varies(&ask(&site, "GET", target, &[]).await), "a cache must not mix them up");
        let twice = ask(&site, "GET", target, &[("origin", APP), ("origin", APP)]).await;
        assert_eq!(allowed(&twice), "", "two origins are none");
    }
    let not_modified = ask(&site, "GET", "/f", &[("origin", APP), ("if-none-match", "*")]).await;
    assert_eq!((not_modified.status.as_u16(), allowed(&not_modified)), (304, APP));
}

#[tokio::test]
async fn a74_a_host_without_a_list_lets_nobody_in() {
    let site = site(&[]).await;
    let answer = ask(&site, "GET", "/f", &[("origin", APP)]).await;
    assert_eq!((answer.status.as_u16(), allowed(&answer)), (200, ""));
    assert!(!varies(&answer));
    let preflight = [("origin", APP), ("access-control-request-method", "PUT")];
    let answer = ask(&site, "OPTIONS", "/f", &preflight).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "hello"), "as the original answers");
    assert_eq!(answer.header("access-control-allow-methods"), "");
}

#[tokio::test]
async fn a74_everybody_is_a_star_and_never_an_origin() {
    let site = site(&["*", APP]).await;
    assert_eq!(allowed(&ask(&site, "GET", "/f", &[("origin", "https://any.example")]).await), "*");
    assert_ne!(allowed(&ask(&site, "GET", "/f", &[("origin", "null")]).await), "null");
    assert_eq!(allowed(&ask(&site, "GET", "/f", &[("origin", APP)]).await), APP);
}

#[tokio::test]
async fn a74_a_preflight_is_answered_for_listed_origins_and_says_nothing_of_what_there_is() {
    let site = site(&[APP]).await;
    let mut answers = Vec::new();
    for target in ["/f", "/none", "/dir/"] {
        let headers = [
            ("origin", APP),
            ("access-control-request-method", "PUT"),
            (
                "access-control-request-headers",
                "authorization, X-Cacheroach-Meta-Color,x-evil, x-cacheroach-\u{a0}",
            ),
        ];
        let answer = ask(&site, "OPTIONS", target, &headers).await;
        assert_eq!((answer.status.as_u16(), answer.text(), allowed(&answer)), (204, "", APP), "{target}");
        assert!(answer.header("access-control-allow-methods").contains("PUT"));
        assert!(!answer.header("access-control-max-age").is_empty());
        assert!(varies(&answer));
        answers.push(answer.undated());
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
    let asked = |names: &'static str| {
        [("origin", APP), ("access-control-request-method", "PUT"), ("access-control-request-headers", names)]
    };
    let answer = ask(&site, "OPTIONS", "/f", &asked("x-cacheroach-meta-color,x-evil")).await;
    let headers = answer.header("access-control-allow-headers").to_lowercase();
    let named = |name: &str| headers.split(',').any(|one| one.trim() == name);
    assert!(named("authorization") && named("if-match") && named("x-cacheroach-meta-color"), "{headers}");
    assert!(!named("x-evil") && !headers.contains('*'), "{headers}");
    for origin in ["https://evil.example", "null"] {
        let headers = [("origin", origin), ("access-control-request-method", "PUT")];
        let answer = ask(&site, "OPTIONS", "/f", &headers).await;
        assert_eq!((answer.status.as_u16(), allowed(&answer)), (200, ""), "{origin}");
        assert_eq!(answer.header("access-control-allow-methods"), "");
    }
}

#[tokio::test]
async fn a74_a_script_of_another_origin_reads_nothing_by_cookie_and_something_by_token() {
    let site = Site::new().await;
    site.put("/f", "secret").await;
    let cors = vec![APP.to_owned()];
    site.server.ensure_vhost(VHost { vhost: "files.example".into(), cors, ..vhost_of(site.tenant) }).await;
    let (cookie, bearer) = (format!("authorization={}", site.token), format!("Bearer {}", site.token));
    for origin in [APP, "https://evil.example", "null"] {
        let answer = ask(&site, "GET", "/f", &[("origin", origin), ("cookie", &cookie)]).await;
        assert_eq!(answer.status, 401, "{origin}");
        assert_eq!(answer.header("set-cookie"), "", "and the cookie stays");
    }
    let own = ask(&site, "GET", "/f", &[("origin", "http://files.example"), ("cookie", &cookie)]).await;
    assert_eq!(own.text(), "secret", "a script of its own");
    let answer = ask(&site, "GET", "/f", &[("origin", APP), ("authorization", &bearer)]).await;
    assert_eq!((answer.text(), allowed(&answer)), ("secret", APP));
    let link = site.link(&site.token, "/f", 0, None).await;
    let answer = ask(&site, "GET", &link, &[("origin", APP)]).await;
    assert_eq!((answer.text(), allowed(&answer)), ("secret", APP), "so does a signed URL");
}

#[tokio::test]
async fn a74_pages_of_logins_are_for_no_script() {
    let site = site(&["*", APP]).await;
    for target in ["/_/v0/config", "/_/v0/login", "/%5F/v0/config"] {
        for method in ["GET", "OPTIONS"] {
            let headers = [("origin", APP), ("access-control-request-method", "GET")];
            let answer = ask(&site, method, target, &headers).await;
            assert_eq!(allowed(&answer), "", "{method} {target}");
            assert_ne!(answer.status, 204);
        }
    }
}

#[tokio::test]
async fn a74_what_is_no_origin_is_refused_when_it_is_set() {
    let site = site(&[APP]).await;
    let ensure = async |cors: Vec<String>| {
        let vhost = VHost { vhost: "files.example".into(), cors, ..vhost_of(site.tenant) };
        let request = cacheroach_api::vhost::EnsureRequest { vhost: Some(vhost), delete: false };
        site.server.vhosts(&site.server.super_token()).ensure(request).await
    };
    for origin in [
        "",
        "null",
        "app.example",
        "https://*.example",
        "https://app.example/",
        "https://App.example",
        "https://a\n",
    ] {
        let refused = ensure(vec![APP.into(), origin.into()]).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{origin:?}");
        assert!(refused.message().starts_with("vhost.cors: "), "{}", refused.message());
    }
    let many = (0..65).map(|number| format!("https://{number}.example")).collect();
    assert_eq!(ensure(many).await.unwrap_err().code(), Code::ResourceExhausted);
    assert_eq!(allowed(&ask(&site, "GET", "/f", &[("origin", APP)]).await), APP, "nothing has changed");
}
