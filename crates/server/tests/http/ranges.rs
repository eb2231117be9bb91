//! Parts of a file, to the byte.

use http::HeaderMap;

use crate::site::{Site, noise, sha256};
use crate::support::Answer;

/// The parts of a multipart answer: their heads and their bytes. Panics unless it is well-formed to the last byte.
fn parts(answer: &Answer) -> Vec<(HeaderMap, Vec<u8>)> {
    let content_type = answer.header("content-type");
    let (kind, boundary) = content_type.split_once("; boundary=").expect("a boundary");
    assert_eq!(kind, "multipart/byteranges");
    let body = answer.body.as_ref().expect("a whole body");
    assert_eq!(answer.header("content-length"), body.len().to_string());
    let delimiter = format!("\r\n--{boundary}");
    // The line end before the first delimiter may be missing.
    let mut rest = match body.strip_prefix(delimiter.as_bytes()) {
        Some(rest) => rest,
        None => body.strip_prefix(&delimiter.as_bytes()[2..]).expect("the first delimiter"),
    };
    let mut parts = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            assert!(matches!(&rest[2..], b"" | b"\r\n"), "something behind the end");
            return parts;
        }
        rest = rest.strip_prefix(b"\r\n").expect("a line end");
        let end = rest.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
        let mut headers = HeaderMap::new();
        for line in std::str::from_utf8(&rest[..end]).unwrap().split("\r\n") {
            let (name, value) = line.split_once(": ").unwrap();
            headers.append(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
        }
        rest = &rest[end + 4..];
        let range = headers["content-range"].to_str().unwrap().to_owned();
        let (first, last) =
            range.trim_start_matches("bytes ").split_once('/').unwrap().0.split_once('-').unwrap();
        let length = last.parse::<usize>().unwrap() - first.parse::<usize>().unwrap() + 1;
        parts.push((headers, rest[..length].to_vec()));
        rest = rest[length..].strip_prefix(delimiter.as_bytes()).expect("the next delimiter");
    }
}

#[tokio::test]
async fn one_range_is_exactly_these_bytes() {
    let site = Site::new().await;
    let content = noise(1000);
    site.put("/f.bin", content.clone()).await;
    for (range, first, last) in [
        ("bytes=0-0", 0, 0),
        ("bytes=0-999", 0, 999),
        ("bytes=1-998", 1, 998),
        ("bytes=500-", 500, 999),
        ("bytes=999-", 999, 999),
        ("bytes=-1", 999, 999),
        ("bytes=-400", 600, 999),
        ("bytes=-1000", 0, 999),
        ("bytes=-5000", 0, 999),
        ("bytes=990-5000", 990, 999),
        ("bytes=0-18446744073709551615", 0, 999),
        ("bytes=0-99999999999999999999999999", 0, 999),
        ("bytes=-9223372036854775808", 0, 999),
        ("bytes=007-008", 7, 8),
        ("Bytes=3-4", 3, 4),
        ("bytes= 3-4 ", 3, 4),
        ("bytes=,3-4,", 3, 4),
        ("bytes=3-4, 2000-3000", 3, 4),
    ] {
        let answer = site.get_with("/f.bin", &[("range", range)]).await;
        assert_eq!(answer.status, 206, "{range}");
        assert_eq!(answer.header("content-range"), format!("bytes {first}-{last}/1000"), "{range}");
        assert_eq!(answer.header("content-length"), (last - first + 1).to_string(), "{range}");
        assert_eq!(answer.header("content-type"), "application/octet-stream");
        assert_eq!(answer.header("etag"), format!("\"{}\"", sha256(&content)));
        assert!(answer.body.unwrap() == content[first..=last], "{range}");
    }
}

#[tokio::test]
async fn a_range_beyond_the_end_is_refused_with_the_size() {
    let site = Site::new().await;
    site.put("/f", noise(1000)).await;
    for range in [
        "bytes=1000-",
        "bytes=1000-1000",
        "bytes=2000-3000",
        "bytes=-0",
        "bytes=1000-, 5000-6000, -0",
        "bytes=9223372036854775808-",
        "bytes=18446744073709551615-18446744073709551615",
        "bytes=99999999999999999999999999-",
    ] {
        let answer = site.get_with("/f", &[("range", range)]).await;
        assert_eq!(answer.status, 416, "{range}");
        assert_eq!(answer.header("content-range"), "bytes */1000", "{range}");
        assert_eq!(answer.text().trim_end(), "invalid range: failed to overlap");
    }
}

