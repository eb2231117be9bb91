//! The page of a drop link, and the forms that it sends.

use std::fmt::Write as _;

use cacheroach_api::file;

use crate::drops::{make, plain};
use crate::site::{Site, noise};
use crate::support::Answer;

const BOUNDARY: &str = "----boundary";

/// A part of a form: the name of its file as it stands in the head, more of the head, and the content.
fn part(name: &str, head: &str, content: &[u8]) -> Vec<u8> {
    let mut part = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n{head}\r\n"
    )
    .into_bytes();
    part.extend_from_slice(content);
    part.extend_from_slice(b"\r\n");
    part
}

fn form(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat(), format!("--{BOUNDARY}--\r\n").into_bytes()].concat()
}

async fn post(site: &Site, link: &str, body: Vec<u8>) -> Answer {
    let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
    site.server.http("POST", link, &[("content-type", &content_type)], body).await
}

#[tokio::test]
async fn the_page_needs_no_script_and_says_what_it_takes() {
    let site = Site::new().await;
    let limits = file::CreateDropLinkRequest {
        label: "<script>alert(1)</script>\" & more".into(),
        content_types: vec!["image/*".into()],
        max_size: 5 << 20,
        max_files: 3,
        valid_for: Some(prost_types::Duration { seconds: 3_600, nanos: 0 }),
        ..Default::default()
    };
    let link = make(&site, limits).await;
    let page = site.server.http("GET", &link, &[], "").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    for rule in ["default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!policy.contains("script-src"));
    let text = page.text();
    assert!(!text.contains("<script") && text.contains("&lt;script&gt;"), "{text}");
    for told in
        ["5 MiB", "3 more files", "image/*", "2026-07-01 01:00:00 UTC", "multipart/form-data", " multiple"]
    {
        assert!(text.contains(told), "{told}: {text}");
    }
    assert!(!text.contains("access_token"), "the form goes back to where it came from");
}

#[tokio::test]
async fn a_form_brings_its_files() {
    let site = Site::new().await;
    let link = plain(&site).await;
    let large = noise(700_000);
    let tricky = format!("\r\n--{}\r\n--\r\r\n\r\n--{}", &BOUNDARY[..5], &BOUNDARY[..11]).into_bytes();
    let body = form(&[
        part("a.txt", "Content-Type: text/plain\r\n", b"hello"),
        part("large", "", &large),
        part("\u{fc} \u{1f600}.bin", "Content-Type: application/octet-stream\r\n", b""),
        part("tricky", "", &tricky),
    ]);
    let answer = post(&site, &link, body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    for name in ["a.txt", "large", "\u{fc} \u{1f600}.bin", "tricky"] {
        assert!(answer.text().contains(name), "{name}: {}", answer.text());
    }
    assert!(answer.text().contains("96 more files"), "{}", answer.text());
    assert_eq!(site.get("/in/a.txt").await.text(), "hello");
    assert_eq!(site.get("/in/large").await.body.unwrap(), large);
    assert_eq!(site.get("/in/tricky").await.body.unwrap(), tricky);
    assert_eq!(site.paths().await.len(), 4);
}

#[tokio::test]
async fn a_form_with_a_file_that_is_not_taken_says_which_were() {
    let site = Site::new().await;
    site.put("/in/there", "mine").await;
    let limits = file::CreateDropLinkRequest { max_size: 1_000, max_files: 3, ..Default::default() };
    let link = make(&site, limits).await;
    for (bad, status) in [(part("there", "", b"evil"), 409), (part("big", "", &noise(1_001)), 413)] {
        let good = part(&format!("good{status}"), "", b"x");
        let answer = post(&site, &link, form(&[good, bad, part("after", "", b"x")])).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        let text = answer.text();
        assert!(text.contains(&format!("good{status}")) && !text.contains("<bdi>after"), "{text}");
        assert!(!text.contains("mine"));
    }
    assert_eq!(site.get("/in/there").await.text(), "mine");
    let answer = post(&site, &link, form(&[part("third", "", b"x"), part("fourth", "", b"x")])).await;
    assert_eq!(answer.status, 403);
    assert_eq!(site.paths().await, ["/in/good409", "/in/good413", "/in/there", "/in/third"]);
    assert!(!answer.text().contains("<form"));
}

#[tokio::test]
async fn a66_a_name_in_a_form_is_never_a_path() {
    let site = Site::new().await;
    let link = plain(&site).await;
    for name in ["../x", "../../etc/passwd", "/etc/passwd", "a/b", "..", ".", "C:\\x", "..\\x", "a\tb"] {
        let answer = post(&site, &link, form(&[part(name, "", b"evil")])).await;
        assert_eq!(answer.status, 400, "{name}: {}", answer.text());
    }
    for head in ["Content-Type: nonsense\r\n", "Content-Type: multipart/form-data\r\n"] {
        assert_eq!(post(&site, &link, form(&[part("x", head, b"evil")])).await.status, 400, "{head}");
    }
    assert_eq!(site.paths().await, [""; 0]);
}

#[tokio::test]
async fn a66_a_form_without_end_or_sense_is_refused() {
    let site = Site::new().await;
    let link = plain(&site).await;
    let whole = form(&[part("a", "", b"content")]);
    let none: Vec<u8> = form(&[part("", "Content-Type: application/octet-stream\r\n", b"")]);
    let nameless =
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\nv\r\n--{BOUNDARY}--\r\n");
    let latin = {
        let mut bytes = part("a", "", b"x");
        let at = bytes.windows(11).position(|window| window == b"filename=\"a").unwrap() + 10;
        bytes[at] = 0xff;
        form(&[bytes])
    };
    for (body, what) in [
        (Vec::new(), "nothing"),
        (b"garbage".to_vec(), "garbage"),
        (part("a", "", b"content"), "no end"),
        (whole[..whole.len() - 12].to_vec(), "cut in the last boundary"),
        (format!("--{BOUNDARY}\r\n").into_bytes(), "cut in a head"),
        (none, "nothing chosen"),
        (nameless.into_bytes(), "no name"),
        (latin, "a name that is no text"),
        (format!("--{BOUNDARY}\r\nno head at all\r\n\r\nx\r\n--{BOUNDARY}--\r\n").into_bytes(), "no head"),
    ] {
        let answer = post(&site, &link, body).await;
        assert_eq!(answer.status, 400, "{what}: {}", answer.text());
        assert_eq!(answer.text().contains("no file was chosen"), what == "nothing chosen", "{what}");
    }
    for content_type in
        ["text/plain", "multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=x"]
    {
        let answer = site.server.http("POST", &link, &[("content-type", content_type)], whole.clone()).await;
        assert_eq!(answer.status, 400, "{content_type}");
    }
    assert_eq!(site.paths().await, [""; 0]);
    assert_eq!(post(&site, &link, whole).await.status, 201);
}

#[tokio::test]
async fn a66_a_form_of_ten_thousand_parts_or_endless_heads_is_too_large() {
    let site = Site::new().await;
    let limits = file::CreateDropLinkRequest { max_files: 20_000, ..Default::default() };
    let link = make(&site, limits).await;
    let empty = vec![part("", "", b""); 10_000];
    assert_eq!(post(&site, &link, form(&empty)).await.status, 413);
    assert_eq!(site.paths().await, [""; 0]);
    let many: Vec<_> = (0..101).map(|number| part(&format!("f{number:03}"), "", b"x")).collect();
    assert_eq!(post(&site, &link, form(&many)).await.status, 413);
    assert_eq!(site.paths().await.len(), 100, "those before it are there");
    let mut head = format!("--{BOUNDARY}\r\n");
    for number in 0..100_000 {
        write!(head, "X-Head-{number}: x\r\n").unwrap();
    }
    for endless in [head.into_bytes(), vec![b'x'; 3 << 20], b"\r\n--".repeat(1 << 20)] {
        assert_eq!(post(&site, &link, endless).await.status, 413);
    }
}
