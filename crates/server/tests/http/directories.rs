//! Directories: their pages, their redirects, and the names in them.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;

use crate::site::{READ, Site, WRITE, sha256};
use crate::support::{Answer, Server};

const JSON: &[(&str, &str)] = &[("accept", "application/json")];

fn json(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type").split(';').next().unwrap(), "application/json");
    serde_json::from_str(answer.text()).unwrap()
}

fn names(page: &Value) -> Vec<String> {
    let entries = page["entries"].as_array().unwrap().iter();
    entries
        .map(|entry| {
            let slash = if entry["type"] == "directory" { "/" } else { "" };
            format!("{}{slash}", entry["name"].as_str().unwrap())
        })
        .collect()
}

/// Where a link on a page leads, from the page's own address.
fn follow(base: &str, reference: &str) -> String {
    let (base, _) = base.split_once('?').unwrap_or((base, ""));
    if let Some(query) = reference.strip_prefix('?') {
        return format!("{base}?{query}");
    }
    if reference.starts_with('/') {
        return reference.to_owned();
    }
    let mut segments: Vec<&str> = base.split('/').collect();
    segments.pop();
    for segment in reference.split('/') {
        match segment {
            "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    segments.join("/")
}

/// All targets of links in a page, as they stand in it but without HTML's escapes.
fn links(page: &str) -> Vec<String> {
    let after = page.split("href=\"").skip(1);
    let hrefs = after.map(|rest| rest.split('"').next().unwrap());
    let plain = |href: &str| href.replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&");
    hrefs.filter(|href| !href.starts_with('#')).map(plain).collect()
}

#[tokio::test]
async fn every_redirect_is_the_originals() {
    let site = Site::new().await;
    for path in
        ["/index.html", "/dir/index.html", "/dir/file", "/plain/a/b", "/a b/c%20d", "/q?/x", "/c:d/e:f"]
    {
        site.put(&utf8_percent_encode(path, NON_ALPHANUMERIC).to_string().replace("%2F", "/"), path).await;
    }
    for (target, location) in [
        ("/index.html", "./"),
        ("/dir/index.html", "./"),
        ("/dir/index.html?a=b&c", "./?a=b&c"),
        ("/dir/file/", "../file"),
        ("/dir", "dir/"),
        ("/plain", "plain/"),
        ("/plain/a", "a/"),
        ("/plain/a/b/", "../b"),
        ("/a%20b", "a%20b/"),
        ("/a%20b/c%2520d/", "../c%2520d"),
        ("/q%3F", "q%3F/"),
        ("/index.html/", "../index.html"),
        ("/dir/index.html/", "../index.html"),
    ] {
        for method in ["GET", "HEAD", "OPTIONS"] {
            let answer = site.ask(method, target, &[], "").await;
            assert_eq!(answer.status, 301, "{method} {target}");
            assert_eq!(answer.header("location"), location, "{method} {target}");
            assert_eq!(answer.text(), "", "{method} {target}");
        }
    }
}

#[tokio::test]
async fn a_redirect_leads_to_where_it_should_whatever_the_name() {
    let site = Site::new().await;
    for name in
        ["c:d", "javascript:alert(1)", "a b", "?", "#", "%2F", "\u{fc}", "..a", "a;b", "\\", "'\"<>", "~"]
    {
        let encoded = utf8_percent_encode(name, NON_ALPHANUMERIC).to_string();
        site.put(&format!("/top/{encoded}/file"), name).await;
        let answer = site.get(&format!("/top/{encoded}")).await;
        assert_eq!(answer.status, 301, "{name}");
        let location = answer.header("location");
        let before_slash = location.split('/').next().unwrap();
        assert!(!before_slash.contains(':') && !location.starts_with('/'), "{name}: {location}");
        let target = follow(&format!("/top/{encoded}"), location);
        assert_eq!(percent_decode_str(&target).decode_utf8().unwrap(), format!("/top/{name}/"), "{location}");
        assert_eq!(site.get_with(&target, JSON).await.status, 200, "{location}");

        let file = format!("/files/{encoded}");
        site.put(&file, name).await;
        let answer = site.get(&format!("{file}/")).await;
        assert_eq!(answer.status, 301, "{name}");
        let target = follow(&format!("{file}/"), answer.header("location"));
        assert_eq!(site.get(&target).await.text(), name, "{}", answer.header("location"));
    }
}

#[tokio::test]
async fn a_directory_shows_its_index_page_else_what_is_in_it() {
    let site = Site::new().await;
    site.put("/with/index.html", "<p>welcome").await;
    site.put("/with/other", "x").await;
    site.put("/without/sub/index.html", "x").await;
    site.put("/without/b.txt", "hello").await;
    site.put("/without/a", "x").await;
    let answer = site.get("/with/").await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "<p>welcome"));
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");

    let answer = site.get("/without/").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(answer.header("last-modified"), "");
    let targets: Vec<String> = links(answer.text()).iter().map(|href| follow("/without/", href)).collect();
    let places: Vec<_> = ["/without/a", "/without/b.txt", "/without/sub/"]
        .iter()
        .map(|path| targets.iter().position(|target| target == path).expect(path))
        .collect();
    assert!(places.is_sorted(), "{targets:?}");

    let page = json(&site.get_with("/without/", JSON).await);
    assert_eq!(names(&page), ["a", "b.txt", "sub/"]);
    assert_eq!(page["path"], "/without/");
    assert_eq!(page["next"], Value::Null);
    assert_eq!(page["entries"][1]["size"], 5);
    assert_eq!(page["entries"][1]["version"], 1);
    assert_eq!(page["entries"][1]["hash"], sha256(b"hello"));
    assert_eq!(page["entries"][1]["content_type"], "text/plain; charset=utf-8");
    assert_eq!(page["entries"][1]["modified"], "2026-07-01T00:00:00Z");
}