#[tokio::test]
async fn a61_what_is_no_range_gives_the_whole_file_or_nothing() {
    let site = Site::new().await;
    let content = noise(1000);
    site.put("/f", content.clone()).await;
    for range in [
        "bytes=5-4",
        "bytes=a-b",
        "bytes=1",
        "bytes=-",
        "bytes=--1",
        "bytes=1-2-3",
        "bytes=+1-2",
        "bytes=0x1-0x2",
        "bytes=",
        "bytes",
        "",
        "lines=1-2",
        "bytes 1-2",
        "bytes=1-2;3-4",
        "bytes=1-2,x",
        "bytes=1 - 2",
    ] {
        let answer = site.get_with("/f", &[("range", range)]).await;
        assert!([200, 416].contains(&answer.status.as_u16()), "{range}: {}", answer.status);
        if answer.status == 200 {
            assert!(answer.body.unwrap() == content, "{range}");
        }
    }
}

#[tokio::test]
async fn an_empty_file_has_no_parts() {
    let site = Site::new().await;
    site.put("/empty", "").await;
    for range in ["bytes=0-", "bytes=0-0", "bytes=-1", "bytes=5-", "bytes=0-0,2-3"] {
        let answer = site.get_with("/empty", &[("range", range)]).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (200, ""), "{range}");
        assert_eq!(answer.header("content-length"), "0");
    }
}

#[tokio::test]
async fn several_ranges_are_parts_in_the_order_asked_for() {
    let site = Site::new().await;
    let content = noise(1_600_000);
    site.put("/f.png", content.clone()).await;
    for (range, expected) in [
        ("bytes=0-0,2-2", vec![(0, 0), (2, 2)]),
        ("bytes=900-999, 0-99", vec![(900, 999), (0, 99)]),
        ("bytes=0-9,-10", vec![(0, 9), (1_599_990, 1_599_999)]),
        (
            "bytes=524287-524288,1048575-1048576,1599999-",
            vec![(524_287, 524_288), (1_048_575, 1_048_576), (1_599_999, 1_599_999)],
        ),
        ("bytes=5-6,7-8", vec![(5, 6), (7, 8)]),
        ("bytes=5-6,9999999-,8-9", vec![(5, 6), (8, 9)]),
    ] {
        let answer = site.get_with("/f.png", &[("range", range)]).await;
        assert_eq!(answer.status, 206, "{range}");
        assert!(!answer.headers.contains_key("content-range"), "{range}");
        let parts = parts(&answer);
        assert_eq!(parts.len(), expected.len(), "{range}");
        for ((headers, bytes), (first, last)) in parts.iter().zip(expected) {
            assert_eq!(headers["content-range"], format!("bytes {first}-{last}/1600000"), "{range}");
            assert_eq!(headers["content-type"], "image/png");
            assert!(bytes == &content[first..=last], "{range}");
        }
    }
}

#[tokio::test]
async fn a61_sixteen_ranges_are_served_and_more_are_not() {
    let site = Site::new().await;
    let content = noise(10_000);
    site.put("/f", content.clone()).await;
    let ranges = |count: usize| {
        let ranges: Vec<String> = (0..count).map(|at| format!("{}-{}", at * 4, at * 4)).collect();
        format!("bytes={}", ranges.join(","))
    };
    let answer = site.get_with("/f", &[("range", &ranges(16))]).await;
    assert_eq!((answer.status.as_u16(), parts(&answer).len()), (206, 16));
    for count in [17, 1000] {
        let answer = site.get_with("/f", &[("range", &ranges(count))]).await;
        assert!([200, 416].contains(&answer.status.as_u16()), "{count}: {}", answer.status);
        assert!(answer.body.unwrap().len() <= content.len(), "{count}");
    }
}

#[tokio::test]
async fn a61_overlapping_ranges_are_never_more_than_the_file() {
    let site = Site::new().await;
    let content = noise(100_000);
    site.put("/f", content.clone()).await;
    for range in [
        "bytes=0-,0-",
        "bytes=0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-",
        "bytes=0-50000,40000-99999",
        "bytes=10-20,10-20",
        "bytes=-100000,0-0",
        "bytes=50000-,0-60000",
    ] {
        let answer = site.get_with("/f", &[("range", range)]).await;
        match answer.status.as_u16() {
            200 => assert!(answer.body.unwrap() == content, "{range}"),
            206 => assert!(answer.body.unwrap().len() <= content.len() + 16 * 300, "{range}"),
            status => assert_eq!(status, 416, "{range}"),
        }
    }
}

#[tokio::test]
async fn a_range_of_a_missing_or_foreign_file_is_a_missing_file() {
    let site = Site::new().await;
    site.put("/f", "hello").await;
    let stranger = site.token_for(crate::site::READ, "/mine/*").await;
    for range in ["bytes=0-0", "bytes=999-"] {
        let missing = site.get_with("/none", &[("range", range)]).await;
        let hidden = site.ask_as(&stranger, "GET", "/f", &[("range", range)], "").await;
        for answer in [missing, hidden] {
            assert_eq!((answer.status.as_u16(), answer.text()), (404, "404 page not found\n"));
            assert!(!answer.headers.contains_key("content-range"));
        }
    }
}
