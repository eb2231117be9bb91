//! Writing and deleting files, whole or not at all.

use std::collections::BTreeSet;

use bytes::Bytes;
use cacheroach_model::PrincipalId;
use futures::future::join_all;
use h2::Reason;
use http::Request;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::site::{READ, Site, WRITE, noise, sha256};
use crate::support::on_tenant;
use crate::wire::{exchange, exchange_open, h2, h2_get, replies};

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[tokio::test]
async fn a_write_answers_the_hash_of_what_it_stored() {
    let site = Site::new().await;
    for method in ["PUT", "POST"] {
        for content in [noise(1), noise(65_536), noise(65_537), noise(524_288), noise(1_048_577)] {
            let answer = site.ask(method, "/f", &[], content.clone()).await;
            assert_eq!((answer.status.as_u16(), answer.text()), (202, sha256(&content).as_str()));
            assert!(answer.header("content-type").starts_with("text/plain"), "{answer:?}");
            assert!(site.get("/f").await.body.unwrap() == content);
        }
    }
    assert_eq!(site.version("/f").await, 10);
}

#[tokio::test]
async fn c10_an_empty_body_is_a_file() {
    let site = Site::new().await;
    let answer = site.ask("PUT", "/length", &[("content-length", "0")], "").await;
    assert_eq!((answer.status.as_u16(), answer.text()), (202, EMPTY));
    for (path, framing) in [
        ("/chunked", "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n"),
        ("/bare", "Connection: close\r\n\r\n"),
    ] {
        let answer = exchange_open(site.server.addr(), site.head("PUT", path) + framing).await;
        let reply = &replies(&answer)[0];
        assert_eq!((reply.status, reply.body.as_slice()), (202, EMPTY.as_bytes()), "{path}");
    }
    for path in ["/length", "/chunked", "/bare"] {
        let answer = site.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (200, ""), "{path}");
        assert_eq!(answer.header("content-length"), "0");
        assert_eq!(answer.header("etag"), format!("\"{EMPTY}\""));
    }
}

#[tokio::test]
async fn a_last_slash_is_no_part_of_a_name() {
    let site = Site::new().await;
    assert_eq!(site.ask("PUT", "/a/b/", &[], "x").await.status, 202);
    assert_eq!(site.paths().await, ["/a/b"]);
    assert_eq!(site.get("/a/b").await.text(), "x");
}

#[tokio::test]
async fn c21_the_top_is_no_file() {
    let site = Site::new().await;
    let all = site.server.super_token();
    for method in ["PUT", "POST"] {
        assert_eq!(site.ask(method, "/", &[], "x").await.status, 400, "{method}");
        assert!(site.ask_as(&all, method, "/", &[], "x").await.status.is_client_error(), "{method}");
    }
    assert!(site.paths().await.is_empty());
    let scratchpad = site.server.list(cacheroach_model::TenantId::SCRATCHPAD).await;
    assert_eq!(scratchpad.len(), 1, "{scratchpad:?}");
}

#[tokio::test]
async fn a_path_that_is_not_clean_is_led_elsewhere_and_nothing_is_stored() {
    let site = Site::new().await;
    site.put("/b", "kept").await;
    for (target, location) in [
        ("//x", "/x"),
        ("/a/../b", "/b"),
        ("/./b", "/b"),
        ("/a//b", "/a/b"),
        ("/a/%2e%2e/b", "/b"),
        ("/%2E%2E/b", "/b"),
        ("/..", "/"),
        ("/a/b/..", "/a"),
        ("/a/./", "/a/"),
        ("/x%2F%2Fy", "/x/y"),
        ("/x%2F..%2Fb?q=1", "/b?q=1"),
        ("//evil.example/x", "/evil.example/x"),
    ] {
        for method in ["GET", "PUT", "POST", "DELETE", "PATCH"] {
            let reply = exchange_open(
                site.server.addr(),
                format!("{}Content-Length: 1\r\nConnection: close\r\n\r\nx", site.head(method, target)),
            );
            let reply = replies(&reply.await).remove(0);
            assert_eq!(reply.status, 301, "{method} {target}");
            assert_eq!(reply.headers["location"], location, "{method} {target}");
            assert!(reply.body.is_empty());
        }
    }
    assert_eq!(site.paths().await, ["/b"]);
    assert_eq!(site.get("/b").await.text(), "kept");
}

