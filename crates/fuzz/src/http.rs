//! What HTTP brings: targets, the framing of requests, ranges, conditions, dates, metadata.

use std::collections::BTreeMap;

use arbitrary::{Result, Unstructured};
use cacheroach_model::{Metadata, Path, Timestamp};
use cacheroach_server::fuzz;
use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use crate::world::NOW;

const ETAG: &str = "\"etag\"";

/// The target of a request. One canonical path, and a redirect to it that ends there, on the same host.
pub(crate) fn target(data: &[u8]) {
    let Ok(uri) = Uri::try_from(data) else { return };
    let Some((path, elsewhere)) = fuzz::target(&uri) else { return };
    let clean = Path::parse(&path).expect("a canonical path");
    assert!(path == clean.as_str() || path == clean.prefix(), "{path:?}");
    if let Some(elsewhere) = elsewhere {
        assert!(elsewhere.starts_with('/') && !elsewhere.starts_with("//"), "{elsewhere}");
        assert!(elsewhere.bytes().all(|byte| (b'!'..=b'~').contains(&byte)) || uri.query().is_some());
        let there: Uri = elsewhere.parse().expect("an address");
        assert_eq!(there.query(), uri.query());
        let (again, further) = fuzz::target(&there).expect("a path");
        assert_eq!(again.trim_end_matches('/'), path.trim_end_matches('/'));
        assert_eq!(further, None, "{elsewhere}");
    }
}

/// A connection. The first bytes say where it is cut into pieces: that must not change what is let through.
pub(crate) fn framing(data: &[u8]) {
    let Some((cuts, stream)) = data.split_at_checked(2) else { return };
    let whole = fuzz::framing(std::iter::once(stream));
    let length = usize::from(cuts[0] % 32) + 1;
    let pieces = fuzz::framing(stream.chunks(length));
    let (first, rest) = stream.split_at(usize::from(cuts[1]).min(stream.len()));
    let two = fuzz::framing([first, rest].into_iter());
    for (cut, found) in [("pieces", pieces), ("two", two)] {
        assert_eq!(whole.1, found.1, "{cut} of {:?}", stream.escape_ascii().to_string());
        // Of a line that is refused what came in an earlier piece has passed already; never more than that.
        assert!(found.0 >= whole.0 && found.0 <= stream.len());
    }
    if whole.1.is_none() {
        assert_eq!(whole.0, stream.len());
    }
}

/// A size, and a `Range`: never more than there is, never twice, at most 16 parts.
pub(crate) fn range(data: &[u8]) {
    let Some((size, header)) = data.split_first_chunk::<8>() else { return };
    let size = u64::from_le_bytes(*size) >> (size[0] % 64);
    let header = String::from_utf8_lossy(header);
    if let Some(parts) = fuzz::ranges(&header, size) {
        assert!(parts.len() <= 16);
        assert!(parts.iter().all(|part| part.start < part.end && part.end <= size));
        assert!(parts.iter().map(|part| u128::from(part.end - part.start)).sum::<u128>() <= u128::from(size));
        let mut sorted = parts;
        sorted.sort_unstable_by_key(|part| part.start);
        assert!(sorted.windows(2).all(|pair| pair[0].end <= pair[1].start));
    }
    let plain = |(first, last): (&str, &str)| Some((first.parse::<u32>().ok()?, last.parse::<u32>().ok()?));
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if let Some(list) = header.strip_prefix("bytes=").filter(|list| is_plain(list))
        && let Some((first, last)) = list.split_once('-').and_then(plain)
        && first <= last
        && size > 0
    {
        let (first, end) = (u64::from(first), (u64::from(last) + 1).min(size));
        let expected = Some(first..end).filter(|_| first < size).into_iter().collect();
        assert_eq!(fuzz::ranges(&header, size), Some(expected), "{header} of {size}");
    }
}

/// Headers that make a request conditional: first anything, then a list of tags whose meaning is known.
pub(crate) fn conditions(data: &[u8]) {
    const NAMES: [&str; 5] =
        ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range"];
    let mut headers = HeaderMap::new();
    for line in data.split(|&byte| byte == b'\n') {
        if let Some((name, value)) = line.split_first()
            && let Ok(value) = HeaderValue::from_bytes(value)
        {
            headers.append(NAMES[usize::from(*name) % NAMES.len()], value);
        }
    }
    for current in [None, Some((ETAG, NOW))] {
        let (read, _) = fuzz::conditions(&headers, true, current);
        let (write, _) = fuzz::conditions(&headers, false, current);
        // A write is never answered with what a reader has; what stops one stops the other, but for dates of reading.
        assert_ne!(write, 304);
        assert!(current.is_none() || write == 200 || read != 200, "{headers:?}");
    }
    let _ = tags(&mut Unstructured::new(data));
}