#[tokio::test]
async fn json_is_for_those_who_ask_for_it() {
    let site = Site::new().await;
    site.put("/d/f", "x").await;
    for (accept, content_type) in [
        ("application/json", "application/json"),
        ("application/json, text/html;q=0.5", "application/json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html; charset=utf-8"),
        ("text/html, application/json", "text/html; charset=utf-8"),
        ("*/*", "text/html; charset=utf-8"),
        ("", "text/html; charset=utf-8"),
    ] {
        let answer = site.get_with("/d/", &[("accept", accept)]).await;
        assert_eq!(answer.header("content-type"), content_type, "{accept}");
        assert!(answer.header("vary").to_lowercase().contains("accept"), "{accept}");
    }
    let head = site.ask("HEAD", "/d/", JSON, "").await;
    assert_eq!((head.status.as_u16(), head.text()), (200, ""));
    let file = site.get_with("/d/f", JSON).await;
    assert_eq!(file.text(), "x", "a file is what it is");
}

#[tokio::test]
async fn json_that_is_asked_for_less_than_html_is_not_sent() {
    let site = Site::new().await;
    site.put("/d/f", "x").await;
    for accept in
        ["application/json;q=0.1, text/html", "application/json;q=0", "application/json; q=0.0, */*"]
    {
        let answer = site.get_with("/d/", &[("accept", accept)]).await;
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8", "{accept}");
    }
}

#[tokio::test]
async fn the_top_of_an_empty_tenant_is_an_empty_page_and_no_other_directory_is_empty() {
    let site = Site::new().await;
    let page = json(&site.get_with("/", JSON).await);
    assert_eq!(names(&page), [""; 0]);
    assert_eq!(site.get("/").await.status, 200);
    assert_eq!(site.get("/x/").await.status, 404);
    site.put("/x/f", "x").await;
    assert_eq!(site.get("/x/").await.status, 200);
    site.ask("DELETE", "/x/f", &[], "").await;
    assert_eq!(site.get("/x/").await.status, 404, "with its last file a directory is gone");
    assert_eq!(site.get("/x").await.status, 404);
    assert_eq!(names(&json(&site.get_with("/", JSON).await)), [""; 0]);
}

#[tokio::test]
async fn a_directory_that_is_missing_is_missing_on_every_page() {
    let site = Site::new().await;
    for target in ["/none/?after=a", "/none/?limit=5", "/none/?after=a&limit=1"] {
        assert_eq!(site.get_with(target, JSON).await.status, 404, "{target}");
    }
}

#[tokio::test]
async fn a_file_and_a_directory_may_have_the_same_name() {
    let site = Site::new().await;
    site.put("/p/a", "file").await;
    site.put("/p/a/b", "below").await;
    site.put("/p/a-", "x").await;
    site.put("/p/a0", "x").await;
    assert_eq!(site.get("/p/a").await.text(), "file");
    assert_eq!(site.get("/p/a/b").await.text(), "below");
    let answer = site.get("/p/a/").await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (301, "../a"));
    let page = json(&site.get_with("/p/", JSON).await);
    let mut found = names(&page);
    found.sort();
    assert_eq!(found, ["a", "a-", "a/", "a0"]);
    let html = site.get("/p/").await;
    let targets: Vec<String> = links(html.text()).iter().map(|href| follow("/p/", href)).collect();
    for path in ["/p/a", "/p/a/", "/p/a-", "/p/a0"] {
        assert!(targets.iter().any(|target| target == path), "{path}: {targets:?}");
    }
    let mut collected = Vec::new();
    let mut target = "/p/?limit=1".to_owned();
    loop {
        let page = json(&site.get_with(&target, JSON).await);
        collected.extend(names(&page));
        let Some(next) = page["next"].as_str() else { break };
        target = follow(&target, next);
        assert!(collected.len() < 10, "{collected:?}");
    }
    collected.sort();
    assert_eq!(collected, found, "one by one nothing is lost or doubled");
}