#[tokio::test]
async fn a22_every_spelling_is_the_path_that_is_checked() {
    let site = Site::new().await;
    site.put("/secret/f", "secret").await;
    site.put("/mine/f", "mine").await;
    let token = site.token_for(READ | WRITE, "/mine/*").await;
    for target in [
        "/mine/../secret/f",
        "/mine/%2e%2e/secret/f",
        "/mine/.%2e/secret/f",
        "/mine/..%2fsecret/f",
        "/mine%2F..%2Fsecret%2Ff",
        "/mine/..%5csecret%5cf",
        "/mine/..\\secret\\f",
        "/mine/%252e%252e/secret/f",
        "/mine/..%252fsecret/f",
        "/mine/..;/secret/f",
        "/mine//../secret/f",
        "/mine/./../secret/f",
        "/mine/../secret/f/",
        "/mine/.../secret/f",
        "/mine/%c0%ae%c0%ae/secret/f",
        "/mine/\u{ff0e}\u{ff0e}/secret/f",
    ] {
        for method in ["GET", "DELETE", "PUT"] {
            let head = crate::site::head(&token, method, target);
            let request = format!("{head}Content-Length: 4\r\nConnection: close\r\n\r\nevil");
            let answer = exchange_open(site.server.addr(), request).await;
            let reply = &replies(&answer)[0];
            assert_ne!(reply.status / 100, 5, "{method} {target}");
            assert_ne!(reply.body, b"secret", "{method} {target}");
        }
    }
    assert_eq!(site.get("/secret/f").await.text(), "secret");
    assert_eq!(site.version("/secret/f").await, 1);
    let outside: Vec<String> =
        site.paths().await.into_iter().filter(|path| !path.starts_with("/mine/")).collect();
    assert_eq!(outside, ["/secret/f"]);
}

#[tokio::test]
async fn a22_a_decoded_slash_separates_and_nothing_is_decoded_twice() {
    let site = Site::new().await;
    site.put("/a/b", "x").await;
    assert_eq!(site.get("/a%2Fb").await.text(), "x");
    assert_eq!(site.get("/a%2fb").await.text(), "x");
    assert_eq!(site.get("/%61/%62").await.text(), "x");
    site.put("/a%2Fc", "y").await;
    site.put("/a%252Fd", "z").await;
    site.put("/back%5Cslash", "w").await;
    assert_eq!(site.paths().await, ["/a%2Fd", "/a/b", "/a/c", "/back\\slash"]);
    assert_eq!(site.get("/a/d").await.status, 404);
    assert_eq!(site.get("/back/slash").await.status, 404);
}

#[tokio::test]
async fn a23_what_is_no_text_is_refused() {
    let site = Site::new().await;
    for path in [
        "/%00",
        "/a%00b",
        "/%01",
        "/%0a",
        "/%0d%0a",
        "/%09",
        "/%1f",
        "/%7f",
        "/%ff",
        "/%c0%af",
        "/%e2%28%a1",
        "/%ed%a0%80",
        "/%f4%90%80%80",
        "/%c3",
        "/%",
        "/%4",
        "/%zz",
        "/%u0041",
        "/%c2%85",
        "/a/%0a/../b",
    ] {
        for method in ["GET", "HEAD", "PUT", "POST", "DELETE"] {
            assert_eq!(site.ask(method, path, &[], "x").await.status, 400, "{method} {path}");
        }
    }
    for path in [&b"/\xff"[..], b"/\xc0\xaf", b"/a\x01b", b"/a\x7fb", b"/a\0b"] {
        let request =
            [b"PUT ", path, b" HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"];
        let answer = exchange_open(site.server.addr(), request.concat()).await;
        assert_eq!(replies(&answer)[0].status, 400, "{path:?}");
    }
    assert!(site.paths().await.is_empty());
}

