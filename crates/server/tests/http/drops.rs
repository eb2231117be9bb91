//! Drop links: who may make one, what it is good for, and its limits.

use std::time::Duration;

use cacheroach_api::{file, token, vhost};
use cacheroach_model::Capabilities;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;

use crate::site::{READ, Site, WRITE, noise, sha256};
use crate::support::{Answer, HOUR, Server, on_principal, on_tenant};

/// A drop link of the owner to `/in/`, as asked for.
pub(crate) async fn make(site: &Site, more: file::CreateDropLinkRequest) -> String {
    let request =
        file::CreateDropLinkRequest { tenant: Some(site.tenant.into()), path: "/in/".into(), ..more };
    site.server.files(&site.token).create_drop_link(request).await.unwrap().into_inner().put_uri
}

pub(crate) async fn plain(site: &Site) -> String {
    make(site, file::CreateDropLinkRequest::default()).await
}

/// The address of a file of a link.
pub(crate) fn at(link: &str, name: &str) -> String {
    link.replace("/drop/?", &format!("/drop/{name}?"))
}

async fn put(site: &Site, link: &str, name: &str, body: &[u8]) -> Answer {
    site.server.http("PUT", &at(link, name), &[], body.to_vec()).await
}

#[tokio::test]
async fn whoever_has_a_drop_link_puts_files_into_its_directory() {
    let site = Site::new().await;
    let link = plain(&site).await;
    assert!(link.starts_with("/_/v0/drop/?access_token="), "{link}");
    for (name, path, body) in [
        ("a.txt", "/in/a.txt", b"hello".to_vec()),
        ("b%20c", "/in/b c", Vec::new()),
        ("%C3%BC", "/in/\u{fc}", noise(3 << 20)),
        ("*", "/in/*", b"star".to_vec()),
    ] {
        let answer = put(&site, &link, name, &body).await;
        assert_eq!((answer.status.as_u16(), answer.text().trim()), (201, sha256(&body).as_str()), "{name}");
        let stored = site.get(&path.replace(' ', "%20").replace('\u{fc}', "%C3%BC")).await;
        assert_eq!(stored.body.unwrap(), body, "{name}");
    }
    assert_eq!(site.paths().await, ["/in/*", "/in/a.txt", "/in/b c", "/in/\u{fc}"]);
    let typed = [("content-type", "text/markdown")];
    assert_eq!(site.server.http("PUT", &at(&link, "t"), &typed, "x").await.status, 201);
    assert_eq!(site.get("/in/t").await.header("content-type"), "text/markdown");
}

#[tokio::test]
async fn nothing_that_is_there_is_written_over_or_shown() {
    let site = Site::new().await;
    site.put("/in/secret", "mine").await;
    let link = plain(&site).await;
    let taken = put(&site, &link, "secret", b"evil").await;
    assert_eq!(taken.status, 409);
    assert!(!taken.text().contains("mine"));
    assert_eq!(site.get("/in/secret").await.text(), "mine");
    assert_eq!(site.version("/in/secret").await, 1);
    for method in ["GET", "HEAD"] {
        for name in ["", "secret", "x"] {
            let page = site.server.http(method, &at(&link, name), &[], "").await;
            assert_eq!(page.status, 200);
            assert!(!page.text().contains("secret") && !page.text().contains("mine"), "{}", page.text());
            assert_eq!(page.header("etag"), "");
        }
    }
    for method in ["DELETE", "PATCH", "OPTIONS"] {
        assert_eq!(site.server.http(method, &at(&link, "secret"), &[], "").await.status, 405, "{method}");
    }
    assert_eq!(put(&site, &link, "new", b"1").await.status, 201);
    assert_eq!(put(&site, &link, "new", b"2").await.status, 409, "not even by the same");
    assert_eq!(site.paths().await, ["/in/new", "/in/secret"]);
}