/// 2,345 names in one directory, some of them directories, sorted by byte.
async fn many(server: &Server, site: &Site) -> Vec<String> {
    let mut all = Vec::new();
    for number in 0..2345 {
        let (path, name) = match number % 10 {
            0 => (format!("/many/d{number}/x/y"), format!("d{number}/")),
            1 => (format!("/many/\u{e9} &%{number}"), format!("\u{e9} &%{number}")),
            _ => (format!("/many/f{number}"), format!("f{number}")),
        };
        server.put(site.tenant, &path, format!("{number}")).await;
        all.push(name);
    }
    server.put(site.tenant, "/many-", "before").await;
    server.put(site.tenant, "/many0", "behind").await;
    all.sort();
    all
}

#[tokio::test]
async fn a64_a_large_directory_comes_in_pages_none_left_out_none_twice() {
    let site = Site::new().await;
    let all = many(&site.server, &site).await;
    for (first, largest, pages) in
        [("/many/", 1000, 3), ("/many/?limit=700", 700, 4), ("/many/?limit=99999", 1000, 3)]
    {
        let (mut target, mut found, mut count) = (first.to_owned(), Vec::new(), 0);
        loop {
            let page = json(&site.get_with(&target, JSON).await);
            let names = names(&page);
            assert!(names.len() <= largest, "{target}: {}", names.len());
            found.extend(names);
            count += 1;
            let Some(next) = page["next"].as_str() else { break };
            target = follow(&target, next);
        }
        assert_eq!(count, pages, "{first}");
        assert_eq!(found.len(), all.len(), "{first}");
        let mut sorted = found.clone();
        sorted.sort();
        assert!(sorted == all, "{first}");
    }
    let (mut target, mut found) = ("/many/".to_owned(), Vec::new());
    loop {
        let answer = site.get(&target).await;
        assert_eq!(answer.status, 200, "{target}");
        let links = links(answer.text());
        let here = links.iter().map(|link| follow(&target, link));
        let decoded = here.map(|path| percent_decode_str(&path).decode_utf8().unwrap().into_owned());
        found.extend(
            decoded
                .filter_map(|path| Some(path.strip_prefix("/many/")?.to_owned()))
                .filter(|name| !name.is_empty() && !name.starts_with('?')),
        );
        if !answer.text().contains("rel=\"next\"") {
            break;
        }
        let next = links.iter().find(|link| link.contains("after=")).expect("the next page");
        target = follow(&target, next);
    }
    found.sort();
    assert!(found == all, "{} of {}", found.len(), all.len());
    for limit in ["-1", "x", "1.5", "99999999999"] {
        assert_eq!(site.get(&format!("/many/?limit={limit}")).await.status, 400, "{limit}");
    }
}

#[tokio::test]
async fn a31_a_page_is_for_those_who_may_read_all_of_it() {
    let site = Site::new().await;
    site.put("/a/b/f", "x").await;
    site.put("/a/secret", "x").await;
    let below = site.token_for(READ, "/a/b/*").await;
    let exact = site.token_for(READ, "/a/b/f").await;
    let writer = site.token_for(WRITE, "/a/*").await;
    let page = json(&site.ask_as(&below, "GET", "/a/b/", JSON, "").await);
    assert_eq!(names(&page), ["f"]);
    for target in ["/", "/a/", "/a", "/a/b/../", "/?after=a"] {
        let answer = site.ask_as(&below, "GET", target, JSON, "").await;
        assert!([301, 404].contains(&answer.status.as_u16()), "{target}: {answer:?}");
        assert!(!answer.text().contains("secret"), "{target}");
    }
    for target in ["/a/b/", "/a/b", "/a/", "/"] {
        let answer = site.ask_as(&exact, "GET", target, JSON, "").await;
        assert_eq!(answer.status, 404, "{target}");
    }
    for target in ["/a/", "/a/b/", "/a/secret", "/a/none", "/a/b"] {
        let answer = site.ask_as(&writer, "GET", target, JSON, "").await;
        assert_eq!(answer.status, 403, "{target}");
        // What was asked for is named; nothing else is.
        let said = answer.text().replace(&format!("`{target}`"), "");
        assert!(!said.contains("secret") && answer.header("etag").is_empty(), "{target}");
    }
}

