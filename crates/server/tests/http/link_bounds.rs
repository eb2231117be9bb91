//! Signed URLs with bounds: how often, from where, under which name, and for how long at most.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cacheroach_api::file;
use cacheroach_model::Networks;
use serde_json::Value;
use tonic::Code;

use crate::site::{READ, Site};
use crate::support::{Answer, DAY, HOUR, Server, on_tenant};

async fn get(site: &Site, link: &str, headers: &[(&str, &str)]) -> Answer {
    site.server.http("GET", link, headers, "").await
}

async fn status(site: &Site, link: &str) -> u16 {
    get(site, link, &[]).await.status.as_u16()
}

/// A site with a file `/dir/f`.
async fn site() -> Site {
    let site = Site::new().await;
    site.put("/dir/f", "hello").await;
    site
}

fn request(site: &Site) -> file::RetrievalRequest {
    file::RetrievalRequest { tenant: Some(site.tenant.into()), path: "/dir/f".into(), ..Default::default() }
}

async fn sign(site: &Site, request: file::RetrievalRequest) -> String {
    site.server.files(&site.token).retrieve(request).await.unwrap().into_inner().get_uri
}

async fn refused(site: &Site, request: file::RetrievalRequest) -> (Code, String) {
    let status = site.server.files(&site.token).retrieve(request).await.unwrap_err();
    (status.code(), status.message().to_owned())
}

#[tokio::test]
async fn a_counted_link_is_good_that_often_and_only_contents_count() {
    let site = site().await;
    let link = sign(&site, file::RetrievalRequest { max_uses: 3, ..request(&site) }).await;
    let first = get(&site, &link, &[]).await;
    assert_eq!(first.text(), "hello");
    let tag = first.header("etag").to_owned();
    for (headers, status) in [
        (&[("if-none-match", tag.as_str())][..], 304),
        (&[("if-match", "\"x\"")], 412),
        (&[("range", "bytes=9-")], 416),
    ] {
        assert_eq!(get(&site, &link, headers).await.status, status);
    }
    assert_eq!(site.server.http("HEAD", &link, &[], "").await.status, 200);
    // Parts count like wholes: nobody reads a file for nothing by asking for it bit by bit.
    assert_eq!(get(&site, &link, &[("range", "bytes=3-")]).await.text(), "lo");
    assert_eq!(get(&site, &link, &[("range", "bytes=0-0,2-2")]).await.status, 206);
    for method in ["GET", "HEAD", "OPTIONS"] {
        let over = site.server.http(method, &link, &[], "").await;
        assert_eq!(over.status, 403, "{method}");
        assert!(!over.text().contains("hello"));
    }
    assert!(get(&site, &link, &[]).await.text().contains("as often as it may be"));
}

#[tokio::test]
async fn a_counted_link_is_used_no_more_often_by_many_at_once() {
    let site = site().await;
    let link = sign(&site, file::RetrievalRequest { max_uses: 5, ..request(&site) }).await;
    let answers = futures::future::join_all((0..20).map(|_| get(&site, &link, &[]))).await;
    let read = answers.iter().filter(|answer| answer.status == 200 && answer.text() == "hello").count();
    let refused = answers.iter().filter(|answer| answer.status == 403).count();
    assert_eq!((read, refused), (5, 15));
}

#[tokio::test]
async fn a40_what_bounds_a_link_is_signed_with_it() {
    let site = site().await;
    let bounded = file::RetrievalRequest {
        max_uses: 1,
        client_networks: vec!["192.0.2.0/24".into()],
        download_name: "n".into(),
        valid_for: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
        ..request(&site)
    };
    let link = sign(&site, bounded).await;
    let (address, token) = link.split_once("access_token=").unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    for gone in ["l", "dn", "net", "cnt", "exp"] {
        let mut claims = claims.clone();
        assert!(claims.as_object_mut().unwrap().remove(gone).is_some(), "{gone} is in {claims}");
        let changed = URL_SAFE_NO_PAD.encode(claims.to_string());
        let link = format!("{address}access_token={}.{changed}.{}", parts[0], parts[2]);
        assert_eq!(status(&site, &link).await, 401, "without {gone}");
    }
    for more in ["&download_name=x", "&max_uses=9", "&client_networks=0.0.0.0/0", "&net="] {
        assert_eq!(status(&site, &format!("{link}{more}")).await, 403, "{more}");
    }
}

#[tokio::test]
async fn a_link_is_good_in_its_networks_only() {
    let site = site().await;
    let within = |networks: &[&str]| file::RetrievalRequest {
        client_networks: networks.iter().map(|&network| network.to_owned()).collect(),
        ..request(&site)
    };
    for networks in [&["127.0.0.0/8"][..], &["10.0.0.0/8", "127.0.0.1"], &["::ffff:127.0.0.1"]] {
        let link = sign(&site, within(networks)).await;
        assert_eq!(get(&site, &link, &[]).await.text(), "hello", "{networks:?}");
    }
    for networks in [&["10.0.0.0/8"][..], &["127.0.0.2"], &["::/0"], &["::1"]] {
        let link = sign(&site, within(networks)).await;
        let answer = get(&site, &link, &[]).await;
        assert_eq!(answer.status, 403, "{networks:?}");
        assert!(answer.text().contains("your network") && !answer.text().contains("hello"));
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
    }
    for networks in [&["10.0.0.0/33"][..], &["example.com"], &[""], &["10.0.0.0/8,::1"], &["::1"; 17]] {
        assert_eq!(refused(&site, within(networks)).await.0, Code::InvalidArgument, "{networks:?}");
    }
}

