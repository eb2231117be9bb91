//! Conditional requests.

use crate::site::{READ, START, Site, sha256};

const BEFORE: &str = "Tue, 30 Jun 2026 23:59:59 GMT";
const AFTER: &str = "Wed, 01 Jul 2026 00:00:01 GMT";

/// A site with a file `/f` that holds `hello`, and its tag.
async fn site() -> (Site, String) {
    let site = Site::new().await;
    site.put("/f", "hello").await;
    (site, format!("\"{}\"", sha256(b"hello")))
}

#[tokio::test]
async fn what_the_reader_has_already_is_not_sent() {
    let (site, tag) = site().await;
    let (weak, list, tail) = (format!("W/{tag}"), format!("\"x\", {tag}"), format!("\"a,b\" , W/{tag}"));
    for value in ["*", &tag, &weak, &list, &tail] {
        for method in ["GET", "HEAD"] {
            let answer = site.ask(method, "/f", &[("if-none-match", value)], "").await;
            assert_eq!((answer.status.as_u16(), answer.text()), (304, ""), "{method} {value}");
            assert_eq!(answer.header("etag"), tag, "{value}");
            let length = answer.header("content-length");
            assert!(["", "5"].contains(&length), "{method} {value}: {length}");
        }
    }
    let bare = tag.trim_matches('"');
    for value in ["\"x\"", "\"\"", bare, "x"] {
        let answer = site.get_with("/f", &[("if-none-match", value)]).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (200, "hello"), "{value}");
    }
}

#[tokio::test]
async fn what_is_not_newer_is_not_sent() {
    let (site, _) = site().await;
    for (value, status) in [
        (BEFORE, 200),
        (START, 304),
        (AFTER, 304),
        ("Wednesday, 01-Jul-26 00:00:00 GMT", 304),
        ("Wed Jul  1 00:00:00 2026", 304),
        ("2026-07-01", 200),
        ("", 200),
    ] {
        let answer = site.get_with("/f", &[("if-modified-since", value)]).await;
        assert_eq!(answer.status, status, "{value}");
        assert_eq!(answer.text(), if status == 200 { "hello" } else { "" });
    }
}

#[tokio::test]
async fn what_is_not_what_the_reader_thinks_is_refused() {
    let (site, tag) = site().await;
    let (weak, list) = (format!("W/{tag}"), format!("\"x\", {tag}"));
    for (value, status) in
        [("*", 200), (tag.as_str(), 200), (&list, 200), (&weak, 412), ("\"x\"", 412), ("x", 412)]
    {
        let answer = site.get_with("/f", &[("if-match", value)]).await;
        assert_eq!(answer.status, status, "{value}");
        assert_eq!(answer.text() == "hello", status == 200, "{value}");
    }
    for (value, status) in [(BEFORE, 412), (START, 200), (AFTER, 200), ("soon", 200)] {
        let answer = site.get_with("/f", &[("if-unmodified-since", value)]).await;
        assert_eq!(answer.status, status, "{value}");
    }
}

#[tokio::test]
async fn tags_come_before_dates() {
    let (site, tag) = site().await;
    for (first, second, status) in [
        (("if-none-match", "\"x\""), ("if-modified-since", AFTER), 200),
        (("if-none-match", tag.as_str()), ("if-modified-since", BEFORE), 304),
        (("if-match", &tag), ("if-unmodified-since", BEFORE), 200),
        (("if-match", "\"x\""), ("if-unmodified-since", AFTER), 412),
        (("if-match", "\"x\""), ("if-none-match", &tag), 412),
        (("if-match", &tag), ("if-none-match", &tag), 304),
        (("if-unmodified-since", BEFORE), ("if-modified-since", AFTER), 412),
    ] {
        let answer = site.get_with("/f", &[first, second]).await;
        assert_eq!(answer.status, status, "{first:?} {second:?}");
    }
}

#[tokio::test]
async fn a_range_counts_only_if_the_file_is_still_the_same() {
    let (site, tag) = site().await;
    let weak = format!("W/{tag}");
    for (value, partial) in [
        (tag.as_str(), true),
        (START, true),
        (BEFORE, false),
        (AFTER, false),
        (&weak, false),
        ("\"x\"", false),
        ("*", false),
        ("x", false),
    ] {
        for range in ["bytes=1-2", "bytes=1-1,3-3", "bytes=999-"] {
            let answer = site.get_with("/f", &[("if-range", value), ("range", range)]).await;
            let expected = match (partial, range) {
                (false, _) => 200,
                (true, "bytes=999-") => 416,
                (true, _) => 206,
            };
            assert_eq!(answer.status, expected, "{value} {range}");
            if !partial {
                assert_eq!(answer.text(), "hello");
            }
        }
    }
}

#[tokio::test]
async fn a_condition_is_judged_before_a_range() {
    let (site, tag) = site().await;
    for (condition, value, status) in [
        ("if-none-match", tag.as_str(), 304),
        ("if-none-match", "\"x\"", 206),
        ("if-match", "\"x\"", 412),
        ("if-match", &tag, 206),
        ("if-modified-since", START, 304),
    ] {
        let answer = site.get_with("/f", &[(condition, value), ("range", "bytes=0-1")]).await;
        assert_eq!(answer.status, status, "{condition}: {value}");
    }
}

#[tokio::test]
async fn conditions_hold_for_the_page_of_a_directory_too() {
    let site = Site::new().await;
    site.put("/dir/index.html", "hello").await;
    let tag = format!("\"{}\"", sha256(b"hello"));
    assert_eq!(site.get("/dir/").await.header("etag"), tag);
    assert_eq!(site.get_with("/dir/", &[("if-none-match", &tag)]).await.status, 304);
}

#[tokio::test]
async fn a32_no_condition_tells_of_what_another_has() {
    let (site, tag) = site().await;
    let other = site.server.tenant().await;
    site.server.put(other, "/theirs", "hello").await;
    let stranger = site.token_for(READ, "/mine/*").await;
    for (condition, value) in [
        ("if-none-match", tag.as_str()),
        ("if-none-match", "*"),
        ("if-match", &tag),
        ("if-match", "*"),
        ("if-match", "\"x\""),
        ("if-range", &tag),
        ("if-modified-since", AFTER),
        ("if-unmodified-since", BEFORE),
    ] {
        let headers = [(condition, value), ("range", "bytes=0-0")];
        // Of another tenant, of a path out of reach, and never there.
        let elsewhere = site.get_with("/theirs", &headers).await;
        let hidden = site.ask_as(&stranger, "GET", "/f", &headers, "").await;
        for answer in [elsewhere, hidden] {
            assert_eq!(answer.status, 404, "{condition}: {value}");
            assert_eq!(answer.text(), "404 page not found\n");
            assert_eq!(answer.header("etag"), "");
        }
    }
}
