//! Reading files: what comes with them, what type they are, and what nobody learns.

use std::fs;
use std::path::Path;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::reopened::{Reopened, flip, packs};
use crate::site::{READ, START, Site, WRITE, head, noise, sha256};
use crate::support::{DAY, Server, on_tenant};
use crate::wire::{exchange_open, replies, without_date};

const KIB: usize = 1024;

#[tokio::test]
async fn a_file_comes_with_its_type_length_date_and_hash() {
    let site = Site::new().await;
    site.put("/a/file.txt", "hello").await;
    let answer = site.get("/a/file.txt").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text(), "hello");
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(answer.header("content-length"), "5");
    assert_eq!(answer.header("etag"), format!("\"{}\"", sha256(b"hello")));
    assert_eq!(answer.header("last-modified"), START);
    assert_eq!(answer.header("accept-ranges"), "bytes");
    assert_eq!(answer.header("content-encoding"), "");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn the_date_is_that_of_the_version_and_the_tag_that_of_the_content() {
    let site = Site::new().await;
    site.put("/f", "one").await;
    let first = site.get("/f").await;
    site.server.advance(std::time::Duration::from_millis(61_900));
    let token = site.token_for(READ | WRITE, "/*").await;
    site.ask_as(&token, "PUT", "/f", &[], "two").await;
    let second = site.ask_as(&token, "GET", "/f", &[], "").await;
    assert_eq!(second.text(), "two");
    assert_eq!(second.header("last-modified"), "Wed, 01 Jul 2026 00:01:01 GMT");
    assert_ne!(second.header("etag"), first.header("etag"));
    site.ask_as(&token, "PUT", "/f", &[], "one").await;
    assert_eq!(site.ask_as(&token, "GET", "/f", &[], "").await.header("etag"), first.header("etag"));
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let site = Site::new().await;
    site.put("/f.txt", noise(100 * KIB)).await;
    let get = site.get("/f.txt").await;
    let head = site.ask("HEAD", "/f.txt", &[], "").await;
    assert_eq!(head.status, 200);
    assert_eq!(head.body.as_ref().unwrap().len(), 0);
    for (name, value) in &get.headers {
        if name != "date" {
            assert_eq!(head.headers.get(name), Some(value), "{name}");
        }
    }
    for (path, status) in [("/none", 404), ("/f.txt/", 301)] {
        let head = site.ask("HEAD", path, &[], "").await;
        assert_eq!((head.status.as_u16(), head.body.unwrap().len()), (status, 0), "{path}");
    }
    let raw = exchange_open(
        site.server.addr(),
        format!("{}Connection: close\r\n\r\n", site.head("HEAD", "/f.txt")),
    );
    assert!(raw.await.ends_with(b"\r\n\r\n"));
}

#[tokio::test]
async fn options_is_answered_like_get() {
    let site = Site::new().await;
    site.put("/f", "hello").await;
    let answer = site.ask("OPTIONS", "/f", &[], "").await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "hello"));
    assert_eq!(site.ask("OPTIONS", "/none", &[], "").await.status, 404);
    let public = site.server.http("OPTIONS", "/f", &[("host", "localhost")], "").await;
    assert_ne!(public.status, 200, "nobody in particular reads another's file by OPTIONS");
}

#[tokio::test]
async fn the_first_page_of_a_new_server_is_public() {
    let server = Server::start().await;
    let answer = server.http("GET", "/", &[], "").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body.as_ref().unwrap().len(), 62);
    assert!(answer.text().contains("<title>Hello World!</title>"));
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
}

#[tokio::test]
async fn the_type_that_was_given_is_the_one_that_is_sent() {
    let site = Site::new().await;
    for content_type in ["application/vnd.example+json", "text/html; charset=iso-8859-1", "image/png"] {
        let put = site.ask("PUT", "/page.txt", &[("content-type", content_type)], "<html>").await;
        assert_eq!(put.status, 202, "{content_type}");
        assert_eq!(site.get("/page.txt").await.header("content-type"), content_type);
    }
    site.put("/page.txt", "<html>").await;
    let answer = site.get("/page.txt").await;
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8", "types belong to versions");
}

