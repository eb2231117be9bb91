//! Which bytes a request asks for (RFC 9110, 14), and how several parts of a file are put into one answer.

use std::fmt::Write;

/// More than this is no reader but an attack: the header is ignored then, as the standard allows.
const MAX_PARTS: usize = 16;

/// What a `Range` comes to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Ranges {
    /// All of it: the header is malformed, in another unit, or asks for so much that it is ignored.
    Whole,
    /// Nothing of what is asked for exists: 416.
    Unsatisfiable,
    /// These, in the order asked for, never overlapping: one is an answer of its own, several are a multipart one.
    Parts(Vec<Part>),
}

/// Some bytes of a file; never none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Part {
    /// The first.
    pub(crate) start: u64,
    /// Behind the last.
    pub(crate) end: u64,
}

impl Part {
    /// How many bytes.
    pub(crate) fn length(self) -> u64 {
        self.end - self.start
    }

    /// The value of `Content-Range` for a file of `size` bytes.
    pub(crate) fn content_range(self, size: u64) -> String {
        format!("bytes {}-{}/{size}", self.start, self.end - 1)
    }
}

/// The value of `Content-Range` in a 416.
pub(crate) fn unsatisfied(size: u64) -> String {
    format!("bytes */{size}")
}

/// Reads a `Range` header for a file of `size` bytes.
pub(crate) fn parse(header: &str, size: u64) -> Ranges {
    let Some(specs) = specs(header) else { return Ranges::Whole };
    if size == 0 {
        return Ranges::Whole;
    }
    let parts: Vec<Part> = specs.iter().filter_map(|spec| spec.part(size)).collect();
    if parts.is_empty() {
        return Ranges::Unsatisfiable;
    }
    // Without overlaps, the parts can't be more than the file either.
    let mut sorted = parts.clone();
    sorted.sort_unstable_by_key(|part| part.start);
    if sorted.windows(2).any(|pair| pair[0].end > pair[1].start) {
        Ranges::Whole
    } else {
        Ranges::Parts(parts)
    }
}

/// A range as written; numbers that don't fit are as far away as can be told.
#[derive(Clone, Copy)]
enum Spec {
    From { first: u64, last: u64 },
    Suffix(u64),
}

impl Spec {
    fn parse(text: &str) -> Option<Spec> {
        let (first, last) = text.split_once('-')?;
        match (first, last) {
            ("", last) => Some(Spec::Suffix(number(last)?)),
            (first, "") => Some(Spec::From { first: number(first)?, last: u64::MAX }),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Spec::From { first, last })
            }
        }
    }

    /// What of it exists in a file of `size` bytes.
    fn part(self, size: u64) -> Option<Part> {
        let part = match self {
            Spec::From { first, last } => Part { start: first, end: last.saturating_add(1).min(size) },
            Spec::Suffix(length) => Part { start: size.saturating_sub(length), end: size },
        };
        (part.start < part.end).then_some(part)
    }
}

/// The list in the header; none if it is malformed or too long.
fn specs(header: &str) -> Option<Vec<Spec>> {
    let (unit, list) = header.split_once('=')?;
    if !unit.trim_matches([' ', '\t']).eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut specs = Vec::new();
    for text in list.split(',').map(|text| text.trim_matches([' ', '\t'])).filter(|text| !text.is_empty()) {
        if specs.len() == MAX_PARTS {
            return None;
        }
        specs.push(Spec::parse(text)?);
    }
    (!specs.is_empty()).then_some(specs)
}

