//! What a caller asks to be sent elsewhere, once it is known to be harmless.

use cacheroach_api::upload::FetchRequest;
use reqwest::Method;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::{Error, Result};

/// In bytes.
const LONGEST_URL: usize = 8 * 1024;
const LONGEST_METHOD: usize = 32;
/// Names and values together, in bytes, in both directions.
pub(super) const MOST_HEADERS: usize = 100;
pub(super) const LARGEST_HEADERS: usize = 32 * 1024;

/// A request to a remote that makes sense. Whether its address may be reached is found out when it is sent.
pub(super) struct Outbound {
    pub(super) url: Url,
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
}

impl Outbound {
    pub(super) fn parse(request: &FetchRequest) -> Result<Self> {
        Ok(Outbound {
            url: parse_url(&request.remote_url)?,
            method: parse_method(&request.remote_method)?,
            headers: parse_headers(request)?,
        })
    }

    /// What to send when the remote answers that it is elsewhere.
    pub(super) fn redirected(mut self, status: u16, location: &[u8]) -> Result<Self> {
        let nowhere = || bad_url("it is redirected to something that is no address");
        let location = std::str::from_utf8(location).map_err(|_| nowhere())?;
        let url = self.url.join(location).map_err(|_| nowhere())?;
        check(&url)?;
        // Not to be heard by others, and never again: who redirects back does so on behalf of others.
        if url.origin() != self.url.origin() {
            for name in PERSONAL {
                self.headers.remove(name);
            }
        }
        // As all clients do. No request has a body, so nothing has to be sent again.
        if status == 303 || matches!(status, 301 | 302) && self.method == Method::POST {
            self.method = Method::GET;
        }
        self.url = url;
        Ok(self)
    }
}

/// An address as it was meant: what a lenient reader would bend into shape is refused, so that nobody who looked at it
/// before us has seen another one.
fn parse_url(text: &str) -> Result<Url> {
    if text.len() > LONGEST_URL {
        return Err(Error::TooLarge(format!("remote_url: at most {LONGEST_URL} bytes")));
    }
    if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f || byte == b'\\') {
        return Err(bad_url("spaces, control characters and backslashes are percent-encoded"));
    }
    let url = Url::parse(text).map_err(|problem| bad_url(&problem.to_string()))?;
    check(&url)?;
    let authority = text.get(url.scheme().len()..).and_then(|rest| rest.strip_prefix("://"));
    let authority = authority.ok_or_else(|| bad_url("a scheme is followed by ://"))?;
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(no_userinfo());
    }
    if authority.is_empty() {
        return Err(bad_url("it names no host"));
    }
    Ok(url)
}

fn check(url: &Url) -> Result<()> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad_url("only http and https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(no_userinfo());
    }
    if url.port() == Some(0) {
        return Err(bad_url("port 0 is none"));
    }
    if url.host().is_none() { Err(bad_url("it names no host")) } else { Ok(()) }
}

pub(super) fn bad_url(problem: &str) -> Error {
    Error::invalid("remote_url", problem)
}

fn no_userinfo() -> Error {
    bad_url("no user or password in it: send an Authorization header")
}

fn parse_method(text: &str) -> Result<Method> {
    let bad = |problem| Error::invalid("remote_method", problem);
    if text.is_empty() {
        return Ok(Method::GET);
    }
    if text.len() > LONGEST_METHOD || !text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-') {
        return Err(bad("a name in capital letters"));
    }
    match text {
        "CONNECT" | "TRACE" | "TRACK" | "PRI" => Err(bad("not one to fetch with")),
        "HEAD" => Err(bad("HEAD brings no body that could be stored")),
        _ => Method::from_bytes(text.as_bytes()).map_err(|_| bad("no such method")),
    }
}

