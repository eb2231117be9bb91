//! HTTP as bytes: what is ambiguous, too large or too slow.

use std::fmt::Write as _;
use std::time::Duration;

use http::Request;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::site::{Site, noise};
use crate::support::Server;
use crate::wire::{exchange_open, h2, h2_get, replies};

/// Sends a request that must be refused, and behind it one that must not be run.
async fn refused(site: &Site, bytes: &[u8]) {
    let what = String::from_utf8_lossy(bytes).into_owned();
    let smuggled =
        format!("{}Content-Length: 4\r\nConnection: close\r\n\r\nevil", site.head("PUT", "/smuggled"));
    let answer = exchange_open(site.server.addr(), [bytes, smuggled.as_bytes()].concat()).await;
    let replies = replies(&answer);
    assert_eq!(replies.len(), 1, "{what:?}: {:?}", String::from_utf8_lossy(&answer));
    assert_eq!(replies[0].status, 400, "{what:?}");
    assert_eq!(site.paths().await, [""; 0], "{what:?}");
}

#[tokio::test]
async fn a57_a_head_that_can_be_read_in_two_ways_is_refused_and_nothing_behind_it_is_run() {
    let site = Site::new().await;
    let head = site.head("PUT", "/outer");
    for lines in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked\r\nContent-Length: 0",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5, 5",
        "Content-Length: 5, 6",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 0x5",
        "Content-Length: 5 5",
        "Content-Length: 5.0",
        "Content-Length:",
        "Content-Length: five",
        "Content-Length: 99999999999999999999999999",
        "Transfer-Encoding: chunke",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunkedx",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: \x0bchunked",
        "Transfer-Encoding:",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        "Content-Length : 5",
        " Content-Length: 5",
        "\tContent-Length: 5",
        "X: a\r\n Transfer-Encoding: chunked",
        "X: a\r\n\tb",
        "X: a\r\n b",
        "X: a\nContent-Length: 5",
        "X: a\n",
        "X: a\rContent-Length: 5",
        "X: a\r",
        "X: a\r\r\nContent-Length: 5",
        "X: a\0b",
        "X\0: a",
        "X y: a",
        ": a",
        "no colon",
        "X(: a",
        "Content-Length: 5\r\nContent_Length : 5",
    ] {
        refused(&site, format!("{head}{lines}\r\n\r\nhello").as_bytes()).await;
    }
}

#[tokio::test]
async fn a57_a_bare_line_feed_ends_no_line() {
    let site = Site::new().await;
    let good = site.head("PUT", "/outer") + "Content-Length: 5\r\n\r\nhello";
    for (at, _) in good.match_indices("\r\n") {
        let bare = format!("{}{}", &good[..at], &good[at + 1..]);
        refused(&site, bare.as_bytes()).await;
    }
    refused(&site, good.replace("\r\n", "\n").as_bytes()).await;
}

#[tokio::test]
async fn a57_a_request_line_has_three_words() {
    let site = Site::new().await;
    let rest = format!("Host: a\r\nAuthorization: Bearer {}\r\nContent-Length: 0\r\n\r\n", site.token);
    for line in [
        "PUT /outer",
        "PUT  /outer HTTP/1.1",
        "PUT /outer  HTTP/1.1",
        "PUT /outer HTTP/1.1 ",
        " PUT /outer HTTP/1.1",
        "PUT\t/outer HTTP/1.1",
        "PUT /outer HTTP/1.2",
        "PUT /outer HTTP/2.0",
        "PUT /outer HTTP/9.9",
        "PUT /outer HTTP/1",
        "PUT /outer http/1.1",
        "PUT /outer /x HTTP/1.1",
        "PUT /out er HTTP/1.1",
        "PUT  HTTP/1.1",
        "P(T /outer HTTP/1.1",
        "PUT\0 /outer HTTP/1.1",
        "PRI * HTTP/2.0",
    ] {
        refused(&site, format!("{line}\r\n{rest}").as_bytes()).await;
    }
}

#[tokio::test]
async fn what_is_no_path_is_refused() {
    let site = Site::new().await;
    for target in ["outer", "*", "outer:80", "a.example", "?q", "http://", "http:/outer", "://outer"] {
        for method in ["GET", "PUT", "DELETE"] {
            let head = site.head(method, target) + "Content-Length: 0\r\nConnection: close\r\n\r\n";
            let answer = exchange_open(site.server.addr(), head).await;
            assert_eq!(replies(&answer)[0].status, 400, "{method} {target}");
        }
    }
    assert!(site.paths().await.is_empty());
}