#[tokio::test]
async fn a48_where_a_peer_says_it_is_does_not_count() {
    let site = site().await;
    let elsewhere = file::RetrievalRequest { client_networks: vec!["192.0.2.7".into()], ..request(&site) };
    let link = sign(&site, elsewhere).await;
    for header in ["x-forwarded-for", "x-real-ip", "true-client-ip", "x-client-ip"] {
        assert_eq!(get(&site, &link, &[(header, "192.0.2.7")]).await.status, 403, "{header}");
    }
    assert_eq!(get(&site, &link, &[("forwarded", "for=192.0.2.7")]).await.status, 403);
    let here = file::RetrievalRequest { client_networks: vec!["127.0.0.1".into()], ..request(&site) };
    let link = sign(&site, here).await;
    assert_eq!(get(&site, &link, &[("x-forwarded-for", "192.0.2.7")]).await.status, 200);
}

#[tokio::test]
async fn a48_what_a_trusted_proxy_says_counts() {
    let trusted_proxies = Networks::parse(&["127.0.0.1"]).unwrap();
    let settings = cacheroach_server::Settings { trusted_proxies, ..Default::default() };
    let site = Site::on(Server::start_with(settings).await).await;
    site.put("/dir/f", "hello").await;
    let elsewhere = file::RetrievalRequest { client_networks: vec!["192.0.2.7".into()], ..request(&site) };
    let link = sign(&site, elsewhere).await;
    for (said, status) in
        [("192.0.2.7", 200), ("192.0.2.7, 192.0.2.8", 403), ("192.0.2.8, 192.0.2.7", 200), ("", 403)]
    {
        assert_eq!(get(&site, &link, &[("x-forwarded-for", said)]).await.status, status, "{said}");
    }
}

#[tokio::test]
async fn a72_a_download_name_is_a_name_whatever_is_in_it() {
    let site = site().await;
    let named = |name: &str| file::RetrievalRequest { download_name: name.into(), ..request(&site) };
    for (name, value) in [
        ("report.txt", "attachment; filename=\"report.txt\""),
        ("a\"; x=\"b", "attachment; filename=\"a_; x=_b\"; filename*=UTF-8''a%22%3B%20x%3D%22b"),
        ("\u{fc}.txt", "attachment; filename=\"_.txt\"; filename*=UTF-8''%C3%BC.txt"),
        ("100%", "attachment; filename=\"100_\"; filename*=UTF-8''100%25"),
    ] {
        let link = sign(&site, named(name)).await;
        for method in ["GET", "HEAD"] {
            let answer = site.server.http(method, &link, &[], "").await;
            assert_eq!(
                (answer.status.as_u16(), answer.header("content-disposition")),
                (200, value),
                "{method}"
            );
        }
        let part = get(&site, &link, &[("range", "bytes=0-0")]).await;
        assert_eq!((part.status.as_u16(), part.header("content-disposition")), (206, value));
    }
    let long = "x".repeat(256);
    for name in ["a\r\nX: y", "\n", "\0", "../x", "a/b", "..\\x", "..", ".", "\u{85}", long.as_str()] {
        assert_eq!(refused(&site, named(name)).await.0, Code::InvalidArgument, "{name:?}");
    }
    let plain = sign(&site, request(&site)).await;
    assert_eq!(get(&site, &plain, &[]).await.header("content-disposition"), "");
}

#[tokio::test]
async fn a42_no_link_lives_beyond_the_operators_limit() {
    let site = Site::on(Server::start_with_link_limit(HOUR).await).await;
    site.put("/dir/f", "hello").await;
    let mut links = Vec::new();
    for seconds in [None, Some(0), Some(60), Some(3_600), Some(3_601), Some(86_400 * 3_650)] {
        let valid_for = seconds.map(|seconds| prost_types::Duration { seconds, nanos: 0 });
        let request = file::RetrievalRequest { valid_for, ..request(&site) };
        let answer = site.server.files(&site.token).retrieve(request).await.unwrap().into_inner();
        let granted = answer.expires_at.unwrap().seconds - site.server.now().seconds();
        let expected = seconds.filter(|seconds| *seconds > 0).unwrap_or(3_600).min(3_600);
        assert_eq!(granted, expected, "the answer shows what was granted");
        links.push((answer.get_uri, granted));
    }
    let drop = file::CreateDropLinkRequest {
        tenant: Some(site.tenant.into()),
        path: "/dir/".into(),
        ..Default::default()
    };
    let drop = site.server.files(&site.token).create_drop_link(drop).await.unwrap().into_inner();
    assert_eq!(drop.expires_at.unwrap().seconds - site.server.now().seconds(), 3_600);
    site.server.advance(HOUR - Duration::from_micros(1));
    for (link, granted) in &links {
        assert_eq!(status(&site, link).await, if *granted < 3_600 { 401 } else { 200 }, "{granted}");
    }
    assert_eq!(status(&site, &drop.put_uri).await, 200);
    site.server.advance(Duration::from_micros(1));
    for (link, granted) in &links {
        assert_eq!(status(&site, link).await, 401, "{granted}");
    }
    assert_eq!(status(&site, &drop.put_uri).await, 401);
    let negative = file::RetrievalRequest { max_uses: -1, ..request(&site) };
    assert_eq!(refused(&site, negative).await.0, Code::InvalidArgument);
}

#[tokio::test]
async fn a44_a_counted_link_dies_with_the_grant_of_its_signer_too() {
    let site = site().await;
    let principal = site.server.principal().await;
    let signer = site.server.issue(&on_tenant(principal, READ, site.tenant, "/dir/*").living(DAY)).await;
    let counted = file::RetrievalRequest { max_uses: 9, listed: true, ..request(&site) };
    let link = site.server.files(&signer).retrieve(counted).await.unwrap().into_inner().get_uri;
    assert_eq!(status(&site, &link).await, 200);
    site.log_out(&signer).await;
    assert_eq!(status(&site, &link).await, 401);
}
