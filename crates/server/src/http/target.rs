//! The path of a request: decoded once, brought into its one canonical form before anything looks at it.

use ::http::request::Parts;
use ::http::{HeaderName, StatusCode, Uri};
use cacheroach_model::{Path, PathError};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// What a request line may measure, in bytes, and a head.
const MAX_LINE: usize = 8 * 1024;
const MAX_HEAD: usize = 32 * 1024;
const MAX_FIELDS: usize = 100;

/// What can't stand in a path as it is.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'%')
    .add(b'\\')
    .add(b'^')
    .add(b'|');

/// A decoded path.
pub(super) struct Target {
    /// Absolute and clean; with a last slash if it came with one.
    path: String,
    /// Whether it came like that.
    is_canonical: bool,
}

/// Not a path.
#[derive(Debug)]
pub(super) enum Malformed {
    /// It can't be decoded.
    Encoding(&'static str),
    /// What was decoded has no canonical form.
    Path(PathError),
}

/// The status for a request that is too much before it is anything.
pub(super) fn beyond_limits(parts: &Parts) -> Option<StatusCode> {
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    // Method, target and version, with a space between them.
    if parts.method.as_str().len() + target + " HTTP/1.1 ".len() > MAX_LINE {
        return Some(StatusCode::URI_TOO_LONG);
    }
    let size: usize =
        parts.headers.iter().map(|(name, value)| HeaderName::as_str(name).len() + value.len() + 4).sum();
    let too_much = size > MAX_HEAD || parts.headers.len() > MAX_FIELDS;
    too_much.then_some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
}

impl Target {
    pub(super) fn of(uri: &Uri) -> Result<Self, Malformed> {
        let given = uri.path();
        if is_badly_escaped(given) {
            return Err(Malformed::Encoding("a percent sign stands before two hexadecimal digits"));
        }
        let given = percent_decode_str(given).decode_utf8();
        let given = given.map_err(|_| Malformed::Encoding("a path is UTF-8"))?;
        let clean = Path::parse(&given).map_err(Malformed::Path)?;
        let path = if given.ends_with('/') { clean.prefix() } else { clean.into() };
        Ok(Target { is_canonical: path == given, path })
    }

    /// The canonical path.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Where to send a client that spelled the path in another way.
    pub(super) fn elsewhere(&self, query: Option<&str>) -> Option<String> {
        let path = if self.path == "/_" { "/_/" } else { &self.path };
        if self.is_canonical && path == self.path {
            return None;
        }
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        Some(format!("{}{query}", encode(path)))
    }
}

/// A path as it stands in a URL.
pub(super) fn encode(path: &str) -> String {
    utf8_percent_encode(path, ESCAPED).to_string()
}

fn is_badly_escaped(path: &str) -> bool {
    let escapes = path.split('%').skip(1);
    escapes.into_iter().any(|after| {
        let digits = after.as_bytes();
        digits.len() < 2 || !digits[..2].iter().all(u8::is_ascii_hexdigit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Target, Malformed> {
        Target::of(&text.parse().unwrap())
    }

    #[test]
    fn a22_every_spelling_leads_to_the_one() {
        for (given, clean) in [
            ("/a/../b", "/b"),
            ("//x", "/x"),
            ("/a/%2e%2e/b", "/b"),
            ("/a%2Fb/..", "/a"),
            ("/a/./", "/a/"),
            ("/%2e%2e/%2e%2e/x", "/x"),
        ] {
            let target = of(given).unwrap();
            assert_eq!(target.elsewhere(Some("q=1")).unwrap(), format!("{clean}?q=1"), "{given}");
        }
        for given in ["/a", "/a/", "/", "/a%2Fb", "/%252e%252e", "/a%5Cb", "/a.", "/*"] {
            assert_eq!(of(given).unwrap().elsewhere(None), None, "{given}");
        }
        assert_eq!(of("/_").unwrap().elsewhere(None).unwrap(), "/_/");
    }

    #[test]
    fn a23_what_is_no_text_is_refused() {
        for given in [
            "/%00",
            "/%0a",
            "/%0d%0a",
            "/%7f",
            "/%ff",
            "/%c0%af",
            "/%ed%a0%80",
            "/%",
            "/%4",
            "/%zz",
            "/%c2%85",
        ] {
            assert!(of(given).is_err(), "{given}");
        }
    }

    #[test]
    fn a_path_goes_into_a_url_and_comes_back() {
        let path = "/a b/\u{e9}%?#\"<>\\^`{|}~*";
        assert_eq!(of(&encode(path)).unwrap().path(), path);
    }
}