fn number(digits: &str) -> Option<u64> {
    let well_formed = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    well_formed.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// What goes before the bytes of a part in `multipart/byteranges`.
pub(crate) fn multipart_head(boundary: &str, content_type: &str, part: Part, size: u64) -> String {
    let range = part.content_range(size);
    format!("\r\n--{boundary}\r\nContent-Type: {content_type}\r\nContent-Range: {range}\r\n\r\n")
}

/// What goes behind the last part.
pub(crate) fn multipart_tail(boundary: &str) -> String {
    format!("\r\n--{boundary}--\r\n")
}

/// The length of the whole multipart body.
pub(crate) fn multipart_length(boundary: &str, content_type: &str, parts: &[Part], size: u64) -> u64 {
    let framed =
        |part: &Part| multipart_head(boundary, content_type, *part, size).len() as u64 + part.length();
    parts.iter().map(framed).sum::<u64>() + multipart_tail(boundary).len() as u64
}

/// A boundary from bytes that the content can not hold.
pub(crate) fn boundary(seed: [u8; 16]) -> String {
    seed.iter().fold(String::with_capacity(32), |mut text, byte| {
        // Writing into a string can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(list: &[(u64, u64)]) -> Ranges {
        Ranges::Parts(list.iter().map(|&(start, end)| Part { start, end }).collect())
    }

    #[test]
    fn ranges_are_read_as_the_standard_has_it() {
        for (header, expected) in [
            ("bytes=0-0", parts(&[(0, 1)])),
            ("bytes=0-99", parts(&[(0, 100)])),
            ("Bytes = 10-19 ", parts(&[(10, 20)])),
            ("bytes=10-", parts(&[(10, 100)])),
            ("bytes=90-1000", parts(&[(90, 100)])),
            ("bytes=-10", parts(&[(90, 100)])),
            ("bytes=-1000", parts(&[(0, 100)])),
            ("bytes=50-59, 0-9 ,,-1", parts(&[(50, 60), (0, 10), (99, 100)])),
            ("bytes=0-9,200-", parts(&[(0, 10)])),
            ("bytes=0-49,50-99", parts(&[(0, 50), (50, 100)])),
        ] {
            assert_eq!(parse(header, 100), expected, "{header}");
        }
    }

    #[test]
    fn what_is_malformed_is_ignored() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=a-b",
            "bytes=1",
            "bytes=1-2-3",
            "bytes=+1-2",
            "bytes=1 - 2",
            "bytes=0-1,x",
            "lines=0-1",
            "bytes 0-1",
            "bytes=0x1-2",
            "bytes=--1",
        ] {
            assert_eq!(parse(header, 100), Ranges::Whole, "{header}");
        }
    }

    #[test]
    fn a61_hostile_ranges_get_416_or_the_whole_file() {
        let many = |count: u64| {
            let list: Vec<String> = (0..count).map(|at| format!("{}-{}", at * 2, at * 2)).collect();
            format!("bytes={}", list.join(","))
        };
        assert!(matches!(parse(&many(16), 10_000), Ranges::Parts(parts) if parts.len() == 16));
        assert_eq!(parse(&many(17), 10_000), Ranges::Whole);
        assert_eq!(parse(&many(1_000), 10_000), Ranges::Whole);
        for (header, expected) in [
            ("bytes=0-50,50-60", Ranges::Whole),
            ("bytes=0-,0-", Ranges::Whole),
            ("bytes=0-0,-100", Ranges::Whole),
            ("bytes=9-1", Ranges::Whole),
            ("bytes=-0", Ranges::Unsatisfiable),
            ("bytes=100-", Ranges::Unsatisfiable),
            ("bytes=9223372036854775808-18446744073709551615", Ranges::Unsatisfiable),
            ("bytes=99999999999999999999-", Ranges::Unsatisfiable),
            ("bytes=0-99999999999999999999", parts(&[(0, 100)])),
            ("bytes=-99999999999999999999", parts(&[(0, 100)])),
        ] {
            assert_eq!(parse(header, 100), expected, "{header}");
        }
        assert_eq!(parse("bytes=0-18446744073709551615", u64::MAX), parts(&[(0, u64::MAX)]));
    }

    #[test]
    fn an_empty_file_is_always_whole() {
        assert_eq!(parse("bytes=0-", 0), Ranges::Whole);
        assert_eq!(parse("bytes=-5", 0), Ranges::Whole);
    }

    #[test]
    fn a_range_is_told_with_its_last_byte() {
        assert_eq!(Part { start: 0, end: 10 }.content_range(100), "bytes 0-9/100");
        assert_eq!(unsatisfied(7), "bytes */7");
        assert_eq!(boundary([0xab; 16]), "ab".repeat(16));
    }

    proptest! {
        #[test]
        fn a61_never_more_bytes_than_the_file(
            list in prop::collection::vec("[0-9]{0,3}-[0-9]{0,3}|[0-9]{18,21}-|-[0-9]{18,21}", 0..20), size in 0_u64..1000,
        ) {
            if let Ranges::Parts(parts) = parse(&format!("bytes={}", list.join(",")), size) {
                prop_assert!(!parts.is_empty() && parts.len() <= MAX_PARTS);
                prop_assert!(parts.iter().all(|part| part.start < part.end && part.end <= size));
                prop_assert!(parts.iter().map(|part| part.length()).sum::<u64>() <= size);
            }
        }

        #[test]
        fn anything_may_be_asked(header in "\\PC{0,40}|bytes=[0-9,-]{0,60}", size: u64) {
            let _ = parse(&header, size);
        }

        #[test]
        fn the_length_is_what_is_sent(cuts in prop::collection::btree_set(0_u64..1000, 2..10), kind in "[a-z]{1,9}/[a-z]{1,9}") {
            let cuts: Vec<u64> = cuts.into_iter().collect();
            let parts: Vec<Part> = cuts.windows(2).map(|cut| Part { start: cut[0], end: cut[1] }).collect();
            let mut body = String::new();
            for part in &parts {
                body += &multipart_head("b", &kind, *part, 1000);
                body.extend((0..part.length()).map(|_| 'x'));
            }
            body += &multipart_tail("b");
            prop_assert_eq!(multipart_length("b", &kind, &parts, 1000), body.len() as u64);
        }
    }
}