#[tokio::test]
async fn a21_everything_below_is_not_the_file_of_that_name_nor_a_sibling() {
    let site = Site::new().await;
    for path in ["/a", "/a/b", "/ab/c", "/A/b", "/a./b"] {
        site.put(path, path).await;
    }
    let below = site.token_for(READ | WRITE, "/a/*").await;
    assert_eq!(site.ask_as(&below, "GET", "/a/b", &[], "").await.text(), "/a/b");
    for path in ["/a", "/ab/c", "/ab", "/A/b", "/a./b", "/a%20", "/a%20/b", "/a/../ab/c", "/a%2F..%2Fab/c"] {
        let answer = site.ask_as(&below, "GET", path, &[], "").await;
        assert!([301, 404].contains(&answer.status.as_u16()), "{path}: {answer:?}");
        let answer = site.ask_as(&below, "PUT", path, &[], "x").await;
        assert!([301, 404].contains(&answer.status.as_u16()), "{path}: {answer:?}");
        let answer = site.ask_as(&below, "DELETE", path, &[], "").await;
        assert!([301, 404].contains(&answer.status.as_u16()), "{path}: {answer:?}");
    }
    let exact = site.token_for(READ | WRITE, "/a").await;
    assert_eq!(site.ask_as(&exact, "GET", "/a", &[], "").await.text(), "/a");
    for path in ["/a/b", "/ab", "/A", "/a.", "/a%20", "/"] {
        assert_eq!(site.ask_as(&exact, "GET", path, &[], "").await.status, 404, "{path}");
    }
    assert_eq!(site.paths().await.len(), 5);
    let page = json(&site.ask_as(&below, "GET", "/a/", JSON, "").await);
    assert_eq!(names(&page), ["b"], "the listing of /a/ is part of /a/*");
}

#[tokio::test]
async fn a72_no_name_breaks_out_of_a_page_or_into_a_header() {
    let site = Site::new().await;
    let evil = [
        "\"><script>alert(1)</script>",
        "'onmouseover='alert(1)",
        "&lt;b&gt;",
        "..\\up",
        "...",
        "\u{202e}gpj.exe",
        "\u{2028}line",
        "\u{1f4a9}",
        "e\u{301}",
        "javascript:alert(1)",
        "%0d%0aSet-Cookie: x=1",
    ];
    for name in evil {
        let encoded = utf8_percent_encode(name, NON_ALPHANUMERIC).to_string();
        site.put(&format!("/d/{encoded}"), name).await;
        site.put(&format!("/{encoded}/dir/f"), name).await;
    }
    for base in ["/d/", "/"] {
        let answer = site.get(base).await;
        let page = answer.text();
        assert!(!page.contains("<script") && !page.contains("<b>"), "{page}");
        for href in links(page) {
            let target = follow(base, &href);
            assert!(target.starts_with('/') && !target.starts_with("//"), "{href}");
            assert_eq!(site.get(&target).await.status.as_u16() / 100, 2, "{href}");
        }
        assert_eq!(answer.header("set-cookie"), "");
    }
    for name in evil.iter().filter(|name| !name.contains('/')) {
        let encoded = utf8_percent_encode(name, NON_ALPHANUMERIC).to_string();
        let page = site.get(&format!("/{encoded}/")).await;
        assert_eq!(page.status, 200, "{name}");
        assert!(!page.text().contains("<script") && !page.text().contains("'onmouse"), "{name}");
        let file = site.get(&format!("/d/{encoded}")).await;
        assert_eq!(file.text(), *name);
        let redirect = site.get(&format!("/{encoded}")).await;
        assert_eq!(redirect.status, 301, "{name}");
        assert_eq!(redirect.header("set-cookie"), "");
    }
}

#[tokio::test]
async fn a76_pages_of_ours_are_framed_by_nobody_and_run_nothing() {
    let site = Site::new().await;
    site.put("/d/f", "x").await;
    for target in ["/d/", "/d/?limit=1", "/"] {
        for headers in [&[][..], JSON] {
            let answer = site.get_with(target, headers).await;
            let policy = answer.header("content-security-policy");
            let parts: Vec<&str> = policy.split(';').map(str::trim).collect();
            assert!(parts.contains(&"frame-ancestors 'none'"), "{target}: {policy}");
            assert!(parts.contains(&"default-src 'none'"), "{target}: {policy}");
            assert!(!policy.contains("script-src"), "{policy}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
        }
    }
}