#[tokio::test]
async fn a57_a_broken_chunk_ends_the_body_and_the_connection() {
    let site = Site::new().await;
    let head = site.head("PUT", "/outer") + "Transfer-Encoding: chunked\r\n\r\n";
    for body in [
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\n\r\n",
        "5\r\nhello\r\n0\r\n\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5g\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        ";x\r\nhello\r\n0\r\n\r\n",
        "5;x\ny\r\nhello\r\n0\r\n\r\n",
        "5;x\r\ry\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nX : y\r\n\r\n",
        "5\r\nhello\r\n0\r\nX: y\n\r\n",
        "5\r\nhello\r\n0\r\n X: y\r\n\r\n",
    ] {
        refused(&site, format!("{head}{body}").as_bytes()).await;
    }
}

#[tokio::test]
async fn a57_chunks_in_http_1_0_are_refused() {
    let site = Site::new().await;
    let line = "PUT /outer HTTP/1.0\r\n";
    let rest = format!(
        "Host: a\r\nAuthorization: Bearer {}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        site.token
    );
    refused(&site, format!("{line}{rest}").as_bytes()).await;
}

#[tokio::test]
async fn requests_behind_one_another_are_each_answered() {
    let site = Site::new().await;
    let chunked = "Transfer-Encoding: Chunked\r\n\r\n5;ext=\"a b\"\r\nhello\r\n0\r\nX-Trailer: y\r\n\r\n";
    let bytes = [
        site.head("PUT", "/a") + "Content-Length: 5\r\n\r\nhello",
        site.head("PUT", "/b") + chunked,
        site.head("GET", "/a") + "\r\n",
        site.head("GET", "/none") + "\r\n",
        site.head("DELETE", "/a") + "\r\n",
        site.head("GET", "/b") + "Connection: close\r\n\r\n",
    ];
    let answer = exchange_open(site.server.addr(), bytes.concat()).await;
    let statuses: Vec<u16> = replies(&answer).iter().map(|reply| reply.status).collect();
    assert_eq!(statuses, [202, 202, 200, 404, 200, 200]);
    assert_eq!(replies(&answer)[5].body, b"hello");
    assert_eq!(site.paths().await, ["/b"]);
}

#[tokio::test]
async fn the_body_of_a_refused_write_is_no_request() {
    let site = Site::new().await;
    let inner = site.head("PUT", "/inner") + "Content-Length: 4\r\nConnection: close\r\n\r\nevil";
    for (head, status) in [
        (format!("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", inner.len()), 401),
        (format!("{}Content-Length: {}\r\n\r\n", site.head("LOCK", "/x"), inner.len()), 405),
        (format!("{}Content-Length: {}\r\n\r\n", site.head("PUT", "/"), inner.len()), 400),
        (format!("{}Content-Length: {}\r\n\r\n", site.head("GET", "/none"), inner.len()), 404),
        (format!("{}Content-Length: {}\r\n\r\n", site.head("PUT", "//x"), inner.len()), 301),
        (format!("{}Content-Length: {}\r\n\r\n", site.head("PUT", "/%00"), inner.len()), 400),
    ] {
        let last = site.head("GET", "/none") + "Connection: close\r\n\r\n";
        let answer = exchange_open(site.server.addr(), format!("{head}{inner}{last}")).await;
        let statuses: Vec<u16> = replies(&answer).iter().map(|reply| reply.status).collect();
        assert!(statuses == [status] || statuses == [status, 404], "{head}: {statuses:?}");
        assert_eq!(site.paths().await, [""; 0], "{head}");
    }
}