#[tokio::test]
async fn without_a_type_the_name_tells_it() {
    let site = Site::new().await;
    for (name, content_type) in [
        ("x.html", "text/html; charset=utf-8"),
        ("x.htm", "text/html; charset=utf-8"),
        ("x.css", "text/css; charset=utf-8"),
        ("x.js", "text/javascript; charset=utf-8"),
        ("x.mjs", "text/javascript; charset=utf-8"),
        ("x.json", "application/json"),
        ("x.xml", "text/xml; charset=utf-8"),
        ("x.png", "image/png"),
        ("x.jpg", "image/jpeg"),
        ("x.jpeg", "image/jpeg"),
        ("x.gif", "image/gif"),
        ("x.svg", "image/svg+xml"),
        ("x.webp", "image/webp"),
        ("x.avif", "image/avif"),
        ("x.pdf", "application/pdf"),
        ("x.wasm", "application/wasm"),
        ("X.PNG", "image/png"),
        ("a.png.txt", "text/plain; charset=utf-8"),
    ] {
        let path = format!("/types/{name}");
        site.put(&path, "%PDF-1.7 in spite of its name").await;
        assert_eq!(site.get(&path).await.header("content-type"), content_type, "{name}");
    }
}

#[tokio::test]
async fn without_a_type_and_a_telling_name_the_first_bytes_tell_it() {
    let site = Site::new().await;
    for (content, content_type) in [
        (&b"hello"[..], "text/plain; charset=utf-8"),
        (b"  <!DOCTYPE html><p>", "text/html; charset=utf-8"),
        (b"<?xml version=\"1.0\"?>", "text/xml; charset=utf-8"),
        (b"%PDF-1.7", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n\0\0", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"\x00\x01\x02\x03", "application/octet-stream"),
        (b"PK\x03\x04", "application/zip"),
        (b"", "text/plain; charset=utf-8"),
    ] {
        for name in ["/none", "/none.whatever", "/.hidden", "/dir.png/none"] {
            site.put(name, content).await;
            assert_eq!(site.get(name).await.header("content-type"), content_type, "{name} {content:?}");
        }
    }
}

#[tokio::test]
async fn a_missing_file_is_answered_as_the_original_did() {
    let site = Site::new().await;
    site.put("/a/file", "x").await;
    for path in ["/missing", "/a/missing", "/a/file/below", "/missing/", "/A/file", "/a/fil", "/healthz"] {
        let answer = site.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (404, "404 page not found\n"), "{path}");
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
}

#[tokio::test]
async fn d14_a_hidden_file_is_byte_for_byte_a_missing_one() {
    let site = Site::new().await;
    site.put("/secret/file", noise(600 * KIB)).await;
    site.put("/secret/index.html", "x").await;
    site.put("/secret", "file and directory").await;
    let tag = format!("If-None-Match: \"{}\"\r\n", sha256(b"x"));
    let stranger = site.token_for(READ | WRITE, "/mine/*").await;
    let to = "Destination: /mine/x\r\n";
    for method in ["GET", "HEAD", "OPTIONS", "PUT", "POST", "DELETE", "COPY", "MOVE"] {
        for path in [
            "file",
            "index.html",
            "",
            "file/",
            "file/below",
            "?after=a&limit=1",
            "file?version=1",
            "file?versions",
        ] {
            for more in ["", "Range: bytes=0-0\r\n", "If-Match: *\r\n", "If-None-Match: *\r\n", &tag, to] {
                let mut answers = Vec::new();
                for dir in ["/secret/", "/absent/"] {
                    let target = format!("{dir}{path}");
                    let request = head(&stranger, method, &target);
                    let request = format!("{request}{more}Content-Length: 0\r\nConnection: close\r\n\r\n");
                    answers.push(without_date(&exchange_open(site.server.addr(), request).await));
                }
                assert_eq!(answers[0], answers[1], "{method} {path} {more}");
                if path != "index.html" && !matches!(method, "COPY" | "MOVE") {
                    assert!(answers[0].starts_with("HTTP/1.1 404"), "{method} {path}: {}", answers[0]);
                }
            }
        }
    }
    let without_slash = ["/secret", "/absent"].map(|path| head(&stranger, "GET", path));
    let [hidden, missing] = without_slash.map(|head| format!("{head}Connection: close\r\n\r\n"));
    let hidden = without_date(&exchange_open(site.server.addr(), hidden).await);
    assert_eq!(hidden, without_date(&exchange_open(site.server.addr(), missing).await));
    assert_eq!(site.paths().await.len(), 3, "nothing of that wrote or deleted anything");
}

#[tokio::test]
async fn d14_whoever_is_anonymous_is_asked_for_credentials_whether_there_is_something_or_not() {
    let site = Site::new().await;
    site.server.vhost("private.example", site.tenant).await;
    site.put("/file", "x").await;
    site.put("/dir/index.html", "x").await;
    let mut answers = Vec::new();
    for path in ["/file", "/missing", "/file/", "/dir", "/dir/", "/none/", "/"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: private.example\r\nConnection: close\r\n\r\n");
        answers.push((path, without_date(&exchange_open(site.server.addr(), request).await)));
    }
    for (path, answer) in &answers {
        assert!(answer.starts_with("HTTP/1.1 401"), "{path}: {answer}");
        assert!(answer.to_lowercase().contains("www-authenticate: bearer\r\n"), "{path}: {answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{path}: the body is empty: {answer}");
        assert_eq!(*answer, answers[0].1, "{path}");
    }
}

#[tokio::test]
async fn d14_the_index_page_by_its_name_is_no_exception() {
    let site = Site::new().await;
    site.server.vhost("private.example", site.tenant).await;
    site.put("/dir/index.html", "x").await;
    let answer = site.server.http("GET", "/dir/index.html", &[("host", "private.example")], "").await;
    assert_eq!(answer.status, 401);
    let stranger = site.token_for(READ, "/mine/*").await;
    let answer = site.ask_as(&stranger, "GET", "/dir/index.html", &[], "").await;
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn d3_a_session_on_one_version_reads_only_that_one() {
    let site = Site::new().await;
    site.put("/f", "one").await;
    let principal = site.server.principal().await;
    let pinned = on_tenant(principal, READ | WRITE, site.tenant, "/f").of_version(1);
    let pinned = site.server.issue(&pinned).await;
    site.put("/f", "two").await;
    let answer = site.ask_as(&pinned, "GET", "/f", &[], "").await;
    assert!(answer.status.is_client_error(), "the current version is another one: {answer:?}");
    let put = site.ask_as(&pinned, "PUT", "/f", &[], "three").await;
    assert!(put.status.is_client_error(), "{put:?}");
    let delete = site.ask_as(&pinned, "DELETE", "/f", &[], "").await;
    assert!(delete.status.is_client_error(), "{delete:?}");
    assert_eq!(site.version("/f").await, 2);
    assert_eq!(site.get("/f").await.text(), "two");
}

#[tokio::test]
async fn an_unknown_method_is_not_allowed() {
    let site = Site::new().await;
    site.put("/f", "x").await;
    for method in ["LOCK", "TRACE", "MKCOL", "PROPFIND", "get", "LINK"] {
        let answer = site.ask(method, "/f", &[], "").await;
        assert_eq!((answer.status.as_u16(), answer.text()), (405, ""), "{method}");
        for allowed in ["GET", "HEAD", "OPTIONS", "PUT", "POST", "DELETE", "PATCH", "COPY", "MOVE"] {
            assert!(answer.header("allow").split(", ").any(|one| one == allowed), "{method}: {allowed}");
        }
    }
    assert_eq!(site.get("/f").await.text(), "x");
}

#[tokio::test]
async fn an_unknown_route_is_no_file() {
    let site = Site::new().await;
    for method in ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"] {
        for path in
            ["/_/", "/_/x", "/_/v0", "/_/v0/", "/_/v1/config", "/_/v0/config/", "/_/index.html", "/_/*"]
        {
            let answer = site.ask(method, path, &[], "x").await;
            let body = if method == "HEAD" { "" } else { "404 page not found\n" };
            assert_eq!((answer.status.as_u16(), answer.text()), (404, body), "{method} {path}");
        }
    }
    let answer = site.get("/_").await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (301, "/_/"));
    assert!(site.paths().await.is_empty());
    site.put("/_x", "x").await;
    assert_eq!(site.get("/_x").await.text(), "x", "only /_/ is special");
}