fn tags(given: &mut Unstructured<'_>) -> Result<()> {
    let (mut list, mut strong, mut weak) = (Vec::new(), false, false);
    for _ in 0..given.int_in_range(1..=6)? {
        let is_weak: bool = given.arbitrary()?;
        let ours = given.ratio(1, 3)?;
        let opaque: Vec<u8> = given.arbitrary()?;
        let is_opaque = |byte: &u8| *byte == 0x21 || (0x23..=0x7e).contains(byte) || *byte >= 0x80;
        let mut tag: Vec<u8> = [&b"\""[..], &opaque, b"\""].concat();
        if ours {
            tag = ETAG.into();
        } else if !opaque.iter().all(is_opaque) {
            return Err(arbitrary::Error::IncorrectFormat);
        }
        let is_it = tag == ETAG.as_bytes();
        (strong, weak) = (strong || (is_it && !is_weak), weak || is_it);
        list.extend(if list.is_empty() { &b""[..] } else { b", " });
        list.extend(if is_weak { &b"W/"[..] } else { b"" });
        list.append(&mut tag);
    }
    let Ok(value) = HeaderValue::from_bytes(&list) else { return Ok(()) };
    let asked = |name: HeaderName, is_read| {
        let headers: HeaderMap = [(name, value.clone())].into_iter().collect();
        fuzz::conditions(&headers, is_read, Some((ETAG, NOW))).0
    };
    assert_eq!(asked(IF_NONE_MATCH, true), if weak { 304 } else { 200 }, "{value:?}");
    assert_eq!(asked(IF_NONE_MATCH, false), if weak { 412 } else { 200 }, "{value:?}");
    assert_eq!(asked(IF_MATCH, false), if strong { 200 } else { 412 }, "{value:?}");
    Ok(())
}

/// A date, as text and as a number.
pub(crate) fn date(data: &[u8]) {
    const FIRST: i64 = -62_167_219_200;
    let back = |time: Timestamp| fuzz::date(&fuzz::show_date(time));
    if let Some(time) = fuzz::date(&String::from_utf8_lossy(data)) {
        assert!(FIRST <= time.seconds() && time <= Timestamp::MAX);
        assert_eq!(back(time), Some(time));
    }
    if let Some(number) = data.first_chunk::<8>() {
        let seconds = i64::from_le_bytes(*number).clamp(FIRST, Timestamp::MAX.seconds());
        assert_eq!(back(Timestamp::from_seconds(seconds)), Some(Timestamp::from_seconds(seconds)));
        let _ = fuzz::show_date(Timestamp::from_micros(i64::from_le_bytes(*number)));
    }
}

/// Pairs on their way into headers and back; headers on their way into pairs, and back; a content type by content.
pub(crate) fn metadata(data: &[u8]) {
    let _ = pairs(&mut Unstructured::new(data));
    let mut headers = HeaderMap::new();
    for line in data.split(|&byte| byte == b'\n') {
        let mut halves = line.splitn(2, |&byte| byte == b':');
        let (key, value) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
        let name = HeaderName::from_bytes(&[b"x-cacheroach-meta-", key].concat());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    if let Some(pairs) = fuzz::metadata_of(&headers)
        && let Ok(metadata) = Metadata::parse(pairs)
    {
        shown(&metadata);
    }
    let (kind, is_valid) = fuzz::sniff(data);
    assert!(is_valid, "{kind}");
}

fn pairs(given: &mut Unstructured<'_>) -> Result<()> {
    let pairs: BTreeMap<String, String> = given.arbitrary()?;
    if let Ok(metadata) = Metadata::parse(pairs) {
        shown(&metadata);
    }
    Ok(())
}

fn shown(metadata: &Metadata) {
    let mut headers = HeaderMap::new();
    fuzz::show_metadata(&mut headers, metadata);
    assert_eq!(headers.len(), metadata.pairs().len());
    let is_plain = |value: &HeaderValue| value.as_bytes().iter().all(|byte| (b' '..=b'~').contains(byte));
    assert!(
        headers
            .iter()
            .all(|(name, value)| name.as_str().starts_with("x-cacheroach-meta-") && is_plain(value))
    );
    let back: BTreeMap<_, _> =
        fuzz::metadata_of(&headers).expect("what was shown is understood").into_iter().collect();
    assert_eq!(&back, metadata.pairs());
}
