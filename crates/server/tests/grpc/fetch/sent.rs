//! What remotes get to see.

use std::net::Ipv4Addr;

use cacheroach_api::upload::FetchRequest;
use tonic::Code;

use super::remote::{Remote, redirect, say, whole};
use super::{Site, stored};
use crate::support::loopback;

fn headers(pairs: &[(&str, &str)]) -> std::collections::HashMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn nothing_of_the_callers_authority_is_sent_along() {
    let site = Site::new().await;
    let remote = Remote::saying(whole("200 OK", "", b"x")).await;
    site.fetch(site.request(&remote.url("/path?query=1"))).await.unwrap();
    let head = &remote.seen()[0];
    assert!(head.starts_with("get /path?query=1 http/1.1\r\n"), "{head}");
    let names: Vec<_> = head.lines().skip(1).filter_map(|line| Some(line.split_once(':')?.0)).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, ["accept", "accept-encoding", "host", "user-agent"]);
    assert!(head.contains("\r\naccept-encoding: identity\r\n"));
    assert!(!head.contains(&site.token.to_lowercase()));
    assert!(!head.contains(&site.tenant.to_string()));
}

#[tokio::test]
async fn method_and_headers_are_the_callers() {
    let site = Site::new().await;
    let remote = Remote::saying(whole("200 OK", "", b"x")).await;
    let request = FetchRequest {
        remote_method: "POST".into(),
        remote_headers: headers(&[("Authorization", "Bearer abc"), ("X-Mine", "1"), ("User-Agent", "me")]),
        ..site.request(&remote.url("/"))
    };
    assert_eq!(site.fetch(request).await.unwrap(), stored());
    let head = &remote.seen()[0];
    assert!(head.starts_with("post / http/1.1\r\n"));
    for line in ["authorization: bearer abc", "x-mine: 1", "user-agent: me"] {
        assert_eq!(head.lines().filter(|one| *one == line).count(), 1, "{head}");
    }
    assert_eq!(head.matches("user-agent").count(), 1);
}

#[tokio::test]
async fn a55_headers_and_methods_that_are_not_the_callers_to_choose_are_refused() {
    let site = Site::new().await;
    let remote = Remote::saying(whole("200 OK", "", b"x")).await;
    for (name, value) in [
        ("Host", "evil.example"),
        ("host", "evil.example"),
        ("Content-Length", "5"),
        ("Connection", "x-secret"),
        ("Transfer-Encoding", "chunked"),
        ("TE", "trailers"),
        ("Trailer", "x"),
        ("Upgrade", "h2c"),
        ("Expect", "100-continue"),
        ("Keep-Alive", "1"),
        ("Proxy-Connection", "close"),
        ("Proxy-Authorization", "x"),
        ("Accept-Encoding", "gzip"),
        ("X-Mine", "1\r\nHost: evil.example"),
        ("X-Mine", "1\n"),
        ("X-Mine", "\0"),
        ("X-Mine\r\nHost", "evil.example"),
        ("X Mine", "1"),
        ("X-Mine:", "1"),
        ("", "1"),
    ] {
        let request =
            FetchRequest { remote_headers: headers(&[(name, value)]), ..site.request(&remote.url("/")) };
        let (code, message) = site.refused(request).await;
        assert_eq!(code, Code::InvalidArgument, "{name:?}: {value:?}");
        assert!(message.starts_with("remote_headers: ") && !message.contains("evil"), "{message}");
    }
    for method in ["CONNECT", "TRACE", "get", "Post", "GET / HTTP/1.1\r\nx: y", "G T", "TRACK", "HEAD"] {
        let request = FetchRequest { remote_method: method.into(), ..site.request(&remote.url("/")) };
        let (code, message) = site.refused(request).await;
        assert_eq!(code, Code::InvalidArgument, "{method}");
        assert!(message.starts_with("remote_method: "), "{message}");
    }
    assert!(remote.seen().is_empty());
    site.has_nothing().await;
}

#[tokio::test]
async fn a55_credentials_stay_with_the_origin_they_were_given_for() {
    let mut settings = loopback();
    settings.allow.push("127.0.0.2/32".parse().unwrap());
    let site = Site::with(settings).await;
    let elsewhere = Remote::start_on(Ipv4Addr::new(127, 0, 0, 2), |head, stream| async move {
        // Back to where it came from, if it is told where that is.
        let back = head.split_once("?back=").map(|(_, rest)| rest.split(' ').next().unwrap().to_owned());
        let answer = back.map_or_else(|| whole("200 OK", "", b"x"), |back| redirect(&back));
        say(stream, &answer).await;
    })
    .await;
    let away = elsewhere.url("/?back=");
    let remote = Remote::start(move |head, stream| {
        let away = away.clone();
        async move {
            let host = head.split("\r\nhost: ").nth(1).unwrap().split("\r\n").next().unwrap();
            let answer = match head.split(' ').nth(1).unwrap() {
                "/same" => redirect("/end"),
                "/away" => redirect(&format!("{away}http://{host}/end")),
                _ => whole("200 OK", "", b"x"),
            };
            say(stream, &answer).await;
        }
    })
    .await;
    let secrets = [("Authorization", "Bearer s3cret"), ("Cookie", "s3cret=1"), ("X-Mine", "1")];
    let request =
        |path| FetchRequest { remote_headers: headers(&secrets), ..site.request(&remote.url(path)) };

    assert_eq!(site.fetch(request("/same")).await.unwrap(), stored());
    let seen = remote.seen();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|head| head.matches("s3cret").count() == 2), "{seen:?}");

    assert_eq!(site.fetch(request("/away")).await.unwrap(), stored());
    let (seen, there) = (remote.seen(), elsewhere.seen());
    assert_eq!((seen.len(), there.len()), (4, 1));
    assert!(seen[2].contains("s3cret"));
    assert!(!there[0].contains("s3cret") && there[0].contains("x-mine: 1"), "{}", there[0]);
    assert!(!there[0].contains("referer"));
    assert!(!seen[3].contains("s3cret"), "nor after it has come back: {}", seen[3]);
}