#[tokio::test]
async fn a71_uploaded_content_runs_nothing_beside_a_login() {
    let site = Site::new().await;
    let contents = [
        ("x.html", "<script>alert(1)</script>"),
        ("x.svg", "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"),
        ("x.xml", "<?xml version='1.0'?><?xml-stylesheet href='x.xsl'?><a/>"),
        ("x.pdf", "%PDF-1.7"),
        ("x", "<!doctype html><script>alert(1)</script>"),
        ("dir/index.html", "<script>alert(1)</script>"),
    ];
    for (name, content) in contents {
        site.put(&format!("/{name}"), content).await;
    }
    let link = site.link(&site.token, "/x.html", 0, None).await;
    let mut targets: Vec<String> = contents.iter().map(|(name, _)| format!("/{name}")).collect();
    targets.extend(["/dir/".to_owned(), link]);
    for target in targets.iter().filter(|target| *target != "/dir/index.html") {
        for headers in [&[][..], &[("range", "bytes=0-1")], &[("range", "bytes=0-1,4-5")]] {
            let cookie = format!("authorization={}", site.token);
            let mut all = vec![("cookie", cookie.as_str())];
            all.extend_from_slice(headers);
            let answer = site.server.http("GET", target, &all, "").await;
            assert!(answer.status.is_success(), "{target}: {answer:?}");
            let policy = answer.header("content-security-policy");
            assert!(policy.split(';').any(|part| part.trim() == "sandbox"), "{target}: {policy}");
            assert!(!policy.contains("allow-scripts") && !policy.contains("allow-same-origin"), "{policy}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{target}");
        }
    }
}