#[tokio::test]
async fn a24_spellings_that_look_alike_are_different_names() {
    let site = Site::new().await;
    let names = [
        "/caf%C3%A9",
        "/cafe%CC%81",
        "/CAF%C3%89",
        "/%EF%BC%83",
        "/%23",
        "/%EF%BD%81",
        "/a",
        "/A",
        "/a.",
        "/a%20",
    ];
    for name in names {
        site.put(name, name).await;
    }
    for name in names {
        assert_eq!(site.get(name).await.text(), name);
    }
    assert_eq!(site.paths().await.len(), names.len());
}

#[tokio::test]
async fn a25_stars_and_question_marks_are_letters_in_a_request() {
    let site = Site::new().await;
    site.put("/d/a", "a").await;
    site.put("/d/_", "_").await;
    for path in ["/*", "/d/*", "/d/%2A", "/d/%3F", "/d/%25", "/%25", "/?", "/d/%5Ba%5D"] {
        let answer = site.get_with(path, &[("accept", "application/json")]).await;
        let expected = if path == "/?" { 200 } else { 404 };
        assert_eq!(answer.status, expected, "{path}");
        assert_eq!(site.ask("DELETE", path, &[], "").await.status.as_u16() / 100, 2, "{path}");
    }
    assert_eq!(site.paths().await.len(), 2, "nothing of that deleted anything");
    for path in ["/d/*", "/d/%3F", "/*"] {
        site.put(path, path).await;
        assert_eq!(site.get(path).await.text(), path);
    }
    site.ask("DELETE", "/d/*", &[], "").await;
    assert_eq!(site.paths().await, ["/*", "/d/?", "/d/_", "/d/a"]);
    let token = site.token_for(READ, "/d/a").await;
    assert_eq!(site.ask_as(&token, "GET", "/d/%3F", &[], "").await.status, 404);
}

#[tokio::test]
async fn a_path_has_at_most_1024_bytes() {
    let site = Site::new().await;
    for (length, status) in [(1024, 202), (1025, 414), (8000, 414)] {
        let path = format!("/{}", "a".repeat(length - 1));
        assert_eq!(site.ask("PUT", &path, &[], "x").await.status, status, "{length}");
        assert_eq!(site.get(&path).await.status == 200, status == 202, "{length}");
    }
    let encoded = format!("/{}", "%C3%A9".repeat(511));
    assert_eq!(site.ask("PUT", &encoded, &[], "x").await.status, 202, "what counts is what it decodes to");
    let encoded = format!("/{}", "%C3%A9".repeat(512));
    assert!(site.ask("PUT", &encoded, &[], "x").await.status.is_client_error());
    assert_eq!(site.paths().await.len(), 2);
}

#[tokio::test]
async fn delete_takes_the_file_and_nothing_else() {
    let site = Site::new().await;
    for path in ["/a", "/a/b", "/a/c", "/ab"] {
        site.put(path, "x").await;
    }
    for (path, left) in [("/none", 4), ("/a/none", 4), ("/", 4), ("/a/c", 3), ("/a/c", 3), ("/a", 2)] {
        let answer = site.ask("DELETE", path, &[], "").await;
        assert_eq!((answer.status.as_u16(), answer.text()), (200, ""), "{path}");
        assert_eq!(site.paths().await.len(), left, "{path}");
    }
    assert_eq!(site.get("/a/b").await.text(), "x");
    assert_eq!(site.get("/a/c").await.status, 404);
}

#[tokio::test]
async fn delete_of_a_directory_deletes_nothing_not_even_a_file_of_its_name() {
    let site = Site::new().await;
    site.put("/a", "file").await;
    site.put("/a/b", "below").await;
    for path in ["/a/", "/a/b/"] {
        let answer = site.ask("DELETE", path, &[], "").await;
        assert_eq!((answer.status.as_u16(), answer.text()), (200, ""), "{path}");
    }
    assert_eq!(site.paths().await, ["/a", "/a/b"]);
}

#[tokio::test]
async fn a_deleted_path_goes_on_counting() {
    let site = Site::new().await;
    site.put("/f", "one").await;
    site.ask("DELETE", "/f", &[], "").await;
    assert_eq!(site.get("/f").await.status, 404);
    site.put("/f", "two").await;
    assert_eq!(site.get("/f").await.text(), "two");
    assert_eq!(site.version("/f").await, 2);
}