#[tokio::test]
async fn a59_who_sends_a_head_slowly_holds_up_nobody() {
    let site = Site::new().await;
    site.put("/f", "hello").await;
    let mut slow = Vec::new();
    for number in 0..200 {
        let mut stream = TcpStream::connect(site.server.addr()).await.unwrap();
        let head = site.head("GET", "/f");
        let sent = if number % 2 == 0 { &head[..number % head.len()] } else { head.as_str() };
        stream.write_all(sent.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    for number in 0..50 {
        let mut stream = TcpStream::connect(site.server.addr()).await.unwrap();
        let head = site.head("PUT", &format!("/slow{number}")) + "Content-Length: 100\r\n\r\nhalf";
        stream.write_all(head.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    assert_eq!(site.get("/f").await.text(), "hello");
    site.put("/g", "new").await;
    assert_eq!(site.paths().await, ["/f", "/g"]);
    let mut first_whole = slow.swap_remove(1);
    first_whole.write_all(b"Connection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    first_whole.read_to_end(&mut answer).await.unwrap();
    assert_eq!(replies(&answer)[0].body, b"hello", "in the end it is served");
}

/// Time passes at once wherever nothing but time is waited for.
#[tokio::test]
async fn a59_who_sends_no_head_is_let_go_and_who_waits_for_an_answer_is_not() {
    let site = Site::new().await;
    site.put("/f", "hello").await;
    let head = site.head("GET", "/f");
    let whole = format!("{head}\r\n");
    tokio::time::pause();
    for sent in ["", "G", "PRI * HT", &head[..head.len() / 2], &head, &whole, &whole.repeat(3)] {
        let mut stream = TcpStream::connect(site.server.addr()).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let (begun, mut answers) = (tokio::time::Instant::now(), Vec::new());
        stream.read_to_end(&mut answers).await.unwrap();
        assert_eq!(replies(&answers).len(), sent.matches("\r\n\r\n").count(), "{sent}");
        let seconds = begun.elapsed().as_secs();
        // It also passes while the store is waited for.
        assert!((30..100).contains(&seconds), "{sent}: {seconds}");
    }
    // A body that is sent slowly, but sent.
    let mut stream = TcpStream::connect(site.server.addr()).await.unwrap();
    let put = site.head("PUT", "/slow") + "Content-Length: 5\r\nConnection: close\r\n\r\n";
    stream.write_all(put.as_bytes()).await.unwrap();
    for byte in b"hello" {
        tokio::time::sleep(Duration::from_secs(50)).await;
        stream.write_all(&[*byte]).await.unwrap();
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(replies(&answer)[0].status, 202);
}

/// The status of a GET with a request line of so many bytes, without its line end.
async fn with_line(server: &Server, length: usize) -> u16 {
    let fixed = "GET /?q= HTTP/1.1".len();
    let line = format!("GET /?q={} HTTP/1.1", "a".repeat(length - fixed));
    assert_eq!(line.len(), length);
    let answer =
        exchange_open(server.addr(), format!("{line}\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
    replies(&answer)[0].status
}

#[tokio::test]
async fn a60_a_request_line_has_at_most_8_kib() {
    let server = Server::start().await;
    // Beyond what is read of a head at all, it is the head that is too large.
    for (length, status) in
        [(8000, 200), (8192, 200), (8193, 414), (9000, 414), (65_536, 414), (1 << 20, 431)]
    {
        assert_eq!(with_line(&server, length).await, status, "{length}");
    }
}

/// A head whose fields measure so many bytes, with their colons, spaces and line ends.
async fn with_fields(server: &Server, size: usize) -> u16 {
    let mut fields = "Host: a\r\nConnection: close\r\n".to_owned();
    let mut number = 0;
    while fields.len() < size {
        let left = size - fields.len();
        // A field has at least 8 bytes; none may be left that is shorter.
        let length = if left <= 5000 { left } else { left.min(5000).min(left - 100) };
        number += 1;
        let name = format!("X{number:02}: ");
        write!(fields, "{name}{}\r\n", "a".repeat(length - name.len() - 2)).unwrap();
    }
    assert_eq!(fields.len(), size);
    let answer = exchange_open(server.addr(), format!("GET / HTTP/1.1\r\n{fields}\r\n")).await;
    replies(&answer)[0].status
}

#[tokio::test]
async fn a60_the_fields_of_a_head_have_at_most_32_kib() {
    let server = Server::start().await;
    for (size, status) in [(30_000, 200), (32_768, 200), (32_769, 431), (40_000, 431), (80_000, 431)] {
        assert_eq!(with_fields(&server, size).await, status, "{size}");
    }
    for size in [1 << 20, 3 << 20] {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(size));
        let answer = exchange_open(server.addr(), head).await;
        assert_eq!(replies(&answer)[0].status, 431, "{size}");
    }
    assert_eq!(server.http("GET", "/", &[], "").await.status, 200);
}

#[tokio::test]
async fn a60_a_head_has_at_most_100_fields() {
    let server = Server::start().await;
    for (count, status) in [(100, 200), (101, 431), (1000, 431), (10_000, 431)] {
        let fields = "X: y\r\n".repeat(count - 2);
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n");
        let answer = exchange_open(server.addr(), head).await;
        assert_eq!(replies(&answer)[0].status, status, "{count}");
    }
}

#[tokio::test]
async fn a60_the_same_over_http_2() {
    let server = Server::start().await;
    let client = h2(server.addr()).await;
    let get = |target: String, fields: usize, size: usize| {
        let mut request = Request::builder().uri(format!("{}{target}", server.url()));
        for number in 0..fields {
            request = request.header(format!("x{number}"), "a".repeat(size));
        }
        request.body(()).unwrap()
    };
    for (target, fields, size, status) in [
        ("/".to_owned(), 10, 100, 200),
        ("/".to_owned(), 101, 1, 431),
        ("/".to_owned(), 20, 2000, 431),
        ("/".to_owned(), 10, 20_000, 431),
        (format!("/?{}", "a".repeat(8193)), 1, 1, 414),
        (format!("/?{}", "a".repeat(16_000)), 1, 1, 414),
    ] {
        let answer = h2_get(&client, get(target, fields, size)).await;
        match answer {
            Ok((got, ..)) => assert_eq!(got, status, "{fields} fields of {size}"),
            Err(error) => assert!(status != 200 && error.is_remote(), "{fields} fields of {size}: {error}"),
        }
    }
    let (status, ..) = h2_get(&h2(server.addr()).await, get("/".to_owned(), 1, 1)).await.unwrap();
    assert_eq!(status, 200);
}

#[tokio::test]
async fn http_2_serves_the_same() {
    let site = Site::new().await;
    let content = noise(1_300_000);
    site.put("/f.bin", content.clone()).await;
    let over_1 = site.get("/f.bin").await;
    let client = h2(site.server.addr()).await;
    let get = |target: &str, range: &str| {
        let request = Request::builder().uri(format!("{}{target}", site.server.url()));
        let request = request.header("authorization", format!("Bearer {}", site.token));
        let request = if range.is_empty() { request } else { request.header("range", range) };
        request.body(()).unwrap()
    };
    let (status, headers, body) = h2_get(&client, get("/f.bin", "")).await.unwrap();
    assert_eq!((status, body == content), (200, true));
    for (name, value) in &over_1.headers {
        if name != "date" {
            assert_eq!(headers.get(name), Some(value), "{name}");
        }
    }
    let (status, headers, body) = h2_get(&client, get("/f.bin", "bytes=524287-524288")).await.unwrap();
    assert_eq!((status, body.as_slice()), (206, &content[524_287..=524_288]));
    assert_eq!(headers["content-range"], "bytes 524287-524288/1300000");
    assert_eq!(h2_get(&client, get("/none", "")).await.unwrap().0, 404);
    assert_eq!(h2_get(&client, get("/a/../f.bin", "")).await.unwrap().0, 301);
    assert_eq!(h2_get(&client, get("/%00", "")).await.unwrap().0, 400);
}

#[tokio::test]
async fn a_client_of_http_1_0_without_a_host_is_answered() {
    let server = Server::start().await;
    let answer = exchange_open(server.addr(), "GET / HTTP/1.0\r\n\r\n").await;
    let status = replies(&answer)[0].status;
    assert!([200, 400].contains(&status), "{status}");
}

#[tokio::test]
async fn a_body_that_waits_to_be_asked_for_is_asked_for_only_if_it_is_wanted() {
    let site = Site::new().await;
    let expect = "Content-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n";
    let mut stream = TcpStream::connect(site.server.addr()).await.unwrap();
    stream.write_all((site.head("PUT", "/f") + expect).as_bytes()).await.unwrap();
    let mut first = [0; 25];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hello").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(replies(&answer)[0].status, 202);
    let refused = format!("PUT /f HTTP/1.1\r\nHost: a\r\n{expect}");
    let answer = exchange_open(site.server.addr(), refused).await;
    assert!(answer.starts_with(b"HTTP/1.1 401"), "{}", String::from_utf8_lossy(&answer));
}