#[tokio::test]
async fn a_token_in_the_query_comes_back_in_no_header() {
    let site = Site::new().await;
    site.put("/dir/file", "hello").await;
    let link = site.link(&site.token, "/dir/file", 0, None).await;
    let token = &site.token;
    let mut targets: Vec<String> = [
        "/dir/file",
        "/dir",
        "/dir/",
        "/dir/file/",
        "/missing",
        "/_/v0/config",
        "/_/v0/none",
        "/_/v0/retrieve/x",
        "/%00",
        "/%zz",
    ]
    .iter()
    .map(|path| format!("{path}?access_token={token}"))
    .collect();
    targets.push(link.clone());
    targets.push(link.replace("access_token=", "x=1&access_token="));
    let (_, link_token) = link.split_once("access_token=").unwrap();
    // Reading before writing, so that what is read is there.
    for method in ["GET", "HEAD", "PATCH", "PUT", "DELETE"] {
        for target in &targets {
            let answer = site.server.http(method, target, &[("range", "bytes=0-1")], "").await;
            // A redirect leads back to this server with the same query, or it would lead to a refusal.
            for (name, value) in answer.headers.iter().filter(|(name, _)| *name != "location") {
                let value = String::from_utf8_lossy(value.as_bytes());
                assert!(!value.contains(token) && !value.contains(link_token), "{method} {target}: {name}");
            }
        }
    }
}