#[tokio::test]
async fn what_programs_say_by_themselves_is_no_type() {
    let site = Site::new().await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(site.ask("POST", "/page.html", &form, "a=b").await.status, 202);
    assert_eq!(site.get("/page.html").await.header("content-type"), "text/html; charset=utf-8");
}

#[tokio::test]
async fn a72_a_type_that_is_none_is_refused() {
    let site = Site::new().await;
    let long = format!("text/{}", "x".repeat(300));
    for content_type in [
        "text",
        "/",
        "text/",
        "text/html; charset",
        "text/html\t",
        "text/html, text/plain",
        "text/html; a=\"b",
        "te xt/html",
        &long,
    ] {
        let request = format!(
            "{}Content-Type: {content_type};\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx",
            site.head("PUT", "/f")
        );
        let request = if content_type.ends_with('\t') { request.replace("\t;", "\t;x") } else { request };
        let reply = replies(&exchange_open(site.server.addr(), request).await).remove(0);
        assert_eq!(reply.status, 400, "{content_type}");
    }
    let bytes = [
        site.head("PUT", "/f").as_bytes(),
        b"Content-Type: text/\xe9\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx",
    ]
    .concat();
    assert_eq!(replies(&exchange_open(site.server.addr(), bytes).await)[0].status, 400);
    assert!(site.paths().await.is_empty());
}

/// Until there is a protocol that speaks XML, nothing reads any: it is a content like others, or nothing.
#[tokio::test]
async fn a70_xml_is_read_by_nobody() {
    let site = Site::new().await;
    let bomb = "<?xml version=\"1.0\"?><!DOCTYPE l [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">\
                <!ENTITY x SYSTEM \"file:///etc/passwd\">]><l>&b;&x;</l>";
    let deep = "<a>".repeat(100_000);
    let wide = format!("<a {}/>", (0..100_000).map(|at| format!("a{at}='' ")).collect::<String>());
    let xml = [("content-type", "application/xml")];
    for body in [bomb, deep.as_str(), wide.as_str()] {
        for method in ["PROPFIND", "PROPPATCH", "REPORT", "LOCK"] {
            let answer = site.ask(method, "/f", &xml, body.to_owned()).await;
            assert_eq!((answer.status.as_u16(), answer.text()), (405, ""), "{method}");
        }
        assert_eq!(site.ask("PATCH", "/f", &xml, body.to_owned()).await.status.as_u16() / 100, 4);
        assert_eq!(site.ask("PUT", "/f.xml", &xml, body.to_owned()).await.status, 202);
        assert_eq!(site.get("/f.xml").await.text(), body, "it comes back as it went");
    }
}

#[tokio::test]
async fn a64_a_path_of_five_hundred_segments_is_served() {
    let site = Site::new().await;
    let deep = "/a".repeat(500);
    assert_eq!(site.ask("PUT", &deep, &[], "deep").await.status, 202);
    assert_eq!(site.get(&deep).await.text(), "deep");
    for levels in [0, 1, 250, 499] {
        let dir = format!("{}/", "/a".repeat(levels));
        assert_eq!(site.get(&dir).await.status, 200, "{levels}");
    }
    assert_eq!(site.ask("DELETE", "/a/?recursive", &[], "").await.status, 200);
    assert_eq!(site.get(&deep).await.status, 404);
}

#[tokio::test]
async fn a66_a_form_is_refused_and_its_names_are_no_paths() {
    let site = Site::new().await;
    let part = "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"../up\"\r\n\r\nevil\r\n";
    let bodies =
        [part.to_owned() + "--b--\r\n", part.to_owned(), part.repeat(10_000) + "--b--\r\n", String::new()];
    for body in bodies {
        for (method, content_type) in [
            ("POST", "multipart/form-data; boundary=b"),
            ("PUT", "Multipart/Form-Data; boundary=\"b\""),
            ("POST", "multipart/form-data"),
        ] {
            let request = format!(
                "{}Content-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                site.head(method, "/d/f"),
                body.len()
            );
            let status = replies(&exchange_open(site.server.addr(), request).await)[0].status;
            assert!([400, 413].contains(&status), "{method} {content_type}: {status}");
        }
    }
    assert!(site.paths().await.is_empty());
}

