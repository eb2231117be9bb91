//! The parsers of this front end for the fuzz targets, in types that are public. Nothing else may use it.

use std::collections::HashMap;
use std::ops::Range;

use ::http::{HeaderMap, Uri};
use cacheroach_model::{Metadata, Timestamp};

use super::conditions::{self, Validators, Verdict};
use super::framing::Framing;
use super::range::Ranges;
use super::target::Target;
use super::{date, media, metadata, range};

/// The parts that a `Range` asks for: all of it as none, nothing that exists as no parts.
#[must_use]
pub fn ranges(header: &str, size: u64) -> Option<Vec<Range<u64>>> {
    match range::parse(header, size) {
        Ranges::Whole => None,
        Ranges::Unsatisfiable => Some(Vec::new()),
        Ranges::Parts(parts) => Some(parts.iter().map(|part| part.start..part.end).collect()),
    }
}

/// The pairs of metadata in headers, if they are well-formed.
#[must_use]
pub fn metadata_of(headers: &HeaderMap) -> Option<HashMap<String, String>> {
    metadata::of(headers).ok()
}

/// Shows metadata in headers.
pub fn show_metadata(headers: &mut HeaderMap, pairs: &Metadata) {
    metadata::show(headers, pairs);
}

/// The canonical path of a request, and where a client is sent that spelled it in another way.
#[must_use]
pub fn target(uri: &Uri) -> Option<(String, Option<String>)> {
    let target = Target::of(uri).ok()?;
    Some((target.path().to_owned(), target.elsewhere(uri.query())))
}

/// A date as HTTP writes it.
#[must_use]
pub fn date(text: &str) -> Option<Timestamp> {
    date::parse(text)
}

/// How HTTP writes a date.
#[must_use]
pub fn show_date(time: Timestamp) -> String {
    date::format(time)
}

/// The status that conditions make of a request for what is there, a tag and a time; 200 is to go on. Then whether a
/// `Range` counts.
#[must_use]
pub fn conditions(headers: &HeaderMap, is_read: bool, current: Option<(&str, Timestamp)>) -> (u16, bool) {
    let current = current.map(|(etag, modified)| Validators { etag: etag.into(), modified });
    let status = match conditions::check(headers, is_read, current.as_ref()) {
        Verdict::Proceed => 200,
        Verdict::NotModified => 304,
        Verdict::Failed => 412,
    };
    (status, current.is_some_and(|current| conditions::range_applies(headers, &current)))
}

/// How many bytes of a connection may pass when they come in these pieces, and whether a head or a body ends there.
#[must_use]
pub fn framing<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (usize, Option<bool>) {
    let (mut framing, mut passed) = (Framing::default(), 0);
    for piece in pieces {
        match framing.push(piece) {
            Ok(()) => passed += piece.len(),
            Err(violation) => return (passed + violation.at, Some(violation.in_head)),
        }
    }
    (passed, None)
}

/// A content type told by the first bytes, and whether it is one.
#[must_use]
pub fn sniff(head: &[u8]) -> (&'static str, bool) {
    let found = media::sniff(head);
    (found, media::is_valid(found))
}