#[tokio::test]
async fn twenty_mebibytes_go_in_as_a_stream_and_come_out_the_same() {
    let site = Site::new().await;
    let content = noise(20 * KIB * KIB + 77);
    let mut stream = TcpStream::connect(site.server.addr()).await.unwrap();
    let start = site.head("PUT", "/large") + "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    stream.write_all(start.as_bytes()).await.unwrap();
    for piece in content.chunks(65_521) {
        let line = format!("{:x}\r\n", piece.len());
        stream.write_all(&[line.as_bytes(), piece, b"\r\n"].concat()).await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let put = replies(&answer).remove(0);
    let hash = sha256(&content);
    assert_eq!((put.status, String::from_utf8(put.body).unwrap()), (202, hash.clone()));

    let answer = site.get("/large").await;
    assert_eq!(answer.header("content-length"), content.len().to_string());
    assert_eq!(answer.header("etag"), format!("\"{hash}\""));
    assert!(answer.body.unwrap() == content.as_slice(), "the bytes are others");

    let mut ranges = Vec::new();
    for border in [511, 512, 513, 1023, 1024, 1025, 512 * 7, 512 * 40].map(|kib| kib * KIB) {
        ranges.extend([
            (border - 1, border),
            (border, border),
            (border - 1, border - 1),
            (border - 700, border + 700),
        ]);
    }
    ranges.extend([(511 * KIB, 513 * KIB), (0, 512 * KIB - 1), (0, 512 * KIB), (512 * KIB, 1024 * KIB - 1)]);
    ranges.extend([(1, content.len() - 2), (3 * KIB * KIB - 1, 9 * KIB * KIB)]);
    for (first, last) in ranges.into_iter().filter(|(_, last)| *last < content.len()) {
        let range = format!("bytes={first}-{last}");
        let answer = site.get_with("/large", &[("range", &range)]).await;
        assert_eq!(answer.status, 206, "{range}");
        let expected = format!("bytes {first}-{last}/{}", content.len());
        assert_eq!(answer.header("content-range"), expected);
        assert!(answer.body.unwrap() == content[first..=last], "{range}");
    }
}

#[tokio::test]
async fn f6_a_damaged_chunk_is_an_error_before_the_first_byte_or_the_end_of_the_stream_never_other_bytes() {
    let site = Site::new().await;
    let content = noise(3 * 512 * KIB);
    site.put("/f.bin", content.clone()).await;
    let (first, second) = (300, 700 * KIB);

    let server = Reopened::over(&site.server, |store| flip(store, &content[first..first + 32])).await;
    for range in ["", "bytes=0-9", "bytes=305-305", "bytes=0-700000"] {
        let reply = server.get(&site.token, "/f.bin", range).await;
        assert_eq!(reply.status, 500, "{range}");
        assert!(reply.body.starts_with(b"500 Internal Server Error"), "{range}");
        assert!(!reply.headers.contains_key("content-range"), "{range}");
    }
    let healthy = server.get(&site.token, "/f.bin", "bytes=524288-").await;
    assert_eq!((healthy.status, healthy.body == content[512 * KIB..]), (206, true));

    let server = Reopened::over(&site.server, |store| flip(store, &content[second..second + 32])).await;
    let healthy = server.get(&site.token, "/f.bin", "bytes=0-524287").await;
    assert_eq!((healthy.status, healthy.body == content[..512 * KIB]), (206, true));
    assert_eq!(server.get(&site.token, "/f.bin", "bytes=524288-524288").await.status, 500);
    let broken = server.get(&site.token, "/f.bin", "").await;
    // The beginning may be sent before the damage is found, or be lost with the connection.
    assert!([0, 200, 500].contains(&broken.status), "{}", broken.status);
    if broken.status != 500 {
        assert!(!broken.whole, "the damage shows");
        assert!(content[..512 * KIB].starts_with(&broken.body), "what came before it is right");
    }
    let parts = server.get(&site.token, "/f.bin", "bytes=0-9,600000-900000").await;
    assert!(parts.status == 500 || !parts.whole, "{}", parts.status);
    let mut damaged = content[second..second + 32].to_vec();
    damaged[0] ^= 0x10;
    assert!(!parts.body.windows(32).any(|window| window == damaged));
}

#[tokio::test]
async fn p3_a_pack_that_is_gone_or_cut_is_an_error() {
    let site = Site::new().await;
    site.put("/f", noise(700 * KIB)).await;
    site.put("/small", "x").await;
    for length in [None, Some(0), Some(5000), Some(300_000)] {
        let change = |store: &Path| {
            for pack in packs(store) {
                match length {
                    None => fs::remove_file(pack).unwrap(),
                    Some(length) => {
                        let pack = fs::File::options().write(true).open(pack).unwrap();
                        pack.set_len(length).unwrap();
                    }
                }
            }
        };
        let server = Reopened::over(&site.server, change).await;
        assert_eq!(server.get(&site.token, "/f", "").await.status, 500, "{length:?}");
        assert_eq!(server.get(&site.token, "/f", "bytes=699999-").await.status / 100, 5, "{length:?}");
        assert_eq!(server.get(&site.token, "/small", "").await.status, 200, "others are served");
    }
}

#[tokio::test]
async fn f6_a_damaged_row_is_an_error_too() {
    let site = Site::new().await;
    let content = noise(3000);
    site.put("/small", content.clone()).await;
    let change = |store: &Path| {
        let mut damaged = content.clone();
        damaged[1000] ^= 1;
        let database = rusqlite::Connection::open(store.join("metadata.sqlite")).unwrap();
        let changed = database.execute("UPDATE chunks SET data = ?1 WHERE data = ?2", [&damaged, &content]);
        assert_eq!(changed.unwrap(), 1);
    };
    let server = Reopened::over(&site.server, change).await;
    for range in ["", "bytes=0-9", "bytes=2000-"] {
        assert_eq!(server.get(&site.token, "/small", range).await.status, 500, "{range}");
    }
}

#[tokio::test]
async fn a9_a_deleted_tenant_is_no_more() {
    let site = Site::new().await;
    site.put("/f", "x").await;
    let tenant =
        cacheroach_api::tenant::Tenant { id: Some(site.tenant.into()), version: 1, ..Default::default() };
    let request = cacheroach_api::tenant::EnsureRequest { tenant: Some(tenant), delete: true };
    site.server.tenants(&site.server.super_token()).ensure(request).await.unwrap();
    for method in ["GET", "PUT", "DELETE"] {
        assert_eq!(site.ask(method, "/f", &[], "x").await.status, 404, "{method}");
    }
}

#[tokio::test]
async fn a5_a_session_ends_when_it_says() {
    let site = Site::new().await;
    site.put("/f", "x").await;
    site.server.advance(DAY - std::time::Duration::from_secs(1));
    assert_eq!(site.get("/f").await.status, 200);
    site.server.advance(std::time::Duration::from_secs(1));
    assert_eq!(site.get("/f").await.status, 401);
}
