//! The configuration of the command line, as a download.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cacheroach_model::PrincipalId;
use serde_json::{Value, json};

use crate::site::{READ, Site, WRITE};
use crate::support::{Answer, Server, on_everything};

const TARGET: &str = "/_/v0/config";

fn config(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"cacheroach.cfg\"");
    assert!(answer.header("cache-control").contains("no-store"), "it may hold a token");
    serde_json::from_str(answer.text()).unwrap()
}

fn id(bytes: &[u8]) -> Value {
    json!({ "data": STANDARD.encode(bytes) })
}

#[tokio::test]
async fn whoever_holds_a_token_gets_it_back_with_its_session() {
    let site = Site::new().await;
    site.server.vhost("files.example", site.tenant).await;
    let bearer = format!("Bearer {}", site.token);
    let cookie = format!("authorization={}", site.token);
    let query = format!("{TARGET}?access_token={}", site.token);
    for (target, header) in [
        (TARGET, Some(("authorization", bearer.as_str()))),
        (TARGET, Some(("cookie", &cookie))),
        (&query, None),
    ] {
        let mut headers = vec![("host", "files.example")];
        headers.extend(header);
        let config = config(&site.server.http("GET", target, &headers, "").await);
        assert_eq!(config["Token"], site.token);
        assert_eq!(config["DefaultTenant"], id(site.tenant.as_bytes()));
        assert_eq!(config["Host"], "files.example:80");
        assert_eq!(config["Insecure"], true);
        assert_eq!(config["Session"]["p"], id(site.owner.as_bytes()));
        assert_eq!(config["Session"]["c"], json!({ "read": true, "write": true }));
        assert_eq!(config["Session"]["s"]["l"]["p"], "/*");
        assert_eq!(config["Session"]["s"]["l"]["t"], id(site.tenant.as_bytes()));
        assert!(config["Session"]["ID"]["d"].is_string());
    }
}

#[tokio::test]
async fn whoever_has_none_gets_the_public_session_and_no_token() {
    let server = Server::start().await;
    let config = config(&server.http("GET", TARGET, &[("host", "x.example")], "").await);
    assert_eq!(config["Token"], "");
    assert_eq!(config["DefaultTenant"], id(&[0x0a; 16]));
    assert_eq!(config["Session"]["p"], id(PrincipalId::UNAUTHENTICATED.as_bytes()));
    assert_eq!(config["Session"]["name"], "public-access-v0");
    assert_eq!(config["Session"]["c"], json!({ "read": true, "delegate": true }));
}

#[tokio::test]
async fn d6_a_token_that_does_not_verify_is_never_sent_back() {
    let site = Site::new().await;
    let over = site.token_for(READ | WRITE, "/*").await;
    site.log_out(&over).await;
    for token in [over.as_str(), "nonsense", "a.b.c"] {
        let bearer = format!("Bearer {token}");
        let header = site.server.http("GET", TARGET, &[("authorization", &bearer)], "").await;
        let query = site.server.http("GET", &format!("{TARGET}?access_token={token}"), &[], "").await;
        for answer in [header, query] {
            assert_eq!(answer.status, 401, "{token}");
            assert!(!answer.text().contains(token));
        }
        let cookie = format!("authorization={token}");
        let answer = site.server.http("GET", TARGET, &[("cookie", &cookie)], "").await;
        assert_eq!(config(&answer)["Token"], "");
        assert!(!answer.text().contains(token));
    }
}

#[tokio::test]
async fn the_host_has_its_port() {
    let settings = cacheroach_server::Settings { assume_secure: true, ..Default::default() };
    let (plain, secure) = (Server::start().await, Server::start_with(settings).await);
    for (host, when_plain, when_secure) in [
        ("x.example", "x.example:80", "x.example:443"),
        ("x.example:8080", "x.example:8080", "x.example:8080"),
        ("[::1]", "[::1]:80", "[::1]:443"),
        ("[::1]:99", "[::1]:99", "[::1]:99"),
        ("127.0.0.1", "127.0.0.1:80", "127.0.0.1:443"),
    ] {
        let answer = plain.http("GET", TARGET, &[("host", host)], "").await;
        assert_eq!(
            (config(&answer)["Host"].as_str(), config(&answer)["Insecure"].as_bool()),
            (Some(when_plain), Some(true))
        );
        let answer = secure.http("GET", TARGET, &[("host", host)], "").await;
        assert_eq!(
            (config(&answer)["Host"].as_str(), config(&answer)["Insecure"].as_bool()),
            (Some(when_secure), Some(false))
        );
    }
}

#[tokio::test]
async fn d7_no_script_gets_at_a_token() {
    let site = Site::new().await;
    let cookie = format!("authorization={}", site.token);
    let navigation =
        [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("sec-fetch-site", "none")];
    let with = |more: &[(&'static str, &'static str)]| {
        let mut headers: Vec<(&str, String)> = vec![("cookie", cookie.clone())];
        headers.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        headers
    };
    let ask = async |headers: Vec<(&str, String)>| {
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        site.server.http("GET", TARGET, &headers, "").await
    };
    assert_eq!(config(&ask(with(&navigation)).await)["Token"], site.token);
    for more in [
        &[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty"), ("sec-fetch-site", "same-origin")][..],
        &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "script"), ("sec-fetch-site", "same-origin")],
        &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image"), ("sec-fetch-site", "cross-site")],
        &[("sec-fetch-mode", "same-origin"), ("sec-fetch-dest", "empty"), ("sec-fetch-site", "same-origin")],
        &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe"), ("sec-fetch-site", "same-origin")],
        &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "embed"), ("sec-fetch-site", "same-origin")],
        &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "object"), ("sec-fetch-site", "same-origin")],
        &[("sec-fetch-mode", "websocket"), ("sec-fetch-dest", "websocket")],
        &[("origin", "http://localhost")],
        &[("origin", "null")],
    ] {
        let answer = ask(with(more)).await;
        assert!(answer.status.is_client_error(), "{more:?}: {answer:?}");
        assert!(!answer.text().contains(&site.token), "{more:?}");
    }
}

#[tokio::test]
async fn a_session_without_a_tenant_gets_that_of_the_host() {
    let site = Site::new().await;
    site.server.vhost("files.example", site.tenant).await;
    let all = site.server.issue(&on_everything(site.owner)).await;
    let answer = site.server.http_as(&all, "GET", TARGET, "files.example").await;
    assert_eq!(config(&answer)["DefaultTenant"], id(site.tenant.as_bytes()));
    assert_eq!(config(&answer)["Session"]["s"], json!({ "s": true }));
}

#[tokio::test]
async fn a72_the_host_is_text_in_it() {
    let server = Server::start().await;
    for host in ["x\"y", "x<y", "x\\y"] {
        let request = format!("GET {TARGET} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let reply = crate::wire::reply(server.addr(), request).await;
        assert_eq!(reply.status, 400, "{host}");
    }
}