#[tokio::test]
async fn a62_an_encoded_body_is_refused() {
    let site = Site::new().await;
    for encoding in ["gzip", "br", "deflate", "zstd", "gzip, gzip", "x"] {
        let answer = site.ask("PUT", "/f", &[("content-encoding", encoding)], "\x1f\x08").await;
        assert!([400, 415].contains(&answer.status.as_u16()), "{encoding}: {}", answer.status);
    }
    assert!(site.paths().await.is_empty());
}

/// Bodies that end too early: what stands behind the head, in HTTP/1.1.
fn cut_off(content: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let head = |line: &str| format!("{line}\r\nConnection: close\r\n\r\n").into_bytes();
    let length = format!("Content-Length: {}", content.len() + 1);
    let size = format!("{:x}\r\n", content.len());
    let chunked = head("Transfer-Encoding: chunked");
    vec![
        ("one byte less than its length", [head(&length), content.to_vec()].concat()),
        ("nothing of its length", head(&length)),
        (
            "chunked, no last chunk",
            [chunked.clone(), size.clone().into(), content.to_vec(), b"\r\n".to_vec()].concat(),
        ),
        (
            "chunked, no end of the last chunk",
            [chunked.clone(), size.clone().into(), content.to_vec(), b"\r\n0\r\n".to_vec()].concat(),
        ),
        (
            "chunked, half the end of the last chunk",
            [chunked.clone(), size.clone().into(), content.to_vec(), b"\r\n0\r\n\r".to_vec()].concat(),
        ),
        (
            "chunked, within the size of the last chunk",
            [chunked.clone(), size.clone().into(), content.to_vec(), b"\r\n0".to_vec()].concat(),
        ),
        ("chunked, within a chunk", [chunked.clone(), b"fffffff\r\n".to_vec(), content.to_vec()].concat()),
        (
            "chunked, within the trailer",
            [chunked.clone(), size.into(), content.to_vec(), b"\r\n0\r\nX: y\r\n".to_vec()].concat(),
        ),
        ("chunked, nothing", chunked),
    ]
}

#[tokio::test]
async fn a63_a_body_that_is_cut_off_leaves_nothing() {
    let site = Site::new().await;
    for size in [10, 100_000, 3_000_000] {
        let content = noise(size);
        for (how, body) in cut_off(&content) {
            let request = [site.head("PUT", "/cut").into_bytes(), body].concat();
            let answer = exchange(site.server.addr(), request).await;
            assert!(!answer.starts_with(b"HTTP/1.1 2"), "{how}, {size}");
            assert_eq!(site.get("/cut").await.status, 404, "{how}, {size}");
        }
    }
    assert!(site.paths().await.is_empty());
    assert_eq!(site.next_version("/cut").await, 1, "no version was made");
}

#[tokio::test]
async fn a63_a_body_that_is_cut_off_leaves_what_was_there() {
    let site = Site::new().await;
    site.put("/cut", "before").await;
    for (how, body) in cut_off(&noise(700_000)) {
        // Gone without a word: the server is told by a reset at most.
        let mut stream = TcpStream::connect(site.server.addr()).await.unwrap();
        stream.write_all(&[site.head("PUT", "/cut").into_bytes(), body].concat()).await.unwrap();
        drop(stream);
        assert_eq!(site.get("/cut").await.text(), "before", "{how}");
    }
    // Whatever is still under way has ended before a request that begins now is done.
    site.put("/other", noise(2_000_000)).await;
    assert_eq!(site.get("/cut").await.text(), "before");
    assert_eq!(site.next_version("/cut").await, 2, "no version was made");
}

fn h2_put(site: &Site, path: &str, length: Option<usize>) -> Request<()> {
    let request = Request::builder().method("PUT").uri(format!("{}{path}", site.server.url()));
    let request = request.header("authorization", format!("Bearer {}", site.token));
    let request = match length {
        Some(length) => request.header("content-length", length),
        None => request,
    };
    request.body(()).unwrap()
}

