//! Whether a request still holds for what is stored (RFC 9110, 13).

use cacheroach_model::Timestamp;
use http::HeaderMap;
use http::header::{HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};

use super::date;

/// What tells one content from another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Validators {
    /// Strong, with its quotes.
    pub(crate) etag: String,
    /// Since when.
    pub(crate) modified: Timestamp,
}

/// What a request's conditions come to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// Do it.
    Proceed,
    /// The reader has it already: 304.
    NotModified,
    /// It is not what the client thinks: 412.
    Failed,
}

/// Judges a request by its conditions, in the order of RFC 9110, 13.2.2. `current` is what the caller of the request may
/// know of; with none, a read proceeds, to be told that there is nothing.
pub(crate) fn check(headers: &HeaderMap, method_is_read: bool, current: Option<&Validators>) -> Verdict {
    if current.is_none() && method_is_read {
        return Verdict::Proceed;
    }
    let holds = if headers.contains_key(IF_MATCH) {
        current.is_some_and(|current| any_tag(headers, &IF_MATCH, |tag| tag.matches_strongly(&current.etag)))
    } else {
        match (single_date(headers, &IF_UNMODIFIED_SINCE), current) {
            (Some(since), Some(current)) => current.modified.seconds() <= since.seconds(),
            _ => true,
        }
    };
    if !holds {
        return Verdict::Failed;
    }
    let known = if headers.contains_key(IF_NONE_MATCH) {
        current
            .is_some_and(|current| any_tag(headers, &IF_NONE_MATCH, |tag| tag.matches_weakly(&current.etag)))
    } else {
        match (single_date(headers, &IF_MODIFIED_SINCE), current) {
            (Some(since), Some(current)) => method_is_read && current.modified.seconds() <= since.seconds(),
            _ => false,
        }
    };
    match (known, method_is_read) {
        (false, _) => Verdict::Proceed,
        (true, true) => Verdict::NotModified,
        (true, false) => Verdict::Failed,
    }
}

/// Whether there are conditions that a write has to look at.
pub(crate) fn of_write(headers: &HeaderMap) -> bool {
    named_of_write(headers).is_some()
}

/// Which condition there is that a write has to look at.
pub(crate) fn named_of_write(headers: &HeaderMap) -> Option<HeaderName> {
    [IF_MATCH, IF_NONE_MATCH, IF_UNMODIFIED_SINCE].into_iter().find(|name| headers.contains_key(name))
}

/// Whether the one condition is that there is nothing.
pub(crate) fn only_if_absent(headers: &HeaderMap) -> bool {
    let any = |value: &http::HeaderValue| value.as_bytes().trim_ascii() == b"*";
    headers.get_all(IF_NONE_MATCH).iter().any(any)
        && ![IF_MATCH, IF_UNMODIFIED_SINCE].iter().any(|name| headers.contains_key(name))
}

/// Whether a `Range` counts: always without an `If-Range`, else only if that names exactly what is stored.
pub(crate) fn range_applies(headers: &HeaderMap, current: &Validators) -> bool {
    let mut values = headers.get_all(IF_RANGE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return !headers.contains_key(IF_RANGE) };
    let value = value.as_bytes();
    value == current.etag.as_bytes()
        || std::str::from_utf8(value)
            .ok()
            .and_then(date::parse)
            .is_some_and(|date| date.seconds() == current.modified.seconds())
}

/// A member of a list of tags.
#[derive(Clone, Copy)]
enum Tag<'a> {
    /// `*`.
    Any,
    /// With its quotes.
    One { weak: bool, opaque: &'a [u8] },
}

impl Tag<'_> {
    fn matches_strongly(self, etag: &str) -> bool {
        match self {
            Tag::Any => true,
            Tag::One { weak, opaque } => !weak && opaque == etag.as_bytes(),
        }
    }

    fn matches_weakly(self, etag: &str) -> bool {
        match self {
            Tag::Any => true,
            Tag::One { opaque, .. } => opaque == etag.as_bytes(),
        }
    }
}