#[tokio::test]
async fn a11_a41_the_token_of_a_drop_link_is_good_nowhere_else_and_no_other_is_one() {
    let site = Site::new().await;
    site.put("/in/f", "mine").await;
    let link = plain(&site).await;
    let drop = link.split_once("access_token=").unwrap().1;
    let bearer = format!("Bearer {drop}");
    for method in ["GET", "HEAD", "PUT", "POST", "DELETE"] {
        for path in ["/in/f", "/in/new", "/in/", "/_/v0/config", "/_/v0/retrieve/f"] {
            let answer = site.server.http(method, path, &[("authorization", &bearer)], "evil").await;
            let expected: &[u16] = if path.contains("retrieve") { &[401, 405] } else { &[401] };
            assert!(expected.contains(&answer.status.as_u16()), "{method} {path}: {answer:?}");
        }
    }
    let refused = site.server.tokens(drop).current(()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let valid = site.server.tokens("").validate(token::Token { jwt: drop.into() }).await;
    assert_eq!(valid.unwrap_err().code(), Code::Unauthenticated);

    let signed = site.link(&site.token, "/in/f", 0, None).await;
    let signed = signed.split_once("access_token=").unwrap().1;
    let writer = site.token_for(WRITE, "/*").await;
    let state_like = "x.y.z";
    for other in [signed, &site.token, &writer, &site.server.super_token(), state_like, ""] {
        for method in ["GET", "PUT", "POST"] {
            let target = format!("/_/v0/drop/new?access_token={other}");
            assert_eq!(site.server.http(method, &target, &[], "evil").await.status, 401, "{method}");
            let bearer = format!("Bearer {other}");
            let answer =
                site.server.http(method, "/_/v0/drop/new", &[("authorization", &bearer)], "evil").await;
            assert_eq!(answer.status, 401, "{method}");
        }
    }
    // A browser sends a cookie by itself, so it stands for nothing here.
    let cookie = format!("authorization={drop}");
    assert_eq!(site.server.http("PUT", "/_/v0/drop/new", &[("cookie", &cookie)], "evil").await.status, 401);
    assert_eq!(site.paths().await, ["/in/f"]);
}

#[tokio::test]
async fn a40_any_change_of_the_token_of_a_drop_link_ends_it() {
    let site = Site::new().await;
    let link = plain(&site).await;
    let good = link.split_once("access_token=").unwrap().1;
    for (index, was) in good.char_indices().filter(|(_, c)| *c != '.') {
        let other = if was == 'A' { 'B' } else { 'A' };
        let bad = format!("{}{other}{}", &good[..index], &good[index + 1..]);
        let answer = site.server.http("PUT", &format!("/_/v0/drop/x?access_token={bad}"), &[], "evil").await;
        assert_eq!(answer.status, 401, "{index}");
    }
    assert_eq!(site.paths().await, [""; 0]);
}

#[tokio::test]
async fn a66_the_name_of_a_file_is_never_a_path() {
    let site = Site::new().await;
    let link = plain(&site).await;
    let long = "x".repeat(256);
    for name in ["", "a/b", "a%2Fb", "a%5Cb", "..%5Cx", "x/", "%00", "%0d%0a", "%7f", "%ff", long.as_str()] {
        let answer = put(&site, &link, name, b"evil").await;
        assert_eq!(answer.status, 400, "{name}: {answer:?}");
    }
    for name in ["../x", "%2e%2e/x", "%2e%2e%2fx", "a/../../x", "..", "%2e", "//x", "%2F"] {
        let answer = put(&site, &link, name, b"evil").await;
        assert!([301, 400].contains(&answer.status.as_u16()), "{name}: {answer:?}");
    }
    assert_eq!(site.paths().await, [""; 0]);
    assert_eq!(put(&site, &link, &"x".repeat(255), b"fine").await.status, 201);
}

#[tokio::test]
async fn a_file_of_a_drop_link_is_not_larger_than_it_may_be() {
    let site = Site::new().await;
    let link =
        make(&site, file::CreateDropLinkRequest { max_size: 200_000, max_files: 2, ..Default::default() })
            .await;
    assert_eq!(put(&site, &link, "large", &noise(200_001)).await.status, 413);
    // Without a length it is seen only while it comes.
    let head = format!(
        "PUT {} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        at(&link, "streamed")
    );
    let mut request = head.into_bytes();
    for _ in 0..5 {
        request.extend_from_slice(format!("{:x}\r\n", 50_000).as_bytes());
        request.extend_from_slice(&noise(50_000));
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    let answer = site.server.raw(&request).await;
    assert!(answer.starts_with(b"HTTP/1.1 413"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(site.paths().await, [""; 0]);
    assert_eq!(put(&site, &link, "fits", &noise(200_000)).await.status, 201, "what failed was given back");
    assert_eq!(put(&site, &link, "second", b"").await.status, 201);
    assert_eq!(put(&site, &link, "third", b"").await.status, 403);
}

#[tokio::test]
async fn only_the_types_of_a_drop_link_are_taken() {
    let site = Site::new().await;
    let content_types = vec!["image/*".into(), "Application/PDF".into()];
    let link = make(&site, file::CreateDropLinkRequest { content_types, ..Default::default() }).await;
    for (name, declared, status) in [
        ("a.png", "", 201),
        ("b", "image/webp", 201),
        ("c.pdf", "application/pdf", 201),
        ("d.PDF", "", 201),
        ("e.png", "IMAGE/png; x=y", 201),
        ("f.html", "", 415),
        ("g", "", 415),
        ("h.png", "text/html", 415),
        ("i", "imagex/png", 415),
        ("j", "image", 400),
    ] {
        let header = [("content-type", declared)];
        let headers = if declared.is_empty() { &[][..] } else { &header };
        let answer = site.server.http("PUT", &at(&link, name), headers, "x").await;
        assert_eq!(answer.status, status, "{name} {declared}");
    }
    assert_eq!(site.paths().await.len(), 5);
}

#[tokio::test]
async fn many_at_once_are_not_more_files_than_one_by_one() {
    let site = Site::new().await;
    let link = make(&site, file::CreateDropLinkRequest { max_files: 7, ..Default::default() }).await;
    let names: Vec<_> = (0..20).map(|number| format!("f{number}")).collect();
    let answers = futures::future::join_all(names.iter().map(|name| put(&site, &link, name, b"x"))).await;
    let of = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((of(201), of(403)), (7, 13));
    assert_eq!(site.paths().await.len(), 7);
    let page = site.server.http("GET", &link, &[], "").await;
    assert!(!page.text().contains("<form"), "{}", page.text());
}

#[tokio::test]
async fn of_many_at_once_with_one_name_one_is_kept() {
    let site = Site::new().await;
    let link = make(&site, file::CreateDropLinkRequest { max_files: 10, ..Default::default() }).await;
    let bodies: Vec<_> = (0..10_usize).map(|number| noise(1 + number * 20_000)).collect();
    let answers = futures::future::join_all(bodies.iter().map(|body| put(&site, &link, "same", body))).await;
    let of = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((of(201), of(409)), (1, 9));
    assert_eq!(site.version("/in/same").await, 1);
    // Nine came to nothing, and were given back.
    for number in 0..9 {
        assert_eq!(put(&site, &link, &format!("other{number}"), b"x").await.status, 201, "{number}");
    }
    assert_eq!(put(&site, &link, "more", b"x").await.status, 403);
}

#[tokio::test]
async fn a63_a_body_that_is_cut_off_is_no_file_and_its_place_is_free_again() {
    let site = Site::new().await;
    let link = make(&site, file::CreateDropLinkRequest { max_files: 1, ..Default::default() }).await;
    for ending in ["Content-Length: 10\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"] {
        let request = format!("PUT {} HTTP/1.1\r\nHost: localhost\r\n{ending}", at(&link, "cut"));
        site.server.cut_off(request.as_bytes()).await;
    }
    // The place is given back once the server has seen that the client is gone.
    let patience = tokio::time::timeout(Duration::from_secs(20), async {
        while put(&site, &link, "whole", b"x").await.status != 201 {
            tokio::task::yield_now().await;
        }
    });
    patience.await.unwrap();
    assert_eq!(site.paths().await, ["/in/whole"]);
}

#[tokio::test]
async fn a44_a_drop_link_lives_as_long_as_its_signer_may_write_there() {
    let site = Site::new().await;
    let principal = site.server.principal().await;
    let ask = file::CreateDropLinkRequest {
        tenant: Some(site.tenant.into()),
        path: "/in/".into(),
        ..Default::default()
    };
    let grant = site.server.issue(&on_tenant(principal, WRITE, site.tenant, "/in/*")).await;
    let own = site.server.issue(&on_principal(principal, Capabilities::ALL, principal)).await;
    let link = site.server.files(&own).create_drop_link(ask).await.unwrap().into_inner().put_uri;
    assert_eq!(put(&site, &link, "a", b"x").await.status, 201);
    site.log_out(&own).await;
    assert_eq!(put(&site, &link, "b", b"x").await.status, 201, "logging out revokes no grant");
    site.server.issue(&on_tenant(principal, READ, site.tenant, "/*")).await;
    site.log_out(&grant).await;
    for method in ["GET", "PUT", "POST"] {
        let answer = site.server.http(method, &at(&link, "c"), &[], "x").await;
        assert_eq!(answer.status, 401, "{method}");
    }
    site.server.issue(&on_tenant(principal, WRITE, site.tenant, "/in/*")).await;
    assert_eq!(put(&site, &link, "d", b"x").await.status, 201);
    site.delete_principal(principal).await;
    assert_eq!(put(&site, &link, "e", b"x").await.status, 401);
}

#[tokio::test]
async fn p10_a_drop_link_that_was_taken_back_or_is_over_takes_nothing() {
    let site = Site::new().await;
    let link = plain(&site).await;
    let valid_for = Some(prost_types::Duration { seconds: 3_600, nanos: 0 });
    let short = make(&site, file::CreateDropLinkRequest { valid_for, ..Default::default() }).await;
    assert_eq!(put(&site, &short, "a", b"x").await.status, 201);
    site.server.advance(HOUR);
    assert_eq!(put(&site, &short, "b", b"x").await.status, 401);
    let kind = Some(file::revoke_link_request::Kind::Url(link.clone()));
    let stranger = site.token_for(READ | WRITE, "/*").await;
    let request = file::RevokeLinkRequest { kind };
    let refused = site.server.files(&stranger).revoke_link(request.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    site.server.files(&site.token).revoke_link(request).await.unwrap();
    for method in ["GET", "PUT", "POST"] {
        assert_eq!(site.server.http(method, &at(&link, "c"), &[], "x").await.status, 401, "{method}");
    }
    assert_eq!(site.paths().await, ["/in/a"]);
}

/// A PUT of four bytes of which two have come, and of which the server knows.
async fn half_of_a_put(site: &Site, link: &str) -> TcpStream {
    let mut stream = TcpStream::connect(site.server.addr()).await.unwrap();
    let head = "HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 4\r\n\r\n";
    stream.write_all(format!("PUT {} {head}ab", at(link, "late")).as_bytes()).await.unwrap();
    let request =
        file::ListLinksRequest { tenant: Some(site.tenant.into()), path: "/".into(), ..Default::default() };
    let begun = async {
        let uses = async || {
            let request = request.clone();
            let ruler = site.server.super_token();
            let found = site.server.files(&ruler).list_links(request).await.unwrap().into_inner().links;
            found.iter().map(|link| link.uses).sum::<i64>()
        };
        while uses().await == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), begun).await.unwrap();
    stream
}

#[tokio::test]
async fn p10_what_still_comes_when_a_drop_link_ends_is_no_file() {
    for end in ["of its time", "of the operator's", "taken back", "of the grant"] {
        let server = if end == "of the operator's" {
            Server::start_with_link_limit(HOUR).await
        } else {
            Server::start().await
        };
        let site = Site::on(server).await;
        let grant = site.server.issue(&on_tenant(site.owner, WRITE, site.tenant, "/in/*")).await;
        let seconds = if end == "of its time" { 3_600 } else { 0 };
        let request = file::CreateDropLinkRequest {
            tenant: Some(site.tenant.into()),
            path: "/in/".into(),
            valid_for: Some(prost_types::Duration { seconds, nanos: 0 }),
            ..Default::default()
        };
        let link = site.server.files(&grant).create_drop_link(request).await.unwrap().into_inner().put_uri;
        let mut stream = half_of_a_put(&site, &link).await;
        match end {
            "taken back" => {
                let kind = Some(file::revoke_link_request::Kind::Url(link));
                let request = file::RevokeLinkRequest { kind };
                site.server.files(&site.token).revoke_link(request).await.unwrap();
            }
            "of the grant" => {
                site.log_out(&grant).await;
                site.log_out(&site.token).await;
            }
            _ => site.server.advance(HOUR),
        }
        stream.write_all(b"cd").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 401 "), "{end}: {answer}");
        assert_eq!(site.paths().await, [""; 0], "{end}");
    }
}

#[tokio::test]
async fn no_file_of_a_drop_link_is_shown_in_the_place_of_a_directory() {
    let site = Site::new().await;
    site.put("/in/reports/a", "mine").await;
    let link = plain(&site).await;
    assert_eq!(put(&site, &link, "index.html", b"evil").await.status, 400);
    assert_eq!(put(&site, &link, "reports", b"evil").await.status, 409);
    assert_eq!(put(&site, &link, "report", b"fine").await.status, 201);
    for path in ["/in/", "/in/reports/"] {
        let listing = site.get(path).await;
        assert_eq!((listing.status.as_u16(), listing.text().contains("report")), (200, true), "{path}");
    }
    assert_eq!(site.paths().await, ["/in/report", "/in/reports/a"]);
    let vhost = vhost::VHost {
        vhost: "static.example".into(),
        tenant_id: Some(site.tenant.into()),
        index: "start.htm".into(),
        ..Default::default()
    };
    let request = vhost::EnsureRequest { vhost: Some(vhost), delete: false };
    site.server.vhosts(&site.server.super_token()).ensure(request).await.unwrap();
    assert_eq!(put(&site, &link, "start.htm", b"evil").await.status, 400, "the page of another host");
}

#[tokio::test]
async fn a_drop_link_is_for_who_may_write_all_of_the_directory() {
    let site = Site::new().await;
    let server: &Server = &site.server;
    let ask = async |token: &str, path: &str| {
        let request = file::CreateDropLinkRequest {
            tenant: Some(site.tenant.into()),
            path: path.into(),
            ..Default::default()
        };
        server.files(token).create_drop_link(request).await.map(drop).map_err(|status| status.code())
    };
    let denied = Err(Code::PermissionDenied);
    let writer = site.token_for(WRITE, "/in/*").await;
    assert_eq!(ask(&writer, "/in/").await, Ok(()));
    assert_eq!(ask(&writer, "/in/deep/").await, Ok(()));
    assert_eq!(ask(&writer, "/in/../").await, denied);
    assert_eq!(ask(&writer, "/").await, denied);
    assert_eq!(ask(&writer, "/in").await, Err(Code::InvalidArgument));
    assert_eq!(ask(&site.token_for(READ, "/*").await, "/in/").await, denied);
    assert_eq!(ask(&site.token_for(WRITE, "/in/f").await, "/in/").await, denied);
    for more in [
        file::CreateDropLinkRequest { max_size: -1, ..Default::default() },
        file::CreateDropLinkRequest { max_files: -1, ..Default::default() },
        file::CreateDropLinkRequest { content_types: vec!["image".into()], ..Default::default() },
        file::CreateDropLinkRequest { content_types: vec!["*/*".into()], ..Default::default() },
        file::CreateDropLinkRequest { content_types: vec!["a/b,c/d".into()], ..Default::default() },
        file::CreateDropLinkRequest { content_types: vec!["a/b".into(); 33], ..Default::default() },
        file::CreateDropLinkRequest { client_networks: vec!["x".into()], ..Default::default() },
        file::CreateDropLinkRequest { label: "x".repeat(1025), ..Default::default() },
    ] {
        let request =
            file::CreateDropLinkRequest { tenant: Some(site.tenant.into()), path: "/in/".into(), ..more };
        let refused = server.files(&site.token).create_drop_link(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
}

#[tokio::test]
async fn a45_a_drop_link_stays_with_who_has_it_and_knows_its_network() {
    let site = Site::new().await;
    let link = plain(&site).await;
    for (method, name) in [("GET", ""), ("PUT", "a"), ("PUT", "a"), ("POST", ""), ("DELETE", "")] {
        let answer = site.server.http(method, &at(&link, name), &[], "x").await;
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{method}");
        assert_eq!(answer.header("cache-control"), "no-store", "{method}");
    }
    let client_networks = vec!["192.0.2.0/24".into()];
    let far = make(&site, file::CreateDropLinkRequest { client_networks, ..Default::default() }).await;
    for headers in [&[][..], &[("x-forwarded-for", "192.0.2.1")]] {
        assert_eq!(site.server.http("PUT", &at(&far, "b"), headers, "x").await.status, 403);
        assert_eq!(site.server.http("GET", &far, headers, "").await.status, 403);
    }
    assert_eq!(site.paths().await, ["/in/a"]);
}