async fn send(body: &mut h2::SendStream<Bytes>, content: &[u8], end: bool) {
    let mut rest = Bytes::copy_from_slice(content);
    loop {
        body.reserve_capacity(rest.len());
        let room = std::future::poll_fn(|cx| body.poll_capacity(cx)).await.unwrap().unwrap();
        let piece = rest.split_to(room.min(rest.len()));
        body.send_data(piece, end && rest.is_empty()).unwrap();
        if rest.is_empty() {
            return;
        }
    }
}

/// Resets an upload over HTTP/2, at once or when the server waits for more of it. Answers whether it is visible after.
async fn reset(
    site: &Site,
    path: &str,
    content: &[u8],
    length: Option<usize>,
    reason: Reason,
    at_once: bool,
) -> bool {
    let client = h2(site.server.addr()).await;
    let get = || {
        let get = Request::builder().uri(format!("{}{path}", site.server.url()));
        get.header("authorization", format!("Bearer {}", site.token)).body(()).unwrap()
    };
    let mut sender = client.clone().ready().await.unwrap();
    let (_, mut body) = sender.send_request(h2_put(site, path, length), false).unwrap();
    send(&mut body, content, false).await;
    for _ in 0..if at_once { 0 } else { 5 } {
        assert_eq!(h2_get(&client, get()).await.unwrap().0, 404, "{path} is under way");
    }
    body.send_reset(reason);
    // On the same connection, so that the server has read the reset by then.
    h2_get(&client, get()).await.unwrap().0 != 404
}

#[tokio::test]
async fn a63_a_stream_of_http_2_that_is_reset_leaves_nothing() {
    let site = Site::new().await;
    let (mut case, mut seen) = (0, Vec::new());
    for size in [10, 100_000, 3_000_000] {
        let content = noise(size);
        for reason in [Reason::CANCEL, Reason::NO_ERROR, Reason::INTERNAL_ERROR] {
            for length in [None, Some(size), Some(size + 1)] {
                for at_once in [true, false, false] {
                    case += 1;
                    let path = format!("/cut/{case}/{reason:?}/{size}/{}/{at_once}", length.unwrap_or(0));
                    if reset(&site, &path, &content, length, reason, at_once).await {
                        seen.push(path);
                    }
                }
            }
        }
    }
    // What was still under way has been written before this.
    site.put("/later", noise(2_000_000)).await;
    let left: Vec<String> = site.paths().await.into_iter().filter(|path| path != "/later").collect();
    assert_eq!((seen, left), (Vec::new(), Vec::new()), "files that were cut off");
}

#[tokio::test]
async fn a63_a_stream_of_http_2_that_is_shorter_or_longer_than_it_said_leaves_nothing() {
    let site = Site::new().await;
    let content = noise(100_000);
    for length in [content.len() - 1, content.len() + 1, 0] {
        let client = h2(site.server.addr()).await;
        let mut sender = client.clone().ready().await.unwrap();
        let (response, mut body) = sender.send_request(h2_put(&site, "/cut", Some(length)), false).unwrap();
        send(&mut body, &content, true).await;
        if let Ok(response) = response.await {
            assert!(!response.status().is_success(), "{length}: {}", response.status());
        }
    }
    assert!(site.paths().await.is_empty());
    let client = h2(site.server.addr()).await;
    let mut sender = client.ready().await.unwrap();
    let (response, mut body) =
        sender.send_request(h2_put(&site, "/cut", Some(content.len())), false).unwrap();
    send(&mut body, &content, true).await;
    assert_eq!(response.await.unwrap().status(), 202);
    assert_eq!(site.version("/cut").await, 1, "no version was made before");
    assert!(site.get("/cut").await.body.unwrap() == content);
}

#[tokio::test]
async fn c9_fifty_writes_of_one_path_at_once_are_fifty_versions() {
    let site = Site::new().await;
    let contents: Vec<String> = (0..50).map(|number| format!("content {number}")).collect();
    let writes = contents.iter().map(|content| site.ask("PUT", "/f", &[], content.clone()));
    for answer in join_all(writes).await {
        assert_eq!(answer.status, 202);
    }
    assert_eq!(site.version("/f").await, 50);
    let mut found = BTreeSet::new();
    for version in 1..=50 {
        let link = site.link(&site.token, "/f", version, None).await;
        found.insert(site.server.http("GET", &link, &[], "").await.text().to_owned());
    }
    assert_eq!(found, contents.into_iter().collect());
}