fn any_tag(headers: &HeaderMap, name: &HeaderName, matches: impl Fn(Tag<'_>) -> bool) -> bool {
    headers.get_all(name).iter().any(|value| any_tag_of(value.as_bytes(), &matches))
}

/// What is malformed matches nothing, nor does what follows it. Commas may be within tags, so the list can't be split.
fn any_tag_of(list: &[u8], matches: impl Fn(Tag<'_>) -> bool) -> bool {
    if list.trim_ascii() == b"*" {
        return matches(Tag::Any);
    }
    let mut rest = list;
    loop {
        while let [b' ' | b'\t' | b',', tail @ ..] = rest {
            rest = tail;
        }
        let (weak, tag) = rest.strip_prefix(b"W/").map_or((false, rest), |tag| (true, tag));
        let Some(end) = tag.strip_prefix(b"\"").and_then(|tail| tail.iter().position(|&byte| byte == b'"'))
        else {
            return false;
        };
        let (opaque, tail) = tag.split_at(end + 2);
        if matches(Tag::One { weak, opaque }) {
            return true;
        }
        rest = tail;
    }
}

/// A header with one date; anything else is as if it were not there.
fn single_date(headers: &HeaderMap, name: &HeaderName) -> Option<Timestamp> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    date::parse(value.to_str().ok()?)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn current() -> Validators {
        Validators { etag: "\"abc\"".into(), modified: Timestamp::from_micros(784_111_777_500_000) }
    }

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn read(pairs: &[(HeaderName, &str)]) -> Verdict {
        check(&headers(pairs), true, Some(&current()))
    }

    fn write(pairs: &[(HeaderName, &str)]) -> Verdict {
        check(&headers(pairs), false, Some(&current()))
    }

    #[test]
    fn without_conditions_all_proceeds() {
        assert_eq!(read(&[]), Verdict::Proceed);
        assert_eq!(write(&[]), Verdict::Proceed);
    }

    #[test]
    fn if_match_compares_strongly() {
        for (value, verdict) in [
            ("*", Verdict::Proceed),
            ("\"abc\"", Verdict::Proceed),
            ("\"x,y\", \"abc\"", Verdict::Proceed),
            ("\"x\",,W/\"y\" ,\"abc\"", Verdict::Proceed),
            ("W/\"abc\"", Verdict::Failed),
            ("\"x\"", Verdict::Failed),
            ("\"x, \"abc\"", Verdict::Failed),
            ("abc", Verdict::Failed),
            ("", Verdict::Failed),
            ("\"abc", Verdict::Failed),
        ] {
            assert_eq!(read(&[(IF_MATCH, value)]), verdict, "{value}");
            assert_eq!(write(&[(IF_MATCH, value)]), verdict, "{value}");
        }
        assert_eq!(read(&[(IF_MATCH, "\"x\""), (IF_MATCH, "\"abc\"")]), Verdict::Proceed);
    }

    #[test]
    fn if_none_match_compares_weakly() {
        for value in ["*", " * ", "\"abc\"", "W/\"abc\"", "\"x\", W/\"abc\""] {
            assert_eq!(read(&[(IF_NONE_MATCH, value)]), Verdict::NotModified, "{value}");
            assert_eq!(write(&[(IF_NONE_MATCH, value)]), Verdict::Failed, "{value}");
        }
        for value in ["\"x\"", "abc", "", "w/\"abc\"", "\"x\" *"] {
            assert_eq!(read(&[(IF_NONE_MATCH, value)]), Verdict::Proceed, "{value}");
            assert_eq!(write(&[(IF_NONE_MATCH, value)]), Verdict::Proceed, "{value}");
        }
    }

    #[test]
    fn dates_are_compared_by_the_second() {
        assert_eq!(read(&[(IF_MODIFIED_SINCE, BEFORE)]), Verdict::Proceed);
        assert_eq!(read(&[(IF_MODIFIED_SINCE, NOW)]), Verdict::NotModified);
        assert_eq!(read(&[(IF_MODIFIED_SINCE, AFTER)]), Verdict::NotModified);
        assert_eq!(write(&[(IF_MODIFIED_SINCE, NOW)]), Verdict::Proceed);
        assert_eq!(read(&[(IF_UNMODIFIED_SINCE, BEFORE)]), Verdict::Failed);
        assert_eq!(write(&[(IF_UNMODIFIED_SINCE, BEFORE)]), Verdict::Failed);
        assert_eq!(write(&[(IF_UNMODIFIED_SINCE, NOW)]), Verdict::Proceed);
    }

    #[test]
    fn invalid_dates_are_ignored() {
        assert_eq!(read(&[(IF_MODIFIED_SINCE, "soon")]), Verdict::Proceed);
        assert_eq!(read(&[(IF_UNMODIFIED_SINCE, "soon")]), Verdict::Proceed);
        assert_eq!(read(&[(IF_MODIFIED_SINCE, AFTER), (IF_MODIFIED_SINCE, AFTER)]), Verdict::Proceed);
    }

    #[test]
    fn tags_come_before_dates() {
        assert_eq!(read(&[(IF_MATCH, "\"abc\""), (IF_UNMODIFIED_SINCE, BEFORE)]), Verdict::Proceed);
        assert_eq!(read(&[(IF_NONE_MATCH, "\"x\""), (IF_MODIFIED_SINCE, AFTER)]), Verdict::Proceed);
        assert_eq!(read(&[(IF_MATCH, "\"x\""), (IF_NONE_MATCH, "\"abc\"")]), Verdict::Failed);
        assert_eq!(read(&[(IF_MATCH, "\"abc\""), (IF_NONE_MATCH, "\"abc\"")]), Verdict::NotModified);
        assert_eq!(read(&[(IF_UNMODIFIED_SINCE, AFTER), (IF_MODIFIED_SINCE, AFTER)]), Verdict::NotModified);
    }

    #[test]
    fn a32_where_nothing_is_seen_no_condition_tells_of_it() {
        for name in [IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE] {
            for value in ["*", "\"abc\"", BEFORE, AFTER] {
                assert_eq!(check(&headers(&[(name.clone(), value)]), true, None), Verdict::Proceed);
            }
        }
        assert_eq!(check(&headers(&[(IF_MATCH, "*")]), false, None), Verdict::Failed);
        assert_eq!(check(&headers(&[(IF_MATCH, "\"abc\"")]), false, None), Verdict::Failed);
        assert_eq!(check(&headers(&[(IF_NONE_MATCH, "*")]), false, None), Verdict::Proceed);
        assert_eq!(check(&headers(&[(IF_UNMODIFIED_SINCE, BEFORE)]), false, None), Verdict::Proceed);
    }

    #[test]
    fn a_range_applies_to_exactly_what_is_stored() {
        for (value, applies) in [
            ("\"abc\"", true),
            (NOW, true),
            ("W/\"abc\"", false),
            ("\"x\"", false),
            ("*", false),
            (BEFORE, false),
            (AFTER, false),
            ("abc", false),
            ("", false),
        ] {
            assert_eq!(range_applies(&headers(&[(IF_RANGE, value)]), &current()), applies, "{value}");
        }
        assert!(range_applies(&HeaderMap::new(), &current()));
    }

    proptest! {
        #[test]
        fn any_list_may_be_sent(list in prop::collection::vec(0x20_u8..=0xff, 0..40), quotes in "[W/\", *a]{0,20}") {
            for list in [list.as_slice(), quotes.as_bytes()] {
                any_tag_of(list, |tag| tag.matches_strongly("\"abc\"") && tag.matches_weakly("\"abc\""));
            }
        }
    }
}