fn parse_headers(request: &FetchRequest) -> Result<HeaderMap> {
    let given = &request.remote_headers;
    let size: usize = given.iter().map(|(name, value)| name.len() + value.len()).sum();
    if given.len() > MOST_HEADERS / 2 || size > LARGEST_HEADERS / 2 {
        let most = format!("at most {} of them in {} bytes", MOST_HEADERS / 2, LARGEST_HEADERS / 2);
        return Err(Error::TooLarge(format!("remote_headers: {most}")));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        // The value may be a secret, so it is not repeated; the name may be anything.
        let bad = |problem: &str| Error::invalid("remote_headers", problem);
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad("not a header's name"))?;
        if FRAMING.contains(&name.as_str()) {
            return Err(bad(&format!("{name} is not the caller's to set")));
        }
        let value = HeaderValue::from_bytes(value.as_bytes())
            .map_err(|_| bad(&format!("{name} has a value that no header has")))?;
        if headers.insert(name.clone(), value).is_some() {
            return Err(bad(&format!("{name} is given twice")));
        }
    }
    Ok(headers)
}

/// What belongs to the connection and to the shape of messages. Bodies are stored as they come, so how they are encoded
/// is not the caller's choice either.
const FRAMING: [&str; 15] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
];

/// Meant for one origin.
const PERSONAL: [HeaderName; 4] =
    [header::AUTHORIZATION, header::COOKIE, HeaderName::from_static("cookie2"), header::WWW_AUTHENTICATE];

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Outbound> {
        Outbound::parse(&FetchRequest { remote_url: url.into(), ..Default::default() })
    }

    fn with_header(name: &str, value: &str) -> Result<Outbound> {
        let remote_headers = [(name.to_owned(), value.to_owned())].into();
        Outbound::parse(&FetchRequest {
            remote_url: "http://h/".into(),
            remote_headers,
            ..Default::default()
        })
    }

    fn is_invalid<T>(outcome: Result<T>, wrong: &str) -> bool {
        matches!(outcome, Err(Error::Invalid { field, .. }) if field == wrong)
    }

    #[test]
    fn a50_addresses_that_can_be_misread_are_refused() {
        for url in [
            "",
            "x",
            "/x",
            "//h/x",
            "file:///etc/passwd",
            "gopher://h/",
            "ftp://h/",
            "data:text/plain,x",
            "unix:/run/x",
            "javascript:alert(1)",
            "ws://h/",
            "http+unix://h/",
            "http:",
            "http:h",
            "http:/h/",
            "http:///h/",
            "http://",
            "http://user@h/",
            "http://user:pass@h/",
            "http://@h/",
            "http://:@h/",
            "http://h:0/",
            "http://h:65536/",
            "http://h /",
            " http://h/",
            "http://h/ ",
            "http://h/a b",
            "http://h\\@evil/",
            "http://h/\\x",
            "http://h/\r\nx: y",
            "ht\ttp://h/",
            "http://h/\u{0}",
            "http://h/\u{7f}",
            "http://h%00/",
            "http://[::1/",
            "http://1.2.3.4.5/",
            "http://256.1.1.1/",
        ] {
            let outcome = parse(url);
            assert!(is_invalid(outcome, "remote_url"), "{url:?}");
        }
        assert!(matches!(parse(&format!("http://h/{}", "x".repeat(LONGEST_URL))), Err(Error::TooLarge(_))));
        for url in
            ["http://h", "HTTPS://h:1/a%20b?c=d@e#f", "http://b\u{fc}cher.example/\u{e4}", "http://h/a@b"]
        {
            assert!(parse(url).is_ok(), "{url}");
        }
    }

    #[test]
    fn a51_every_spelling_of_an_address_becomes_that_address() {
        for url in [
            "http://127.0.0.1/",
            "http://127.0.0.1./",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0x7f.0.0.1/",
            "http://0177.0.0.1/",
            "http://017700000001/",
            "http://127.1/",
            "http://127.0.1/",
            "http://0x7f.1/",
            "http://%31%32%37.0.0.1/",
            "http://\u{ff11}\u{ff12}\u{ff17}.0.0.1/",
            "http://127\u{3002}0\u{ff0e}0\u{ff61}1/",
            "http://\u{2460}\u{2461}\u{2466}.0.0.1/",
        ] {
            let host = parse(url).unwrap().url;
            assert_eq!(host.host(), Some(url::Host::Ipv4(std::net::Ipv4Addr::LOCALHOST)), "{url}");
        }
        let mapped = parse("http://[::ffff:7f00:1]/").unwrap().url;
        assert_eq!(mapped.host(), Some(url::Host::Ipv6("::ffff:127.0.0.1".parse().unwrap())));
    }

    #[test]
    fn a55_methods_that_tunnel_or_are_none_are_refused() {
        for method in
            ["CONNECT", "TRACE", "TRACK", "PRI", "HEAD", "get", "Get", "G T", "GET\r\n", "GET /", "\u{c4}"]
        {
            assert!(is_invalid(parse_method(method), "remote_method"), "{method:?}");
        }
        assert!(is_invalid(parse_method(&"X".repeat(33)), "remote_method"));
        for (method, meant) in [("", "GET"), ("GET", "GET"), ("POST", "POST"), ("PROPFIND", "PROPFIND")] {
            assert_eq!(parse_method(method).unwrap(), meant);
        }
    }

    #[test]
    fn a55_headers_that_frame_a_message_are_refused() {
        for name in FRAMING {
            assert!(is_invalid(with_header(name, "x"), "remote_headers"), "{name}");
            assert!(is_invalid(with_header(&name.to_uppercase(), "x"), "remote_headers"), "{name}");
        }
        for (name, value) in [
            ("", "x"),
            ("a b", "x"),
            ("a:", "x"),
            ("a\r\nb", "x"),
            ("a", "x\r\nb: y"),
            ("a", "\n"),
            ("a", "\0"),
        ] {
            assert!(is_invalid(with_header(name, value), "remote_headers"), "{name:?}: {value:?}");
        }
        let twice = [("A".to_owned(), String::new()), ("a".to_owned(), String::new())].into();
        let request =
            FetchRequest { remote_url: "http://h/".into(), remote_headers: twice, ..Default::default() };
        assert!(is_invalid(Outbound::parse(&request), "remote_headers"));
        assert!(matches!(with_header("a", &"x".repeat(LARGEST_HEADERS)), Err(Error::TooLarge(_))));
        assert!(with_header("X-Api-Key", "caf\u{e9} 1").is_ok());
    }

    #[test]
    fn a55_what_is_personal_does_not_follow_to_another_origin() {
        let outbound = || {
            let remote_headers = ["authorization", "cookie", "x-mine"].map(|name| (name.into(), "1".into()));
            let remote_headers = remote_headers.into();
            let remote_url = "https://h/a/b".into();
            Outbound::parse(&FetchRequest { remote_url, remote_headers, ..Default::default() }).unwrap()
        };
        for (location, kept) in [
            ("c", 3),
            ("/c", 3),
            ("//h/c", 3),
            ("https://h:443/", 3),
            ("http://h/", 1),
            ("https://h:8443/", 1),
            ("https://h.evil/", 1),
            ("https://sub.h/", 1),
            ("//evil/", 1),
            ("https://h./", 1),
        ] {
            let redirected = outbound().redirected(302, location.as_bytes()).unwrap();
            assert_eq!(redirected.headers.len(), kept, "{location}");
        }
        let there = outbound().redirected(302, b"https://evil/").unwrap();
        assert_eq!(there.redirected(302, b"https://h/").unwrap().headers.len(), 1, "nor come back");
    }

    #[test]
    fn a52_a_redirect_is_held_to_the_same_rules() {
        let redirected = |location: &[u8]| parse("http://h/").unwrap().redirected(302, location);
        for location in [
            &b"file:///etc/passwd"[..],
            b"gopher://h/",
            b"data:,x",
            b"javascript:1",
            b"http://u:p@h/",
            b"//u@h/",
            b"http://",
            b"http://h:0/",
            b"\xff",
        ] {
            assert!(is_invalid(redirected(location), "remote_url"), "{location:?}");
        }
        assert_eq!(redirected(b"../x y?z").unwrap().url.as_str(), "http://h/x%20y?z");
    }

    #[test]
    fn a_redirect_may_turn_a_post_into_a_get() {
        let method = |method: &str, status| {
            let request = FetchRequest {
                remote_url: "http://h/".into(),
                remote_method: method.into(),
                ..Default::default()
            };
            Outbound::parse(&request).unwrap().redirected(status, b"/x").unwrap().method
        };
        assert_eq!([301, 302, 303].map(|status| method("POST", status)), [const { Method::GET }; 3]);
        assert_eq!([307, 308].map(|status| method("POST", status)), [const { Method::POST }; 2]);
        assert_eq!(method("PUT", 302), Method::PUT);
        assert_eq!(method("PUT", 303), Method::GET);
    }
}