#[tokio::test]
async fn c9_large_writes_of_one_path_at_once_are_never_mixed() {
    let site = Site::new().await;
    let contents: Vec<Vec<u8>> = (0..6_u8).map(|number| vec![number; 1_200_000]).collect();
    let writes = contents.iter().map(|content| site.ask("PUT", "/f", &[], content.clone()));
    let reads = (0..20).map(|_| site.get("/f"));
    let (written, read) = futures::join!(join_all(writes), join_all(reads));
    assert!(written.iter().all(|answer| answer.status == 202));
    for answer in read.into_iter().filter(|answer| answer.status == 200) {
        let body = answer.body.unwrap();
        assert!(contents.iter().any(|content| body == content), "half a file");
    }
    assert_eq!(site.version("/f").await, 6);
}

#[tokio::test]
async fn whoever_is_anonymous_writes_nothing() {
    let site = Site::new().await;
    site.publish("public.example", "/*").await;
    site.put("/f", "x").await;
    for method in ["PUT", "POST", "DELETE"] {
        for path in ["/f", "/new", "/f/"] {
            let answer = site.server.http(method, path, &[("host", "public.example")], "evil").await;
            assert_eq!(answer.status, 401, "{method} {path}");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    }
    assert_eq!(site.server.http("GET", "/f", &[("host", "public.example")], "").await.text(), "x");
    assert_eq!(site.paths().await, ["/f"]);
    assert_eq!(site.version("/f").await, 1);
}

#[tokio::test]
async fn a26_who_may_only_write_reads_nothing_and_who_may_only_read_writes_nothing() {
    let site = Site::new().await;
    site.put("/d/f", "hello").await;
    site.put("/d/sub/index.html", "hello").await;
    let (writer, reader) = (site.token_for(WRITE, "/d/*").await, site.token_for(READ, "/d/*").await);
    for target in ["/d/f", "/d/none", "/d/", "/d/f/", "/d/sub", "/d/sub/", "/d/none/"] {
        for method in ["GET", "HEAD", "OPTIONS"] {
            for header in [("range", "bytes=0-0"), ("if-none-match", "*"), ("if-match", "\"x\"")] {
                let answer = site.ask_as(&writer, method, target, &[header], "").await;
                assert_eq!(answer.status, 403, "{method} {target} {header:?}");
                for name in ["etag", "last-modified", "content-range", "accept-ranges", "location"] {
                    assert_eq!(answer.header(name), "", "{method} {target}");
                }
            }
        }
    }
    for method in ["PUT", "POST", "DELETE"] {
        for target in ["/d/f", "/d/new", "/d/f/"] {
            let answer = site.ask_as(&reader, method, target, &[], "evil").await;
            assert_eq!(answer.status, 403, "{method} {target}");
        }
    }
    assert_eq!(site.get("/d/f").await.text(), "hello");
    assert_eq!(site.paths().await.len(), 2);
    assert_eq!(site.ask_as(&writer, "PUT", "/d/f", &[], "new").await.status, 202);
    assert_eq!(site.ask_as(&reader, "GET", "/d/f", &[], "").await.text(), "new");
    assert_eq!(site.ask_as(&writer, "DELETE", "/d/f", &[], "").await.status, 200);
    assert_eq!(site.ask_as(&reader, "GET", "/d/f", &[], "").await.status, 404);
}

#[tokio::test]
async fn d1_the_public_grant_of_reading_does_not_delete() {
    let site = Site::new().await;
    site.put("/f", "x").await;
    site.publish("public.example", "/*").await;
    let reader = on_tenant(PrincipalId::UNAUTHENTICATED, READ, site.tenant, "/*");
    let reader = site.server.issue(&reader).await;
    let answer = site.ask_as(&reader, "DELETE", "/f", &[], "").await;
    assert!(answer.status.is_client_error(), "{answer:?}");
    assert_eq!(site.version("/f").await, 1);
}
